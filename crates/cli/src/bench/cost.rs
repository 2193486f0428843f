//! What a model costs: bytes that are read and operations that are computed, and the time that a
//! machine needs for them at the least.
//!
//! | part        | elements                     | read by n tokens together | operations     |
//! |-------------|------------------------------|---------------------------|----------------|
//! | attention   | D·(H + 2G)·K + H·K·D a layer | all                       | 2n an element  |
//! | router      | E·D a layer                  | all                       | 2n an element  |
//! | experts     | E·3F·D a layer               | the share 1 − (1 − k/E)^n | 2n·k/E         |
//! | perceptron  | 3F·D a layer                 | all                       | 2n an element  |
//! | unembedding | V·D                          | all                       | 2 a continuation |
//! | KV cache    | 2·G·K a layer and position   | all visible positions     | 4·H·K a key    |
//!
//! A dense model has a perceptron in place of router and experts. The share supposes that tokens
//! choose k of E experts independently and evenly, which is the worst case for a batch.
//! Vectors (norms, biases, sinks: less than 0.2 %) and the one row of the embedding are left out.
//! Memory and arithmetic can overlap, so the slower one is the limit.

use gptoss_checkpoint::{
    Architecture, ExpertLayout, Experts, LayerType, Matrix, Model, ModelConfig, Part,
};
use gptoss_engine::Precision;

use crate::machine::Rates;

/// How an engine computes, as far as it changes the cost.
#[derive(Clone, Copy, Debug)]
pub struct Computing {
    /// How products are computed.
    pub precision: Precision,
    /// Bytes of the key and the value of one position and kv head.
    pub cache_position_bytes: u64,
}

/// How a shape without files is stored; experts are MXFP4.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DenseAs {
    /// As in the published files.
    Bf16,
    /// As in the usual GGUF files.
    #[cfg(test)]
    Q8_0,
}

/// Matrices of one part in one format.
#[derive(Clone, Copy, Debug)]
struct Stored {
    part: Part,
    elements: u64,
    bytes: u64,
    /// Whether eight-bit kernels can multiply them.
    has_int8: bool,
}

/// The matrices of a model and its shape.
#[derive(Clone, Debug)]
pub struct ModelCost {
    config: ModelConfig,
    stored: Vec<Stored>,
}

/// What some step reads and computes.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Work {
    /// Bytes of weights and of the KV cache.
    pub bytes: f64,
    /// Operations on bytes.
    pub int8_operations: f64,
    /// Operations on f32.
    pub f32_operations: f64,
}

/// What a step waits for on an ideal machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bound {
    /// Reading.
    Memory,
    /// Computing.
    Arithmetic,
}

impl Bound {
    /// The word for it.
    pub fn name(self) -> &'static str {
        match self {
            Bound::Memory => "memory",
            Bound::Arithmetic => "arithmetic",
        }
    }
}

impl Work {
    /// The least time, and what it is spent on.
    pub fn seconds(&self, rates: &Rates) -> (f64, Bound) {
        let memory = self.bytes / rates.read.best;
        let arithmetic =
            self.int8_operations / rates.int8.best + self.f32_operations / rates.f32.best;
        match memory >= arithmetic {
            true => (memory, Bound::Memory),
            false => (arithmetic, Bound::Arithmetic),
        }
    }
}

impl ModelCost {
    /// The cost of a model with its files.
    pub fn of_model(model: &Model) -> ModelCost {
        let mut cost = ModelCost { config: model.config.clone(), stored: Vec::new() };
        cost.matrix(Part::Unembedding, &model.weights.unembedding);
        for layer in &model.weights.layers {
            for matrix in [&layer.q, &layer.k, &layer.v, &layer.out] {
                cost.matrix(Part::Attention, matrix);
            }
            let part = match &layer.router {
                Some(router) => {
                    cost.matrix(Part::Router, router);
                    Part::Experts
                }
                None => Part::Mlp,
            };
            cost.experts(part, &layer.gate_up);
            cost.experts(part, &layer.down);
        }
        cost
    }

