//! Softmax over the logits of the chosen experts.

use crate::argmax::max;
use crate::dot::sum;
use crate::every_isa::every_isa;
use crate::exp::exp_each;
use crate::isa::Isa;

/// Replaces logits by their softmax.
///
/// The maximum is subtracted first; the sum has the order of [`sum`].
///
/// # Panics
/// If `x` is empty.
pub fn softmax(isa: Isa, x: &mut [f32]) {
    assert!(!x.is_empty(), "softmax: x is empty");
    every_isa!(isa, body(x: &mut [f32]));
}

#[inline(always)]
fn body(x: &mut [f32]) {
    let max = max(x);
    for x in x.iter_mut() {
        *x = exp_each([*x - max])[0];
    }
    let factor = 1.0 / sum(x);
    for x in x {
        *x *= factor;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{LENGTHS, assert_same_bits, noise, odd_noise};

    #[test]
    fn agrees_with_f64() {
        for len in [1, 4, 17, 128] {
            let x: Vec<f32> = noise(len, 3).iter().map(|v| v * 20.0).collect();
            let mut actual = x.clone();
            softmax(Isa::detect(), &mut actual);
            let z: f64 = x.iter().map(|&v| f64::from(v).exp()).sum();
            for (a, &x) in actual.iter().zip(&x) {
                let exact = f64::from(x).exp() / z;
                assert!((f64::from(*a) - exact).abs() <= 2e-6 * exact + 1e-37, "{a} {exact}");
            }
        }
    }

    #[test]
    fn every_isa_gives_the_same_bits() {
        let mut compared = 0;
        for len in LENGTHS {
            for x in [noise(len, 1), odd_noise(len, 2)] {
                let mut expected = x.clone();
                softmax(Isa::PORTABLE, &mut expected);
                for isa in Isa::available() {
                    let mut shares = x.clone();
                    softmax(isa, &mut shares);
                    compared += assert_same_bits(&shares, &expected, &format!("{isa:?}, {len}"));
                }
            }
        }
        assert!(compared > 7000, "{compared}");
    }
}
