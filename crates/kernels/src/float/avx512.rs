//! Blocks of four rows and up to six tokens: 24 sums, 4 weights and an activation fill 29 of the
//! 32 registers, and ten loads feed 24 multiplications.

#![allow(clippy::needless_range_loop, reason = "one index counts registers of several arrays")]

use std::arch::x86_64::*;

use super::avx2::fold_eight;
use super::packed::lane_start;
use super::schedule::{
    BF16, Block, Blocks, F16, F32, Lane, Out, PACKED_ROWS, Piece, ROWS, Sums, Tokens, element_bytes,
};
use crate::Format;
use crate::dot::LANES;
use crate::isa::{Isa, Level};

/// Sums of `N` tokens.
type Lanes<const N: usize> = [[__m512; ROWS]; N];

/// Proof that the CPU has AVX-512 F, BW, DQ and VL.
pub(super) struct Avx512(());

impl Avx512 {
    pub(super) fn new(isa: Isa) -> Option<Avx512> {
        (isa.level() == Level::Avx512).then_some(Avx512(()))
    }
}

impl Blocks for Avx512 {
    const TOKENS: usize = 6;

    fn multiply(&self, block: Block<'_>, tokens: Tokens<'_>, out: Out<'_>) {
        block.check(&tokens);
        // SAFETY: a value of this type exists only if the CPU has AVX-512 F, BW, DQ and VL.
        unsafe {
            match block.format {
                Format::F16 => multiply::<F16>(block, tokens, out),
                Format::Bf16 => multiply::<BF16>(block, tokens, out),
                _ => multiply::<F32>(block, tokens, out),
            }
        }
    }

    fn pack(&self, piece: &Piece<'_>, packed: &mut [[f32; PACKED_ROWS]]) {
        piece.check(packed);
        // SAFETY: a value of this type exists only if the CPU has AVX-512 F, BW, DQ and VL.
        unsafe {
            match piece.format {
                Format::F16 => pack::<F16>(piece, packed),
                Format::Bf16 => pack::<BF16>(piece, packed),
                _ => pack::<F32>(piece, packed),
            }
        }
    }

    fn add(&self, lane: &Lane<'_>, sums: &mut [Sums]) {
        // SAFETY: a value of this type exists only if the CPU has AVX-512 F, BW, DQ and VL.
        unsafe {
            match lane.rows {
                ..=16 => add::<1>(lane, sums),
                17..=32 => add::<2>(lane, sums),
                33..=48 => add::<3>(lane, sums),
                _ => add::<4>(lane, sums),
            }
        }
    }
}

#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
fn multiply<const FORMAT: u8>(block: Block<'_>, tokens: Tokens<'_>, out: Out<'_>) {
    match tokens.n {
        1 => multiply_tokens::<FORMAT, 1>(block, tokens, out),
        2 => multiply_tokens::<FORMAT, 2>(block, tokens, out),
        3 => multiply_tokens::<FORMAT, 3>(block, tokens, out),
        4 => multiply_tokens::<FORMAT, 4>(block, tokens, out),
        5 => multiply_tokens::<FORMAT, 5>(block, tokens, out),
        6 => multiply_tokens::<FORMAT, 6>(block, tokens, out),
        n => unreachable!("a block of {n} tokens"),
    }
}

#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
fn multiply_tokens<const FORMAT: u8, const N: usize>(
    block: Block<'_>,
    tokens: Tokens<'_>,
    mut out: Out<'_>,
) {
    let mut lanes = [[_mm512_setzero_ps(); ROWS]; N];
    match block.ahead {
        Some(_) => add_products::<FORMAT, N, true>(block, tokens, &mut lanes),
        None => add_products::<FORMAT, N, false>(block, tokens, &mut lanes),
    }
    for t in 0..N {
        store_folded(lanes[t], &mut out, t);
    }
}

/// Adds the products of all columns.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
fn add_products<const FORMAT: u8, const N: usize, const AHEAD: bool>(
    block: Block<'_>,
    tokens: Tokens<'_>,
    sums: &mut Lanes<N>,
) {
    // A copy stays in registers, what lies behind a reference is written in every step.
    let mut lanes = *sums;
    let mut ahead = block.ahead.unwrap_or(std::ptr::null());
    for step in 0..tokens.cols / LANES {
        if AHEAD {
            // Sixteen columns of four rows are as many cache lines as an element has bytes.
            for _ in 0..element_bytes(FORMAT) {
                _mm_prefetch::<_MM_HINT_T0>(ahead.cast());
                ahead = ahead.wrapping_add(64);
            }
        }
        let mut weights = [_mm512_setzero_ps(); ROWS];
        for r in 0..ROWS {
            weights[r] = weights_at::<FORMAT>(block.rows[r], step * LANES, !0);
        }
        for t in 0..N {
            let at = t * tokens.cols + step * LANES;
            // SAFETY: `Block::check` has asserted that `x` holds all columns of `N` tokens.
            let x = unsafe { _mm512_loadu_ps(tokens.x.as_ptr().add(at)) };
            for r in 0..ROWS {
                lanes[t][r] = _mm512_fmadd_ps(weights[r], x, lanes[t][r]);
            }
        }
    }
    *sums = lanes;
    if !tokens.cols.is_multiple_of(LANES) {
        add_tail::<FORMAT, N>(block, tokens, sums);
    }
}

