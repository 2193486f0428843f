//! The mixture of experts.
//!
//! Source: `MLPBlock` of openai/gpt-oss, `gpt_oss/torch/model.py`: the router's logits are cut to
//! the top k **before** the softmax, and each expert's output bias is inside the weighting.
//!
//! Tokens are sorted by expert, so that an expert's weights are read once for all tokens that
//! chose it. A dense perceptron is an expert that every token is sent to with weight 1, without a
//! router.

use std::ops::Range;

use gptoss_checkpoint::{LayerWeights, ModelConfig};
use gptoss_kernels::{Isa, softmax, top_k};

use crate::compute::Compute;
use crate::linear::{Epilogue, Gate, Input, JOB_ROWS, Job, Product, Weight, run, work};
use crate::profile::{Part, Work};

/// Rows of the router's jobs: it is a small matrix.
const ROUTER_ROWS: usize = 8;

/// The experts of every token, best first.
#[derive(Default)]
pub(crate) struct Routing {
    /// `[T, num_experts_per_tok]`
    pub(crate) experts: Vec<usize>,
    /// `[T, num_experts_per_tok]`, each row sums to 1.
    pub(crate) weights: Vec<f32>,
}

/// Cuts router logits to the best experts (`[k]`), **then** takes the softmax over those.
fn choose(isa: Isa, logits: &[f32], experts: &mut [usize], weights: &mut [f32]) {
    top_k(logits, experts);
    for (weight, expert) in weights.iter_mut().zip(experts) {
        *weight = logits[*expert];
    }
    softmax(isa, weights);
}

/// What the mixture reads in one layer.
pub(crate) struct Mixture<'a> {
    pub(crate) compute: &'a Compute,
    pub(crate) config: &'a ModelConfig,
    pub(crate) weights: &'a LayerWeights,
}

/// Room that is kept between layers.
#[derive(Default)]
pub(crate) struct MixtureRoom {
    /// Products of the router, of the first and of the second matrices.
    router: Vec<f32>,
    up: Vec<f32>,
    down: Vec<f32>,
    /// Activations of all choices, sorted by expert: `[choices, F]`.
    activations: Input,
}

/// The choices of all tokens, sorted by expert. A place is an index into the sorted order.
struct Choices {
    /// Experts that were chosen, each with its places.
    experts: Vec<(usize, Range<usize>)>,
    /// The token at each place.
    tokens: Vec<u32>,
    /// The places themselves: 0, 1, 2, …
    places: Vec<u32>,
    /// `[T, num_experts_per_tok]`: entry of `experts`, and index among its places.
    found: Vec<(usize, usize)>,
}

impl Choices {
    fn new(routing: &Routing, experts: usize, chosen: usize) -> Choices {
        let mut lists = vec![Vec::new(); experts];
        for (choice, expert) in routing.experts.iter().enumerate() {
            lists[*expert].push(choice);
        }
        let mut all = Choices {
            experts: Vec::new(),
            tokens: Vec::new(),
            places: (0..routing.experts.len() as u32).collect(),
            found: vec![(0, 0); routing.experts.len()],
        };
        for (expert, list) in lists.iter().enumerate().filter(|(_, list)| !list.is_empty()) {
            let first = all.tokens.len();
            for (i, choice) in list.iter().enumerate() {
                all.tokens.push((choice / chosen) as u32);
                all.found[*choice] = (all.experts.len(), i);
            }
            all.experts.push((expert, first..all.tokens.len()));
        }
        all
    }
}

