//! When requests arrive, and other numbers drawn by chance.

use std::time::Duration;

/// A generator of random numbers: SplitMix64 (Steele, Lea and Flood 2014), so that a seed gives
/// the same load everywhere.
pub struct Random(u64);

impl Random {
    /// The numbers of one request of one seed.
    pub fn new(seed: u64, number: u64) -> Random {
        let mut random = Random(seed);
        Random(random.next() ^ number.wrapping_mul(0xA076_1D64_78BD_642F))
    }

    /// Any number.
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// Above 0 and at most 1.
    fn unit(&mut self) -> f64 {
        ((self.next() >> 11) + 1) as f64 / (1u64 << 53) as f64
    }
}

/// Times from the start at which `count` requests arrive: a Poisson process of `rate` a second,
/// that is, gaps of an exponential distribution.
pub fn poisson(seed: u64, rate: f64, count: usize) -> Vec<Duration> {
    let mut random = Random::new(seed, u64::MAX);
    let mut at = 0.0;
    (0..count)
        .map(|_| {
            let arrives = Duration::from_secs_f64(at);
            at += -random.unit().ln() / rate;
            arrives
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gaps_are_exponential() {
        let times = poisson(7, 4.0, 20_001);
        let gaps: Vec<f64> =
            times.windows(2).map(|pair| (pair[1] - pair[0]).as_secs_f64()).collect();
        let mean = gaps.iter().sum::<f64>() / gaps.len() as f64;
        assert!((mean - 0.25).abs() < 0.01, "mean {mean}");
        // e⁻¹ of the gaps are longer than the mean.
        let longer = gaps.iter().filter(|gap| **gap > 0.25).count() as f64 / gaps.len() as f64;
        assert!((longer - (-1.0f64).exp()).abs() < 0.01, "longer {longer}");
    }

    #[test]
    fn a_seed_gives_the_same_load() {
        assert_eq!(poisson(3, 1.0, 50), poisson(3, 1.0, 50));
        assert_ne!(poisson(3, 1.0, 50), poisson(4, 1.0, 50));
        assert_ne!(Random::new(1, 1).next(), Random::new(1, 2).next());
    }
}
