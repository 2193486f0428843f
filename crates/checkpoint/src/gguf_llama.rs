//! The configuration in a GGUF file of the llama architecture, which LLaMA and Mistral share.
//!
//! Source of keys and defaults: src/llama-model.cpp and convert_hf_to_gguf.py of llama.cpp.

use crate::config::{Architecture, LayerType, ModelConfig, RopeScaling};
use crate::config_json::LAYERS_MAX;
use crate::config_llama::ROPE_THETA;
use crate::error::{CheckpointError, printable};
use crate::gguf_config::{Keys, axis};
use crate::tensors::TensorTable;

/// What frequencies are divided by, if the file has it.
const DIVISORS: &str = "rope_freqs.weight";

/// Reads the configuration, and takes the divisors of the rotary frequencies out of the table.
pub(crate) fn config(keys: &Keys, table: &mut TensorTable) -> Result<ModelConfig, CheckpointError> {
    if let Some(experts) = keys.count("expert_count")?.filter(|n| *n > 0) {
        let what = format!("{experts} experts; dense models are");
        return Err(keys.unsupported("expert_count", what));
    }
    const CAUSAL: &str = "attention.causal";
    if keys.metadata.flag(&keys.key(CAUSAL))? == Some(false) {
        return Err(keys.unsupported(CAUSAL, "false; only true is".to_owned()));
    }
    let layers = keys.required("block_count")?;
    let heads = keys.required("attention.head_count")?;
    let hidden_size = keys.required("embedding_length")?;
    let head_dim = head_dim(keys, hidden_size, heads)?;
    let longest = keys.required("context_length")?;
    let window = keys.count("attention.sliding_window")?;
    const EPS: &str = "attention.layer_norm_rms_epsilon";
    let Some(rms_norm_eps) = keys.number(EPS)? else {
        return Err(keys.invalid(EPS, "a number", "nothing".to_owned()));
    };
    let kind = match window {
        Some(_) => LayerType::SlidingAttention,
        None => LayerType::FullAttention,
    };
    Ok(ModelConfig {
        architecture: Architecture::Llama,
        vocab_size: axis(table, "token_embd.weight", 0)?,
        hidden_size,
        intermediate_size: keys.required("feed_forward_length")?,
        num_hidden_layers: layers,
        num_attention_heads: heads,
        num_key_value_heads: keys.count("attention.head_count_kv")?.unwrap_or(heads),
        head_dim,
        num_local_experts: 1,
        num_experts_per_tok: 1,
        sliding_window: window.unwrap_or(longest),
        layer_types: vec![kind; layers.min(LAYERS_MAX)],
        rms_norm_eps,
        rope_theta: keys.number("rope.freq_base")?.unwrap_or(ROPE_THETA),
        rope_scaling: scaling(keys, table, head_dim)?,
        swiglu_limit: None,
        tie_word_embeddings: !table.contains("output.weight"),
        max_position_embeddings: longest,
    })
}

/// As the file says, else D / H, which must be whole.
fn head_dim(keys: &Keys, hidden: usize, heads: usize) -> Result<usize, CheckpointError> {
    match keys.count("attention.key_length")? {
        Some(n) => Ok(n),
        None if heads > 0 && hidden.is_multiple_of(heads) => Ok(hidden / heads),
        None => {
            let expected = format!("a divisor of embedding_length {hidden}");
            Err(keys.invalid("attention.head_count", &expected, heads.to_string()))
        }
    }
}

/// How frequencies are stretched. A factor without a type means linear, as does the older key.
fn scaling(
    keys: &Keys,
    table: &mut TensorTable,
    head_dim: usize,
) -> Result<Option<RopeScaling>, CheckpointError> {
    const TYPE: &str = "rope.scaling.type";
    let factor = match keys.number("rope.scaling.factor")? {
        Some(factor) => Some(factor),
        None => keys.number("rope.scale_linear")?,
    };
    // llama.cpp reads 0 as 1.
    let factor = factor.filter(|factor| *factor != 0.0 && *factor != 1.0);
    let linear = match keys.metadata.string(&keys.key(TYPE))? {
        None | Some("linear") => factor.map(|factor| RopeScaling::Linear { factor }),
        Some("none") => None,
        Some(other) => {
            let what = format!("`{}`; only linear and none are", printable(other));
            return Err(keys.unsupported(TYPE, what));
        }
    };
    if !table.contains(DIVISORS) {
        return Ok(linear);
    }
    if linear.is_some() {
        let what = format!("linear together with the tensor {DIVISORS}");
        return Err(keys.unsupported(TYPE, what));
    }
    Ok(Some(RopeScaling::Divisors(table.vector(DIVISORS, &[head_dim / 2])?)))
}
