//! What a client is told when something is wrong, in the shape that OpenAI's clients read.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use gptoss_engine::{EngineError, Refused};
use schemars::JsonSchema;
use serde::Serialize;

/// An error of one request.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("{message}")]
pub struct ApiError {
    /// Status of the answer.
    pub status: StatusCode,
    /// For people.
    pub message: String,
    /// Class of the error, such as `invalid_request_error`.
    pub kind: &'static str,
    /// Field of the request that is wrong.
    pub param: Option<String>,
    /// For programs, such as `context_length_exceeded`.
    pub code: Option<&'static str>,
    /// Seconds after which it is worth trying again.
    pub retry_after: Option<u64>,
}

/// Body of an answer that is an error.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ErrorBody {
    /// The error.
    pub error: ErrorObject,
}

/// An error as JSON.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ErrorObject {
    /// For people.
    pub message: String,
    /// Class of the error.
    #[serde(rename = "type")]
    pub kind: String,
    /// Field of the request that is wrong.
    pub param: Option<String>,
    /// For programs.
    pub code: Option<String>,
}

impl ApiError {
    /// An error of this status, class and message.
    pub fn new(status: StatusCode, kind: &'static str, message: impl Into<String>) -> ApiError {
        let message = message.into();
        ApiError { status, message, kind, param: None, code: None, retry_after: None }
    }

    /// A request that is wrong (400).
    pub fn invalid(message: impl Into<String>) -> ApiError {
        ApiError::new(StatusCode::BAD_REQUEST, "invalid_request_error", message)
    }

    /// A field whose value is wrong (400).
    pub fn field(param: impl Into<String>, message: impl std::fmt::Display) -> ApiError {
        let param = param.into();
        let error = ApiError::invalid(format!("{param}: {message}"));
        ApiError { param: Some(param), code: Some("invalid_value"), ..error }
    }

    /// A field that is known, would change the answer, and cannot be honoured (400).
    pub fn unsupported(param: impl Into<String>, message: impl std::fmt::Display) -> ApiError {
        let param = param.into();
        let error = ApiError::invalid(format!("not supported: {param}: {message}"));
        ApiError { param: Some(param), code: Some("unsupported_parameter"), ..error }
    }

    /// A thing that does not exist (404).
    pub fn not_found(code: &'static str, message: impl Into<String>) -> ApiError {
        let error = ApiError::new(StatusCode::NOT_FOUND, "invalid_request_error", message);
        ApiError { code: Some(code), ..error }
    }

    /// A fault of ours (500).
    pub fn internal(message: impl Into<String>) -> ApiError {
        ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, "server_error", message)
    }

    /// Too much at once (429).
    pub fn too_many(message: impl Into<String>, retry_after: u64) -> ApiError {
        let error = ApiError::new(StatusCode::TOO_MANY_REQUESTS, "rate_limit_error", message);
        let retry_after = Some(retry_after.max(1));
        ApiError { code: Some("rate_limit_exceeded"), retry_after, ..error }
    }

    /// The program is going to end (503).
    pub fn shutting_down() -> ApiError {
        let message = "the server is shutting down";
        let error = ApiError::new(StatusCode::SERVICE_UNAVAILABLE, "server_error", message);
        ApiError { code: Some("shutting_down"), retry_after: Some(5), ..error }
    }

    /// A request that took longer than it may (504).
    pub fn time_limit(seconds: u64) -> ApiError {
        let message = format!("the request took longer than {seconds} seconds");
        let error = ApiError::new(StatusCode::GATEWAY_TIMEOUT, "server_error", message);
        ApiError { code: Some("request_timeout"), ..error }
    }

    /// A prompt that leaves no room for an answer (400), in words that agents look for.
    pub fn context_length(tokens: usize, context_length: usize, param: &str) -> ApiError {
        let message = format!(
            "This model's maximum context length is {context_length} tokens. However, the request \
             has {tokens} tokens, which leaves no room for an answer. Please shorten it."
        );
        let error = ApiError::invalid(message);
        ApiError { param: Some(param.to_owned()), code: Some("context_length_exceeded"), ..error }
    }

    /// An error of the engine about what a client asked for.
    pub fn of_engine(error: &EngineError) -> ApiError {
        match error {
            EngineError::ContextFull { tokens, context_length } => {
                ApiError::context_length(*tokens, *context_length, "messages")
            }
            EngineError::Sampling(error) => {
                let message = format!("expected {}, found {}", error.expected, error.found);
                ApiError::field(error.name, message)
            }
            EngineError::TokenId { .. }
            | EngineError::Harmony(_)
            | EngineError::Template(_)
            | EngineError::NoChatFormat { .. } => ApiError::invalid(error.to_string()),
            EngineError::ToolsWithoutHarmony => {
                let param = Some("tools".to_owned());
                let code = Some("unsupported_parameter");
                ApiError { param, code, ..ApiError::invalid(error.to_string()) }
            }
            _ => ApiError::internal(error.to_string()),
        }
    }

    /// The error as JSON.
    pub fn body(&self) -> ErrorBody {
        ErrorBody {
            error: ErrorObject {
                message: self.message.clone(),
                kind: self.kind.to_owned(),
                param: self.param.clone(),
                code: self.code.map(str::to_owned),
            },
        }
    }
}

impl From<Refused> for ApiError {
    fn from(refused: Refused) -> ApiError {
        match &refused {
            Refused::QueueFull { retry_after, .. } => {
                ApiError::too_many(refused.to_string(), *retry_after)
            }
            Refused::Invalid(error) => ApiError::of_engine(error),
            Refused::ShuttingDown => ApiError::shutting_down(),
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let mut response = (self.status, Json(self.body())).into_response();
        if let Some(seconds) = self.retry_after {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if self.status == StatusCode::UNAUTHORIZED {
            let bearer = HeaderValue::from_static("Bearer");
            response.headers_mut().insert(header::WWW_AUTHENTICATE, bearer);
        }
        response
    }
}
