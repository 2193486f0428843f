//! A matrix as a file stores it: rows in eight bits, rows of floats, or rows to be widened.

use gptoss_checkpoint::{ExpertLayout, Experts, Matrix};
use gptoss_kernels::int8::{BlockLayout, TILE_ROWS, TileRows};
use gptoss_kernels::{Format, Isa, bf16_to_f32, dequantize_row, f16_to_f32, mxfp4};

/// A matrix `[rows, cols]`.
#[derive(Clone, Copy)]
pub(crate) enum Weight<'a> {
    /// One that every token meets.
    Dense(&'a Matrix),
    /// The same, always times f32: a choice hangs on its results.
    Precise(&'a Matrix),
    /// That of one expert.
    Expert(&'a Experts, usize),
}

impl<'a> Weight<'a> {
    pub(crate) fn rows(&self) -> usize {
        match self {
            Weight::Dense(matrix) | Weight::Precise(matrix) => matrix.rows,
            Weight::Expert(experts, _) => experts.rows,
        }
    }

    pub(crate) fn cols(&self) -> usize {
        match self {
            Weight::Dense(matrix) | Weight::Precise(matrix) => matrix.cols,
            Weight::Expert(experts, _) => experts.cols,
        }
    }

    /// Bytes in the file.
    pub(crate) fn bytes(&self) -> usize {
        match self {
            Weight::Dense(matrix) | Weight::Precise(matrix) => matrix.data.len(),
            Weight::Expert(experts, _) => match &experts.layout {
                ExpertLayout::Mxfp4 { blocks, scales } => blocks.len() + scales.len(),
                ExpertLayout::Rows(matrix) => matrix.data.len(),
                ExpertLayout::GateAndUp { gate, up } => gate.data.len() + up.data.len(),
                ExpertLayout::Transposed { data, .. } => data.len(),
                _ => 0,
            }
            .checked_div(experts.experts)
            .unwrap_or(0),
        }
    }

    /// The layout of its blocks, if the eight-bit kernels read it.
    pub(crate) fn int8_layout(&self) -> Option<BlockLayout> {
        match self {
            Weight::Dense(matrix) => BlockLayout::of(matrix.format),
            Weight::Precise(_) => None,
            Weight::Expert(experts, _) => match &experts.layout {
                ExpertLayout::Mxfp4 { .. } => Some(BlockLayout::Mxfp4),
                ExpertLayout::Rows(matrix) => BlockLayout::of(matrix.format),
                ExpertLayout::GateAndUp { gate, up } if gate.format == up.format => {
                    BlockLayout::of(gate.format)
                }
                _ => None,
            },
        }
    }

    /// The rows from `first` on, if they lie one after the other as plain floats.
    pub(crate) fn floats(&self, first: usize, rows: usize) -> Option<(Format, &'a [u8])> {
        match self {
            Weight::Dense(matrix) | Weight::Precise(matrix) => plain_rows(matrix, first, rows),
            Weight::Expert(experts, expert) => match &experts.layout {
                ExpertLayout::Rows(matrix) => {
                    plain_rows(matrix, expert * experts.rows + first, rows)
                }
                _ => None,
            },
        }
    }

    /// Half of the `rows` rows from `first` on, the even ones, and the other half, if each lies
    /// one after the other as plain floats; both numbers are even.
    pub(crate) fn float_halves(
        &self,
        first: usize,
        rows: usize,
    ) -> Option<[(Format, &'a [u8]); 2]> {
        let Weight::Expert(experts, expert) = self else { return None };
        let ExpertLayout::GateAndUp { gate, up } = &experts.layout else { return None };
        let first = (expert * experts.rows + first) / 2;
        Some([plain_rows(gate, first, rows / 2)?, plain_rows(up, first, rows / 2)?])
    }

    /// The tile of 16 rows from `first` on. Blocks are in `layout`, from
    /// [`Weight::int8_layout`]; all 16 rows are there.
    pub(crate) fn tile(&self, layout: BlockLayout, first: usize) -> TileRows<'a> {
        let blocks = self.cols() / gptoss_kernels::int8::BLOCK;
        let (codes, scales) = (blocks * layout.code_stride(), blocks * layout.scale_stride());
        let neighbours = |data: &'a [u8], first: usize, bytes: usize| {
            [&data[first * bytes..(first + TILE_ROWS) * bytes], &[]]
        };
        let whole = |[data, _]: [&'a [u8]; 2], bytes: usize| [data, &data[bytes..]];
        match self {
            Weight::Dense(matrix) | Weight::Precise(matrix) => {
                let ahead = neighbours(&matrix.data, first, codes);
                let rows = whole(ahead, codes);
                let stride = 2 * codes;
                tile_of(layout, blocks, [(rows, stride), (rows, stride)], ahead)
            }
            Weight::Expert(experts, expert) => match &experts.layout {
                ExpertLayout::Mxfp4 { blocks: data, scales: exponents } => {
                    let first = expert * experts.rows + first;
                    let ahead = [
                        neighbours(data, first, codes)[0],
                        neighbours(exponents, first, scales)[0],
                    ];
                    let codes = (whole([ahead[0], &[]], codes), 2 * codes);
                    let scales = (whole([ahead[1], &[]], scales), 2 * scales);
                    tile_of(layout, blocks, [codes, scales], ahead)
                }
                ExpertLayout::Rows(matrix) => {
                    let whole = Weight::Dense(matrix);
                    whole.tile(layout, expert * experts.rows + first)
                }
                ExpertLayout::GateAndUp { gate, up } => {
                    // Every expert has an even number of rows, so the halves of all line up.
                    let half = (expert * experts.rows + first) / 2;
                    let range = half * codes..(half + TILE_ROWS / 2) * codes;
                    let rows = [&gate.data[range.clone()], &up.data[range]];
                    tile_of(layout, blocks, [(rows, codes), (rows, codes)], rows)
                }
                _ => unreachable!("transposed experts have no blocks"),
            },
        }
    }

    /// As [`Weight::tile`], at the end of a matrix that has less than 16 rows from `first` on:
    /// they are copied to `room`, with zeros after them.
    pub(crate) fn padded_tile<'b>(
        &self,
        layout: BlockLayout,
        first: usize,
        room: &'b mut Vec<u8>,
    ) -> TileRows<'b> {
        let blocks = self.cols() / gptoss_kernels::int8::BLOCK;
        let (codes, scales) = (blocks * layout.code_stride(), blocks * layout.scale_stride());
        room.clear();
        room.resize(TILE_ROWS * (codes + scales), 0);
        let (code_rows, scale_rows) = room.split_at_mut(TILE_ROWS * codes);
        for r in first..self.rows() {
            let (row, at) = (self.stored_row(layout, r), r - first);
            code_rows[at * codes..(at + 1) * codes].copy_from_slice(row[0]);
            scale_rows[at * scales..(at + 1) * scales].copy_from_slice(row[1]);
        }
        let room = &room[..];
        let (code_rows, scale_rows) = room.split_at(TILE_ROWS * codes);
        let codes = ([code_rows, &code_rows[codes..]], 2 * codes);
        let scales = ([scale_rows, &scale_rows[scales..]], 2 * scales);
        tile_of(layout, blocks, [codes, scales], [&[], &[]])
    }

    /// Codes and scales of row `r`; in GGUF layouts both are the whole row.
    fn stored_row(&self, layout: BlockLayout, r: usize) -> [&'a [u8]; 2] {
        let blocks = self.cols() / gptoss_kernels::int8::BLOCK;
        let (codes, scales) = (blocks * layout.code_stride(), blocks * layout.scale_stride());
        let row = |data: &'a [u8], r: usize, bytes: usize| &data[r * bytes..(r + 1) * bytes];
        match self {
            Weight::Dense(matrix) | Weight::Precise(matrix) => [row(&matrix.data, r, codes); 2],
            Weight::Expert(experts, expert) => {
                let r = expert * experts.rows + r;
                match &experts.layout {
                    ExpertLayout::Mxfp4 { blocks, scales: exponents } => {
                        [row(blocks, r, codes), row(exponents, r, scales)]
                    }
                    ExpertLayout::Rows(matrix) => [row(&matrix.data, r, codes); 2],
                    ExpertLayout::GateAndUp { gate, up } => {
                        [row(if r.is_multiple_of(2) { &gate.data } else { &up.data }, r / 2, codes);
                            2]
                    }
                    _ => unreachable!("transposed experts have no blocks"),
                }
            }
        }
    }

    /// Rows that are best widened together: columns of a transposed matrix are read in cache lines.
    pub(crate) fn widened_at_once(&self) -> usize {
        match self {
            Weight::Expert(Experts { layout: ExpertLayout::Transposed { .. }, .. }, _) => 32,
            _ => 8,
        }
    }

    /// Widens the rows from `first` on, as many as `out` (`[rows, cols]`) has room for.
    pub(crate) fn widen(&self, isa: Isa, first: usize, out: &mut [f32]) {
        match self {
            Weight::Dense(matrix) | Weight::Precise(matrix) => {
                for (i, out) in out.chunks_exact_mut(matrix.cols).enumerate() {
                    matrix_row(isa, matrix, first + i, out);
                }
            }
            Weight::Expert(experts, expert) => expert_rows(isa, experts, *expert, first, out),
        }
    }
}

