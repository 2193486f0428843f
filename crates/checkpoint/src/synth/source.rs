//! The random values of the tensors, before any layout: which numbers, and how large.
//!
//! Sizes are chosen so that a random model behaves like a trained one as far as a clock can see:
//! every matrix keeps the size of what goes through it, so that logits are finite and of a usual
//! size; layers add less to the residual stream than the embedding put there, so that different
//! tokens stay different and go to different experts.

use super::random::Stream;
use crate::config::ModelConfig;

/// Elements of an MXFP4 block.
pub(super) const BLOCK: u64 = 32;

/// A tensor of the model; the number is part of the seed and never changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Role {
    Embedding = 0,
    Unembedding = 1,
    Norm = 2,
    AttnNorm = 3,
    Q = 4,
    QBias = 5,
    K = 6,
    KBias = 7,
    V = 8,
    VBias = 9,
    Sinks = 10,
    Out = 11,
    OutBias = 12,
    MlpNorm = 13,
    Router = 14,
    RouterBias = 15,
    GateUp = 16,
    GateUpBias = 17,
    Down = 18,
    DownBias = 19,
}

impl Role {
    /// Mean and standard deviation of the elements; `inputs` is what one output sums over.
    ///
    /// Biases and gains vary by a tenth, as far as the order of size is that of trained models.
    fn moments(self, config: &ModelConfig) -> (f64, f64) {
        let per_input = |inputs: usize| 1.0 / (inputs as f64).sqrt();
        let width = per_input(config.hidden_size);
        // One matrix for both has the size that logits ask for.
        let embedding = if config.tie_word_embeddings { 2.0 * width } else { 1.0 };
        match self {
            Role::Embedding => (0.0, embedding),
            // Logits then have a standard deviation of 2.
            Role::Unembedding => (0.0, 2.0 * width),
            Role::Norm | Role::AttnNorm | Role::MlpNorm => (1.0, 0.1),
            Role::Q | Role::K | Role::V | Role::Router | Role::GateUp => (0.0, width),
            // Half, as these add to the residual stream in every layer.
            Role::Out => {
                let inputs = config.num_attention_heads * config.head_dim;
                (0.0, 0.5 * embedding * per_input(inputs))
            }
            Role::Down => (0.0, 0.5 * embedding * per_input(config.intermediate_size)),
            Role::Sinks => (0.5, 0.25),
            Role::QBias | Role::KBias | Role::VBias | Role::RouterBias | Role::GateUpBias => {
                (0.0, 0.1)
            }
            Role::OutBias | Role::DownBias => (0.0, 0.02),
        }
    }
}

/// Makes the sources of one model.
#[derive(Clone, Copy)]
pub(super) struct Sources<'a> {
    pub(super) config: &'a ModelConfig,
    pub(super) seed: u64,
}

impl Sources<'_> {
    /// The values of a tensor that is stored element by element; `layer` is 0 outside layers.
    pub(super) fn dense(&self, role: Role, layer: usize) -> Dense {
        let (mean, deviation) = role.moments(self.config);
        Dense {
            stream: Stream::new(self.seed, [role as u64, layer as u64]),
            mean: mean as f32,
            deviation: deviation as f32,
        }
    }

    /// The values of a tensor of MXFP4 blocks.
    pub(super) fn blocks(&self, role: Role, layer: usize) -> Blocks {
        let (_, deviation) = role.moments(self.config);
        let stream = |plane: u64| Stream::new(self.seed, [role as u64 | plane << 8, layer as u64]);
        Blocks { codes: stream(0), scales: stream(1), exponents: Exponents::new(deviation) }
    }
}

/// Bfloat16 numbers around a mean.
#[derive(Clone, Copy, Debug)]
pub(super) struct Dense {
    stream: Stream,
    mean: f32,
    deviation: f32,
}

impl Dense {
    /// The bits of the element at a row-major index.
    #[inline]
    pub(super) fn bf16(&self, index: u64) -> u16 {
        let value = self.mean + self.stream.normal(index) * self.deviation;
        let bits = value.to_bits();
        // To the nearest, of two the even one; the values are finite.
        ((bits + 0x7FFF + (bits >> 16 & 1)) >> 16) as u16
    }

    /// The same element, widened.
    #[inline]
    pub(super) fn f32(&self, index: u64) -> f32 {
        gptoss_kernels::bf16_to_f32(self.bf16(index))
    }
}

/// MXFP4 blocks: every code equally likely, the scale one of three powers of two.
#[derive(Clone, Copy, Debug)]
pub(super) struct Blocks {
    codes: Stream,
    scales: Stream,
    exponents: Exponents,
}

impl Blocks {
    /// The 32 codes of the block at a row-major index, four bits each, the first lowest: elements
    /// 0 to 15, then 16 to 31.
    #[inline]
    pub(super) fn codes(&self, block: u64) -> [u64; 2] {
        [self.codes.at(2 * block), self.codes.at(2 * block + 1)]
    }

