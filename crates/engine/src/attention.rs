//! Grouped-query attention over the cache, with sinks where the architecture has them.
//!
//! Source: `AttentionBlock` of openai/gpt-oss, `gpt_oss/torch/model.py`; `LlamaAttention` of
//! transformers, modeling_llama.py, is the same with sinks of −∞. Query head `h` reads kv
//! head `h / (H / G)`. In a sliding layer, a query at position `p` sees the keys from
//! `p − window + 1` to `p`: exactly `window` of them, its own included.

use std::ops::Range;

use gptoss_checkpoint::{LayerWeights, ModelConfig, RotaryPairs};
use gptoss_kernels::cached_attention::{HeadCache, HeadPages, Queries, attend_cached};
use gptoss_kernels::{rotate, rotate_neighbours};

use crate::compute::Compute;
use crate::forward::Segment;
use crate::kv_cache::Written;
use crate::linear::{Epilogue, Input, Job, Weight, run, work};
use crate::profile::{Part, Work};
use crate::rope::RotaryEmbedding;

/// Elements below which one thread is as quick as all.
const FEW_ELEMENTS: usize = 4096;

/// Positions of the tokens of a forward pass, and their angles, the same in every layer.
pub(crate) struct Positions {
    /// Position of each token.
    positions: Vec<usize>,
    /// Segment of each token.
    segments: Vec<usize>,
    /// Of each segment, its first token.
    starts: Vec<usize>,
    /// `[T, K / 2]` each.
    cos: Vec<f32>,
    sin: Vec<f32>,
    half: usize,
}

impl Positions {
    /// Those of the tokens of all segments, one after the other.
    pub(crate) fn new(rope: &RotaryEmbedding, half: usize, segments: &[Segment<'_>]) -> Positions {
        let mut all = Positions {
            positions: Vec::new(),
            segments: Vec::new(),
            starts: Vec::new(),
            cos: Vec::new(),
            sin: Vec::new(),
            half,
        };
        for (s, segment) in segments.iter().enumerate() {
            let start = segment.cache.positions();
            all.starts.push(all.positions.len());
            all.positions.extend(start..start + segment.tokens.len());
            all.segments.extend(std::iter::repeat_n(s, segment.tokens.len()));
        }
        all.cos.resize(all.positions.len() * half, 0.0);
        all.sin.resize(all.positions.len() * half, 0.0);
        let angles = all.cos.chunks_mut(half).zip(all.sin.chunks_mut(half));
        for (position, (cos, sin)) in all.positions.iter().zip(angles) {
            rope.at(*position, cos, sin);
        }
        all
    }

    /// Number of tokens.
    pub(crate) fn len(&self) -> usize {
        self.positions.len()
    }
}

/// What attention reads in one layer.
pub(crate) struct Attention<'a> {
    pub(crate) compute: &'a Compute,
    pub(crate) config: &'a ModelConfig,
    pub(crate) weights: &'a LayerWeights,
    pub(crate) rotary_pairs: RotaryPairs,
    pub(crate) layer: usize,
    pub(crate) positions: &'a Positions,
}

