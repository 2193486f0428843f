//! Weights in blocks of 32 times activations in blocks of 32, in eight-bit integers.
//!
//! Both sides are integers with a scale for each block, so the sum over a block is exact, whatever
//! order it is taken in; that is why file layouts that differ in the order of elements, and
//! instruction sets that differ in how they add, give the same bits. Over the blocks of a row,
//!
//! ```text
//! result = fma(block 0, fma(block 1, …)) = Σ_b S_b · (weight scale_b · activation scale_b)
//! ```
//!
//! one fused multiply-add after another from the first block on, in f32.
//!
//! The unit of work is a tile of [`TILE_ROWS`] rows: [`unpack`] widens its codes to bytes with the
//! rows side by side, [`dot_tile`] multiplies them with any number of tokens. Side by side, 16 rows
//! fill the lanes of a vector and never have to be added across lanes.

mod dot;
mod quantize;
mod unpack;

pub use dot::dot_tile;
pub use quantize::quantize;
pub use unpack::unpack;

/// Rows of a tile.
pub const TILE_ROWS: usize = 16;
/// Elements under one scale, on both sides.
pub const BLOCK: usize = 32;
/// Bytes of the codes of one block of a tile: `[8 groups, 16 rows, 4 elements]`.
pub const TILE_BLOCK_BYTES: usize = BLOCK * TILE_ROWS;

/// A layout of blocks that [`unpack`] reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BlockLayout {
    /// MXFP4 as in OpenAI's files: codes and scales apart, neighbours in one byte.
    Mxfp4,
    /// MXFP4 as in GGUF files: the scale before the codes, elements `j` and `j + 16` in one byte.
    Mxfp4Gguf,
    /// GGUF's Q8_0: an f16 scale before 32 signed bytes.
    Q8_0,
}

impl BlockLayout {
    /// Bytes from a block's codes to the next block's, and where they begin.
    const fn codes(self) -> (usize, usize) {
        match self {
            BlockLayout::Mxfp4 => (16, 0),
            BlockLayout::Mxfp4Gguf => (17, 1),
            BlockLayout::Q8_0 => (34, 2),
        }
    }

    /// Bytes of a block's codes.
    const fn code_bytes(self) -> usize {
        match self {
            BlockLayout::Mxfp4 | BlockLayout::Mxfp4Gguf => 16,
            BlockLayout::Q8_0 => 32,
        }
    }

    /// Bytes from a block's scale to the next block's, and bytes of a scale.
    const fn scales(self) -> (usize, usize) {
        match self {
            BlockLayout::Mxfp4 => (1, 1),
            BlockLayout::Mxfp4Gguf => (17, 1),
            BlockLayout::Q8_0 => (34, 2),
        }
    }

    /// What is added to a code to make it an unsigned byte.
    const fn offset(self) -> i32 {
        match self {
            BlockLayout::Mxfp4 | BlockLayout::Mxfp4Gguf => 12,
            BlockLayout::Q8_0 => 128,
        }
    }

    /// The element of a block at place `i` of an unpacked tile, and of activations that meet it.
    const fn element(self, i: usize) -> usize {
        let (group, within) = (i / 4, i % 4);
        match self {
            // Four bytes hold eight elements: the even ones in their low, the odd in their high
            // four bits; groups 2g and 2g + 1 come from bytes 4g to 4g + 3.
            BlockLayout::Mxfp4 => (group / 2) * 8 + 2 * within + group % 2,
            BlockLayout::Mxfp4Gguf => (group / 2) * 4 + within + 16 * (group % 2),
            BlockLayout::Q8_0 => i,
        }
    }
}

/// The rows of a tile as a file stores them, each from its first block on.
#[derive(Clone, Copy)]
pub struct TileRows<'a> {
    /// How they are stored.
    pub layout: BlockLayout,
    /// Codes of each row; in GGUF layouts the whole row.
    pub codes: [&'a [u8]; TILE_ROWS],
    /// Scales of each row; in GGUF layouts the whole row again.
    pub scales: [&'a [u8]; TILE_ROWS],
}

/// Activations in eight bits, made by [`quantize`] for the layout of the weights they will meet.
#[derive(Clone, Copy)]
pub struct Activations<'a> {
    /// `[T, blocks, 32]`, −127 to 127, in the layout's order of elements.
    pub codes: &'a [i8],
    /// `[T, blocks]`.
    pub scales: &'a [f32],
    /// `[T, blocks]`: the sum of a block's codes times the layout's offset.
    pub offsets: &'a [i32],
    /// Blocks of a token.
    pub blocks: usize,
}
