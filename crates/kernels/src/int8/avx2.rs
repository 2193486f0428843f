//! AVX2: eight rows fill a vector, so a tile is done in two halves.
//!
//! Without an instruction for four products, pairs are added in 16 bits and then widened. The
//! first addition saturates, so wide codes go in as signs and magnitudes, whose sums fit.
//! Functions here read without bounds checks what the functions of `tile` have checked.

#![allow(clippy::needless_range_loop, reason = "one index counts registers of several arrays")]

use std::arch::x86_64::*;

use super::avx2_few;
use super::layout::FP4_BYTES;
use super::scales::RawScales;
use super::tile::Ahead;
use super::{
    ActivationBlock, Activations, BlockCodes, BlockLayout, TILE_ROWS, TileRows, Unpacked,
    UnpackedMut,
};

/// Codes of at most 24, of which four products of pairs fit 16 bits.
const NARROW: u8 = 0;
/// The same, with a minimum.
const WITH_MINIMUM: u8 = 1;
/// Codes of eight bits.
const WIDE: u8 = 2;

/// Tokens that are multiplied at once: more do not fit into 16 registers.
pub(super) const TOKENS: usize = 4;

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
    if matches!(rows.layout, BlockLayout::Mxfp4 | BlockLayout::Mxfp4Gguf | BlockLayout::Q8_0) {
        // SAFETY: the caller has checked the rows and tokens.
        unsafe { avx2_few::dot_rows(rows, x, tokens, out) };
        return;
    }
    let mut codes = [[[0; 4 * TILE_ROWS]; 8]; RawScales::BLOCKS];
    let mut scales = [[0.0; TILE_ROWS]; RawScales::BLOCKS];
    let mut minimums = [[0.0; TILE_ROWS]; RawScales::BLOCKS];
    out.fill([0.0; TILE_ROWS]);
    let mut first = 0;
    while first < rows.blocks {
        let n = RawScales::BLOCKS.min(rows.blocks - first);
        // SAFETY: the caller has checked that the rows and tokens hold these blocks.
        unsafe {
            let room = UnpackedMut {
                codes: &mut codes[..n],
                scales: &mut scales[..n],
                minimums: &mut minimums[..n],
            };
            unpack_blocks(rows, first, room);
            let tile = Unpacked {
                layout: rows.layout,
                first,
                codes: [&codes[..n]],
                scales: [&scales[..n]],
                minimums: [&minimums[..n]],
            };
            add_tiles(&tile, x, tokens, out.as_chunks_mut().0);
        }
        first += n;
    }
}

/// See [`unpack`](super::unpack).
///
/// # Safety
/// The CPU has the features; rows and blocks were checked.
#[target_feature(enable = "avx2,fma,f16c")]
pub(super) unsafe fn unpack(rows: &TileRows<'_>, first: usize, out: UnpackedMut<'_>) {
    let UnpackedMut { mut codes, mut scales, mut minimums } = out;
    let mut at = first;
    while !codes.is_empty() {
        let n = RawScales::BLOCKS.min(codes.len());
        let room = UnpackedMut {
            codes: codes.split_off_mut(..n).expect("at most as many as there are"),
            scales: scales.split_off_mut(..n).expect("as many as codes"),
            minimums: minimums.split_off_mut(..n.min(minimums.len())).expect("not more than all"),
        };
        // SAFETY: the caller has checked that the rows hold as many blocks as there are codes.
        unsafe { unpack_blocks(rows, at, room) };
        at += n;
    }
}

/// See [`add_tiles`](super::add_tiles).
///
/// # Safety
/// The CPU has the features; tiles and tokens were checked.
#[target_feature(enable = "avx2,fma,f16c")]
pub(super) unsafe fn add_tiles<const M: usize>(
    tiles: &Unpacked<'_, M>,
    x: &Activations<'_>,
    tokens: &[u32],
    out: &mut [[[f32; TILE_ROWS]; M]],
) {
    // SAFETY: the caller has checked what the callees need.
    unsafe {
        match tiles.layout {
            BlockLayout::Q8_0 => add_tiles_of::<M, WIDE>(tiles, x, tokens, out),
            BlockLayout::Q4_1 => add_tiles_of::<M, WITH_MINIMUM>(tiles, x, tokens, out),
            BlockLayout::Mxfp4 | BlockLayout::Mxfp4Gguf | BlockLayout::Q4_0 => {
                add_tiles_of::<M, NARROW>(tiles, x, tokens, out);
            }
        }
    }
}

