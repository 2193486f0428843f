//! The configuration of a gpt-oss model, with the field names of `config.json`.

/// What a checkpoint says about the shape of its model. Every layout is parsed into this.
#[derive(Clone, Debug, PartialEq)]
pub struct ModelConfig {
    /// V, rows of the embedding.
    pub vocab_size: usize,
    /// D, width of the residual stream.
    pub hidden_size: usize,
    /// F, hidden units of one expert.
    pub intermediate_size: usize,
    /// Number of layers.
    pub num_hidden_layers: usize,
    /// H, query heads.
    pub num_attention_heads: usize,
    /// G, key and value heads; divides H.
    pub num_key_value_heads: usize,
    /// K, width of a head; even.
    pub head_dim: usize,
    /// E, experts in each layer.
    pub num_local_experts: usize,
    /// Experts that each token is sent to.
    pub num_experts_per_tok: usize,
    /// Keys that a sliding layer sees, the token itself included.
    pub sliding_window: usize,
    /// One entry a layer.
    pub layer_types: Vec<LayerType>,
    /// Added to the mean of squares in RMSNorm.
    pub rms_norm_eps: f64,
    /// Base of the rotary frequencies.
    pub rope_theta: f64,
    /// How rotary frequencies are stretched, if they are.
    pub rope_scaling: Option<YarnScaling>,
    /// Bound of the SwiGLU inputs.
    pub swiglu_limit: f64,
    /// Longest sequence the model is configured for.
    pub max_position_embeddings: usize,
}

/// What a layer's attention sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LayerType {
    /// The last `sliding_window` keys, the token itself included.
    SlidingAttention,
    /// Every earlier key.
    FullAttention,
}

/// YaRN (Peng et al. 2023, arXiv:2309.00071), as `config.json` spells it.
#[derive(Clone, Debug, PartialEq)]
pub struct YarnScaling {
    /// Ratio of the extended to the original context.
    pub factor: f64,
    /// Rotations above which a frequency keeps its value.
    pub beta_fast: f64,
    /// Rotations below which a frequency is divided by `factor`.
    pub beta_slow: f64,
    /// Context of the original training.
    pub original_max_position_embeddings: usize,
    /// Whether the correction range is rounded to whole dimensions; gpt-oss says no.
    pub truncate: bool,
}
