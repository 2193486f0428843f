//! AVX-512 with VNNI: 16 rows fill a vector; one instruction multiplies four codes of each row
//! with four activations and adds them up.
//!
//! Functions here read without bounds checks what the functions of `tile` have checked.

#![allow(clippy::needless_range_loop, reason = "one index counts registers of several arrays")]

use std::arch::x86_64::*;

use super::layout::FP4_BYTES;
use super::tile::Ahead;
use super::{
    ActivationBlock, Activations, BlockLayout, FEW_TOKENS, TILE_ROWS, TileRows, Unpacked,
    UnpackedMut,
};

/// Tokens whose results fit into registers beside two tiles' codes.
const TOKENS: usize = 6;

/// The layouts as constants that functions can be generic over.
const MXFP4: u8 = 0;
const MXFP4_GGUF: u8 = 1;
const Q8_0: u8 = 2;
const Q4_0: u8 = 3;
const Q4_1: u8 = 4;

const fn layout_of(constant: u8) -> BlockLayout {
    match constant {
        MXFP4 => BlockLayout::Mxfp4,
        MXFP4_GGUF => BlockLayout::Mxfp4Gguf,
        Q4_0 => BlockLayout::Q4_0,
        Q4_1 => BlockLayout::Q4_1,
        _ => BlockLayout::Q8_0,
    }
}

/// See [`dot_rows`](super::dot_rows).
///
/// # Safety
/// The CPU has the features; the rows and tokens were checked.
#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
pub(super) unsafe fn dot_rows(
    rows: &TileRows<'_>,
    x: &Activations<'_>,
    tokens: &[u32],
    out: &mut [[f32; TILE_ROWS]],
) {
    // SAFETY: the caller has checked what the callees need.
    unsafe {
        match rows.layout {
            BlockLayout::Mxfp4 => dot_rows_of::<MXFP4>(rows, x, tokens, out),
            BlockLayout::Mxfp4Gguf => dot_rows_of::<MXFP4_GGUF>(rows, x, tokens, out),
            BlockLayout::Q8_0 => dot_rows_of::<Q8_0>(rows, x, tokens, out),
            BlockLayout::Q4_0 => dot_rows_of::<Q4_0>(rows, x, tokens, out),
            BlockLayout::Q4_1 => dot_rows_of::<Q4_1>(rows, x, tokens, out),
        }
    }
}

/// # Safety
/// As [`dot_rows`]; `L` is the layout of the rows.
#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
unsafe fn dot_rows_of<const L: u8>(
    rows: &TileRows<'_>,
    x: &Activations<'_>,
    tokens: &[u32],
    out: &mut [[f32; TILE_ROWS]],
) {
    // SAFETY: the caller has checked what the callees need; `N` is the number of tokens.
    unsafe {
        match tokens.len() {
            0 => {}
            1 => dot_rows_n::<L, 1>(rows, x, tokens, out),
            2 => dot_rows_n::<L, 2>(rows, x, tokens, out),
            3 => dot_rows_n::<L, 3>(rows, x, tokens, out),
            _ => dot_rows_n::<L, FEW_TOKENS>(rows, x, tokens, out),
        }
    }
}

/// `N` tokens, all blocks, codes unpacked in registers.
///
/// # Safety
/// As [`dot_rows`]; there are `N` tokens.
#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
unsafe fn dot_rows_n<const L: u8, const N: usize>(
    rows: &TileRows<'_>,
    x: &Activations<'_>,
    tokens: &[u32],
    out: &mut [[f32; TILE_ROWS]],
) {
    let x = first_blocks::<N>(x, tokens);
    let mut results = [_mm512_setzero_ps(); N];
    let reader = Reader::new(rows);
    let mut ahead = Ahead::new(rows, 0);
    for b in 0..rows.blocks {
        ahead.fetch();
        // SAFETY: `b` is below `rows.blocks`; each token has that many blocks.
        unsafe {
            let codes = codes_of::<L>(&reader, b);
            let steps = steps_of::<L>(&reader, b);
            add_block::<L, N>((&codes, steps), &x, b, &mut results);
        }
    }
    for i in 0..N {
        // SAFETY: 64 bytes of an array of 16 floats.
        unsafe { _mm512_storeu_ps(out[i].as_mut_ptr(), results[i]) };
    }
}