/// # Safety
/// As [`add_tiles`]; `KIND` is that of the layout.
#[target_feature(enable = "avx2,fma,f16c")]
unsafe fn add_tiles_of<const M: usize, const KIND: u8>(
    tiles: &Unpacked<'_, M>,
    x: &Activations<'_>,
    tokens: &[u32],
    out: &mut [[[f32; TILE_ROWS]; M]],
) {
    for (tokens, out) in tokens.chunks(TOKENS).zip(out.chunks_mut(TOKENS)) {
        let mut blocks = [x.data.as_ptr(); TOKENS];
        for (block, token) in blocks.iter_mut().zip(tokens) {
            *block = block.wrapping_add(*token as usize * x.blocks + tiles.first);
        }
        for m in 0..M {
            // SAFETY: the caller has checked the blocks; there are `N` tokens.
            unsafe {
                match tokens.len() {
                    1 => add_blocks_n::<M, 1, KIND>(tiles, &blocks, m, out),
                    2 => add_blocks_n::<M, 2, KIND>(tiles, &blocks, m, out),
                    3 => add_blocks_n::<M, 3, KIND>(tiles, &blocks, m, out),
                    _ => add_blocks_n::<M, TOKENS, KIND>(tiles, &blocks, m, out),
                }
            }
        }
    }
}

/// Tile `m` of the first `N` tokens.
///
/// # Safety
/// Each token has the tile's blocks; `out` has `N` entries.
#[target_feature(enable = "avx2,fma,f16c")]
unsafe fn add_blocks_n<const M: usize, const N: usize, const KIND: u8>(
    tiles: &Unpacked<'_, M>,
    x: &[*const ActivationBlock; TOKENS],
    m: usize,
    out: &mut [[[f32; TILE_ROWS]; M]],
) {
    let (codes, scales, minimums) = (tiles.codes[m], tiles.scales[m], tiles.minimums[m]);
    for half in 0..2 {
        let mut results = [_mm256_setzero_ps(); N];
        for i in 0..N {
            // SAFETY: eight of 16 floats.
            results[i] = unsafe { _mm256_loadu_ps(out[i][m].as_ptr().add(half * 8)) };
        }
        for b in 0..codes.len() {
            let mut sums = [_mm256_setzero_si256(); N];
            // SAFETY: eight of 16 rows of each group, and a block that the caller promises.
            unsafe {
                match KIND {
                    WIDE => wide_sums::<N>(&codes[b], half, x, b, &mut sums),
                    _ => narrow_sums::<N, KIND>(&codes[b], half, x, b, &mut sums),
                }
                let scales = _mm256_loadu_ps(scales[b].as_ptr().add(half * 8));
                for i in 0..N {
                    let step = _mm256_set1_ps((*x[i].add(b)).scale);
                    let scale = _mm256_mul_ps(scales, step);
                    results[i] = _mm256_fmadd_ps(_mm256_cvtepi32_ps(sums[i]), scale, results[i]);
                    if KIND == WITH_MINIMUM {
                        let minimums = _mm256_loadu_ps(minimums[b].as_ptr().add(half * 8));
                        let sum = _mm256_set1_ps((*x[i].add(b)).start as f32);
                        let minimum = _mm256_mul_ps(minimums, step);
                        results[i] = _mm256_fmadd_ps(sum, minimum, results[i]);
                    }
                }
            }
        }
        for i in 0..N {
            // SAFETY: eight of 16 floats.
            unsafe { _mm256_storeu_ps(out[i][m].as_mut_ptr().add(half * 8), results[i]) };
        }
    }
}

/// Sums over block `b`, codes of eight bits.
///
/// # Safety
/// `half` is 0 or 1; each of the first `N` of `x` points to more than `b` blocks.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
unsafe fn wide_sums<const N: usize>(
    codes: &BlockCodes,
    half: usize,
    x: &[*const ActivationBlock; TOKENS],
    b: usize,
    sums: &mut [__m256i; N],
) {
    let ones = _mm256_set1_epi16(1);
    for g in 0..8 {
        // SAFETY: 32 of 64 bytes.
        let codes = unsafe { _mm256_loadu_si256(codes[g].as_ptr().add(half * 32).cast()) };
        let signed = _mm256_xor_si256(codes, _mm256_set1_epi8(i8::MIN));
        let magnitudes = _mm256_abs_epi8(signed);
        for i in 0..N {
            // SAFETY: group `g` of a block that the caller promises.
            let group = unsafe { (&raw const (*x[i].add(b)).codes).cast::<i32>().add(g).read() };
            // |code| ≤ 128 and |activation| ≤ 127: a pair is at most 32,512.
            let signs = _mm256_sign_epi8(_mm256_set1_epi32(group), signed);
            let pairs = _mm256_maddubs_epi16(magnitudes, signs);
            sums[i] = _mm256_add_epi32(sums[i], _mm256_madd_epi16(pairs, ones));
        }
    }
}

