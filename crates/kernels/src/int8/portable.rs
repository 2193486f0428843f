//! The definition: plain Rust, one block after another.

use super::layout::FP4_BYTES;
use super::scales::{minimums_of, scales_of};
use super::{
    Activations, BLOCK, BlockCodes, BlockLayout, TILE_ROWS, TileRows, Unpacked, UnpackedMut,
};

/// See [`dot_rows`](super::dot_rows).
pub(super) fn dot_rows(
    rows: &TileRows<'_>,
    x: &Activations<'_>,
    tokens: &[u32],
    out: &mut [[f32; TILE_ROWS]],
) {
    out.fill([0.0; TILE_ROWS]);
    for b in 0..rows.blocks {
        let block = Block::of(rows, b);
        for (token, out) in tokens.iter().zip(&mut *out) {
            add_block(&block, x, (*token as usize, b), out);
        }
    }
}

/// See [`unpack`](super::unpack).
pub(super) fn unpack(rows: &TileRows<'_>, first: usize, out: UnpackedMut<'_>) {
    for i in 0..out.codes.len() {
        let block = Block::of(rows, first + i);
        (out.codes[i], out.scales[i]) = (block.codes, block.scales);
        if rows.layout.has_minimum() {
            out.minimums[i] = block.minimums;
        }
    }
}

/// See [`add_tiles`](super::add_tiles).
pub(super) fn add_tiles<const M: usize>(
    tiles: &Unpacked<'_, M>,
    x: &Activations<'_>,
    tokens: &[u32],
    out: &mut [[[f32; TILE_ROWS]; M]],
) {
    for (token, out) in tokens.iter().zip(out) {
        for (m, out) in out.iter_mut().enumerate() {
            for i in 0..tiles.codes[m].len() {
                let block = Block {
                    layout: tiles.layout,
                    codes: tiles.codes[m][i],
                    scales: tiles.scales[m][i],
                    minimums: tiles.minimums[m].get(i).copied().unwrap_or_default(),
                };
                add_block(&block, x, (*token as usize, tiles.first + i), out);
            }
        }
    }
}

/// One block of a tile.
struct Block {
    layout: BlockLayout,
    codes: BlockCodes,
    scales: [f32; TILE_ROWS],
    minimums: [f32; TILE_ROWS],
}

impl Block {
    /// Block `b` of a tile.
    fn of(rows: &TileRows<'_>, b: usize) -> Block {
        let (scales, minimums) = (scales_of(rows, b), minimums_of(rows, b));
        Block { layout: rows.layout, codes: codes_of(rows, b), scales, minimums }
    }
}

/// The codes of block `b`: place `i` of a row is the code of element `layout.element(i)`.
fn codes_of(rows: &TileRows<'_>, b: usize) -> BlockCodes {
    let layout = rows.layout;
    let mut codes = [[0; 4 * TILE_ROWS]; 8];
    for r in 0..TILE_ROWS {
        let at = r / 2 * rows.code_stride + b * layout.code_stride() + layout.code_start();
        let block = &rows.codes[r % 2][at..];
        for i in 0..BLOCK {
            let (group, within) = (i / 4, i % 4);
            // Groups 2g and 2g + 1 are the low and high halves of bytes 4g to 4g + 3.
            let nibble = || block[group / 2 * 4 + within] >> (group % 2 * 4) & 15;
            codes[group][r * 4 + within] = match layout {
                BlockLayout::Q8_0 => block[i] ^ 0x80,
                BlockLayout::Mxfp4 | BlockLayout::Mxfp4Gguf => FP4_BYTES[usize::from(nibble())],
                BlockLayout::Q4_0 | BlockLayout::Q4_1 => nibble(),
            };
        }
    }
    codes
}

/// The sum over a block is exact; only the last line rounds, and that before it where there is a
/// minimum.
fn add_block(
    weights: &Block,
    x: &Activations<'_>,
    (token, b): (usize, usize),
    out: &mut [f32; TILE_ROWS],
) {
    let block = &x.data[token * x.blocks + b];
    for (row, out) in out.iter_mut().enumerate() {
        let mut sum = if weights.layout.has_minimum() { 0 } else { block.start };
        for (i, a) in block.codes.iter().enumerate() {
            sum += i32::from(weights.codes[i / 4][row * 4 + i % 4]) * i32::from(*a);
        }
        *out = (sum as f32).mul_add(weights.scales[row] * block.scale, *out);
        if weights.layout.has_minimum() {
            *out = (block.start as f32).mul_add(weights.minimums[row] * block.scale, *out);
        }
    }
}
