//! Draws from a large vocabulary without sorting it.
//!
//! The definition of sampling adds weights in f64, most likely token first. Sorting 201,088 tokens
//! for that takes longer than all the rest of sampling. Here weights are added in buckets of like
//! weights; only the bucket in which the sum crosses its target is sorted. Such sums have another
//! order and so other last bits; where these could matter, there is no answer, and the caller
//! sorts. So an answer is always that of the definition.

use std::cmp::Ordering;

use gptoss_harmony::TokenId;

/// The smallest weight that can be drawn.
pub(crate) const SMALLEST: f32 = f32::from_bits(1);
/// Bits of a weight that do not choose its bucket: an octave of weights has 16 buckets.
const SHIFT: u32 = 19;
/// Every f32 that is not negative and not NaN has a bucket.
const BUCKETS: usize = (f32::INFINITY.to_bits() >> SHIFT) as usize + 1;
/// Weights that are skipped together if none is wanted.
const CHUNK: usize = 16;

/// A token and its weight.
pub(crate) type Candidate = (TokenId, f32);

/// The order of candidates: most likely first, among equals the lower id first.
pub(crate) fn by_weight(a: &Candidate, b: &Candidate) -> Ordering {
    b.1.total_cmp(&a.1).then(a.0.cmp(&b.0))
}

/// The tokens with weights from `min` to `max`, both included, in order of ids.
pub(crate) fn between(weights: &[f32], min: f32, max: f32) -> Vec<Candidate> {
    let mut found = Vec::new();
    for (c, chunk) in weights.chunks(CHUNK).enumerate() {
        let mut is_any = false;
        for weight in chunk {
            is_any |= (*weight >= min) & (*weight <= max);
        }
        if is_any {
            for (i, weight) in chunk.iter().enumerate() {
                if *weight >= min && *weight <= max {
                    found.push(((c * CHUNK + i) as TokenId, *weight));
                }
            }
        }
    }
    found
}

/// A weight that at least `count` tokens reach, and not many more; 0 if it would not help.
///
/// Of several times as many groups of tokens as are wanted, the largest weight of each is taken:
/// the best `count` of these are `count` tokens.
pub(crate) fn reached_by(weights: &[f32], count: usize) -> f32 {
    let groups = count.saturating_mul(4).max(256);
    if count == 0 || groups > weights.len() {
        return 0.0;
    }
    let mut largest = vec![0.0; groups];
    for chunk in weights.chunks(groups) {
        for (largest, weight) in largest.iter_mut().zip(chunk) {
            *largest = if *weight > *largest { *weight } else { *largest };
        }
    }
    *largest.select_nth_unstable_by(count - 1, |a, b| b.total_cmp(a)).1
}

/// The candidates of a vocabulary, ranked as far as it was asked for.
pub(crate) struct Ranking<'a> {
    weights: &'a [f32],
    /// Candidates have at least this weight.
    min: f32,
    /// The sum of the weights of each bucket.
    buckets: Vec<f64>,
    /// More than what two orders of summation can differ by.
    slack: f64,
    /// The bucket that was sorted last, and its candidates.
    sorted: Option<(usize, Vec<Candidate>)>,
}

/// A candidate, and the sum of the weights up to it.
pub(crate) struct Place {
    pub(crate) token: TokenId,
    /// Its own weight included.
    pub(crate) sum: f64,
}

impl<'a> Ranking<'a> {
    /// The tokens with these `weights` (`[V]`) from `min` on, which is positive.
    pub(crate) fn new(weights: &'a [f32], min: f32) -> Ranking<'a> {
        let mut buckets = vec![0.0; BUCKETS];
        for weight in weights {
            if *weight >= min {
                buckets[(weight.to_bits() >> SHIFT) as usize] += f64::from(*weight);
            }
        }
        // A sum of n positive terms is within n·2⁻⁵³ of the exact one, as a share of it, and one in
        // parts within that and the number of parts. A target and the sum that meets it are two
        // such sums there and two here; twice their errors leaves room for the products.
        let terms = (weights.len() + BUCKETS) as f64;
        let slack = buckets.iter().sum::<f64>() * terms * 8.0 * (f64::EPSILON / 2.0);
        Ranking { weights, min, buckets, slack, sorted: None }
    }

    /// The sum of all weights.
    pub(crate) fn total(&self) -> f64 {
        self.buckets.iter().rev().sum()
    }

    /// The first candidate whose sum is above `target`, if it is certain.
    ///
    /// Certain means that neither its sum nor the one before is within the slack of the target.
    pub(crate) fn at_sum(&mut self, target: f64) -> Option<Place> {
        let (mut before, mut is_first) = (0.0, true);
        for i in (0..BUCKETS).rev() {
            let sum = self.buckets[i];
            if before + sum > target {
                let slack = self.slack;
                for (token, weight) in self.sort(i) {
                    let sum = before + f64::from(*weight);
                    if sum > target {
                        let is_certain =
                            (is_first || before + slack < target) && target + slack < sum;
                        return is_certain.then_some(Place { token: *token, sum });
                    }
                    (before, is_first) = (sum, false);
                }
                return None;
            }
            before += sum;
            is_first &= sum == 0.0;
        }
        None
    }

    /// The candidates of a bucket in order.
    fn sort(&mut self, bucket: usize) -> &[Candidate] {
        let sorted = match self.sorted.take() {
            Some((same, sorted)) if same == bucket => sorted,
            _ => {
                let first = (bucket as u32) << SHIFT;
                let last = f32::from_bits(first | ((1 << SHIFT) - 1)).min(f32::INFINITY);
                let min = f32::from_bits(first).max(self.min);
                let mut members = between(self.weights, min, last);
                members.sort_unstable_by(by_weight);
                members
            }
        };
        &self.sorted.insert((bucket, sorted)).1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sum_that_meets_its_target_is_not_certain() {
        let weights = vec![1.0; 10_000];
        let mut ranking = Ranking::new(&weights, SMALLEST);
        for near in [-1e-12, 0.0, 1e-12] {
            assert!(ranking.at_sum(5000.0 + near).is_none());
        }
        let place = ranking.at_sum(5000.5).expect("far from both sums");
        assert_eq!((place.token, place.sum), (5000, 5001.0));
        assert!(ranking.at_sum(10_000.0).is_none(), "nothing is above the whole sum");
        assert_eq!(ranking.at_sum(0.5).expect("the first has no sum before it").token, 0);
    }

    #[test]
    fn a_weight_that_enough_tokens_reach() {
        let weights: Vec<f32> = (0..5000).map(|i| (i * 37 % 5000) as f32).collect();
        for count in [1, 2, 40, 1000, 1250] {
            let reached = between(&weights, reached_by(&weights, count), f32::INFINITY).len();
            assert!((count..=3 * count + 40).contains(&reached), "{reached} for {count}");
        }
        for count in [0, 1251, usize::MAX] {
            assert_eq!(reached_by(&weights, count), 0.0, "{count}");
        }
        assert_eq!(reached_by(&vec![f32::NAN; 5000], 3), 0.0);
    }
}
