//! Which rows meet which tokens, and when.
//!
//! Few tokens: four rows at a time are read from the first column to the last, widened in
//! registers, while the four rows behind them are prefetched. At one token this is a linear read
//! of the matrix. Vectors are the lanes of one sum.
//!
//! Many tokens: 64 rows are widened and turned round in memory, so that vectors are one lane
//! of many sums, and all tokens of a panel meet them lane by lane. A lane's sums stay in registers
//! until they are folded with those of the lanes before, so that what waits in memory is little;
//! a chunk of a lane's weights stays in the first cache, and each number of a token is loaded once
//! for 64 multiplications.

use std::arch::x86_64::{__m128, _mm_storeu_ps};
use std::ops::Range;

use super::packed::{PANEL_TOKENS, blocks, even_parts, lane_cols, lane_start, panels};
use super::{FloatRows, FloatTokens, Weights};
use crate::Format;
use crate::dot::LANES;

/// Rows of a block that meets few tokens.
pub(super) const ROWS: usize = 4;
/// Rows of a block that meets many tokens.
pub(super) const PACKED_ROWS: usize = 64;
/// Columns of a lane that meet all tokens of a panel at once: with 64 rows at most 18 KiB.
const CHUNK: usize = 72;
/// Lanes in the order in which they are folded.
const FOLD_ORDER: [usize; LANES] = [0, 8, 4, 12, 2, 10, 6, 14, 1, 9, 5, 13, 3, 11, 7, 15];
/// Sums of two, four, eight and sixteen lanes and of one wait for their like to be folded with.
pub(super) const LEVELS: usize = 5;

/// Floats in a cache line.
const LINE_FLOATS: usize = 16;

/// Formats as constants of generic functions.
pub(super) const F32: u8 = 0;
pub(super) const F16: u8 = 1;
pub(super) const BF16: u8 = 2;

/// Bytes of an element.
pub(super) const fn element_bytes(format: u8) -> usize {
    if format == F32 { 4 } else { 2 }
}

/// Weights of a block: `ROWS` rows of as many bytes.
#[derive(Clone, Copy)]
pub(super) struct Block<'a> {
    pub format: Format,
    pub rows: [&'a [u8]; ROWS],
    /// The address from which on the next weights are prefetched, if they are.
    pub ahead: Option<*const u8>,
}

/// Activations that meet a block: token `t` of `n` is `x[t · cols..][..cols]`.
#[derive(Clone, Copy)]
pub(super) struct Tokens<'a> {
    pub x: &'a [f32],
    pub n: usize,
    pub cols: usize,
}

/// Where the results of a block go: row `r` of token `t` to `out[t · stride + r]`.
pub(super) struct Out<'a> {
    pub out: &'a mut [f32],
    pub stride: usize,
    /// At most `ROWS`; rows of a block behind them have no place.
    pub rows: usize,
}

/// Rows that many tokens meet: `PACKED_ROWS` of `cols` columns.
pub(super) struct Piece<'a> {
    pub format: Format,
    pub rows: [&'a [u8]; PACKED_ROWS],
    pub cols: usize,
}

/// Some columns of one lane.
pub(super) struct Lane<'a> {
    /// `[columns, PACKED_ROWS]`
    pub weights: &'a [[f32; PACKED_ROWS]],
    /// `[columns, tokens]`
    pub x: &'a [f32],
    /// Rows that are there; what is computed for others is never read.
    pub rows: usize,
    /// Whether sums begin here with 0; else they are where this lane's sums go.
    pub is_first: bool,
    /// Whether these are the lane's last columns, behind which it is folded with others.
    pub is_last: bool,
    /// How many levels it is folded with; its sums go to the level behind.
    pub level: usize,
}

/// What a token and a block of rows have of [`LEVELS`].
pub(super) type Sums = [[f32; PACKED_ROWS]; LEVELS];

/// The arithmetic of an instruction set.
pub(super) trait Blocks {
    /// Tokens of the largest block of [`multiply`](Blocks::multiply).
    const TOKENS: usize;

