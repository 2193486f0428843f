//! Arithmetic of gpt-oss on slices: what a forward pass is made of, without models or files.
//!
//! Reading order, along the path of a token: [`Format`] (how weights are stored),
//! [`dequantize_row`] and [`mxfp4`] (weights to f32), [`dot`] and [`sum`] (the one order of
//! summation), [`exp`], [`rms_norm`], [`rotate`] (rotary positions), [`attention`](attend),
//! [`top_k`], [`softmax`], [`swiglu`]; and, beside the path, [`limits`] (what the machine can do at
//! most).
//!
//! Every function here gives the same bits on every platform: sums have one fixed order
//! (`docs/numerics.md`), products and sums are rounded separately, and the exponential is ours.

mod attention;
mod dequantize;
mod dot;
mod exp;
mod format;
mod half;
pub mod int8;
mod isa;
mod k_quants;
pub mod limits;
pub mod mxfp4;
mod rms_norm;
mod rope;
mod softmax;
mod swiglu;
mod top_k;

pub use attention::{Head, KeysValues, attend};
pub use dequantize::dequantize_row;
pub use dot::{dot, sum};
pub use exp::exp;
pub use format::Format;
pub use half::{bf16_to_f32, f16_to_f32};
pub use isa::Isa;
pub use rms_norm::rms_norm;
pub use rope::rotate;
pub use softmax::softmax;
pub use swiglu::swiglu;
pub use top_k::top_k;

#[cfg(test)]
mod testing {
    /// Numbers between −1 and 1, the same for the same seed.
    pub fn noise(len: usize, seed: u32) -> Vec<f32> {
        let mut state = seed.wrapping_mul(0x9E37_79B9) | 1;
        let mut next = || {
            state ^= state << 13;
            state ^= state >> 17;
            state ^= state << 5;
            (state >> 8) as f32 / 8_388_608.0 - 1.0
        };
        (0..len).map(|_| next()).collect()
    }
}
