//! Blocks of four rows and up to three tokens.
//!
//! Sixteen lanes are two registers. One token takes both halves together, in 8 sums; two and
//! three tokens take one half after the other, in 8 and 12 sums of 16 registers, and read the
//! weights twice, the second time from a cache.

#![allow(clippy::needless_range_loop, reason = "one index counts registers of several arrays")]

use std::arch::x86_64::*;

use super::packed::lane_start;
use super::schedule::{
    BF16, Block, Blocks, F16, F32, Lane, Out, PACKED_ROWS, Piece, ROWS, Sums, Tokens, element_bytes,
};
use crate::Format;
use crate::dot::LANES;
use crate::isa::{Isa, Level};

/// Lanes of a register.
const HALF: usize = LANES / 2;
/// Vectors of packed rows that meet six tokens in 12 of 16 registers.
const PART: usize = 2;
const PART_ROWS: usize = PART * HALF;
/// One half of the sums of `N` tokens.
type Half<const N: usize> = [[__m256; ROWS]; N];

/// Proof that the CPU has AVX2, FMA and F16C.
pub(super) struct Avx2(());

impl Avx2 {
    pub(super) fn new(isa: Isa) -> Option<Avx2> {
        (isa.level() == Level::Avx2).then_some(Avx2(()))
    }
}

impl Blocks for Avx2 {
    const TOKENS: usize = 3;

    fn multiply(&self, block: Block<'_>, tokens: Tokens<'_>, out: Out<'_>) {
        block.check(&tokens);
        // SAFETY: a value of this type exists only if the CPU has AVX2, FMA and F16C.
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
        // SAFETY: a value of this type exists only if the CPU has AVX2, FMA and F16C.
        unsafe {
            match piece.format {
                Format::F16 => pack::<F16>(piece, packed),
                Format::Bf16 => pack::<BF16>(piece, packed),
                _ => pack::<F32>(piece, packed),
            }
        }
    }

    fn add(&self, lane: &Lane<'_>, sums: &mut [Sums]) {
        // SAFETY: a value of this type exists only if the CPU has AVX2, FMA and F16C.
        unsafe { add(lane, sums) }
    }
}

#[target_feature(enable = "avx2,fma,f16c")]
fn multiply<const FORMAT: u8>(block: Block<'_>, tokens: Tokens<'_>, out: Out<'_>) {
    match tokens.n {
        1 => multiply_token::<FORMAT>(block, tokens, out),
        2 => multiply_tokens::<FORMAT, 2>(block, tokens, out),
        3 => multiply_tokens::<FORMAT, 3>(block, tokens, out),
        n => unreachable!("a block of {n} tokens"),
    }
}

#[target_feature(enable = "avx2,fma,f16c")]
fn multiply_token<const FORMAT: u8>(block: Block<'_>, tokens: Tokens<'_>, mut out: Out<'_>) {
    let mut lanes = [[[_mm256_setzero_ps(); ROWS]; 1]; 2];
    add_products::<FORMAT, 1, 2>(block, tokens, &mut lanes, 0);
    store_folded([lanes[0][0], lanes[1][0]], &mut out, 0);
}

#[target_feature(enable = "avx2,fma,f16c")]
fn multiply_tokens<const FORMAT: u8, const N: usize>(
    block: Block<'_>,
    tokens: Tokens<'_>,
    mut out: Out<'_>,
) {
    let mut lower = [[[_mm256_setzero_ps(); ROWS]; N]; 1];
    let mut upper = lower;
    add_products::<FORMAT, N, 1>(block, tokens, &mut lower, 0);
    add_products::<FORMAT, N, 1>(Block { ahead: None, ..block }, tokens, &mut upper, 1);
    for t in 0..N {
        store_folded([lower[0][t], upper[0][t]], &mut out, t);
    }
}

