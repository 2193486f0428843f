//! AVX2, up to four tokens: codes stay in the registers in which they were unpacked, and the tile
//! is read half by half, each row once.

#![allow(clippy::needless_range_loop, reason = "one index counts registers of several arrays")]

use std::arch::x86_64::*;

use super::avx2::{
    NARROW, TOKENS, WIDE, WITH_MINIMUM, add_block, begin_sums, narrow_codes, narrow_four, steps_of,
    wide_codes, wide_group,
};
use super::tile::Ahead;
use super::{ActivationBlock, Activations, BlockLayout, TILE_ROWS, TileRows};

/// See [`dot_rows`](super::dot_rows).
///
/// # Safety
/// The CPU has the features; the rows and tokens were checked.
#[target_feature(enable = "avx2,fma,f16c")]
pub(super) unsafe fn dot_rows(
    rows: &TileRows<'_>,
    x: &Activations<'_>,
    tokens: &[u32],
    out: &mut [[f32; TILE_ROWS]],
) {
    // SAFETY: the caller has checked what the callees need.
    unsafe {
        match rows.layout {
            BlockLayout::Q8_0 => dot_rows_of::<WIDE>(rows, x, tokens, out),
            BlockLayout::Q4_1 => dot_rows_of::<WITH_MINIMUM>(rows, x, tokens, out),
            BlockLayout::Mxfp4 | BlockLayout::Mxfp4Gguf | BlockLayout::Q4_0 => {
                dot_rows_of::<NARROW>(rows, x, tokens, out);
            }
        }
    }
}

/// # Safety
/// As [`dot_rows`]; `KIND` is that of the layout.
#[target_feature(enable = "avx2,fma,f16c")]
unsafe fn dot_rows_of<const KIND: u8>(
    rows: &TileRows<'_>,
    x: &Activations<'_>,
    tokens: &[u32],
    out: &mut [[f32; TILE_ROWS]],
) {
    let mut blocks = [x.data.as_ptr(); TOKENS];
    for (block, token) in blocks.iter_mut().zip(tokens) {
        *block = block.wrapping_add(*token as usize * x.blocks);
    }
    // SAFETY: the caller has checked that the rows and tokens hold these blocks; there are `N`
    // tokens.
    unsafe {
        match tokens.len() {
            0 => {}
            1 => dot_rows_n::<1, KIND>(rows, &blocks, out),
            2 => dot_rows_n::<2, KIND>(rows, &blocks, out),
            3 => dot_rows_n::<3, KIND>(rows, &blocks, out),
            _ => dot_rows_n::<TOKENS, KIND>(rows, &blocks, out),
        }
    }
}

/// The first `N` tokens.
///
/// # Safety
/// The rows and each token have the blocks; `out` has `N` entries.
#[target_feature(enable = "avx2,fma,f16c")]
unsafe fn dot_rows_n<const N: usize, const KIND: u8>(
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
                match KIND {
                    WIDE => wide_dot::<N>(rows, b, half, x, &mut sums),
                    _ => narrow_dot::<N, KIND>(rows, b, half, x, &mut sums),
                }
                let steps = steps_of(rows, b, half);
                for i in 0..N {
                    results[i] = add_block::<KIND>(results[i], sums[i], steps, &*x[i].add(b));
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
    for quarter in 0..2 {
        // SAFETY: the caller promises the block.
        let groups = unsafe { wide_codes(rows, b, half, quarter) };
        for j in 0..4 {
            // SAFETY: the caller promises the block.
            unsafe { wide_group::<N>(groups[j], quarter * 4 + j, x, b, sums) };
        }
    }
}

/// Sums over block `b` of eight rows, codes of at most 24.
///
/// # Safety
/// The rows are not of Q8_0 and hold block `b`, as does each of the first `N` of `x`; `half` is 0
/// or 1.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
unsafe fn narrow_dot<const N: usize, const KIND: u8>(
    rows: &TileRows<'_>,
    b: usize,
    half: usize,
    x: &[*const ActivationBlock; TOKENS],
    sums: &mut [__m256i; N],
) {
    if KIND == NARROW {
        // SAFETY: the caller promises the block.
        unsafe { begin_sums::<N>(x, b, sums) };
    }
    // SAFETY: the caller promises the block.
    let codes = unsafe { narrow_codes(rows, b, half) };
    for (four, codes) in codes.as_chunks().0.iter().enumerate() {
        // SAFETY: the caller promises the block.
        unsafe { narrow_four::<N>(codes, four, x, b, sums) };
    }
}
