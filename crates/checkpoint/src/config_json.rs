//! `config.json` of gpt-oss in the Hugging Face layout and in OpenAI's `original/` layout, and
//! which kind of `config.json` a file is.
//!
//! Source of the defaults: `GptOssConfig` of transformers (configuration_gpt_oss.py) and
//! `ModelConfig` of openai/gpt-oss (gpt_oss/torch/model.py). Numbers that shape tensors have no
//! default here.

use std::path::Path;

use serde_json::Value;

use crate::config::{Architecture, LayerType, ModelConfig, RopeScaling, YarnScaling};
use crate::config_llama;
use crate::error::{CheckpointError, Place};
use crate::fields::Fields;

/// What the files of the architecture mean when they do not say: sliding layers see 128 keys.
pub(crate) const SLIDING_WINDOW: usize = 128;
/// Epsilon of RMSNorm when not said.
pub(crate) const RMS_NORM_EPS: f64 = 1e-5;
/// Base of the rotary frequencies when not said.
pub(crate) const ROPE_THETA: f64 = 150_000.0;
/// Bound of the SwiGLU inputs when not said.
pub(crate) const SWIGLU_LIMIT: f64 = 7.0;
/// YaRN when a file does not say: no setting means this one, and not plain rotary embeddings.
pub(crate) const YARN: YarnScaling = YarnScaling {
    factor: 32.0,
    beta_fast: 32.0,
    beta_slow: 1.0,
    original_max_position_embeddings: 4096,
    truncate: false,
};

/// Which kind of `config.json` a file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dialect {
    /// gpt-oss for transformers.
    HuggingFace,
    /// LLaMA for transformers.
    Llama,
    /// Mistral for transformers.
    Mistral,
    /// The fields of openai/gpt-oss and nothing else.
    Original,
}

/// The configuration in a parsed `config.json`. `file` is used for messages only.
pub(crate) fn parse(file: &Path, json: &Value) -> Result<(Dialect, ModelConfig), CheckpointError> {
    let fields = Fields::of(file, json)?;
    let dialect = dialect(&fields)?;
    let config = match dialect {
        Dialect::HuggingFace => hugging_face(&fields)?,
        Dialect::Llama => config_llama::llama(&fields)?,
        Dialect::Mistral => config_llama::mistral(&fields)?,
        Dialect::Original => original(&fields)?,
    };
    config.check().map_err(|problem| CheckpointError::Invalid {
        file: file.to_path_buf(),
        place: Place::Field(spelled(problem.field, dialect).to_owned()),
        expected: problem.expected,
        found: problem.found,
    })?;
    Ok((dialect, config))
}