/// Adds the products of all columns, in the halves from `first` on.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn add_products<const FORMAT: u8, const N: usize, const HALVES: usize>(
    block: Block<'_>,
    tokens: Tokens<'_>,
    sums: &mut [Half<N>; HALVES],
    first: usize,
) {
    assert!(first + HALVES <= 2, "halves of a block");
    // A copy stays in registers, what lies behind a reference is written in every step.
    let mut lanes = *sums;
    for step in 0..tokens.cols / LANES {
        if let Some(ahead) = block.ahead {
            // Sixteen columns of four rows are as many cache lines as an element has bytes.
            for line in 0..element_bytes(FORMAT) {
                let at = (step * element_bytes(FORMAT) + line) * 64;
                _mm_prefetch::<_MM_HINT_T0>(ahead.wrapping_add(at).cast());
            }
        }
        for h in 0..HALVES {
            let k = step * LANES + (first + h) * HALF;
            let mut x = [_mm256_setzero_ps(); N];
            for t in 0..N {
                let at = t * tokens.cols + k;
                // SAFETY: `Block::check` has asserted that `x` holds all columns of `N` tokens.
                x[t] = unsafe { _mm256_loadu_ps(tokens.x.as_ptr().add(at)) };
            }
            for r in 0..ROWS {
                let weights = weights_at::<FORMAT>(block.rows[r], k);
                for t in 0..N {
                    lanes[h][t][r] = _mm256_fmadd_ps(weights, x[t], lanes[h][t][r]);
                }
            }
        }
    }
    *sums = lanes;
    for h in 0..HALVES {
        let k = tokens.cols / LANES * LANES + (first + h) * HALF;
        if k < tokens.cols {
            add_tail::<FORMAT, N>(block, tokens, &mut sums[h], k);
        }
    }
}

/// Adds the products of the up to eight columns from `k` on, from copies behind which are zeros.
/// A zero would make +0 of a sum that is −0, so lanes without a column keep what they have.
#[target_feature(enable = "avx2,fma,f16c")]
fn add_tail<const FORMAT: u8, const N: usize>(
    block: Block<'_>,
    tokens: Tokens<'_>,
    lanes: &mut Half<N>,
    k: usize,
) {
    let (n, size) = (HALF.min(tokens.cols - k), element_bytes(FORMAT));
    let places = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    let used = _mm256_cmpgt_epi32(_mm256_set1_epi32(n as i32), places);
    for t in 0..N {
        let mut x = [0.0; HALF];
        x[..n].copy_from_slice(&tokens.x[t * tokens.cols + k..][..n]);
        // SAFETY: 32 bytes of an array of eight floats.
        let x = unsafe { _mm256_loadu_ps(x.as_ptr()) };
        for r in 0..ROWS {
            let mut row = [0; HALF * 4];
            row[..n * size].copy_from_slice(&block.rows[r][k * size..][..n * size]);
            let sum = _mm256_fmadd_ps(weights_at::<FORMAT>(&row, 0), x, lanes[t][r]);
            lanes[t][r] = _mm256_blendv_ps(lanes[t][r], sum, _mm256_castsi256_ps(used));
        }
    }
}

/// Eight weights of a row from column `k` on, widened.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn weights_at<const FORMAT: u8>(row: &[u8], k: usize) -> __m256 {
    // SAFETY: `Block::check` has asserted that a row holds all columns; `k` is one of them.
    let from = unsafe { row.as_ptr().add(k * element_bytes(FORMAT)) };
    if FORMAT == F32 {
        // SAFETY: eight columns of four bytes from `from` on.
        return unsafe { _mm256_loadu_ps(from.cast()) };
    }
    // SAFETY: eight columns of two bytes from `from` on.
    let halves = unsafe { _mm_loadu_si128(from.cast()) };
    match FORMAT {
        F16 => _mm256_cvtph_ps(halves),
        _ => _mm256_castsi256_ps(_mm256_slli_epi32::<16>(_mm256_cvtepu16_epi32(halves))),
    }
}