impl Mixture<'_> {
    /// Chooses the experts of the tokens of `input` (`[T, D]`, normalised).
    ///
    /// Equal logits are decided for the expert with the lower index.
    pub(crate) fn route(&self, input: &Input, tokens: &[u32], room: &mut MixtureRoom) -> Routing {
        let (compute, config) = (self.compute, self.config);
        let Some(router) = &self.weights.router else {
            return Routing { experts: vec![0; tokens.len()], weights: vec![1.0; tokens.len()] };
        };
        let job = Job {
            weight: Weight::Precise(router),
            bias: &self.weights.router_bias,
            rows: 0..config.num_local_experts,
            input,
            tokens,
            epilogue: Epilogue::Bias,
        };
        let jobs: Vec<Job<'_>> = job.cut(ROUTER_ROWS).collect();
        let multiply = || run(compute, &jobs, &mut room.router);
        compute.profile.time(Part::Router, || work(&jobs), multiply);
        let chosen = config.num_experts_per_tok;
        let mut routing = Routing {
            experts: vec![0; tokens.len() * chosen],
            weights: vec![0.0; tokens.len() * chosen],
        };
        let product = Product { data: &room.router, tokens: tokens.len(), rows: ROUTER_ROWS };
        let mut logits = Vec::with_capacity(config.num_local_experts);
        let rows = routing.experts.chunks_mut(chosen).zip(routing.weights.chunks_mut(chosen));
        for (token, (experts, weights)) in rows.enumerate() {
            logits.clear();
            product.token(token).for_each(|piece| logits.extend_from_slice(piece));
            choose(compute.isa, &logits, experts, weights);
        }
        routing
    }

    /// Adds Σ weight·expert(x) of every token to `x`, the experts in the order of the choice.
    pub(crate) fn add(
        &self,
        routing: &Routing,
        input: &Input,
        room: &mut MixtureRoom,
        x: &mut [f32],
    ) {
        let (compute, config) = (self.compute, self.config);
        let chosen = config.num_experts_per_tok;
        let choices = Choices::new(routing, config.num_local_experts, chosen);
        self.up(&choices, input, room);
        self.down(&choices, room);
        let products = products(&choices, &room.down, config.hidden_size, JOB_ROWS);
        let combine = || {
            compute.rows_mut(x, config.hidden_size, &|token, x| {
                let found = &choices.found[token * chosen..(token + 1) * chosen];
                let weights = &routing.weights[token * chosen..(token + 1) * chosen];
                combine(found, weights, &products, x);
            });
        };
        compute.profile.time(Part::Combine, Work::default, combine);
    }

    /// The activations of every choice: SwiGLU over the first matrix.
    fn up(&self, choices: &Choices, input: &Input, room: &mut MixtureRoom) {
        let (compute, config) = (self.compute, self.config);
        let units = config.intermediate_size;
        let matrix = &self.weights.gate_up;
        let gate = match config.swiglu_limit {
            Some(limit) => Gate::SwiGlu(limit as f32),
            None => Gate::Silu,
        };
        let jobs: Vec<Job<'_>> = choices
            .experts
            .iter()
            .flat_map(|(expert, places)| {
                let job = Job {
                    weight: Weight::Expert(matrix, *expert),
                    bias: bias_of(&self.weights.gate_up_bias, *expert, 2 * units),
                    rows: 0..2 * units,
                    input,
                    tokens: &choices.tokens[places.clone()],
                    epilogue: Epilogue::Gate(gate),
                };
                job.cut(JOB_ROWS)
            })
            .collect();
        let multiply = || run(compute, &jobs, &mut room.up);
        compute.profile.time(Part::ExpertsUp, || work(&jobs), multiply);
        let products = products(choices, &room.up, units, JOB_ROWS / 2);
        let mut expert_of = vec![0; choices.tokens.len()];
        for (i, (_, places)) in choices.experts.iter().enumerate() {
            expert_of[places.clone()].fill(i);
        }
        room.activations.resize(choices.tokens.len(), units);
        compute.rows_mut(&mut room.activations.floats, units, &|place, out| {
            let expert = expert_of[place];
            let mut pieces = products[expert].token(place - choices.experts[expert].1.start);
            for out in out.chunks_mut(JOB_ROWS / 2) {
                out.copy_from_slice(pieces.next().expect("as many pieces as in the product"));
            }
        });
        let down = Weight::Expert(&self.weights.down, 0).int8_layout();
        room.activations.quantize(compute, &[compute.int8(down)]);
    }

    /// The outputs of every choice: the second matrix.
    fn down(&self, choices: &Choices, room: &mut MixtureRoom) {
        let (compute, hidden) = (self.compute, self.config.hidden_size);
        let jobs: Vec<Job<'_>> = choices
            .experts
            .iter()
            .flat_map(|(expert, places)| {
                let job = Job {
                    weight: Weight::Expert(&self.weights.down, *expert),
                    bias: bias_of(&self.weights.down_bias, *expert, hidden),
                    rows: 0..hidden,
                    input: &room.activations,
                    tokens: &choices.places[places.clone()],
                    epilogue: Epilogue::Bias,
                };
                job.cut(JOB_ROWS)
            })
            .collect();
        let multiply = || run(compute, &jobs, &mut room.down);
        compute.profile.time(Part::ExpertsDown, || work(&jobs), multiply);
    }
}