/// Adds the products of the columns behind the last multiple of 16; lanes without a column keep
/// what they have, because a product of zeros would make +0 of −0.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
fn add_tail<const FORMAT: u8, const N: usize>(
    block: Block<'_>,
    tokens: Tokens<'_>,
    sums: &mut Lanes<N>,
) {
    let k = tokens.cols / LANES * LANES;
    let mask = (1_u16 << (tokens.cols - k)) - 1;
    for r in 0..ROWS {
        let weights = weights_at::<FORMAT>(block.rows[r], k, mask);
        for t in 0..N {
            let at = t * tokens.cols + k;
            // SAFETY: as in `add_products`; only columns of the mask are read.
            let x = unsafe { _mm512_maskz_loadu_ps(mask, tokens.x.as_ptr().add(at)) };
            sums[t][r] = _mm512_mask3_fmadd_ps(weights, x, sums[t][r], mask);
        }
    }
}

/// The weights of a row from column `k` on whose bits are set in `mask`, widened.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
fn weights_at<const FORMAT: u8>(row: &[u8], k: usize, mask: u16) -> __m512 {
    // SAFETY: `Block::check` has asserted that a row holds all columns; `k` is one of them.
    let from = unsafe { row.as_ptr().add(k * element_bytes(FORMAT)) };
    if FORMAT == F32 {
        // SAFETY: columns of four bytes from `from` on; `mask` has none behind the last.
        return unsafe { _mm512_maskz_loadu_ps(mask, from.cast()) };
    }
    // SAFETY: columns of two bytes from `from` on; `mask` has none behind the last.
    let halves = unsafe { _mm256_maskz_loadu_epi16(mask, from.cast()) };
    match FORMAT {
        F16 => _mm512_cvtph_ps(halves),
        _ => _mm512_castsi512_ps(_mm512_slli_epi32::<16>(_mm512_cvtepu16_epi32(halves))),
    }
}

/// Folds the sums of token `t` into its place.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
fn store_folded(lanes: [__m512; ROWS], out: &mut Out<'_>, t: usize) {
    let mut eight = [_mm256_setzero_ps(); ROWS];
    for r in 0..ROWS {
        let upper = _mm512_extractf32x8_ps::<1>(lanes[r]);
        eight[r] = _mm256_add_ps(_mm512_castps512_ps256(lanes[r]), upper);
    }
    out.store(t, fold_eight(eight));
}

/// Sixteen bytes of 16 rows at a time: four columns, or four pairs of columns of two bytes.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
fn pack<const FORMAT: u8>(piece: &Piece<'_>, packed: &mut [[f32; PACKED_ROWS]]) {
    let chunk = 16 / element_bytes(FORMAT);
    for from in (0..piece.cols / chunk * chunk).step_by(chunk) {
        for (part, rows) in piece.rows.as_chunks::<16>().0.iter().enumerate() {
            let quads = transposed(rows, from * element_bytes(FORMAT));
            for (i, quad) in quads.into_iter().enumerate() {
                let (low, high) = widened::<FORMAT>(quad);
                if FORMAT == F32 {
                    store_column(piece.cols, from + i, part, low, packed);
                } else {
                    store_column(piece.cols, from + 2 * i, part, low, packed);
                    store_column(piece.cols, from + 2 * i + 1, part, high, packed);
                }
            }
        }
    }
    piece.pack_tail(piece.cols / chunk * chunk, packed);
}

/// The one element (twice) or the two elements in each of 16 lanes.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
fn widened<const FORMAT: u8>(quad: __m512i) -> (__m512, __m512) {
    let (low, high) = match FORMAT {
        F32 => (quad, quad),
        F16 => {
            let high = _mm512_cvtepi32_epi16(_mm512_srli_epi32::<16>(quad));
            return (_mm512_cvtph_ps(_mm512_cvtepi32_epi16(quad)), _mm512_cvtph_ps(high));
        }
        _ => (_mm512_slli_epi32::<16>(quad), _mm512_and_si512(quad, _mm512_set1_epi32(-1 << 16))),
    };
    (_mm512_castsi512_ps(low), _mm512_castsi512_ps(high))
}

