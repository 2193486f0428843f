//! The small files beside the weights, as the published models have them.
//!
//! Source of the fields: `config.json`, `generation_config.json` and `original/config.json` of
//! openai/gpt-oss-20b; `config.json` of meta-llama/Meta-Llama-3-8B and mistralai/Mistral-7B-v0.1.

use std::path::Path;

use serde_json::{Value, json};

use super::{SynthError, Synthesis};
use crate::config::{Architecture, LayerType, ModelConfig, RopeScaling};
use crate::config_json;
use crate::tokenizer::O200K_HARMONY_TOKENS;

/// Tokens of o200k_harmony that `generation_config.json` names.
pub(super) const BOS: u32 = 199_998;
pub(super) const PADDING: u32 = 199_999;
pub(super) const EOS: [u32; 3] = [200_002, 199_999, 200_012];

/// What marks a file as made here; the folder's README has it too.
pub(super) const MARK: &str = "gptoss.synthetic";

/// `config.json` for transformers.
pub(super) fn hugging_face(config: &ModelConfig) -> Value {
    match config.architecture {
        Architecture::GptOss => gpt_oss(config),
        Architecture::Llama => llama(config),
    }
}

/// LLaMA's, or Mistral's if layers slide.
fn llama(config: &ModelConfig) -> Value {
    let (class, model_type) = match config.sliding_layers() {
        0 => ("LlamaForCausalLM", "llama"),
        _ => ("MistralForCausalLM", "mistral"),
    };
    let mut fields = json!({
        "architectures": [class],
        "attention_dropout": 0.0,
        "head_dim": config.head_dim,
        "hidden_act": "silu",
        "hidden_size": config.hidden_size,
        "initializer_range": 0.02,
        "intermediate_size": config.intermediate_size,
        "max_position_embeddings": config.max_position_embeddings,
        "model_type": model_type,
        "num_attention_heads": config.num_attention_heads,
        "num_hidden_layers": config.num_hidden_layers,
        "num_key_value_heads": config.num_key_value_heads,
        "rms_norm_eps": config.rms_norm_eps,
        "rope_scaling": rope_scaling(config),
        "rope_theta": number(config.rope_theta),
        "tie_word_embeddings": config.tie_word_embeddings,
        "torch_dtype": "bfloat16",
        "use_cache": true,
        "vocab_size": config.vocab_size,
    });
    if config.sliding_layers() > 0 {
        fields["sliding_window"] = json!(config.sliding_window);
    } else {
        fields["attention_bias"] = json!(false);
        fields["mlp_bias"] = json!(false);
    }
    fields
}

fn rope_scaling(config: &ModelConfig) -> Value {
    match &config.rope_scaling {
        Some(RopeScaling::Yarn(yarn)) => json!({
            "beta_fast": yarn.beta_fast,
            "beta_slow": yarn.beta_slow,
            "factor": yarn.factor,
            "original_max_position_embeddings": yarn.original_max_position_embeddings,
            "rope_type": "yarn",
            "truncate": yarn.truncate,
        }),
        Some(RopeScaling::Linear { factor }) => json!({ "factor": factor, "rope_type": "linear" }),
        Some(RopeScaling::Llama3(llama3)) => json!({
            "factor": llama3.factor,
            "high_freq_factor": llama3.high_freq_factor,
            "low_freq_factor": llama3.low_freq_factor,
            "original_max_position_embeddings": llama3.original_max_position_embeddings,
            "rope_type": "llama3",
        }),
        // Divisors have no words here; reading this again finds that they are lost.
        Some(RopeScaling::Divisors(_)) | None => json!({ "rope_type": "default" }),
    }
}

fn gpt_oss(config: &ModelConfig) -> Value {
    let layer_types: Vec<&str> = config
        .layer_types
        .iter()
        .map(|kind| match kind {
            LayerType::SlidingAttention => "sliding_attention",
            LayerType::FullAttention => "full_attention",
        })
        .collect();
    let mut fields = json!({
        "architectures": ["GptOssForCausalLM"],
        "attention_bias": true,
        "attention_dropout": 0.0,
        "experts_per_token": config.num_experts_per_tok,
        "head_dim": config.head_dim,
        "hidden_act": "silu",
        "hidden_size": config.hidden_size,
        "initial_context_length": initial_context(config),
        "initializer_range": 0.02,
        "intermediate_size": config.intermediate_size,
        "layer_types": layer_types,
        "max_position_embeddings": config.max_position_embeddings,
        "model_type": "gpt_oss",
        "num_attention_heads": config.num_attention_heads,
        "num_experts_per_tok": config.num_experts_per_tok,
        "num_hidden_layers": config.num_hidden_layers,
        "num_key_value_heads": config.num_key_value_heads,
        "num_local_experts": config.num_local_experts,
        "output_router_logits": false,
        "quantization_config": {
            "modules_to_not_convert": [
                "model.layers.*.self_attn",
                "model.layers.*.mlp.router",
                "model.embed_tokens",
                "lm_head",
            ],
            "quant_method": "mxfp4",
        },
        "rms_norm_eps": config.rms_norm_eps,
        "rope_scaling": rope_scaling(config),
        "rope_theta": number(config.rope_theta),
        "router_aux_loss_coef": 0.9,
        "sliding_window": config.sliding_window,
        "swiglu_limit": config.swiglu_limit,
        "tie_word_embeddings": false,
        "transformers_version": "4.55.0.dev0",
        "use_cache": true,
        "vocab_size": config.vocab_size,
    });
    if config.vocab_size == O200K_HARMONY_TOKENS {
        fields["eos_token_id"] = json!(EOS[0]);
        fields["pad_token_id"] = json!(PADDING);
    }
    fields
}

