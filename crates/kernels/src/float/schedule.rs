//! Which rows meet which tokens, and when.
//!
//! Few tokens: four rows at a time are read from the first column to the last, widened in
//! registers, while the four rows behind them are prefetched. At one token this is a linear read
//! of the matrix. Vectors are the lanes of one sum.
//!
//! Many tokens: a piece of 48 rows is widened and turned round in memory, so that vectors are one
//! lane of many sums; all tokens of a panel meet it lane by lane, and their sums wait in memory for
//! the next piece. What is used again and again stays in the second cache, one lane of a piece in
//! the first, and each number of a token is loaded once for 48 multiplications.

use std::arch::x86_64::{__m128, _MM_HINT_T1, _mm_prefetch, _mm_storeu_ps};
use std::ops::Range;

use super::packed::{TOKENS_MAX, even_parts, lane_cols, lane_start, token_blocks};
use super::{FloatRows, FloatTokens, Weights};
use crate::Format;
use crate::dot::LANES;

/// Rows of a block that meets few tokens.
pub(super) const ROWS: usize = 4;
/// Rows of a block that meets many tokens.
pub(super) const PACKED_ROWS: usize = 48;
/// Columns of a piece for each lane: a piece of 48 rows is at most 144 KiB, a lane 9 KiB.
const PIECE_STEPS: usize = 48;
/// Blocks of tokens whose sums are in memory together: for 96 tokens and 48 rows 288 KiB.
const PANEL_BLOCKS: usize = 12;

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

/// A piece of rows that many tokens meet: `PACKED_ROWS` rows of `cols` columns, the first of which
/// is a multiple of 16.
pub(super) struct Piece<'a> {
    pub format: Format,
    pub rows: [&'a [u8]; PACKED_ROWS],
    pub cols: usize,
}

/// One lane of a piece.
pub(super) struct Lane<'a> {
    /// `[columns, PACKED_ROWS]`
    pub weights: &'a [[f32; PACKED_ROWS]],
    /// `[columns, tokens]`
    pub x: &'a [f32],
    /// Rows that are there; what is computed for others is never read.
    pub rows: usize,
    /// Whether sums begin here with 0.
    pub is_first: bool,
}

/// The arithmetic of an instruction set.
pub(super) trait Blocks {
    /// Tokens of the largest block of [`multiply`](Blocks::multiply).
    const TOKENS: usize;

