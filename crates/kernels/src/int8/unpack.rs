//! The codes of a tile, widened to bytes, with its rows side by side.

use super::{BLOCK, BlockLayout, TILE_BLOCK_BYTES, TILE_ROWS, TileRows};
use crate::half::f16_to_f32;
use crate::isa::{Isa, Level};
use crate::mxfp4;

/// Twice the value of each FP4 code, plus 12, so that it is an unsigned byte.
const FP4_BYTES: [u8; 16] = [12, 13, 14, 15, 16, 18, 20, 24, 12, 11, 10, 9, 8, 6, 4, 0];

/// Unpacks the blocks `first..first + n` of a tile.
///
/// | argument | shape                   | meaning                                          |
/// |----------|-------------------------|--------------------------------------------------|
/// | `codes`  | `[n, 8, 16 rows, 4]`    | unsigned bytes, code plus the layout's offset    |
/// | `scales` | `[n, 16 rows]`          | value of one step of a code                      |
///
/// # Panics
/// If a row is shorter than the blocks asked for, or the lengths do not belong together.
pub fn unpack(isa: Isa, rows: &TileRows<'_>, first: usize, codes: &mut [u8], scales: &mut [f32]) {
    let blocks = scales.len() / TILE_ROWS;
    assert_eq!(scales.len(), blocks * TILE_ROWS, "unpack: whole blocks");
    assert_eq!(codes.len(), blocks * TILE_BLOCK_BYTES, "unpack: codes and scales");
    let (stride, start) = rows.layout.codes();
    let (scale_stride, scale_bytes) = rows.layout.scales();
    let last = (first + blocks).saturating_sub(1);
    for row in 0..TILE_ROWS {
        let code_end = last * stride + start + rows.layout.code_bytes();
        assert!(rows.codes[row].len() >= code_end || blocks == 0, "unpack: codes of row {row}");
        let scale_end = last * scale_stride + scale_bytes;
        assert!(rows.scales[row].len() >= scale_end || blocks == 0, "unpack: scales of row {row}");
    }
    unpack_scales(rows, first, scales);
    match isa.level() {
        Level::Portable => portable(rows, first, codes),
        #[cfg(target_arch = "x86_64")]
        // SAFETY: an `Isa` of this level exists only if the CPU has AVX2.
        Level::Avx2 => unsafe { avx2::unpack(rows, first, codes) },
        #[cfg(target_arch = "x86_64")]
        // SAFETY: an `Isa` of this level exists only if the CPU has AVX-512 F and BW.
        Level::Avx512 => unsafe { avx512::unpack(rows, first, codes) },
    }
}

fn unpack_scales(rows: &TileRows<'_>, first: usize, scales: &mut [f32]) {
    let (stride, _) = rows.layout.scales();
    for (b, scales) in scales.as_chunks_mut::<TILE_ROWS>().0.iter_mut().enumerate() {
        let at = (first + b) * stride;
        match rows.layout {
            BlockLayout::Q8_0 => {
                for (scale, row) in scales.iter_mut().zip(rows.scales) {
                    *scale = f16_to_f32(u16::from_le_bytes([row[at], row[at + 1]]));
                }
            }
            // Codes are twice their value.
            BlockLayout::Mxfp4 | BlockLayout::Mxfp4Gguf => {
                for (scale, row) in scales.iter_mut().zip(rows.scales) {
                    *scale = mxfp4::scale(row[at]) * 0.5;
                }
            }
        }
    }
}

/// The definition: byte `i` of a row's block is the code of element `layout.element(i)`.
fn portable(rows: &TileRows<'_>, first: usize, codes: &mut [u8]) {
    let (stride, start) = rows.layout.codes();
    for (b, tile) in codes.as_chunks_mut::<TILE_BLOCK_BYTES>().0.iter_mut().enumerate() {
        for (r, row) in rows.codes.iter().enumerate() {
            let block = &row[(first + b) * stride + start..];
            for i in 0..BLOCK {
                let (group, within) = (i / 4, i % 4);
                let code = match rows.layout {
                    BlockLayout::Q8_0 => block[i] ^ 0x80,
                    // Groups 2g and 2g + 1 are the low and high halves of bytes 4g to 4g + 3.
                    _ => {
                        let byte = block[group / 2 * 4 + within];
                        FP4_BYTES[usize::from((byte >> (group % 2 * 4)) & 15)]
                    }
                };
                tile[group * TILE_ROWS * 4 + r * 4 + within] = code;
            }
        }
    }
}

/// Bytes `at..at + 16` of a row.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
fn sixteen(rows: &TileRows<'_>, row: usize, at: usize) -> std::arch::x86_64::__m128i {
    debug_assert!(rows.codes[row].len() >= at + 16, "sixteen: row {row}");
    // SAFETY: `unpack` has asserted that every row holds the codes of all blocks, and `at` is the
    // first or the middle byte of a block's codes; SSE2 is part of every x86-64 CPU.
    unsafe { std::arch::x86_64::_mm_loadu_si128(rows.codes[row].as_ptr().add(at).cast()) }
}

/// Sixteen rows fill a vector.
#[cfg(target_arch = "x86_64")]
mod avx512 {
    use std::arch::x86_64::*;

    use super::{BlockLayout, FP4_BYTES, TILE_BLOCK_BYTES, TILE_ROWS, TileRows, sixteen};

