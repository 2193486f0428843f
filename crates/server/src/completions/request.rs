//! The request.

use std::collections::BTreeMap;

use gptoss_harmony::TokenId;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::body::Fields;
use crate::chat_completions::StreamOptions;
use crate::fields::{COMPLETIONS, Rule};
use crate::objects;
use crate::sampling::OneOrMany;

/// Body of `POST /v1/completions`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
pub struct CompletionRequest {
    /// Name of the model; the only one if it is missing.
    #[serde(default)]
    pub model: Option<String>,
    /// What is continued.
    pub prompt: Prompts,
    /// Whether the text comes as events.
    #[serde(default)]
    pub stream: Option<bool>,
    /// How it does.
    #[serde(default, deserialize_with = "objects::optional")]
    pub stream_options: Option<StreamOptions>,
    /// Tokens to generate at most; 16 if it is missing, 0 for the prompt alone.
    #[serde(default)]
    pub max_tokens: Option<i64>,
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
    /// 0 to 20 most likely tokens with each token.
    #[serde(default)]
    pub logprobs: Option<i64>,
    /// Number of texts for each prompt.
    #[serde(default)]
    pub n: Option<i64>,
    /// The same seed gives the same text.
    #[serde(default)]
    pub seed: Option<i64>,
    /// The text ends before the first of these.
    #[serde(default)]
    pub stop: Option<OneOrMany>,
    /// Whether the prompt stands before the text, with its log-probabilities if asked for.
    #[serde(default)]
    pub echo: Option<bool>,
    /// Whether the token that begins texts, if the model's tokenizer has one, is put before prompts
    /// that are strings; it is, if this is missing.
    #[serde(default)]
    pub add_special_tokens: Option<bool>,
}

impl Fields for CompletionRequest {
    const TABLE: &'static [(&'static str, Rule)] = COMPLETIONS;
}

/// One prompt or several, as text or token ids.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(
    untagged,
    expecting = "expected a string, a list of strings, a list of token ids, or a list of such lists"
)]
pub enum Prompts {
    /// A text.
    Text(String),
    /// Texts.
    Texts(Vec<String>),
    /// Token ids.
    Ids(Vec<TokenId>),
    /// Lists of token ids.
    ManyIds(Vec<Vec<TokenId>>),
}
