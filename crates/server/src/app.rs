//! The paths and their handlers.

use std::sync::Arc;

use axum::Router;
use axum::extract::Request;
use axum::http::StatusCode;
use axum::middleware::from_fn_with_state;
use axum::routing::{get, post};

use crate::error::ApiError;
use crate::server::Server;
use crate::{
    chat_completions, completions, embeddings, gate, health, models, openapi, responses, tokenize,
};

/// All paths. Those of OpenAI's interface are there with and without `/v1`, as clients differ in
/// what they add to the base address.
pub(crate) fn router(server: Arc<Server>) -> Router {
    let openai = Router::new()
        .route("/chat/completions", post(chat_completions::create))
        .route("/completions", post(completions::create))
        .route("/embeddings", post(embeddings::create))
        .route("/models", get(models::list))
        .route("/models/{*id}", get(models::show))
        .route("/responses", post(responses::create))
        .route("/responses/{id}", get(responses::show).delete(responses::delete))
        .route("/responses/{id}/cancel", post(responses::cancel))
        .route("/responses/{id}/input_items", get(responses::input_items))
        .route("/tokenize", post(tokenize::tokenize))
        .route("/detokenize", post(tokenize::detokenize))
        .route("/tokenizer_info", get(tokenize::tokenizer_info));
    Router::new()
        .nest("/v1", openai.clone())
        .merge(openai)
        .route("/health", get(health::health))
        .route("/ready", get(health::ready))
        .route("/metrics", get(health::metrics))
        .route("/openapi.json", get(openapi::document))
        .fallback(no_path)
        .method_not_allowed_fallback(no_method)
        .layer(from_fn_with_state(server.clone(), gate::watch))
        .with_state(server)
}

async fn no_path(request: Request) -> ApiError {
    let path: String = request.uri().path().chars().take(200).collect();
    let message = format!("there is no {} {path}", request.method());
    ApiError::not_found("unknown_url", message)
}

async fn no_method(request: Request) -> ApiError {
    let path: String = request.uri().path().chars().take(200).collect();
    let message = format!("{} is not a method of {path}", request.method());
    let status = StatusCode::METHOD_NOT_ALLOWED;
    let error = ApiError::new(status, "invalid_request_error", message);
    ApiError { code: Some("method_not_allowed"), ..error }
}
