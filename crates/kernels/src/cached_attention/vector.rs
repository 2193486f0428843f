//! The same sums with sixteen keys, then sixteen elements of a value, in a vector.
//!
//! Up to [`HEADS`] heads share each number that is read and widened. What is summed in registers
//! is a rectangle of heads by tiles (scores) or of heads by groups of sixteen elements (values).
#![allow(clippy::needless_range_loop)] // Iterators are not inlined into code for wider vectors.

use super::Queries;
use super::cache::{BLOCK, Block, Element, PerPosition, Rows, TILE};
use super::lanes::{Lanes, Task};
use super::online_softmax::OnlineSoftmax;

/// Heads that go over the cache together.
const HEADS: usize = 8;

pub(super) fn attend<L: Lanes, E: Element>(
    lanes: L,
    rows: &Rows<'_, E>,
    q: &Queries<'_>,
    out: &mut [f32],
) {
    let width = HEADS * rows.head_dim;
    let heads = q.queries.chunks(width).zip(q.sinks.chunks(HEADS)).zip(out.chunks_mut(width));
    for ((queries, sinks), out) in heads {
        out.fill(0.0);
        let mut heads = Heads::new(sinks);
        let out = out.as_chunks_mut().0;
        let blocks = Rows::<E>::blocks(q.first, q.end);
        let mut present = blocks.clone().next().map(|index| rows.block(index, q.first, q.end));
        let mut index = blocks.start;
        while let Some(block) = present {
            index += 1;
            let next = (index < blocks.end).then(|| rows.block(index, q.first, q.end));
            // After the last block nothing more is read; its own keys are at hand.
            let next_keys = next.as_ref().map_or(block.keys, |next| next.keys);
            heads.score(lanes, &block, queries, q.scale);
            lanes.run(Weigh { heads: &mut heads, block: &block });
            heads.accumulate(lanes, &block, next_keys, out);
            present = next;
        }
        lanes.run(Finish { heads: &heads, out });
    }
}

/// One number for each head and position of a block, aligned so that a tile is one line of memory.
#[repr(align(64))]
struct Weights([PerPosition; HEADS]);

/// What up to eight heads keep from block to block.
struct Heads {
    heads: usize,
    softmax: [OnlineSoftmax; HEADS],
    /// Scores, then weights of the block.
    weights: Weights,
    /// What the sums so far are multiplied with.
    factors: [f32; HEADS],
}

impl Heads {
    fn new(sinks: &[f32]) -> Heads {
        let sink = |h: usize| sinks.get(h).copied().unwrap_or_default();
        Heads {
            heads: sinks.len(),
            softmax: std::array::from_fn(|h| OnlineSoftmax::new(sink(h))),
            weights: Weights([PerPosition::default(); HEADS]),
            factors: [1.0; HEADS],
        }
    }

    /// Scores of a block; −∞ where a position is not visible.
    fn score<L: Lanes, E: Element>(
        &mut self,
        lanes: L,
        block: &Block<'_, E>,
        queries: &[f32],
        scale: f32,
    ) {
        let mut first = 0;
        while first < self.heads {
            let left = self.heads - first;
            let scores = Scores { queries, weights: &mut self.weights.0, first, block, scale };
            first += match (L::ACCUMULATORS, left) {
                (16, 8..) => scores.write::<L, 8, 2>(lanes),
                (16, 4..) => scores.write::<L, 4, 2>(lanes),
                (_, 4..) => scores.write::<L, 4, 1>(lanes),
                _ => scores.write::<L, 1, 4>(lanes),
            };
        }
        for scores in &mut self.weights.0[..self.heads] {
            let scores = scores.as_flattened_mut();
            scores[..block.visible.start].fill(f32::NEG_INFINITY);
            scores[block.visible.end..].fill(f32::NEG_INFINITY);
        }
    }

    /// Adds weight·value of the visible positions to `out` (`[heads, K / 16]`).
    fn accumulate<L: Lanes, E: Element>(
        &self,
        lanes: L,
        block: &Block<'_, E>,
        next_keys: &[[E; TILE]],
        out: &mut [[f32; TILE]],
    ) {
        let groups = block.values.len() / BLOCK;
        let mut h = 0;
        while h < self.heads {
            let values = Values { heads: self, first: h, block, next_keys };
            let out = &mut out[h * groups..];
            h += match (L::ACCUMULATORS, self.heads - h) {
                (16, 8..) => values.add::<L, 8, 2>(lanes, out),
                (16, 4..) => values.add::<L, 4, 2>(lanes, out),
                (_, 4..) => values.add::<L, 4, 1>(lanes, out),
                _ => values.add::<L, 1, 4>(lanes, out),
            };
        }
    }
}

/// Scores of the heads from `first` on.
struct Scores<'a, E> {
    /// `[heads, K]`.
    queries: &'a [f32],
    weights: &'a mut [PerPosition; HEADS],
    first: usize,
    block: &'a Block<'a, E>,
    scale: f32,
}

impl<E: Element> Scores<'_, E> {
    /// Those of `H` heads, `T` tiles at a time; gives `H`.
    fn write<L: Lanes, const H: usize, const T: usize>(self, lanes: L) -> usize {
        lanes.run(ScoreTiles::<E, H, T>(self));
        H
    }
}

struct ScoreTiles<'a, E, const H: usize, const T: usize>(Scores<'a, E>);

