//! Models by name, as shapes without weights.
//!
//! Source of gpt-oss's published ones: gpt_oss/torch/model.py of openai/gpt-oss and the model card;
//! of the dense ones: `config.json` of mistralai/Mistral-7B-v0.1, meta-llama/Meta-Llama-3-8B,
//! deepseek-ai/deepseek-coder-6.7b-base and HuggingFaceTB/SmolLM2-135M.

use crate::config::{Architecture, LayerType, ModelConfig, RopeScaling};
use crate::config_json::{
    RMS_NORM_EPS, ROPE_THETA, SLIDING_WINDOW, SWIGLU_LIMIT, YARN, alternating,
};
use crate::tokenizer::O200K_HARMONY_TOKENS;

/// A shape with a name.
#[derive(Clone, Debug, PartialEq)]
pub struct Preset {
    /// The name, such as `gpt-oss-20b`.
    pub name: &'static str,
    /// Whose choice the numbers are.
    pub note: &'static str,
    /// The shape.
    pub config: ModelConfig,
}

/// All presets: gpt-oss, then the dense models, each the smallest last.
pub fn all() -> Vec<Preset> {
    let mut presets = gpt_oss();
    presets.extend(dense());
    presets
}

fn gpt_oss() -> Vec<Preset> {
    let published = "published by OpenAI";
    let compact = "a compact size of the family; dimensions chosen by this project";
    vec![
        Preset { name: "gpt-oss-120b", note: published, config: shape(36, 2880, 128, 64) },
        Preset { name: "gpt-oss-20b", note: published, config: shape(24, 2880, 32, 64) },
        Preset { name: "gpt-oss-3.6b", note: compact, config: shape(24, 1152, 32, 32) },
        Preset { name: "gpt-oss-1b", note: compact, config: shape(18, 640, 32, 16) },
    ]
}

fn dense() -> Vec<Preset> {
    let llama = Dense { vocab: 128_256, mlp: 14_336, kv_heads: 8, context: 8192, ..LARGE };
    let mistral = Dense { vocab: 32_000, context: 32_768, ..llama };
    let deepseek = Dense { vocab: 32_256, mlp: 11_008, kv_heads: 32, context: 16_384, ..LARGE };
    let smollm = Dense {
        vocab: 49_152,
        width: 576,
        mlp: 1536,
        layers: 30,
        heads: 9,
        kv_heads: 3,
        head_dim: 64,
        context: 8192,
    };
    let preset = |name, note, config| Preset { name, note, config };
    vec![
        preset(
            "llama-3-8b",
            "published by Meta",
            ModelConfig { rope_theta: 500_000.0, ..llama.config() },
        ),
        preset(
            "mistral-7b",
            "version 0.1, published by Mistral AI",
            ModelConfig {
                sliding_window: 4096,
                layer_types: vec![LayerType::SlidingAttention; mistral.layers],
                ..mistral.config()
            },
        ),
        preset(
            "deepseek-coder-6.7b",
            "published by DeepSeek",
            ModelConfig {
                rope_theta: 100_000.0,
                rope_scaling: Some(RopeScaling::Linear { factor: 4.0 }),
                rms_norm_eps: 1e-6,
                ..deepseek.config()
            },
        ),
        preset(
            "smollm2-135m",
            "published by Hugging Face",
            ModelConfig { rope_theta: 100_000.0, tie_word_embeddings: true, ..smollm.config() },
        ),
    ]
}

/// The preset of this name.
pub fn find(name: &str) -> Option<Preset> {
    all().into_iter().find(|preset| preset.name == name)
}

/// The numbers in which dense models differ most.
#[derive(Clone, Copy)]
struct Dense {
    vocab: usize,
    width: usize,
    mlp: usize,
    layers: usize,
    heads: usize,
    kv_heads: usize,
    head_dim: usize,
    context: usize,
}

/// What the models of 7 billion parameters have in common; the rest is each one's own.
const LARGE: Dense = Dense {
    vocab: 0,
    width: 4096,
    mlp: 0,
    layers: 32,
    heads: 32,
    kv_heads: 0,
    head_dim: 128,
    context: 0,
};

impl Dense {
    /// Full attention, plain rotary embeddings of LLaMA's base, an output embedding of its own.
    fn config(&self) -> ModelConfig {
        ModelConfig {
            architecture: Architecture::Llama,
            vocab_size: self.vocab,
            hidden_size: self.width,
            intermediate_size: self.mlp,
            num_hidden_layers: self.layers,
            num_attention_heads: self.heads,
            num_key_value_heads: self.kv_heads,
            head_dim: self.head_dim,
            num_local_experts: 1,
            num_experts_per_tok: 1,
            sliding_window: self.context,
            layer_types: vec![LayerType::FullAttention; self.layers],
            rms_norm_eps: 1e-5,
            rope_theta: 10_000.0,
            rope_scaling: None,
            swiglu_limit: None,
            tie_word_embeddings: false,
            max_position_embeddings: self.context,
        }
    }
}

/// What the models of gpt-oss have in common, and the four numbers in which they differ.
fn shape(layers: usize, width: usize, experts: usize, heads: usize) -> ModelConfig {
    ModelConfig {
        architecture: Architecture::GptOss,
        vocab_size: O200K_HARMONY_TOKENS,
        hidden_size: width,
        intermediate_size: width,
        num_hidden_layers: layers,
        num_attention_heads: heads,
        num_key_value_heads: 8,
        head_dim: 64,
        num_local_experts: experts,
        num_experts_per_tok: 4,
        sliding_window: SLIDING_WINDOW,
        layer_types: alternating(layers),
        rms_norm_eps: RMS_NORM_EPS,
        rope_theta: ROPE_THETA,
        rope_scaling: Some(RopeScaling::Yarn(YARN)),
        swiglu_limit: Some(SWIGLU_LIMIT),
        tie_word_embeddings: false,
        max_position_embeddings: 131_072,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The counts of the published models are those of their model card (20.9 B and 116.8 B
    /// total, 3.6 B and 5.1 B active); the compact ones lie within 3 % of their names; those of the
    /// dense ones are the sums of the tensors of their published safetensors files.
    #[test]
    fn presets_have_the_sizes_of_their_names() {
        let counts: Vec<(&str, u64, u64)> = all()
            .iter()
            .map(|preset| {
                preset.config.check().unwrap();
                let parameters = preset.config.parameters();
                (preset.name, parameters.total, parameters.active)
            })
            .collect();
        assert_eq!(counts[0], ("gpt-oss-120b", 116_829_156_672, 5_132_849_472));
        assert_eq!(counts[1], ("gpt-oss-20b", 20_914_757_184, 3_608_307_264));
        let total = |name: &str| counts.iter().find(|count| count.0 == name).unwrap().1;
        assert_eq!(total("llama-3-8b"), 8_030_261_248);
        assert_eq!(total("mistral-7b"), 7_241_732_096);
        assert_eq!(total("deepseek-coder-6.7b"), 6_740_512_768);
        assert_eq!(total("smollm2-135m"), 134_515_008);
        assert_eq!(counts.len(), 8);
        for (&(name, total, _), target) in counts[2..4].iter().zip([3.6e9, 1.0e9]) {
            let off = total as f64 / target - 1.0;
            assert!(off.abs() < 0.03, "{name}: {total} parameters, {off:+.3}");
        }
    }
}
