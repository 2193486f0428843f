//! How weights are stored: the element formats of safetensors and GGUF, and their sizes.
//!
//! Sources: safetensors' dtype list; `ggml_type` and the block structs of llama.cpp's
//! `ggml-common.h`; OCP Microscaling Formats (MX) v1.0 for MXFP4.

/// An element format. A row of weights is a whole number of blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
#[allow(missing_docs)] // The names are the formats' own.
pub enum Format {
    F32,
    F16,
    Bf16,
    Q4_0,
    Q4_1,
    Q5_0,
    Q5_1,
    Q8_0,
    Q4K,
    Q5K,
    Q6K,
    /// GGUF's MXFP4: a scale byte, then 16 bytes; byte `j` holds element `j` in its low and
    /// element `j + 16` in its high four bits.
    Mxfp4Gguf,
}

impl Format {
    /// Elements in a block; 1 for the plain formats.
    pub const fn block_elements(self) -> usize {
        match self {
            Format::F32 | Format::F16 | Format::Bf16 => 1,
            Format::Q4_0
            | Format::Q4_1
            | Format::Q5_0
            | Format::Q5_1
            | Format::Q8_0
            | Format::Mxfp4Gguf => 32,
            Format::Q4K | Format::Q5K | Format::Q6K => 256,
        }
    }

    /// Bytes of a block.
    pub const fn block_bytes(self) -> usize {
        match self {
            Format::F32 => 4,
            Format::F16 | Format::Bf16 => 2,
            Format::Q4_0 => 18,
            Format::Q4_1 => 20,
            Format::Q5_0 => 22,
            Format::Q5_1 => 24,
            Format::Q8_0 => 34,
            Format::Q4K => 144,
            Format::Q5K => 176,
            Format::Q6K => 210,
            Format::Mxfp4Gguf => 17,
        }
    }

    /// Bytes of a row of `elements`, or `None` if that is not a whole number of blocks or
    /// overflows.
    pub const fn row_bytes(self, elements: usize) -> Option<usize> {
        if !elements.is_multiple_of(self.block_elements()) {
            return None;
        }
        (elements / self.block_elements()).checked_mul(self.block_bytes())
    }

    /// The name as GGUF tools and safetensors print it.
    pub const fn name(self) -> &'static str {
        match self {
            Format::F32 => "F32",
            Format::F16 => "F16",
            Format::Bf16 => "BF16",
            Format::Q4_0 => "Q4_0",
            Format::Q4_1 => "Q4_1",
            Format::Q5_0 => "Q5_0",
            Format::Q5_1 => "Q5_1",
            Format::Q8_0 => "Q8_0",
            Format::Q4K => "Q4_K",
            Format::Q5K => "Q5_K",
            Format::Q6K => "Q6_K",
            Format::Mxfp4Gguf => "MXFP4",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_whole_blocks_or_nothing() {
        assert_eq!(Format::Mxfp4Gguf.row_bytes(2880), Some(90 * 17));
        assert_eq!(Format::Q8_0.row_bytes(31), None);
        assert_eq!(Format::F32.row_bytes(usize::MAX), None);
    }
}
