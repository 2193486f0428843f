//! `POST /v1/chat/completions`.
//!
//! In reading order: `request`, `plan` (a request to what is generated), `delta` (pieces to what
//! the interface says), `response` (the whole) and `chunk` (the stream), which are both made from
//! the deltas, so that they cannot differ.

mod chunk;
mod delta;
mod plan;
mod request;
mod response;

use std::sync::Arc;

use axum::Extension;
use axum::extract::State;
use axum::response::{IntoResponse, Response};

pub use chunk::{ChatChunk, ChunkChoice, ChunkDelta, ChunkFunction, ChunkToolCall};
pub use request::{
    ChatRequest, JsonSchemaFormat, NamedFunction, ReasoningParam, ResponseFormatParam,
    StreamOptions, ToolChoiceParam, ToolParam,
};
pub use response::{ChatChoice, ChatCompletion, ChatLogprobs, ChatMessage, FunctionCall, ToolCall};

use crate::auth::Client;
use crate::body::{Json, blocking};
use crate::error::ApiError;
use crate::generation::choices::Choices;
use crate::ids;
use crate::server::{Server, now};

/// What all chunks and the whole answer say alike.
#[derive(Clone, Debug)]
pub(crate) struct Heading {
    pub(crate) id: String,
    pub(crate) created: u64,
    pub(crate) model: String,
}

/// `POST /v1/chat/completions`.
pub(crate) async fn create(
    State(server): State<Arc<Server>>,
    Extension(client): Extension<Client>,
    Json(request): Json<ChatRequest>,
) -> Result<Response, ApiError> {
    let model = server.model_for(request.model.as_deref())?;
    let heading = Heading { id: ids::fresh("chatcmpl-"), created: now(), model };
    let shared = server.clone();
    let plan = blocking(move || plan::plan(&shared, request)).await?;
    let choices = Choices::start(&server, &client.name, &plan.answer, plan.n)?;
    if plan.stream {
        return Ok(chunk::stream(heading, plan, choices));
    }
    let completion = response::whole(heading, &plan, choices).await?;
    Ok(axum::Json(completion).into_response())
}
