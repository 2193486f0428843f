//! The scales of a block of a tile.

use super::{BlockLayout, TILE_ROWS, TileRows};
use crate::half::f16_to_f32;
use crate::mxfp4;

/// The values of one step of a code, for the rows of block `b`.
pub(super) fn scales_of(rows: &TileRows<'_>, b: usize) -> [f32; TILE_ROWS] {
    let mut scales = [0.0; TILE_ROWS];
    for (r, scale) in scales.iter_mut().enumerate() {
        let at = r / 2 * rows.scale_stride + b * rows.layout.scale_stride();
        let bytes = &rows.scales[r % 2][at..];
        *scale = match rows.layout {
            // Codes are twice their value.
            BlockLayout::Mxfp4 | BlockLayout::Mxfp4Gguf => mxfp4::scale(bytes[0]) * 0.5,
            BlockLayout::Q8_0 | BlockLayout::Q4_0 | BlockLayout::Q4_1 => {
                f16_to_f32(u16::from_le_bytes([bytes[0], bytes[1]]))
            }
        };
    }
    scales
}

/// What is added to scale·code, for the rows of block `b`; zeros if the layout has none.
pub(super) fn minimums_of(rows: &TileRows<'_>, b: usize) -> [f32; TILE_ROWS] {
    let mut minimums = [0.0; TILE_ROWS];
    if rows.layout.has_minimum() {
        for (r, minimum) in minimums.iter_mut().enumerate() {
            let at = r / 2 * rows.scale_stride + b * rows.layout.scale_stride();
            let bytes = &rows.scales[r % 2][at + 2..];
            *minimum = f16_to_f32(u16::from_le_bytes([bytes[0], bytes[1]]));
        }
    }
    minimums
}
