//! Rotary angles for any position, with YaRN or another way to stretch them.
//!
//! Source of YaRN: Peng et al. 2023 (arXiv:2309.00071), §3; the constants and the correction range
//! as in `RotaryEmbedding` of openai/gpt-oss, `gpt_oss/torch/model.py`. The range is **not**
//! rounded to whole dimensions unless the checkpoint says `truncate: true`: rounding moves 9 of the
//! 32 frequencies of gpt-oss-20b by up to 76 %. Source of the others: modeling_rope_utils.py of
//! transformers.

use std::f64::consts::TAU;

use gptoss_checkpoint::{Llama3Scaling, ModelConfig, RopeScaling, YarnScaling};

/// The rotary frequencies of a model.
#[derive(Clone, Debug)]
pub struct RotaryEmbedding {
    /// `[K / 2]`, radians per position.
    inverse_frequencies: Vec<f64>,
    /// Factor of both cosine and sine (YaRN's attention temperature); 1 without scaling.
    concentration: f64,
}

impl RotaryEmbedding {
    /// The frequencies that a configuration asks for.
    ///
    /// Without scaling, frequency `i` is `theta^(−2i/K)`.
    pub fn new(config: &ModelConfig) -> RotaryEmbedding {
        let plain: Vec<f64> = (0..config.head_dim / 2)
            .map(|i| libm::pow(config.rope_theta, -(2.0 * i as f64) / config.head_dim as f64))
            .collect();
        let divided = |by: &dyn Fn(usize, f64) -> f64| {
            plain.iter().enumerate().map(|(i, frequency)| frequency / by(i, *frequency)).collect()
        };
        let inverse_frequencies = match &config.rope_scaling {
            None => plain,
            Some(RopeScaling::Yarn(yarn)) => return RotaryEmbedding::yarn(config, yarn, &plain),
            Some(RopeScaling::Linear { factor }) => divided(&|_, _| *factor),
            Some(RopeScaling::Llama3(scaling)) => divided(&|_, x| llama3_divisor(scaling, x)),
            Some(RopeScaling::Divisors(divisors)) => divided(&|i, _| f64::from(divisors[i])),
        };
        RotaryEmbedding { inverse_frequencies, concentration: 1.0 }
    }

    /// YaRN divides the slow ones by `factor` and mixes linearly inside the correction range.
    fn yarn(config: &ModelConfig, yarn: &YarnScaling, plain: &[f64]) -> RotaryEmbedding {
        let (low, high) = correction_range(config, yarn);
        let inverse_frequencies = plain
            .iter()
            .enumerate()
            .map(|(i, plain)| {
                let ramp = ((i as f64 - low) / (high - low)).clamp(0.0, 1.0);
                plain / yarn.factor * ramp + plain * (1.0 - ramp)
            })
            .collect();
        let concentration = match yarn.factor > 1.0 {
            true => 0.1 * libm::log(yarn.factor) + 1.0,
            false => 1.0,
        };
        RotaryEmbedding { inverse_frequencies, concentration }
    }

    /// Writes cosine and sine of a position's angles (`[K / 2]` each), times the concentration.
    ///
    /// The angle is computed in f64, so position 131071 is as exact as position 1.
    pub fn at(&self, position: usize, cos: &mut [f32], sin: &mut [f32]) {
        for ((cos, sin), frequency) in cos.iter_mut().zip(sin).zip(&self.inverse_frequencies) {
            let (s, c) = libm::sincos(position as f64 * frequency);
            *cos = (c * self.concentration) as f32;
            *sin = (s * self.concentration) as f32;
        }
    }
}

/// The dimensions between which YaRN mixes: where a frequency turns `beta_fast` and `beta_slow`
/// times within the original context.
fn correction_range(config: &ModelConfig, yarn: &YarnScaling) -> (f64, f64) {
    let context = yarn.original_max_position_embeddings as f64;
    let dimension = |rotations: f64| {
        config.head_dim as f64 * libm::log(context / (rotations * TAU))
            / (2.0 * libm::log(config.rope_theta))
    };
    let (low, high) = (dimension(yarn.beta_fast), dimension(yarn.beta_slow));
    match yarn.truncate {
        true => (low.floor().max(0.0), high.ceil().min(config.head_dim as f64 - 1.0)),
        false => (low, high),
    }
}

/// What a frequency in radians per position is divided by: 1 if it turns often in the original
/// context, `factor` if it turns rarely, and between them what makes the frequency change linearly
/// with the turns.
fn llama3_divisor(scaling: &Llama3Scaling, frequency: f64) -> f64 {
    let Llama3Scaling { factor, low_freq_factor: low, high_freq_factor: high, .. } = scaling;
    let turns = scaling.original_max_position_embeddings as f64 * frequency / TAU;
    let kept = ((turns - low) / (high - low)).clamp(0.0, 1.0);
    1.0 / ((1.0 - kept) / factor + kept)
}