    /// Writes the products of a block with at most `TOKENS` tokens.
    fn multiply(&self, block: Block<'_>, tokens: Tokens<'_>, out: Out<'_>);

    /// Widens a piece into `[lane, columns of the lane, PACKED_ROWS]`.
    fn pack(&self, piece: &Piece<'_>, packed: &mut [[f32; PACKED_ROWS]]);

    /// Adds the products of a lane to the sums of each token.
    fn add(&self, lane: &Lane<'_>, sums: &mut [Sums]);
}

impl Block<'_> {
    /// Asserts that every element of a block is there.
    #[inline]
    pub(super) fn check(&self, tokens: &Tokens<'_>) {
        let bytes = tokens.cols * self.format.block_bytes();
        for row in self.rows {
            assert!(row.len() >= bytes, "a block of rows: columns");
        }
        assert!(tokens.x.len() >= tokens.n * tokens.cols, "a block of rows: activations");
    }
}

impl Piece<'_> {
    /// Asserts that every element of a piece is there, and its place.
    pub(super) fn check(&self, packed: &[[f32; PACKED_ROWS]]) {
        for row in self.rows {
            let bytes = self.cols * self.format.block_bytes();
            assert!(row.len() >= bytes, "a piece of rows: columns");
        }
        assert!(packed.len() >= self.cols, "a piece of rows: room");
    }

    /// Packs the columns from `from` on one by one.
    pub(super) fn pack_tail(&self, from: usize, packed: &mut [[f32; PACKED_ROWS]]) {
        for (r, row) in self.rows.into_iter().enumerate() {
            let row = FloatRows::stored(self.format, row, self.cols).expect("a plain format");
            for k in from..self.cols {
                packed[lane_start(self.cols, k % LANES) + k / LANES][r] = row.weight(k);
            }
        }
    }
}

impl Out<'_> {
    /// Writes the results of token `t`.
    #[inline(always)]
    pub(super) fn store(&mut self, t: usize, results: __m128) {
        let out = &mut self.out[t * self.stride..][..self.rows];
        if let Some(out) = out.first_chunk_mut::<ROWS>() {
            // SAFETY: 16 bytes of an array of four floats; SSE is part of every x86-64 CPU.
            unsafe { _mm_storeu_ps(out.as_mut_ptr(), results) };
            return;
        }
        let mut all = [0.0; ROWS];
        // SAFETY: 16 bytes of an array of four floats; SSE is part of every x86-64 CPU.
        unsafe { _mm_storeu_ps(all.as_mut_ptr(), results) };
        for (out, result) in out.iter_mut().zip(all) {
            *out = result;
        }
    }
}

/// Computes a product whose lengths were checked; `out` comes with its stride.
pub(super) fn run<B: Blocks>(
    blocks: &B,
    rows: FloatRows<'_>,
    x: &FloatTokens<'_>,
    scratch: &mut [f32],
    out: (&mut [f32], usize),
) {
    if x.packed.is_empty() {
        return few(blocks, rows, x, out);
    }
    // Vectors of scratch begin where cache lines do.
    let aligned = scratch.as_ptr().align_offset(LINE_FLOATS * 4);
    let scratch = scratch[aligned..].as_chunks_mut().0;
    many(blocks, rows, x, scratch, out);
}

/// Elements of scratch that [`run`] needs for many tokens.
pub(super) const fn scratch_len(tokens: usize, cols: usize) -> usize {
    let panel = if tokens < PANEL_TOKENS { tokens } else { PANEL_TOKENS };
    (cols + panel * LEVELS) * PACKED_ROWS + LINE_FLOATS
}

/// Weights straight from where they lie.
fn few<B: Blocks>(
    blocks: &B,
    rows: FloatRows<'_>,
    x: &FloatTokens<'_>,
    (out, stride): (&mut [f32], usize),
) {
    let (matrix, cols) = (Matrix::new(&rows), rows.cols);
    for first in (0..matrix.rows).step_by(ROWS) {
        let rows = matrix.block(first);
        let ahead = matrix.bytes_from(first + ROWS);
        for range in even_parts(x.tokens(), B::TOKENS) {
            // Further tokens find the weights in a cache.
            let ahead = ahead.filter(|_| range.start == 0);
            let block = Block { format: matrix.format, rows, ahead };
            let x = &x.x[range.start * cols..range.end * cols];
            let out = &mut out[range.start * stride + first..];
            let out = Out { out, stride, rows: ROWS.min(matrix.rows - first) };
            blocks.multiply(block, Tokens { x, n: range.len(), cols }, out);
        }
    }
}