/// A field as the file spells it.
fn spelled(field: &'static str, dialect: Dialect) -> &'static str {
    match (field, dialect) {
        ("num_local_experts", Dialect::Original) => "num_experts",
        ("num_experts_per_tok", Dialect::Original) => "experts_per_token",
        ("factor", Dialect::Original) => "rope_scaling_factor",
        ("beta_fast", Dialect::Original) => "rope_ntk_beta",
        ("beta_slow", Dialect::Original) => "rope_ntk_alpha",
        ("original_max_position_embeddings", Dialect::Original) => "initial_context_length",
        (other, _) => other,
    }
}

/// Sliding attention on the even layers, full attention on the odd ones.
pub(crate) fn alternating(layers: usize) -> Vec<LayerType> {
    let kinds = [LayerType::SlidingAttention, LayerType::FullAttention];
    kinds.into_iter().cycle().take(layers).collect()
}

fn dialect(fields: &Fields) -> Result<Dialect, CheckpointError> {
    let unknown = |field: &str, found: &str| CheckpointError::UnknownArchitecture {
        file: fields.file.to_path_buf(),
        place: Place::Field(field.to_owned()),
        found: crate::error::printable(found),
        known: "model_type gpt_oss, llama or mistral",
    };
    if let Some(model_type) = fields.string("model_type")? {
        return match model_type {
            "gpt_oss" => Ok(Dialect::HuggingFace),
            "llama" => Ok(Dialect::Llama),
            "mistral" => Ok(Dialect::Mistral),
            other => Err(unknown("model_type", other)),
        };
    }
    match fields.get("architectures").and_then(|names| names.get(0)).and_then(Value::as_str) {
        Some("GptOssForCausalLM") => Ok(Dialect::HuggingFace),
        Some("LlamaForCausalLM") => Ok(Dialect::Llama),
        Some("MistralForCausalLM") => Ok(Dialect::Mistral),
        Some(other) => Err(unknown("architectures", other)),
        None if fields.get("num_experts").is_some() => Ok(Dialect::Original),
        None => Err(fields.invalid("model_type", "gpt_oss, llama or mistral", "nothing")),
    }
}

fn hugging_face(fields: &Fields) -> Result<ModelConfig, CheckpointError> {
    refuse_unless(fields, "tie_word_embeddings", &Value::Bool(false))?;
    refuse_unless(fields, "attention_bias", &Value::Bool(true))?;
    refuse_unless(fields, "hidden_act", &Value::from("silu"))?;
    if let Some(quantization) = fields.object("quantization_config")? {
        refuse_unless(&quantization, "quant_method", &Value::from("mxfp4"))?;
    }
    let layers = fields.required_count("num_hidden_layers")?;
    let initial = fields.count("initial_context_length")?;
    let usual = (ROPE_THETA, Some(RopeScaling::Yarn(YARN)));
    let (rope_theta, rope_scaling) = rope(fields, usual, |rope| rope_kind(rope, initial))?;
    let max_position_embeddings = match fields.count("max_position_embeddings")? {
        Some(n) => n,
        None => extended(fields, rope_scaling.as_ref())?,
    };
    Ok(ModelConfig {
        architecture: Architecture::GptOss,
        vocab_size: fields.required_count("vocab_size")?,
        hidden_size: fields.required_count("hidden_size")?,
        intermediate_size: fields.required_count("intermediate_size")?,
        num_hidden_layers: layers,
        num_attention_heads: fields.required_count("num_attention_heads")?,
        num_key_value_heads: fields.required_count("num_key_value_heads")?,
        head_dim: fields.required_count("head_dim")?,
        num_local_experts: fields.required_count("num_local_experts")?,
        num_experts_per_tok: experts_per_token(fields)?,
        sliding_window: fields.count("sliding_window")?.unwrap_or(SLIDING_WINDOW),
        layer_types: layer_types(fields, alternating(layers.min(LAYERS_MAX)))?,
        rms_norm_eps: fields.number("rms_norm_eps")?.unwrap_or(RMS_NORM_EPS),
        rope_theta,
        rope_scaling,
        swiglu_limit: Some(fields.number("swiglu_limit")?.unwrap_or(SWIGLU_LIMIT)),
        tie_word_embeddings: false,
        max_position_embeddings,
    })
}

fn original(fields: &Fields) -> Result<ModelConfig, CheckpointError> {
    let layers = fields.required_count("num_hidden_layers")?;
    let initial =
        fields.count("initial_context_length")?.unwrap_or(YARN.original_max_position_embeddings);
    let factor = fields.number("rope_scaling_factor")?.unwrap_or(YARN.factor);
    // openai/gpt-oss, RotaryEmbedding: a factor of at most 1 means plain rotary embeddings.
    let rope_scaling = if factor > 1.0 {
        Some(RopeScaling::Yarn(YarnScaling {
            factor,
            beta_fast: fields.number("rope_ntk_beta")?.unwrap_or(YARN.beta_fast),
            beta_slow: fields.number("rope_ntk_alpha")?.unwrap_or(YARN.beta_slow),
            original_max_position_embeddings: initial,
            truncate: false,
        }))
    } else {
        None
    };
    Ok(ModelConfig {
        architecture: Architecture::GptOss,
        vocab_size: fields.required_count("vocab_size")?,
        hidden_size: fields.required_count("hidden_size")?,
        intermediate_size: fields.required_count("intermediate_size")?,
        num_hidden_layers: layers,
        num_attention_heads: fields.required_count("num_attention_heads")?,
        num_key_value_heads: fields.required_count("num_key_value_heads")?,
        head_dim: fields.required_count("head_dim")?,
        num_local_experts: fields.required_count("num_experts")?,
        num_experts_per_tok: fields.required_count("experts_per_token")?,
        sliding_window: fields.count("sliding_window")?.unwrap_or(SLIDING_WINDOW),
        layer_types: alternating(layers.min(LAYERS_MAX)),
        rms_norm_eps: RMS_NORM_EPS,
        rope_theta: fields.number("rope_theta")?.unwrap_or(ROPE_THETA),
        rope_scaling,
        swiglu_limit: Some(fields.number("swiglu_limit")?.unwrap_or(SWIGLU_LIMIT)),
        tie_word_embeddings: false,
        max_position_embeddings: (initial as f64 * factor.max(1.0)) as usize,
    })
}

/// Enough for a list of layer types that [`ModelConfig::check`] refuses as too long.
pub(crate) const LAYERS_MAX: usize = 1 << 11;

pub(crate) fn refuse_unless(
    fields: &Fields,
    field: &str,
    only: &Value,
) -> Result<(), CheckpointError> {
    match fields.get(field) {
        Some(value) if value != only => {
            Err(fields.unsupported(field, format!("{}; only {only} is", Fields::describe(value))))
        }
        _ => Ok(()),
    }
}

/// The number of experts a token is sent to; files spell it in two ways, or both.
fn experts_per_token(fields: &Fields) -> Result<usize, CheckpointError> {
    let a = fields.count("num_experts_per_tok")?;
    let b = fields.count("experts_per_token")?;
    match (a, b) {
        (Some(a), Some(b)) if a != b => Err(fields.invalid(
            "experts_per_token",
            &format!("{a}, as in num_experts_per_tok"),
            &b.to_string(),
        )),
        (None, None) => fields.required_count("num_experts_per_tok"),
        (a, b) => Ok(a.or(b).expect("one of them is there")),
    }
}

/// `layer_types`, or `usual` if the file has none.
pub(crate) fn layer_types(
    fields: &Fields,
    usual: Vec<LayerType>,
) -> Result<Vec<LayerType>, CheckpointError> {
    let Some(value) = fields.get("layer_types") else { return Ok(usual) };
    let Some(names) = value.as_array() else {
        return Err(fields.invalid("layer_types", "a list", &Fields::describe(value)));
    };
    let kind = |name: &Value| match name.as_str() {
        Some("sliding_attention") => Ok(LayerType::SlidingAttention),
        Some("full_attention") => Ok(LayerType::FullAttention),
        _ => {
            let what = "; only \"sliding_attention\" and \"full_attention\" are";
            Err(fields.unsupported("layer_types", Fields::describe(name) + what))
        }
    };
    names.iter().take(LAYERS_MAX).map(kind).collect()
}

/// Base and scaling of the rotary embeddings; `usual` if the file says neither, `kind` reads an
/// object that does.
///
/// transformers 4 has `rope_scaling` and `rope_theta`, transformers 5 puts both into
/// `rope_parameters`; a file may hold both spellings if they agree. `null` counts as missing, as
/// in transformers 5.
pub(crate) fn rope(
    fields: &Fields,
    usual: (f64, Option<RopeScaling>),
    kind: impl Fn(&Fields) -> Result<Option<RopeScaling>, CheckpointError>,
) -> Result<(f64, Option<RopeScaling>), CheckpointError> {
    let top_theta = fields.number("rope_theta")?;
    let mut theta = top_theta.unwrap_or(usual.0);
    let mut scaling: Option<Option<RopeScaling>> = None;
    for name in ["rope_scaling", "rope_parameters"] {
        let Some(rope) = fields.object(name)? else { continue };
        if let Some(inner) = rope.number("rope_theta")? {
            if let Some(top) = top_theta.filter(|top| *top != inner) {
                let expected = format!("{top}, as in `rope_theta` of the file");
                return Err(rope.invalid("rope_theta", &expected, &inner.to_string()));
            }
            theta = inner;
        }
        let parsed = kind(&rope)?;
        if scaling.as_ref().is_some_and(|other| *other != parsed) {
            return Err(fields.invalid(name, "the same as `rope_scaling`", "another setting"));
        }
        scaling = Some(parsed);
    }
    Ok((theta, scaling.unwrap_or(usual.1)))
}

/// The name of the scaling, `rope_type` or its older spelling `type`; heads must turn as a whole.
pub(crate) fn rope_type<'a>(rope: &Fields<'a>) -> Result<Option<&'a str>, CheckpointError> {
    if let Some(part) = rope.number("partial_rotary_factor")?.filter(|part| *part != 1.0) {
        return Err(rope.unsupported("partial_rotary_factor", format!("{part}; only 1 is")));
    }
    match rope.string("rope_type")? {
        Some(kind) => Ok(Some(kind)),
        None => rope.string("type"),
    }
}

