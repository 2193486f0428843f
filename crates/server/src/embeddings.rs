//! `POST /v1/embeddings`: the mean of the last hidden states, after the final norm.
//!
//! The models were not trained to embed texts: the mean is what there is, and is given as it is,
//! neither scaled nor cut.

use std::sync::Arc;

use axum::Extension;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use gptoss_engine::{BatchEvent, SamplingParams};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::auth::Client;
use crate::base64;
use crate::body::{Fields, Json, blocking};
use crate::completions::{PromptTokens, Prompts, token_ids};
use crate::constrain::ConstraintSpec;
use crate::error::ApiError;
use crate::fields::{EMBEDDINGS, Rule};
use crate::generation::run::{Order, Run};
use crate::output::piece::Finish;
use crate::server::Server;

/// Body of `POST /v1/embeddings`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
pub struct EmbeddingRequest {
    /// Name of the model; the only one if it is missing.
    #[serde(default)]
    pub model: Option<String>,
    /// What is embedded.
    pub input: Prompts,
    /// `float` or `base64`: little-endian f32.
    #[serde(default)]
    pub encoding_format: Option<String>,
    /// The model's own number.
    #[serde(default)]
    pub dimensions: Option<i64>,
}

impl Fields for EmbeddingRequest {
    const TABLE: &'static [(&'static str, Rule)] = EMBEDDINGS;
}

/// The answer of `POST /v1/embeddings`.
#[derive(Debug, Serialize, JsonSchema)]
pub struct EmbeddingList {
    /// `list`.
    pub object: &'static str,
    /// One for each input, in their order.
    pub data: Vec<EmbeddingObject>,
    /// The model that computed them.
    pub model: String,
    /// Tokens that they took.
    pub usage: EmbeddingUsage,
}

/// The embedding of one input.
#[derive(Debug, Serialize, JsonSchema)]
pub struct EmbeddingObject {
    /// `embedding`.
    pub object: &'static str,
    /// Place of the input.
    pub index: usize,
    /// Mean of the last hidden states.
    pub embedding: EmbeddingVector,
}

/// Numbers, or their bytes as base64.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(untagged)]
pub enum EmbeddingVector {
    /// Numbers.
    Float(Vec<f32>),
    /// Little-endian f32 as base64.
    Base64(String),
}

/// Tokens of a request.
#[derive(Debug, Serialize, JsonSchema)]
pub struct EmbeddingUsage {
    /// Of all inputs.
    pub prompt_tokens: usize,
    /// The same.
    pub total_tokens: usize,
}

/// `POST /v1/embeddings`.
pub(crate) async fn create(
    State(server): State<Arc<Server>>,
    Extension(client): Extension<Client>,
    Json(request): Json<EmbeddingRequest>,
) -> Result<Response, ApiError> {
    let model = server.model_for(request.model.as_deref())?;
    let as_base64 = match request.encoding_format.as_deref() {
        None | Some("float") => false,
        Some("base64") => true,
        Some(other) => {
            let message = format!("expected float or base64, found `{other}`");
            return Err(ApiError::field("encoding_format", message));
        }
    };
    let width = server.engine.config().hidden_size;
    if request.dimensions.is_some_and(|n| usize::try_from(n) != Ok(width)) {
        let message = format!("the model's embeddings have {width} numbers");
        return Err(ApiError::unsupported("dimensions", message));
    }
    let shared = server.clone();
    let orders = blocking(move || orders(&shared, request.input)).await?;
    let tokens = orders.iter().map(|order| order.prompt.len()).sum();
    let n = orders.len();
    let vectors = vectors(Run::start(&server, &client.name, orders)?, n).await?;
    let vector = |numbers: Vec<f32>| match as_base64 {
        false => EmbeddingVector::Float(numbers),
        true => {
            let bytes: Vec<u8> = numbers.iter().flat_map(|number| number.to_le_bytes()).collect();
            EmbeddingVector::Base64(base64::encode(&bytes))
        }
    };
    let object = |(index, numbers)| EmbeddingObject {
        object: "embedding",
        index,
        embedding: vector(numbers),
    };
    let data = vectors.into_iter().enumerate().map(object).collect();
    let usage = EmbeddingUsage { prompt_tokens: tokens, total_tokens: tokens };
    Ok(axum::Json(EmbeddingList { object: "list", data, model, usage }).into_response())
}

fn orders(server: &Server, input: Prompts) -> Result<Vec<Order>, ApiError> {
    let context_length = server.batcher.context_length();
    let order = |PromptTokens { ids: prompt, .. }| match prompt.len() > context_length {
        true => Err(ApiError::context_length(prompt.len(), context_length, "input")),
        false => Ok(Order {
            prompt,
            sampling: SamplingParams::default(),
            stop_tokens: Vec::new(),
            max_tokens: 0,
            top_logprobs: None,
            prompt_logprobs: None,
            embed: true,
            spec: ConstraintSpec::default(),
        }),
    };
    token_ids(server, "input", input, true)?.into_iter().map(order).collect()
}

/// The embeddings of all sequences.
async fn vectors(mut run: Run, n: usize) -> Result<Vec<Vec<f32>>, ApiError> {
    let mut vectors = vec![Vec::new(); n];
    while let Some((index, event)) = run.next().await? {
        match event {
            BatchEvent::Embedding(numbers) => vectors[index] = numbers,
            BatchEvent::Done(done) => {
                Finish::of(done.stop)?;
            }
            _ => {}
        }
    }
    match vectors.iter().any(Vec::is_empty) {
        true => Err(ApiError::internal("the engine gave no embedding")),
        false => Ok(vectors),
    }
}
