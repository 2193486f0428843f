//! Rows widened with the instructions of a CPU.
//!
//! A format says which 16 bytes are the next codes, signed and with what is subtracted from them
//! subtracted, which is exact; an instruction set makes floats of them and does the operations
//! that round, in the order of the definition.

use std::arch::x86_64::*;

use crate::half::{bf16_to_f32, f16_to_f32};
use crate::{Format, k_quants, mxfp4};

/// Bytes `at..at + 16` of a block.
#[inline]
#[target_feature(enable = "sse2")]
fn sixteen(block: &[u8], at: usize) -> __m128i {
    let bytes: &[u8; 16] = block[at..].first_chunk().expect("codes lie within a block");
    // SAFETY: 16 bytes of an array of that size.
    unsafe { _mm_loadu_si128(bytes.as_ptr().cast()) }
}

/// The low and the high four bits of each byte.
#[inline]
#[target_feature(enable = "sse2")]
fn nibbles(bytes: __m128i) -> [__m128i; 2] {
    let nibble = _mm_set1_epi8(15);
    [_mm_and_si128(bytes, nibble), _mm_and_si128(_mm_srli_epi16::<4>(bytes), nibble)]
}

/// 16 in each byte whose bit is set.
#[inline]
#[target_feature(enable = "ssse3")]
fn fifth_bits(bits: u16) -> __m128i {
    let byte_of = _mm_setr_epi8(0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1);
    let bit_of = _mm_set1_epi64x(i64::from_le_bytes([1, 2, 4, 8, 16, 32, 64, 128]));
    let bytes = _mm_shuffle_epi8(_mm_set1_epi16(bits as i16), byte_of);
    let is_set = _mm_cmpeq_epi8(_mm_and_si128(bytes, bit_of), bit_of);
    _mm_and_si128(is_set, _mm_set1_epi8(16))
}

/// The codes of a block of 32 with fifth bits, which lie before them from byte `at` on.
#[inline]
#[target_feature(enable = "ssse3")]
fn five_bits(block: &[u8], at: usize) -> [__m128i; 2] {
    let [lower, upper] = nibbles(sixteen(block, at + 4));
    let bits = |i: usize| u16::from_le_bytes([block[at + i], block[at + i + 1]]);
    let (lower_bits, upper_bits) = (bits(0), bits(2));
    [_mm_or_si128(lower, fifth_bits(lower_bits)), _mm_or_si128(upper, fifth_bits(upper_bits))]
}

/// Bit `g` of each byte, as 16.
#[inline]
#[target_feature(enable = "sse2")]
fn bit_as_16(bytes: __m128i, g: usize) -> __m128i {
    let shifted = _mm_srl_epi16(bytes, _mm_cvtsi64_si128(g as i64));
    _mm_slli_epi16::<4>(_mm_and_si128(shifted, _mm_set1_epi8(1)))
}

/// Sixteen codes of a block of Q6_K: part `part` of 16.
#[inline]
#[target_feature(enable = "sse2")]
fn six_bits(block: &[u8; 210], part: usize) -> __m128i {
    // Each half of 128 elements has four quarters of 32, which share bytes.
    let (half, quarter, l) = (part / 8, part / 2 % 4, part % 2 * 16);
    let low = nibbles(sixteen(block, half * 64 + quarter % 2 * 32 + l))[quarter / 2];
    let high = sixteen(block, 128 + half * 32 + l);
    let high = _mm_srl_epi16(high, _mm_cvtsi64_si128(quarter as i64 * 2));
    let high = _mm_slli_epi16::<4>(_mm_and_si128(high, _mm_set1_epi8(3)));
    _mm_sub_epi8(_mm_or_si128(low, high), _mm_set1_epi8(32))
}

/// The half at byte `at` of a block.
#[inline]
#[target_feature(enable = "f16c")]
fn half_at(block: &[u8], at: usize) -> f32 {
    let bits = i32::from(u16::from_le_bytes([block[at], block[at + 1]]));
    _mm_cvtss_f32(_mm_cvtph_ps(_mm_cvtsi32_si128(bits)))
}

/// Halves of a row.
#[inline]
#[target_feature(enable = "avx,f16c")]
fn f16(bytes: &[u8], out: &mut [f32]) {
    let (bytes, bytes_tail) = bytes.as_chunks::<16>();
    let (out, out_tail) = out.as_chunks_mut::<8>();
    for (bytes, out) in bytes.iter().zip(out) {
        // SAFETY: 16 bytes of an array of that size.
        let halves = unsafe { _mm_loadu_si128(bytes.as_ptr().cast()) };
        // SAFETY: 32 bytes of an array of eight floats.
        unsafe { _mm256_storeu_ps(out.as_mut_ptr(), _mm256_cvtph_ps(halves)) };
    }
    for (bytes, out) in bytes_tail.as_chunks::<2>().0.iter().zip(out_tail) {
        *out = f16_to_f32(u16::from_le_bytes(*bytes));
    }
}

