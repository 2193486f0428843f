//! The paired bootstrap: documents are drawn again and again, and the difference of two runs on
//! them shows how far chance reaches.
//!
//! Source: Efron and Tibshirani 1993; Koehn 2004 for its use on paired outputs. Percentiles of the
//! differences are the interval; p counts, of differences moved to a mean of zero, those that are
//! at least as large as the one that was found.

use serde::{Deserialize, Serialize};

use super::chance::SplitMix;
use crate::python::float::{mean, sum};

/// A difference and how far chance reaches.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Interval {
    /// Mean of the second run minus mean of the first.
    pub difference: f64,
    /// 2.5th percentile.
    pub low: f64,
    /// 97.5th percentile.
    pub high: f64,
    /// Probability of a difference as large or larger by chance, two-sided.
    pub p: f64,
    /// Draws.
    pub draws: usize,
}

/// The difference of paired values. Nothing if there are none.
///
/// # Panics
/// If there are not as many of one as of the other.
pub fn paired_bootstrap(
    first: &[f64],
    second: &[f64],
    draws: usize,
    seed: u64,
) -> Option<Interval> {
    assert_eq!(first.len(), second.len(), "values come in pairs");
    let differences: Vec<f64> = first.iter().zip(second).map(|(a, b)| b - a).collect();
    let n = u32::try_from(differences.len()).ok()?;
    let difference = mean(&differences)?;
    let draws = draws.max(1);
    let mut random = SplitMix::new(seed);
    let mut drawn = vec![0.0; differences.len()];
    let mut means = Vec::with_capacity(draws);
    for _ in 0..draws {
        drawn.fill_with(|| differences[random.below(n) as usize]);
        means.push(sum(&drawn) / f64::from(n));
    }
    means.sort_by(f64::total_cmp);
    let at = |share: f64| means[((draws - 1) as f64 * share).round() as usize];
    // A difference that is only rounding is no difference.
    let reached = difference.abs() * (1.0 - 1e-9);
    let beyond = means.iter().filter(|mean| (*mean - difference).abs() >= reached).count();
    // The difference itself counts as one draw, so that p is never zero.
    let p = (beyond + 1) as f64 / (draws + 1) as f64;
    Some(Interval { difference, low: at(0.025), high: at(0.975), p, draws })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_runs_do_not_differ() {
        let values = [1.0, 0.0, 1.0, 1.0];
        let found = paired_bootstrap(&values, &values, 500, 1).unwrap();
        assert_eq!((found.difference, found.low, found.high, found.p), (0.0, 0.0, 0.0, 1.0));
        assert_eq!(paired_bootstrap(&[], &[], 500, 1), None);
    }

    #[test]
    fn the_interval_is_that_of_the_normal_distribution() {
        // 400 pairs: 100 times +1, 60 times -1. Standard error: sqrt(0.4 - 0.01) / 20 = 0.0312.
        let second: Vec<f64> = (0..400).map(|i| f64::from(u8::from(i < 100))).collect();
        let first: Vec<f64> =
            (0..400).map(|i| f64::from(u8::from((100..160).contains(&i)))).collect();
        let found = paired_bootstrap(&first, &second, 4000, 7).unwrap();
        assert!((found.difference - 0.1).abs() < 1e-12);
        assert!((found.low - (0.1 - 1.96 * 0.0312)).abs() < 0.006, "{found:?}");
        assert!((found.high - (0.1 + 1.96 * 0.0312)).abs() < 0.006, "{found:?}");
        // Two-sided normal tail beyond 3.2 standard errors: 0.0014.
        assert!(found.p < 0.005, "{found:?}");
        assert_eq!(Some(found), paired_bootstrap(&first, &second, 4000, 7));
        assert_ne!(Some(found), paired_bootstrap(&first, &second, 4000, 8));
    }
}
