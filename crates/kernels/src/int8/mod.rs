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
//! one fused multiply-add after another from the first block on, in f32. Where a weight is
//! scale·code + minimum, the minimum meets the sum A_b of the activations' codes, right after
//! S_b: + A_b · (minimum_b · activation scale_b).
//!
//! The unit of work is a tile of [`TILE_ROWS`] rows: side by side, 16 rows fill the lanes of a
//! vector and never have to be added across lanes. [`dot_rows`] multiplies a tile with a few tokens
//! as it lies in the file; for many tokens [`unpack`] widens codes to bytes once and
//! [`add_tiles`] multiplies them, some blocks of two tiles at a time, which stay in the first cache
//! while all tokens pass by.

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx2_few;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod layout;
mod portable;
mod quantize;
mod scales;
#[cfg(test)]
mod tests;
mod tile;

pub use layout::BlockLayout;
pub use quantize::{ActivationBlock, quantize};
pub use tile::{
    Activations, CHUNK_BLOCKS, FEW_TOKENS, TileRows, Unpacked, UnpackedMut, add_tiles, dot_rows,
    unpack,
};

/// Rows of a tile.
pub const TILE_ROWS: usize = 16;
/// Elements under one scale, on both sides.
pub const BLOCK: usize = 32;
/// The codes of one block of a tile as unsigned bytes: 8 groups of 4 elements of each row.
pub type BlockCodes = [[u8; 4 * TILE_ROWS]; 8];
