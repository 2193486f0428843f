//! The K-quants of llama.cpp: 256 weights with a scale of their own for each 16 or 32.
//!
//! Source of the layouts: `block_q4_K`, `block_q5_K`, `block_q6_K` in `ggml-common.h` and the
//! `dequantize_row_…` functions in `ggml-quants.c` of llama.cpp.

use crate::dequantize::f16_at;

/// `[d: f16, dmin: f16, scales: 12 × u8, codes: 128 × u8]`
pub(crate) fn q4_k(block: &[u8; 144]) -> [f32; 256] {
    let groups = groups(block);
    std::array::from_fn(|i| {
        let (scale, minimum) = groups[i / 32];
        scale * f32::from(low_bits(&block[16..], i)) - minimum
    })
}

/// `[d: f16, dmin: f16, scales: 12 × u8, fifth bits: 32 × u8, codes: 128 × u8]`
pub(crate) fn q5_k(block: &[u8; 176]) -> [f32; 256] {
    let groups = groups(block);
    std::array::from_fn(|i| {
        let (scale, minimum) = groups[i / 32];
        // Bit g of byte i mod 32 belongs to element i of group g.
        let fifth = (block[16 + i % 32] >> (i / 32)) & 1;
        scale * f32::from(low_bits(&block[48..], i) | fifth << 4) - minimum
    })
}

/// `[low bits: 128 × u8, high bits: 64 × u8, scales: 16 × i8, d: f16]`
pub(crate) fn q6_k(block: &[u8; 210]) -> [f32; 256] {
    let d = f16_at(block, 208);
    std::array::from_fn(|i| {
        // Each half of 128 elements has four quarters of 32, which share bytes.
        let (half, quarter, l) = (i / 128, (i / 32) % 4, i % 32);
        let low = block[half * 64 + (quarter % 2) * 32 + l] >> (quarter / 2 * 4) & 15;
        let high = block[128 + half * 32 + l] >> (quarter * 2) & 3;
        let scale = block[192 + i / 16] as i8;
        d * f32::from(scale) * (f32::from(low | high << 4) - 32.0)
    })
}

/// Scale and minimum of the eight groups of 32, six bits each, packed into 12 bytes.
pub(crate) fn groups(block: &[u8]) -> [(f32, f32); 8] {
    let (d, d_min) = (f16_at(block, 0), f16_at(block, 2));
    let packed = &block[4..16];
    std::array::from_fn(|g| {
        let (scale, minimum) = match g {
            0..4 => (packed[g] & 63, packed[g + 4] & 63),
            _ => (
                packed[g + 4] & 15 | packed[g - 4] >> 6 << 4,
                packed[g + 4] >> 4 | packed[g] >> 6 << 4,
            ),
        };
        (d * f32::from(scale), d_min * f32::from(minimum))
    })
}

/// The low four bits of element `i`: two groups of 32 share 32 bytes.
fn low_bits(codes: &[u8], i: usize) -> u8 {
    codes[i / 64 * 32 + i % 32] >> (i / 32 % 2 * 4) & 15
}
