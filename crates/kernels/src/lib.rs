//! Arithmetic of language models on slices: what a forward pass is made of, without models or
//! files.
//!
//! Reading order, along the path of a token: [`Format`] (how weights are stored),
//! [`dequantize_row`] and [`mxfp4`] (weights to f32), [`dot`] and [`sum`] (the one order of
//! summation), [`float_rows`] and [`int8`] (weights times activations), [`exp`], [`rms_norm`],
//! [`rotate`] (rotary positions), [`cached_attention`], [`top_k`], [`softmax`], [`swiglu`]
//! and [`silu_gate`]; and, beside the path, [`limits`] (what the machine can do at most).
//!
//! Every function here gives the same bits on every platform: sums have one fixed order
//! (`docs/numerics.md`), products and sums are rounded separately or fused by name, and the
//! exponential is ours.

mod add;
mod argmax;
pub mod cached_attention;
mod dequantize;
mod dot;
mod every_isa;
mod exp;
#[cfg(target_arch = "x86_64")]
mod exp16;
mod exp_weights;
mod float;
mod format;
mod gate;
mod half;
pub mod int8;
mod isa;
mod k_quants;
pub mod limits;
pub mod mxfp4;
mod rms_norm;
mod rope;
mod silu_gate;
mod softmax;
mod swiglu;
mod top_k;

pub use add::{add, add_scaled};
pub use argmax::argmax;
pub use dequantize::dequantize_row;
pub use dot::{dot, sum};
pub use exp::exp;
pub use exp_weights::exp_weights;
pub use float::{FloatRows, FloatTokens, float_rows};
pub use format::Format;
pub use half::{bf16_to_f32, f16_to_f32, f32_to_f16};
pub use isa::Isa;
pub use rms_norm::rms_norm;
pub use rope::{rotate, rotate_neighbours};
pub use silu_gate::silu_gate;
pub use softmax::softmax;
pub use swiglu::swiglu;
pub use top_k::top_k;

#[cfg(test)]
mod testing;
