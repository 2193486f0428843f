//! AVX2, up to four tokens of MXFP4 or Q8_0: codes stay in the registers in which they were
//! unpacked, and the tile is read half by half, each row once.

#![allow(clippy::needless_range_loop, reason = "one index counts registers of several arrays")]

use std::arch::x86_64::*;

use super::avx2::{TOKENS, half_powers, nibbles, transposed};
use super::layout::FP4_BYTES;
use super::tile::Ahead;
use super::{ActivationBlock, Activations, BlockLayout, TILE_ROWS, TileRows};

/// See [`dot_rows`](super::dot_rows).
///
/// # Safety
/// The CPU has the features; the rows, of MXFP4 or Q8_0, and tokens were checked.
#[target_feature(enable = "avx2,fma,f16c")]
pub(super) unsafe fn dot_rows(
    rows: &TileRows<'_>,
    x: &Activations<'_>,
    tokens: &[u32],
    out: &mut [[f32; TILE_ROWS]],
) {
    let mut blocks = [x.data.as_ptr(); TOKENS];
    for (block, token) in blocks.iter_mut().zip(tokens) {
        *block = block.wrapping_add(*token as usize * x.blocks);
    }
    let is_wide = rows.layout == BlockLayout::Q8_0;
    // SAFETY: the caller has checked that the rows and tokens hold these blocks; there are `N`
    // tokens.
    unsafe {
        match (tokens.len(), is_wide) {
            (0, _) => {}
            (1, false) => dot_rows_n::<1, false>(rows, &blocks, out),
            (1, true) => dot_rows_n::<1, true>(rows, &blocks, out),
            (2, false) => dot_rows_n::<2, false>(rows, &blocks, out),
            (2, true) => dot_rows_n::<2, true>(rows, &blocks, out),
            (3, false) => dot_rows_n::<3, false>(rows, &blocks, out),
            (3, true) => dot_rows_n::<3, true>(rows, &blocks, out),
            (_, false) => dot_rows_n::<TOKENS, false>(rows, &blocks, out),
            (_, true) => dot_rows_n::<TOKENS, true>(rows, &blocks, out),
        }
    }
}

/// The first `N` tokens.
///
/// # Safety
/// The rows and each token have the blocks; `out` has `N` entries.
#[target_feature(enable = "avx2,fma,f16c")]
unsafe fn dot_rows_n<const N: usize, const WIDE: bool>(
    rows: &TileRows<'_>,
    x: &[*const ActivationBlock; TOKENS],
    out: &mut [[f32; TILE_ROWS]],
) {
    let mut ahead = Ahead::new(rows, 0);
    for half in 0..2 {
        let mut results = [_mm256_setzero_ps(); N];
        for b in 0..rows.blocks {
            // Half of the lines for each half of the tile.
            if b % 2 == 0 {
                ahead.fetch();
            }
            let mut sums = [_mm256_setzero_si256(); N];
            // SAFETY: a block of the rows and of each token.
            unsafe {
                match WIDE {
                    true => wide_dot::<N>(rows, b, half, x, &mut sums),
                    false => narrow_dot::<N>(rows, b, half, x, &mut sums),
                }
                let scales = scales_of_half(rows, b, half);
                for i in 0..N {
                    let scale = _mm256_mul_ps(scales, _mm256_set1_ps((*x[i].add(b)).scale));
                    results[i] = _mm256_fmadd_ps(_mm256_cvtepi32_ps(sums[i]), scale, results[i]);
                }
            }
        }
        for i in 0..N {
            // SAFETY: eight of 16 floats.
            unsafe { _mm256_storeu_ps(out[i].as_mut_ptr().add(half * 8), results[i]) };
        }
    }
}

/// Sums over block `b` of eight rows, codes of eight bits.
///
/// # Safety
/// The rows are of Q8_0 and hold block `b`, as does each of the first `N` of `x`; `half` is 0 or
/// 1.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
unsafe fn wide_dot<const N: usize>(
    rows: &TileRows<'_>,
    b: usize,
    half: usize,
    x: &[*const ActivationBlock; TOKENS],
    sums: &mut [__m256i; N],
) {
    let at = b * rows.layout.code_stride() + rows.layout.code_start();
    for quarter in 0..2 {
        // SAFETY: a block has 32 bytes of codes.
        let groups = unsafe { transposed(rows, half, at + quarter * 16) };
        for j in 0..4 {
            // SAFETY: the caller promises the block.
            unsafe { wide_group::<N>(groups[j], quarter * 4 + j, x, b, sums) };
        }
    }
}

/// Sums over block `b` of eight rows, codes of at most 24.
///
/// # Safety
/// The rows are of MXFP4 and hold block `b`, as does each of the first `N` of `x`; `half` is 0 or
/// 1.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
unsafe fn narrow_dot<const N: usize>(
    rows: &TileRows<'_>,
    b: usize,
    half: usize,
    x: &[*const ActivationBlock; TOKENS],
    sums: &mut [__m256i; N],
) {
    for i in 0..N {
        // SAFETY: a block that the caller promises.
        sums[i] = _mm256_set1_epi32(unsafe { (*x[i].add(b)).start });
    }
    // SAFETY: 16 bytes of a constant of that size.
    let table = unsafe { _mm_loadu_si128(FP4_BYTES.as_ptr().cast()) };
    let table = _mm256_broadcastsi128_si256(table);
    // SAFETY: the caller promises the block.
    let mut codes = unsafe { nibbles(rows, b, half) };
    for codes in &mut codes {
        *codes = _mm256_shuffle_epi8(table, *codes);
    }
    for (four, codes) in codes.as_chunks().0.iter().enumerate() {
        // SAFETY: the caller promises the block.
        unsafe { narrow_four::<N>(codes, four, x, b, sums) };
    }
}

