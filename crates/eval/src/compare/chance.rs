//! Random numbers of the bootstrap: SplitMix64.
//!
//! Source: Steele, Lea, Flood 2014, "Fast splittable pseudorandom number generators" (OOPSLA); the
//! constants are those of `java.util.SplittableRandom`.

/// A generator whose numbers depend on its seed only.
pub(super) struct SplitMix(u64);

impl SplitMix {
    pub fn new(seed: u64) -> SplitMix {
        SplitMix(seed)
    }

    /// The next 64 random bits.
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `n`, each as likely as the others (Lemire 2019).
    pub fn below(&mut self, n: u32) -> u32 {
        let limit = n.wrapping_neg() % n;
        loop {
            let product = u64::from((self.next() >> 32) as u32) * u64::from(n);
            if product as u32 >= limit {
                return (product >> 32) as u32;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agrees_with_the_published_numbers() {
        // The first numbers of seed 1234567 as given by rosettacode.org, "Pseudo-random
        // numbers/Splitmix64".
        let mut random = SplitMix::new(1_234_567);
        let expected = [6_457_827_717_110_365_317, 3_203_168_211_198_807_973];
        assert_eq!([random.next(), random.next()], expected);
    }

    #[test]
    fn every_number_is_as_likely() {
        let mut random = SplitMix::new(1);
        let mut counts = [0; 6];
        for _ in 0..60_000 {
            counts[random.below(6) as usize] += 1;
        }
        assert!(counts.iter().all(|count| (9_600..10_400).contains(count)), "{counts:?}");
    }
}
