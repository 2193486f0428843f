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

/// The scales of a tile as stored, rows side by side, before they become vectors.
///
/// Copying them takes no vector instructions, of which the kernels are short.
#[cfg(target_arch = "x86_64")]
pub(super) struct RawScales {
    /// Exponents of MXFP4, `[blocks, 16 rows]`.
    pub(super) exponents: [[u8; TILE_ROWS]; RawScales::BLOCKS],
    /// Bits of the f16 of other layouts, `[blocks, 16 rows]`.
    pub(super) halves: [[u16; TILE_ROWS]; RawScales::BLOCKS],
    /// Bits of the f16 of minimums, `[blocks, 16 rows]`.
    pub(super) minimums: [[u16; TILE_ROWS]; RawScales::BLOCKS],
}

#[cfg(target_arch = "x86_64")]
impl RawScales {
    /// Blocks that are copied at once.
    pub(super) const BLOCKS: usize = 16;

    /// Room for scales.
    pub(super) const fn new() -> RawScales {
        RawScales {
            exponents: [[0; TILE_ROWS]; RawScales::BLOCKS],
            halves: [[0; TILE_ROWS]; RawScales::BLOCKS],
            minimums: [[0; TILE_ROWS]; RawScales::BLOCKS],
        }
    }

    /// Copies the scales of blocks `first..first + n`, `n` at most [`RawScales::BLOCKS`]; `layout`
    /// is that of the rows, as a constant.
    ///
    /// # Safety
    /// The rows hold these blocks.
    #[inline(always)]
    pub(super) unsafe fn copy(
        &mut self,
        layout: BlockLayout,
        rows: &TileRows<'_>,
        (first, n): (usize, usize),
    ) {
        let n = n.min(RawScales::BLOCKS);
        for r in 0..TILE_ROWS {
            let at = r / 2 * rows.scale_stride + first * layout.scale_stride();
            // SAFETY: the caller promises that the rows hold the block `first`.
            let mut from = unsafe { rows.scales[r % 2].as_ptr().add(at) };
            for b in 0..n {
                if layout.scale_bytes() == 1 {
                    // SAFETY: the first byte of a block that the caller promises.
                    self.exponents[b][r] = unsafe { from.read() };
                } else {
                    // SAFETY: the first two bytes of a block that the caller promises.
                    self.halves[b][r] = unsafe { from.cast::<u16>().read_unaligned() };
                }
                if layout.has_minimum() {
                    // SAFETY: the third and fourth byte of a block that the caller promises.
                    self.minimums[b][r] = unsafe { from.cast::<u16>().add(1).read_unaligned() };
                }
                from = from.wrapping_add(layout.scale_stride());
            }
        }
    }
}
