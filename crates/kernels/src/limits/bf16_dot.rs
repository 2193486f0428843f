//! Products of pairs of bfloat16, added in f32: an instruction that few CPUs have.

use super::Work;

/// Whether this CPU multiplies bfloat16 (AVX512-BF16: Cooper Lake, Sapphire Rapids, Zen 4).
pub fn has_bf16_dot() -> bool {
    #[cfg(target_arch = "x86_64")]
    let has = is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512bf16");
    #[cfg(not(target_arch = "x86_64"))]
    let has = false;
    has
}

/// `rounds` rounds of products of bfloat16, or `None` without [`has_bf16_dot`].
///
/// The checksum is the bits of the sum of all products.
pub fn bf16_dot(rounds: u64) -> Option<Work> {
    if !has_bf16_dot() {
        return None;
    }
    #[cfg(target_arch = "x86_64")]
    // SAFETY: `has_bf16_dot` has found AVX-512 F and AVX512-BF16.
    let work = Some(unsafe { avx512::run(rounds) });
    #[cfg(not(target_arch = "x86_64"))]
    let work = None;
    work
}

#[cfg(target_arch = "x86_64")]
mod avx512 {
    use std::arch::x86_64::*;
    use std::hint::black_box;

    use super::Work;

    /// Independent sums: six cycles of latency times two instructions a cycle, and some more.
    const SUMS: usize = 16;
    /// The upper halves of the bits of 1.0 and of 2⁻¹⁰ as f32.
    const ONE: i16 = 0x3f80;
    const SMALL: i16 = 0x3a80;

    #[target_feature(enable = "avx512f,avx512bf16")]
    pub(super) fn run(rounds: u64) -> Work {
        let [x, y] = [ONE, SMALL].map(black_box);
        // SAFETY: both types are 64 bytes, and every pattern of bits is a value of either.
        let x: __m512bh = unsafe { std::mem::transmute(_mm512_set1_epi16(x)) };
        // SAFETY: as above.
        let y: __m512bh = unsafe { std::mem::transmute(_mm512_set1_epi16(y)) };
        let mut sums = [_mm512_setzero_ps(); SUMS];
        for (i, sum) in sums.iter_mut().enumerate() {
            *sum = _mm512_set1_ps(black_box(i as f32));
        }
        for _ in 0..rounds {
            for sum in &mut sums {
                *sum = _mm512_dpbf16_ps(*sum, x, y);
            }
        }
        let mut total = _mm512_setzero_ps();
        for (i, sum) in sums.into_iter().enumerate() {
            total = _mm512_add_ps(total, _mm512_sub_ps(sum, _mm512_set1_ps(i as f32)));
        }
        let checksum = _mm512_reduce_add_ps(total).to_bits();
        Work { operations: 2 * (SUMS * 32) as u64 * rounds, checksum }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_many_products_are_added_as_are_counted() {
        for rounds in [0, 1, 64] {
            let found = bf16_dot(rounds);
            assert_eq!(found.is_some(), has_bf16_dot());
            if let Some(work) = found {
                // Each product is 2⁻¹⁰; the sums stay whole multiples of it below 2¹³.
                let expected = (work.operations / 2) as f32 / 1024.0;
                assert_eq!(f32::from_bits(work.checksum), expected, "{rounds} rounds");
            }
        }
    }
}
