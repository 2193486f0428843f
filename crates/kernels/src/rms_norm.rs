//! Root-mean-square layer normalisation: `y[i] = x[i] / sqrt(mean(x²) + eps) · scale[i]`.
//!
//! Source: Zhang & Sennrich 2019 (arXiv:1910.07467), equation 4; `eps` and the f32 arithmetic as
//! in `RMSNorm` of openai/gpt-oss, `gpt_oss/torch/model.py`.

use crate::dot::dot;
use crate::every_isa::every_isa;
use crate::isa::Isa;

/// Writes the normalised activations of one token to `out`.
///
/// | argument | shape           | meaning                                            |
/// |----------|-----------------|----------------------------------------------------|
/// | `x`      | `[hidden_size]` | residual stream                                    |
/// | `scale`  | `[hidden_size]` | learned gain                                       |
/// | `eps`    | `> 0`           | added to the mean of squares; `rms_norm_eps`, 1e-5 |
/// | `out`    | `[hidden_size]` | normalised activations                             |
///
/// # Panics
/// If the lengths differ or are zero.
pub fn rms_norm(isa: Isa, x: &[f32], scale: &[f32], eps: f32, out: &mut [f32]) {
    assert!(!x.is_empty(), "rms_norm: x is empty");
    assert_eq!(x.len(), scale.len(), "rms_norm: lengths of x and scale");
    assert_eq!(x.len(), out.len(), "rms_norm: lengths of x and out");
    every_isa!(isa, body(x: &[f32], scale: &[f32], eps: f32, out: &mut [f32]));
}

#[inline(always)]
fn body(x: &[f32], scale: &[f32], eps: f32, out: &mut [f32]) {
    let root = (dot(x, x) / x.len() as f32 + eps).sqrt();
    let factor = 1.0 / root;
    let (x, scale) = (&x[..out.len()], &scale[..out.len()]);
    for (i, out) in out.iter_mut().enumerate() {
        *out = x[i] * factor * scale[i];
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{LENGTHS, assert_same_bits, noise, odd_noise};

    #[test]
    fn agrees_with_f64() {
        for len in [1, 15, 16, 17, 47, 2880] {
            let (x, scale) = (noise(len, 1), noise(len, 2));
            let mut out = vec![0.0; len];
            rms_norm(Isa::detect(), &x, &scale, 1e-5, &mut out);
            let mean = x.iter().map(|&v| f64::from(v).powi(2)).sum::<f64>() / len as f64;
            // Rounding errors of a sum of n terms grow like √n.
            let bound = (4.0 + (len as f64).sqrt()) * f64::from(f32::EPSILON);
            for i in 0..len {
                let exact = f64::from(x[i]) / (mean + 1e-5).sqrt() * f64::from(scale[i]);
                let error = (f64::from(out[i]) - exact).abs();
                assert!(error <= bound * exact.abs(), "length {len}, [{i}]: {} {exact}", out[i]);
            }
        }
    }

    #[test]
    fn every_isa_gives_the_same_bits() {
        let mut compared = 0;
        for len in LENGTHS {
            for x in [noise(len, 3), odd_noise(len, 4)] {
                let scale = noise(len, 5);
                let mut expected = vec![0.0; len];
                rms_norm(Isa::PORTABLE, &x, &scale, 1e-5, &mut expected);
                for isa in Isa::available() {
                    let mut out = vec![0.0; len];
                    rms_norm(isa, &x, &scale, 1e-5, &mut out);
                    compared += assert_same_bits(&out, &expected, &format!("{isa:?}, {len}"));
                }
            }
        }
        assert!(compared > 7000, "{compared}");
    }
}
