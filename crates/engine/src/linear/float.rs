//! Jobs in f32: plain floats as they lie in the file, other formats widened a few rows at a time.

use gptoss_kernels::{FloatRows, FloatTokens, float_rows};

use super::job::Job;
use crate::compute::Compute;

/// Widened rows, tokens in the orders that the kernels want, and results.
#[derive(Default)]
pub(super) struct Room {
    rows: Vec<f32>,
    gathered: Vec<f32>,
    packed: Vec<f32>,
    scratch: Vec<f32>,
    results: Vec<f32>,
    halves: Vec<f32>,
}

/// Does a job.
pub(super) fn job(compute: &Compute, job: &Job<'_>, room: &mut Room, out: &mut [f32]) {
    let Room { rows: widened, gathered, packed, scratch, results, halves } = room;
    let (rows, cols) = (job.rows.len(), job.input.cols);
    let x = tokens(compute, job, gathered, packed);
    results.resize(job.tokens.len() * rows, 0.0);
    scratch.resize(scratch.len().max(x.scratch_len()), 0.0);
    if let Some((format, bytes)) = job.weight.floats(job.rows.start, rows) {
        let weights = FloatRows::stored(format, bytes, cols).expect("these are plain floats");
        float_rows(weights, x, scratch, results, rows);
    } else if let Some(parts) = job.weight.float_halves(job.rows.start, rows) {
        halves.resize(results.len(), 0.0);
        for (half, (format, bytes)) in parts.into_iter().enumerate() {
            let weights = FloatRows::stored(format, bytes, cols).expect("these are plain floats");
            float_rows(weights, x, scratch, &mut halves[half * rows / 2..], rows);
        }
        for (results, halves) in results.chunks_exact_mut(rows).zip(halves.chunks_exact(rows)) {
            let (even, odd) = halves.split_at(rows / 2);
            let pairs = results.as_chunks_mut::<2>().0.iter_mut().zip(even.iter().zip(odd));
            pairs.for_each(|(pair, (even, odd))| *pair = [*even, *odd]);
        }
    } else {
        let at_once = if x.are_many() { rows } else { job.weight.widened_at_once() };
        for at in (0..rows).step_by(at_once) {
            let n = at_once.min(rows - at);
            widened.resize(n * cols, 0.0);
            job.weight.widen(compute.isa, job.rows.start + at, widened);
            let weights = FloatRows::values(widened, cols);
            float_rows(weights, x, scratch, &mut results[at..], rows);
        }
    }
    let bias = job.bias_of(0, rows);
    for results in results.chunks_exact_mut(rows) {
        for (result, bias) in results.iter_mut().zip(bias) {
            *result += bias;
        }
    }
    job.finish(compute, results, out);
}

/// The job's tokens: those of the input, or some of them one after the other.
fn tokens<'a>(
    compute: &Compute,
    job: &Job<'a>,
    gathered: &'a mut Vec<f32>,
    packed: &'a mut Vec<f32>,
) -> FloatTokens<'a> {
    let (isa, cols, floats) = (compute.isa, job.input.cols, &job.input.floats);
    let (first, n) = (job.tokens[0] as usize, job.tokens.len());
    let is_run = job.tokens.iter().enumerate().all(|(i, token)| *token as usize == first + i);
    if is_run && n == job.input.tokens() {
        return job.input.all_floats(isa);
    }
    packed.resize(packed.len().max(FloatTokens::packed_len(isa, n, cols)), 0.0);
    if is_run {
        let floats = &floats[first * cols..(first + n) * cols];
        return FloatTokens::new(isa, floats, cols, packed);
    }
    gathered.clear();
    for token in job.tokens {
        gathered.extend_from_slice(&floats[*token as usize * cols..(*token as usize + 1) * cols]);
    }
    FloatTokens::new(isa, gathered, cols, packed)
}
