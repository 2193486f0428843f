//! Rows of float weights times activations in f32, for any number of tokens.
//!
//! A row and a token meet in sixteen partial sums. Element `k` goes to lane `k mod 16`,
//!
//! ```text
//! lane = fma(w[k], x[k], lane)      k = 0, 1, 2, …
//! ```
//!
//! from 0 on, and the lanes are folded as everywhere: `i + 8`, `i + 4`, `i + 2`, `i + 1`
//! (`docs/numerics.md`). So a result depends on its row and its token only, and every instruction
//! set gives the same bits.
//!
//! Reading order: this file (what is computed), `packed` (activations of many tokens), `schedule`
//! (which rows meet which tokens when), `avx512` and `avx2` (blocks of both in registers).

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod packed;
#[cfg(target_arch = "x86_64")]
mod schedule;
#[cfg(test)]
mod tests;

use std::ops::Range;

use crate::dot::{LANES, reduce};
use crate::isa::{Isa, Level};
use crate::{Format, bf16_to_f32, f16_to_f32};

/// Whole rows of weights in a format that has one number for each element.
#[derive(Clone, Copy, Debug)]
pub struct FloatRows<'a> {
    weights: Weights<'a>,
    cols: usize,
}

/// Where the numbers are.
#[derive(Clone, Copy, Debug)]
enum Weights<'a> {
    /// In memory.
    Values(&'a [f32]),
    /// As in a file: little endian, at any address.
    F32(&'a [u8]),
    F16(&'a [u8]),
    Bf16(&'a [u8]),
}

impl<'a> FloatRows<'a> {
    /// Rows of `cols` elements as a file stores them; `None` if `format` has blocks.
    ///
    /// # Panics
    /// If `cols` is 0 or `bytes` are not whole rows; shapes are checked when a model is opened,
    /// so that is a bug, not a user's mistake.
    pub fn stored(format: Format, bytes: &'a [u8], cols: usize) -> Option<FloatRows<'a>> {
        let weights = match format {
            Format::F32 => Weights::F32(bytes),
            Format::F16 => Weights::F16(bytes),
            Format::Bf16 => Weights::Bf16(bytes),
            _ => return None,
        };
        let row_bytes = format.row_bytes(cols).expect("a slice has fewer bytes than overflow");
        assert!(cols > 0 && bytes.len().is_multiple_of(row_bytes), "float rows: whole rows");
        Some(FloatRows { weights, cols })
    }

    /// Rows of `cols` elements in memory, such as [`dequantize_row`](crate::dequantize_row) makes.
    ///
    /// # Panics
    /// If `cols` is 0 or `values` are not whole rows.
    pub fn values(values: &'a [f32], cols: usize) -> FloatRows<'a> {
        assert!(cols > 0 && values.len().is_multiple_of(cols), "float rows: whole rows");
        FloatRows { weights: Weights::Values(values), cols }
    }

    /// How many rows there are.
    pub fn rows(&self) -> usize {
        let elements = match self.weights {
            Weights::Values(values) => values.len(),
            Weights::F32(bytes) => bytes.len() / 4,
            Weights::F16(bytes) | Weights::Bf16(bytes) => bytes.len() / 2,
        };
        elements / self.cols
    }

    /// The weight at place `i` of all rows laid end to end.
    fn weight(&self, i: usize) -> f32 {
        match self.weights {
            Weights::Values(values) => values[i],
            Weights::F32(bytes) => f32::from_le_bytes(bytes.as_chunks().0[i]),
            Weights::F16(bytes) => f16_to_f32(u16::from_le_bytes(bytes.as_chunks().0[i])),
            Weights::Bf16(bytes) => bf16_to_f32(u16::from_le_bytes(bytes.as_chunks().0[i])),
        }
    }
}

/// Activations of all tokens of a product.
#[derive(Clone, Copy, Debug)]
pub struct FloatTokens<'a> {
    isa: Isa,
    /// `[T, cols]`
    x: &'a [f32],
    cols: usize,
    /// The same numbers in the order of [`packed`], where that is used.
    packed: &'a [f32],
}

impl<'a> FloatTokens<'a> {
    /// The tokens `x` (`[T, cols]`) for products on `isa`; many tokens are put into another order
    /// in `packed`, which has [`FloatTokens::packed_len`] elements or more.
    ///
    /// This is done once for a matrix; parts of the matrix then share the tokens.
    ///
    /// # Panics
    /// If `cols` is 0, `x` is not whole tokens, or `packed` is too short.
    pub fn new(isa: Isa, x: &'a [f32], cols: usize, packed: &'a mut [f32]) -> FloatTokens<'a> {
        assert!(cols > 0 && x.len().is_multiple_of(cols), "float tokens: whole tokens");
        Self::pack(isa, x, cols, packed);
        Self::packed(isa, x, cols, packed)
    }

    /// Puts the tokens `x` into the order of many tokens, for [`FloatTokens::packed`].
    ///
    /// # Panics
    /// As [`FloatTokens::new`].
    pub fn pack(isa: Isa, x: &[f32], cols: usize, packed: &mut [f32]) {
        assert!(cols > 0 && x.len().is_multiple_of(cols), "float tokens: whole tokens");
        for panel in Self::panels(isa, x.len() / cols) {
            let elements = panel.start * cols..panel.end * cols;
            Self::pack_panel(&x[elements.clone()], cols, &mut packed[elements]);
        }
    }

    /// Parts of tokens that can be packed apart from each other, by [`FloatTokens::pack_panel`];
    /// none where tokens are left in their order.
    pub fn panels(isa: Isa, tokens: usize) -> impl Iterator<Item = Range<usize>> {
        packed::panels(if tokens >= packed::many_tokens(isa) { tokens } else { 0 })
    }

    /// Puts the tokens `x` of one of [`FloatTokens::panels`] into their order.
    ///
    /// # Panics
    /// If `cols` is 0, `x` is not whole tokens, or `packed` is not as long.
    pub fn pack_panel(x: &[f32], cols: usize, packed: &mut [f32]) {
        assert!(cols > 0 && x.len().is_multiple_of(cols), "float tokens: whole tokens");
        assert_eq!(packed.len(), x.len(), "float tokens: room of a panel");
        packed::pack_panel(x, cols, packed);
    }

    /// The tokens `x`, which [`FloatTokens::pack`] has put into `packed`.
    ///
    /// # Panics
    /// As [`FloatTokens::new`].
    pub fn packed(isa: Isa, x: &'a [f32], cols: usize, packed: &'a [f32]) -> FloatTokens<'a> {
        assert!(cols > 0 && x.len().is_multiple_of(cols), "float tokens: whole tokens");
        let packed = &packed[..Self::packed_len(isa, x.len() / cols, cols)];
        FloatTokens { isa, x, cols, packed }
    }

    /// Elements that [`FloatTokens::new`] needs beside the tokens; 0 where it leaves their order.
    pub const fn packed_len(isa: Isa, tokens: usize, cols: usize) -> usize {
        if tokens >= packed::many_tokens(isa) { tokens * cols } else { 0 }
    }

    /// Elements of scratch that [`float_rows`] needs, whatever the number of rows.
    pub const fn scratch_len(&self) -> usize {
        match self.packed.is_empty() {
            #[cfg(target_arch = "x86_64")]
            false => schedule::scratch_len(self.tokens(), self.cols),
            _ => 0,
        }
    }

    /// Whether they are as many as are put into another order; then many rows are best given at
    /// once.
    pub const fn are_many(&self) -> bool {
        !self.packed.is_empty()
    }

    /// How many tokens there are.
    pub const fn tokens(&self) -> usize {
        self.x.len() / self.cols
    }

    /// One lane of a panel of packed tokens: its blocks one after the other.
    #[cfg(target_arch = "x86_64")]
    fn packed_lane(&self, panel: &Range<usize>, lane: usize) -> &[f32] {
        let tokens = &self.packed[panel.start * self.cols..panel.end * self.cols];
        let (start, n) = (packed::lane_start(self.cols, lane), panel.len());
        &tokens[start * n..][..packed::lane_cols(self.cols, lane) * n]
    }
}

/// Writes `out[t · out_stride + r] = row r · token t`.
///
/// | argument  | shape               | meaning                                            |
/// |-----------|---------------------|----------------------------------------------------|
/// | `rows`    | `[rows, cols]`      | weights                                            |
/// | `x`       | `[T, cols]`         | activations                                        |
/// | `scratch` | `scratch_len()` or more | anything                                       |
/// | `out`     | `[T, out_stride]`   | the first `rows` of each token are written         |
///
/// `out` may end behind the last token's rows. The error is at most about (cols/16 + 4)·2⁻²⁴ times
/// the sum of |wᵢ·xᵢ|.
///
/// A call takes rows in blocks of 4, for many tokens of 64: a matrix is best cut into few calls, at
/// multiples of 64 rows.
///
/// # Panics
/// If `rows` and `x` have not as many columns, `out_stride` is less than the rows, or `scratch` or
/// `out` is too short.
pub fn float_rows(
    rows: FloatRows<'_>,
    x: FloatTokens<'_>,
    scratch: &mut [f32],
    out: &mut [f32],
    out_stride: usize,
) {
    assert_eq!(rows.cols, x.cols, "float_rows: columns");
    let (tokens, n) = (x.tokens(), rows.rows());
    if tokens == 0 || n == 0 {
        return;
    }
    assert!(scratch.len() >= x.scratch_len(), "float_rows: scratch");
    assert!(out_stride >= n, "float_rows: a stride of {out_stride} for {n} rows");
    assert!(out.len() >= (tokens - 1) * out_stride + n, "float_rows: out");
    match x.isa.level() {
        Level::Portable => portable(rows, x.x, out, out_stride),
        #[cfg(target_arch = "x86_64")]
        Level::Avx2 => {
            let blocks = avx2::Avx2::new(x.isa).expect("the level was matched");
            schedule::run(&blocks, rows, &x, scratch, (out, out_stride));
        }
        #[cfg(target_arch = "x86_64")]
        Level::Avx512 => {
            let blocks = avx512::Avx512::new(x.isa).expect("the level was matched");
            schedule::run(&blocks, rows, &x, scratch, (out, out_stride));
        }
    }
}

/// The definition.
fn portable(rows: FloatRows<'_>, x: &[f32], out: &mut [f32], out_stride: usize) {
    for r in 0..rows.rows() {
        for (t, x) in x.chunks_exact(rows.cols).enumerate() {
            let mut lanes = [0.0; LANES];
            for (k, &x) in x.iter().enumerate() {
                let lane = &mut lanes[k % LANES];
                *lane = rows.weight(r * rows.cols + k).mul_add(x, *lane);
            }
            out[t * out_stride + r] = reduce(lanes);
        }
    }
}
