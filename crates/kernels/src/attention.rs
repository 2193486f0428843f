//! Attention of one query with a sink.
//!
//! Source: `sdpa` of openai/gpt-oss, `gpt_oss/torch/model.py`: scores are scaled by 1/√K, one
//! more logit (the head's sink, not scaled) takes part in the softmax, and its share is dropped;
//! so the weights of the keys sum to less than one.

use crate::dot::{dot, sum};
use crate::exp::exp;

/// The visible keys and values of one head, first position first, in one or two runs: what the
/// cache holds and what was just computed. Rows are `stride` apart, a row is `head_dim` wide.
#[derive(Clone, Copy)]
pub struct KeysValues<'a> {
    /// Keys; each slice starts at this head's first row.
    pub keys: &'a [f32],
    /// Values, as the keys.
    pub values: &'a [f32],
    /// Elements from one position to the next.
    pub stride: usize,
    /// Positions.
    pub len: usize,
}

/// One query head.
#[derive(Clone, Copy)]
pub struct Head<'a> {
    /// `[K]`, rotated.
    pub query: &'a [f32],
    /// Logit of the sink.
    pub sink: f32,
    /// 1/√K.
    pub scale: f32,
}

/// Writes Σ weight·value of one query head over the runs, in order, to `out` (`[K]`).
///
/// `scores` is room for one number a visible position. The maximum includes the sink; the sum of
/// exponentials has the order of [`sum`], with the sink added last; values are accumulated
/// position by position. So the bits do not depend on how the positions are cut into runs.
///
/// # Panics
/// If a run is shorter than its `len` says or `scores` has another length than all runs.
pub fn attend(head: Head<'_>, runs: &[KeysValues<'_>], scores: &mut [f32], out: &mut [f32]) {
    let k = head.query.len();
    assert_eq!(out.len(), k, "attend: lengths of query and out");
    assert_eq!(scores.len(), runs.iter().map(|r| r.len).sum::<usize>(), "attend: scores");
    let positions = || runs.iter().flat_map(|run| (0..run.len).map(move |i| (run, i * run.stride)));
    let mut max = head.sink;
    for (score, (run, at)) in scores.iter_mut().zip(positions()) {
        *score = dot(head.query, &run.keys[at..at + k]) * head.scale;
        max = max.max(*score);
    }
    scores.iter_mut().for_each(|s| *s = exp(*s - max));
    let factor = 1.0 / (sum(scores) + exp(head.sink - max));
    out.fill(0.0);
    for (score, (run, at)) in scores.iter().zip(positions()) {
        let weight = score * factor;
        for (out, value) in out.iter_mut().zip(&run.values[at..at + k]) {
            *out += weight * value;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::noise;

    const K: usize = 8;

    fn exact(query: &[f32], keys: &[f32], values: &[f32], sink: f32, scale: f32) -> Vec<f64> {
        let wide = |x: &[f32]| x.iter().map(|&v| f64::from(v)).collect::<Vec<_>>();
        let (q, k, v) = (wide(query), wide(keys), wide(values));
        let score = |row: &[f64]| q.iter().zip(row).map(|(a, b)| a * b).sum::<f64>();
        let e: Vec<f64> = k.chunks(K).map(|row| (score(row) * f64::from(scale)).exp()).collect();
        let z = e.iter().sum::<f64>() + f64::from(sink).exp();
        (0..K).map(|d| (0..e.len()).map(|j| e[j] / z * v[j * K + d]).sum()).collect()
    }

    #[test]
    fn the_sink_is_in_the_denominator_and_cuts_do_not_matter() {
        let len = 21;
        let (query, keys, values) = (noise(K, 1), noise(len * K, 2), noise(len * K, 3));
        for sink in [-2.0, 0.5, 9.0] {
            let head = Head { query: &query, sink, scale: 0.35 };
            let run = |from: usize, to: usize| KeysValues {
                keys: &keys[from * K..],
                values: &values[from * K..],
                stride: K,
                len: to - from,
            };
            let (mut scores, mut whole) = ([0.0; 21], [0.0; K]);
            attend(head, &[run(0, len)], &mut scores, &mut whole);
            let expected = exact(&query, &keys, &values, sink, 0.35);
            for (actual, exact) in whole.iter().zip(&expected) {
                assert!((f64::from(*actual) - exact).abs() < 1e-6, "{actual} {exact}");
            }
            for cut in 0..=len {
                let mut out = [0.0; K];
                attend(head, &[run(0, cut), run(cut, len)], &mut scores, &mut out);
                assert_eq!(out.map(f32::to_bits), whole.map(f32::to_bits), "cut at {cut}");
            }
        }
    }
}
