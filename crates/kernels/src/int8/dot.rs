//! A tile of weights times tokens.

use super::{Activations, BLOCK, BlockLayout, TILE_BLOCK_BYTES, TILE_ROWS};
use crate::isa::{Isa, Level};

/// Adds the products of the blocks `first..first + n` to `out`: for each token and row,
/// `out = fma(S_b, weight scale_b · activation scale_b, out)` for one block after another.
///
/// | argument | shape                | meaning                                      |
/// |----------|----------------------|----------------------------------------------|
/// | `codes`  | `[n, 8, 16 rows, 4]` | from [`unpack`](super::unpack)               |
/// | `scales` | `[n, 16 rows]`       | from the same call                           |
/// | `out`    | `[T, 16 rows]`       | 0 before the first block, the result in the end |
///
/// Cutting a row into several calls, in order, changes no bit.
///
/// # Panics
/// If the lengths do not belong together.
pub fn dot_tile(
    isa: Isa,
    layout: BlockLayout,
    (codes, scales): (&[u8], &[f32]),
    x: &Activations<'_>,
    first: usize,
    out: &mut [f32],
) {
    let blocks = scales.len() / TILE_ROWS;
    let tokens = out.len() / TILE_ROWS;
    assert_eq!(codes.len(), blocks * TILE_BLOCK_BYTES, "dot_tile: codes and scales");
    assert_eq!(out.len(), tokens * TILE_ROWS, "dot_tile: out");
    assert!(first + blocks <= x.blocks, "dot_tile: blocks");
    assert_eq!(x.codes.len(), tokens * x.blocks * BLOCK, "dot_tile: activations");
    assert_eq!(x.scales.len(), tokens * x.blocks, "dot_tile: scales of activations");
    assert_eq!(x.offsets.len(), tokens * x.blocks, "dot_tile: offsets of activations");
    let tile = Tile {
        codes: codes.as_chunks().0.as_chunks().0,
        scales: scales.as_chunks().0,
        first,
        is_wide: layout == BlockLayout::Q8_0,
    };
    let out = out.as_chunks_mut::<TILE_ROWS>().0;
    match isa.level() {
        Level::Portable => portable(&tile, x, out),
        #[cfg(target_arch = "x86_64")]
        // SAFETY: an `Isa` of this level exists only if the CPU has AVX2 and FMA.
        Level::Avx2 => unsafe { avx2::dot(&tile, x, out) },
        #[cfg(target_arch = "x86_64")]
        // SAFETY: an `Isa` of this level exists only if the CPU has AVX-512 F and VNNI.
        Level::Avx512 => unsafe { avx512::dot(&tile, x, out) },
    }
}

/// The unpacked blocks of one call.
struct Tile<'a> {
    /// Groups of four elements of all rows.
    codes: &'a [[[u8; 4 * TILE_ROWS]; 8]],
    scales: &'a [[f32; TILE_ROWS]],
    /// Block of the activations that the first block meets.
    first: usize,
    /// Whether codes use all eight bits.
    is_wide: bool,
}

/// The sum over a block is exact; only the last line rounds.
fn portable(tile: &Tile<'_>, x: &Activations<'_>, out: &mut [[f32; TILE_ROWS]]) {
    for (t, out) in out.iter_mut().enumerate() {
        for (b, (codes, scales)) in tile.codes.iter().zip(tile.scales).enumerate() {
            let at = t * x.blocks + tile.first + b;
            let activations = &x.codes[at * BLOCK..(at + 1) * BLOCK];
            for (row, out) in out.iter_mut().enumerate() {
                let mut sum = -x.offsets[at];
                for (i, a) in activations.iter().enumerate() {
                    let code = codes[i / 4][row * 4 + i % 4];
                    sum += i32::from(code) * i32::from(*a);
                }
                *out = (sum as f32).mul_add(scales[row] * x.scales[at], *out);
            }
        }
    }
}