/// Writes column `k` of 16 rows.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
fn store_column(
    cols: usize,
    k: usize,
    part: usize,
    values: __m512,
    packed: &mut [[f32; PACKED_ROWS]],
) {
    let place = &mut packed[lane_start(cols, k % LANES) + k / LANES];
    let place = &mut place.as_chunks_mut::<LANES>().0[part];
    // SAFETY: 64 bytes of an array of 16 floats.
    unsafe { _mm512_storeu_ps(place.as_mut_ptr(), values) };
}

/// Bytes `at..at + 16` of a row of a piece that was checked.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
fn sixteen(row: &[u8], at: usize) -> __m128i {
    debug_assert!(row.len() >= at + 16, "sixteen bytes of a row");
    // SAFETY: `Piece::check` has asserted that a row holds all columns, and `at` is where a
    // whole chunk of columns begins.
    unsafe { _mm_loadu_si128(row.as_ptr().add(at).cast()) }
}

/// Bytes `at..at + 16` of 16 rows: vector `j` holds bytes `4j..4j + 4` of each row in turn.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
fn transposed(rows: &[&[u8]; 16], at: usize) -> [__m512i; 4] {
    // Lane l of vector i is row 4l + i, so that unpacking within lanes sorts the rows.
    let mut quads = [_mm512_setzero_si512(); 4];
    for (i, quad) in quads.iter_mut().enumerate() {
        let x = _mm512_castsi128_si512(sixteen(rows[i], at));
        let x = _mm512_inserti32x4::<1>(x, sixteen(rows[4 + i], at));
        let x = _mm512_inserti32x4::<2>(x, sixteen(rows[8 + i], at));
        *quad = _mm512_inserti32x4::<3>(x, sixteen(rows[12 + i], at));
    }
    let low01 = _mm512_unpacklo_epi32(quads[0], quads[1]);
    let low23 = _mm512_unpacklo_epi32(quads[2], quads[3]);
    let high01 = _mm512_unpackhi_epi32(quads[0], quads[1]);
    let high23 = _mm512_unpackhi_epi32(quads[2], quads[3]);
    [
        _mm512_unpacklo_epi64(low01, low23),
        _mm512_unpackhi_epi64(low01, low23),
        _mm512_unpacklo_epi64(high01, high23),
        _mm512_unpackhi_epi64(high01, high23),
    ]
}

#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
fn add<const R: usize>(lane: &Lane<'_>, sums: &mut [Sums]) {
    match sums.len() {
        5 => add_tokens::<R, 5>(lane, sums),
        6 => add_tokens::<R, 6>(lane, sums),
        n => unreachable!("a block of {n} tokens"),
    }
}

/// `R` vectors of rows and `N` tokens.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
fn add_tokens<const R: usize, const N: usize>(lane: &Lane<'_>, out: &mut [Sums]) {
    let out: &mut [_; N] = out.first_chunk_mut().expect("as many sums as tokens");
    let mut sums = [[_mm512_setzero_ps(); R]; N];
    if !lane.is_first {
        for t in 0..N {
            sums[t] = load_rows(&out[t][lane.level]);
        }
    }
    for (weights, x) in lane.weights.iter().zip(lane.x.as_chunks::<N>().0) {
        let weights: [__m512; R] = load_rows(weights);
        for t in 0..N {
            let x = _mm512_set1_ps(x[t]);
            for r in 0..R {
                sums[t][r] = _mm512_fmadd_ps(weights[r], x, sums[t][r]);
            }
        }
    }
    if lane.is_last {
        for level in 0..lane.level {
            for t in 0..N {
                let before: [__m512; R] = load_rows(&out[t][level]);
                for r in 0..R {
                    sums[t][r] = _mm512_add_ps(before[r], sums[t][r]);
                }
            }
        }
    }
    for t in 0..N {
        for r in 0..R {
            let rows = &mut out[t][lane.level].as_chunks_mut::<LANES>().0[r];
            // SAFETY: 64 bytes of an array of 16 floats.
            unsafe { _mm512_storeu_ps(rows.as_mut_ptr(), sums[t][r]) };
        }
    }
}

/// The first `R` vectors of rows.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
fn load_rows<const R: usize>(rows: &[f32; PACKED_ROWS]) -> [__m512; R] {
    let rows = rows.as_chunks::<LANES>().0;
    let mut vectors = [_mm512_setzero_ps(); R];
    for r in 0..R {
        // SAFETY: 64 bytes of an array of 16 floats.
        vectors[r] = unsafe { _mm512_loadu_ps(rows[r].as_ptr()) };
    }
    vectors
}
