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

/// A field of a configuration with a value that no model can have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigProblem {
    /// The field, as spelled in `config.json`.
    pub field: &'static str,
    /// What a model needs.
    pub expected: String,
    /// The value.
    pub found: String,
}

impl ModelConfig {
    /// Checks that the numbers can belong to a model, and that products of them do not overflow.
    ///
    /// # Errors
    /// The first field that cannot.
    pub fn check(&self) -> Result<(), ConfigProblem> {
        // Far above every model of the family (V 201088, D 2880, 36 layers, 128 experts), and
        // such that the parameters of all layers, about L · E · 3F · D, stay below 2⁶³.
        let bounds = [
            ("vocab_size", self.vocab_size, 1 << 24),
            ("hidden_size", self.hidden_size, 1 << 18),
            ("intermediate_size", self.intermediate_size, 1 << 18),
            ("num_hidden_layers", self.num_hidden_layers, 1 << 10),
            ("num_attention_heads", self.num_attention_heads, 1 << 12),
            ("num_key_value_heads", self.num_key_value_heads, 1 << 12),
            ("head_dim", self.head_dim, 1 << 12),
            ("num_local_experts", self.num_local_experts, 1 << 14),
            ("num_experts_per_tok", self.num_experts_per_tok, self.num_local_experts),
            ("sliding_window", self.sliding_window, 1 << 24),
            ("max_position_embeddings", self.max_position_embeddings, 1 << 24),
        ];
        for (field, value, most) in bounds {
            if value == 0 || value > most {
                return Err(problem(field, format!("1 to {most}"), value));
            }
        }
        if !self.head_dim.is_multiple_of(2) {
            return Err(problem("head_dim", "an even number".to_owned(), self.head_dim));
        }
        if !self.num_attention_heads.is_multiple_of(self.num_key_value_heads) {
            let expected = format!("a divisor of {} query heads", self.num_attention_heads);
            return Err(problem("num_key_value_heads", expected, self.num_key_value_heads));
        }
        if self.layer_types.len() != self.num_hidden_layers {
            let expected = format!("{} entries, one a layer", self.num_hidden_layers);
            return Err(problem("layer_types", expected, self.layer_types.len()));
        }
        positive("rms_norm_eps", self.rms_norm_eps, 0.0)?;
        positive("swiglu_limit", self.swiglu_limit, 0.0)?;
        positive("rope_theta", self.rope_theta, 1.0)?;
        self.rope_scaling.as_ref().map_or(Ok(()), YarnScaling::check)
    }
}

impl YarnScaling {
    fn check(&self) -> Result<(), ConfigProblem> {
        if !(self.factor.is_finite() && self.factor >= 1.0) {
            return Err(problem("factor", "a number of at least 1".to_owned(), self.factor));
        }
        positive("beta_slow", self.beta_slow, 0.0)?;
        positive("beta_fast", self.beta_fast, self.beta_slow)?;
        match self.original_max_position_embeddings {
            1..=0x0100_0000 => Ok(()),
            n => Err(problem("original_max_position_embeddings", "1 to 16777216".to_owned(), n)),
        }
    }
}

fn positive(field: &'static str, value: f64, above: f64) -> Result<(), ConfigProblem> {
    if value.is_finite() && value > above {
        Ok(())
    } else {
        Err(problem(field, format!("a number above {above}"), value))
    }
}

fn problem(field: &'static str, expected: String, found: impl std::fmt::Display) -> ConfigProblem {
    ConfigProblem { field, expected, found: found.to_string() }
}
