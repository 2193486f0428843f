//! The configuration of a model, with the field names of `config.json`.
//!
//! A dense model is a mixture of one expert: its multilayer perceptron is the expert that every
//! token is sent to, and no router chooses it.

/// What the layers of a model are made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Architecture {
    /// A mixture of experts behind a router; sinks; biases; SwiGLU with a bound.
    GptOss,
    /// One dense perceptron, silu(gate)·up; no sinks and no biases: LLaMA, Mistral, and the models
    /// that took their shape over.
    Llama,
}

impl Architecture {
    /// The name, as programs show it.
    pub const fn name(self) -> &'static str {
        match self {
            Architecture::GptOss => "gpt-oss",
            Architecture::Llama => "llama",
        }
    }
}

/// What a checkpoint says about the shape of its model. Every layout is parsed into this.
#[derive(Clone, Debug, PartialEq)]
pub struct ModelConfig {
    /// What the layers are made of.
    pub architecture: Architecture,
    /// V, rows of the embedding.
    pub vocab_size: usize,
    /// D, width of the residual stream.
    pub hidden_size: usize,
    /// F, hidden units of one expert or of the dense perceptron.
    pub intermediate_size: usize,
    /// Number of layers.
    pub num_hidden_layers: usize,
    /// H, query heads.
    pub num_attention_heads: usize,
    /// G, key and value heads; divides H.
    pub num_key_value_heads: usize,
    /// K, width of a head; even.
    pub head_dim: usize,
    /// E, experts in each layer; 1 in a dense model.
    pub num_local_experts: usize,
    /// Experts that each token is sent to; 1 in a dense model.
    pub num_experts_per_tok: usize,
    /// Keys that a sliding layer sees, the token itself included; without meaning where no layer
    /// slides.
    pub sliding_window: usize,
    /// One entry a layer.
    pub layer_types: Vec<LayerType>,
    /// Added to the mean of squares in RMSNorm.
    pub rms_norm_eps: f64,
    /// Base of the rotary frequencies.
    pub rope_theta: f64,
    /// How rotary frequencies are stretched, if they are.
    pub rope_scaling: Option<RopeScaling>,
    /// Bound of the inputs of gpt-oss's SwiGLU; `None` where the activation is silu(gate)·up.
    pub swiglu_limit: Option<f64>,
    /// Whether the output embedding is the input embedding.
    pub tie_word_embeddings: bool,
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

/// How rotary frequencies are stretched.
#[derive(Clone, Debug, PartialEq)]
pub enum RopeScaling {
    /// gpt-oss's way.
    Yarn(YarnScaling),
    /// All positions are divided by `factor` (Chen et al. 2023, arXiv:2306.15595).
    Linear {
        /// Ratio of the extended to the original context.
        factor: f64,
    },
    /// Llama 3.1's way.
    Llama3(Llama3Scaling),
    /// What each frequency is divided by, `[K / 2]`: GGUF files have the results of Llama 3.1's
    /// way as the tensor `rope_freqs.weight`.
    Divisors(Vec<f32>),
}

/// Llama 3.1: slow frequencies are divided by `factor`, fast ones stay, and between them it
/// changes smoothly. Source: `_compute_llama3_parameters` of transformers, modeling_rope_utils.py.
#[derive(Clone, Debug, PartialEq)]
pub struct Llama3Scaling {
    /// Ratio of the extended to the original context.
    pub factor: f64,
    /// A frequency that turns less often than this in the original context is divided.
    pub low_freq_factor: f64,
    /// A frequency that turns more often than this in the original context keeps its value.
    pub high_freq_factor: f64,
    /// Context of the original training.
    pub original_max_position_embeddings: usize,
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
        positive("rope_theta", self.rope_theta, 1.0)?;
        match (self.architecture, self.swiglu_limit) {
            (Architecture::GptOss, limit) => {
                positive("swiglu_limit", limit.unwrap_or(f64::NAN), 0.0)?;
            }
            (Architecture::Llama, Some(limit)) => {
                return Err(problem("swiglu_limit", "none".to_owned(), limit));
            }
            (Architecture::Llama, None) if self.num_local_experts != 1 => {
                return Err(problem("num_local_experts", "1".to_owned(), self.num_local_experts));
            }
            (Architecture::Llama, None) => {}
        }
        self.rope_scaling.as_ref().map_or(Ok(()), |scaling| scaling.check(self.head_dim / 2))
    }

    /// YaRN, if frequencies are stretched that way.
    pub fn yarn(&self) -> Option<&YarnScaling> {
        match &self.rope_scaling {
            Some(RopeScaling::Yarn(yarn)) => Some(yarn),
            _ => None,
        }
    }

    /// Number of layers that slide.
    pub fn sliding_layers(&self) -> usize {
        let slides = |kind: &&LayerType| **kind == LayerType::SlidingAttention;
        self.layer_types.iter().filter(slides).count()
    }
}

impl RopeScaling {
    /// `half` is the number of frequencies.
    fn check(&self, half: usize) -> Result<(), ConfigProblem> {
        match self {
            RopeScaling::Yarn(yarn) => yarn.check(),
            RopeScaling::Linear { factor } => at_least_one(*factor),
            RopeScaling::Llama3(scaling) => scaling.check(),
            RopeScaling::Divisors(divisors) => {
                if divisors.len() != half {
                    let expected = format!("{half} divisors, one a frequency");
                    return Err(problem("rope_scaling", expected, divisors.len()));
                }
                divisors.iter().try_for_each(|x| positive("rope_scaling", f64::from(*x), 0.0))
            }
        }
    }
}

impl Llama3Scaling {
    fn check(&self) -> Result<(), ConfigProblem> {
        at_least_one(self.factor)?;
        positive("low_freq_factor", self.low_freq_factor, 0.0)?;
        positive("high_freq_factor", self.high_freq_factor, self.low_freq_factor)?;
        original_context(self.original_max_position_embeddings)
    }
}

impl YarnScaling {
    fn check(&self) -> Result<(), ConfigProblem> {
        at_least_one(self.factor)?;
        positive("beta_slow", self.beta_slow, 0.0)?;
        positive("beta_fast", self.beta_fast, self.beta_slow)?;
        original_context(self.original_max_position_embeddings)
    }
}

fn at_least_one(factor: f64) -> Result<(), ConfigProblem> {
    match factor.is_finite() && factor >= 1.0 {
        true => Ok(()),
        false => Err(problem("factor", "a number of at least 1".to_owned(), factor)),
    }
}

fn original_context(tokens: usize) -> Result<(), ConfigProblem> {
    match tokens {
        1..=0x0100_0000 => Ok(()),
        n => Err(problem("original_max_position_embeddings", "1 to 16777216".to_owned(), n)),
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