/// See [`unpack`](super::unpack).
///
/// # Safety
/// The CPU has the features; rows and blocks were checked.
#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
pub(super) unsafe fn unpack(rows: &TileRows<'_>, first: usize, out: UnpackedMut<'_>) {
    // SAFETY: the caller has checked what the callees need.
    unsafe {
        match rows.layout {
            BlockLayout::Mxfp4 => unpack_of::<MXFP4>(rows, first, out),
            BlockLayout::Mxfp4Gguf => unpack_of::<MXFP4_GGUF>(rows, first, out),
            BlockLayout::Q8_0 => unpack_of::<Q8_0>(rows, first, out),
            BlockLayout::Q4_0 => unpack_of::<Q4_0>(rows, first, out),
            BlockLayout::Q4_1 => unpack_of::<Q4_1>(rows, first, out),
        }
    }
}

/// # Safety
/// As [`unpack`]; `L` is the layout of the rows.
#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
unsafe fn unpack_of<const L: u8>(rows: &TileRows<'_>, first: usize, out: UnpackedMut<'_>) {
    let reader = Reader::new(rows);
    let mut ahead = Ahead::new(rows, first);
    for i in 0..out.codes.len() {
        ahead.fetch();
        // SAFETY: the caller has checked that the rows hold as many blocks as there are codes,
        // scales and, if the layout has them, minimums; stores are into arrays of 64 bytes.
        unsafe {
            let unpacked = codes_of::<L>(&reader, first + i);
            for g in 0..8 {
                let codes = out.codes.get_unchecked_mut(i)[g].as_mut_ptr();
                _mm512_storeu_si512(codes.cast(), unpacked[g]);
            }
            let [scales, minimums] = steps_of::<L>(&reader, first + i);
            _mm512_storeu_ps(out.scales.get_unchecked_mut(i).as_mut_ptr(), scales);
            if layout_of(L).has_minimum() {
                _mm512_storeu_ps(out.minimums.get_unchecked_mut(i).as_mut_ptr(), minimums);
            }
        }
    }
}

/// See [`add_tiles`](super::add_tiles).
///
/// # Safety
/// The CPU has the features; tiles and tokens were checked.
#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
pub(super) unsafe fn add_tiles<const M: usize>(
    tiles: &Unpacked<'_, M>,
    x: &Activations<'_>,
    tokens: &[u32],
    out: &mut [[[f32; TILE_ROWS]; M]],
) {
    // SAFETY: the caller has checked what the callees need.
    unsafe {
        match tiles.layout.has_minimum() {
            true => add_tiles_of::<M, true>(tiles, x, tokens, out),
            false => add_tiles_of::<M, false>(tiles, x, tokens, out),
        }
    }
}

/// # Safety
/// As [`add_tiles`]; `MIN` is whether the layout has a minimum.
#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
unsafe fn add_tiles_of<const M: usize, const MIN: bool>(
    tiles: &Unpacked<'_, M>,
    x: &Activations<'_>,
    mut tokens: &[u32],
    mut out: &mut [[[f32; TILE_ROWS]; M]],
) {
    while !tokens.is_empty() {
        // SAFETY: the caller has checked what the callees need; there are at least `N` tokens.
        let n = unsafe {
            match tokens.len() {
                1 => add_tiles_n::<M, 1, MIN>(tiles, x, tokens, out),
                2 => add_tiles_n::<M, 2, MIN>(tiles, x, tokens, out),
                3 => add_tiles_n::<M, 3, MIN>(tiles, x, tokens, out),
                4 => add_tiles_n::<M, 4, MIN>(tiles, x, tokens, out),
                5 => add_tiles_n::<M, 5, MIN>(tiles, x, tokens, out),
                _ => add_tiles_n::<M, TOKENS, MIN>(tiles, x, tokens, out),
            }
        };
        (tokens, out) = (&tokens[n..], &mut out[n..]);
    }
}

