//! One row of weights in any stored format, widened to f32.
//!
//! Here stands the definition, one function for each layout of blocks; `vector` computes the
//! same with the instructions of a CPU.
//!
//! Source of the block layouts: `ggml-common.h` and `ggml-quants.c` of llama.cpp.

#[cfg(target_arch = "x86_64")]
mod vector;

use crate::half::{bf16_to_f32, f16_to_f32};
use crate::isa::{Isa, Level};
use crate::{Format, k_quants, mxfp4};

/// Widens the row `bytes` of `format` into `out`.
///
/// Plain formats are exact. Block formats compute `scale · code` (and `+ minimum`) in f32, each
/// operation rounded. Every instruction set gives the same bits.
///
/// # Panics
/// If `bytes` is not `format.row_bytes(out.len())` long; shapes are checked when a model is
/// opened, so that is a bug, not a user's mistake.
pub fn dequantize_row(isa: Isa, format: Format, bytes: &[u8], out: &mut [f32]) {
    let expected = format.row_bytes(out.len());
    assert_eq!(Some(bytes.len()), expected, "{}: bytes of {} elements", format.name(), out.len());
    match isa.level() {
        Level::Portable => portable(format, bytes, out),
        #[cfg(target_arch = "x86_64")]
        // SAFETY: an `Isa` of this level exists only if the CPU has AVX2, FMA and F16C.
        Level::Avx2 => unsafe { vector::avx2::row(format, bytes, out) },
        #[cfg(target_arch = "x86_64")]
        // SAFETY: an `Isa` of this level exists only if the CPU has AVX-512 F, BW, DQ and VL.
        Level::Avx512 => unsafe { vector::avx512::row(format, bytes, out) },
    }
}

/// The definition.
fn portable(format: Format, bytes: &[u8], out: &mut [f32]) {
    match format {
        Format::F32 => each(bytes, out, |b: &[u8; 4]| [f32::from_le_bytes(*b)]),
        Format::F16 => each(bytes, out, |b: &[u8; 2]| [f16_to_f32(u16::from_le_bytes(*b))]),
        Format::Bf16 => each(bytes, out, |b: &[u8; 2]| [bf16_to_f32(u16::from_le_bytes(*b))]),
        Format::Q4_0 => each(bytes, out, q4_0),
        Format::Q4_1 => each(bytes, out, q4_1),
        Format::Q5_0 => each(bytes, out, q5_0),
        Format::Q5_1 => each(bytes, out, q5_1),
        Format::Q8_0 => each(bytes, out, q8_0),
        Format::Q4K => each(bytes, out, k_quants::q4_k),
        Format::Q5K => each(bytes, out, k_quants::q5_k),
        Format::Q6K => each(bytes, out, k_quants::q6_k),
        Format::Mxfp4Gguf => each(bytes, out, mxfp4_gguf),
    }
}

/// Applies `block` to each block of `B` bytes, which holds `N` values.
fn each<const B: usize, const N: usize>(
    bytes: &[u8],
    out: &mut [f32],
    block: impl Fn(&[u8; B]) -> [f32; N],
) {
    for (bytes, out) in bytes.as_chunks::<B>().0.iter().zip(out.as_chunks_mut::<N>().0) {
        *out = block(bytes);
    }
}

/// The f16 at byte `at` of a block.
pub(crate) fn f16_at(block: &[u8], at: usize) -> f32 {
    f16_to_f32(u16::from_le_bytes([block[at], block[at + 1]]))
}

/// Low nibbles are the first half of a block, high nibbles the second.
fn nibbles(codes: &[u8], value: impl Fn(usize, u8) -> f32) -> [f32; 32] {
    std::array::from_fn(|i| match i {
        0..16 => value(i, codes[i] & 15),
        _ => value(i, codes[i - 16] >> 4),
    })
}

fn q4_0(block: &[u8; 18]) -> [f32; 32] {
    let scale = f16_at(block, 0);
    nibbles(&block[2..], |_, code| scale * (f32::from(code) - 8.0))
}

fn q4_1(block: &[u8; 20]) -> [f32; 32] {
    let (scale, minimum) = (f16_at(block, 0), f16_at(block, 2));
    nibbles(&block[4..], |_, code| scale * f32::from(code) + minimum)
}

/// Bit `i` of `high` is the fifth bit of element `i`.
fn fifth_bit(high: u32, i: usize) -> u8 {
    ((high >> i) & 1) as u8 * 16
}

fn q5_0(block: &[u8; 22]) -> [f32; 32] {
    let scale = f16_at(block, 0);
    let high = u32::from_le_bytes([block[2], block[3], block[4], block[5]]);
    nibbles(&block[6..], |i, code| scale * (f32::from(code | fifth_bit(high, i)) - 16.0))
}

fn q5_1(block: &[u8; 24]) -> [f32; 32] {
    let (scale, minimum) = (f16_at(block, 0), f16_at(block, 2));
    let high = u32::from_le_bytes([block[4], block[5], block[6], block[7]]);
    nibbles(&block[8..], |i, code| scale * f32::from(code | fifth_bit(high, i)) + minimum)
}

fn q8_0(block: &[u8; 34]) -> [f32; 32] {
    let scale = f16_at(block, 0);
    std::array::from_fn(|i| scale * f32::from(block[2 + i] as i8))
}

fn mxfp4_gguf(block: &[u8; 17]) -> [f32; 32] {
    let scale = mxfp4::scale(block[0]);
    nibbles(&block[1..], |_, code| scale * mxfp4::CODE_VALUES[usize::from(code)])
}
