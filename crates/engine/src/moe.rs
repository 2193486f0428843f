//! The mixture of experts.
//!
//! Source: `MLPBlock` of openai/gpt-oss, `gpt_oss/torch/model.py`: the router's logits are cut to
//! the top k **before** the softmax, and each expert's output bias is inside the weighting.

use gptoss_checkpoint::{LayerWeights, ModelConfig};
use gptoss_kernels::{softmax, swiglu, top_k};

use crate::linear::{expert_linear, linear};

/// The experts of every token, best first.
pub(crate) struct Routing {
    /// `[T, num_experts_per_tok]`
    pub(crate) experts: Vec<usize>,
    /// `[T, num_experts_per_tok]`, each row sums to 1.
    pub(crate) weights: Vec<f32>,
}

/// Cuts router logits to the best experts (`[k]`), **then** takes the softmax over those.
fn choose(logits: &[f32], experts: &mut [usize], weights: &mut [f32]) {
    top_k(logits, experts);
    for (weight, expert) in weights.iter_mut().zip(experts) {
        *weight = logits[*expert];
    }
    softmax(weights);
}

/// Chooses the experts of the tokens `x` (`[T, D]`, normalised).
///
/// Equal logits are decided for the expert with the lower index.
pub(crate) fn route(config: &ModelConfig, weights: &LayerWeights, x: &[f32]) -> Routing {
    let (experts, chosen) = (config.num_local_experts, config.num_experts_per_tok);
    let tokens = x.len() / config.hidden_size;
    let mut logits = vec![0.0; tokens * experts];
    linear(&weights.router, &weights.router_bias, x, &mut logits);
    let mut routing =
        Routing { experts: vec![0; tokens * chosen], weights: vec![0.0; tokens * chosen] };
    let rows = routing.experts.chunks_mut(chosen).zip(routing.weights.chunks_mut(chosen));
    for (logits, (experts, weights)) in logits.chunks(experts).zip(rows) {
        choose(logits, experts, weights);
    }
    routing
}

/// The weighted outputs (`[T, D]`) of the experts that `routing` names, for tokens `x`
/// (`[T, D]`, normalised).
///
/// Experts are visited once each with all their tokens; a token's outputs are added in the order
/// of its routing, so its bits do not depend on the other tokens.
pub(crate) fn mixture(
    config: &ModelConfig,
    weights: &LayerWeights,
    routing: &Routing,
    x: &[f32],
) -> Vec<f32> {
    let (hidden, chosen) = (config.hidden_size, config.num_experts_per_tok);
    // One output a choice: [T, num_experts_per_tok, D].
    let mut outputs = vec![0.0; routing.experts.len() * hidden];
    for expert in 0..config.num_local_experts {
        let choices: Vec<usize> =
            (0..routing.experts.len()).filter(|c| routing.experts[*c] == expert).collect();
        if choices.is_empty() {
            continue;
        }
        let token = |choice: usize| &x[choice / chosen * hidden..][..hidden];
        let gathered: Vec<f32> = choices.iter().flat_map(|c| token(*c)).copied().collect();
        let computed = expert_outputs(config, weights, expert, &gathered);
        for (choice, output) in choices.iter().zip(computed.chunks_exact(hidden)) {
            outputs[choice * hidden..][..hidden].copy_from_slice(output);
        }
    }
    let mut out = vec![0.0; x.len()];
    for (i, output) in outputs.chunks_exact(hidden).enumerate() {
        let weight = routing.weights[i];
        for (out, y) in out[i / chosen * hidden..][..hidden].iter_mut().zip(output) {
            *out += weight * y;
        }
    }
    out
}

/// `W2·swiglu(W1·x + b1) + b2` of one expert for tokens `x` (`[n, D]`).
fn expert_outputs(
    config: &ModelConfig,
    weights: &LayerWeights,
    expert: usize,
    x: &[f32],
) -> Vec<f32> {
    let (hidden, units) = (config.hidden_size, config.intermediate_size);
    let tokens = x.len() / hidden;
    let bias = |all: &'_ Vec<f32>, rows: usize| all[expert * rows..(expert + 1) * rows].to_vec();
    let mut gate_up = vec![0.0; tokens * 2 * units];
    let gate_up_bias = bias(&weights.gate_up_bias, 2 * units);
    expert_linear(&weights.gate_up, expert, &gate_up_bias, x, &mut gate_up);
    let mut activations = vec![0.0; tokens * units];
    for (pairs, out) in gate_up.chunks_exact(2 * units).zip(activations.chunks_exact_mut(units)) {
        swiglu(pairs, config.swiglu_limit as f32, out);
    }
    let mut out = vec![0.0; tokens * hidden];
    let down_bias = bias(&weights.down_bias, hidden);
    expert_linear(&weights.down, expert, &down_bias, &activations, &mut out);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_softmax_is_over_the_chosen_experts_only() {
        let logits = [1.0, 3.0, 2.0, 3.0, -1.0];
        let (mut experts, mut weights) = ([0; 3], [0.0; 3]);
        choose(&logits, &mut experts, &mut weights);
        assert_eq!(experts, [1, 3, 2], "best first, the lower index among equals");
        // e³, e³, e² over their sum; over all five experts they would sum to 0.94.
        let expected = [0.422_318_8, 0.422_318_8, 0.155_362_4];
        for (weight, expected) in weights.iter().zip(expected) {
            assert!((weight - expected).abs() < 1e-6, "{weights:?}");
        }
    }
}