/// Sums over block `b`, codes of at most 24: a pair is at most 6,096 and four pairs fit 16 bits.
///
/// # Safety
/// As [`wide_sums`].
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
unsafe fn narrow_sums<const N: usize, const KIND: u8>(
    codes: &BlockCodes,
    half: usize,
    x: &[*const ActivationBlock; TOKENS],
    b: usize,
    sums: &mut [__m256i; N],
) {
    let ones = _mm256_set1_epi16(1);
    if KIND == NARROW {
        for i in 0..N {
            // SAFETY: a block that the caller promises.
            sums[i] = _mm256_set1_epi32(unsafe { (*x[i].add(b)).start });
        }
    }
    for four in 0..2 {
        let mut pairs = [_mm256_setzero_si256(); N];
        for g in four * 4..four * 4 + 4 {
            // SAFETY: 32 of 64 bytes.
            let codes = unsafe { _mm256_loadu_si256(codes[g].as_ptr().add(half * 32).cast()) };
            for i in 0..N {
                // SAFETY: group `g` of a block that the caller promises.
                let group =
                    unsafe { (&raw const (*x[i].add(b)).codes).cast::<i32>().add(g).read() };
                let products = _mm256_maddubs_epi16(codes, _mm256_set1_epi32(group));
                pairs[i] = _mm256_add_epi16(pairs[i], products);
            }
        }
        for i in 0..N {
            sums[i] = _mm256_add_epi32(sums[i], _mm256_madd_epi16(pairs[i], ones));
        }
    }
}

/// Unpacks blocks from `first` on, at most [`RawScales::BLOCKS`].
///
/// # Safety
/// The rows hold these blocks.
#[target_feature(enable = "avx2,fma,f16c")]
unsafe fn unpack_blocks(rows: &TileRows<'_>, first: usize, out: UnpackedMut<'_>) {
    let mut raw = RawScales::new();
    let mut ahead = Ahead::new(rows, first);
    let n = out.codes.len();
    // SAFETY: the caller promises the blocks.
    unsafe {
        match rows.layout {
            BlockLayout::Mxfp4 => raw.copy(BlockLayout::Mxfp4, rows, (first, n)),
            BlockLayout::Mxfp4Gguf => raw.copy(BlockLayout::Mxfp4Gguf, rows, (first, n)),
            BlockLayout::Q8_0 => raw.copy(BlockLayout::Q8_0, rows, (first, n)),
            BlockLayout::Q4_0 => raw.copy(BlockLayout::Q4_0, rows, (first, n)),
            BlockLayout::Q4_1 => raw.copy(BlockLayout::Q4_1, rows, (first, n)),
        }
    }
    for i in 0..n {
        ahead.fetch();
        let codes = &mut out.codes[i];
        for half in 0..2 {
            // SAFETY: the block is one of the rows'; stores are into eight of 16 rows.
            unsafe {
                let steps = match rows.layout {
                    BlockLayout::Q8_0 => {
                        unpack_wide(rows, first + i, half, codes);
                        eight_halves(&raw.halves[i], half)
                    }
                    BlockLayout::Q4_0 | BlockLayout::Q4_1 => {
                        unpack_nibbles(rows, first + i, half, codes);
                        eight_halves(&raw.halves[i], half)
                    }
                    BlockLayout::Mxfp4 | BlockLayout::Mxfp4Gguf => {
                        unpack_fp4(rows, first + i, half, codes);
                        let exponents =
                            _mm_loadl_epi64(raw.exponents[i].as_ptr().add(half * 8).cast());
                        half_powers(_mm256_cvtepu8_epi32(exponents))
                    }
                };
                _mm256_storeu_ps(out.scales[i].as_mut_ptr().add(half * 8), steps);
                if rows.layout.has_minimum() {
                    let minimums = eight_halves(&raw.minimums[i], half);
                    _mm256_storeu_ps(out.minimums[i].as_mut_ptr().add(half * 8), minimums);
                }
            }
        }
    }
}

/// Eight f16 of 16, widened.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn eight_halves(halves: &[u16; TILE_ROWS], half: usize) -> __m256 {
    let halves = halves.as_chunks::<8>().0[half].as_ptr();
    // SAFETY: 16 bytes of an array of that size.
    _mm256_cvtph_ps(unsafe { _mm_loadu_si128(halves.cast()) })
}

/// 2^(e − 127) / 2, infinite for 255.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
pub(super) fn half_powers(exponents: __m256i) -> __m256 {
    // The exponent field is e − 1; below 2 the number is subnormal.
    let normal = _mm256_slli_epi32::<23>(_mm256_sub_epi32(exponents, _mm256_set1_epi32(1)));
    let small = _mm256_cmpgt_epi32(_mm256_set1_epi32(2), exponents);
    let subnormal = _mm256_sllv_epi32(_mm256_set1_epi32(0x0020_0000), exponents);
    let infinite = _mm256_cmpeq_epi32(exponents, _mm256_set1_epi32(255));
    let bits = _mm256_blendv_epi8(normal, subnormal, small);
    let bits = _mm256_blendv_epi8(bits, _mm256_set1_epi32(0x7F80_0000), infinite);
    _mm256_castsi256_ps(bits)
}