/// The first `N` tokens; gives `N`. `MIN` is whether the layout has a minimum.
///
/// # Safety
/// As [`add_tiles`]; there are at least `N` tokens.
#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
unsafe fn add_tiles_n<const M: usize, const N: usize, const MIN: bool>(
    tiles: &Unpacked<'_, M>,
    x: &Activations<'_>,
    tokens: &[u32],
    out: &mut [[[f32; TILE_ROWS]; M]],
) -> usize {
    let x = first_blocks::<N>(x, tokens);
    let mut results = [[_mm512_setzero_ps(); N]; M];
    for m in 0..M {
        for i in 0..N {
            // SAFETY: 64 bytes of an array of 16 floats.
            results[m][i] = unsafe { _mm512_loadu_ps(out[i][m].as_ptr()) };
        }
    }
    for b in 0..tiles.codes[0].len() {
        let mut sums = [[_mm512_setzero_si512(); N]; M];
        // SAFETY: all tiles have block `b`, and all tokens the block that meets it; a token's codes
        // are 8 groups of 4 bytes.
        unsafe {
            if !MIN {
                for i in 0..N {
                    let start = _mm512_set1_epi32((*x[i].add(tiles.first + b)).start);
                    for m in 0..M {
                        sums[m][i] = start;
                    }
                }
            }
            for g in 0..8 {
                let mut codes = [_mm512_setzero_si512(); M];
                for m in 0..M {
                    let from = tiles.codes[m].get_unchecked(b)[g].as_ptr();
                    codes[m] = _mm512_loadu_si512(from.cast());
                }
                for i in 0..N {
                    let block = x[i].add(tiles.first + b);
                    let group = (&raw const (*block).codes).cast::<i32>().add(g).read();
                    let activations = _mm512_set1_epi32(group);
                    for m in 0..M {
                        sums[m][i] = _mm512_dpbusd_epi32(sums[m][i], codes[m], activations);
                    }
                }
            }
            for m in 0..M {
                let scales = _mm512_loadu_ps(tiles.scales[m].get_unchecked(b).as_ptr());
                for i in 0..N {
                    let step = _mm512_set1_ps((*x[i].add(tiles.first + b)).scale);
                    let scale = _mm512_mul_ps(scales, step);
                    let sum = _mm512_cvtepi32_ps(sums[m][i]);
                    results[m][i] = _mm512_fmadd_ps(sum, scale, results[m][i]);
                }
            }
            if MIN {
                add_minimums::<M, N>(tiles, b, &x, &mut results);
            }
        }
    }
    for m in 0..M {
        for i in 0..N {
            // SAFETY: 64 bytes of an array of 16 floats.
            unsafe { _mm512_storeu_ps(out[i][m].as_mut_ptr(), results[m][i]) };
        }
    }
    N
}

/// Adds what the minimums of block `b` come to.
///
/// # Safety
/// All tiles have minimums for block `b`; each of `x` points to more than `tiles.first + b` blocks.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
unsafe fn add_minimums<const M: usize, const N: usize>(
    tiles: &Unpacked<'_, M>,
    b: usize,
    x: &[*const ActivationBlock; N],
    results: &mut [[__m512; N]; M],
) {
    for m in 0..M {
        // SAFETY: 64 bytes of an array of 16 floats that the caller promises.
        let minimums = unsafe { _mm512_loadu_ps(tiles.minimums[m].get_unchecked(b).as_ptr()) };
        for i in 0..N {
            // SAFETY: a block that the caller promises.
            let block = unsafe { &*x[i].add(tiles.first + b) };
            let minimum = _mm512_mul_ps(minimums, _mm512_set1_ps(block.scale));
            let sum = _mm512_set1_ps(block.start as f32);
            results[m][i] = _mm512_fmadd_ps(sum, minimum, results[m][i]);
        }
    }
}

/// The first block of each of the first `N` tokens.
#[inline(always)]
fn first_blocks<const N: usize>(
    x: &Activations<'_>,
    tokens: &[u32],
) -> [*const ActivationBlock; N] {
    let mut blocks = [x.data.as_ptr(); N];
    let mut i = 0;
    while i < N {
        blocks[i] = blocks[i].wrapping_add(tokens[i] as usize * x.blocks);
        i += 1;
    }
    blocks
}

