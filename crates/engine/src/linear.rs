//! Matrices times activations, whatever the file's format.
//!
//! A row of weights is widened to f32 once and multiplied with every token, so a token's result
//! does not depend on how many tokens are computed together.

use gptoss_checkpoint::{ExpertLayout, Experts, Matrix};
use gptoss_kernels::{Format, bf16_to_f32, dequantize_row, dot, f16_to_f32, mxfp4};

/// Columns of a transposed matrix that are read together.
const TILE: usize = 16;

/// `out[t, r] = matrix[r]·x[t] + bias[r]`.
///
/// | argument | shape         |
/// |----------|---------------|
/// | `x`      | `[T, cols]`   |
/// | `bias`   | `[rows]` or empty |
/// | `out`    | `[T, rows]`   |
pub(crate) fn linear(matrix: &Matrix, bias: &[f32], x: &[f32], out: &mut [f32]) {
    let mut row = vec![0.0; matrix.cols];
    for r in 0..matrix.rows {
        matrix_row(matrix, r, &mut row);
        let bias = bias.get(r).copied().unwrap_or(0.0);
        multiply_row(&row, r, matrix.rows, bias, x, out);
    }
}

/// As [`linear`], with the matrix of one expert.
pub(crate) fn expert_linear(
    experts: &Experts,
    expert: usize,
    bias: &[f32],
    x: &[f32],
    out: &mut [f32],
) {
    let mut tile = vec![0.0; experts.cols * TILE];
    for first in (0..experts.rows).step_by(TILE) {
        let rows = TILE.min(experts.rows - first);
        let tile = &mut tile[..rows * experts.cols];
        expert_rows(experts, expert, first, tile);
        for (i, row) in tile.chunks_exact(experts.cols).enumerate() {
            multiply_row(row, first + i, experts.rows, bias[first + i], x, out);
        }
    }
}

/// Widens row `r` of a matrix.
pub(crate) fn matrix_row(matrix: &Matrix, r: usize, out: &mut [f32]) {
    let bytes = matrix.format.row_bytes(matrix.cols).expect("rows are checked when opened");
    dequantize_row(matrix.format, &matrix.data[r * bytes..(r + 1) * bytes], out);
}

/// Widens the rows of an expert from `first` on, as many as `out` (`[rows, cols]`) has room for.
pub(crate) fn expert_rows(experts: &Experts, expert: usize, first: usize, out: &mut [f32]) {
    let (rows, cols) = (experts.rows, experts.cols);
    match &experts.layout {
        ExpertLayout::Transposed { format, data } => {
            let bytes = format.block_bytes();
            let matrix = &data[expert * cols * rows * bytes..(expert + 1) * cols * rows * bytes];
            transposed_rows(*format, matrix, [rows, cols], first, out);
        }
        layout => {
            for (i, out) in out.chunks_exact_mut(cols).enumerate() {
                expert_row(layout, expert * rows + first + i, cols, out);
            }
        }
    }
}

/// Widens row `r` of all experts' rows laid end to end.
fn expert_row(layout: &ExpertLayout, r: usize, cols: usize, out: &mut [f32]) {
    match layout {
        ExpertLayout::Mxfp4 { blocks, scales } => {
            let groups = cols / mxfp4::BLOCK_ELEMENTS;
            let codes = groups * mxfp4::BLOCK_BYTES;
            let blocks = &blocks[r * codes..(r + 1) * codes];
            mxfp4::dequantize_row(blocks, &scales[r * groups..(r + 1) * groups], out);
        }
        ExpertLayout::Rows(matrix) => matrix_row(matrix, r, out),
        // Every expert has an even number of rows, so the halves of all experts line up.
        ExpertLayout::GateAndUp { gate, .. } if r.is_multiple_of(2) => matrix_row(gate, r / 2, out),
        ExpertLayout::GateAndUp { up, .. } => matrix_row(up, r / 2, out),
        _ => unreachable!("transposed experts are read by columns"),
    }
}

/// Reads columns of `matrix` (`[cols, rows]` in a plain format) as rows.
fn transposed_rows(
    format: Format,
    matrix: &[u8],
    [rows, cols]: [usize; 2],
    first: usize,
    out: &mut [f32],
) {
    let size = format.block_bytes();
    let value = |bytes: &[u8]| match format {
        Format::F16 => f16_to_f32(u16::from_le_bytes([bytes[0], bytes[1]])),
        Format::Bf16 => bf16_to_f32(u16::from_le_bytes([bytes[0], bytes[1]])),
        _ => f32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]),
    };
    let wanted = out.len() / cols;
    for (c, column) in matrix.chunks_exact(rows * size).enumerate() {
        let column = &column[first * size..(first + wanted) * size];
        for (i, bytes) in column.chunks_exact(size).enumerate() {
            out[i * cols + c] = value(bytes);
        }
    }
}

/// One row against every token.
fn multiply_row(row: &[f32], r: usize, rows: usize, bias: f32, x: &[f32], out: &mut [f32]) {
    for (x, out) in x.chunks_exact(row.len()).zip(out.chunks_exact_mut(rows)) {
        out[r] = dot(row, x) + bias;
    }
}
