//! The weights of a model, one structure for every architecture and file layout.
//!
//! Axis letters: D `hidden_size`, F `intermediate_size`, H `num_attention_heads`,
//! G `num_key_value_heads`, K `head_dim`, E `num_local_experts`, V `vocab_size`.
//! Matrices stay in the file (mapped); vectors (norms, biases, sinks) are converted to f32.

use gptoss_kernels::Format;

use crate::bytes::Bytes;

/// All weights of a model. Matrices are `[outputs, inputs]`, row-major.
#[derive(Clone, Debug)]
pub struct Weights {
    /// `[V, D]`, one row a token.
    pub embedding: Matrix,
    /// One entry a layer, first layer first.
    pub layers: Vec<LayerWeights>,
    /// `[D]`, gain of the last RMSNorm.
    pub norm: Vec<f32>,
    /// `[V, D]`; the embedding again where a model has one for both.
    pub unembedding: Matrix,
    /// Which rows of the query and key matrices turn together.
    pub rotary_pairs: RotaryPairs,
}

/// Which elements of a query or key head turn together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RotaryPairs {
    /// `i` and `i + K/2`.
    Halves,
    /// `2i` and `2i + 1`, which are `i` and `i + K/2` of [`RotaryPairs::Halves`]: GGUF files of
    /// the llama architecture have the rows of each head in this order.
    Neighbours,
}

/// The weights of one layer.
#[derive(Clone, Debug)]
pub struct LayerWeights {
    /// `[D]`
    pub attn_norm: Vec<f32>,
    /// `[H·K, D]`
    pub q: Matrix,
    /// `[H·K]`; empty, as other biases, if the architecture has none.
    pub q_bias: Vec<f32>,
    /// `[G·K, D]`
    pub k: Matrix,
    /// `[G·K]`
    pub k_bias: Vec<f32>,
    /// `[G·K, D]`
    pub v: Matrix,
    /// `[G·K]`
    pub v_bias: Vec<f32>,
    /// `[H]`, the logit of each head's attention sink; −∞, which takes no share, if the
    /// architecture has none.
    pub sinks: Vec<f32>,
    /// `[D, H·K]`
    pub out: Matrix,
    /// `[D]`
    pub out_bias: Vec<f32>,
    /// `[D]`
    pub mlp_norm: Vec<f32>,
    /// `[E, D]`; `None` in a dense model.
    pub router: Option<Matrix>,
    /// `[E]`
    pub router_bias: Vec<f32>,
    /// `[E, 2F, D]`: row `2f` is the gate of unit `f`, row `2f + 1` its linear part.
    pub gate_up: Experts,
    /// `[E, 2F]`, interleaved as `gate_up`.
    pub gate_up_bias: Vec<f32>,
    /// `[E, D, F]`
    pub down: Experts,
    /// `[E, D]`
    pub down_bias: Vec<f32>,
}

/// A matrix in the file's own format, each row a whole number of blocks.
#[derive(Clone, Debug)]
pub struct Matrix {
    /// Element format.
    pub format: Format,
    /// Outputs.
    pub rows: usize,
    /// Inputs.
    pub cols: usize,
    /// `rows · format.row_bytes(cols)` bytes; checked when the model is opened.
    pub data: Bytes,
}

/// The matrices of all experts of one layer, `[E, rows, cols]`.
#[derive(Clone, Debug)]
pub struct Experts {
    /// Number of experts, E.
    pub experts: usize,
    /// Outputs of each expert.
    pub rows: usize,
    /// Inputs of each expert.
    pub cols: usize,
    /// The bytes, in the layout that the file has.
    pub layout: ExpertLayout,
}

/// How a file stores the experts' matrices.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum ExpertLayout {
    /// OpenAI's MXFP4, as in `original/` and Hugging Face files: `blocks` `[E, rows, cols/32, 16]`
    /// with element `2b` in the low and `2b + 1` in the high four bits of byte `b`, `scales`
    /// `[E, rows, cols/32]` with exponent bias 127.
    Mxfp4 {
        /// FP4 codes.
        blocks: Bytes,
        /// One exponent a block.
        scales: Bytes,
    },
    /// Rows in a block format, expert after expert: a matrix `[E·rows, cols]`.
    Rows(Matrix),
    /// GGUF, and dense models: even rows in `gate`, odd rows in `up`, each `[E·rows/2, cols]`.
    GateAndUp {
        /// Rows 0, 2, 4, …
        gate: Matrix,
        /// Rows 1, 3, 5, …
        up: Matrix,
    },
    /// Hugging Face BF16: `[E, cols, rows]` in a plain format, that is, transposed.
    Transposed {
        /// `F32`, `F16` or `Bf16`.
        format: Format,
        /// `E · cols · rows` elements.
        data: Bytes,
    },
}