impl Attention<'_> {
    /// Attention of the new tokens; their keys and values are stored in the caches.
    ///
    /// | argument | shape              |                                                  |
    /// |----------|--------------------|--------------------------------------------------|
    /// | `input`  | `[T, D]`           | normalised                                       |
    /// | `heads`  | `[H + 2G, T, K]`   | room for queries, keys, values, head by head     |
    /// | `mixed`  | `[T, H·K]`         | gets the heads' results                          |
    pub(crate) fn run(
        &self,
        segments: &mut [Segment<'_>],
        input: &Input,
        tokens: &[u32],
        heads: &mut Vec<f32>,
        mixed: &mut [f32],
    ) {
        let (compute, weights) = (self.compute, self.weights);
        let job = |matrix, bias| Job {
            weight: Weight::Dense(matrix),
            bias,
            rows: 0..matrix.rows,
            input,
            tokens,
            epilogue: Epilogue::Bias,
        };
        // A piece is a head, so that one head's rows lie together.
        let jobs: Vec<Job<'_>> = [
            job(&weights.q, &weights.q_bias[..]),
            job(&weights.k, &weights.k_bias),
            job(&weights.v, &weights.v_bias),
        ]
        .into_iter()
        .flat_map(|job| job.cut(self.config.head_dim))
        .collect();
        compute.profile.time(Part::Qkv, || work(&jobs), || run(compute, &jobs, heads));
        compute.profile.time(Part::Rope, Work::default, || self.rotate(heads));
        // Sequences of different context lengths have rings of different sizes.
        let stored_at_once = |s: &Segment<'_>| s.cache.stored_at_once(self.layer);
        let at_once = segments.iter().map(stored_at_once).min().unwrap_or(usize::MAX);
        if segments.iter().all(|segment| segment.tokens.len() <= at_once) {
            self.store(segments, 0..self.positions.len(), heads);
            self.attend(segments, 0, heads, mixed);
            return;
        }
        // A ring that is stored into must not lose what the first of these tokens sees.
        let width = mixed.len() / self.positions.len();
        let mut first = 0;
        for s in 0..segments.len() {
            let end = first + segments[s].tokens.len();
            for from in (first..end).step_by(at_once) {
                let to = from.saturating_add(at_once).min(end);
                self.store(segments, from..to, heads);
                self.attend(segments, from, heads, &mut mixed[from * width..to * width]);
            }
            first = end;
        }
    }

    /// Rotates queries and keys; they become halves if the file has them as neighbours, so that
    /// they are cached and compared in one order whatever the file.
    fn rotate(&self, heads: &mut [f32]) {
        let Positions { cos, sin, half, .. } = self.positions;
        let (config, tokens) = (self.config, self.positions.len());
        let rotated = config.num_attention_heads + config.num_key_value_heads;
        let heads = &mut heads[..rotated * tokens * config.head_dim];
        let turn = match self.rotary_pairs {
            RotaryPairs::Halves => rotate,
            RotaryPairs::Neighbours => rotate_neighbours,
        };
        self.compute.rows_mut(heads, config.head_dim, &|row, head| {
            let angles = row % tokens * half..(row % tokens + 1) * half;
            turn(self.compute.isa, head, &cos[angles.clone()], &sin[angles]);
        });
    }

    /// Stores keys and values of tokens.
    fn store(&self, segments: &mut [Segment<'_>], tokens: Range<usize>, heads: &[f32]) {
        let (config, all) = (self.config, self.positions.len());
        let (kv_heads, k) = (config.num_key_value_heads, config.head_dim);
        let row = |head: usize, token: usize| &heads[(head * all + token) * k..][..k];
        let mut written: Vec<(usize, Written<'_>)> = Vec::new();
        for (segment, start) in segments.iter_mut().zip(&self.positions.starts) {
            let end = start + segment.tokens.len();
            let own = tokens.start.max(*start)..tokens.end.min(end);
            if !own.is_empty() {
                let first = self.positions.positions[*start];
                let positions = own.start - start + first..own.end - start + first;
                let parts = segment.cache.written(self.layer, positions);
                // A token's index is its position and this, less the segment's first position.
                written.extend(parts.into_iter().map(|part| (start.wrapping_sub(first), part)));
            }
        }
        let store = |(offset, part): &mut (usize, Written<'_>)| {
            for position in part.positions.clone() {
                let token = offset.wrapping_add(position);
                let key = row(config.num_attention_heads + part.head, token);
                let value = row(config.num_attention_heads + kv_heads + part.head, token);
                part.rows.store(position, key, value);
            }
        };
        if tokens.len() * kv_heads * k <= FEW_ELEMENTS {
            written.iter_mut().for_each(store);
        } else {
            self.compute.pool.chunks_mut(&mut written, 1, &|_, part| store(&mut part[0]));
        }
    }

    /// Attention of the tokens from `first` on that `mixed` has rows for.
    fn attend(&self, segments: &[Segment<'_>], first: usize, heads: &[f32], mixed: &mut [f32]) {
        let (config, all) = (self.config, self.positions.len());
        let (kv_heads, k) = (config.num_key_value_heads, config.head_dim);
        let group = config.num_attention_heads / kv_heads;
        let scale = 1.0 / (k as f32).sqrt();
        let tokens = mixed.len() / (kv_heads * group * k);
        let of = |token: usize| self.positions.segments[token];
        let visible = |token: usize| {
            let position = self.positions.positions[token];
            segments[of(token)].cache.first_visible(self.layer, position)..position + 1
        };
        let (from, to) = (of(first), of(first + tokens - 1));
        let caches: Vec<Vec<HeadCache<'_>>> = (from..=to)
            .flat_map(|s| (0..kv_heads).map(move |head| (s, head)))
            .map(|(s, head)| {
                let cache = &segments[s].cache;
                cache.head(self.layer, head, cache.positions() + segments[s].tokens.len())
            })
            .collect();
        let caches: Vec<HeadPages<'_>> = caches.iter().map(|pages| HeadPages::new(pages)).collect();
        let task = |i: usize, out: &mut [f32]| {
            let (token, head) = (first + i / kv_heads, i % kv_heads);
            let mut queries = Vec::with_capacity(group * k);
            for h in head * group..(head + 1) * group {
                queries.extend_from_slice(&heads[(h * all + token) * k..][..k]);
            }
            let sinks = &self.weights.sinks[head * group..(head + 1) * group];
            let Range { start: first, end } = visible(token);
            let queries = Queries { queries: &queries, sinks, scale, first, end };
            let cache = &caches[(of(token) - from) * kv_heads + head];
            attend_cached(self.compute.isa, cache, &queries, out);
        };
        let work = || {
            let seen: usize = (first..first + tokens).map(|token| visible(token).len()).sum();
            Work {
                bytes: (seen * segments[from].cache.position_bytes()) as u64,
                operations: (4 * seen * config.num_attention_heads * k) as u64,
            }
        };
        let run = || self.compute.pool.chunks_mut(mixed, group * k, &task);
        self.compute.profile.time(Part::Attention, work, run);
    }
}
