//! Sums of vectors: what the residual stream and the outputs of experts are made of.

use crate::every_isa::every_isa;
use crate::isa::Isa;

/// `x[i] += y[i]`.
///
/// # Panics
/// If the lengths differ.
pub fn add(isa: Isa, x: &mut [f32], y: &[f32]) {
    assert_eq!(x.len(), y.len(), "add: lengths of x and y");
    every_isa!(isa, add_body(x: &mut [f32], y: &[f32]));
}

#[inline(always)]
fn add_body(x: &mut [f32], y: &[f32]) {
    let y = &y[..x.len()];
    for (i, x) in x.iter_mut().enumerate() {
        *x += y[i];
    }
}

/// `out[i] += weight · y[i]`, the product rounded before it is added.
///
/// # Panics
/// If the lengths differ.
pub fn add_scaled(isa: Isa, out: &mut [f32], weight: f32, y: &[f32]) {
    assert_eq!(out.len(), y.len(), "add_scaled: lengths of out and y");
    every_isa!(isa, add_scaled_body(out: &mut [f32], weight: f32, y: &[f32]));
}

#[inline(always)]
fn add_scaled_body(out: &mut [f32], weight: f32, y: &[f32]) {
    let y = &y[..out.len()];
    for (i, out) in out.iter_mut().enumerate() {
        *out += weight * y[i];
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{LENGTHS, assert_same_bits, odd_noise};

    #[test]
    fn every_isa_gives_the_same_bits() {
        let mut compared = 0;
        for len in LENGTHS {
            let (x, y) = (odd_noise(len, 1), odd_noise(len, 2));
            let expected: Vec<f32> = x.iter().zip(&y).map(|(x, y)| x + y).collect();
            let scaled: Vec<f32> = x.iter().zip(&y).map(|(x, y)| x + 0.3 * y).collect();
            for isa in Isa::available() {
                let (mut plain, mut weighted) = (x.clone(), x.clone());
                add(isa, &mut plain, &y);
                add_scaled(isa, &mut weighted, 0.3, &y);
                compared += assert_same_bits(&plain, &expected, &format!("{isa:?}, add {len}"));
                let context = format!("{isa:?}, add_scaled {len}");
                compared += assert_same_bits(&weighted, &scaled, &context);
            }
        }
        assert!(compared > 7000, "{compared}");
    }

    #[test]
    fn the_product_is_rounded_before_it_is_added() {
        // (1 + 2⁻¹²)² = 1 + 2⁻¹¹ + 2⁻²⁴; the last bit would survive in a fused operation.
        let y = [1.0 + 2f32.powi(-12); 40];
        for isa in Isa::available() {
            let mut out = vec![-1.0; 40];
            add_scaled(isa, &mut out, 1.0 + 2f32.powi(-12), &y);
            assert_eq!(out, [2f32.powi(-11); 40], "{isa:?}");
        }
    }
}
