//! Jobs in eight bits.

use gptoss_kernels::int8::{
    Activations, BlockCodes, BlockLayout, CHUNK_BLOCKS, FEW_TOKENS, TILE_ROWS, TileRows, Unpacked,
    UnpackedMut, add_tiles, dot_rows, unpack,
};

use super::job::{JOB_ROWS_MAX, Job};
use crate::compute::Compute;

/// Unpacked blocks of two tiles, results, and rows that a matrix does not have.
#[derive(Default)]
pub(super) struct Room {
    codes: [Vec<BlockCodes>; 2],
    scales: [Vec<[f32; TILE_ROWS]>; 2],
    minimums: [Vec<[f32; TILE_ROWS]>; 2],
    pairs: Vec<[[f32; TILE_ROWS]; 2]>,
    results: Vec<f32>,
    padded: Vec<u8>,
}

/// Does a job; meanwhile fetches the beginning of `next`.
pub(super) fn job(
    compute: &Compute,
    layout: BlockLayout,
    job: &Job<'_>,
    next: Option<&Job<'_>>,
    room: &mut Room,
    out: &mut [f32],
) {
    let x = job.input.activations(layout);
    if job.tokens.len() <= FEW_TOKENS {
        few_tokens(compute, layout, job, next, (&x, room), out);
    } else {
        many_tokens(compute, layout, job, next, (&x, room), out);
    }
}

/// Multiplies tiles as they lie in the file.
fn few_tokens(
    compute: &Compute,
    layout: BlockLayout,
    job: &Job<'_>,
    next: Option<&Job<'_>>,
    (x, room): (&Activations<'_>, &mut Room),
    out: &mut [f32],
) {
    let rows = job.rows.len();
    assert!(rows <= JOB_ROWS_MAX, "a job of {rows} rows");
    let mut results = [0.0; FEW_TOKENS * JOB_ROWS_MAX];
    let mut of_tile = [[0.0; TILE_ROWS]; FEW_TOKENS];
    let of_tile = &mut of_tile[..job.tokens.len()];
    for at in (0..rows).step_by(TILE_ROWS) {
        let tile = tile(job, layout, at, (next, TILE_ROWS), &mut room.padded);
        dot_rows(compute.isa, &tile, x, job.tokens, of_tile);
        let width = TILE_ROWS.min(rows - at);
        let bias = job.bias_of(at, width);
        for (token, of_tile) in of_tile.iter().enumerate() {
            let results = results[token * rows + at..][..width].iter_mut().zip(of_tile);
            for ((result, product), bias) in results.zip(bias) {
                *result = product + bias;
            }
        }
    }
    job.finish(compute, &results[..job.tokens.len() * rows], out);
}

/// Unpacks some blocks of two tiles and multiplies them with all tokens, then the next blocks: so
/// the blocks stay in the first cache, and the tokens pass by once for each two tiles.
fn many_tokens(
    compute: &Compute,
    layout: BlockLayout,
    job: &Job<'_>,
    next: Option<&Job<'_>>,
    (x, room): (&Activations<'_>, &mut Room),
    out: &mut [f32],
) {
    let (rows, isa) = (job.rows.len(), compute.isa);
    let Room { codes, scales, minimums, pairs, results, padded } = room;
    codes.iter_mut().for_each(|codes| codes.resize(CHUNK_BLOCKS, [[0; 4 * TILE_ROWS]; 8]));
    for numbers in scales.iter_mut().chain(&mut *minimums) {
        numbers.resize(CHUNK_BLOCKS, [0.0; TILE_ROWS]);
    }
    results.resize(job.tokens.len() * rows, 0.0);
    for at in (0..rows).step_by(2 * TILE_ROWS) {
        pairs.clear();
        pairs.resize(job.tokens.len(), [[0.0; TILE_ROWS]; 2]);
        let second = at + TILE_ROWS;
        for first in (0..x.blocks).step_by(CHUNK_BLOCKS) {
            let n = CHUNK_BLOCKS.min(x.blocks - first);
            for (m, at) in [at, second].into_iter().filter(|at| *at < rows).enumerate() {
                let tile = tile(job, layout, at, (next, 2 * TILE_ROWS), padded);
                let room = UnpackedMut {
                    codes: &mut codes[m][..n],
                    scales: &mut scales[m][..n],
                    minimums: &mut minimums[m][..n],
                };
                unpack(isa, &tile, first, room);
            }
            // Where the second tile is not there, what is left of another does no harm.
            let tiles = Unpacked {
                layout,
                first,
                codes: [&codes[0][..n], &codes[1][..n]],
                scales: [&scales[0][..n], &scales[1][..n]],
                minimums: [&minimums[0][..n], &minimums[1][..n]],
            };
            add_tiles(isa, &tiles, x, job.tokens, pairs);
        }
        let width = (2 * TILE_ROWS).min(rows - at);
        let bias = job.bias_of(at, width);
        for (pair, results) in pairs.iter().zip(results.chunks_exact_mut(rows)) {
            let results = results[at..at + width].iter_mut().zip(pair.as_flattened());
            for ((result, product), bias) in results.zip(bias) {
                *result = product + bias;
            }
        }
    }
    job.finish(compute, results, out);
}

/// The tile of a job whose first row is row `at` of it. It tells what will be read when the tiles
/// before the one `ahead` rows further are done, in this job or the next.
fn tile<'a>(
    job: &Job<'a>,
    layout: BlockLayout,
    at: usize,
    (next, ahead): (Option<&Job<'a>>, usize),
    padded: &'a mut Vec<u8>,
) -> TileRows<'a> {
    let is_whole = |weight: &super::Weight<'_>, first: usize| first + TILE_ROWS <= weight.rows();
    let first = job.rows.start + at;
    if !is_whole(&job.weight, first) {
        return job.weight.padded_tile(layout, first, padded);
    }
    let rows = job.rows.len();
    let after = match at + ahead < rows {
        true => Some((job.weight, first + ahead)),
        false => next
            .filter(|next| next.weight.int8_layout() == Some(layout))
            .map(|next| (next.weight, next.rows.start + (at + ahead - rows))),
    };
    let ahead = after
        .filter(|(weight, first)| is_whole(weight, *first))
        .map_or([&[][..]; 2], |(weight, first)| weight.tile(layout, first).ahead);
    TileRows { ahead, ..job.weight.tile(layout, first) }
}