    #[target_feature(enable = "avx512f,avx512bw")]
    pub(super) fn unpack(rows: &TileRows<'_>, first: usize, codes: &mut [u8]) {
        let (stride, start) = rows.layout.codes();
        let blocks = codes.as_chunks_mut::<TILE_BLOCK_BYTES>().0;
        // SAFETY: 16 bytes of a constant of that size.
        let table = unsafe { _mm_loadu_si128(FP4_BYTES.as_ptr().cast()) };
        let table = _mm512_broadcast_i32x4(table);
        for (b, tile) in blocks.iter_mut().enumerate() {
            let at = (first + b) * stride + start;
            match rows.layout {
                BlockLayout::Mxfp4 | BlockLayout::Mxfp4Gguf => {
                    for (j, packed) in transposed(rows, at).into_iter().enumerate() {
                        let nibble = _mm512_set1_epi8(15);
                        let low = _mm512_and_si512(packed, nibble);
                        let high = _mm512_and_si512(_mm512_srli_epi16::<4>(packed), nibble);
                        store(tile, 2 * j, _mm512_shuffle_epi8(table, low));
                        store(tile, 2 * j + 1, _mm512_shuffle_epi8(table, high));
                    }
                }
                BlockLayout::Q8_0 => {
                    let sign = _mm512_set1_epi8(i8::MIN);
                    for half in 0..2 {
                        let quarter = transposed(rows, at + half * 16);
                        for (j, signed) in quarter.into_iter().enumerate() {
                            store(tile, half * 4 + j, _mm512_xor_si512(signed, sign));
                        }
                    }
                }
            }
        }
    }

    /// Bytes `at..at + 16` of all rows: vector `j` holds bytes `4j..4j + 4` of each row in turn.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw")]
    fn transposed(rows: &TileRows<'_>, at: usize) -> [__m512i; 4] {
        // Lane l of vector i is row 4l + i, so that unpacking within lanes sorts the rows.
        let mut quads = [_mm512_setzero_si512(); 4];
        for (i, quad) in quads.iter_mut().enumerate() {
            let x = _mm512_castsi128_si512(sixteen(rows, i, at));
            let x = _mm512_inserti32x4::<1>(x, sixteen(rows, 4 + i, at));
            let x = _mm512_inserti32x4::<2>(x, sixteen(rows, 8 + i, at));
            *quad = _mm512_inserti32x4::<3>(x, sixteen(rows, 12 + i, at));
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

    /// Writes group `group` of a tile.
    #[target_feature(enable = "avx512f,avx512bw")]
    fn store(tile: &mut [u8; TILE_BLOCK_BYTES], group: usize, x: __m512i) {
        let out: &mut [u8; 4 * TILE_ROWS] =
            tile[group * 64..].first_chunk_mut().expect("eight groups of 64 bytes");
        // SAFETY: 64 bytes of an array of that size.
        unsafe { _mm512_storeu_si512(out.as_mut_ptr().cast(), x) };
    }
}

/// Eight rows fill a vector; a tile is done in two halves.
#[cfg(target_arch = "x86_64")]
mod avx2 {
    use std::arch::x86_64::*;

    use super::{BlockLayout, FP4_BYTES, TILE_BLOCK_BYTES, TileRows, sixteen};

    #[target_feature(enable = "avx2")]
    pub(super) fn unpack(rows: &TileRows<'_>, first: usize, codes: &mut [u8]) {
        let (stride, start) = rows.layout.codes();
        let blocks = codes.as_chunks_mut::<TILE_BLOCK_BYTES>().0;
        // SAFETY: 16 bytes of a constant of that size.
        let table = unsafe { _mm_loadu_si128(FP4_BYTES.as_ptr().cast()) };
        let table = _mm256_broadcastsi128_si256(table);
        for (b, tile) in blocks.iter_mut().enumerate() {
            let at = (first + b) * stride + start;
            for upper in 0..2 {
                match rows.layout {
                    BlockLayout::Mxfp4 | BlockLayout::Mxfp4Gguf => {
                        let quarter = transposed(rows, upper * 8, at);
                        for (j, packed) in quarter.into_iter().enumerate() {
                            let nibble = _mm256_set1_epi8(15);
                            let low = _mm256_and_si256(packed, nibble);
                            let high = _mm256_and_si256(_mm256_srli_epi16::<4>(packed), nibble);
                            store(tile, 2 * j, upper, _mm256_shuffle_epi8(table, low));
                            store(tile, 2 * j + 1, upper, _mm256_shuffle_epi8(table, high));
                        }
                    }
                    BlockLayout::Q8_0 => {
                        let sign = _mm256_set1_epi8(i8::MIN);
                        for half in 0..2 {
                            let quarter = transposed(rows, upper * 8, at + half * 16);
                            for (j, signed) in quarter.into_iter().enumerate() {
                                let code = _mm256_xor_si256(signed, sign);
                                store(tile, half * 4 + j, upper, code);
                            }
                        }
                    }
                }
            }
        }
    }

    /// Bytes `at..at + 16` of eight rows from `first` on, as in the 512-bit version.
    #[inline]
    #[target_feature(enable = "avx2")]
    fn transposed(rows: &TileRows<'_>, first: usize, at: usize) -> [__m256i; 4] {
        let mut quads = [_mm256_setzero_si256(); 4];
        for (i, quad) in quads.iter_mut().enumerate() {
            let low = _mm256_castsi128_si256(sixteen(rows, first + i, at));
            *quad = _mm256_inserti128_si256::<1>(low, sixteen(rows, first + 4 + i, at));
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

    /// Writes the lower or upper eight rows of a group.
    #[target_feature(enable = "avx2")]
    fn store(tile: &mut [u8; TILE_BLOCK_BYTES], group: usize, upper: usize, x: __m256i) {
        let out: &mut [u8; 32] =
            tile[group * 64 + upper * 32..].first_chunk_mut().expect("eight groups of 64 bytes");
        // SAFETY: 32 bytes of an array of that size.
        unsafe { _mm256_storeu_si256(out.as_mut_ptr().cast(), x) };
    }
}
