//! `/tokenize`, `/detokenize`, `/tokenizer_info`: the model's tokenizer for clients without one.

use std::sync::Arc;

use axum::Json as JsonAnswer;
use axum::extract::State;
use gptoss_harmony::{TemplateEncoding, TokenId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::body::{Fields, Json, blocking};
use crate::completions::text_tokens;
use crate::error::ApiError;
use crate::fields::Neutral::{Empty, Null};
use crate::fields::Rule;
use crate::server::Server;

/// Body of `POST /tokenize`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
pub struct TokenizeRequest {
    /// Name of the model; the only one if it is missing.
    #[serde(default)]
    pub model: Option<String>,
    /// The text; special tokens in it are recognised by name.
    pub prompt: String,
    /// Whether the token that begins texts, if the model's tokenizer has one, is put before it; it
    /// is, if this is missing.
    #[serde(default)]
    pub add_special_tokens: Option<bool>,
    /// Whether the texts of the tokens are given too.
    #[serde(default)]
    pub return_token_strs: Option<bool>,
}

impl Fields for TokenizeRequest {
    const TABLE: &'static [(&'static str, Rule)] = &[
        ("model", Rule::Honoured),
        ("prompt", Rule::Honoured),
        ("return_token_strs", Rule::Honoured),
        ("add_special_tokens", Rule::Honoured),
        ("messages", Rule::Refused(Null, "the usage of a chat says how many tokens it has")),
        ("tools", Rule::Refused(Empty, "the usage of a chat says how many tokens it has")),
    ];
}

/// The answer of `POST /tokenize`.
#[derive(Debug, Serialize, JsonSchema)]
pub struct TokenizeResponse {
    /// Number of tokens.
    pub count: usize,
    /// Tokens that a prompt and its answer may have together.
    pub max_model_len: usize,
    /// Their ids.
    pub tokens: Vec<TokenId>,
    /// Their texts, if they were asked for.
    pub token_strs: Option<Vec<String>>,
}

/// Body of `POST /detokenize`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
pub struct DetokenizeRequest {
    /// Name of the model; the only one if it is missing.
    #[serde(default)]
    pub model: Option<String>,
    /// Token ids.
    pub tokens: Vec<TokenId>,
}

impl Fields for DetokenizeRequest {
    const TABLE: &'static [(&'static str, Rule)] =
        &[("model", Rule::Honoured), ("tokens", Rule::Honoured)];
}

/// The answer of `POST /detokenize`.
#[derive(Debug, Serialize, JsonSchema)]
pub struct DetokenizeResponse {
    /// The text; U+FFFD where the bytes are none.
    pub prompt: String,
}

/// The answer of `GET /tokenizer_info`.
#[derive(Debug, Serialize, JsonSchema)]
pub struct TokenizerInfo {
    /// What the tokenizer is called.
    pub name: String,
    /// The largest id plus one.
    pub vocab_size: usize,
    /// Token that ends a text.
    pub eos_token: Option<String>,
    /// Token before a text; null if there is none.
    pub bos_token: Option<String>,
    /// Token that fills up a batch; the one that ends a text.
    pub pad_token: Option<String>,
    /// The chat template; null if the model speaks harmony, which is no template, or cannot chat.
    pub chat_template: Option<String>,
    /// Names and ids of the special tokens.
    pub special_tokens: std::collections::BTreeMap<String, TokenId>,
}

/// `POST /tokenize`.
pub(crate) async fn tokenize(
    State(server): State<Arc<Server>>,
    Json(request): Json<TokenizeRequest>,
) -> Result<JsonAnswer<TokenizeResponse>, ApiError> {
    server.model_for(request.model.as_deref())?;
    blocking(move || {
        let tokenizer = server.tokenizer()?;
        let begins = request.add_special_tokens.unwrap_or(true);
        let tokens = text_tokens(&server, &request.prompt, begins)?.ids;
        let text = |id: &TokenId| {
            String::from_utf8_lossy(tokenizer.token_bytes(*id).unwrap_or_default()).into_owned()
        };
        let wants_texts = request.return_token_strs.unwrap_or(false);
        let token_strs = wants_texts.then(|| tokens.iter().map(text).collect());
        let (count, max_model_len) = (tokens.len(), server.batcher.context_length());
        Ok(JsonAnswer(TokenizeResponse { count, max_model_len, tokens, token_strs }))
    })
    .await
}

/// `POST /detokenize`.
pub(crate) async fn detokenize(
    State(server): State<Arc<Server>>,
    Json(request): Json<DetokenizeRequest>,
) -> Result<JsonAnswer<DetokenizeResponse>, ApiError> {
    server.model_for(request.model.as_deref())?;
    blocking(move || {
        let text = server.tokenizer()?.decode(&request.tokens);
        let prompt = text.map_err(|error| ApiError::field("tokens", error))?;
        Ok(JsonAnswer(DetokenizeResponse { prompt }))
    })
    .await
}

/// `GET /tokenizer_info`.
pub(crate) async fn tokenizer_info(
    State(server): State<Arc<Server>>,
) -> Result<JsonAnswer<TokenizerInfo>, ApiError> {
    let tokenizer = server.tokenizer()?;
    let chat = &server.engine.model().chat;
    let template = server.engine.chat_template().map(TemplateEncoding::template);
    let name = |id: u32| {
        let bytes = tokenizer.token_bytes(id)?;
        Some(String::from_utf8_lossy(bytes).into_owned())
    };
    let eos_token = template.and_then(|template| template.eos_token.clone());
    let eos_token = eos_token.or_else(|| chat.eos_token_ids.first().copied().and_then(name));
    let bos_token = template.and_then(|template| template.bos_token.clone());
    let specials = tokenizer.special_tokens();
    Ok(JsonAnswer(TokenizerInfo {
        name: tokenizer.name().to_owned(),
        vocab_size: tokenizer.vocab_size(),
        pad_token: eos_token.clone(),
        eos_token,
        bos_token: bos_token.or_else(|| chat.bos_token_id.and_then(name)),
        chat_template: template.map(|template| template.source.clone()),
        special_tokens: specials.map(|(name, id)| (name.to_owned(), id)).collect(),
    }))
}
