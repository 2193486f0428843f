//! What the stream of a response says.

use schemars::JsonSchema;
use serde::Serialize;

use crate::output::logprobs::TokenLogprob;
use crate::responses::object::{OutputItem, OutputText, ReasoningText, ResponseObject};

/// An event with its place in the stream.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct SequencedEvent {
    /// The event.
    #[serde(flatten)]
    pub event: ResponseEvent,
    /// Counted from 0 without gaps.
    pub sequence_number: u64,
}

/// A part of an item.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(untagged)]
pub enum ContentPart {
    /// Of a message.
    Output(OutputText),
    /// Of reasoning.
    Reasoning(ReasoningText),
}

/// What happens in a response.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(tag = "type")]
#[allow(missing_docs, reason = "the fields are the same in all events and named as in the items")]
pub enum ResponseEvent {
    /// It was taken.
    #[serde(rename = "response.created")]
    Created { response: Box<ResponseObject> },
    /// It is being generated.
    #[serde(rename = "response.in_progress")]
    InProgress { response: Box<ResponseObject> },
    /// An item begins.
    #[serde(rename = "response.output_item.added")]
    ItemAdded { output_index: usize, item: OutputItem },
    /// A part of an item begins.
    #[serde(rename = "response.content_part.added")]
    PartAdded { item_id: String, output_index: usize, content_index: usize, part: ContentPart },
    /// More of the reasoning.
    #[serde(rename = "response.reasoning_text.delta")]
    ReasoningDelta { item_id: String, output_index: usize, content_index: usize, delta: String },
    /// The whole reasoning.
    #[serde(rename = "response.reasoning_text.done")]
    ReasoningDone { item_id: String, output_index: usize, content_index: usize, text: String },
    /// More of a message.
    #[serde(rename = "response.output_text.delta")]
    TextDelta {
        item_id: String,
        output_index: usize,
        content_index: usize,
        delta: String,
        logprobs: Vec<TokenLogprob>,
    },
    /// The whole message.
    #[serde(rename = "response.output_text.done")]
    TextDone {
        item_id: String,
        output_index: usize,
        content_index: usize,
        text: String,
        logprobs: Vec<TokenLogprob>,
    },
    /// A part of an item has ended.
    #[serde(rename = "response.content_part.done")]
    PartDone { item_id: String, output_index: usize, content_index: usize, part: ContentPart },
    /// More of a call's arguments.
    #[serde(rename = "response.function_call_arguments.delta")]
    ArgumentsDelta { item_id: String, output_index: usize, delta: String },
    /// All arguments of a call.
    #[serde(rename = "response.function_call_arguments.done")]
    ArgumentsDone { item_id: String, output_index: usize, name: String, arguments: String },
    /// An item has ended.
    #[serde(rename = "response.output_item.done")]
    ItemDone { output_index: usize, item: OutputItem },
    /// The response is complete.
    #[serde(rename = "response.completed")]
    Completed { response: Box<ResponseObject> },
    /// It was cut off by a limit.
    #[serde(rename = "response.incomplete")]
    Incomplete { response: Box<ResponseObject> },
    /// It failed.
    #[serde(rename = "response.failed")]
    Failed { response: Box<ResponseObject> },
    /// What went wrong.
    #[serde(rename = "error")]
    Error { code: Option<String>, message: String, param: Option<String> },
}

impl ResponseEvent {
    /// The name of the event in the stream, which its data repeats as `type`.
    pub(crate) const fn name(&self) -> &'static str {
        match self {
            ResponseEvent::Created { .. } => "response.created",
            ResponseEvent::InProgress { .. } => "response.in_progress",
            ResponseEvent::ItemAdded { .. } => "response.output_item.added",
            ResponseEvent::PartAdded { .. } => "response.content_part.added",
            ResponseEvent::ReasoningDelta { .. } => "response.reasoning_text.delta",
            ResponseEvent::ReasoningDone { .. } => "response.reasoning_text.done",
            ResponseEvent::TextDelta { .. } => "response.output_text.delta",
            ResponseEvent::TextDone { .. } => "response.output_text.done",
            ResponseEvent::PartDone { .. } => "response.content_part.done",
            ResponseEvent::ArgumentsDelta { .. } => "response.function_call_arguments.delta",
            ResponseEvent::ArgumentsDone { .. } => "response.function_call_arguments.done",
            ResponseEvent::ItemDone { .. } => "response.output_item.done",
            ResponseEvent::Completed { .. } => "response.completed",
            ResponseEvent::Incomplete { .. } => "response.incomplete",
            ResponseEvent::Failed { .. } => "response.failed",
            ResponseEvent::Error { .. } => "error",
        }
    }
}