/// Adds the products of block `b` of `N` tokens; the weights are of layout `L`.
///
/// # Safety
/// Each of `x` points to more than `b` blocks.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
unsafe fn add_block<const L: u8, const N: usize>(
    (codes, [scales, minimums]): (&[__m512i; 8], [__m512; 2]),
    x: &[*const ActivationBlock; N],
    b: usize,
    results: &mut [__m512; N],
) {
    for i in 0..N {
        // SAFETY: the caller promises this block; its codes are 8 groups of 4 bytes.
        unsafe {
            let block = x[i].add(b);
            let groups = (&raw const (*block).codes).cast::<i32>();
            // Several sums, because each instruction waits five cycles for the one before; one
            // or two tokens alone do not fill that time.
            let chains = if N <= 2 { 4 } else { 2 };
            let mut sums = [_mm512_setzero_si512(); 4];
            if !layout_of(L).has_minimum() {
                sums[0] = _mm512_set1_epi32((*block).start);
            }
            for g in 0..8 {
                let activations = _mm512_set1_epi32(groups.add(g).read());
                sums[g % chains] = _mm512_dpbusd_epi32(sums[g % chains], codes[g], activations);
            }
            let mut sum = _mm512_add_epi32(sums[0], sums[1]);
            if chains == 4 {
                sum = _mm512_add_epi32(sum, _mm512_add_epi32(sums[2], sums[3]));
            }
            let step = _mm512_set1_ps((*block).scale);
            let scale = _mm512_mul_ps(scales, step);
            results[i] = _mm512_fmadd_ps(_mm512_cvtepi32_ps(sum), scale, results[i]);
            if layout_of(L).has_minimum() {
                let sum = _mm512_set1_ps((*block).start as f32);
                results[i] = _mm512_fmadd_ps(sum, _mm512_mul_ps(minimums, step), results[i]);
            }
        }
    }
}

/// The codes of block `b`, as [`BlockCodes`](super::BlockCodes) has them.
///
/// # Safety
/// The rows hold block `b` and are of layout `L`.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
unsafe fn codes_of<const L: u8>(reader: &Reader, b: usize) -> [__m512i; 8] {
    let layout = layout_of(L);
    let at = b * layout.code_stride() + layout.code_start();
    let mut codes = [_mm512_setzero_si512(); 8];
    if L == Q8_0 {
        let sign = _mm512_set1_epi8(i8::MIN);
        // SAFETY: a block has 32 bytes of codes.
        let (low, high) =
            unsafe { (transposed(&reader.codes, at), transposed(&reader.codes, at + 16)) };
        for j in 0..4 {
            codes[j] = _mm512_xor_si512(low[j], sign);
            codes[4 + j] = _mm512_xor_si512(high[j], sign);
        }
    } else {
        let nibble = _mm512_set1_epi8(15);
        // SAFETY: a block has 16 bytes of codes.
        let packed = unsafe { transposed(&reader.codes, at) };
        for j in 0..4 {
            codes[2 * j] = _mm512_and_si512(packed[j], nibble);
            codes[2 * j + 1] = _mm512_and_si512(_mm512_srli_epi16::<4>(packed[j]), nibble);
        }
    }
    if L == MXFP4 || L == MXFP4_GGUF {
        // SAFETY: 16 bytes of a constant of that size.
        let table = unsafe { _mm_loadu_si128(FP4_BYTES.as_ptr().cast()) };
        let table = _mm512_broadcast_i32x4(table);
        for codes in &mut codes {
            *codes = _mm512_shuffle_epi8(table, *codes);
        }
    }
    codes
}