/// `generation_config.json`, for models with the tokenizer of the published ones.
pub(super) fn generation(config: &ModelConfig) -> Option<Value> {
    (config.vocab_size == O200K_HARMONY_TOKENS).then(|| {
        json!({
            "bos_token_id": BOS,
            "do_sample": true,
            "eos_token_id": EOS,
            "pad_token_id": PADDING,
            "transformers_version": "4.55.0.dev0",
        })
    })
}

/// `config.json` of the `original/` folder.
pub(super) fn original(config: &ModelConfig) -> Value {
    let yarn = config.yarn();
    json!({
        "num_hidden_layers": config.num_hidden_layers,
        "num_experts": config.num_local_experts,
        "experts_per_token": config.num_experts_per_tok,
        "vocab_size": config.vocab_size,
        "hidden_size": config.hidden_size,
        "intermediate_size": config.intermediate_size,
        "swiglu_limit": config.swiglu_limit,
        "head_dim": config.head_dim,
        "num_attention_heads": config.num_attention_heads,
        "num_key_value_heads": config.num_key_value_heads,
        "sliding_window": config.sliding_window,
        "initial_context_length": initial_context(config),
        "rope_theta": number(config.rope_theta),
        "rope_scaling_factor": yarn.map_or(1.0, |yarn| yarn.factor),
        "rope_ntk_alpha": yarn.map_or(1.0, |yarn| yarn.beta_slow),
        "rope_ntk_beta": yarn.map_or(32.0, |yarn| yarn.beta_fast),
    })
}

/// Checks that `json`, read again, is the configuration.
pub(super) fn check(
    layout: &'static str,
    config: &ModelConfig,
    json: &Value,
) -> Result<(), SynthError> {
    let read = config_json::parse(Path::new("config.json"), json).map(|(_, read)| read);
    let lost = |field, expected: String, found: String| {
        Err(SynthError::Shape { layout, field, expected, found })
    };
    let Ok(read) = read else {
        let expected = "a configuration that can be read again".to_owned();
        return lost("vocab_size", expected, config.vocab_size.to_string());
    };
    if read.layer_types != config.layer_types {
        let found = "another order".to_owned();
        return lost("layer_types", "sliding and full layers in turn".to_owned(), found);
    }
    for (field, expected, found) in [
        ("rms_norm_eps", read.rms_norm_eps, config.rms_norm_eps),
        (
            "max_position_embeddings",
            read.max_position_embeddings as f64,
            config.max_position_embeddings as f64,
        ),
    ] {
        if expected != found {
            return lost(field, expected.to_string(), found.to_string());
        }
    }
    if read.rope_scaling != config.rope_scaling {
        let found = format!("{:?}", config.rope_scaling);
        return lost("rope_scaling", format!("{:?}", read.rope_scaling), found);
    }
    match read == *config {
        true => Ok(()),
        false => lost("config", format!("{read:?}"), format!("{config:?}")),
    }
}

/// Context before it is extended.
fn initial_context(config: &ModelConfig) -> usize {
    let yarn = config.yarn();
    yarn.map_or(config.max_position_embeddings, |yarn| yarn.original_max_position_embeddings)
}

/// A number as the published files write it: whole ones without a point.
fn number(value: f64) -> Value {
    match value.fract() == 0.0 && value.abs() < 9e15 {
        true => json!(value as i64),
        false => json!(value),
    }
}

/// What the weights are, in one line.
pub(super) fn description(synthesis: &Synthesis) -> String {
    format!("random weights in the shape of {}, seed {}", synthesis.name, synthesis.seed)
}

/// The README.md of a folder.
pub(super) fn readme(synthesis: &Synthesis) -> String {
    let (name, seed) = (synthesis.name, synthesis.seed);
    format!(
        "# {name}, random weights\n\n\
         This is not a trained model: its weights are random numbers, and what it writes is \
         noise.\n\
         It has the files, shapes and formats of {name}, and is there to measure speed and \
         memory and to test programs.\n\n\
         {MARK}: seed {seed}\n\n\
         Made by `gptoss synth`, version {}; the same seed gives the same weights in every \
         layout.\n",
        env!("CARGO_PKG_VERSION"),
    )
}
