//! Some rows of a matrix times some tokens.

use std::cell::RefCell;
use std::ops::Range;

use gptoss_kernels::{silu_gate, swiglu};

use super::{Input, Weight, float, int8};
use crate::compute::Compute;
use crate::profile::Work;

/// Rows of a job, unless a caller has a reason for another number: they fill 4 tiles, whose
/// unpacked codes fit the second cache.
pub(crate) const JOB_ROWS: usize = 64;
/// The most rows of a job.
pub(super) const JOB_ROWS_MAX: usize = 256;

/// What happens to products before they are written.
#[derive(Clone, Copy)]
pub(crate) enum Epilogue {
    /// The bias is added.
    Bias,
    /// The bias is added, then pairs of rows, gate and linear part, become one activation.
    Gate(Gate),
}

/// How gate and linear part become an activation.
#[derive(Clone, Copy)]
pub(crate) enum Gate {
    /// gpt-oss's way; the bound of its inputs.
    SwiGlu(f32),
    /// silu(gate)·linear.
    Silu,
}

/// Rows of a matrix times tokens of an input.
#[derive(Clone)]
pub(crate) struct Job<'a> {
    pub(crate) weight: Weight<'a>,
    /// `[rows]` of the matrix, or empty.
    pub(crate) bias: &'a [f32],
    /// At most 256; a multiple of 16 unless it ends the matrix.
    pub(crate) rows: Range<usize>,
    pub(crate) input: &'a Input,
    /// Tokens of the input.
    pub(crate) tokens: &'a [u32],
    pub(crate) epilogue: Epilogue,
}

impl<'a> Job<'a> {
    /// The jobs of a whole matrix, `rows` rows each.
    pub(crate) fn cut(self, rows: usize) -> impl Iterator<Item = Job<'a>> {
        let range = self.rows.clone();
        range
            .clone()
            .step_by(rows)
            .map(move |first| Job { rows: first..(first + rows).min(range.end), ..self.clone() })
    }

    /// Numbers that it writes for each token.
    pub(crate) fn width(&self) -> usize {
        match self.epilogue {
            Epilogue::Bias => self.rows.len(),
            Epilogue::Gate(_) => self.rows.len() / 2,
        }
    }

    /// The bias of `rows` rows from row `at` of the job on; zeros if the matrix has none.
    pub(super) fn bias_of(&self, at: usize, rows: usize) -> &'a [f32] {
        match self.bias {
            [] => &[0.0; JOB_ROWS_MAX][..rows],
            bias => &bias[self.rows.start + at..][..rows],
        }
    }

    /// Writes the results (`[tokens, rows]`), bias included, to `out`, the job's piece.
    pub(super) fn finish(&self, compute: &Compute, results: &[f32], out: &mut [f32]) {
        match self.epilogue {
            Epilogue::Bias => out.copy_from_slice(results),
            // Pairs of rows are neighbours, so all tokens are one run of pairs.
            Epilogue::Gate(Gate::SwiGlu(limit)) => swiglu(compute.isa, results, limit, out),
            Epilogue::Gate(Gate::Silu) => silu_gate(compute.isa, results, out),
        }
    }
}

/// Room that a thread keeps between jobs.
#[derive(Default)]
pub(super) struct Room {
    pub(super) int8: int8::Room,
    pub(super) float: float::Room,
}

thread_local! {
    static ROOM: RefCell<Room> = RefCell::default();
}

/// Does jobs; `out` becomes their pieces in turn, each `[tokens, width]`.
pub(crate) fn run(compute: &Compute, jobs: &[Job<'_>], out: &mut Vec<f32>) {
    let ends: Vec<usize> = jobs
        .iter()
        .scan(0, |end, job| {
            *end += job.tokens.len() * job.width();
            Some(*end)
        })
        .collect();
    out.resize(ends.last().copied().unwrap_or(0), 0.0);
    compute.pool.pieces_mut(out, &ends, &|i, out| {
        let job = &jobs[i];
        // Jobs are handed out in turn, so this thread's next is probably that many on.
        let next = jobs.get(i + compute.pool.threads());
        ROOM.with_borrow_mut(|room| match compute.int8(job.weight.int8_layout()) {
            Some(layout) => int8::job(compute, layout, job, next, &mut room.int8, out),
            None => float::job(compute, job, &mut room.float, out),
        });
    });
}

/// Bytes and operations of jobs.
pub(crate) fn work(jobs: &[Job<'_>]) -> Work {
    jobs.iter().fold(Work::default(), |work, job| {
        let rows = job.rows.len();
        let bytes = job.weight.bytes() * rows / job.weight.rows();
        let operations = 2 * rows * job.weight.cols() * job.tokens.len();
        Work { bytes: work.bytes + bytes as u64, operations: work.operations + operations as u64 }
    })
}

/// The results of jobs that cover a matrix: one piece of `rows` rows after another.
#[derive(Clone, Copy)]
pub(crate) struct Product<'a> {
    /// `[pieces, tokens, rows of the piece]`
    pub(crate) data: &'a [f32],
    pub(crate) tokens: usize,
    /// Rows of each piece but the last, which may have fewer.
    pub(crate) rows: usize,
}

impl<'a> Product<'a> {
    /// The results of a token, piece by piece.
    pub(crate) fn token(self, token: usize) -> impl Iterator<Item = &'a [f32]> {
        let pieces = self.data.len().div_ceil(self.tokens * self.rows);
        (0..pieces).map(move |piece| self.piece(piece, token))
    }

    /// The results of a token in one piece.
    pub(crate) fn piece(self, piece: usize, token: usize) -> &'a [f32] {
        let whole = self.tokens * self.rows;
        let rest = &self.data[piece * whole..];
        let width = whole.min(rest.len()) / self.tokens;
        &rest[token * width..(token + 1) * width]
    }
}