    /// The cost of a shape whose experts, if it has any, are MXFP4.
    pub fn of_shape(config: &ModelConfig, dense: DenseAs) -> ModelCost {
        let (bytes, elements, has_int8) = match dense {
            DenseAs::Bf16 => (2, 1, false),
            #[cfg(test)]
            DenseAs::Q8_0 => (34, 32, true),
        };
        let [d, f, e] = [config.hidden_size, config.intermediate_size, config.num_local_experts]
            .map(|n| n as u64);
        let [h, g, k] = [config.num_attention_heads, config.num_key_value_heads, config.head_dim]
            .map(|n| n as u64);
        let layers = config.num_hidden_layers as u64;
        let dense = |part: Part, count: u64| {
            let bytes = count * bytes / elements;
            Stored { part, elements: count, bytes, has_int8 }
        };
        let experts = layers * e * 3 * f * d;
        let mut stored = vec![
            dense(Part::Unembedding, config.vocab_size as u64 * d),
            dense(Part::Attention, layers * (d * (h + 2 * g) * k + h * k * d)),
        ];
        match config.architecture {
            Architecture::GptOss => stored.extend([
                dense(Part::Router, layers * e * d),
                Stored {
                    part: Part::Experts,
                    elements: experts,
                    bytes: experts / 32 * 17,
                    has_int8: true,
                },
            ]),
            Architecture::Llama => stored.push(dense(Part::Mlp, experts)),
        }
        ModelCost { config: config.clone(), stored }
    }

    /// One step in which each of `batch` sequences of `depth` tokens gets one more.
    pub fn decode_step(&self, batch: usize, depth: f64, computing: Computing) -> Work {
        let mut work = self.matrices(batch, batch, computing.precision);
        let sequences = batch as f64;
        let keys: f64 = self.config.layer_types.iter().map(|kind| self.seen(*kind, depth)).sum();
        work.f32_operations += sequences * (keys + self.layers()) * self.key_operations();
        work.bytes += sequences * keys * self.position_bytes(computing);
        work
    }

    /// A prompt of `tokens` tokens from the beginning on, with the logits of the last one.
    pub fn prefill(&self, tokens: usize, computing: Computing) -> Work {
        let mut work = self.matrices(tokens, 1, computing.precision);
        // Position p sees p + 1 keys, or the window.
        let keys = |kind: &LayerType| {
            let n = tokens as f64;
            let seen = self.seen(*kind, n);
            seen * (seen + 1.0) / 2.0 + (n - seen) * seen
        };
        let seen: f64 = self.config.layer_types.iter().map(keys).sum();
        work.f32_operations += seen * self.key_operations();
        let kept: f64 = self.config.layer_types.iter().map(|k| self.seen(*k, tokens as f64)).sum();
        work.bytes += kept * self.position_bytes(computing);
        work
    }

    /// The matrices for `tokens` tokens together, `logits` of which are to be continued.
    fn matrices(&self, tokens: usize, logits: usize, precision: Precision) -> Work {
        let chosen = self.config.num_experts_per_tok as f64 / self.config.num_local_experts as f64;
        let touched = 1.0 - (1.0 - chosen).powf(tokens as f64);
        let mut work = Work::default();
        for stored in &self.stored {
            let (read, times) = match stored.part {
                Part::Experts => (touched, tokens as f64 * chosen),
                Part::Unembedding => (1.0, logits as f64),
                _ => (1.0, tokens as f64),
            };
            work.bytes += read * stored.bytes as f64;
            let operations = 2.0 * times * stored.elements as f64;
            match stored.has_int8 && precision == Precision::Fast {
                true => work.int8_operations += operations,
                false => work.f32_operations += operations,
            }
        }
        work
    }

