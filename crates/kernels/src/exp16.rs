//! The exponential function of sixteen numbers up to 0, with the bits of [`exp`](crate::exp()).
//!
//! The steps are those of `exp.rs`; what remains of its branches is a choice between finished
//! results. It is plain Rust that is inlined into functions compiled for wider vectors, where the
//! loop becomes vector code; the compiler never fuses products and sums, so the bits stay.

use crate::exp::{LN_2_HIGH, LN_2_LOW, POLYNOMIAL, ROUND, UNDERFLOW};

/// Replaces each number, which is at most 0 or NaN, by its exponential: the bits of `exp`.
#[allow(clippy::needless_range_loop)] // Iterators are not inlined into such functions.
#[inline(always)]
pub(crate) fn exp16(x: &mut [f32; 16]) {
    for i in 0..x.len() {
        x[i] = lane(x[i]);
    }
}

#[inline(always)]
fn lane(x: f32) -> f32 {
    let shifted = x * std::f32::consts::LOG2_E + ROUND;
    let n = shifted - ROUND;
    let r = (x - n * LN_2_HIGH) - n * LN_2_LOW;
    let [a, b, c, d, e, f] = POLYNOMIAL;
    let p = ((((a * r + b) * r + c) * r + d) * r + e) * r + f;
    let y = p * (r * r) + r + 1.0;
    // The integer n, −126 … 0, is in the low bits of `shifted`; where x is less than the bound,
    // these are of no use. One factor is enough: `exp` needs two only for 2¹²⁸, and they are exact.
    let exponent = shifted.to_bits().wrapping_sub(ROUND.to_bits()).wrapping_add(127);
    let y = y * f32::from_bits(exponent << 23);
    if x < UNDERFLOW { 0.0 } else { y }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exp;

    #[test]
    fn every_lane_has_the_bits_of_exp() {
        let mut compared = 0;
        // Every 165th f32 from −0 to −∞ and on to NaN, and some that matter.
        let negative = ((-0.0f32).to_bits()..=u32::MAX).step_by(165).map(f32::from_bits);
        let ends = [0.0, UNDERFLOW, -87.4, -1e30, f32::NEG_INFINITY, f32::NAN];
        let all: Vec<f32> = negative.chain(ends).collect();
        for x in all.as_chunks::<16>().0.iter().chain([all.last_chunk().expect("many numbers")]) {
            let mut actual = *x;
            exp16(&mut actual);
            for (x, actual) in x.iter().zip(&actual) {
                let expected = exp(*x);
                let same = actual.to_bits() == expected.to_bits();
                assert!(same || (x.is_nan() && actual.is_nan()), "exp({x:e}): {actual:e}");
                compared += 1;
            }
        }
        assert!(compared > 12_000_000, "compared {compared}");
    }
}