    /// Writes the products of a block with at most `TOKENS` tokens.
    fn multiply(&self, block: Block<'_>, tokens: Tokens<'_>, out: Out<'_>);

    /// Widens a piece into `[lane, columns of the lane, PACKED_ROWS]`.
    fn pack(&self, piece: &Piece<'_>, packed: &mut [[f32; PACKED_ROWS]]);

    /// Adds the products of a lane to a sum for each of its tokens.
    fn add(&self, lane: &Lane<'_>, sums: &mut [[f32; PACKED_ROWS]]);

    /// The folded sums of a token.
    fn fold(&self, lanes: [&[f32; PACKED_ROWS]; LANES]) -> [f32; PACKED_ROWS];
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
pub(super) const fn scratch_len(tokens: usize) -> usize {
    (PIECE_STEPS * LANES + LANES * panel_tokens(tokens)) * PACKED_ROWS + LINE_FLOATS
}

/// Tokens whose sums are in memory together, at most.
const fn panel_tokens(tokens: usize) -> usize {
    let most = PANEL_BLOCKS * TOKENS_MAX;
    if tokens < most { tokens } else { most }
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
        let rows = matrix.block(first, &(0..cols));
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
    let (packed, sums) = scratch.split_at_mut(PIECE_STEPS * LANES);
    for blocks_of_panel in even_parts(token_blocks(x.tokens()).count(), PANEL_BLOCKS) {
        let panel = Panel { x, blocks: blocks_of_panel };
        let tokens = panel.tokens();
        for first in (0..matrix.rows).step_by(PACKED_ROWS) {
            for cols in pieces(matrix.cols) {
                let raw = matrix.block(first, &cols);
                let piece = Piece { format: matrix.format, rows: raw, cols: cols.len() };
                blocks.pack(&piece, packed);
                let next = matrix.piece_after(first, &cols);
                panel.add_piece(blocks, (packed, sums), cols, matrix.rows - first, next);
            }
            let n = PACKED_ROWS.min(matrix.rows - first);
            for (i, t) in tokens.clone().enumerate() {
                let mut lanes = [&[0.0; PACKED_ROWS]; LANES];
                for (lane, sums) in lanes.iter_mut().zip(sums.chunks_exact(tokens.len())) {
                    *lane = &sums[i];
                }
                let results = blocks.fold(lanes);
                out[t * stride + first..][..n].copy_from_slice(&results[..n]);
            }
        }
    }
}

/// Columns of pieces of about equal size, each from a multiple of 16 on.
fn pieces(cols: usize) -> impl Iterator<Item = Range<usize>> {
    even_parts(cols.div_ceil(LANES), PIECE_STEPS)
        .map(move |steps| steps.start * LANES..cols.min(steps.end * LANES))
}

/// Tokens that meet a piece: up to [`PANEL_BLOCKS`] blocks.
struct Panel<'a> {
    x: &'a FloatTokens<'a>,
    blocks: Range<usize>,
}

impl Panel<'_> {
    fn blocks(&self) -> impl Iterator<Item = Range<usize>> {
        token_blocks(self.x.tokens()).skip(self.blocks.start).take(self.blocks.len())
    }

    fn tokens(&self) -> Range<usize> {
        self.blocks().reduce(|all, block| all.start..block.end).unwrap_or(0..0)
    }

    /// Adds the products of the packed columns `cols` to the sums (`[16 lanes, tokens]`), and
    /// prefetches the rows `next` meanwhile.
    fn add_piece<B: Blocks>(
        &self,
        blocks: &B,
        (packed, sums): (&[[f32; PACKED_ROWS]], &mut [[f32; PACKED_ROWS]]),
        cols: Range<usize>,
        rows: usize,
        next: [&[u8]; PACKED_ROWS],
    ) {
        let tokens = self.tokens();
        let rows_of_a_lane = next.chunks_exact(PACKED_ROWS / LANES);
        let sums = sums.chunks_exact_mut(tokens.len());
        for (lane, (sums, next)) in sums.take(LANES).zip(rows_of_a_lane).enumerate() {
            next.iter().for_each(|row| prefetch(row));
            let n = lane_cols(cols.len(), lane);
            let weights = &packed[lane_start(cols.len(), lane)..][..n];
            for range in self.blocks() {
                let x = self.x.packed_lane(&range, lane);
                let x = &x[cols.start / LANES * range.len()..][..n * range.len()];
                let sums = &mut sums[range.start - tokens.start..range.end - tokens.start];
                blocks.add(&Lane { weights, x, rows, is_first: cols.start == 0 }, sums);
            }
        }
    }
}

/// Asks for the bytes of a row to be in the second cache soon.
fn prefetch(row: &[u8]) {
    for line in row.chunks(LINE_FLOATS * 4) {
        // SAFETY: SSE is part of every x86-64 CPU, and the address is that of a slice.
        unsafe { _mm_prefetch::<_MM_HINT_T1>(line.as_ptr().cast()) };
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

    /// The columns `cols` of `N` rows from `first` on. Where there are fewer rows, the last stands
    /// in for the others.
    fn block<const N: usize>(&self, first: usize, cols: &Range<usize>) -> [&'a [u8]; N] {
        let size = self.format.block_bytes();
        let mut rows = [&self.bytes[..0]; N];
        for (i, row) in rows.iter_mut().enumerate() {
            let at = (first + i).min(self.rows - 1) * self.row_bytes;
            *row = &self.bytes[at + cols.start * size..at + cols.end * size];
        }
        rows
    }

    /// The piece behind the columns `cols` of the rows from `first` on; empty rows if there is
    /// none that comes from memory.
    fn piece_after(&self, first: usize, cols: &Range<usize>) -> [&'a [u8]; PACKED_ROWS] {
        let next = pieces(self.cols).find(|piece| piece.start >= cols.end);
        let (first, cols) = match next {
            Some(next) => (first, next),
            None => (first + PACKED_ROWS, pieces(self.cols).next().unwrap_or(0..0)),
        };
        if self.is_file && first < self.rows {
            self.block(first, &cols)
        } else {
            [&[]; PACKED_ROWS]
        }
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
