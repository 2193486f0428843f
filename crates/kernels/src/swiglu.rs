//! The gated activation of gpt-oss's experts.
//!
//! Source: `swiglu` of openai/gpt-oss, `gpt_oss/torch/model.py`: the gate is bounded above, the
//! linear part on both sides, and one is added to the linear part.

use crate::exp::exp;

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
pub fn swiglu(x: &[f32], limit: f32, out: &mut [f32]) {
    assert_eq!(x.len(), 2 * out.len(), "swiglu: lengths of x and out");
    for (pair, out) in x.as_chunks::<2>().0.iter().zip(out) {
        let gate = pair[0].min(limit);
        let linear = pair[1].max(-limit).min(limit);
        *out = gate / (1.0 + exp(-ALPHA * gate)) * (linear + 1.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(gate: f32, linear: f32) -> f32 {
        let mut out = [0.0];
        swiglu(&[gate, linear], 7.0, &mut out);
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
}