/// Weights and activations in the order of [`packed`](super::packed).
fn many<B: Blocks>(
    blocks: &B,
    rows: FloatRows<'_>,
    x: &FloatTokens<'_>,
    scratch: &mut [[f32; PACKED_ROWS]],
    (out, stride): (&mut [f32], usize),
) {
    let matrix = Matrix::new(&rows);
    let (weights, sums) = scratch.split_at_mut(matrix.cols);
    let sums = sums.as_chunks_mut().0;
    for first in (0..matrix.rows).step_by(PACKED_ROWS) {
        let rows = matrix.block(first);
        blocks.pack(&Piece { format: matrix.format, rows, cols: matrix.cols }, weights);
        let n = PACKED_ROWS.min(matrix.rows - first);
        for panel in panels(x.tokens()) {
            meet(blocks, (weights, n), (x, &panel), sums);
            for (t, sums) in panel.zip(&*sums) {
                out[t * stride + first..][..n].copy_from_slice(&sums[LEVELS - 1][..n]);
            }
        }
    }
}

/// Adds all products of rows (`[cols]`, `rows` of them there) with a panel of tokens to the sums of
/// each, which end in the last level.
fn meet<B: Blocks>(
    arithmetic: &B,
    (weights, rows): (&[[f32; PACKED_ROWS]], usize),
    (x, panel): (&FloatTokens<'_>, &Range<usize>),
    sums: &mut [Sums],
) {
    for (turn, lane) in FOLD_ORDER.into_iter().enumerate() {
        let (start, cols) = (lane_start(x.cols, lane), lane_cols(x.cols, lane));
        let (weights, tokens) = (&weights[start..][..cols], x.packed_lane(panel, lane));
        // Lanes without columns are folded, too.
        for chunk in even_parts(cols, CHUNK).chain((cols == 0).then_some(0..0)) {
            for range in blocks(panel.len()) {
                let x = &tokens[cols * range.start..][chunk.start * range.len()..];
                let lane = Lane {
                    weights: &weights[chunk.clone()],
                    x: &x[..chunk.len() * range.len()],
                    rows,
                    is_first: chunk.start == 0,
                    is_last: chunk.end == cols,
                    level: turn.trailing_ones() as usize,
                };
                arithmetic.add(&lane, &mut sums[range]);
            }
        }
    }
}

/// Rows as bytes in the order of this machine, which is that of files.
struct Matrix<'a> {
    format: Format,
    bytes: &'a [u8],
    rows: usize,
    cols: usize,
    row_bytes: usize,
    /// Whether they come from memory rather than from a cache.
    is_file: bool,
}

impl<'a> Matrix<'a> {
    fn new(rows: &FloatRows<'a>) -> Matrix<'a> {
        let (format, bytes, is_file) = match rows.weights {
            Weights::Values(values) => (Format::F32, as_bytes(values), false),
            Weights::F32(bytes) => (Format::F32, bytes, true),
            Weights::F16(bytes) => (Format::F16, bytes, true),
            Weights::Bf16(bytes) => (Format::Bf16, bytes, true),
        };
        let row_bytes = rows.cols * format.block_bytes();
        Matrix { format, bytes, rows: rows.rows(), cols: rows.cols, row_bytes, is_file }
    }

    /// `N` rows from `first` on. Where there are fewer, the last stands in for the others.
    fn block<const N: usize>(&self, first: usize) -> [&'a [u8]; N] {
        let mut rows = [&self.bytes[..0]; N];
        for (i, row) in rows.iter_mut().enumerate() {
            let at = (first + i).min(self.rows - 1) * self.row_bytes;
            *row = &self.bytes[at..at + self.row_bytes];
        }
        rows
    }

    /// Where row `first` begins, if it is there and comes from memory.
    fn bytes_from(&self, first: usize) -> Option<*const u8> {
        let bytes = self.bytes.get(first * self.row_bytes..).filter(|bytes| !bytes.is_empty());
        bytes.filter(|_| self.is_file).map(<[u8]>::as_ptr)
    }
}

/// The bytes of floats; x86-64 is little endian, as files are.
fn as_bytes(values: &[f32]) -> &[u8] {
    // SAFETY: the same memory, of which every byte is initialised; bytes may lie anywhere.
    unsafe { std::slice::from_raw_parts(values.as_ptr().cast(), size_of_val(values)) }
}