/// Bytes `at..at + 16` of all rows: vector `j` holds bytes `4j..4j + 4` of each row in turn.
///
/// # Safety
/// Every row has these bytes.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
unsafe fn transposed(rows: &Rows, at: usize) -> [__m512i; 4] {
    let stride = rows.stride;
    // Lane l of vector i is row 4l + i, so that unpacking within lanes sorts the rows.
    let mut quads = [_mm512_setzero_si512(); 4];
    for i in 0..4 {
        // SAFETY: row 4l + i begins at (2l + i / 2) · stride of its part.
        unsafe {
            let row = rows.parts[i % 2].add(at + i / 2 * stride);
            let x = _mm512_castsi128_si512(_mm_loadu_si128(row.cast()));
            let x = _mm512_inserti32x4::<1>(x, _mm_loadu_si128(row.add(2 * stride).cast()));
            let x = _mm512_inserti32x4::<2>(x, _mm_loadu_si128(row.add(4 * stride).cast()));
            quads[i] = _mm512_inserti32x4::<3>(x, _mm_loadu_si128(row.add(6 * stride).cast()));
        }
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

/// The scales and minimums of block `b`, with the bits of `scales::{scales_of, minimums_of}`.
///
/// # Safety
/// The rows hold block `b` and are of layout `L`.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
unsafe fn steps_of<const L: u8>(reader: &Reader, b: usize) -> [__m512; 2] {
    let at = b * layout_of(L).scale_stride();
    let none = _mm512_setzero_ps();
    if L == Q8_0 || L == Q4_0 || L == Q4_1 {
        // SAFETY: a block has 18 bytes or more.
        let halves = unsafe { words(&reader.scales, at) };
        let scales = _mm512_cvtph_ps(_mm512_cvtepi32_epi16(halves));
        if L != Q4_1 {
            return [scales, none];
        }
        let minimums = _mm512_cvtepi32_epi16(_mm512_srli_epi32::<16>(halves));
        return [scales, _mm512_cvtph_ps(minimums)];
    }
    let exponents = if L == MXFP4_GGUF {
        // SAFETY: a block has 17 bytes.
        unsafe { words(&reader.scales, at) }
    } else if reader.blocks < 4 {
        // SAFETY: the caller promises the block.
        unsafe { single_bytes(&reader.scales, b) }
    } else {
        // The last words of a row hold more than one block that is asked for.
        let at = b.min(reader.blocks - 4);
        // SAFETY: a row has a byte for each block.
        let words = unsafe { words(&reader.scales, at) };
        _mm512_srl_epi32(words, _mm_cvtsi32_si128(8 * (b - at) as i32))
    };
    let exponents = _mm512_and_si512(exponents, _mm512_set1_epi32(255));
    // 2^(e − 127) / 2: the exponent field is e − 1; below 2 it is subnormal; 255 stays infinite.
    let normal = _mm512_slli_epi32::<23>(_mm512_sub_epi32(exponents, _mm512_set1_epi32(1)));
    let small = _mm512_cmplt_epi32_mask(exponents, _mm512_set1_epi32(2));
    let infinite = _mm512_cmpeq_epi32_mask(exponents, _mm512_set1_epi32(255));
    let bits = _mm512_mask_sllv_epi32(normal, small, _mm512_set1_epi32(0x0020_0000), exponents);
    let bits = _mm512_mask_mov_epi32(bits, infinite, _mm512_set1_epi32(0x7F80_0000));
    [_mm512_castsi512_ps(bits), none]
}

/// Four bytes of each row from byte `at` on: lane `r` is row `r`.
///
/// # Safety
/// Every row has these bytes.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
unsafe fn words(rows: &Rows, at: usize) -> __m512i {
    // Two chains, since each step waits for the one before.
    let mut lanes = [_mm512_setzero_si512(); 2];
    for r in 0..TILE_ROWS {
        // SAFETY: the caller promises these bytes.
        let word = unsafe {
            let row = rows.parts[r % 2].add(at + r / 2 * rows.stride);
            row.cast::<i32>().read_unaligned()
        };
        lanes[r % 2] = _mm512_mask_set1_epi32(lanes[r % 2], 1 << r, word);
    }
    _mm512_or_si512(lanes[0], lanes[1])
}

/// Byte `at` of each row: lane `r` is row `r`.
///
/// # Safety
/// Every row has this byte.
#[cold]
#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
unsafe fn single_bytes(rows: &Rows, at: usize) -> __m512i {
    let mut bytes = [0; TILE_ROWS];
    for r in 0..TILE_ROWS {
        // SAFETY: the caller promises this byte.
        bytes[r] = i32::from(unsafe { rows.parts[r % 2].add(at + r / 2 * rows.stride).read() });
    }
    // SAFETY: 64 bytes of an array of 16 words.
    unsafe { _mm512_loadu_si512(bytes.as_ptr().cast()) }
}

/// Where rows begin: row `2i` at `i · stride` of the first part, row `2i + 1` of the second.
struct Rows {
    parts: [*const u8; 2],
    stride: usize,
}

/// The rows of a tile as pointers, which stay in registers.
struct Reader {
    codes: Rows,
    scales: Rows,
    blocks: usize,
}

impl Reader {
    #[inline(always)]
    fn new(rows: &TileRows<'_>) -> Reader {
        let [codes, scales] = [rows.codes, rows.scales].map(|[a, b]| [a.as_ptr(), b.as_ptr()]);
        Reader {
            codes: Rows { parts: codes, stride: rows.code_stride },
            scales: Rows { parts: scales, stride: rows.scale_stride },
            blocks: rows.blocks,
        }
    }
}