/// Folds the sums of token `t` into its place.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn store_folded([lower, upper]: [[__m256; ROWS]; 2], out: &mut Out<'_>, t: usize) {
    let mut eight = [_mm256_setzero_ps(); ROWS];
    for r in 0..ROWS {
        eight[r] = _mm256_add_ps(lower[r], upper[r]);
    }
    out.store(t, fold_eight(eight));
}

/// Folds eight lanes of four rows: `i` and `i + 4`, then `i + 2`, then `i + 1`.
#[inline]
#[target_feature(enable = "avx")]
pub(super) fn fold_eight(rows: [__m256; ROWS]) -> __m128 {
    let mut four = [_mm_setzero_ps(); ROWS];
    for r in 0..ROWS {
        let upper = _mm256_extractf128_ps::<1>(rows[r]);
        four[r] = _mm_add_ps(_mm256_castps256_ps128(rows[r]), upper);
    }
    // Two lanes of rows 0 and 1, and of rows 2 and 3.
    let rows01 = _mm_add_ps(_mm_movelh_ps(four[0], four[1]), _mm_movehl_ps(four[1], four[0]));
    let rows23 = _mm_add_ps(_mm_movelh_ps(four[2], four[3]), _mm_movehl_ps(four[3], four[2]));
    let even = _mm_shuffle_ps::<0b10_00_10_00>(rows01, rows23);
    let odd = _mm_shuffle_ps::<0b11_01_11_01>(rows01, rows23);
    _mm_add_ps(even, odd)
}

/// Sixteen bytes of 8 rows at a time: four columns, or four pairs of columns of two bytes.
#[target_feature(enable = "avx2,fma,f16c")]
fn pack<const FORMAT: u8>(piece: &Piece<'_>, packed: &mut [[f32; PACKED_ROWS]]) {
    let chunk = 16 / element_bytes(FORMAT);
    for from in (0..piece.cols / chunk * chunk).step_by(chunk) {
        for (part, rows) in piece.rows.as_chunks::<8>().0.iter().enumerate() {
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

/// The one element (twice) or the two elements in each of 8 lanes.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn widened<const FORMAT: u8>(quad: __m256i) -> (__m256, __m256) {
    let (low, high) = match FORMAT {
        F32 => (quad, quad),
        F16 => {
            // Low halves of all lanes, then high ones.
            let low = _mm256_and_si256(quad, _mm256_set1_epi32(0xFFFF));
            let halves = _mm256_packus_epi32(low, _mm256_srli_epi32::<16>(quad));
            let halves = _mm256_permute4x64_epi64::<0b11_01_10_00>(halves);
            let high = _mm256_extracti128_si256::<1>(halves);
            return (_mm256_cvtph_ps(_mm256_castsi256_si128(halves)), _mm256_cvtph_ps(high));
        }
        _ => (_mm256_slli_epi32::<16>(quad), _mm256_and_si256(quad, _mm256_set1_epi32(-1 << 16))),
    };
    (_mm256_castsi256_ps(low), _mm256_castsi256_ps(high))
}

/// Writes column `k` of eight rows.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn store_column(
    cols: usize,
    k: usize,
    part: usize,
    values: __m256,
    packed: &mut [[f32; PACKED_ROWS]],
) {
    let place = &mut packed[lane_start(cols, k % LANES) + k / LANES];
    let place = &mut place.as_chunks_mut::<8>().0[part];
    // SAFETY: 32 bytes of an array of eight floats.
    unsafe { _mm256_storeu_ps(place.as_mut_ptr(), values) };
}

/// Bytes `at..at + 16` of a row of a piece that was checked.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn sixteen(row: &[u8], at: usize) -> __m128i {
    debug_assert!(row.len() >= at + 16, "sixteen bytes of a row");
    // SAFETY: `Piece::check` has asserted that a row holds all columns, and `at` is where a
    // whole chunk of columns begins.
    unsafe { _mm_loadu_si128(row.as_ptr().add(at).cast()) }
}

