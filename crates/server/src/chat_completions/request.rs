//! The request.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::body::Fields;
use crate::conversation::chat::ChatMessageParam;
use crate::conversation::tools::FunctionTool;
use crate::fields::{CHAT, Rule};
use crate::sampling::OneOrMany;

/// Body of `POST /v1/chat/completions`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
pub struct ChatRequest {
    /// Name of the model; the only one if it is missing.
    #[serde(default)]
    pub model: Option<String>,
    /// The conversation so far.
    pub messages: Vec<ChatMessageParam>,
    /// Whether the answer comes as events.
    #[serde(default)]
    pub stream: Option<bool>,
    /// How it does.
    #[serde(default)]
    pub stream_options: Option<StreamOptions>,
    /// Tokens to generate at most, reasoning included.
    #[serde(default)]
    pub max_tokens: Option<i64>,
    /// The same; counts more.
    #[serde(default)]
    pub max_completion_tokens: Option<i64>,
    /// 0 to 2; 0 always takes the most likely token.
    #[serde(default)]
    pub temperature: Option<f64>,
    /// Mass of the nucleus.
    #[serde(default)]
    pub top_p: Option<f64>,
    /// Number of candidates; 0 or -1 for all.
    #[serde(default)]
    pub top_k: Option<i64>,
    /// Least probability of a candidate, as a share of the most likely one's.
    #[serde(default)]
    pub min_p: Option<f64>,
    /// Makes tokens that were seen less likely; 1 changes nothing.
    #[serde(default)]
    pub repetition_penalty: Option<f64>,
    /// -2 to 2, for each time that a token was generated.
    #[serde(default)]
    pub frequency_penalty: Option<f64>,
    /// -2 to 2, if a token was generated.
    #[serde(default)]
    pub presence_penalty: Option<f64>,
    /// Added to the logits of tokens, by id.
    #[serde(default)]
    pub logit_bias: Option<BTreeMap<String, f64>>,
    /// Whether the log-probabilities of the answer's tokens are given.
    #[serde(default)]
    pub logprobs: Option<bool>,
    /// 0 to 20 most likely tokens with each of them.
    #[serde(default)]
    pub top_logprobs: Option<i64>,
    /// Number of answers.
    #[serde(default)]
    pub n: Option<i64>,
    /// The same seed gives the same answer.
    #[serde(default)]
    pub seed: Option<i64>,
    /// The answer ends before the first of these; reasoning and calls may contain them.
    #[serde(default)]
    pub stop: Option<OneOrMany>,
    /// What the answer must be.
    #[serde(default)]
    pub response_format: Option<ResponseFormatParam>,
    /// A grammar in Lark's notation that the answer must follow.
    #[serde(default)]
    pub grammar: Option<String>,
    /// A regular expression that the answer must match.
    #[serde(default)]
    pub regex: Option<String>,
    /// Functions that may be called.
    #[serde(default)]
    pub tools: Option<Vec<ToolParam>>,
    /// Whether they may or must be called.
    #[serde(default)]
    pub tool_choice: Option<ToolChoiceParam>,
    /// Whether several calls may come in one answer.
    #[serde(default)]
    pub parallel_tool_calls: Option<bool>,
    /// `low`, `medium` or `high`; none and minimal mean low, xhigh and max mean high.
    #[serde(default)]
    pub reasoning_effort: Option<String>,
    /// The same, and whether reasoning is shown.
    #[serde(default)]
    pub reasoning: Option<ReasoningParam>,
    /// Whether reasoning is shown.
    #[serde(default)]
    pub include_reasoning: Option<bool>,
    /// `reasoning_effort`, as clients of vLLM send it.
    #[serde(default)]
    pub chat_template_kwargs: Option<Map<String, Value>>,
}

impl Fields for ChatRequest {
    const TABLE: &'static [(&'static str, Rule)] = CHAT;
}

/// How a stream is sent.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
pub struct StreamOptions {
    /// Whether a last chunk says how many tokens it took.
    #[serde(default)]
    pub include_usage: Option<bool>,
}

/// What the answer must be.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
pub struct ResponseFormatParam {
    /// `text`, `json_object` or `json_schema`.
    #[serde(rename = "type")]
    pub kind: String,
    /// For `json_schema`.
    #[serde(default)]
    pub json_schema: Option<JsonSchemaFormat>,
}

/// A schema with its name.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
pub struct JsonSchemaFormat {
    /// Its name.
    pub name: String,
    /// What it is for.
    #[serde(default)]
    pub description: Option<String>,
    /// The schema.
    #[serde(default)]
    pub schema: Option<Value>,
    /// It is enforced either way.
    #[serde(default)]
    pub strict: Option<bool>,
}

/// A tool that may be called.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
pub struct ToolParam {
    /// `function`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The function.
    #[serde(default)]
    pub function: Option<FunctionTool>,
}

/// A word, or the tool that must be called.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(untagged, expecting = "expected none, auto, required or a named function")]
pub enum ToolChoiceParam {
    /// `none`, `auto` or `required`.
    Word(String),
    /// This one.
    Named {
        /// `function`.
        #[serde(rename = "type")]
        kind: String,
        /// The function.
        function: NamedFunction,
    },
}

/// A function by its name.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
pub struct NamedFunction {
    /// Its name.
    pub name: String,
}

/// How the model thinks, and whether that is shown.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
pub struct ReasoningParam {
    /// As `reasoning_effort`.
    #[serde(default)]
    pub effort: Option<String>,
    /// Leaves the reasoning out of the answer.
    #[serde(default)]
    pub exclude: Option<bool>,
}