/// The activations of `N` tokens that meet a tile: for each token one entry a block.
#[cfg(target_arch = "x86_64")]
struct Tokens<'a, const N: usize> {
    groups: [&'a [[[i8; 4]; 8]]; N],
    offsets: [&'a [i32]; N],
    scales: [&'a [f32]; N],
}

#[cfg(target_arch = "x86_64")]
impl<'a, const N: usize> Tokens<'a, N> {
    /// Those from token `t` on.
    #[inline(always)]
    fn new(tile: &Tile<'_>, x: &Activations<'a>, t: usize) -> Self {
        let groups = x.codes.as_chunks::<4>().0.as_chunks::<8>().0;
        let (mut all, n) =
            (Tokens { groups: [&[]; N], offsets: [&[]; N], scales: [&[]; N] }, tile.codes.len());
        for i in 0..N {
            let at = (t + i) * x.blocks + tile.first;
            all.groups[i] = &groups[at..at + n];
            all.offsets[i] = &x.offsets[at..at + n];
            all.scales[i] = &x.scales[at..at + n];
        }
        all
    }
}

/// Four activations as one lane of a vector.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
fn lane([a, b, c, d]: [i8; 4]) -> i32 {
    i32::from_le_bytes([a as u8, b as u8, c as u8, d as u8])
}

/// One instruction multiplies and adds four codes of 16 rows.
#[cfg(target_arch = "x86_64")]
mod avx512 {
    use std::arch::x86_64::*;

    use super::{Activations, TILE_ROWS, Tile, Tokens, lane};

    #[target_feature(enable = "avx512f,avx512vnni,avx512bw")]
    pub(super) fn dot(tile: &Tile<'_>, x: &Activations<'_>, out: &mut [[f32; TILE_ROWS]]) {
        let mut t = 0;
        while t < out.len() {
            let left = &mut out[t..];
            t += match left.len() {
                8.. => tokens::<8>(tile, x, t, left),
                4..8 => tokens::<4>(tile, x, t, left),
                2..4 => tokens::<2>(tile, x, t, left),
                _ => tokens::<1>(tile, x, t, left),
            };
        }
    }

    /// `N` tokens from `t` on, all blocks; gives `N`.
    #[target_feature(enable = "avx512f,avx512vnni,avx512bw")]
    fn tokens<const N: usize>(
        tile: &Tile<'_>,
        x: &Activations<'_>,
        t: usize,
        out: &mut [[f32; TILE_ROWS]],
    ) -> usize {
        let out: &mut [[f32; TILE_ROWS]; N] = out.first_chunk_mut().expect("checked in `dot`");
        let mut results = [_mm512_setzero_ps(); N];
        for (result, out) in results.iter_mut().zip(&*out) {
            // SAFETY: 64 bytes of an array of 16 floats.
            *result = unsafe { _mm512_loadu_ps(out.as_ptr()) };
        }
        let x = Tokens::<N>::new(tile, x, t);
        for (b, (codes, scales)) in tile.codes.iter().zip(tile.scales).enumerate() {
            let (mut groups, mut sums) = ([&[[0; 4]; 8]; N], [_mm512_setzero_si512(); N]);
            for i in 0..N {
                groups[i] = &x.groups[i][b];
                sums[i] = _mm512_set1_epi32(-x.offsets[i][b]);
            }
            for g in 0..8 {
                // SAFETY: 64 bytes of an array of that size.
                let codes = unsafe { _mm512_loadu_si512(codes[g].as_ptr().cast()) };
                for i in 0..N {
                    let activations = _mm512_set1_epi32(lane(groups[i][g]));
                    sums[i] = _mm512_dpbusd_epi32(sums[i], codes, activations);
                }
            }
            // SAFETY: 64 bytes of an array of 16 floats.
            let scales = unsafe { _mm512_loadu_ps(scales.as_ptr()) };
            for i in 0..N {
                let scale = _mm512_mul_ps(scales, _mm512_set1_ps(x.scales[i][b]));
                results[i] = _mm512_fmadd_ps(_mm512_cvtepi32_ps(sums[i]), scale, results[i]);
            }
        }
        for (out, result) in out.iter_mut().zip(results) {
            // SAFETY: 64 bytes of an array of 16 floats.
            unsafe { _mm512_storeu_ps(out.as_mut_ptr(), result) };
        }
        N
    }
}

/// Without an instruction for four products, pairs are added in 16 bits and then widened. The
/// first addition saturates, so wide codes go in as signs and magnitudes, whose sums fit.
#[cfg(target_arch = "x86_64")]
mod avx2 {
    use std::arch::x86_64::*;

    use super::{Activations, TILE_ROWS, Tile, Tokens, lane};

    #[target_feature(enable = "avx2,fma")]
    pub(super) fn dot(tile: &Tile<'_>, x: &Activations<'_>, out: &mut [[f32; TILE_ROWS]]) {
        let mut t = 0;
        while t < out.len() {
            let left = &mut out[t..];
            t += match (left.len(), tile.is_wide) {
                (4.., false) => tokens::<4, false>(tile, x, t, left),
                (4.., true) => tokens::<4, true>(tile, x, t, left),
                (_, false) => tokens::<1, false>(tile, x, t, left),
                (_, true) => tokens::<1, true>(tile, x, t, left),
            };
        }
    }

    /// `N` tokens from `t` on, all blocks; gives `N`.
    #[target_feature(enable = "avx2,fma")]
    fn tokens<const N: usize, const WIDE: bool>(
        tile: &Tile<'_>,
        x: &Activations<'_>,
        t: usize,
        out: &mut [[f32; TILE_ROWS]],
    ) -> usize {
        let out: &mut [[f32; TILE_ROWS]; N] = out.first_chunk_mut().expect("checked in `dot`");
        let x = Tokens::<N>::new(tile, x, t);
        for half in 0..2 {
            let rows = half * 8..half * 8 + 8;
            // SAFETY: 32 bytes of a slice of eight floats.
            let mut results: [__m256; N] =
                std::array::from_fn(|i| unsafe { _mm256_loadu_ps(out[i][rows.clone()].as_ptr()) });
            for (b, (codes, scales)) in tile.codes.iter().zip(tile.scales).enumerate() {
                let (mut groups, mut sums) = ([&[[0; 4]; 8]; N], [_mm256_setzero_si256(); N]);
                for i in 0..N {
                    groups[i] = &x.groups[i][b];
                    if !WIDE {
                        sums[i] = _mm256_set1_epi32(-x.offsets[i][b]);
                    }
                }
                for g in 0..8 {
                    let codes = &codes[g].as_chunks::<32>().0[half];
                    // SAFETY: 32 bytes of an array of that length.
                    let codes = unsafe { _mm256_loadu_si256(codes.as_ptr().cast()) };
                    for i in 0..N {
                        let activations = _mm256_set1_epi32(lane(groups[i][g]));
                        let products = products::<WIDE>(codes, activations);
                        sums[i] = _mm256_add_epi32(sums[i], products);
                    }
                }
                // SAFETY: 32 bytes of a slice of eight floats.
                let scales = unsafe { _mm256_loadu_ps(scales[rows.clone()].as_ptr()) };
                for i in 0..N {
                    let scale = _mm256_mul_ps(scales, _mm256_set1_ps(x.scales[i][b]));
                    results[i] = _mm256_fmadd_ps(_mm256_cvtepi32_ps(sums[i]), scale, results[i]);
                }
            }
            for (out, result) in out.iter_mut().zip(results) {
                // SAFETY: 32 bytes of a slice of eight floats.
                unsafe { _mm256_storeu_ps(out[rows.clone()].as_mut_ptr(), result) };
            }
        }
        N
    }

    /// The sums of four products in each lane, exact.
    #[target_feature(enable = "avx2,fma")]
    fn products<const WIDE: bool>(codes: __m256i, activations: __m256i) -> __m256i {
        let pairs = if WIDE {
            let signed = _mm256_xor_si256(codes, _mm256_set1_epi8(i8::MIN));
            // |code| ≤ 128 and |activation| ≤ 127: a pair is at most 32,512.
            let signs = _mm256_sign_epi8(activations, signed);
            _mm256_maddubs_epi16(_mm256_abs_epi8(signed), signs)
        } else {
            // Codes are at most 24: a pair is at most 6,096.
            _mm256_maddubs_epi16(codes, activations)
        };
        _mm256_madd_epi16(pairs, _mm256_set1_epi16(1))
    }
}

#[cfg(test)]
mod tests {
    use super::super::{TileRows, quantize, unpack};
    use super::*;
    use crate::testing::noise;
    use crate::{Format, dequantize_row, mxfp4};

    const LAYOUTS: [BlockLayout; 3] =
        [BlockLayout::Mxfp4, BlockLayout::Mxfp4Gguf, BlockLayout::Q8_0];

    /// Random rows of a layout: codes, scales (apart only in OpenAI's), and their values.
    struct Rows {
        codes: Vec<Vec<u8>>,
        scales: Vec<Vec<u8>>,
        values: Vec<Vec<f32>>,
    }

    fn random_bytes(len: usize, seed: u32) -> Vec<u8> {
        noise(len, seed).iter().map(|x| ((x + 1.0) * 127.99) as u8).collect()
    }

    fn rows(layout: BlockLayout, blocks: usize, seed: u32) -> Rows {
        let (stride, _) = layout.codes();
        let mut all = Rows { codes: vec![], scales: vec![], values: vec![] };
        for row in 0..TILE_ROWS as u32 {
            let mut codes = random_bytes(blocks * stride, seed + 2 * row);
            let exponents: Vec<u8> = random_bytes(blocks, seed + 2 * row + 1)
                .iter()
                .map(|byte| 118 + byte % 8)
                .collect();
            let mut values = vec![0.0; blocks * BLOCK];
            match layout {
                BlockLayout::Mxfp4 => mxfp4::dequantize_row(&codes, &exponents, &mut values),
                BlockLayout::Mxfp4Gguf => {
                    for (block, exponent) in codes.chunks_mut(17).zip(&exponents) {
                        block[0] = *exponent;
                    }
                    dequantize_row(Format::Mxfp4Gguf, &codes, &mut values);
                }
                BlockLayout::Q8_0 => {
                    for (block, exponent) in codes.chunks_mut(34).zip(&exponents) {
                        // Halves around 0.01.
                        (block[0], block[1]) = (*exponent, 0x20);
                    }
                    // The extreme code, whose magnitude does not fit into a signed byte.
                    codes[2] = 0x80;
                    dequantize_row(Format::Q8_0, &codes, &mut values);
                }
            }
            let apart = layout == BlockLayout::Mxfp4;
            all.scales.push(if apart { exponents } else { codes.clone() });
            all.codes.push(codes);
            all.values.push(values);
        }
        all
    }

    fn run(isa: Isa, layout: BlockLayout, rows: &Rows, x: &[f32], cut: usize) -> Vec<f32> {
        let blocks = rows.values[0].len() / BLOCK;
        let tokens = x.len() / (blocks * BLOCK);
        let (mut codes, mut scales, mut offsets) =
            (vec![0; x.len()], vec![0.0; tokens * blocks], vec![0; tokens * blocks]);
        quantize(layout, x, &mut codes, &mut scales, &mut offsets);
        let x = Activations { codes: &codes, scales: &scales, offsets: &offsets, blocks };
        let tile = TileRows {
            layout,
            codes: std::array::from_fn(|row| &rows.codes[row][..]),
            scales: std::array::from_fn(|row| &rows.scales[row][..]),
        };
        let mut out = vec![0.0; tokens * TILE_ROWS];
        for first in (0..blocks).step_by(cut) {
            let n = cut.min(blocks - first);
            let (mut codes, mut scales) = (vec![0; n * TILE_BLOCK_BYTES], vec![0.0; n * TILE_ROWS]);
            unpack(isa, &tile, first, &mut codes, &mut scales);
            dot_tile(isa, layout, (&codes, &scales), &x, first, &mut out);
        }
        out
    }

    #[test]
    fn every_isa_and_every_cut_gives_the_same_bits() {
        let mut compared = 0;
        for layout in LAYOUTS {
            for (blocks, tokens) in [(1, 1), (2, 3), (5, 8), (90, 1), (3, 17), (7, 6)] {
                let rows = rows(layout, blocks, 11);
                let x = noise(tokens * blocks * BLOCK, 3);
                let expected = run(Isa::PORTABLE, layout, &rows, &x, blocks);
                for isa in Isa::available() {
                    for cut in [blocks, 1, 2] {
                        let actual = run(isa, layout, &rows, &x, cut);
                        for (i, (a, e)) in actual.iter().zip(&expected).enumerate() {
                            assert_eq!(
                                a.to_bits(),
                                e.to_bits(),
                                "{isa:?} {layout:?} {blocks} blocks, {tokens} tokens, cut {cut}, \
                                 [{i}]: {a} is not {e}"
                            );
                            compared += 1;
                        }
                    }
                }
            }
        }
        assert!(compared > 10_000, "{compared}");
    }

    #[test]
    fn a_token_does_not_see_its_neighbours() {
        for isa in Isa::available() {
            let rows = rows(BlockLayout::Mxfp4, 4, 1);
            let x = noise(19 * 4 * BLOCK, 8);
            let together = run(isa, BlockLayout::Mxfp4, &rows, &x, 4);
            for t in 0..19 {
                let alone = run(isa, BlockLayout::Mxfp4, &rows, &x[t * 128..(t + 1) * 128], 4);
                assert_eq!(alone, together[t * TILE_ROWS..(t + 1) * TILE_ROWS], "token {t}");
            }
        }
    }

    #[test]
    fn the_result_is_the_product_within_the_error_of_eight_bits() {
        for layout in LAYOUTS {
            let blocks = 90;
            let rows = rows(layout, blocks, 5);
            let x = noise(2 * blocks * BLOCK, 4);
            let actual = run(Isa::detect(), layout, &rows, &x, blocks);
            for (i, actual) in actual.iter().enumerate() {
                let (token, row) = (i / TILE_ROWS, i % TILE_ROWS);
                let x = &x[token * blocks * BLOCK..][..blocks * BLOCK];
                let products =
                    rows.values[row].iter().zip(x).map(|(w, x)| f64::from(*w) * f64::from(*x));
                let (exact, size) =
                    products.fold((0.0, 0.0), |(sum, size), p| (sum + p, size + p * p));
                // Half a step of 1/127 on every activation, independent of each other.
                let error = (f64::from(*actual) - exact).abs();
                assert!(error < 0.04 * f64::sqrt(size), "{layout:?} [{i}]: {actual} {exact}");
            }
        }
    }
}