/// Rows of a matrix of plain floats.
fn plain_rows(matrix: &Matrix, first: usize, rows: usize) -> Option<(Format, &[u8])> {
    match matrix.format {
        Format::F32 | Format::F16 | Format::Bf16 => {
            let bytes = matrix.cols * matrix.format.block_bytes();
            Some((matrix.format, &matrix.data[first * bytes..(first + rows) * bytes]))
        }
        _ => None,
    }
}

/// A tile from its codes and scales, each with the bytes from a row to the next but one.
fn tile_of<'a>(
    layout: BlockLayout,
    blocks: usize,
    [codes, scales]: [([&'a [u8]; 2], usize); 2],
    ahead: [&'a [u8]; 2],
) -> TileRows<'a> {
    TileRows {
        layout,
        blocks,
        codes: codes.0,
        code_stride: codes.1,
        scales: scales.0,
        scale_stride: scales.1,
        ahead,
    }
}

/// Widens row `r` of a matrix.
pub(crate) fn matrix_row(isa: Isa, matrix: &Matrix, r: usize, out: &mut [f32]) {
    let bytes = matrix.format.row_bytes(matrix.cols).expect("rows are checked when opened");
    dequantize_row(isa, matrix.format, &matrix.data[r * bytes..(r + 1) * bytes], out);
}

/// Widens the rows of an expert from `first` on, as many as `out` (`[rows, cols]`) has room for.
pub(crate) fn expert_rows(
    isa: Isa,
    experts: &Experts,
    expert: usize,
    first: usize,
    out: &mut [f32],
) {
    let (rows, cols) = (experts.rows, experts.cols);
    match &experts.layout {
        ExpertLayout::Transposed { format, data } => {
            let bytes = format.block_bytes();
            let matrix = &data[expert * cols * rows * bytes..(expert + 1) * cols * rows * bytes];
            transposed_rows(*format, matrix, [rows, cols], first, out);
        }
        layout => {
            for (i, out) in out.chunks_exact_mut(cols).enumerate() {
                expert_row(isa, layout, expert * rows + first + i, cols, out);
            }
        }
    }
}

/// Widens row `r` of all experts' rows laid end to end.
fn expert_row(isa: Isa, layout: &ExpertLayout, r: usize, cols: usize, out: &mut [f32]) {
    match layout {
        ExpertLayout::Mxfp4 { blocks, scales } => {
            let groups = cols / mxfp4::BLOCK_ELEMENTS;
            let codes = groups * mxfp4::BLOCK_BYTES;
            let blocks = &blocks[r * codes..(r + 1) * codes];
            mxfp4::dequantize_row(isa, blocks, &scales[r * groups..(r + 1) * groups], out);
        }
        ExpertLayout::Rows(matrix) => matrix_row(isa, matrix, r, out),
        // Every expert has an even number of rows, so the halves of all experts line up.
        ExpertLayout::GateAndUp { gate, .. } if r.is_multiple_of(2) => {
            matrix_row(isa, gate, r / 2, out)
        }
        ExpertLayout::GateAndUp { up, .. } => matrix_row(isa, up, r / 2, out),
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
