//! The forward pass: token ids to logits.
//!
//! Source: `Transformer` of openai/gpt-oss, `gpt_oss/torch/model.py`, and `LlamaModel` of
//! transformers, modeling_llama.py, which differ in what layers leave out.

use gptoss_checkpoint::{ModelConfig, Weights};
use gptoss_harmony::TokenId;
use gptoss_kernels::{add, rms_norm};

use crate::attention::{Attention, Positions};
use crate::compute::Compute;
use crate::kv_cache::KvCache;
use crate::linear::{Epilogue, Input, JOB_ROWS, Job, Product, Weight, matrix_row, run, work};
use crate::moe::{Mixture, MixtureRoom};
use crate::observer::Observer;
use crate::profile::{Part, Work};
use crate::rope::RotaryEmbedding;

/// Which positions' logits are wanted; the unembedding is a sixth of the work of a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogitRows {
    /// Of none: more tokens follow.
    None,
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
    /// What it is computed with.
    pub compute: &'a Compute,
}

/// New tokens of one sequence.
pub struct Segment<'a> {
    /// What comes before them; their keys and values are added.
    pub cache: &'a mut KvCache,
    /// At least one.
    pub tokens: &'a [TokenId],
    /// Whose logits are wanted.
    pub rows: LogitRows,
}

/// Computes the logits of `tokens`, which follow what `cache` holds, and caches them.
///
/// Gives `[rows, V]` f32, one row for each wanted position. The bits do not depend on how a
/// sequence is cut into calls.
///
/// # Panics
/// As [`forward_batch`].
pub fn forward(
    model: ForwardModel<'_>,
    cache: &mut KvCache,
    tokens: &[TokenId],
    rows: LogitRows,
    observer: &mut dyn Observer,
) -> Vec<f32> {
    forward_batch(model, &mut [Segment { cache, tokens, rows }], observer)
}

