//! Products of unsigned and signed bytes, added in 32 bits.

use std::hint::black_box;

use super::Work;
use crate::isa::{Isa, Level};

/// The byte that stands for every weight, and the one that stands for every activation.
const CODE: u8 = 3;
const ACTIVATION: i8 = -5;

/// `rounds` rounds of products as the eight-bit kernels compute them.
///
/// The checksum is the sum of all products modulo 2³², with AVX2 the sum of its accumulators.
pub fn int8_dot(isa: Isa, rounds: u64) -> Work {
    let (products, checksum) = match isa.level() {
        Level::Portable => (portable::PRODUCTS, portable::run(rounds)),
        #[cfg(target_arch = "x86_64")]
        // SAFETY: an `Isa` of this level exists only if the CPU has AVX2.
        Level::Avx2 => (avx2::PRODUCTS, unsafe { avx2::run(rounds) }),
        #[cfg(target_arch = "x86_64")]
        // SAFETY: an `Isa` of this level exists only if the CPU has AVX-512 F and VNNI.
        Level::Avx512 => (avx512::PRODUCTS, unsafe { avx512::run(rounds) }),
    };
    Work { operations: 2 * products * rounds, checksum }
}

/// Bytes from the first cache: the compiler would see through numbers in registers.
mod portable {
    use super::{ACTIVATION, CODE, black_box};

    const BYTES: usize = 1024;
    pub(super) const PRODUCTS: u64 = BYTES as u64;

    pub(super) fn run(rounds: u64) -> u32 {
        let (codes, activations) = ([CODE; BYTES], [ACTIVATION; BYTES]);
        let mut sum = 0i32;
        for _ in 0..rounds {
            let (codes, activations) = (black_box(&codes), black_box(&activations));
            // A round is 1024 products of at most 15 bits, so its own sum cannot overflow.
            let products = codes.iter().zip(activations);
            let round: i32 = products.map(|(c, a)| i32::from(*c) * i32::from(*a)).sum();
            sum = sum.wrapping_add(round);
        }
        sum as u32
    }
}

/// Three instructions for 32 products. What never changes would be multiplied once, before the
/// loop, so the weights are the sums themselves.
#[cfg(target_arch = "x86_64")]
mod avx2 {
    use std::arch::x86_64::*;

    use super::{ACTIVATION, black_box};

    /// Independent sums: eleven cycles of latency, one step a cycle.
    pub(super) const SUMS: usize = 12;
    pub(super) const PRODUCTS: u64 = (SUMS * 32) as u64;

    #[target_feature(enable = "avx2")]
    pub(super) fn run(rounds: u64) -> u32 {
        let activations = _mm256_set1_epi8(black_box(ACTIVATION));
        let ones = _mm256_set1_epi16(black_box(1));
        let mut sums = [_mm256_setzero_si256(); SUMS];
        for (i, sum) in sums.iter_mut().enumerate() {
            *sum = _mm256_set1_epi32(black_box(i as i32));
        }
        for _ in 0..rounds {
            for sum in &mut sums {
                let pairs = _mm256_maddubs_epi16(*sum, activations);
                *sum = _mm256_add_epi32(*sum, _mm256_madd_epi16(pairs, ones));
            }
        }
        let mut total = _mm256_setzero_si256();
        for sum in sums {
            total = _mm256_add_epi32(total, sum);
        }
        let mut lanes = [0u32; 8];
        // SAFETY: 32 bytes of an array of eight words.
        unsafe { _mm256_storeu_si256(lanes.as_mut_ptr().cast(), total) };
        lanes.iter().fold(0, |sum, lane| sum.wrapping_add(*lane))
    }
}

/// One instruction for 64 products.
#[cfg(target_arch = "x86_64")]
mod avx512 {
    use std::arch::x86_64::*;

    use super::{ACTIVATION, CODE, black_box};

    /// Independent sums: five cycles of latency times two instructions a cycle, and some more.
    const SUMS: usize = 16;
    pub(super) const PRODUCTS: u64 = (SUMS * 64) as u64;

    #[target_feature(enable = "avx512f,avx512vnni")]
    pub(super) fn run(rounds: u64) -> u32 {
        let codes = _mm512_set1_epi8(black_box(CODE as i8));
        let activations = _mm512_set1_epi8(black_box(ACTIVATION));
        // Sums that begin alike would be one sum for the compiler.
        let mut sums = [_mm512_setzero_si512(); SUMS];
        for (i, sum) in sums.iter_mut().enumerate() {
            *sum = _mm512_set1_epi32(black_box(i as i32));
        }
        for _ in 0..rounds {
            for sum in &mut sums {
                *sum = _mm512_dpbusd_epi32(*sum, codes, activations);
            }
        }
        let mut total = _mm512_setzero_si512();
        for (i, sum) in sums.into_iter().enumerate() {
            total = _mm512_add_epi32(total, _mm512_sub_epi32(sum, _mm512_set1_epi32(i as i32)));
        }
        _mm512_reduce_add_epi32(total) as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The accumulators of the loop with AVX2, one byte after another.
    #[cfg(target_arch = "x86_64")]
    fn of_avx2(rounds: u64) -> u32 {
        let step = |sum: u32| {
            let product = |byte: u8| i32::from(byte) * i32::from(ACTIVATION);
            let pairs = sum.to_le_bytes().map(product);
            let pair = |a: i32, b: i32| (a + b).clamp(i32::from(i16::MIN), i32::from(i16::MAX));
            let products = pair(pairs[0], pairs[1]) + pair(pairs[2], pairs[3]);
            sum.wrapping_add(products as u32)
        };
        let lane = |i: usize| (0..rounds).fold(i as u32, |sum, _| step(sum));
        (0..avx2::SUMS).map(lane).fold(0, |all, sum| all.wrapping_add(sum.wrapping_mul(8)))
    }

    #[test]
    fn as_many_products_are_added_as_are_counted() {
        let mut compared = 0;
        for isa in Isa::available() {
            for rounds in [0, 1, 3, 100_000] {
                let work = int8_dot(isa, rounds);
                assert_eq!(work.operations > 0, rounds > 0);
                // Modulo 2³², as the sums are.
                let product = (i32::from(CODE) * i32::from(ACTIVATION)) as u32;
                let products = product.wrapping_mul((work.operations / 2) as u32);
                let expected = match isa.name() {
                    #[cfg(target_arch = "x86_64")]
                    "avx2" => of_avx2(rounds),
                    _ => products,
                };
                assert_eq!(work.checksum, expected, "{}, {rounds} rounds", isa.name());
                compared += 1;
            }
        }
        assert!(compared >= 4);
    }
}
