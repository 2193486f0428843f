//! What can be asked: a tile as it lies in a file, or unpacked, times tokens.

use super::{ActivationBlock, BlockCodes, BlockLayout, TILE_ROWS, portable};
use crate::isa::{Isa, Level};

/// Up to this many tokens [`dot_rows`] multiplies at once; for more, unpacking pays.
pub const FEW_TOKENS: usize = 4;
/// Blocks that are best unpacked at once: with them two tiles, and the activations of a few tokens
/// that meet them, fit the first cache.
pub const CHUNK_BLOCKS: usize = 16;

/// The rows of a tile as a file stores them. Row `2i` begins at `i · stride` of the first slice,
/// row `2i + 1` at `i · stride` of the second: so a tile can be 16 rows one after the other, or 8
/// rows each of two matrices in turn.
#[derive(Clone, Copy)]
pub struct TileRows<'a> {
    /// How they are stored.
    pub layout: BlockLayout,
    /// Blocks of a row.
    pub blocks: usize,
    /// Codes; in GGUF layouts the whole rows, from their first scale on.
    pub codes: [&'a [u8]; 2],
    /// Bytes from a row to the next but one in `codes`.
    pub code_stride: usize,
    /// Scales; in GGUF layouts the whole rows again.
    pub scales: [&'a [u8]; 2],
    /// Bytes from a row to the next but one in `scales`.
    pub scale_stride: usize,
    /// What will be read next, to be fetched from memory meanwhile. Changes no result.
    pub ahead: [&'a [u8]; 2],
}

impl TileRows<'_> {
    /// Panics unless every block of every row is inside the slices.
    fn check(&self) {
        let layout = self.layout;
        let codes = (TILE_ROWS / 2 - 1) * self.code_stride + self.blocks * layout.code_stride();
        let scales = (TILE_ROWS / 2 - 1) * self.scale_stride + self.blocks * layout.scale_stride();
        for part in 0..2 {
            assert!(self.codes[part].len() >= codes, "tile: codes of {codes} bytes");
            assert!(self.scales[part].len() >= scales, "tile: scales of {scales} bytes");
        }
    }
}

/// Activations in eight bits, made by [`quantize`](super::quantize) for the layout of the weights
/// they will meet: `[tokens, blocks]`.
#[derive(Clone, Copy)]
pub struct Activations<'a> {
    /// All blocks of all tokens.
    pub data: &'a [ActivationBlock],
    /// Blocks of a token.
    pub blocks: usize,
}

impl Activations<'_> {
    /// Panics unless every token is there and has the blocks of the weights.
    fn check(&self, blocks: usize, tokens: &[u32]) {
        assert_eq!(self.blocks, blocks, "activations: blocks of a row");
        for token in tokens {
            let end = (*token as usize + 1) * self.blocks;
            assert!(end <= self.data.len(), "activations: token {token}");
        }
    }
}

