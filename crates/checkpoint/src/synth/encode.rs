//! Values to the bytes of a file.

use super::source::{BLOCK, Blocks, Dense};

/// Rows of a source in one element format; the bytes of a tensor are one segment or several.
#[derive(Clone, Copy, Debug)]
pub(super) struct Segment {
    /// Rows to write.
    pub(super) rows: u64,
    /// Elements of a row.
    pub(super) cols: u64,
    /// Which row of the source each of them is.
    pub(super) pick: Pick,
    /// Where the values come from, and how they are written.
    pub(super) encoding: Encoding,
}

/// Which rows of a source a segment has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pick {
    /// All.
    Every,
    /// Rows 0, 2, 4 …: the gates of interleaved gates and linear parts.
    Even,
    /// Rows 1, 3, 5 …: the linear parts.
    Odd,
    /// All, but in each head of so many rows, K, first row 0, then row K/2, then 1, 1 + K/2 …:
    /// what turns together are neighbours.
    Pairs(u64),
}

impl Pick {
    /// The row of the source that row `row` of the segment is.
    fn row(self, row: u64) -> u64 {
        match self {
            Pick::Every => row,
            Pick::Even => 2 * row,
            Pick::Odd => 2 * row + 1,
            Pick::Pairs(head) => {
                let (first, within) = (row / head * head, row % head);
                first + within / 2 + within % 2 * (head / 2)
            }
        }
    }
}

/// Values and their format.
#[derive(Clone, Copy, Debug)]
pub(super) enum Encoding {
    /// Bfloat16.
    Bf16(Dense),
    /// Bfloat16 values widened to f32.
    F32(Dense),
    /// GGUF's Q8_0.
    Q8_0(Dense),
    /// The codes of MXFP4 blocks in the order of safetensors files.
    Codes(Blocks),
    /// The scales of MXFP4 blocks.
    Scales(Blocks),
    /// GGUF's MXFP4: scale and codes.
    Mxfp4Gguf(Blocks),
}

impl Segment {
    /// Bytes of a row; rows are whole blocks, which the plan has checked.
    pub(super) fn row_bytes(&self) -> u64 {
        match self.encoding {
            Encoding::Bf16(_) => self.cols * 2,
            Encoding::F32(_) => self.cols * 4,
            Encoding::Q8_0(_) => self.cols / BLOCK * 34,
            Encoding::Codes(_) => self.cols / BLOCK * 16,
            Encoding::Scales(_) => self.cols / BLOCK,
            Encoding::Mxfp4Gguf(_) => self.cols / BLOCK * 17,
        }
    }

    /// Bytes of all rows.
    pub(super) fn bytes(&self) -> u64 {
        self.rows * self.row_bytes()
    }

    /// Writes the rows from `first` on, as many as `out` holds.
    ///
    /// # Panics
    /// If `out` is not whole rows.
    pub(super) fn fill(&self, first: u64, out: &mut [u8]) {
        let row_bytes = usize::try_from(self.row_bytes()).expect("a row fits into memory");
        assert!(out.len().is_multiple_of(row_bytes), "a segment is filled in whole rows");
        match self.pick {
            // Rows that follow each other are one long row.
            Pick::Every => self.fill_run(first * self.cols, out),
            pick => {
                for (row, out) in (first..).zip(out.chunks_exact_mut(row_bytes)) {
                    self.fill_run(pick.row(row) * self.cols, out);
                }
            }
        }
    }

    /// Writes elements that follow each other in the source.
    fn fill_run(&self, element: u64, out: &mut [u8]) {
        let block = element / BLOCK;
        match self.encoding {
            Encoding::Bf16(dense) => {
                for (index, bytes) in (element..).zip(out.as_chunks_mut().0) {
                    *bytes = dense.bf16(index).to_le_bytes();
                }
            }
            Encoding::F32(dense) => {
                for (index, bytes) in (element..).zip(out.as_chunks_mut().0) {
                    *bytes = dense.f32(index).to_le_bytes();
                }
            }
            Encoding::Q8_0(dense) => {
                for (block, bytes) in (block..).zip(out.as_chunks_mut().0) {
                    let values = std::array::from_fn(|i| dense.f32(block * BLOCK + i as u64));
                    *bytes = q8_0(&values);
                }
            }
            Encoding::Codes(blocks) => {
                for (block, bytes) in (block..).zip(out.as_chunks_mut::<16>().0) {
                    let [low, high] = blocks.codes(block).map(u64::to_le_bytes);
                    bytes[..8].copy_from_slice(&low);
                    bytes[8..].copy_from_slice(&high);
                }
            }
            Encoding::Scales(blocks) => {
                for (block, byte) in (block..).zip(out) {
                    *byte = blocks.scale(block);
                }
            }
            Encoding::Mxfp4Gguf(blocks) => {
                for (block, bytes) in (block..).zip(out.as_chunks_mut::<17>().0) {
                    bytes[0] = blocks.scale(block);
                    bytes[1..].copy_from_slice(&gguf_codes(blocks.codes(block)));
                }
            }
        }
    }
}