/// The values of one step of a code, for the eight rows of a half of block `b`.
///
/// # Safety
/// The rows hold block `b`; `half` is 0 or 1.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
unsafe fn scales_of_half(rows: &TileRows<'_>, b: usize, half: usize) -> __m256 {
    // SAFETY: the caller promises the block.
    let words = unsafe { scale_words(rows, b, half) };
    match rows.layout {
        BlockLayout::Q8_0 => {
            let halves = _mm256_packus_epi32(words, words);
            let halves = _mm256_permute4x64_epi64::<0b1000>(halves);
            _mm256_cvtph_ps(_mm256_castsi256_si128(halves))
        }
        _ => half_powers(words),
    }
}

/// The scales of the eight rows of a half of block `b` as the file has them, one to a lane.
///
/// # Safety
/// The rows hold block `b`; `half` is 0 or 1.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
unsafe fn scale_words(rows: &TileRows<'_>, b: usize, half: usize) -> __m256i {
    let at = 4 * half * rows.scale_stride + b * rows.layout.scale_stride();
    let mut parts = [_mm_setzero_si128(); 2];
    for part in 0..2 {
        let from = rows.scales[part].as_ptr().wrapping_add(at);
        let row = |i: usize| from.wrapping_add(i * rows.scale_stride);
        // SAFETY: rows 8·half + 2i + part hold the block. Where a scale stands before its codes,
        // these are at least 16 bytes, so that four can be read.
        parts[part] = unsafe {
            match rows.layout {
                BlockLayout::Mxfp4 => _mm_setr_epi32(
                    row(0).read().into(),
                    row(1).read().into(),
                    row(2).read().into(),
                    row(3).read().into(),
                ),
                _ => _mm_setr_epi32(
                    row(0).cast::<i32>().read_unaligned(),
                    row(1).cast::<i32>().read_unaligned(),
                    row(2).cast::<i32>().read_unaligned(),
                    row(3).cast::<i32>().read_unaligned(),
                ),
            }
        };
    }
    let low = _mm_unpacklo_epi32(parts[0], parts[1]);
    let high = _mm_unpackhi_epi32(parts[0], parts[1]);
    let mask = match rows.layout {
        BlockLayout::Q8_0 => 0xFFFF,
        _ => 0xFF,
    };
    _mm256_and_si256(_mm256_set_m128i(high, low), _mm256_set1_epi32(mask))
}

/// Adds group `g` of block `b`, four signed codes of each of eight rows.
///
/// # Safety
/// Each of the first `N` of `x` points to more than `b` blocks.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
unsafe fn wide_group<const N: usize>(
    signed: __m256i,
    g: usize,
    x: &[*const ActivationBlock; TOKENS],
    b: usize,
    sums: &mut [__m256i; N],
) {
    let magnitudes = _mm256_abs_epi8(signed);
    for i in 0..N {
        // SAFETY: group `g` of a block that the caller promises.
        let group = unsafe { (&raw const (*x[i].add(b)).codes).cast::<i32>().add(g).read() };
        // |code| ≤ 128 and |activation| ≤ 127: a pair is at most 32,512.
        let signs = _mm256_sign_epi8(_mm256_set1_epi32(group), signed);
        let pairs = _mm256_maddubs_epi16(magnitudes, signs);
        sums[i] = _mm256_add_epi32(sums[i], _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)));
    }
}

/// Adds groups `4·four` to `4·four + 3` of block `b`, four codes of at most 24 of each of eight
/// rows: a pair is at most 6,096 and four pairs fit 16 bits.
///
/// # Safety
/// Each of the first `N` of `x` points to more than `b` blocks; `four` is 0 or 1.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
unsafe fn narrow_four<const N: usize>(
    codes: &[__m256i; 4],
    four: usize,
    x: &[*const ActivationBlock; TOKENS],
    b: usize,
    sums: &mut [__m256i; N],
) {
    let mut pairs = [_mm256_setzero_si256(); N];
    for j in 0..4 {
        for i in 0..N {
            let g = four * 4 + j;
            // SAFETY: group `g` of a block that the caller promises.
            let group = unsafe { (&raw const (*x[i].add(b)).codes).cast::<i32>().add(g).read() };
            let products = _mm256_maddubs_epi16(codes[j], _mm256_set1_epi32(group));
            pairs[i] = _mm256_add_epi16(pairs[i], products);
        }
    }
    for i in 0..N {
        let quads = _mm256_madd_epi16(pairs[i], _mm256_set1_epi16(1));
        sums[i] = _mm256_add_epi32(sums[i], quads);
    }
}
