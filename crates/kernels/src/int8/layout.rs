//! How files store blocks.

use crate::format::Format;

/// A layout of blocks that the kernels read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BlockLayout {
    /// MXFP4 as in OpenAI's files: codes and scales apart, neighbours in one byte.
    Mxfp4,
    /// MXFP4 as in GGUF files: the scale before the codes, elements `j` and `j + 16` in one byte.
    Mxfp4Gguf,
    /// GGUF's Q8_0: an f16 scale before 32 signed bytes.
    Q8_0,
    /// GGUF's Q4_0: an f16 scale before 16 bytes with elements `j` and `j + 16` plus 8.
    Q4_0,
    /// GGUF's Q4_1: an f16 scale, an f16 minimum, then 16 bytes with elements `j` and `j + 16`.
    Q4_1,
}

impl BlockLayout {
    /// All layouts.
    pub const ALL: [BlockLayout; 5] = [
        BlockLayout::Mxfp4,
        BlockLayout::Mxfp4Gguf,
        BlockLayout::Q8_0,
        BlockLayout::Q4_0,
        BlockLayout::Q4_1,
    ];

    /// The layout of a matrix whose rows are in a format, if the kernels read it.
    pub const fn of(format: Format) -> Option<BlockLayout> {
        match format {
            Format::Mxfp4Gguf => Some(BlockLayout::Mxfp4Gguf),
            Format::Q8_0 => Some(BlockLayout::Q8_0),
            Format::Q4_0 => Some(BlockLayout::Q4_0),
            Format::Q4_1 => Some(BlockLayout::Q4_1),
            _ => None,
        }
    }

    /// Bytes from a block's codes to the next block's.
    pub const fn code_stride(self) -> usize {
        match self {
            BlockLayout::Mxfp4 => 16,
            BlockLayout::Mxfp4Gguf => 17,
            BlockLayout::Q8_0 => 34,
            BlockLayout::Q4_0 => 18,
            BlockLayout::Q4_1 => 20,
        }
    }

    /// Bytes from a block's scale to the next block's.
    pub const fn scale_stride(self) -> usize {
        match self {
            BlockLayout::Mxfp4 => 1,
            other => other.code_stride(),
        }
    }

    /// Whether a value is scale·code + minimum, and not scale·code alone.
    pub const fn has_minimum(self) -> bool {
        matches!(self, BlockLayout::Q4_1)
    }

    /// Where a block's codes begin.
    pub(super) const fn code_start(self) -> usize {
        match self {
            BlockLayout::Mxfp4 => 0,
            BlockLayout::Q4_1 => 4,
            other => other.scale_bytes(),
        }
    }

    /// Bytes of a scale, and of a minimum.
    pub(super) const fn scale_bytes(self) -> usize {
        match self {
            BlockLayout::Mxfp4 | BlockLayout::Mxfp4Gguf => 1,
            BlockLayout::Q8_0 | BlockLayout::Q4_0 | BlockLayout::Q4_1 => 2,
        }
    }

    /// What [`ActivationBlock::start`](super::ActivationBlock) is for each one that the sum of the
    /// activations' codes has: minus what is added to a code of weights to make it an unsigned
    /// byte; where there is a minimum nothing is, and 1 makes it the sum that meets the minimum.
    pub(super) const fn start_factor(self) -> i32 {
        match self {
            BlockLayout::Mxfp4 | BlockLayout::Mxfp4Gguf => -12,
            BlockLayout::Q8_0 => -128,
            BlockLayout::Q4_0 => -8,
            BlockLayout::Q4_1 => 1,
        }
    }

    /// The element of a block at place `i` of an unpacked tile, and of activations that meet it.
    pub(super) const fn element(self, i: usize) -> usize {
        let (group, within) = (i / 4, i % 4);
        match self {
            // Four bytes hold eight elements: the even ones in their low, the odd in their high
            // four bits; groups 2g and 2g + 1 come from bytes 4g to 4g + 3.
            BlockLayout::Mxfp4 => (group / 2) * 8 + 2 * within + group % 2,
            BlockLayout::Mxfp4Gguf | BlockLayout::Q4_0 | BlockLayout::Q4_1 => {
                (group / 2) * 4 + within + 16 * (group % 2)
            }
            BlockLayout::Q8_0 => i,
        }
    }
}

/// Twice the value of each FP4 code, plus 12, so that it is an unsigned byte.
pub(super) const FP4_BYTES: [u8; 16] = [12, 13, 14, 15, 16, 18, 20, 24, 12, 11, 10, 9, 8, 6, 4, 0];