    /// The scale of the block, with bias 127.
    #[inline]
    pub(super) fn scale(&self, block: u64) -> u8 {
        self.exponents.pick((self.scales.at(block) >> 48) as u32)
    }
}

/// How often each of three neighbouring exponents is taken.
#[derive(Clone, Copy, Debug)]
struct Exponents {
    middle: u8,
    /// Numbers of 16 bits below this one take the exponent under the middle.
    below: u32,
    /// Numbers from this one on take the exponent above the middle.
    above: u32,
}

impl Exponents {
    /// Exponents under which uniformly random codes have this standard deviation.
    ///
    /// The mean square of the codes is 68.5/8. With probability p of half and r of twice the
    /// middle scale 2^c, the mean square of the scale is 4^c (1 − 3p/4 + 3r).
    fn new(deviation: f64) -> Exponents {
        const CODE_MEAN_SQUARE: f64 = 68.5 / 8.0;
        let mut square = deviation * deviation / CODE_MEAN_SQUARE;
        let mut middle = 127u8;
        // To 0.5 ≤ square < 2 by factors of four, which are exact.
        while square < 0.5 && middle > 1 {
            (square, middle) = (square * 4.0, middle - 1);
        }
        while square >= 2.0 && middle < 253 {
            (square, middle) = (square / 4.0, middle + 1);
        }
        let (half, twice) = if square > 1.0 {
            (0.125, (square - 1.0 + 0.75 * 0.125) / 3.0)
        } else {
            ((1.0 + 3.0 / 16.0 - square) / 0.75, 1.0 / 16.0)
        };
        let count = |probability: f64| (probability * 65_536.0) as u32;
        Exponents { middle, below: count(half), above: 65_536 - count(twice) }
    }

    #[inline]
    fn pick(&self, random: u32) -> u8 {
        self.middle - u8::from(random < self.below) + u8::from(random >= self.above)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::presets;

    #[test]
    fn blocks_have_the_asked_deviation_under_three_scales() {
        for inputs in [32usize, 64, 640, 1152, 2880, 4096, 262_144] {
            let deviation = 1.0 / (inputs as f64).sqrt();
            let stream = |plane| Stream::new(9, [plane, 0]);
            let exponents = Exponents::new(deviation);
            let blocks = Blocks { codes: stream(0), scales: stream(1), exponents };
            let (mut square, mut seen) = (0.0, std::collections::BTreeSet::new());
            for block in 0..20_000 {
                let scale = f64::from(gptoss_kernels::mxfp4::scale(blocks.scale(block)));
                seen.insert(blocks.scale(block));
                for codes in blocks.codes(block) {
                    for k in 0..16 {
                        let code = (codes >> (4 * k) & 15) as usize;
                        let value = f64::from(gptoss_kernels::mxfp4::CODE_VALUES[code]) * scale;
                        square += value * value;
                    }
                }
            }
            let found = (square / (20_000.0 * 32.0)).sqrt();
            assert!((found / deviation - 1.0).abs() < 0.03, "{inputs}: {found}, not {deviation}");
            assert_eq!(seen.len(), 3, "{inputs}: exponents {seen:?}");
        }
    }

    #[test]
    fn dense_values_have_the_asked_moments() {
        let config = presets::find("gpt-oss-20b").unwrap().config;
        let sources = Sources { config: &config, seed: 0 };
        for role in [Role::Embedding, Role::Q, Role::AttnNorm, Role::Sinks, Role::Out] {
            let (mean, deviation) = role.moments(&config);
            let dense = sources.dense(role, 3);
            let values: Vec<f64> = (0..50_000).map(|i| f64::from(dense.f32(i))).collect();
            let found = values.iter().sum::<f64>() / 5e4;
            assert!((found - mean).abs() < 0.02 * deviation, "{role:?}: mean {found}, not {mean}");
            let square = values.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / 5e4;
            let ratio = square.sqrt() / deviation;
            assert!((ratio - 1.0).abs() < 0.02, "{role:?}: deviation off by {ratio}");
        }
    }

    #[test]
    fn tensors_differ_from_each_other_and_from_layer_to_layer() {
        let config = presets::find("gpt-oss-1b").unwrap().config;
        let sources = Sources { config: &config, seed: 5 };
        let bits = |dense: Dense| (0..8).map(|i| dense.bf16(i)).collect::<Vec<u16>>();
        let first = bits(sources.dense(Role::K, 0));
        assert_ne!(first, bits(sources.dense(Role::K, 1)));
        assert_ne!(first, bits(sources.dense(Role::V, 0)));
        assert_ne!(first, bits(Sources { seed: 6, ..sources }.dense(Role::K, 0)));
    }
}
