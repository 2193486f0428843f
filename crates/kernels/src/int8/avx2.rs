//! AVX2: eight rows fill a vector, so a tile is done in two halves.
//!
//! Without an instruction for four products, pairs are added in 16 bits and then widened. The
//! first addition saturates, so wide codes go in as signs and magnitudes, whose sums fit.
//! Functions here read without bounds checks what the functions of `tile` have checked.

#![allow(clippy::needless_range_loop, reason = "one index counts registers of several arrays")]

use std::arch::x86_64::*;

use super::layout::FP4_BYTES;
use super::tile::Ahead;
use super::{
    ActivationBlock, Activations, BlockCodes, BlockLayout, TILE_ROWS, TileRows, Unpacked,
    UnpackedMut,
};

/// Codes of at most 24, of which four products of pairs fit 16 bits.
pub(super) const NARROW: u8 = 0;
/// The same, with a minimum.
pub(super) const WITH_MINIMUM: u8 = 1;
/// Codes of eight bits.
pub(super) const WIDE: u8 = 2;

/// Tokens that are multiplied at once: more do not fit into 16 registers.
pub(super) const TOKENS: usize = 4;

/// See [`unpack`](super::unpack).
///
/// # Safety
/// The CPU has the features; rows and blocks were checked.
#[target_feature(enable = "avx2,fma,f16c")]
pub(super) unsafe fn unpack(rows: &TileRows<'_>, first: usize, out: UnpackedMut<'_>) {
    let mut ahead = Ahead::new(rows, first);
    for i in 0..out.codes.len() {
        ahead.fetch();
        for half in 0..2 {
            // SAFETY: the caller has checked that the rows hold as many blocks as there are codes;
            // stores are into eight of 16 rows.
            unsafe {
                match rows.layout {
                    BlockLayout::Q8_0 => unpack_wide(rows, first + i, half, &mut out.codes[i]),
                    _ => unpack_narrow(rows, first + i, half, &mut out.codes[i]),
                }
                let [scales, minimums] = steps_of(rows, first + i, half);
                _mm256_storeu_ps(out.scales[i].as_mut_ptr().add(half * 8), scales);
                if rows.layout.has_minimum() {
                    _mm256_storeu_ps(out.minimums[i].as_mut_ptr().add(half * 8), minimums);
                }
            }
        }
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
                let minimums = match KIND {
                    WITH_MINIMUM => _mm256_loadu_ps(minimums[b].as_ptr().add(half * 8)),
                    _ => _mm256_setzero_ps(),
                };
                for i in 0..N {
                    let block = &*x[i].add(b);
                    results[i] = add_block::<KIND>(results[i], sums[i], [scales, minimums], block);
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
    for g in 0..8 {
        // SAFETY: 32 of 64 bytes, and a block that the caller promises.
        unsafe {
            let codes = _mm256_loadu_si256(codes[g].as_ptr().add(half * 32).cast());
            let signed = _mm256_xor_si256(codes, _mm256_set1_epi8(i8::MIN));
            wide_group::<N>(signed, g, x, b, sums);
        }
    }
}

/// Adds group `g` of block `b`, four signed codes of each of eight rows.
///
/// # Safety
/// Each of the first `N` of `x` points to more than `b` blocks.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
pub(super) unsafe fn wide_group<const N: usize>(
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

/// Sums over block `b`, codes of at most 24.
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
    if KIND == NARROW {
        // SAFETY: a block that the caller promises.
        unsafe { begin_sums::<N>(x, b, sums) };
    }
    for four in 0..2 {
        let mut groups = [_mm256_setzero_si256(); 4];
        for j in 0..4 {
            let group = codes[four * 4 + j].as_ptr();
            // SAFETY: 32 of 64 bytes.
            groups[j] = unsafe { _mm256_loadu_si256(group.add(half * 32).cast()) };
        }
        // SAFETY: a block that the caller promises.
        unsafe { narrow_four::<N>(&groups, four, x, b, sums) };
    }
}

/// Takes back what was added to the codes of block `b`.
///
/// # Safety
/// Each of the first `N` of `x` points to more than `b` blocks.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
pub(super) unsafe fn begin_sums<const N: usize>(
    x: &[*const ActivationBlock; TOKENS],
    b: usize,
    sums: &mut [__m256i; N],
) {
    for i in 0..N {
        // SAFETY: a block that the caller promises.
        sums[i] = _mm256_set1_epi32(unsafe { (*x[i].add(b)).start });
    }
}

/// Adds groups `4·four` to `4·four + 3` of block `b`, four codes of at most 24 of each of eight
/// rows: a pair is at most 6,096 and four pairs fit 16 bits.
///
/// # Safety
/// Each of the first `N` of `x` points to more than `b` blocks; `four` is 0 or 1.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
pub(super) unsafe fn narrow_four<const N: usize>(
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

/// A result after another block, whose sums of products these are.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
pub(super) fn add_block<const KIND: u8>(
    result: __m256,
    sums: __m256i,
    [scales, minimums]: [__m256; 2],
    block: &ActivationBlock,
) -> __m256 {
    let step = _mm256_set1_ps(block.scale);
    let scale = _mm256_mul_ps(scales, step);
    let result = _mm256_fmadd_ps(_mm256_cvtepi32_ps(sums), scale, result);
    match KIND {
        WITH_MINIMUM => {
            let sum = _mm256_set1_ps(block.start as f32);
            _mm256_fmadd_ps(sum, _mm256_mul_ps(minimums, step), result)
        }
        _ => result,
    }
}

/// The scales and minimums of the eight rows of a half of block `b`, with the bits of
/// `scales::{scales_of, minimums_of}`.
///
/// # Safety
/// The rows hold block `b`; `half` is 0 or 1.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
pub(super) unsafe fn steps_of(rows: &TileRows<'_>, b: usize, half: usize) -> [__m256; 2] {
    // SAFETY: the caller promises the block.
    let words = unsafe { scale_words(rows, b, half) };
    match rows.layout {
        BlockLayout::Mxfp4 | BlockLayout::Mxfp4Gguf => {
            let exponents = _mm256_and_si256(words, _mm256_set1_epi32(0xFF));
            [half_powers(exponents), _mm256_setzero_ps()]
        }
        BlockLayout::Q8_0 | BlockLayout::Q4_0 => {
            [low_halves(_mm256_and_si256(words, _mm256_set1_epi32(0xFFFF))), _mm256_setzero_ps()]
        }
        BlockLayout::Q4_1 => [
            low_halves(_mm256_and_si256(words, _mm256_set1_epi32(0xFFFF))),
            low_halves(_mm256_srli_epi32::<16>(words)),
        ],
    }
}

/// The f16 in each lane, widened; the lanes are below 2¹⁶.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn low_halves(words: __m256i) -> __m256 {
    let halves = _mm256_permute4x64_epi64::<0b1000>(_mm256_packus_epi32(words, words));
    _mm256_cvtph_ps(_mm256_castsi256_si128(halves))
}

/// The first bytes of a block's scale, for the eight rows of a half of block `b`, one row to a
/// lane: four where the codes come after it, else the one that it is.
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
    _mm256_set_m128i(high, low)
}

/// 2^(e − 127) / 2, infinite for 255.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn half_powers(exponents: __m256i) -> __m256 {
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
    let sign = _mm256_set1_epi8(i8::MIN);
    for quarter in 0..2 {
        // SAFETY: the caller promises the block.
        let groups = unsafe { wide_codes(rows, b, half, quarter) };
        for j in 0..4 {
            let out = codes[quarter * 4 + j].as_mut_ptr();
            let code = _mm256_xor_si256(groups[j], sign);
            // SAFETY: 32 of 64 bytes.
            unsafe { _mm256_storeu_si256(out.add(half * 32).cast(), code) };
        }
    }
}

