//! The forward pass: token ids to logits.
//!
//! Source: `Transformer` of openai/gpt-oss, `gpt_oss/torch/model.py`.

use gptoss_checkpoint::{ModelConfig, Weights};
use gptoss_harmony::TokenId;
use gptoss_kernels::rms_norm;

use crate::attention::{Angles, attention};
use crate::kv_cache::KvCache;
use crate::linear::{linear, matrix_row};
use crate::moe::{mixture, route};
use crate::observer::Observer;
use crate::rope::RotaryEmbedding;

/// Which positions' logits are wanted; the unembedding is a sixth of the work of a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogitRows {
    /// Of the last token only.
    Last,
    /// Of every token.
    All,
}

/// What a forward pass reads and never changes.
#[derive(Clone, Copy)]
pub struct ForwardModel<'a> {
    /// Shape of the model.
    pub config: &'a ModelConfig,
    /// Its weights.
    pub weights: &'a Weights,
    /// Its rotary frequencies.
    pub rope: &'a RotaryEmbedding,
}

/// Computes the logits of `tokens`, which follow what `cache` holds, and caches them.
///
/// Gives `[rows, V]` f32, one row for each wanted position. The bits do not depend on how a
/// sequence is cut into calls.
///
/// # Panics
/// If `tokens` is empty, an id is not in the vocabulary, or the cache has no room;
/// [`Session`](crate::Session) checks all three.
pub fn forward(
    model: ForwardModel<'_>,
    cache: &mut KvCache,
    tokens: &[TokenId],
    rows: LogitRows,
    observer: &mut dyn Observer,
) -> Vec<f32> {
    let ForwardModel { config, weights, rope } = model;
    let hidden = config.hidden_size;
    let start = cache.positions();
    assert!(!tokens.is_empty(), "forward: no tokens");
    assert!(start + tokens.len() <= cache.context_length(), "forward: the cache is full");

    let mut x = embed(weights, hidden, tokens);
    observer.hidden(0, &x);
    let angles = Angles::new(rope, config.head_dim / 2, start, tokens.len());
    for (layer, layer_weights) in weights.layers.iter().enumerate() {
        let normed = normalise(config, &layer_weights.attn_norm, &x);
        add(&mut x, &attention(config, (layer, layer_weights), cache, &angles, &normed));

        let normed = normalise(config, &layer_weights.mlp_norm, &x);
        let routing = route(config, layer_weights, &normed);
        observer.router(layer, &routing.experts, &routing.weights);
        add(&mut x, &mixture(config, layer_weights, &routing, &normed));
        observer.hidden(layer + 1, &x);
    }
    cache.advance(tokens.len());

    let normed = normalise(config, &weights.norm, &x);
    observer.hidden(config.num_hidden_layers + 1, &normed);
    let wanted = match rows {
        LogitRows::Last => &normed[normed.len() - hidden..],
        LogitRows::All => &normed[..],
    };
    let mut logits = vec![0.0; wanted.len() / hidden * config.vocab_size];
    linear(&weights.unembedding, &[], wanted, &mut logits);
    logits
}

/// The embeddings of tokens, `[T, D]`.
fn embed(weights: &Weights, hidden: usize, tokens: &[TokenId]) -> Vec<f32> {
    let mut x = vec![0.0; tokens.len() * hidden];
    for (token, row) in tokens.iter().zip(x.chunks_exact_mut(hidden)) {
        matrix_row(&weights.embedding, *token as usize, row);
    }
    x
}

/// RMSNorm of every token.
fn normalise(config: &ModelConfig, scale: &[f32], x: &[f32]) -> Vec<f32> {
    let mut out = vec![0.0; x.len()];
    for (x, out) in x.chunks_exact(scale.len()).zip(out.chunks_exact_mut(scale.len())) {
        rms_norm(x, scale, config.rms_norm_eps as f32, out);
    }
    out
}

fn add(x: &mut [f32], y: &[f32]) {
    for (x, y) in x.iter_mut().zip(y) {
        *x += y;
    }
}
