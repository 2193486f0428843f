//! Random numbers by counter: Philox4x32-10.
//!
//! Source: Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3" (SC'11). The number
//! for a position is computed from its coordinates; there is no state to carry, so it does not
//! depend on what was drawn before.

const ROUNDS: usize = 10;
const MULTIPLIERS: [u32; 2] = [0xD251_1F53, 0xCD9E_8D57];
const WEYL: [u32; 2] = [0x9E37_79B9, 0xBB67_AE85];

/// A number in 0 ≤ u < 1 with 53 random bits, for one token of one sequence.
pub(crate) fn uniform(seed: u64, sequence: u64, position: u64) -> f64 {
    let (low, high) = (|x: u64| x as u32, |x: u64| (x >> 32) as u32);
    let counter = [low(position), high(position), low(sequence), high(sequence)];
    let random = philox(counter, [low(seed), high(seed)]);
    let bits = (u64::from(random[0]) << 32 | u64::from(random[1])) >> 11;
    bits as f64 / (1u64 << 53) as f64
}

/// The permutation of a counter under a key.
fn philox(mut counter: [u32; 4], mut key: [u32; 2]) -> [u32; 4] {
    for _ in 0..ROUNDS {
        let a = u64::from(MULTIPLIERS[0]) * u64::from(counter[0]);
        let b = u64::from(MULTIPLIERS[1]) * u64::from(counter[2]);
        counter = [
            (b >> 32) as u32 ^ counter[1] ^ key[0],
            b as u32,
            (a >> 32) as u32 ^ counter[3] ^ key[1],
            a as u32,
        ];
        key = [key[0].wrapping_add(WEYL[0]), key[1].wrapping_add(WEYL[1])];
    }
    counter
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agrees_with_the_published_vectors() {
        // Known-answer tests of the authors' Random123 library, philox4x32-10.
        let zeros = philox([0; 4], [0; 2]);
        assert_eq!(zeros, [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8]);
        let ones = philox([u32::MAX; 4], [u32::MAX; 2]);
        assert_eq!(ones, [0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd]);
        let pi = philox(
            [0x243f_6a88, 0x85a3_08d3, 0x1319_8a2e, 0x0370_7344],
            [0xa409_3822, 0x299f_31d0],
        );
        assert_eq!(pi, [0xd16c_fe09, 0x94fd_cceb, 0x5001_e420, 0x2412_6ea1]);
    }

    #[test]
    fn is_uniform_and_depends_on_every_coordinate() {
        let draws: Vec<f64> = (0..10_000).map(|p| uniform(1, 0, p)).collect();
        let mean = draws.iter().sum::<f64>() / 10_000.0;
        assert!((mean - 0.5).abs() < 0.01, "mean {mean}");
        assert!(draws.iter().all(|u| (0.0..1.0).contains(u)));
        let base = uniform(1, 2, 3);
        for other in [uniform(2, 2, 3), uniform(1, 3, 3), uniform(1, 2, 4), uniform(1 << 32, 2, 3)]
        {
            assert_ne!(base, other);
        }
    }
}
