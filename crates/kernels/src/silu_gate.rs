//! The gated activation of dense models.
//!
//! Source: `LlamaMLP` of transformers, modeling_llama.py; Shazeer 2020 (arXiv:2002.05202), SwiGLU.

use crate::every_isa::every_isa;
use crate::exp::exp_each;
use crate::gate::{Gate, each_unit};
use crate::isa::Isa;

/// `out[f] = g·σ(g)·u` with `g = x[2f]` and `u = x[2f+1]`.
///
/// | argument | shape  | meaning                                    |
/// |----------|--------|--------------------------------------------|
/// | `x`      | `[2F]` | gate and linear part of each unit, in turn |
/// | `out`    | `[F]`  | activations                                |
///
/// # Panics
/// If `x` is not twice as long as `out`.
pub fn silu_gate(isa: Isa, x: &[f32], out: &mut [f32]) {
    assert_eq!(x.len(), 2 * out.len(), "silu_gate: lengths of x and out");
    every_isa!(isa, body(x: &[f32], out: &mut [f32]));
}

#[inline(always)]
fn body(x: &[f32], out: &mut [f32]) {
    each_unit(&SiluGate, x, out);
}

struct SiluGate;

impl Gate for SiluGate {
    #[inline(always)]
    fn units<const N: usize>(&self, x: [[f32; 2]; N]) -> [f32; N] {
        let mut out = exp_each(x.map(|[gate, _]| -gate));
        for i in 0..N {
            out[i] = x[i][0] / (1.0 + out[i]) * x[i][1];
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{LENGTHS, assert_same_bits, noise, odd_noise};

    #[test]
    fn agrees_with_f64() {
        for gate in [-80.0, -7.5, -1.0, 0.0, 0.3, 6.9, 50.0f32] {
            for linear in [-60.0, 0.0, 2.5f32] {
                let (g, u) = (f64::from(gate), f64::from(linear));
                let exact = g / (1.0 + (-g).exp()) * u;
                let mut out = [0.0];
                silu_gate(Isa::detect(), &[gate, linear], &mut out);
                let actual = f64::from(out[0]);
                assert!((actual - exact).abs() <= 1e-6 * exact.abs() + 1e-30, "{actual} {exact}");
            }
        }
    }

    #[test]
    fn every_isa_gives_the_same_bits() {
        let mut compared = 0;
        for len in LENGTHS {
            let wide: Vec<f32> = noise(2 * len, 1).iter().map(|x| x * 20.0).collect();
            for x in [wide, odd_noise(2 * len, 2)] {
                let mut expected = vec![0.0; len];
                silu_gate(Isa::PORTABLE, &x, &mut expected);
                for isa in Isa::available() {
                    let mut out = vec![0.0; len];
                    silu_gate(isa, &x, &mut out);
                    compared += assert_same_bits(&out, &expected, &format!("{isa:?}, {len}"));
                }
            }
        }
        assert!(compared > 7000, "{compared}");
    }
}