/// A plain loop that the compiler makes vectors of.
#[inline(always)]
fn bf16(bytes: &[u8], out: &mut [f32]) {
    for (bytes, out) in bytes.as_chunks::<2>().0.iter().zip(out) {
        *out = bf16_to_f32(u16::from_le_bytes(*bytes));
    }
}

/// A plain loop that the compiler makes a copy of.
#[inline(always)]
fn f32(bytes: &[u8], out: &mut [f32]) {
    for (bytes, out) in bytes.as_chunks::<4>().0.iter().zip(out) {
        *out = f32::from_le_bytes(*bytes);
    }
}

/// Writes the functions of one instruction set around its `scaled` and `shifted`, which write
/// `scale · code` and `scale · code + minimum` of 16 codes.
macro_rules! rows {
    ($isa:ident, $features:literal) => {
        #[target_feature(enable = $features)]
        pub(in super::super) fn row(format: Format, bytes: &[u8], out: &mut [f32]) {
            match format {
                Format::F32 => f32(bytes, out),
                Format::F16 => f16(bytes, out),
                Format::Bf16 => bf16(bytes, out),
                Format::Q4_0 => q4_0(bytes.as_chunks().0, out.as_chunks_mut().0),
                Format::Q4_1 => q4_1(bytes.as_chunks().0, out.as_chunks_mut().0),
                Format::Q5_0 => q5_0(bytes.as_chunks().0, out.as_chunks_mut().0),
                Format::Q5_1 => q5_1(bytes.as_chunks().0, out.as_chunks_mut().0),
                Format::Q8_0 => q8_0(bytes.as_chunks().0, out.as_chunks_mut().0),
                Format::Q4K => q4_k(bytes.as_chunks().0, out.as_chunks_mut().0),
                Format::Q5K => q5_k(bytes.as_chunks().0, out.as_chunks_mut().0),
                Format::Q6K => q6_k(bytes.as_chunks().0, out.as_chunks_mut().0),
                Format::Mxfp4Gguf => {
                    mxfp4::vector::$isa::gguf_row(bytes.as_chunks().0, out.as_chunks_mut().0)
                }
            }
        }

        #[target_feature(enable = $features)]
        fn q4_0(blocks: &[[u8; 18]], out: &mut [[f32; 32]]) {
            for (block, out) in blocks.iter().zip(out) {
                let [lower, upper] = nibbles(sixteen(block, 2));
                let (scale, eight) = (half_at(block, 0), _mm_set1_epi8(8));
                let out = out.as_chunks_mut().0;
                scaled(_mm_sub_epi8(lower, eight), scale, &mut out[0]);
                scaled(_mm_sub_epi8(upper, eight), scale, &mut out[1]);
            }
        }

        #[target_feature(enable = $features)]
        fn q4_1(blocks: &[[u8; 20]], out: &mut [[f32; 32]]) {
            for (block, out) in blocks.iter().zip(out) {
                let [lower, upper] = nibbles(sixteen(block, 4));
                let (scale, minimum) = (half_at(block, 0), half_at(block, 2));
                let out = out.as_chunks_mut().0;
                shifted(lower, scale, minimum, &mut out[0]);
                shifted(upper, scale, minimum, &mut out[1]);
            }
        }

        #[target_feature(enable = $features)]
        fn q5_0(blocks: &[[u8; 22]], out: &mut [[f32; 32]]) {
            for (block, out) in blocks.iter().zip(out) {
                let [lower, upper] = five_bits(block, 2);
                let (scale, sixteen) = (half_at(block, 0), _mm_set1_epi8(16));
                let out = out.as_chunks_mut().0;
                scaled(_mm_sub_epi8(lower, sixteen), scale, &mut out[0]);
                scaled(_mm_sub_epi8(upper, sixteen), scale, &mut out[1]);
            }
        }

        #[target_feature(enable = $features)]
        fn q5_1(blocks: &[[u8; 24]], out: &mut [[f32; 32]]) {
            for (block, out) in blocks.iter().zip(out) {
                let [lower, upper] = five_bits(block, 4);
                let (scale, minimum) = (half_at(block, 0), half_at(block, 2));
                let out = out.as_chunks_mut().0;
                shifted(lower, scale, minimum, &mut out[0]);
                shifted(upper, scale, minimum, &mut out[1]);
            }
        }

        #[target_feature(enable = $features)]
        fn q8_0(blocks: &[[u8; 34]], out: &mut [[f32; 32]]) {
            for (block, out) in blocks.iter().zip(out) {
                let scale = half_at(block, 0);
                let out = out.as_chunks_mut().0;
                scaled(sixteen(block, 2), scale, &mut out[0]);
                scaled(sixteen(block, 18), scale, &mut out[1]);
            }
        }

        /// Two groups of 32 share 32 bytes.
        #[target_feature(enable = $features)]
        fn q4_k(blocks: &[[u8; 144]], out: &mut [[f32; 256]]) {
            for (block, out) in blocks.iter().zip(out) {
                let groups = k_quants::groups(block);
                for (part, out) in out.as_chunks_mut::<16>().0.iter_mut().enumerate() {
                    let (g, l) = (part / 2, part % 2 * 16);
                    let (scale, minimum) = groups[g];
                    let codes = nibbles(sixteen(block, 16 + g / 2 * 32 + l))[g % 2];
                    shifted(codes, scale, -minimum, out);
                }
            }
        }

        /// As Q4_K; bit g of 32 bytes before the codes is the fifth bit of group g.
        #[target_feature(enable = $features)]
        fn q5_k(blocks: &[[u8; 176]], out: &mut [[f32; 256]]) {
            for (block, out) in blocks.iter().zip(out) {
                let groups = k_quants::groups(block);
                for (part, out) in out.as_chunks_mut::<16>().0.iter_mut().enumerate() {
                    let (g, l) = (part / 2, part % 2 * 16);
                    let (scale, minimum) = groups[g];
                    let codes = nibbles(sixteen(block, 48 + g / 2 * 32 + l))[g % 2];
                    let codes = _mm_or_si128(codes, bit_as_16(sixteen(block, 16 + l), g));
                    shifted(codes, scale, -minimum, out);
                }
            }
        }

        #[target_feature(enable = $features)]
        fn q6_k(blocks: &[[u8; 210]], out: &mut [[f32; 256]]) {
            for (block, out) in blocks.iter().zip(out) {
                let d = half_at(block, 208);
                for (part, out) in out.as_chunks_mut::<16>().0.iter_mut().enumerate() {
                    let scale = d * f32::from(block[192 + part] as i8);
                    scaled(six_bits(block, part), scale, out);
                }
            }
        }
    };
}

