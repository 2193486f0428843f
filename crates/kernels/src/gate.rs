//! What gated activations have in common: a gate and a linear part become one number.

/// A gated activation.
pub(crate) trait Gate {
    /// Several units at once, because the exponential of one waits for each of its steps; `x` has
    /// the gate and the linear part of each.
    fn units<const N: usize>(&self, x: [[f32; 2]; N]) -> [f32; N];
}

/// Parts of the vector that are computed side by side.
const PARTS: usize = 4;

/// Each unit of `x` (`[2F]`, gate and linear part in turn) into `out` (`[F]`).
#[inline(always)]
pub(crate) fn each_unit(gate: &impl Gate, x: &[f32], out: &mut [f32]) {
    let pairs = &x.as_chunks::<2>().0[..out.len()];
    let part = out.len() / PARTS;
    for i in 0..part {
        let mut x = [[0.0; 2]; PARTS];
        for p in 0..PARTS {
            x[p] = pairs[p * part + i];
        }
        let y = gate.units(x);
        for p in 0..PARTS {
            out[p * part + i] = y[p];
        }
    }
    for i in part * PARTS..out.len() {
        out[i] = gate.units([pairs[i]])[0];
    }
}
