//! MXFP4: blocks of 32 four-bit floats under one power-of-two scale.
//!
//! Source: OCP Microscaling Formats (MX) Specification v1.0, §5; nibble order of the checkpoint
//! files as in `gpt_oss/torch/weights.py` of openai/gpt-oss.

#[cfg(target_arch = "x86_64")]
pub(crate) mod vector;

use crate::isa::{Isa, Level};

/// Elements under one scale.
pub const BLOCK_ELEMENTS: usize = 32;
/// Bytes of codes in a block.
pub const BLOCK_BYTES: usize = 16;

/// The value of each four-bit code (E2M1: sign, two bits of exponent, one of mantissa).
pub const CODE_VALUES: [f32; 16] =
    [0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0, -0.0, -0.5, -1.0, -1.5, -2.0, -3.0, -4.0, -6.0];

/// The scale 2^(`exponent` − 127) of a block (E8M0), exact in f32; 255 gives infinity.
pub const fn scale(exponent: u8) -> f32 {
    match exponent {
        // 2⁻¹²⁷ is subnormal in f32.
        0 => f32::from_bits(0x0040_0000),
        _ => f32::from_bits((exponent as u32) << 23),
    }
}

/// Widens one row in the checkpoints' order: byte `b` of a block holds element `2b` in its low
/// and `2b + 1` in its high four bits.
///
/// | argument | shape          | meaning                  |
/// |----------|----------------|--------------------------|
/// | `blocks` | `[n / 32, 16]` | codes                    |
/// | `scales` | `[n / 32]`     | exponents with bias 127  |
/// | `out`    | `[n]`          | values, exact            |
///
/// # Panics
/// If the lengths do not belong together.
pub fn dequantize_row(isa: Isa, blocks: &[u8], scales: &[u8], out: &mut [f32]) {
    assert_eq!(blocks.len(), scales.len() * BLOCK_BYTES, "mxfp4: blocks and scales");
    assert_eq!(out.len(), scales.len() * BLOCK_ELEMENTS, "mxfp4: values and scales");
    let blocks = blocks.as_chunks::<BLOCK_BYTES>().0;
    let out = out.as_chunks_mut::<BLOCK_ELEMENTS>().0;
    match isa.level() {
        Level::Portable => portable(blocks, scales, out),
        #[cfg(target_arch = "x86_64")]
        // SAFETY: an `Isa` of this level exists only if the CPU has AVX2.
        Level::Avx2 => unsafe { vector::avx2::row(blocks, scales, out) },
        #[cfg(target_arch = "x86_64")]
        // SAFETY: an `Isa` of this level exists only if the CPU has AVX-512 F.
        Level::Avx512 => unsafe { vector::avx512::row(blocks, scales, out) },
    }
}

/// The definition.
fn portable(blocks: &[[u8; BLOCK_BYTES]], scales: &[u8], out: &mut [[f32; BLOCK_ELEMENTS]]) {
    for ((codes, &exponent), values) in blocks.iter().zip(scales).zip(out) {
        let scale = scale(exponent);
        for (byte, pair) in codes.iter().zip(values.as_chunks_mut::<2>().0) {
            pair[0] = CODE_VALUES[usize::from(byte & 15)] * scale;
            pair[1] = CODE_VALUES[usize::from(byte >> 4)] * scale;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_under_every_scale_has_its_value() {
        for isa in Isa::available() {
            check_every_code(isa);
        }
    }

    fn check_every_code(isa: Isa) {
        // E2M1 by its definition: subnormal 0 and 0.5, else (1 + m/2) · 2^(e − 1).
        let magnitude = |code: u8| match (code >> 1) & 3 {
            0 => f64::from(code & 1) * 0.5,
            e => (1.0 + f64::from(code & 1) * 0.5) * 2f64.powi(i32::from(e) - 1),
        };
        let blocks: Vec<u8> = (0..16).map(|b| ((2 * b) % 16) | (((2 * b + 1) % 16) << 4)).collect();
        for exponent in 0..255 {
            let mut out = [0.0; 32];
            dequantize_row(isa, &blocks, &[exponent], &mut out);
            for (i, &value) in out.iter().enumerate() {
                let code = (i % 16) as u8;
                let sign = if code & 8 == 0 { 1.0 } else { -1.0 };
                let expected = sign * magnitude(code & 7) * 2f64.powi(i32::from(exponent) - 127);
                let expected = expected as f32;
                assert!(
                    value.to_bits() == expected.to_bits(),
                    "{isa:?}: code {code}, exponent {exponent}: {value:e} is not {expected:e}"
                );
            }
        }
    }
}
