//! The largest entry of a long vector: the most likely token of a vocabulary.

use crate::every_isa::every_isa;
use crate::isa::Isa;

/// Partial maxima; four vectors of 16 hide the latency of a comparison.
const LANES: usize = 64;
/// Entries whose maximum is compared with the best so far at once; they stay in the first cache
/// until the place of the maximum is looked up.
const BLOCK: usize = 2048;

/// The index of the largest entry, the lower one among equals.
///
/// NaN counts as the smallest value; if there is nothing else, the index is 0.
///
/// # Panics
/// If `x` is empty.
pub fn argmax(isa: Isa, x: &[f32]) -> usize {
    assert!(!x.is_empty(), "argmax: x is empty");
    every_isa!(isa, body(x: &[f32]) -> usize)
}

#[inline(always)]
fn body(x: &[f32]) -> usize {
    let (mut best, mut block) = (f32::NEG_INFINITY, 0);
    for (i, entries) in x.chunks(BLOCK).enumerate() {
        let max = max(entries);
        if max > best {
            (best, block) = (max, i);
        }
    }
    // Without an entry above −∞ the block is the first, and the first −∞ may lie behind it.
    let start = block * BLOCK;
    x[start..].iter().position(|x| *x == best).map_or(0, |i| start + i)
}

/// The largest entry, −∞ if there is none; NaN does not count.
///
/// Which zero is given is not defined where both are largest.
#[inline(always)]
pub(crate) fn max(x: &[f32]) -> f32 {
    let (chunks, tail) = x.as_chunks::<LANES>();
    let mut lanes = [f32::NEG_INFINITY; LANES];
    for chunk in chunks {
        for i in 0..LANES {
            lanes[i] = if chunk[i] > lanes[i] { chunk[i] } else { lanes[i] };
        }
    }
    let mut max = f32::NEG_INFINITY;
    for x in tail {
        max = if *x > max { *x } else { max };
    }
    if chunks.is_empty() {
        return max;
    }
    for lane in lanes {
        max = if lane > max { lane } else { max };
    }
    max
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{LENGTHS, noise, odd_noise};

    /// The definition.
    fn expected(x: &[f32]) -> usize {
        let better = |i: usize, best: usize| x[i] > x[best] || (x[best].is_nan() && !x[i].is_nan());
        (0..x.len()).reduce(|best, i| if better(i, best) { i } else { best }).unwrap()
    }

    #[test]
    fn the_first_of_the_largest_is_found() {
        let mut compared = 0;
        for len in LENGTHS.into_iter().chain([2047, 2048, 2049, 4100, 20_000]) {
            for seed in 0..20 {
                // Few values, so that the largest occurs often.
                let coarse = noise(len, seed).iter().map(|x| (x * 3.0).round()).collect();
                for x in [noise(len, seed), odd_noise(len, seed), coarse] {
                    for isa in Isa::available() {
                        assert_eq!(argmax(isa, &x), expected(&x), "{isa:?}, {len}, seed {seed}");
                        compared += 1;
                    }
                }
            }
        }
        assert!(compared > 2000, "{compared}");
    }

    #[test]
    fn nan_is_smaller_than_minus_infinity() {
        for isa in Isa::available() {
            for len in [1, 3, 100, 5000] {
                let mut x = vec![f32::NAN; len];
                assert_eq!(argmax(isa, &x), 0, "{isa:?}, {len}");
                for i in [len - 1, len / 2] {
                    x[i] = f32::NEG_INFINITY;
                    assert_eq!(argmax(isa, &x), i, "{isa:?}, {len}");
                }
            }
        }
    }
}
