//! The exponential function, the same bits on every platform.
//!
//! Method: x = n·ln 2 + r with |r| ≤ ln 2 / 2; e^r by the polynomial of Cephes' `expf`
//! (S. Moshier, netlib.org/cephes); the result times 2^n. All steps are single rounded f32
//! operations, so vector code can repeat them exactly.

/// Above this, e^x is infinite in f32.
const OVERFLOW: f32 = 88.722_8;
/// Below this, e^x is less than the smallest normal f32 and given as zero.
pub(crate) const UNDERFLOW: f32 = -87.336_54;
/// Adding it to a small number leaves the nearest integer in the low bits.
pub(crate) const ROUND: f32 = 12_582_912.0;
/// ln 2 in two parts; the first has few bits, so n times it is exact.
pub(crate) const LN_2_HIGH: f32 = 0.693_359_4;
pub(crate) const LN_2_LOW: f32 = -2.121_944_4e-4;
/// Coefficients of r², …, r⁷, highest first.
pub(crate) const POLYNOMIAL: [f32; 6] =
    [1.987_569_1e-4, 1.398_199_9e-3, 8.333_452e-3, 4.166_579_6e-2, 1.666_666_5e-1, 5.000_000_3e-1];

/// e^`x`: at most 2 ULP from the exact value, 0 below −87.34, infinite above 88.72, NaN for NaN.
pub fn exp(x: f32) -> f32 {
    if x.is_nan() {
        return x;
    }
    if x > OVERFLOW {
        return f32::INFINITY;
    }
    if x < UNDERFLOW {
        return 0.0;
    }
    let n = (x * std::f32::consts::LOG2_E + ROUND) - ROUND;
    let r = (x - n * LN_2_HIGH) - n * LN_2_LOW;
    let mut p = POLYNOMIAL[0];
    for c in &POLYNOMIAL[1..] {
        p = p * r + c;
    }
    let y = p * (r * r) + r + 1.0;
    // n is −126 … 128: 2^n in two factors, because 2¹²⁸ is not an f32.
    let half = (n as i32) >> 1;
    y * power_of_two(half) * power_of_two(n as i32 - half)
}

/// [`exp`] of several numbers without branches and with the same bits, so that a loop over it
/// becomes vector code.
///
/// Each step waits for the one before; the numbers take it in turn, so that they do not wait.
#[inline(always)]
pub(crate) fn exp_each<const N: usize>(x: [f32; N]) -> [f32; N] {
    let (mut rounded, mut r, mut y) = ([0.0; N], [0.0; N], [POLYNOMIAL[0]; N]);
    for i in 0..N {
        rounded[i] = x[i] * std::f32::consts::LOG2_E + ROUND;
    }
    for i in 0..N {
        let n = rounded[i] - ROUND;
        r[i] = (x[i] - n * LN_2_HIGH) - n * LN_2_LOW;
    }
    for c in &POLYNOMIAL[1..] {
        for i in 0..N {
            y[i] = y[i] * r[i] + c;
        }
    }
    for i in 0..N {
        y[i] = y[i] * (r[i] * r[i]) + r[i] + 1.0;
    }
    for i in 0..N {
        // The low bits of `rounded` are n, and times 2^n is n more in the exponent: between the
        // bounds the result is a normal number.
        let scaled = f32::from_bits(y[i].to_bits().wrapping_add(rounded[i].to_bits() << 23));
        // Outside of the bounds `scaled` is anything, and not chosen.
        let bounded = if x[i] > OVERFLOW { f32::INFINITY } else { scaled };
        let bounded = if x[i] < UNDERFLOW { 0.0 } else { bounded };
        y[i] = if x[i].is_nan() { x[i] } else { bounded };
    }
    y
}

/// 2^`n` for −126 ≤ `n` ≤ 127.
fn power_of_two(n: i32) -> f32 {
    f32::from_bits(((n + 127) as u32) << 23)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_within_two_ulp_of_f64() {
        let mut worst = 0.0f64;
        let mut compared = 0;
        // Every 641st f32 between the bounds, both signs.
        for bits in (0..OVERFLOW.to_bits()).step_by(641) {
            for x in [f32::from_bits(bits), -f32::from_bits(bits)] {
                if x < UNDERFLOW {
                    continue;
                }
                let (actual, exact) = (exp(x), libm::exp(f64::from(x)));
                let ulp = f64::from(f32::from_bits((exact as f32).to_bits() + 1))
                    - f64::from(exact as f32);
                worst = worst.max(((f64::from(actual) - exact) / ulp).abs());
                compared += 1;
            }
        }
        assert!(compared > 3_000_000, "compared {compared}");
        assert!(worst <= 2.0, "worst error {worst} ULP");
    }

    #[test]
    fn without_branches_the_bits_are_the_same() {
        let mut compared = 0;
        // Every 641st f32, and those beside the bounds.
        let beside = [OVERFLOW, UNDERFLOW, 0.0, -0.0, f32::MAX, f32::INFINITY]
            .map(f32::to_bits)
            .into_iter()
            .flat_map(|bits| [bits.wrapping_sub(1), bits, bits.wrapping_add(1)]);
        for bits in (0..=u32::MAX).step_by(641).chain(beside) {
            let x = f32::from_bits(bits);
            let (actual, expected) = (exp_each([x])[0], exp(x));
            assert_eq!(actual.to_bits(), expected.to_bits(), "{x}: {actual} is not {expected}");
            compared += 1;
        }
        assert!(compared > 6_000_000, "compared {compared}");
    }

    #[test]
    fn ends_are_as_promised() {
        assert_eq!(exp(0.0), 1.0);
        assert_eq!(exp(-88.0), 0.0);
        assert_eq!(exp(f32::NEG_INFINITY), 0.0);
        assert_eq!(exp(89.0), f32::INFINITY);
        assert!(exp(OVERFLOW).is_finite());
        assert!(exp(UNDERFLOW) >= f32::MIN_POSITIVE);
        assert!(exp(f32::NAN).is_nan());
    }
}