/// Bytes `at..at + 16` of eight rows: vector `j` holds bytes `4j..4j + 4` of each row in turn.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn transposed(rows: &[&[u8]; 8], at: usize) -> [__m256i; 4] {
    // Lane l of vector i is row 4l + i, so that unpacking within lanes sorts the rows.
    let mut quads = [_mm256_setzero_si256(); 4];
    for (i, quad) in quads.iter_mut().enumerate() {
        let low = _mm256_castsi128_si256(sixteen(rows[i], at));
        *quad = _mm256_inserti128_si256::<1>(low, sixteen(rows[4 + i], at));
    }
    let low01 = _mm256_unpacklo_epi32(quads[0], quads[1]);
    let low23 = _mm256_unpacklo_epi32(quads[2], quads[3]);
    let high01 = _mm256_unpackhi_epi32(quads[0], quads[1]);
    let high23 = _mm256_unpackhi_epi32(quads[2], quads[3]);
    [
        _mm256_unpacklo_epi64(low01, low23),
        _mm256_unpackhi_epi64(low01, low23),
        _mm256_unpacklo_epi64(high01, high23),
        _mm256_unpackhi_epi64(high01, high23),
    ]
}

#[target_feature(enable = "avx2,fma,f16c")]
fn add(lane: &Lane<'_>, sums: &mut [Sums]) {
    for part in 0..lane.rows.min(PACKED_ROWS).div_ceil(PART_ROWS) {
        match sums.len() {
            5 => add_tokens::<5>(lane, sums, part),
            6 => add_tokens::<6>(lane, sums, part),
            n => unreachable!("a block of {n} tokens"),
        }
    }
}

/// The tokens of a block with [`PART_ROWS`] rows.
#[target_feature(enable = "avx2,fma,f16c")]
fn add_tokens<const N: usize>(lane: &Lane<'_>, out: &mut [Sums], part: usize) {
    let out: &mut [_; N] = out.first_chunk_mut().expect("as many sums as tokens");
    let mut sums = [[_mm256_setzero_ps(); PART]; N];
    if !lane.is_first {
        for t in 0..N {
            sums[t] = load_part(&out[t][lane.level], part);
        }
    }
    for (weights, x) in lane.weights.iter().zip(lane.x.as_chunks::<N>().0) {
        let weights = load_part(weights, part);
        for t in 0..N {
            let x = _mm256_set1_ps(x[t]);
            for r in 0..PART {
                sums[t][r] = _mm256_fmadd_ps(weights[r], x, sums[t][r]);
            }
        }
    }
    if lane.is_last {
        for level in 0..lane.level {
            for t in 0..N {
                let before = load_part(&out[t][level], part);
                for r in 0..PART {
                    sums[t][r] = _mm256_add_ps(before[r], sums[t][r]);
                }
            }
        }
    }
    for t in 0..N {
        let rows = &mut out[t][lane.level].as_chunks_mut::<PART_ROWS>().0[part];
        for r in 0..PART {
            let rows = &mut rows.as_chunks_mut::<HALF>().0[r];
            // SAFETY: 32 bytes of an array of eight floats.
            unsafe { _mm256_storeu_ps(rows.as_mut_ptr(), sums[t][r]) };
        }
    }
}

/// One part of the rows.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn load_part(rows: &[f32; PACKED_ROWS], part: usize) -> [__m256; PART] {
    let rows = rows.as_chunks::<PART_ROWS>().0[part].as_chunks::<HALF>().0;
    let mut vectors = [_mm256_setzero_ps(); PART];
    for r in 0..PART {
        // SAFETY: 32 bytes of an array of eight floats.
        vectors[r] = unsafe { _mm256_loadu_ps(rows[r].as_ptr()) };
    }
    vectors
}
