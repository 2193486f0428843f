//! Grouped-query attention with sinks, over the cache and the new tokens.
//!
//! Source: `AttentionBlock` of openai/gpt-oss, `gpt_oss/torch/model.py`. Query head `h` reads kv
//! head `h / (H / G)`. In a sliding layer, a query at position `p` sees the keys from
//! `p − window + 1` to `p`: exactly `window` of them, its own included.

use gptoss_checkpoint::{LayerType, LayerWeights, ModelConfig};
use gptoss_kernels::{Head, KeysValues, attend, rotate};

use crate::kv_cache::{KvCache, LayerCache};
use crate::linear::linear;
use crate::rope::RotaryEmbedding;

/// Cosines and sines of the tokens of one forward pass, `[T, K / 2]`, the same in every layer.
pub(crate) struct Angles {
    cos: Vec<f32>,
    sin: Vec<f32>,
    half: usize,
}

impl Angles {
    /// The angles of `tokens` positions from `start` on.
    pub(crate) fn new(rope: &RotaryEmbedding, half: usize, start: usize, tokens: usize) -> Angles {
        let (mut cos, mut sin) = (vec![0.0; tokens * half], vec![0.0; tokens * half]);
        for (i, (cos, sin)) in cos.chunks_mut(half).zip(sin.chunks_mut(half)).enumerate() {
            rope.at(start + i, cos, sin);
        }
        Angles { cos, sin, half }
    }

    /// Rotates the heads (`[T, heads, K]`, `width` = heads·K) of every token.
    fn rotate(&self, x: &mut [f32], width: usize) {
        let angles = self.cos.chunks(self.half).zip(self.sin.chunks(self.half));
        for (x, (cos, sin)) in x.chunks_exact_mut(width).zip(angles) {
            rotate(x, cos, sin);
        }
    }
}

/// Attention of `T` new tokens in layer `layer`; appends their keys and values to the cache.
///
/// `x` (`[T, D]`) is normalised; the result (`[T, D]`) is what the residual stream gains.
pub(crate) fn attention(
    config: &ModelConfig,
    (layer, weights): (usize, &LayerWeights),
    cache: &mut KvCache,
    angles: &Angles,
    x: &[f32],
) -> Vec<f32> {
    let tokens = x.len() / config.hidden_size;
    let project = |matrix, bias: &[f32]| {
        let mut out = vec![0.0; tokens * bias.len()];
        linear(matrix, bias, x, &mut out);
        out
    };
    let mut q = project(&weights.q, &weights.q_bias);
    let mut k = project(&weights.k, &weights.k_bias);
    let v = project(&weights.v, &weights.v_bias);
    angles.rotate(&mut q, weights.q_bias.len());
    angles.rotate(&mut k, weights.k_bias.len());

    let heads = Heads {
        config,
        sliding: config.layer_types[layer] == LayerType::SlidingAttention,
        sinks: &weights.sinks,
        cached: cache.layer(layer),
        start: cache.positions(),
    };
    let mut mixed = vec![0.0; q.len()];
    heads.attend(&q, &k, &v, &mut mixed);
    cache.append(layer, &k, &v);

    let mut out = vec![0.0; x.len()];
    linear(&weights.out, &weights.out_bias, &mixed, &mut out);
    out
}

/// What all heads of a layer share.
struct Heads<'a> {
    config: &'a ModelConfig,
    sliding: bool,
    sinks: &'a [f32],
    cached: &'a LayerCache,
    /// Position of the first new token.
    start: usize,
}

impl Heads<'_> {
    /// Every query head of every token: `q` and `out` `[T, H, K]`, `k` and `v` `[T, G, K]`.
    fn attend(&self, q: &[f32], k: &[f32], v: &[f32], out: &mut [f32]) {
        let config = self.config;
        let (head_dim, heads) = (config.head_dim, config.num_attention_heads);
        let width = config.num_key_value_heads * head_dim;
        let group = heads / config.num_key_value_heads;
        let scale = 1.0 / (head_dim as f32).sqrt();
        let mut scores = Vec::new();
        let rows = q.chunks_exact(head_dim).zip(out.chunks_exact_mut(head_dim));
        for (row, (query, out)) in rows.enumerate() {
            let (token, head) = (row / heads, row % heads);
            let position = self.start + token;
            let first = self.first_visible(position);
            let kv_head = head / group;
            let [a, b] = self.cached.runs(kv_head, first.min(self.start), self.start);
            let new = first.max(self.start) - self.start;
            let at = new * width + kv_head * head_dim;
            let len = token + 1 - new;
            let fresh = KeysValues { keys: &k[at..], values: &v[at..], stride: width, len };
            scores.resize(position + 1 - first, 0.0);
            let head = Head { query, sink: self.sinks[head], scale };
            attend(head, &[a, b, fresh], &mut scores, out);
        }
    }

    /// The first key that a query at `position` sees.
    fn first_visible(&self, position: usize) -> usize {
        match self.sliding {
            true => (position + 1).saturating_sub(self.config.sliding_window),
            false => 0,
        }
    }
}
