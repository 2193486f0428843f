//! Random numbers by counter: the number at any place is computed from the place alone.
//!
//! Source: SplitMix64 of Steele, Lea & Flood 2014, "Fast splittable pseudorandom number
//! generators" (OOPSLA'14), with the constants of S. Vigna's `splitmix64.c`. Its state only counts
//! up, so the number at position `i` is one hash away and threads can start anywhere. It costs two
//! multiplications, a quarter of Philox; filling test weights needs no more.

/// The step of the state: 2⁶⁴ divided by the golden ratio, odd.
const STEP: u64 = 0x9E37_79B9_7F4A_7C15;

/// The hash of a state.
const fn mix(state: u64) -> u64 {
    let z = (state ^ (state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// A sequence of random numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stream(u64);

impl Stream {
    /// The sequence for a seed and the coordinates of a tensor; others are independent of it.
    pub(super) fn new(seed: u64, coordinates: [u64; 2]) -> Stream {
        let state = coordinates.iter().fold(mix(seed.wrapping_add(STEP)), |state, coordinate| {
            mix(state ^ mix(coordinate.wrapping_add(STEP)))
        });
        Stream(state)
    }

    /// 64 random bits at a position.
    #[inline]
    pub(super) const fn at(self, position: u64) -> u64 {
        mix(self.0.wrapping_add(position.wrapping_add(1).wrapping_mul(STEP)))
    }

    /// A number with mean 0 and standard deviation 1 at a position, never beyond ±3.47.
    ///
    /// The sum of four numbers of 16 bits: close to the normal distribution, and exact in f32
    /// but for the last multiplication.
    #[inline]
    pub(super) fn normal(self, position: u64) -> f32 {
        let bits = self.at(position);
        let sum = (bits & 0xFFFF) + (bits >> 16 & 0xFFFF) + (bits >> 32 & 0xFFFF) + (bits >> 48);
        // Four times the mean 65535/2; the variance of each is 65536²/12.
        const SCALE: f32 = 1.732_050_8 / 65_536.0;
        (sum as i32 - 2 * 65_535) as f32 * SCALE
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agrees_with_the_published_sequence() {
        // The first outputs of splitmix64.c for the state 1234567.
        let stream = Stream(1_234_567);
        let expected = [
            6_457_827_717_110_365_317,
            3_203_168_211_198_807_973,
            9_817_491_932_198_370_423,
            4_593_380_528_125_082_431,
            16_408_922_859_458_223_821,
        ];
        for (position, expected) in expected.into_iter().enumerate() {
            assert_eq!(stream.at(position as u64), expected, "position {position}");
        }
    }

    #[test]
    fn every_coordinate_makes_another_sequence() {
        let base = Stream::new(1, [2, 3]);
        for other in [[2, 4], [3, 3], [3, 2]].map(|place| Stream::new(1, place)) {
            assert_ne!(base, other);
        }
        assert_ne!(base, Stream::new(2, [2, 3]));
    }

    #[test]
    fn normal_numbers_have_their_moments() {
        let stream = Stream::new(0, [0, 0]);
        let draws: Vec<f64> = (0..100_000).map(|i| f64::from(stream.normal(i))).collect();
        let moment = |k: i32| draws.iter().map(|x| x.powi(k)).sum::<f64>() / draws.len() as f64;
        assert!(moment(1).abs() < 0.01, "mean {}", moment(1));
        assert!((moment(2) - 1.0).abs() < 0.01, "variance {}", moment(2));
        assert!(moment(3).abs() < 0.03, "skewness {}", moment(3));
        // Neighbours do not depend on each other.
        let pairs = draws.windows(2).map(|pair| pair[0] * pair[1]).sum::<f64>();
        assert!((pairs / 1e5).abs() < 0.01, "correlation {}", pairs / 1e5);
    }
}