impl<E: Element, const H: usize, const T: usize> Task for ScoreTiles<'_, E, H, T> {
    #[inline(always)]
    fn run<L: Lanes>(self, lanes: L) {
        let Scores { queries, weights, first, block, scale } = self.0;
        assert!(first <= HEADS - H, "scores: heads");
        let k = block.keys.len() / (BLOCK / TILE);
        let mut rows = [queries; H];
        for h in 0..H {
            rows[h] = &queries[(first + h) * k..][..k];
        }
        for t in (0..BLOCK / TILE).step_by(T) {
            let mut tiles = [block.keys; T];
            for i in 0..T {
                tiles[i] = &block.keys[(t + i) * k..][..k];
            }
            let mut sums = [[lanes.splat(0.0); T]; H];
            for d in 0..k {
                // The values of the block are read next; they are as long as the keys.
                lanes.prefetch(block.values.as_ptr(), t * k + d * T, T);
                let mut keys = [lanes.splat(0.0); T];
                for i in 0..T {
                    keys[i] = E::widen(lanes, &tiles[i][d]);
                }
                for h in 0..H {
                    let query = lanes.splat(rows[h][d]);
                    for i in 0..T {
                        sums[h][i] = lanes.fused(query, keys[i], sums[h][i]);
                    }
                }
            }
            for h in 0..H {
                for i in 0..T {
                    let mut scores = sums[h][i];
                    if let Some(scales) = block.key_scales {
                        scores = lanes.mul(scores, lanes.load(&scales[t + i]));
                    }
                    let scores = lanes.mul(scores, lanes.splat(scale));
                    lanes.store(scores, &mut weights[first + h][t + i]);
                }
            }
        }
    }
}

/// Turns the scores of all heads into weights.
struct Weigh<'a, E> {
    heads: &'a mut Heads,
    block: &'a Block<'a, E>,
}

impl<E> Task for Weigh<'_, E> {
    #[inline(always)]
    fn run<L: Lanes>(self, lanes: L) {
        let Heads { heads, softmax, weights, factors, .. } = self.heads;
        for h in 0..*heads {
            factors[h] = softmax[h].raise(lanes, &weights.0[h]);
        }
        for h in 0..*heads {
            let scales = self.block.value_scales;
            softmax[h].weights(lanes, factors[h], &mut weights.0[h], scales);
        }
    }
}

/// The values of a block for the heads from `first` on.
#[derive(Clone, Copy)]
struct Values<'a, E> {
    heads: &'a Heads,
    first: usize,
    block: &'a Block<'a, E>,
    /// Read after this block.
    next_keys: &'a [[E; TILE]],
}

impl<E: Element> Values<'_, E> {
    /// Adds to all groups of `H` heads, `G` at a time; gives `H`.
    fn add<L: Lanes, const H: usize, const G: usize>(
        self,
        lanes: L,
        out: &mut [[f32; TILE]],
    ) -> usize {
        let groups = self.block.values.len() / BLOCK;
        let mut group = 0;
        while group + G <= groups {
            lanes.run(Accumulate::<E, H, G> { values: self, group, out });
            group += G;
        }
        while group < groups {
            lanes.run(Accumulate::<E, H, 1> { values: self, group, out });
            group += 1;
        }
        H
    }
}

/// Adds weight·value to `G` groups of `H` heads, after multiplying what is there with each head's
/// factor.
struct Accumulate<'a, E, const H: usize, const G: usize> {
    values: Values<'a, E>,
    group: usize,
    out: &'a mut [[f32; TILE]],
}

impl<E: Element, const H: usize, const G: usize> Task for Accumulate<'_, E, H, G> {
    #[inline(always)]
    fn run<L: Lanes>(self, lanes: L) {
        let Values { heads, first, block, next_keys } = self.values;
        let groups = block.values.len() / BLOCK;
        assert!(first <= HEADS - H && block.visible.end <= BLOCK, "accumulate: heads, positions");
        let mut sums = [[lanes.splat(0.0); G]; H];
        for h in 0..H {
            let out = &self.out[h * groups + self.group..][..G];
            for i in 0..G {
                sums[h][i] = lanes.mul(lanes.load(&out[i]), lanes.splat(heads.factors[first + h]));
            }
        }
        let weights = heads.weights.0[first..first + H].as_flattened().as_flattened();
        for j in block.visible.start..block.visible.end {
            let at = j * groups + self.group;
            lanes.prefetch(next_keys.as_ptr(), at, G);
            let row: &[_; G] = block.values[at..].first_chunk().expect("rows of the block");
            let mut values = [lanes.splat(0.0); G];
            for i in 0..G {
                values[i] = E::widen(lanes, &row[i]);
            }
            for h in 0..H {
                // SAFETY: 64 weights for each of H heads; j < 64 by the assertion above.
                let weight = lanes.splat(*unsafe { weights.get_unchecked(h * BLOCK + j) });
                for i in 0..G {
                    sums[h][i] = lanes.fused(weight, values[i], sums[h][i]);
                }
            }
        }
        for h in 0..H {
            let out = &mut self.out[h * groups + self.group..][..G];
            for i in 0..G {
                lanes.store(sums[h][i], &mut out[i]);
            }
        }
    }
}

/// Multiplies what was accumulated with the reciprocal of each head's sum of weights.
struct Finish<'a> {
    heads: &'a Heads,
    out: &'a mut [[f32; TILE]],
}

impl Task for Finish<'_> {
    #[inline(always)]
    fn run<L: Lanes>(self, lanes: L) {
        let groups = self.out.len() / self.heads.heads;
        for h in 0..self.heads.heads {
            let reciprocal = lanes.splat(self.heads.softmax[h].reciprocal());
            for i in h * groups..(h + 1) * groups {
                lanes.store(lanes.mul(lanes.load(&self.out[i]), reciprocal), &mut self.out[i]);
            }
        }
    }
}