pub(super) mod avx512 {
    use super::*;

    rows!(avx512, "avx512f,avx512bw,avx512dq,avx512vl,f16c");

    #[inline]
    #[target_feature(enable = "avx512f")]
    fn product(codes: __m128i, scale: f32) -> __m512 {
        let codes = _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(codes));
        _mm512_mul_ps(codes, _mm512_set1_ps(scale))
    }

    #[inline]
    #[target_feature(enable = "avx512f")]
    fn scaled(codes: __m128i, scale: f32, out: &mut [f32; 16]) {
        // SAFETY: 64 bytes of an array of 16 floats.
        unsafe { _mm512_storeu_ps(out.as_mut_ptr(), product(codes, scale)) };
    }

    #[inline]
    #[target_feature(enable = "avx512f")]
    fn shifted(codes: __m128i, scale: f32, minimum: f32, out: &mut [f32; 16]) {
        let values = _mm512_add_ps(product(codes, scale), _mm512_set1_ps(minimum));
        // SAFETY: 64 bytes of an array of 16 floats.
        unsafe { _mm512_storeu_ps(out.as_mut_ptr(), values) };
    }
}

pub(super) mod avx2 {
    use super::*;

    rows!(avx2, "avx2,fma,f16c");

    /// Of the low eight codes.
    #[inline]
    #[target_feature(enable = "avx2")]
    fn product(codes: __m128i, scale: f32) -> __m256 {
        let codes = _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(codes));
        _mm256_mul_ps(codes, _mm256_set1_ps(scale))
    }

    #[inline]
    #[target_feature(enable = "avx2")]
    fn store(lower: __m256, upper: __m256, out: &mut [f32; 16]) {
        // SAFETY: the first 32 bytes of an array of 16 floats.
        unsafe { _mm256_storeu_ps(out.as_mut_ptr(), lower) };
        // SAFETY: the last 32 bytes of an array of 16 floats.
        unsafe { _mm256_storeu_ps(out.as_mut_ptr().add(8), upper) };
    }

    #[inline]
    #[target_feature(enable = "avx2")]
    fn scaled(codes: __m128i, scale: f32, out: &mut [f32; 16]) {
        store(product(codes, scale), product(_mm_srli_si128::<8>(codes), scale), out);
    }

    #[inline]
    #[target_feature(enable = "avx2")]
    fn shifted(codes: __m128i, scale: f32, minimum: f32, out: &mut [f32; 16]) {
        let minimum = _mm256_set1_ps(minimum);
        let lower = _mm256_add_ps(product(codes, scale), minimum);
        let upper = _mm256_add_ps(product(_mm_srli_si128::<8>(codes), scale), minimum);
        store(lower, upper, out);
    }
}