/// Codes in GGUF's order: byte `j` holds element `j` and, in its high bits, element `j + 16`.
#[inline]
fn gguf_codes([low, high]: [u64; 2]) -> [u8; 16] {
    let first = spread(low as u32) | spread(high as u32) << 4;
    let second = spread((low >> 32) as u32) | spread((high >> 32) as u32) << 4;
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&first.to_le_bytes());
    bytes[8..].copy_from_slice(&second.to_le_bytes());
    bytes
}

/// Eight groups of four bits to the low halves of eight bytes.
#[inline]
const fn spread(codes: u32) -> u64 {
    let x = codes as u64;
    let x = (x | x << 16) & 0x0000_FFFF_0000_FFFF;
    let x = (x | x << 8) & 0x00FF_00FF_00FF_00FF;
    (x | x << 4) & 0x0F0F_0F0F_0F0F_0F0F
}

/// A block of Q8_0: scale as binary16, then 32 signed bytes.
///
/// The largest magnitude becomes 127, and halves are rounded away from zero, as in
/// `quantize_row_q8_0_ref` of llama.cpp (ggml/src/ggml-quants.c).
#[inline]
fn q8_0(values: &[f32; 32]) -> [u8; 34] {
    let largest = values.iter().fold(0.0f32, |largest, value| largest.max(value.abs()));
    let scale = largest / 127.0;
    let inverse = if scale == 0.0 { 0.0 } else { 1.0 / scale };
    let mut bytes = [0; 34];
    bytes[..2].copy_from_slice(&f16_bits(scale).to_le_bytes());
    for (byte, value) in bytes[2..].iter_mut().zip(values) {
        *byte = round(value * inverse) as u8;
    }
    bytes
}

/// The nearest whole number, halves away from zero, of a value within ±128.
#[inline]
fn round(value: f32) -> i32 {
    let whole = value as i32;
    // Exact, as both are below 2⁸.
    let rest = value - whole as f32;
    whole + i32::from(rest >= 0.5) - i32::from(rest <= -0.5)
}

/// The nearest IEEE 754 binary16 of a number that is not negative, of two the even one; infinity
/// from 65520 on.
fn f16_bits(value: f32) -> u16 {
    let bits = value.to_bits();
    let exponent = (bits >> 23) as i32 - 127;
    if exponent > 15 {
        return 0x7C00;
    }
    let fraction = bits & 0x007F_FFFF | 0x0080_0000;
    // A carry out of the fraction raises the exponent, which is what rounding up means.
    if exponent >= -14 {
        let biased = ((exponent + 15) as u32) << 10;
        return (biased + nearest(fraction, 13) - 0x400) as u16;
    }
    // Subnormal: steps of 2⁻²⁴. Below 2⁻²⁵ everything is zero.
    match exponent {
        -25.. => nearest(fraction, (-1 - exponent) as u32) as u16,
        _ => 0,
    }
}

/// `value / 2^shift` to the nearest, of two the even one.
const fn nearest(value: u32, shift: u32) -> u32 {
    let half = (1 << (shift - 1)) - 1;
    (value + half + (value >> shift & 1)) >> shift
}

#[cfg(test)]
mod tests {
    use super::super::source::{Role, Sources};
    use super::*;
    use crate::presets;
    use gptoss_kernels::f16_to_f32;

