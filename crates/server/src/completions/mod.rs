//! `POST /v1/completions`: texts that are continued as they are, without the chat format.
//!
//! Special tokens in a prompt are recognised by name, as `gptoss generate --raw` does, and those
//! that are generated are shown by name: this interface is for programs that write prompts
//! themselves. What a user typed does not belong in it unless the program has made it harmless.
//!
//! In reading order: `request`, `logprobs`, `reader` (events of one sequence to text), `plan`,
//! `response` (the whole and the stream).

mod logprobs;
mod plan;
mod reader;
mod request;
mod response;

use std::sync::Arc;

use axum::Extension;
use axum::extract::State;
use axum::response::{IntoResponse, Response};

pub use logprobs::CompletionLogprobs;
pub(crate) use plan::{PromptTokens, text_tokens, token_ids};
pub use request::{CompletionRequest, Prompts};
pub use response::{Completion, CompletionChoice};

use crate::auth::Client;
use crate::body::{Json, blocking};
use crate::error::ApiError;
use crate::ids;
use crate::server::{Server, now};
use response::{Heading, Texts};

/// `POST /v1/completions`.
pub(crate) async fn create(
    State(server): State<Arc<Server>>,
    Extension(client): Extension<Client>,
    Json(request): Json<CompletionRequest>,
) -> Result<Response, ApiError> {
    let model = server.model_for(request.model.as_deref())?;
    let heading = Heading { id: ids::fresh("cmpl-"), created: now(), model };
    let shared = server.clone();
    let plan = blocking(move || plan::plan(&shared, request)).await?;
    let (stream, include_usage) = (plan.stream, plan.include_usage);
    let texts = Texts::start(&server, &client.name, plan)?;
    if stream {
        return Ok(response::stream(heading, texts, include_usage));
    }
    let completion = response::whole(heading, texts).await?;
    Ok(axum::Json(completion).into_response())
}
