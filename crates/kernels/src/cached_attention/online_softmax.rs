//! The softmax of one head while its scores come block by block, in vectors.
#![allow(clippy::needless_range_loop)] // Iterators are not inlined into code for wider vectors.

use super::cache::{PerPosition, TILE};
use super::lanes::Lanes;
use crate::dot::sum;
use crate::exp::exp;
use crate::exp16::exp16;

/// The maximum so far, and the sum of exponentials relative to it.
///
/// It is aligned so that the sums lie in one line of memory.
#[derive(Clone, Copy)]
#[repr(align(64))]
pub(super) struct OnlineSoftmax {
    sink: f32,
    max: f32,
    /// Position `p` is in lane `p mod 16`.
    sums: [f32; TILE],
}

impl OnlineSoftmax {
    /// Before the first block: the maximum is the sink.
    pub(super) const fn new(sink: f32) -> OnlineSoftmax {
        OnlineSoftmax { sink, max: sink, sums: [0.0; TILE] }
    }

    /// Raises the maximum to that of the scores; gives the factor for what was summed before:
    /// exp(m_old − m_new). NaN does not become the maximum.
    #[inline(always)]
    pub(super) fn raise<L: Lanes>(&mut self, lanes: L, scores: &PerPosition) -> f32 {
        let mut largest = lanes.splat(self.max);
        for t in 0..scores.len() {
            largest = lanes.larger(lanes.load(&scores[t]), largest);
        }
        let mut x = [0.0; TILE];
        lanes.store(largest, &mut x);
        // All are NaN or none is, so the order of this does not matter.
        let quarter = |i: usize| larger(larger(x[i], x[i + 4]), larger(x[i + 8], x[i + 12]));
        let max = larger(larger(quarter(0), quarter(1)), larger(quarter(2), quarter(3)));
        let old = self.max;
        self.max = max;
        // Where the maximum stays, this is exp(0).
        if max > old { exp(old - max) } else { 1.0 }
    }

    /// Turns scores into weights relative to the maximum, which [`OnlineSoftmax::raise`] has
    /// raised to them with the result `factor`. A score of −∞ has weight 0, NaN has NaN.
    ///
    /// The sum takes the weights as they are; after that they are multiplied with `value_scales`.
    #[inline(always)]
    pub(super) fn weights<L: Lanes>(
        &mut self,
        lanes: L,
        factor: f32,
        scores: &mut PerPosition,
        value_scales: Option<&PerPosition>,
    ) {
        let max = lanes.splat(self.max);
        let mut sums = lanes.mul(lanes.load(&self.sums), lanes.splat(factor));
        for t in 0..scores.len() {
            lanes.store(lanes.sub(lanes.load(&scores[t]), max), &mut scores[t]);
            exp16(&mut scores[t]);
            let weights = lanes.load(&scores[t]);
            sums = lanes.add(sums, weights);
            if let Some(scales) = value_scales {
                lanes.store(lanes.mul(weights, lanes.load(&scales[t])), &mut scores[t]);
            }
        }
        lanes.store(sums, &mut self.sums);
    }

    /// What the accumulated values are multiplied with in the end: the reciprocal of the sum with
    /// the sink's share.
    pub(super) fn reciprocal(&self) -> f32 {
        1.0 / (sum(&self.sums) + exp(self.sink - self.max))
    }
}

#[inline(always)]
fn larger(a: f32, b: f32) -> f32 {
    if a > b { a } else { b }
}
