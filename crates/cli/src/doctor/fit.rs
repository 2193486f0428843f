//! Which models there is room for, and how fast they can be.

use gptoss_checkpoint::{Model, ModelConfig, embedded, presets};
use gptoss_engine::{CacheElement, Precision, cache_bytes};

use crate::bench::cost::{Computing, DenseAs, ModelCost};
use crate::machine::Limits;

/// Tokens of context in the memory that a model needs.
pub const CONTEXT: usize = 8192;
/// Length of the prompt whose speed is given.
pub const PROMPT: usize = 512;
/// The part of the machine's limit that decoding reached with the 20b (`docs/performance.md`).
pub const DECODE_EFFICIENCY: f64 = 0.5;
/// The part that a prompt of [`PROMPT`] tokens reached.
pub const PREFILL_EFFICIENCY: f64 = 0.25;

/// One model on this machine.
#[derive(Clone, Debug, PartialEq)]
pub struct Fit {
    /// Its name.
    pub name: String,
    /// Bytes of weights and of the cache of [`CONTEXT`] tokens.
    pub bytes: u64,
    /// Whether there is room, if the system says how much memory is free.
    pub has_room: Option<bool>,
    /// Tokens a second at [`DECODE_EFFICIENCY`].
    pub decode: f64,
    /// Those of a prompt of [`PROMPT`] tokens, at [`PREFILL_EFFICIENCY`].
    pub prefill: f64,
}

impl Fit {
    /// The known models, of each architecture the largest first; speeds are those of the published
    /// formats.
    pub fn of_presets(memory: Option<u64>, limits: &Limits) -> Vec<Fit> {
        let mut fits = Vec::new();
        for preset in presets::all() {
            let cost = ModelCost::of_shape(&preset.config, DenseAs::Bf16);
            let bytes = preset.config.published_bytes();
            fits.push(fit((preset.name, bytes), &preset.config, &cost, memory, limits));
        }
        if let Ok(model) = embedded::nano() {
            fits.push(Fit::of_model(embedded::NANO, &model, memory, limits));
        }
        fits
    }

    /// A model with its files.
    pub fn of_model(name: &str, model: &Model, memory: Option<u64>, limits: &Limits) -> Fit {
        let cost = ModelCost::of_model(model);
        fit((name, model.weight_bytes()), &model.config, &cost, memory, limits)
    }
}

fn fit(
    (name, weights): (&str, u64),
    config: &ModelConfig,
    cost: &ModelCost,
    memory: Option<u64>,
    limits: &Limits,
) -> Fit {
    let cache = CacheElement::F16;
    let computing = Computing {
        precision: Precision::Fast,
        cache_position_bytes: cache.position_bytes(config.head_dim) as u64,
    };
    let context = CONTEXT.min(config.max_position_embeddings);
    let bytes = weights.saturating_add(cache_bytes(config, context, cache));
    let prompt = PROMPT.min(context);
    let decode = cost.decode_step(1, prompt as f64, computing).seconds(&limits.all).0;
    let prefill = cost.prefill(prompt, computing).seconds(&limits.all).0;
    Fit {
        name: name.to_owned(),
        bytes,
        has_room: memory.map(|memory| bytes <= memory),
        decode: DECODE_EFFICIENCY / decode,
        prefill: PREFILL_EFFICIENCY * prompt as f64 / prefill,
    }
}

#[cfg(test)]
mod tests {
    use gptoss_kernels::Isa;

    use super::*;
    use crate::machine::{Rate, Rates};

    #[test]
    fn the_20b_fits_where_there_is_room_and_is_as_fast_as_its_bytes_are_read() {
        let rate = |x: f64| Rate { best: x, median: x };
        let all = Rates { read: rate(75e9), int8: rate(2e12), f32: rate(0.5e12), bf16: None };
        let limits = Limits { isa: Isa::PORTABLE, one: all, threads: 2, all };
        let fits = Fit::of_presets(Some(20 << 30), &limits);
        let names: Vec<&str> = fits.iter().map(|fit| fit.name.as_str()).collect();
        let expected = ["gpt-oss-120b", "gpt-oss-20b", "gpt-oss-3.6b", "gpt-oss-1b"];
        let dense = ["llama-3-8b", "mistral-7b", "deepseek-coder-6.7b", "smollm2-135m", "nano"];
        assert_eq!(names, [&expected[..], &dense].concat());
        let has_room: Vec<bool> = fits.iter().map(|fit| fit.has_room.unwrap()).collect();
        assert_eq!(has_room, [false, true, true, true, true, true, true, true, true]);
        // 2 · (8,030,261,248 − 525,336,576 of the embedding − 266,240 of norms) bytes, and 512
        // positions of 32 layers in F16.
        let expected = DECODE_EFFICIENCY * 75.0 / (15.009 + 0.067);
        assert!((fits[4].decode / expected - 1.0).abs() < 1e-3, "{}", fits[4].decode);
        // 3.706 GB of weights, and 512 positions of 12 layers and 128 of 12 in F16: 16 MB.
        let expected = DECODE_EFFICIENCY * 75.0 / (3.7058 + 0.0157);
        assert!((fits[1].decode / expected - 1.0).abs() < 1e-3, "{}", fits[1].decode);
        // Experts in int8, 3.8 of 6.06 G operations; the rest in f32.
        let seconds = 4.778 / 2000.0 + 1.278 / 500.0;
        let off = fits[1].prefill / (PREFILL_EFFICIENCY / seconds) - 1.0;
        assert!(off.abs() < 0.05, "{} {off}", fits[1].prefill);
        assert_eq!(Fit::of_presets(None, &limits)[0].has_room, None);
    }
}
