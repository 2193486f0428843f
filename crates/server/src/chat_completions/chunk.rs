//! The answer as events.

use axum::response::Response;
use schemars::JsonSchema;
use serde::Serialize;

use crate::chat_completions::Heading;
use crate::chat_completions::delta::{Delta, Deltas};
use crate::chat_completions::plan::ChatPlan;
use crate::chat_completions::response::ChatLogprobs;
use crate::error::ApiError;
use crate::generation::choices::{Choices, Happening};
use crate::output::logprobs::TokenLogprob;
use crate::output::usage::Usage;
use crate::sse::{self, StreamError, Writer};

/// What ends the stream.
pub(crate) const DONE: &str = "data: [DONE]\n\n";

/// One event of a stream.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ChatChunk {
    /// The same in all chunks.
    pub id: String,
    /// `chat.completion.chunk`.
    pub object: &'static str,
    /// Seconds since 1970.
    pub created: u64,
    /// The model that answers.
    pub model: String,
    /// One choice; none in the chunk with the usage.
    pub choices: Vec<ChunkChoice>,
    /// If it was asked for: null in all chunks but the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub usage: Option<Option<Usage>>,
    /// Not told.
    pub system_fingerprint: Option<String>,
}

/// What is added to a choice.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ChunkChoice {
    /// Its place among the answers.
    pub index: usize,
    /// What is added.
    pub delta: ChunkDelta,
    /// Of the content's tokens, if they were asked for.
    pub logprobs: Option<ChatLogprobs>,
    /// Null until the last chunk of the choice.
    pub finish_reason: Option<&'static str>,
}

/// What is added to a message.
#[derive(Debug, Default, Serialize, JsonSchema)]
pub struct ChunkDelta {
    /// `assistant`, in the first chunk.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub role: Option<&'static str>,
    /// More of the answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content: Option<String>,
    /// More of what the model thinks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reasoning: Option<String>,
    /// The same, for clients that look for it here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reasoning_content: Option<String>,
    /// More of a call.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tool_calls: Vec<ChunkToolCall>,
}

/// More of a call.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ChunkToolCall {
    /// Its place among the calls.
    pub index: usize,
    /// Its id, in its first chunk.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// `function`, in its first chunk.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub kind: Option<&'static str>,
    /// What is called.
    pub function: ChunkFunction,
}

/// More of what is called.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ChunkFunction {
    /// Name of the function, in the call's first chunk.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// More of the arguments.
    pub arguments: String,
}

/// The answer as events.
pub(crate) fn stream(heading: Heading, plan: ChatPlan, choices: Choices) -> Response {
    sse::respond(move |writer| write(heading, plan, choices, writer), error_lines)
}

/// An error in the middle of a stream.
pub(crate) fn error_lines(error: &ApiError) -> String {
    sse::data_lines(&error.body()) + DONE
}

async fn write(
    heading: Heading,
    plan: ChatPlan,
    mut choices: Choices,
    writer: Writer,
) -> Result<(), StreamError> {
    let chunks = Chunks { heading, include_usage: plan.include_usage, logprobs: plan.logprobs };
    for index in 0..plan.n {
        let (role, content) = (Some("assistant"), Some(String::new()));
        let delta = ChunkDelta { role, content, ..ChunkDelta::default() };
        writer.data(&chunks.chunk(index, delta, Vec::new(), None)).await?;
    }
    let mut deltas: Vec<Deltas> = (0..plan.n).map(|_| Deltas::new(plan.show_reasoning)).collect();
    while let Some((index, happening)) = writer.while_reading(choices.next()).await?? {
        let chunk = match happening {
            Happening::Piece(piece) => {
                let Some(delta) = deltas[index].push(piece) else { continue };
                let (delta, tokens) = spoken(delta);
                chunks.chunk(index, delta, tokens, None)
            }
            Happening::Ended(outcome) => {
                let reason = Some(outcome.reason.as_str());
                chunks.chunk(index, ChunkDelta::default(), Vec::new(), reason)
            }
        };
        writer.data(&chunk).await?;
    }
    if plan.include_usage {
        writer.data(&chunks.usage(choices.counts().into())).await?;
    }
    writer.text(DONE.to_owned()).await?;
    Ok(())
}

/// What all chunks of a stream have in common.
struct Chunks {
    heading: Heading,
    include_usage: bool,
    logprobs: bool,
}

impl Chunks {
    fn chunk(
        &self,
        index: usize,
        delta: ChunkDelta,
        tokens: Vec<TokenLogprob>,
        finish_reason: Option<&'static str>,
    ) -> ChatChunk {
        let has_tokens = self.logprobs && !tokens.is_empty();
        let logprobs = has_tokens.then_some(ChatLogprobs { content: tokens, refusal: None });
        let choice = ChunkChoice { index, delta, logprobs, finish_reason };
        self.whole(vec![choice], self.include_usage.then_some(None))
    }

    fn usage(&self, usage: Usage) -> ChatChunk {
        self.whole(Vec::new(), Some(Some(usage)))
    }

    fn whole(&self, choices: Vec<ChunkChoice>, usage: Option<Option<Usage>>) -> ChatChunk {
        ChatChunk {
            id: self.heading.id.clone(),
            object: "chat.completion.chunk",
            created: self.heading.created,
            model: self.heading.model.clone(),
            choices,
            usage,
            system_fingerprint: None,
        }
    }
}

/// A delta as the chunk says it.
fn spoken(delta: Delta) -> (ChunkDelta, Vec<TokenLogprob>) {
    let empty = ChunkDelta::default();
    match delta {
        Delta::Reasoning(text) => {
            let reasoning_content = Some(text.clone());
            (ChunkDelta { reasoning: Some(text), reasoning_content, ..empty }, Vec::new())
        }
        Delta::Content { text, tokens } => (ChunkDelta { content: Some(text), ..empty }, tokens),
        Delta::Call { index, id, name } => {
            let function = ChunkFunction { name: Some(name), arguments: String::new() };
            let call = ChunkToolCall { index, id: Some(id), kind: Some("function"), function };
            (ChunkDelta { tool_calls: vec![call], ..empty }, Vec::new())
        }
        Delta::Arguments { index, text } => {
            let function = ChunkFunction { name: None, arguments: text };
            let call = ChunkToolCall { index, id: None, kind: None, function };
            (ChunkDelta { tool_calls: vec![call], ..empty }, Vec::new())
        }
    }
}
