//! The forward pass as plain f32 loops over whole sequences: no cache, no batching, no fixed
//! order of sums, nothing shared with `forward` but the reading of weights. It is slow, and
//! never made faster: other code is tested against it.
//!
//! Source: openai/gpt-oss, `gpt_oss/torch/model.py`, whose order of operations it follows; for
//! dense models modeling_llama.py and modeling_rope_utils.py of transformers.

use gptoss_checkpoint::{
    Experts, LayerType, LayerWeights, Matrix, ModelConfig, RopeScaling, RotaryPairs, Weights,
    YarnScaling,
};
use gptoss_harmony::TokenId;
use gptoss_kernels::Isa;

use crate::linear::{expert_rows, matrix_row};
use crate::observer::Observer;

/// Activations of all tokens, one vector each.
type Rows = Vec<Vec<f32>>;

/// The logits of every token of a sequence: `[T, V]`.
///
/// # Panics
/// If an id is not in the vocabulary.
pub fn reference_forward(
    config: &ModelConfig,
    weights: &Weights,
    tokens: &[TokenId],
    observer: &mut dyn Observer,
) -> Rows {
    let mut x: Rows = tokens
        .iter()
        .map(|token| {
            let mut row = vec![0.0; config.hidden_size];
            matrix_row(Isa::PORTABLE, &weights.embedding, *token as usize, &mut row);
            row
        })
        .collect();
    observer.hidden(0, &x.concat());
    for (l, layer) in weights.layers.iter().enumerate() {
        let t: Rows = x.iter().map(|x| rms_norm(x, &layer.attn_norm, config)).collect();
        let window = match config.layer_types[l] {
            LayerType::SlidingAttention => config.sliding_window,
            LayerType::FullAttention => usize::MAX,
        };
        add(&mut x, &attention(config, (layer, weights.rotary_pairs), window, &t));

        let t: Rows = x.iter().map(|x| rms_norm(x, &layer.mlp_norm, config)).collect();
        let mut gained = Rows::new();
        let (mut ids, mut shares) = (Vec::new(), Vec::new());
        for t in &t {
            let routing = route(config, layer, t);
            gained.push(mixture(config, layer, &routing, t));
            ids.extend(routing.iter().map(|(expert, _)| *expert));
            shares.extend(routing.iter().map(|(_, share)| *share));
        }
        observer.router(l, &ids, &shares);
        add(&mut x, &gained);
        observer.hidden(l + 1, &x.concat());
    }
    let x: Rows = x.iter().map(|x| rms_norm(x, &weights.norm, config)).collect();
    observer.hidden(config.num_hidden_layers + 1, &x.concat());
    linear(&weights.unembedding, &[], &x)
}

fn rms_norm(x: &[f32], scale: &[f32], config: &ModelConfig) -> Vec<f32> {
    let mean = x.iter().map(|x| x * x).sum::<f32>() / x.len() as f32;
    let root = (mean + config.rms_norm_eps as f32).sqrt();
    x.iter().zip(scale).map(|(x, s)| x / root * s).collect()
}

fn add(x: &mut Rows, y: &Rows) {
    for (x, y) in x.iter_mut().zip(y) {
        for (x, y) in x.iter_mut().zip(y) {
            *x += y;
        }
    }
}