/// # Safety
/// The rows are of Q8_0 and hold block `b`; `half` is 0 or 1.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
unsafe fn unpack_wide(rows: &TileRows<'_>, b: usize, half: usize, codes: &mut BlockCodes) {
    let at = b * rows.layout.code_stride() + rows.layout.code_start();
    let sign = _mm256_set1_epi8(i8::MIN);
    for quarter in 0..2 {
        // SAFETY: a block has 32 bytes of codes.
        let groups = unsafe { transposed(rows, half, at + quarter * 16) };
        for j in 0..4 {
            let out = codes[quarter * 4 + j].as_mut_ptr();
            let code = _mm256_xor_si256(groups[j], sign);
            // SAFETY: 32 of 64 bytes.
            unsafe { _mm256_storeu_si256(out.add(half * 32).cast(), code) };
        }
    }
}

/// # Safety
/// The rows are of MXFP4 and hold block `b`; `half` is 0 or 1.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
unsafe fn unpack_fp4(rows: &TileRows<'_>, b: usize, half: usize, codes: &mut BlockCodes) {
    // SAFETY: 16 bytes of a constant of that size.
    let table = unsafe { _mm_loadu_si128(FP4_BYTES.as_ptr().cast()) };
    let table = _mm256_broadcastsi128_si256(table);
    // SAFETY: the caller promises the block.
    let nibbles = unsafe { nibbles(rows, b, half) };
    for (codes, nibbles) in codes.iter_mut().zip(nibbles) {
        let bytes = _mm256_shuffle_epi8(table, nibbles);
        // SAFETY: 32 of 64 bytes.
        unsafe { _mm256_storeu_si256(codes.as_mut_ptr().add(half * 32).cast(), bytes) };
    }
}

/// # Safety
/// The rows are of Q4_0 or Q4_1 and hold block `b`; `half` is 0 or 1.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
unsafe fn unpack_nibbles(rows: &TileRows<'_>, b: usize, half: usize, codes: &mut BlockCodes) {
    // SAFETY: the caller promises the block.
    let nibbles = unsafe { nibbles(rows, b, half) };
    for (codes, nibbles) in codes.iter_mut().zip(nibbles) {
        // SAFETY: 32 of 64 bytes.
        unsafe { _mm256_storeu_si256(codes.as_mut_ptr().add(half * 32).cast(), nibbles) };
    }
}

/// The codes of four bits of block `b`, as [`BlockCodes`] has them.
///
/// # Safety
/// The rows have 16 bytes of codes in a block and hold block `b`; `half` is 0 or 1.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
pub(super) unsafe fn nibbles(rows: &TileRows<'_>, b: usize, half: usize) -> [__m256i; 8] {
    let at = b * rows.layout.code_stride() + rows.layout.code_start();
    let nibble = _mm256_set1_epi8(15);
    // SAFETY: a block has 16 bytes of codes.
    let packed = unsafe { transposed(rows, half, at) };
    let mut nibbles = [_mm256_setzero_si256(); 8];
    for j in 0..4 {
        nibbles[2 * j] = _mm256_and_si256(packed[j], nibble);
        nibbles[2 * j + 1] = _mm256_and_si256(_mm256_srli_epi16::<4>(packed[j]), nibble);
    }
    nibbles
}

/// Bytes `at..at + 16` of the eight rows of a half: vector `j` holds bytes `4j..4j + 4` of each
/// row in turn.
///
/// # Safety
/// Every row has these bytes; `half` is 0 or 1.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
pub(super) unsafe fn transposed(rows: &TileRows<'_>, half: usize, at: usize) -> [__m256i; 4] {
    let stride = rows.code_stride;
    // Lane l of vector i is row 4l + i of the half, so that unpacking within lanes sorts the rows.
    let mut quads = [_mm256_setzero_si256(); 4];
    for i in 0..4 {
        // SAFETY: row 8·half + 4l + i begins at (4·half + 2l + i / 2) · stride of its part.
        unsafe {
            let row = rows.codes[i % 2].as_ptr().add(at + (4 * half + i / 2) * stride);
            let low = _mm256_castsi128_si256(_mm_loadu_si128(row.cast()));
            let high = _mm_loadu_si128(row.add(2 * stride).cast());
            quads[i] = _mm256_inserti128_si256::<1>(low, high);
        }
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
