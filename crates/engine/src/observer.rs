//! A look inside a forward pass, for research and tests.

use gptoss_checkpoint::ModelConfig;

/// Is told what a forward pass computes. `()` looks at nothing.
pub trait Observer {
    /// The residual stream `[T, D]`: stage 0 is the embedding, stage `l + 1` after layer `l`, and
    /// the last one (number of layers + 1) after the final norm.
    fn hidden(&mut self, _stage: usize, _rows: &[f32]) {}

    /// The experts of layer `layer`, `[T, num_experts_per_tok]`, best first, and their weights.
    fn router(&mut self, _layer: usize, _experts: &[usize], _weights: &[f32]) {}
}

impl Observer for () {}

/// Keeps everything that an [`Observer`] is told, over any number of forward passes.
#[derive(Clone, Debug, Default)]
pub struct Trace {
    /// One entry a stage, each `[T, D]`.
    pub hidden: Vec<Vec<f32>>,
    /// One entry a layer, each `[T, num_experts_per_tok]`.
    pub router_ids: Vec<Vec<usize>>,
    /// One entry a layer, each `[T, num_experts_per_tok]`.
    pub router_weights: Vec<Vec<f32>>,
}

impl Trace {
    /// An empty trace of a model.
    pub fn new(config: &ModelConfig) -> Trace {
        let layers = config.num_hidden_layers;
        Trace {
            hidden: vec![Vec::new(); layers + 2],
            router_ids: vec![Vec::new(); layers],
            router_weights: vec![Vec::new(); layers],
        }
    }
}

impl Observer for Trace {
    fn hidden(&mut self, stage: usize, rows: &[f32]) {
        self.hidden[stage].extend_from_slice(rows);
    }

    fn router(&mut self, layer: usize, experts: &[usize], weights: &[f32]) {
        self.router_ids[layer].extend_from_slice(experts);
        self.router_weights[layer].extend_from_slice(weights);
    }
}