/// Unpacked blocks of `M` tiles, one entry a block.
#[derive(Clone, Copy)]
pub struct Unpacked<'a, const M: usize> {
    /// Of the rows they were made from.
    pub layout: BlockLayout,
    /// The block of a row that the first entry is.
    pub first: usize,
    /// Codes plus what makes them unsigned, of each tile.
    pub codes: [&'a [BlockCodes]; M],
    /// Values of one step of a code, of each tile.
    pub scales: [&'a [[f32; TILE_ROWS]]; M],
    /// What is added to them, of each tile; empty if the layout has no minimum.
    pub minimums: [&'a [[f32; TILE_ROWS]]; M],
}

/// Room for blocks of a tile: as many codes as scales, and as many minimums if the layout has
/// them, else any number.
pub struct UnpackedMut<'a> {
    /// Codes plus what makes them unsigned.
    pub codes: &'a mut [BlockCodes],
    /// Values of one step of a code.
    pub scales: &'a mut [[f32; TILE_ROWS]],
    /// What is added to them.
    pub minimums: &'a mut [[f32; TILE_ROWS]],
}

/// Multiplies a tile with a few tokens: `out[i]` gets the 16 results of token `tokens[i]`.
///
/// # Panics
/// With more than [`FEW_TOKENS`] tokens, if a token is not among the activations, if the
/// activations have another number of blocks, or if the rows are shorter than they should be.
pub fn dot_rows(
    isa: Isa,
    rows: &TileRows<'_>,
    x: &Activations<'_>,
    tokens: &[u32],
    out: &mut [[f32; TILE_ROWS]],
) {
    assert!(tokens.len() <= FEW_TOKENS, "dot_rows: {} tokens", tokens.len());
    assert_eq!(tokens.len(), out.len(), "dot_rows: tokens and out");
    rows.check();
    x.check(rows.blocks, tokens);
    match isa.level() {
        Level::Portable => portable::dot_rows(rows, x, tokens, out),
        #[cfg(target_arch = "x86_64")]
        // SAFETY: an `Isa` of this level exists only if the CPU has AVX2, FMA and F16C; all reads
        // were checked above.
        Level::Avx2 => unsafe { super::avx2_few::dot_rows(rows, x, tokens, out) },
        #[cfg(target_arch = "x86_64")]
        // SAFETY: an `Isa` of this level exists only if the CPU has AVX-512 F, BW and VNNI; all
        // reads were checked above.
        Level::Avx512 => unsafe { super::avx512::dot_rows(rows, x, tokens, out) },
    }
}

/// Unpacks blocks of a tile from `first` on, as many as `out` has room for.
///
/// # Panics
/// If the rows are shorter than they should be or have not so many blocks, or the parts of `out`
/// have room for different numbers.
pub fn unpack(isa: Isa, rows: &TileRows<'_>, first: usize, out: UnpackedMut<'_>) {
    let n = out.codes.len();
    assert_eq!(n, out.scales.len(), "unpack: codes and scales");
    if rows.layout.has_minimum() {
        assert_eq!(n, out.minimums.len(), "unpack: codes and minimums");
    }
    assert!(first <= rows.blocks && n <= rows.blocks - first, "unpack: blocks");
    rows.check();
    match isa.level() {
        Level::Portable => portable::unpack(rows, first, out),
        #[cfg(target_arch = "x86_64")]
        // SAFETY: an `Isa` of this level exists only if the CPU has AVX2, FMA and F16C; all reads
        // were checked above.
        Level::Avx2 => unsafe { super::avx2::unpack(rows, first, out) },
        #[cfg(target_arch = "x86_64")]
        // SAFETY: an `Isa` of this level exists only if the CPU has AVX-512 F and BW; all reads
        // were checked above.
        Level::Avx512 => unsafe { super::avx512::unpack(rows, first, out) },
    }
}

/// Adds the products of unpacked blocks with any number of tokens: `out[i]` of token `tokens[i]`,
/// the 16 results of each tile. From 0, and over all blocks of a row in ascending order, it becomes
/// what [`dot_rows`] gives, in the same bits.
///
/// # Panics
/// If the tiles have not the same number of blocks in all parts, a token is not among the
/// activations or has less blocks.
pub fn add_tiles<const M: usize>(
    isa: Isa,
    tiles: &Unpacked<'_, M>,
    x: &Activations<'_>,
    tokens: &[u32],
    out: &mut [[[f32; TILE_ROWS]; M]],
) {
    let blocks = tiles.codes.first().map_or(0, |codes| codes.len());
    assert!(tiles.codes.iter().all(|codes| codes.len() == blocks), "add_tiles: codes");
    assert!(tiles.scales.iter().all(|scales| scales.len() == blocks), "add_tiles: scales");
    let minimums = if tiles.layout.has_minimum() { blocks } else { 0 };
    assert!(tiles.minimums.iter().all(|all| all.len() >= minimums), "add_tiles: minimums");
    assert_eq!(tokens.len(), out.len(), "add_tiles: tokens and out");
    assert!(tiles.first + blocks <= x.blocks, "add_tiles: blocks");
    x.check(x.blocks, tokens);
    match isa.level() {
        Level::Portable => portable::add_tiles(tiles, x, tokens, out),
        #[cfg(target_arch = "x86_64")]
        // SAFETY: an `Isa` of this level exists only if the CPU has AVX2 and FMA; all reads were
        // checked above.
        Level::Avx2 => unsafe { super::avx2::add_tiles(tiles, x, tokens, out) },
        #[cfg(target_arch = "x86_64")]
        // SAFETY: an `Isa` of this level exists only if the CPU has AVX-512 F and VNNI; all reads
        // were checked above.
        Level::Avx512 => unsafe { super::avx512::add_tiles(tiles, x, tokens, out) },
    }
}

/// What will be read next, and how far it has been fetched.
#[cfg(target_arch = "x86_64")]
pub(super) struct Ahead {
    /// The next line of each part, and where the next block's share ends.
    at: [*const u8; 2],
    until: [*const u8; 2],
    /// Bytes of each part for each block.
    share: [usize; 2],
}

#[cfg(target_arch = "x86_64")]
impl Ahead {
    /// Before block `first` of a tile.
    #[inline(always)]
    pub(super) fn new(rows: &TileRows<'_>, first: usize) -> Ahead {
        let blocks = rows.blocks.max(1);
        let share = [rows.ahead[0].len() / blocks, rows.ahead[1].len() / blocks];
        let from = |part: usize| rows.ahead[part].as_ptr().wrapping_add(first * share[part]);
        let until = [from(0), from(1)];
        Ahead { at: until, until, share }
    }

    /// Fetches one block's share into the second cache, each line once.
    #[inline(always)]
    pub(super) fn fetch(&mut self) {
        use std::arch::x86_64::{_MM_HINT_T1, _mm_prefetch};
        for part in 0..2 {
            self.until[part] = self.until[part].wrapping_add(self.share[part]);
            while self.at[part] < self.until[part] {
                // SAFETY: prefetching never faults, and SSE is part of every x86-64 CPU.
                unsafe { _mm_prefetch::<_MM_HINT_T1>(self.at[part].cast()) };
                self.at[part] = self.at[part].wrapping_add(64);
            }
        }
    }
}
