//! The body of a request: bounded in size and time, checked, and read as one of the types.

use std::sync::Arc;
use std::time::Duration;

use axum::body::to_bytes;
use axum::extract::{FromRequest, Request};
use axum::http::StatusCode;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::error::ApiError;
use crate::fields::{self, Rule};
use crate::server::Server;

/// A type of request with the table of what is done with each field.
pub(crate) trait Fields: DeserializeOwned + Send + 'static {
    const TABLE: &'static [(&'static str, Rule)];
}

/// The body of a request as a `T`.
pub(crate) struct Json<T>(pub(crate) T);

impl<T: Fields> FromRequest<Arc<Server>> for Json<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, server: &Arc<Server>) -> Result<Self, ApiError> {
        let limits = &server.settings.limits;
        let time = Duration::from_secs(limits.body_seconds);
        let body = to_bytes(request.into_body(), limits.body_bytes);
        let Ok(bytes) = tokio::time::timeout(time, body).await else {
            let message = format!("the body took longer than {} seconds", limits.body_seconds);
            let kind = "invalid_request_error";
            return Err(ApiError::new(StatusCode::REQUEST_TIMEOUT, kind, message));
        };
        let bytes = bytes.map_err(|error| unreadable(&error, limits.body_bytes))?;
        // Parsing megabytes takes milliseconds in which other connections wait.
        blocking(move || parse(&bytes)).await.map(Json)
    }
}

fn unreadable(error: &axum::Error, limit: usize) -> ApiError {
    // The limit is the only error that the reader itself makes; others come from the connection.
    match error.to_string().contains("length limit exceeded") {
        true => {
            let message = format!("the body has more than {limit} bytes");
            let status = StatusCode::PAYLOAD_TOO_LARGE;
            ApiError::new(status, "invalid_request_error", message)
        }
        false => ApiError::invalid("the body could not be read to its end"),
    }
}

fn parse<T: Fields>(bytes: &[u8]) -> Result<T, ApiError> {
    let value: Value = serde_json::from_slice(bytes)
        .map_err(|error| ApiError::invalid(format!("the body is no JSON: {error}")))?;
    let Value::Object(object) = &value else {
        return Err(ApiError::invalid("the body is no JSON object"));
    };
    fields::check(object, T::TABLE)?;
    serde_path_to_error::deserialize(value).map_err(|error| {
        let path = error.path().to_string();
        match path.as_str() {
            "." => ApiError::invalid(error.into_inner().to_string()),
            _ => ApiError::field(path, error.into_inner()),
        }
    })
}

/// Runs `work` on a thread where it may take its time; its panic is an error of the request alone.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, ApiError> + Send + 'static,
) -> Result<T, ApiError> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|_| Err(ApiError::internal("the request failed")))
}
