//! The request.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::body::Fields;
use crate::conversation::items::ResponsesInput;
use crate::fields::{RESPONSES, Rule};
use crate::sampling::OneOrMany;

/// Body of `POST /v1/responses`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
pub struct ResponsesRequest {
    /// Name of the model; the only one if it is missing.
    #[serde(default)]
    pub model: Option<String>,
    /// What is to be answered.
    pub input: ResponsesInput,
    /// Instructions for this response alone.
    #[serde(default)]
    pub instructions: Option<String>,
    /// Whether the answer comes as events.
    #[serde(default)]
    pub stream: Option<bool>,
    /// Whether it is generated while the client goes away.
    #[serde(default)]
    pub background: Option<bool>,
    /// Whether it can be asked for again; true if it is missing.
    #[serde(default)]
    pub store: Option<bool>,
    /// The response before this one in the conversation.
    #[serde(default)]
    pub previous_response_id: Option<String>,
    /// Tokens to generate at most, reasoning included.
    #[serde(default)]
    pub max_output_tokens: Option<i64>,
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
    /// 0 to 20 most likely tokens with each token of the answer.
    #[serde(default)]
    pub top_logprobs: Option<i64>,
    /// The same seed gives the same answer.
    #[serde(default)]
    pub seed: Option<i64>,
    /// The answer ends before the first of these; reasoning and calls may contain them.
    #[serde(default)]
    pub stop: Option<OneOrMany>,
    /// What the answer must be.
    #[serde(default)]
    pub text: Option<TextParam>,
    /// A grammar in Lark's notation that the answer must follow.
    #[serde(default)]
    pub grammar: Option<String>,
    /// A regular expression that the answer must match.
    #[serde(default)]
    pub regex: Option<String>,
    /// Functions that may be called.
    #[serde(default)]
    pub tools: Option<Vec<ResponsesTool>>,
    /// Whether they may or must be called.
    #[serde(default)]
    pub tool_choice: Option<ResponsesToolChoice>,
    /// Whether several calls may come in one answer.
    #[serde(default)]
    pub parallel_tool_calls: Option<bool>,
    /// How the model thinks.
    #[serde(default)]
    pub reasoning: Option<ReasoningRequest>,
    /// `reasoning.encrypted_content` and `message.output_text.logprobs`; others ask for outputs of
    /// tools that are not here.
    #[serde(default)]
    pub include: Option<Vec<String>>,
    /// `disabled` refuses what is too long, `auto` drops the oldest turns.
    #[serde(default)]
    pub truncation: Option<String>,
    /// Given back as it is.
    #[serde(default)]
    pub metadata: Option<Map<String, Value>>,
    /// Given back as it is.
    #[serde(default)]
    pub user: Option<String>,
    /// Given back as it is: there are no tools that the server calls.
    #[serde(default)]
    pub max_tool_calls: Option<i64>,
}

impl Fields for ResponsesRequest {
    const TABLE: &'static [(&'static str, Rule)] = RESPONSES;
}

/// What the answer must be.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct TextParam {
    /// The format.
    #[serde(default)]
    pub format: Option<TextFormat>,
    /// `medium`: the models know no other.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verbosity: Option<String>,
}

/// A format.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct TextFormat {
    /// `text`, `json_object` or `json_schema`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Of a schema: its name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Of a schema: what it is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// The schema.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schema: Option<Value>,
    /// It is enforced either way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub strict: Option<bool>,
}

/// A tool that may be called.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct ResponsesTool {
    /// `function`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Its name.
    #[serde(default)]
    pub name: Option<String>,
    /// What it does.
    #[serde(default)]
    pub description: Option<String>,
    /// JSON schema of its arguments.
    #[serde(default)]
    pub parameters: Option<Value>,
    /// Whether the arguments are made to follow the schema; not if it is missing.
    #[serde(default)]
    pub strict: Option<bool>,
}

/// A word, or the tool that must be called.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(untagged, expecting = "expected none, auto, required or a named function")]
pub enum ResponsesToolChoice {
    /// `none`, `auto` or `required`.
    Word(String),
    /// This one.
    Named {
        /// `function`.
        #[serde(rename = "type")]
        kind: String,
        /// Its name.
        #[serde(default)]
        name: Option<String>,
    },
}

/// How the model thinks.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
pub struct ReasoningRequest {
    /// `low`, `medium` or `high`; none and minimal mean low, xhigh and max mean high.
    #[serde(default)]
    pub effort: Option<String>,
    /// Given back as it is: reasoning is shown as it is, without a summary.
    #[serde(default)]
    pub summary: Option<String>,
}