fn rope_kind(
    rope: &Fields,
    initial: Option<usize>,
) -> Result<Option<RopeScaling>, CheckpointError> {
    match rope_type(rope)? {
        Some("default") => return Ok(None),
        Some("yarn") => {}
        Some(other) => {
            let what = format!("`{}`; only yarn and default are", crate::error::printable(other));
            return Err(rope.unsupported("rope_type", what));
        }
        None => return Err(rope.invalid("rope_type", "yarn or default", "nothing")),
    }
    for field in ["mscale", "mscale_all_dim"] {
        refuse_unless(rope, field, &Value::Null)?;
    }
    let Some(factor) = rope.number("factor")? else {
        return Err(rope.invalid("factor", "a number", "nothing"));
    };
    // YaRN's own choice (arXiv:2309.00071, section 3.4) is the only one that gpt-oss uses.
    if let Some(attention) = rope.number("attention_factor")? {
        let usual = 0.1 * factor.ln() + 1.0;
        if (attention - usual).abs() > 1e-6 {
            let what = format!("{attention}; only 0.1 ln(factor) + 1 = {usual} is");
            return Err(rope.unsupported("attention_factor", what));
        }
    }
    let original = match rope.count("original_max_position_embeddings")?.or(initial) {
        Some(n) => n,
        None => rope.required_count("original_max_position_embeddings")?,
    };
    Ok(Some(RopeScaling::Yarn(YarnScaling {
        factor,
        beta_fast: rope.number("beta_fast")?.unwrap_or(YARN.beta_fast),
        beta_slow: rope.number("beta_slow")?.unwrap_or(YARN.beta_slow),
        original_max_position_embeddings: original,
        // transformers rounds unless told not to; every published gpt-oss file says false.
        truncate: rope.flag("truncate")?.unwrap_or(true),
    })))
}

/// The longest sequence when the file does not say it: the extended context.
fn extended(fields: &Fields, scaling: Option<&RopeScaling>) -> Result<usize, CheckpointError> {
    match scaling {
        Some(RopeScaling::Yarn(yarn)) => {
            Ok((yarn.original_max_position_embeddings as f64 * yarn.factor) as usize)
        }
        _ => fields.required_count("max_position_embeddings"),
    }
}
