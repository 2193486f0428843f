//! A response, as it is sent and stored.

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value};

use crate::output::logprobs::TokenLogprob;
use crate::output::usage::ResponsesUsage;
use crate::responses::request::{ResponsesTool, ResponsesToolChoice, TextParam};

/// A response.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct ResponseObject {
    /// Its id.
    pub id: String,
    /// `response`.
    pub object: &'static str,
    /// Seconds since 1970.
    pub created_at: u64,
    /// `queued`, `in_progress`, `completed`, `incomplete`, `failed` or `cancelled`.
    pub status: &'static str,
    /// Whether it is generated while the client goes away.
    pub background: bool,
    /// Why it failed.
    pub error: Option<ResponseError>,
    /// Why it is incomplete.
    pub incomplete_details: Option<IncompleteDetails>,
    /// As in the request.
    pub instructions: Option<String>,
    /// As in the request.
    pub max_output_tokens: Option<i64>,
    /// As in the request.
    pub max_tool_calls: Option<i64>,
    /// The model that answers.
    pub model: String,
    /// What was generated.
    pub output: Vec<OutputItem>,
    /// As in the request.
    pub parallel_tool_calls: bool,
    /// As in the request.
    pub previous_response_id: Option<String>,
    /// As in the request.
    pub reasoning: ReasoningEcho,
    /// `default`.
    pub service_tier: &'static str,
    /// Whether it can be asked for again.
    pub store: bool,
    /// What was sampled with.
    pub temperature: f64,
    /// As in the request.
    pub text: TextParam,
    /// As in the request.
    pub tool_choice: ResponsesToolChoice,
    /// As in the request.
    pub tools: Vec<ResponsesTool>,
    /// As in the request.
    pub top_logprobs: i64,
    /// What was sampled with.
    pub top_p: f64,
    /// As in the request.
    pub truncation: String,
    /// Tokens that it took, when it has ended.
    pub usage: Option<ResponsesUsage>,
    /// As in the request.
    pub user: Option<String>,
    /// As in the request.
    pub metadata: Map<String, Value>,
}

/// How the model was asked to think.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct ReasoningEcho {
    /// As in the request.
    pub effort: Option<String>,
    /// As in the request.
    pub summary: Option<String>,
}

/// Why a response failed.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct ResponseError {
    /// For programs.
    pub code: String,
    /// For people.
    pub message: String,
}

/// Why a response is incomplete.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct IncompleteDetails {
    /// `max_output_tokens`.
    pub reason: &'static str,
}

/// Something that was generated.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum OutputItem {
    /// What the model thought.
    Reasoning {
        /// Its id.
        id: String,
        /// Empty: reasoning is shown as it is.
        summary: Vec<SummaryText>,
        /// The thoughts.
        content: Vec<ReasoningText>,
        /// The same in a form that clients carry to the next request.
        #[serde(skip_serializing_if = "Option::is_none")]
        encrypted_content: Option<String>,
        /// `in_progress`, `completed` or `incomplete`.
        status: &'static str,
    },
    /// What it said.
    Message {
        /// Its id.
        id: String,
        /// `in_progress`, `completed` or `incomplete`.
        status: &'static str,
        /// `assistant`.
        role: &'static str,
        /// The text.
        content: Vec<OutputText>,
        /// `commentary` before a call, else `final_answer`.
        phase: &'static str,
    },
    /// What it called.
    FunctionCall {
        /// Id of the item.
        id: String,
        /// Id of the call, to which its output refers.
        call_id: String,
        /// Name of the function.
        name: String,
        /// Arguments as the model wrote them, usually JSON.
        arguments: String,
        /// `in_progress`, `completed` or `incomplete`.
        status: &'static str,
    },
}

/// Text for the user.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct OutputText {
    /// `output_text`.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// The text.
    pub text: String,
    /// Empty: nothing is cited.
    pub annotations: Vec<Value>,
    /// Of its tokens, if they were asked for.
    pub logprobs: Vec<TokenLogprob>,
}

/// Thoughts.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct ReasoningText {
    /// `reasoning_text`.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// The text.
    pub text: String,
}

/// A summary of thoughts; there is none.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct SummaryText {
    /// `summary_text`.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// The text.
    pub text: String,
}

impl OutputText {
    pub(crate) fn new(text: String, logprobs: Vec<TokenLogprob>) -> OutputText {
        OutputText { kind: "output_text", text, annotations: Vec::new(), logprobs }
    }
}

impl ReasoningText {
    pub(crate) fn new(text: String) -> ReasoningText {
        ReasoningText { kind: "reasoning_text", text }
    }
}

impl OutputItem {
    /// Its id.
    pub(crate) fn id(&self) -> &str {
        match self {
            OutputItem::Reasoning { id, .. }
            | OutputItem::Message { id, .. }
            | OutputItem::FunctionCall { id, .. } => id,
        }
    }

    /// Where its status stands.
    pub(crate) fn status_mut(&mut self) -> &mut &'static str {
        match self {
            OutputItem::Reasoning { status, .. }
            | OutputItem::Message { status, .. }
            | OutputItem::FunctionCall { status, .. } => status,
        }
    }
}
