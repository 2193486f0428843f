//! The gated activation of gpt-oss's experts.
//!
//! Source: `swiglu` of openai/gpt-oss, `gpt_oss/torch/model.py`: the gate is bounded above, the
//! linear part on both sides, and one is added to the linear part.

use crate::every_isa::every_isa;
use crate::exp::exp_each;
use crate::gate::{Gate, each_unit};
use crate::isa::Isa;

/// Slope of the sigmoid in gpt-oss.
const ALPHA: f32 = 1.702;

/// `out[f] = g·σ(1.702·g)·(u + 1)` with `g = min(x[2f], limit)`, `u = clamp(x[2f+1], ±limit)`.
///
/// | argument | shape    | meaning                                    |
/// |----------|----------|--------------------------------------------|
/// | `x`      | `[2F]`   | gate and linear part of each unit, in turn |
/// | `limit`  | `> 0`    | `swiglu_limit`, 7                          |
/// | `out`    | `[F]`    | activations                                |
///
/// # Panics
/// If `x` is not twice as long as `out`.
pub fn swiglu(isa: Isa, x: &[f32], limit: f32, out: &mut [f32]) {
    assert_eq!(x.len(), 2 * out.len(), "swiglu: lengths of x and out");
    every_isa!(isa, body(x: &[f32], limit: f32, out: &mut [f32]));
}

#[inline(always)]
fn body(x: &[f32], limit: f32, out: &mut [f32]) {
    each_unit(&SwiGlu { limit }, x, out);
}

struct SwiGlu {
    limit: f32,
}

impl Gate for SwiGlu {
    #[inline(always)]
    fn units<const N: usize>(&self, x: [[f32; 2]; N]) -> [f32; N] {
        let limit = self.limit;
        let (mut gates, mut exponents) = ([0.0; N], [0.0; N]);
        for i in 0..N {
            // Written out, because `min` and `max` cost one more comparison; NaN becomes the bound.
            gates[i] = if x[i][0] < limit { x[i][0] } else { limit };
            exponents[i] = -ALPHA * gates[i];
        }
        let mut out = exp_each(exponents);
        for i in 0..N {
            let linear = if x[i][1] > -limit { x[i][1] } else { -limit };
            let linear = if linear < limit { linear } else { limit };
            out[i] = gates[i] / (1.0 + out[i]) * (linear + 1.0);
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{LENGTHS, assert_same_bits, noise, odd_noise};

    fn one(gate: f32, linear: f32) -> f32 {
        let mut out = [0.0];
        swiglu(Isa::detect(), &[gate, linear], 7.0, &mut out);
        out[0]
    }

    #[test]
    fn agrees_with_f64() {
        for gate in [-30.0, -7.5, -1.0, 0.0, 0.3, 6.9f32] {
            for linear in [-6.0, 0.0, 2.5f32] {
                let (g, u) = (f64::from(gate), f64::from(linear));
                let exact = g / (1.0 + (-f64::from(ALPHA) * g).exp()) * (u + 1.0);
                let actual = f64::from(one(gate, linear));
                assert!((actual - exact).abs() <= 1e-5 * exact.abs() + 1e-12, "{actual} {exact}");
            }
        }
    }

    #[test]
    fn clamps_the_gate_above_and_the_linear_part_on_both_sides() {
        assert_eq!(one(9.0, 1.0), one(7.0, 1.0));
        assert_eq!(one(1.0, 9.0), one(1.0, 7.0));
        assert_eq!(one(1.0, -9.0), one(1.0, -7.0));
        assert_ne!(one(-9.0, 1.0), one(-7.0, 1.0), "the gate has no lower bound");
        assert_ne!(one(1.0, -7.0), one(1.0, -6.9));
    }

    #[test]
    fn every_isa_gives_the_same_bits() {
        let mut compared = 0;
        for len in LENGTHS {
            let wide: Vec<f32> = noise(2 * len, 1).iter().map(|x| x * 20.0).collect();
            for x in [wide, odd_noise(2 * len, 2)] {
                let mut expected = vec![0.0; len];
                swiglu(Isa::PORTABLE, &x, 7.0, &mut expected);
                for isa in Isa::available() {
                    let mut out = vec![0.0; len];
                    swiglu(isa, &x, 7.0, &mut out);
                    compared += assert_same_bits(&out, &expected, &format!("{isa:?}, {len}"));
                }
            }
        }
        assert!(compared > 7000, "{compared}");
    }
}
