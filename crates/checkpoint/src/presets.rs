//! Models of the family by name, as shapes without weights.
//!
//! Source of the published ones: gpt_oss/torch/model.py of openai/gpt-oss and the model card.

use crate::config::ModelConfig;
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

/// All presets, the smallest last.
pub fn all() -> Vec<Preset> {
    let published = "published by OpenAI";
    let compact = "a compact size of the family; dimensions chosen by this project";
    vec![
        Preset { name: "gpt-oss-120b", note: published, config: shape(36, 2880, 128, 64) },
        Preset { name: "gpt-oss-20b", note: published, config: shape(24, 2880, 32, 64) },
        Preset { name: "gpt-oss-3.6b", note: compact, config: shape(24, 1152, 32, 32) },
        Preset { name: "gpt-oss-1b", note: compact, config: shape(18, 640, 32, 16) },
    ]
}

/// The preset of this name.
pub fn find(name: &str) -> Option<Preset> {
    all().into_iter().find(|preset| preset.name == name)
}

/// What the models of the family have in common, and the four numbers in which they differ.
fn shape(layers: usize, width: usize, experts: usize, heads: usize) -> ModelConfig {
    ModelConfig {
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
        rope_scaling: Some(YARN),
        swiglu_limit: SWIGLU_LIMIT,
        max_position_embeddings: 131_072,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The counts of the published models are those of their model card (20.9 B and 116.8 B
    /// total, 3.6 B and 5.1 B active); the compact ones lie within 3 % of their names.
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
        for (&(name, total, _), target) in counts[2..].iter().zip([3.6e9, 1.0e9]) {
            let off = total as f64 / target - 1.0;
            assert!(off.abs() < 0.03, "{name}: {total} parameters, {off:+.3}");
        }
    }
}