    /// Keys that a layer keeps of `positions`.
    fn seen(&self, kind: LayerType, positions: f64) -> f64 {
        match kind {
            LayerType::SlidingAttention => positions.min(self.config.sliding_window as f64),
            LayerType::FullAttention => positions,
        }
    }

    fn layers(&self) -> f64 {
        self.config.num_hidden_layers as f64
    }

    /// Score and weighted value of one key for all heads of a layer.
    fn key_operations(&self) -> f64 {
        (4 * self.config.num_attention_heads * self.config.head_dim) as f64
    }

    /// Key and value of a position in one layer.
    fn position_bytes(&self, computing: Computing) -> f64 {
        self.config.num_key_value_heads as f64 * computing.cache_position_bytes as f64
    }

    fn matrix(&mut self, part: Part, matrix: &Matrix) {
        let has_int8 = gptoss_kernels::int8::BlockLayout::of(matrix.format).is_some();
        let elements = matrix.rows as u64 * matrix.cols as u64;
        self.stored.push(Stored { part, elements, bytes: matrix.data.len() as u64, has_int8 });
    }

    fn experts(&mut self, part: Part, experts: &Experts) {
        let elements = [experts.experts, experts.rows, experts.cols].map(|n| n as u64);
        let elements = elements.iter().product();
        let mut push = |bytes: usize, has_int8: bool| {
            self.stored.push(Stored { part, elements, bytes: bytes as u64, has_int8 });
        };
        match &experts.layout {
            ExpertLayout::Mxfp4 { blocks, scales } => push(blocks.len() + scales.len(), true),
            ExpertLayout::Rows(matrix) => self.matrix(part, matrix),
            ExpertLayout::GateAndUp { gate, up } => {
                self.matrix(part, gate);
                self.matrix(part, up);
            }
            ExpertLayout::Transposed { data, .. } => push(data.len(), false),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use gptoss_checkpoint::presets;

    use super::*;
    use crate::machine::Rate;

    const FAST: Computing =
        Computing { precision: Precision::Fast, cache_position_bytes: 2 * 64 * 4 };

    fn shape(name: &str, dense: DenseAs) -> ModelCost {
        ModelCost::of_shape(&presets::find(name).unwrap().config, dense)
    }

    fn rates(read: f64, int8: f64, f32: f64) -> Rates {
        let rate = |x: f64| Rate { best: x, median: x / 2.0 };
        Rates { read: rate(read), int8: rate(int8), f32: rate(f32), bf16: None }
    }

    #[track_caller]
    fn near(found: f64, expected: f64, tolerance: f64) {
        let off = found / expected - 1.0;
        assert!(off.abs() <= tolerance, "expected {expected}, found {found} ({off:+.4})");
    }

    /// Of the model card's shape by hand: 24 · 4 · 3 · 2880² MXFP4 elements are 1,269,043,200
    /// bytes; 637,009,920 of attention, 2,211,840 of routers and 579,133,440 of the unembedding
    /// are 2,436,710,400 bytes in BF16, 1,294,502,400 in Q8_0.
    #[test]
    fn a_token_of_the_20b_reads_its_active_matrices() {
        let published = shape("gpt-oss-20b", DenseAs::Bf16).decode_step(1, 0.0, FAST);
        assert_eq!(published.bytes, 1_269_043_200.0 + 2_436_710_400.0);
        near(published.bytes, 3.70e9, 2e-3);
        let gguf = shape("gpt-oss-20b", DenseAs::Q8_0).decode_step(1, 0.0, FAST);
        assert_eq!(gguf.bytes, 1_269_043_200.0 + 1_294_502_400.0);
        near(gguf.bytes, 2.56e9, 2e-3);
        // At 75 GB/s these are 20 and 29 tokens a second.
        let machine = rates(75e9, 2.0e12, 0.5e12);
        near(1.0 / published.seconds(&machine).0, 20.2, 5e-3);
        near(1.0 / gguf.seconds(&machine).0, 29.3, 5e-3);
        assert_eq!(gguf.seconds(&machine).1, Bound::Memory);
        let experts_of_120b = shape("gpt-oss-120b", DenseAs::Bf16).stored[3].bytes as f64 / 32.0;
        near(experts_of_120b, 1.90e9, 2e-3);
    }

    #[test]
    fn prefill_of_the_20b_computes_six_billion_operations_a_token() {
        let cost = shape("gpt-oss-20b", DenseAs::Q8_0);
        let tokens = 512;
        let work = cost.prefill(tokens, FAST);
        // One token has logits: 2 · 579,133,440 operations of all.
        let a_token = (work.int8_operations - 2.0 * 579_133_440.0) / tokens as f64;
        near(a_token, 6.06e9, 1e-3);
        // Twelve layers see every earlier key, twelve at most 128, each for 4 · 64 · 64.
        let full = 512.0 * 513.0 / 2.0;
        let window = 128.0 * 129.0 / 2.0 + 384.0 * 128.0;
        assert_eq!(work.f32_operations, 12.0 * (full + window) * 16_384.0);
        let no_attention = Work { f32_operations: 0.0, ..work };
        let (seconds, bound) = no_attention.seconds(&rates(75e9, 2.02e12, 0.5e12));
        near(tokens as f64 / seconds, 333.0, 2e-3);
        assert_eq!(bound, Bound::Arithmetic);
        // With the published files only experts have eight bits.
        let published = shape("gpt-oss-20b", DenseAs::Bf16).prefill(tokens, FAST);
        assert_eq!(published.int8_operations, 512.0 * 2.0 * 24.0 * 4.0 * 3.0 * 2880.0 * 2880.0);
        let exact = Computing { precision: Precision::Exact, ..FAST };
        assert_eq!(cost.prefill(tokens, exact).int8_operations, 0.0);
    }

    #[test]
    fn a_batch_touches_the_share_of_experts_that_it_chooses() {
        let cost = shape("gpt-oss-20b", DenseAs::Q8_0);
        let dense = 1_294_502_400.0;
        let all = 10_152_345_600.0;
        for (batch, share) in [(1, 0.125), (4, 0.4138), (16, 0.8819)] {
            let bytes = cost.decode_step(batch, 0.0, FAST).bytes;
            near((bytes - dense) / all, share, 1e-3);
        }
        let work = cost.decode_step(16, 0.0, FAST);
        near(work.bytes, 10e9, 0.03);
        near(work.int8_operations / 16.0, 7.2e9, 5e-3);
    }

    #[test]
    fn the_cache_is_read_at_depth() {
        let cost = shape("gpt-oss-20b", DenseAs::Q8_0);
        let config = presets::find("gpt-oss-20b").unwrap().config;
        for (batch, depth) in [(1, 100), (1, 4096), (4, 4096)] {
            let cached = cost.decode_step(batch, depth as f64, FAST).bytes
                - cost.decode_step(batch, 0.0, FAST).bytes;
            let expected = batch as u64 * config.kv_cache_bytes(depth, 4);
            assert_eq!(cached.round() as u64, expected, "{batch} at {depth}");
        }
    }

    /// The closed form and the matrices of a file agree: nano has the published formats.
    #[test]
    fn files_cost_what_their_shape_costs() {
        let model = gptoss_checkpoint::embedded::nano().unwrap();
        let (files, shape) =
            (ModelCost::of_model(&model), ModelCost::of_shape(&model.config, DenseAs::Bf16));
        for batch in [1, 3] {
            let (files, shape) =
                (files.decode_step(batch, 9.0, FAST), shape.decode_step(batch, 9.0, FAST));
            assert_eq!(files.int8_operations, shape.int8_operations);
            assert_eq!(files.f32_operations, shape.f32_operations);
            near(files.bytes, shape.bytes, 1e-12);
        }
    }
}