fn dot(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// `matrix·x + bias` for every token.
fn linear(matrix: &Matrix, bias: &[f32], x: &Rows) -> Rows {
    let mut out = vec![vec![0.0; matrix.rows]; x.len()];
    let mut row = vec![0.0; matrix.cols];
    for r in 0..matrix.rows {
        matrix_row(Isa::PORTABLE, matrix, r, &mut row);
        for (x, out) in x.iter().zip(&mut out) {
            out[r] = dot(&row, x) + bias.get(r).unwrap_or(&0.0);
        }
    }
    out
}

/// `matrix·x + bias` of one expert for one token; `bias` is that of all experts, or empty.
fn expert_linear(experts: &Experts, expert: usize, bias: &[f32], x: &[f32]) -> Vec<f32> {
    let mut rows = vec![0.0; experts.rows * experts.cols];
    expert_rows(Isa::PORTABLE, experts, expert, 0, &mut rows);
    let bias = |r: usize| bias.get(expert * experts.rows + r).unwrap_or(&0.0);
    rows.chunks(experts.cols).enumerate().map(|(r, row)| dot(row, x) + bias(r)).collect()
}

/// Attention of every token over the tokens before it; `window` keys at most, its own included.
fn attention(
    config: &ModelConfig,
    (layer, pairs): (&LayerWeights, RotaryPairs),
    window: usize,
    t: &Rows,
) -> Rows {
    let k = config.head_dim;
    let group = config.num_attention_heads / config.num_key_value_heads;
    let mut queries = linear(&layer.q, &layer.q_bias, t);
    let mut keys = linear(&layer.k, &layer.k_bias, t);
    let values = linear(&layer.v, &layer.v_bias, t);
    for (position, (q, key)) in queries.iter_mut().zip(&mut keys).enumerate() {
        q.chunks_mut(k).for_each(|head| rotate(config, (position, pairs), head));
        key.chunks_mut(k).for_each(|head| rotate(config, (position, pairs), head));
    }
    let mut mixed = vec![vec![0.0; config.num_attention_heads * k]; t.len()];
    for (i, query) in queries.iter().enumerate() {
        let visible = (i + 1).saturating_sub(window)..i + 1;
        for h in 0..config.num_attention_heads {
            let kv = h / group * k..(h / group + 1) * k;
            let query = &query[h * k..(h + 1) * k];
            let mut scores: Vec<f32> = visible
                .clone()
                .map(|j| dot(query, &keys[j][kv.clone()]) / (k as f32).sqrt())
                .collect();
            scores.push(layer.sinks[h]);
            let shares = softmax(&scores);
            // The last share belongs to the sink and is dropped.
            for (j, share) in visible.clone().zip(&shares) {
                for (d, value) in values[j][kv.clone()].iter().enumerate() {
                    mixed[i][h * k + d] += share * value;
                }
            }
        }
    }
    linear(&layer.out, &layer.out_bias, &mixed)
}

fn softmax(x: &[f32]) -> Vec<f32> {
    let max = x.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let e: Vec<f32> = x.iter().map(|x| libm::expf(x - max)).collect();
    let sum: f32 = e.iter().sum();
    e.iter().map(|e| e / sum).collect()
}

/// Rotates one head to its position; as in `RotaryEmbedding` of the source.
fn rotate(config: &ModelConfig, (position, pairs): (usize, RotaryPairs), head: &mut [f32]) {
    let half = head.len() / 2;
    for i in 0..half {
        let (frequency, concentration) = frequency(config, i);
        let angle = position as f64 * frequency;
        let (cos, sin) = (libm::cos(angle) * concentration, libm::sin(angle) * concentration);
        let (cos, sin) = (cos as f32, sin as f32);
        let (first, second) = match pairs {
            RotaryPairs::Halves => (i, i + half),
            RotaryPairs::Neighbours => (2 * i, 2 * i + 1),
        };
        let (x1, x2) = (head[first], head[second]);
        head[first] = x1 * cos - x2 * sin;
        head[second] = x2 * cos + x1 * sin;
    }
}

/// Frequency `i` in radians per position, and the factor of cosine and sine.
fn frequency(config: &ModelConfig, i: usize) -> (f64, f64) {
    let plain = 1.0 / libm::pow(config.rope_theta, 2.0 * i as f64 / config.head_dim as f64);
    match &config.rope_scaling {
        None => (plain, 1.0),
        Some(RopeScaling::Yarn(scaling)) => yarn(config, scaling, i),
        Some(RopeScaling::Linear { factor }) => (plain / factor, 1.0),
        Some(RopeScaling::Divisors(divisors)) => (plain / f64::from(divisors[i]), 1.0),
        Some(RopeScaling::Llama3(scaling)) => {
            let context = scaling.original_max_position_embeddings as f64;
            let length = 2.0 * std::f64::consts::PI / plain;
            let (low, high) = (scaling.low_freq_factor, scaling.high_freq_factor);
            if length < context / high {
                return (plain, 1.0);
            }
            if length > context / low {
                return (plain / scaling.factor, 1.0);
            }
            let smooth = (context / length - low) / (high - low);
            ((1.0 - smooth) * plain / scaling.factor + smooth * plain, 1.0)
        }
    }
}

fn yarn(config: &ModelConfig, yarn: &YarnScaling, i: usize) -> (f64, f64) {
    let d = config.head_dim as f64;
    let base = config.rope_theta;
    let frequency = libm::pow(base, 2.0 * i as f64 / d);
    let context = yarn.original_max_position_embeddings as f64;
    let turns =
        |n: f64| d / 2.0 * libm::log(context / (n * 2.0 * std::f64::consts::PI)) / libm::log(base);
    let (mut low, mut high) = (turns(yarn.beta_fast), turns(yarn.beta_slow));
    if yarn.truncate {
        (low, high) = (low.floor().max(0.0), high.ceil().min(d - 1.0));
    }
    let ramp = ((i as f64 - low) / (high - low)).clamp(0.0, 1.0);
    let interpolation = 1.0 / (yarn.factor * frequency);
    let extrapolation = 1.0 / frequency;
    let concentration = if yarn.factor > 1.0 { 0.1 * libm::log(yarn.factor) + 1.0 } else { 1.0 };
    (interpolation * ramp + extrapolation * (1.0 - ramp), concentration)
}

/// The chosen experts, best first, with their shares; the perceptron of a dense model as a whole.
fn route(config: &ModelConfig, layer: &LayerWeights, t: &[f32]) -> Vec<(usize, f32)> {
    let Some(router) = &layer.router else { return vec![(0, 1.0)] };
    let logits = linear(router, &layer.router_bias, &vec![t.to_vec()]).remove(0);
    let mut order: Vec<usize> = (0..logits.len()).collect();
    // The sort is stable: among equal logits the lower index stays first.
    order.sort_by(|a, b| logits[*b].total_cmp(&logits[*a]));
    order.truncate(config.num_experts_per_tok);
    let shares = softmax(&order.iter().map(|e| logits[*e]).collect::<Vec<_>>());
    order.into_iter().zip(shares).collect()
}

/// The weighted sum of the experts' outputs for one token.
fn mixture(
    config: &ModelConfig,
    layer: &LayerWeights,
    routing: &[(usize, f32)],
    t: &[f32],
) -> Vec<f32> {
    let mut out = vec![0.0; config.hidden_size];
    for (expert, share) in routing {
        let h = expert_linear(&layer.gate_up, *expert, &layer.gate_up_bias, t);
        let a: Vec<f32> = h.chunks(2).map(|pair| activation(config, pair[0], pair[1])).collect();
        let y = expert_linear(&layer.down, *expert, &layer.down_bias, &a);
        out.iter_mut().zip(y).for_each(|(out, y)| *out += share * y);
    }
    out
}

/// Of one hidden unit.
fn activation(config: &ModelConfig, gate: f32, linear: f32) -> f32 {
    let Some(limit) = config.swiglu_limit else {
        return gate / (1.0 + libm::expf(-gate)) * linear;
    };
    let limit = limit as f32;
    let (gate, linear) = (gate.min(limit), linear.clamp(-limit, limit));
    gate * (1.0 / (1.0 + libm::expf(-1.702 * gate))) * (linear + 1.0)
}