/// The bias of an expert with `rows` outputs, if experts have any.
fn bias_of(biases: &[f32], expert: usize, rows: usize) -> &[f32] {
    match biases {
        [] => &[],
        biases => &biases[expert * rows..(expert + 1) * rows],
    }
}

/// The product of each chosen expert, `width` results a token in pieces of `rows`.
fn products<'a>(choices: &Choices, data: &'a [f32], width: usize, rows: usize) -> Vec<Product<'a>> {
    let product = |(_, places): &(usize, Range<usize>)| Product {
        data: &data[places.start * width..places.end * width],
        tokens: places.len(),
        rows,
    };
    choices.experts.iter().map(product).collect()
}

/// Adds the weighted outputs of one token's experts to `x`.
fn combine(found: &[(usize, usize)], weights: &[f32], products: &[Product<'_>], x: &mut [f32]) {
    for (piece, x) in x.chunks_mut(JOB_ROWS).enumerate() {
        let mut sum = [0.0; JOB_ROWS];
        let sum = &mut sum[..x.len()];
        for ((expert, token), weight) in found.iter().zip(weights) {
            let outputs = products[*expert].piece(piece, *token);
            for (sum, y) in sum.iter_mut().zip(outputs) {
                *sum += weight * y;
            }
        }
        for (x, sum) in x.iter_mut().zip(sum) {
            *x += *sum;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_softmax_is_over_the_chosen_experts_only() {
        let logits = [1.0, 3.0, 2.0, 3.0, -1.0];
        let (mut experts, mut weights) = ([0; 3], [0.0; 3]);
        choose(Isa::detect(), &logits, &mut experts, &mut weights);
        assert_eq!(experts, [1, 3, 2], "best first, the lower index among equals");
        // e³, e³, e² over their sum; over all five experts they would sum to 0.94.
        let expected = [0.422_318_8, 0.422_318_8, 0.155_362_4];
        for (weight, expected) in weights.iter().zip(expected) {
            assert!((weight - expected).abs() < 1e-6, "{weights:?}");
        }
    }

    #[test]
    fn choices_are_sorted_by_expert_and_found_again() {
        let routing = Routing { experts: vec![2, 0, 0, 3, 2, 3], weights: vec![] };
        let choices = Choices::new(&routing, 4, 2);
        assert_eq!(choices.experts, [(0, 0..2), (2, 2..4), (3, 4..6)]);
        assert_eq!(choices.tokens, [0, 1, 0, 2, 1, 2]);
        for (choice, (entry, i)) in choices.found.iter().enumerate() {
            let (expert, places) = &choices.experts[*entry];
            assert_eq!(*expert, routing.experts[choice]);
            assert_eq!(choices.tokens[places.start + i] as usize, choice / 2);
        }
    }
}