    #[test]
    fn binary16_is_the_nearest() {
        let mut compared = 0;
        for bits in 0..0x7C00u16 {
            let (here, next) = (f16_to_f32(bits), f16_to_f32(bits + 1));
            assert_eq!(f16_bits(here), bits, "{here}");
            if bits + 1 == 0x7C00 {
                break;
            }
            let middle = (here + next) / 2.0;
            let even = bits + (bits & 1);
            assert_eq!(f16_bits(middle), even, "between {here} and {next}");
            assert_eq!(f16_bits(f32::from_bits(middle.to_bits() + 1)), bits + 1, "above {middle}");
            assert_eq!(f16_bits(f32::from_bits(middle.to_bits() - 1)), bits, "below {middle}");
            compared += 1;
        }
        assert_eq!(compared, 0x7BFF);
        assert_eq!(f16_bits(65_519.0), 0x7BFF);
        assert_eq!(f16_bits(65_520.0), 0x7C00);
        assert_eq!(f16_bits(f32::from_bits(1)), 0);
    }

    #[test]
    fn rounding_is_that_of_the_standard_library() {
        let edges = [0.5, 1.5, 126.5, 0.499_999_97, 0.500_000_06, 127.0, 0.0, 3.2];
        for value in edges.into_iter().flat_map(|x: f32| [x, -x]) {
            assert_eq!(round(value), value.round() as i32, "{value}");
        }
    }

    #[test]
    fn q8_0_holds_values_to_half_a_step() {
        let config = presets::find("gpt-oss-20b").unwrap().config;
        let dense = Sources { config: &config, seed: 1 }.dense(Role::Q, 0);
        for block in 0..100u64 {
            let values: [f32; 32] = std::array::from_fn(|i| dense.f32(block * 32 + i as u64));
            let bytes = q8_0(&values);
            let scale = f16_to_f32(u16::from_le_bytes([bytes[0], bytes[1]]));
            for (byte, value) in bytes[2..].iter().zip(values) {
                let error = (f32::from(*byte as i8) * scale - value).abs();
                // Half a step, and up to 127 times the error 2⁻¹¹ of the scale.
                assert!(error <= scale * (0.5 + 127.0 / 2048.0), "block {block}: {value}");
            }
            assert!(bytes[2..].iter().any(|byte| (*byte as i8).unsigned_abs() == 127));
        }
        assert_eq!(q8_0(&[0.0; 32]), [0; 34]);
    }

    #[test]
    fn the_two_orders_hold_the_same_elements() {
        let codes = [0x0123_4567_89AB_CDEF, 0xFEDC_BA98_7654_3210];
        let bytes = gguf_codes(codes);
        let element = |i: usize| (codes[i / 16] >> (4 * (i % 16)) & 15) as u8;
        for (j, byte) in bytes.into_iter().enumerate() {
            assert_eq!((byte & 15, byte >> 4), (element(j), element(j + 16)), "byte {j}");
        }
    }

    #[test]
    fn pairs_of_a_head_become_neighbours() {
        let rows: Vec<u64> = (0..12).map(|row| Pick::Pairs(6).row(row)).collect();
        assert_eq!(rows, [0, 3, 1, 4, 2, 5, 6, 9, 7, 10, 8, 11]);
    }

    #[test]
    fn a_segment_is_the_same_in_any_pieces() {
        let config = presets::find("gpt-oss-1b").unwrap().config;
        let sources = Sources { config: &config, seed: 3 };
        let dense = sources.dense(Role::K, 1);
        let blocks = sources.blocks(Role::GateUp, 1);
        for encoding in [
            Encoding::Bf16(dense),
            Encoding::F32(dense),
            Encoding::Q8_0(dense),
            Encoding::Codes(blocks),
            Encoding::Scales(blocks),
            Encoding::Mxfp4Gguf(blocks),
        ] {
            let segment = Segment { rows: 6, cols: 64, pick: Pick::Every, encoding };
            let row = segment.row_bytes() as usize;
            let mut whole = vec![0; 6 * row];
            segment.fill(0, &mut whole);
            for (pick, odd) in [(Pick::Even, 0), (Pick::Odd, 1)] {
                let half = Segment { rows: 3, pick, ..segment };
                for index in 0..3 {
                    let mut one = vec![0; row];
                    half.fill(index, &mut one);
                    let start = (2 * index as usize + odd) * row;
                    assert_eq!(one, whole[start..start + row], "{encoding:?} {pick:?} {index}");
                }
            }
            let mut tail = vec![0; 2 * row];
            segment.fill(4, &mut tail);
            assert_eq!(tail, whole[4 * row..], "{encoding:?}");
        }
    }
}
