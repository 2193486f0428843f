//! Four-bit floats widened by a table in a register.
//!
//! Both orders of codes, OpenAI's and GGUF's, become 16 bytes of codes twice; what an instruction
//! set adds is the lookup.

use std::arch::x86_64::*;

use super::{BLOCK_BYTES, BLOCK_ELEMENTS, CODE_VALUES, scale};

/// The codes in the low and in the high four bits of 16 bytes.
#[inline]
#[target_feature(enable = "sse2")]
fn nibbles(bytes: &[u8; BLOCK_BYTES]) -> [__m128i; 2] {
    // SAFETY: 16 bytes of an array of that size.
    let bytes = unsafe { _mm_loadu_si128(bytes.as_ptr().cast()) };
    let nibble = _mm_set1_epi8(15);
    [_mm_and_si128(bytes, nibble), _mm_and_si128(_mm_srli_epi16::<4>(bytes), nibble)]
}

/// Writes the functions of one instruction set around its `store`.
macro_rules! rows {
    ($features:literal) => {
        /// Neighbours share a byte, scales are apart.
        #[target_feature(enable = $features)]
        pub(crate) fn row(
            blocks: &[[u8; BLOCK_BYTES]],
            scales: &[u8],
            out: &mut [[f32; BLOCK_ELEMENTS]],
        ) {
            let table = table();
            for ((codes, &exponent), out) in blocks.iter().zip(scales).zip(out) {
                let [even, odd] = nibbles(codes);
                let out = out.as_chunks_mut::<16>().0;
                store(table, _mm_unpacklo_epi8(even, odd), scale(exponent), &mut out[0]);
                store(table, _mm_unpackhi_epi8(even, odd), scale(exponent), &mut out[1]);
            }
        }

        /// Elements `j` and `j + 16` share a byte, the scale is before the codes.
        #[target_feature(enable = $features)]
        pub(crate) fn gguf_row(
            blocks: &[[u8; BLOCK_BYTES + 1]],
            out: &mut [[f32; BLOCK_ELEMENTS]],
        ) {
            let table = table();
            for ([exponent, codes @ ..], out) in blocks.iter().zip(out) {
                let [lower, upper] = nibbles(codes);
                let out = out.as_chunks_mut::<16>().0;
                store(table, lower, scale(*exponent), &mut out[0]);
                store(table, upper, scale(*exponent), &mut out[1]);
            }
        }
    };
}

/// A table of all 16 values.
pub(crate) mod avx512 {
    use super::*;

    rows!("avx512f");

    #[inline]
    #[target_feature(enable = "avx512f")]
    fn table() -> __m512 {
        // SAFETY: 64 bytes of an array of 16 floats.
        unsafe { _mm512_loadu_ps(CODE_VALUES.as_ptr()) }
    }

    #[inline]
    #[target_feature(enable = "avx512f")]
    fn store(table: __m512, codes: __m128i, scale: f32, out: &mut [f32; 16]) {
        let values = _mm512_permutexvar_ps(_mm512_cvtepu8_epi32(codes), table);
        let values = _mm512_mul_ps(values, _mm512_set1_ps(scale));
        // SAFETY: 64 bytes of an array of 16 floats.
        unsafe { _mm512_storeu_ps(out.as_mut_ptr(), values) };
    }
}

/// A table of the eight magnitudes; the sign is the code's fourth bit.
pub(crate) mod avx2 {
    use super::*;

    rows!("avx2");

    #[inline]
    #[target_feature(enable = "avx2")]
    fn table() -> __m256 {
        // SAFETY: the first 32 bytes of an array of 16 floats.
        unsafe { _mm256_loadu_ps(CODE_VALUES.as_ptr()) }
    }

    #[inline]
    #[target_feature(enable = "avx2")]
    fn store(table: __m256, codes: __m128i, scale: f32, out: &mut [f32; 16]) {
        let halves = [codes, _mm_srli_si128::<8>(codes)];
        for (codes, out) in halves.into_iter().zip(out.as_chunks_mut::<8>().0) {
            let codes = _mm256_cvtepu8_epi32(codes);
            let magnitudes = _mm256_permutevar8x32_ps(table, codes);
            let signs = _mm256_castsi256_ps(_mm256_slli_epi32::<28>(codes));
            let signs = _mm256_and_ps(signs, _mm256_set1_ps(-0.0));
            let values = _mm256_xor_ps(magnitudes, signs);
            let values = _mm256_mul_ps(values, _mm256_set1_ps(scale));
            // SAFETY: 32 bytes of an array of eight floats.
            unsafe { _mm256_storeu_ps(out.as_mut_ptr(), values) };
        }
    }
}
