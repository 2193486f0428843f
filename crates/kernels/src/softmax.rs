//! Softmax over the logits of the chosen experts.

use crate::dot::sum;
use crate::exp::exp;

/// Replaces logits by their softmax.
///
/// The maximum is subtracted first; the sum has the order of [`sum`].
///
/// # Panics
/// If `x` is empty.
pub fn softmax(x: &mut [f32]) {
    assert!(!x.is_empty(), "softmax: x is empty");
    let max = x.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    x.iter_mut().for_each(|v| *v = exp(*v - max));
    let factor = 1.0 / sum(x);
    x.iter_mut().for_each(|v| *v *= factor);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::noise;

    #[test]
    fn agrees_with_f64() {
        for len in [1, 4, 17, 128] {
            let x: Vec<f32> = noise(len, 3).iter().map(|v| v * 20.0).collect();
            let mut actual = x.clone();
            softmax(&mut actual);
            let z: f64 = x.iter().map(|&v| f64::from(v).exp()).sum();
            for (a, &x) in actual.iter().zip(&x) {
                let exact = f64::from(x).exp() / z;
                assert!((f64::from(*a) - exact).abs() <= 2e-6 * exact + 1e-37, "{a} {exact}");
            }
        }
    }
}