/// Computes new tokens of several sequences together; each gets the bits that it gets alone.
///
/// Gives `[rows, V]` f32, the wanted positions of one segment after the other. The observer sees
/// the tokens of all segments in this order.
///
/// # Panics
/// If there is no segment, one has no tokens, an id is not in the vocabulary, or a cache has no
/// room; [`Session`](crate::Session) checks all that.
pub fn forward_batch(
    model: ForwardModel<'_>,
    segments: &mut [Segment<'_>],
    observer: &mut dyn Observer,
) -> Vec<f32> {
    let ForwardModel { config, weights, rope, compute } = model;
    for Segment { cache, tokens, .. } in &mut *segments {
        assert!(!tokens.is_empty(), "forward: no tokens");
        assert!(cache.reserve(tokens.len()), "forward: no pages for {} tokens", tokens.len());
    }
    let _awake = compute.awake();
    let positions = Positions::new(rope, config.head_dim / 2, segments);
    let tokens: Vec<u32> = (0..positions.len() as u32).collect();
    let mut pass = Pass::new(model, segments);
    observer.hidden(0, &pass.x);
    for (layer, layer_weights) in weights.layers.iter().enumerate() {
        let attention = Attention {
            compute,
            config,
            weights: layer_weights,
            rotary_pairs: weights.rotary_pairs,
            layer,
            positions: &positions,
        };
        pass.attention(&attention, segments, &tokens);
        let mixture = Mixture { compute, config, weights: layer_weights };
        let mut readers = vec![Weight::Expert(&layer_weights.gate_up, 0)];
        readers.extend(layer_weights.router.as_ref().map(Weight::Precise));
        pass.normalise(&layer_weights.mlp_norm, &readers);
        let routing = mixture.route(&pass.normed, &tokens, &mut pass.mixture);
        observer.router(layer, &routing.experts, &routing.weights);
        mixture.add(&routing, &pass.normed, &mut pass.mixture, &mut pass.x);
        observer.hidden(layer + 1, &pass.x);
    }
    for segment in &mut *segments {
        segment.cache.advance(segment.tokens.len());
    }
    pass.normalise(&weights.norm, &[Weight::Dense(&weights.unembedding)]);
    observer.hidden(config.num_hidden_layers + 1, &pass.normed.floats);
    pass.logits(&wanted(segments))
}

/// Indices, among the tokens of all segments, of those whose logits are wanted.
fn wanted(segments: &[Segment<'_>]) -> Vec<u32> {
    let mut first = 0;
    let mut all = Vec::new();
    for segment in segments {
        let end = first + segment.tokens.len() as u32;
        match segment.rows {
            LogitRows::None => {}
            LogitRows::Last => all.push(end - 1),
            LogitRows::All => all.extend(first..end),
        }
        first = end;
    }
    all
}

/// One forward pass: the residual stream, and room that is kept between layers.
struct Pass<'a> {
    model: ForwardModel<'a>,
    /// `[T, D]`
    x: Vec<f32>,
    /// The residual stream, normalised for what comes next.
    normed: Input,
    /// Queries, keys and values, head by head.
    heads: Vec<f32>,
    /// What attention gives to its output matrix, `[T, H·K]`.
    mixed: Input,
    /// A matrix's products.
    product: Vec<f32>,
    mixture: MixtureRoom,
}

impl<'a> Pass<'a> {
    /// Begins with the embeddings of all tokens.
    fn new(model: ForwardModel<'a>, segments: &[Segment<'_>]) -> Pass<'a> {
        let ForwardModel { config, weights, compute, .. } = model;
        let hidden = config.hidden_size;
        let ids: Vec<TokenId> = segments.iter().flat_map(|s| s.tokens).copied().collect();
        let mut x = vec![0.0; ids.len() * hidden];
        let embed = || {
            compute.rows_mut(&mut x, hidden, &|token, row| {
                matrix_row(compute.isa, &weights.embedding, ids[token] as usize, row);
            });
        };
        compute.profile.time(Part::Embedding, Work::default, embed);
        Pass {
            model,
            x,
            normed: Input::default(),
            heads: Vec::new(),
            mixed: Input::default(),
            product: Vec::new(),
            mixture: MixtureRoom::default(),
        }
    }

    /// RMSNorm of the residual stream, in the forms that `readers` want.
    fn normalise(&mut self, scale: &[f32], readers: &[Weight<'_>]) {
        let ForwardModel { config, compute, .. } = self.model;
        let hidden = config.hidden_size;
        let (x, normed) = (&self.x, &mut self.normed);
        let layouts: Vec<_> =
            readers.iter().map(|reader| compute.int8(reader.int8_layout())).collect();
        let norm = || {
            normed.resize(x.len() / hidden, hidden);
            compute.rows_mut(&mut normed.floats, hidden, &|token, out| {
                let x = &x[token * hidden..(token + 1) * hidden];
                rms_norm(compute.isa, x, scale, config.rms_norm_eps as f32, out);
            });
            normed.quantize(compute, &layouts);
        };
        compute.profile.time(Part::Norm, Work::default, norm);
    }

    /// Adds what attention gives to the residual stream.
    fn attention(
        &mut self,
        attention: &Attention<'_>,
        segments: &mut [Segment<'_>],
        tokens: &[u32],
    ) {
        let ForwardModel { config, compute, .. } = self.model;
        let weights = attention.weights;
        let readers = [&weights.q, &weights.k, &weights.v].map(Weight::Dense);
        self.normalise(&weights.attn_norm, &readers);
        self.mixed.resize(tokens.len(), config.num_attention_heads * config.head_dim);
        let mixed = &mut self.mixed.floats;
        attention.run(segments, &self.normed, tokens, &mut self.heads, mixed);

        let weight = Weight::Dense(&weights.out);
        self.mixed.quantize(compute, &[compute.int8(weight.int8_layout())]);
        let job = Job {
            weight,
            bias: &weights.out_bias,
            rows: 0..config.hidden_size,
            input: &self.mixed,
            tokens,
            epilogue: Epilogue::Bias,
        };
        let jobs: Vec<Job<'_>> = job.cut(JOB_ROWS).collect();
        let multiply = || run(compute, &jobs, &mut self.product);
        compute.profile.time(Part::AttentionOut, || work(&jobs), multiply);
        let product = Product { data: &self.product, tokens: tokens.len(), rows: JOB_ROWS };
        compute.rows_mut(&mut self.x, config.hidden_size, &|token, x| {
            for (x, y) in x.chunks_mut(JOB_ROWS).zip(product.token(token)) {
                add(compute.isa, x, y);
            }
        });
    }

    /// The logits of some tokens, `[tokens, V]`.
    fn logits(mut self, tokens: &[u32]) -> Vec<f32> {
        let ForwardModel { config, weights, compute, .. } = self.model;
        if tokens.is_empty() {
            return Vec::new();
        }
        let job = Job {
            weight: Weight::Dense(&weights.unembedding),
            bias: &[],
            rows: 0..config.vocab_size,
            input: &self.normed,
            tokens,
            epilogue: Epilogue::Bias,
        };
        let jobs: Vec<Job<'_>> = job.cut(JOB_ROWS).collect();
        let multiply = || run(compute, &jobs, &mut self.product);
        compute.profile.time(Part::Unembedding, || work(&jobs), multiply);
        if tokens.len() == 1 {
            return self.product;
        }
        let product = Product { data: &self.product, tokens: tokens.len(), rows: JOB_ROWS };
        let mut logits = vec![0.0; tokens.len() * config.vocab_size];
        compute.rows_mut(&mut logits, config.vocab_size, &|token, row| {
            for (out, piece) in row.chunks_mut(JOB_ROWS).zip(product.token(token)) {
                out.copy_from_slice(piece);
            }
        });
        logits
    }
}
