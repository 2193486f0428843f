//! McNemar's test: of the documents that only one of two runs gets right, is it more often the
//! same one than a fair coin would say?
//!
//! Source: McNemar 1947. The exact form is used for every number of documents, as it costs nothing:
//! p = min(1, 2·Σ_{i ≤ min(b, c)} C(b+c, i) / 2^(b+c)).

use serde::{Deserialize, Serialize};

/// Documents on which two runs disagree, and what that means.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Discordant {
    /// Only the first run is right.
    pub only_first: usize,
    /// Only the second run is right.
    pub only_second: usize,
    /// Probability of a difference as large or larger by chance.
    pub p: f64,
}

/// The exact test, two-sided.
pub fn mcnemar(only_first: usize, only_second: usize) -> Discordant {
    let n = only_first + only_second;
    let least = only_first.min(only_second);
    // ln C(n, least), then the smaller terms as shares of that one: nothing overflows.
    let logarithm: f64 =
        (1..=least).map(|i| libm::log((n - least + i) as f64) - libm::log(i as f64)).sum();
    let (mut share, mut shares) = (1.0, 1.0);
    for i in (1..=least).rev() {
        share *= i as f64 / (n - i + 1) as f64;
        shares += share;
    }
    let tail = logarithm - n as f64 * std::f64::consts::LN_2 + libm::log(shares);
    let p = (2.0 * libm::exp(tail)).min(1.0);
    Discordant { only_first, only_second, p }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agrees_with_the_binomial_distribution() {
        // Python: min(1, 2 * sum(math.comb(b + c, i) for i in range(min(b, c) + 1)) / 2**(b + c)).
        for (b, c, expected) in [
            (0, 0, 1.0),
            (1, 0, 1.0),
            (5, 0, 0.0625),
            (0, 6, 0.03125),
            (2, 10, 0.03857421875),
            (10, 12, 0.8318119049072266),
            (40, 70, 0.005447429511444482),
            (500, 400, 0.0009564441369189461),
        ] {
            let found = mcnemar(b, c);
            assert_eq!((found.only_first, found.only_second), (b, c));
            assert!((found.p - expected).abs() < 1e-12 * (1.0 + 1000.0 * expected), "{found:?}");
            assert_eq!(mcnemar(c, b).p, found.p);
        }
        assert!(mcnemar(0, 5000).p < 1e-300);
    }
}
