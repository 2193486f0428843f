//! For those who watch the server.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use crate::error::ApiError;
use crate::server::Server;

/// `GET /health`: the process is alive.
pub(crate) async fn health() -> Json<Value> {
    Json(json!({"status": "ok"}))
}

/// `GET /ready`: the server takes requests.
pub(crate) async fn ready(State(server): State<Arc<Server>>) -> Result<Json<Value>, ApiError> {
    match server.is_closing() {
        true => Err(ApiError::shutting_down()),
        false => Ok(Json(json!({"status": "ready", "model": server.model()}))),
    }
}

/// `GET /metrics`: counters for Prometheus.
pub(crate) async fn metrics(State(server): State<Arc<Server>>) -> Response {
    let text = server.metrics.text(&server.batcher.status(), server.model());
    let mut response = text.into_response();
    let kind = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response
}
