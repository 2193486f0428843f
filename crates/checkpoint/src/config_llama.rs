//! `config.json` of LLaMA and Mistral for transformers.
//!
//! Source of the defaults: `LlamaConfig` and `MistralConfig` of transformers
//! (configuration_llama.py, configuration_mistral.py). Numbers that shape tensors have no default
//! here but those that follow from others.

use serde_json::Value;

use crate::config::{Architecture, LayerType, Llama3Scaling, ModelConfig, RopeScaling};
use crate::config_json::{LAYERS_MAX, layer_types, refuse_unless, rope, rope_type};
use crate::error::{CheckpointError, printable};
use crate::fields::Fields;

/// Base of the rotary frequencies when not said.
pub(crate) const ROPE_THETA: f64 = 10_000.0;
/// Epsilon of RMSNorm when not said.
const RMS_NORM_EPS: f64 = 1e-6;
/// What Mistral's files mean when they do not say; `null` means that no layer slides.
const MISTRAL_WINDOW: usize = 4096;

/// The configuration of a file whose model type is `llama`.
pub(crate) fn llama(fields: &Fields) -> Result<ModelConfig, CheckpointError> {
    // transformers does not read it for this type.
    refuse_unless(fields, "sliding_window", &Value::Null)?;
    refuse_unless(fields, "attention_bias", &Value::Bool(false))?;
    refuse_unless(fields, "mlp_bias", &Value::Bool(false))?;
    dense(fields, None)
}

/// The configuration of a file whose model type is `mistral`.
pub(crate) fn mistral(fields: &Fields) -> Result<ModelConfig, CheckpointError> {
    let window = match fields.has("sliding_window") {
        true => fields.count("sliding_window")?,
        false => Some(MISTRAL_WINDOW),
    };
    dense(fields, window)
}

/// What both types have in common; all layers slide if there is a window.
fn dense(fields: &Fields, window: Option<usize>) -> Result<ModelConfig, CheckpointError> {
    refuse_unless(fields, "hidden_act", &Value::from("silu"))?;
    if let Some(quantization) = fields.object("quantization_config")? {
        let method = quantization.string("quant_method")?.unwrap_or("unnamed");
        let what = format!("{}; plain weights and GGUF files are", printable(method));
        return Err(quantization.unsupported("quant_method", what));
    }
    let layers = fields.required_count("num_hidden_layers")?;
    let heads = fields.required_count("num_attention_heads")?;
    let hidden_size = fields.required_count("hidden_size")?;
    let longest = fields.required_count("max_position_embeddings")?;
    let (rope_theta, rope_scaling) = rope(fields, (ROPE_THETA, None), scaling)?;
    let kind = match window {
        Some(_) => LayerType::SlidingAttention,
        None => LayerType::FullAttention,
    };
    let layer_types = layer_types(fields, vec![kind; layers.min(LAYERS_MAX)])?;
    if window.is_none() && layer_types.contains(&LayerType::SlidingAttention) {
        return Err(fields.invalid("sliding_window", "a number, as layers slide", "nothing"));
    }
    Ok(ModelConfig {
        architecture: Architecture::Llama,
        vocab_size: fields.required_count("vocab_size")?,
        hidden_size,
        intermediate_size: fields.required_count("intermediate_size")?,
        num_hidden_layers: layers,
        num_attention_heads: heads,
        num_key_value_heads: fields.count("num_key_value_heads")?.unwrap_or(heads),
        head_dim: match fields.count("head_dim")? {
            Some(n) => n,
            None => head_dim(fields, hidden_size, heads)?,
        },
        num_local_experts: 1,
        num_experts_per_tok: 1,
        sliding_window: window.unwrap_or(longest),
        layer_types,
        rms_norm_eps: fields.number("rms_norm_eps")?.unwrap_or(RMS_NORM_EPS),
        rope_theta,
        rope_scaling,
        swiglu_limit: None,
        tie_word_embeddings: fields.flag("tie_word_embeddings")?.unwrap_or(false),
        max_position_embeddings: longest,
    })
}

/// D / H, which must be whole.
fn head_dim(fields: &Fields, hidden: usize, heads: usize) -> Result<usize, CheckpointError> {
    match heads > 0 && hidden.is_multiple_of(heads) {
        true => Ok(hidden / heads),
        false => {
            let expected = format!("a divisor of hidden_size {hidden}, as head_dim is not said");
            Err(fields.invalid("num_attention_heads", &expected, &heads.to_string()))
        }
    }
}

fn scaling(rope: &Fields) -> Result<Option<RopeScaling>, CheckpointError> {
    let number = |field: &str| match rope.number(field)? {
        Some(x) => Ok(x),
        None => Err(rope.invalid(field, "a number", "nothing")),
    };
    match rope_type(rope)? {
        // transformers 5 writes the base of the frequencies into an object of its own.
        None | Some("default") => Ok(None),
        Some("linear") => Ok(Some(RopeScaling::Linear { factor: number("factor")? })),
        Some("llama3") => Ok(Some(RopeScaling::Llama3(Llama3Scaling {
            factor: number("factor")?,
            low_freq_factor: number("low_freq_factor")?,
            high_freq_factor: number("high_freq_factor")?,
            original_max_position_embeddings: rope
                .required_count("original_max_position_embeddings")?,
        }))),
        Some(other) => {
            let what = format!("`{}`; only default, linear and llama3 are", printable(other));
            Err(rope.unsupported("rope_type", what))
        }
    }
}
