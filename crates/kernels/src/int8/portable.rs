//! The definition: plain Rust, one block after another.

use super::layout::FP4_BYTES;
use super::scales::scales_of;
use super::{Activations, BLOCK, BlockCodes, BlockLayout, TILE_ROWS, TileRows, Unpacked};

/// See [`dot_rows`](super::dot_rows).
pub(super) fn dot_rows(
    rows: &TileRows<'_>,
    x: &Activations<'_>,
    tokens: &[u32],
    out: &mut [[f32; TILE_ROWS]],
) {
    out.fill([0.0; TILE_ROWS]);
    for b in 0..rows.blocks {
        let (codes, scales) = (codes_of(rows, b), scales_of(rows, b));
        for (token, out) in tokens.iter().zip(&mut *out) {
            add_block(&codes, &scales, x, (*token as usize, b), out);
        }
    }
}

/// See [`unpack`](super::unpack).
pub(super) fn unpack(
    rows: &TileRows<'_>,
    first: usize,
    codes: &mut [BlockCodes],
    scales: &mut [[f32; TILE_ROWS]],
) {
    for (i, (codes, scales)) in codes.iter_mut().zip(scales).enumerate() {
        (*codes, *scales) = (codes_of(rows, first + i), scales_of(rows, first + i));
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
            for (i, (codes, scales)) in tiles.codes[m].iter().zip(tiles.scales[m]).enumerate() {
                add_block(codes, scales, x, (*token as usize, tiles.first + i), out);
            }
        }
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
            codes[group][r * 4 + within] = match layout {
                BlockLayout::Q8_0 => block[i] ^ 0x80,
                // Groups 2g and 2g + 1 are the low and high halves of bytes 4g to 4g + 3.
                BlockLayout::Mxfp4 | BlockLayout::Mxfp4Gguf => {
                    let byte = block[group / 2 * 4 + within];
                    FP4_BYTES[usize::from((byte >> (group % 2 * 4)) & 15)]
                }
            };
        }
    }
    codes
}

/// The sum over a block is exact; only the last line rounds.
fn add_block(
    codes: &BlockCodes,
    scales: &[f32; TILE_ROWS],
    x: &Activations<'_>,
    (token, b): (usize, usize),
    out: &mut [f32; TILE_ROWS],
) {
    let block = &x.data[token * x.blocks + b];
    for (row, out) in out.iter_mut().enumerate() {
        let mut sum = block.start;
        for (i, a) in block.codes.iter().enumerate() {
            sum += i32::from(codes[i / 4][row * 4 + i % 4]) * i32::from(*a);
        }
        *out = (sum as f32).mul_add(scales[row] * block.scale, *out);
    }
}