/// # Safety
/// The rows are not of Q8_0 and hold block `b`; `half` is 0 or 1.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
unsafe fn unpack_narrow(rows: &TileRows<'_>, b: usize, half: usize, codes: &mut BlockCodes) {
    // SAFETY: the caller promises the block.
    let groups = unsafe { narrow_codes(rows, b, half) };
    for (codes, group) in codes.iter_mut().zip(groups) {
        // SAFETY: 32 of 64 bytes.
        unsafe { _mm256_storeu_si256(codes.as_mut_ptr().add(half * 32).cast(), group) };
    }
}

/// Four groups of signed codes of block `b`, as the file has them.
///
/// # Safety
/// The rows are of Q8_0 and hold block `b`; `half` and `quarter` are 0 or 1.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
pub(super) unsafe fn wide_codes(
    rows: &TileRows<'_>,
    b: usize,
    half: usize,
    quarter: usize,
) -> [__m256i; 4] {
    let at = b * rows.layout.code_stride() + rows.layout.code_start();
    // SAFETY: a block has 32 bytes of codes.
    unsafe { transposed(rows, half, at + quarter * 16) }
}

/// The codes of block `b`, as [`BlockCodes`] has them.
///
/// # Safety
/// The rows are not of Q8_0 and hold block `b`; `half` is 0 or 1.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
pub(super) unsafe fn narrow_codes(rows: &TileRows<'_>, b: usize, half: usize) -> [__m256i; 8] {
    // SAFETY: the caller promises the block.
    let mut codes = unsafe { nibbles(rows, b, half) };
    if matches!(rows.layout, BlockLayout::Mxfp4 | BlockLayout::Mxfp4Gguf) {
        // SAFETY: 16 bytes of a constant of that size.
        let table = unsafe { _mm_loadu_si128(FP4_BYTES.as_ptr().cast()) };
        let table = _mm256_broadcastsi128_si256(table);
        for codes in &mut codes {
            *codes = _mm256_shuffle_epi8(table, *codes);
        }
    }
    codes
}

/// The codes of four bits of block `b`, in the order of [`BlockCodes`].
///
/// # Safety
/// The rows have 16 bytes of codes in a block and hold block `b`; `half` is 0 or 1.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
unsafe fn nibbles(rows: &TileRows<'_>, b: usize, half: usize) -> [__m256i; 8] {
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
unsafe fn transposed(rows: &TileRows<'_>, half: usize, at: usize) -> [__m256i; 4] {
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
