//! Products of f32, added in f32.

use std::hint::black_box;

use super::Work;
use crate::isa::{Isa, Level};

/// What every sum is multiplied with, and what is added to it: it goes to 2, exactly.
const FACTOR: f32 = 0.5;
const ADDEND: f32 = 1.0;

/// `rounds` rounds of `sum = sum · factor + addend` on many sums side by side.
///
/// The checksum is the bits of the sum of all sums.
pub fn f32_fma(isa: Isa, rounds: u64) -> Work {
    let (factor, addend) = (black_box(FACTOR), black_box(ADDEND));
    let (sums, checksum) = match isa.level() {
        Level::Portable => (portable::SUMS, portable::run(rounds, factor, addend)),
        #[cfg(target_arch = "x86_64")]
        // SAFETY: an `Isa` of this level exists only if the CPU has AVX2 and FMA.
        Level::Avx2 => (avx2::SUMS * 8, unsafe { avx2::run(rounds, factor, addend) }),
        #[cfg(target_arch = "x86_64")]
        // SAFETY: an `Isa` of this level exists only if the CPU has AVX-512 F.
        Level::Avx512 => (avx512::SUMS * 16, unsafe { avx512::run(rounds, factor, addend) }),
    };
    Work { operations: 2 * sums as u64 * rounds, checksum: checksum.to_bits() }
}

/// A product, rounded, then a sum: there is no fused instruction that every CPU has.
mod portable {
    use super::black_box;

    /// Twelve vectors of four: with both operands they fill 14 of the 16 registers of x86-64.
    pub(super) const SUMS: usize = 48;

    pub(super) fn run(rounds: u64, factor: f32, addend: f32) -> f32 {
        let mut sums = [0.0f32; SUMS];
        for (i, sum) in sums.iter_mut().enumerate() {
            *sum = black_box(i as f32);
        }
        for _ in 0..rounds {
            for sum in &mut sums {
                *sum = *sum * factor + addend;
            }
        }
        sums.iter().sum()
    }
}

#[cfg(target_arch = "x86_64")]
mod avx2 {
    use std::arch::x86_64::*;

    use super::black_box;

    /// Vectors: four or five cycles of latency times two instructions a cycle, and some more.
    pub(super) const SUMS: usize = 12;

    #[target_feature(enable = "avx2,fma")]
    pub(super) fn run(rounds: u64, factor: f32, addend: f32) -> f32 {
        let (factor, addend) = (_mm256_set1_ps(factor), _mm256_set1_ps(addend));
        let mut sums = [_mm256_setzero_ps(); SUMS];
        for (i, sum) in sums.iter_mut().enumerate() {
            *sum = _mm256_set1_ps(black_box(i as f32));
        }
        for _ in 0..rounds {
            for sum in &mut sums {
                *sum = _mm256_fmadd_ps(*sum, factor, addend);
            }
        }
        let mut total = _mm256_setzero_ps();
        for sum in sums {
            total = _mm256_add_ps(total, sum);
        }
        let mut lanes = [0.0; 8];
        // SAFETY: 32 bytes of an array of eight floats.
        unsafe { _mm256_storeu_ps(lanes.as_mut_ptr(), total) };
        lanes.iter().sum()
    }
}

#[cfg(target_arch = "x86_64")]
mod avx512 {
    use std::arch::x86_64::*;

    use super::black_box;

    /// Vectors, as in AVX2.
    pub(super) const SUMS: usize = 16;

    #[target_feature(enable = "avx512f")]
    pub(super) fn run(rounds: u64, factor: f32, addend: f32) -> f32 {
        let (factor, addend) = (_mm512_set1_ps(factor), _mm512_set1_ps(addend));
        let mut sums = [_mm512_setzero_ps(); SUMS];
        for (i, sum) in sums.iter_mut().enumerate() {
            *sum = _mm512_set1_ps(black_box(i as f32));
        }
        for _ in 0..rounds {
            for sum in &mut sums {
                *sum = _mm512_fmadd_ps(*sum, factor, addend);
            }
        }
        let mut total = _mm512_setzero_ps();
        for sum in sums {
            total = _mm512_add_ps(total, sum);
        }
        _mm512_reduce_add_ps(total)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Few rounds are exact in f32: the sums begin as small whole numbers and are halved.
    #[test]
    fn as_many_steps_are_made_as_are_counted() {
        let mut compared = 0;
        for isa in Isa::available() {
            let (lanes, begins): (usize, usize) = match isa.name() {
                "portable" => (1, portable::SUMS),
                #[cfg(target_arch = "x86_64")]
                "avx2" => (8, avx2::SUMS),
                #[cfg(target_arch = "x86_64")]
                _ => (16, avx512::SUMS),
                #[cfg(not(target_arch = "x86_64"))]
                other => panic!("{other} is not known here"),
            };
            for rounds in [0u64, 1, 2, 5, 8] {
                let end = |begin: usize| {
                    (0..rounds).fold(begin as f64, |x, _| x * f64::from(FACTOR) + f64::from(ADDEND))
                };
                let expected: f64 = (0..begins).map(end).sum::<f64>() * lanes as f64;
                let work = f32_fma(isa, rounds);
                let found = f64::from(f32::from_bits(work.checksum));
                assert_eq!(found, expected, "{}, {rounds} rounds", isa.name());
                assert_eq!(work.operations, 2 * (begins * lanes) as u64 * rounds);
                compared += 1;
            }
        }
        assert!(compared >= 5);
    }
}
