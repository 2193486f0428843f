//! The weights that tokens are drawn with: a softmax that is not normalised.

use crate::every_isa::every_isa;
use crate::exp::exp_each;
use crate::isa::Isa;

/// `weights[i] = exp((logits[i] − max) / temperature)`.
///
/// | argument      | shape | meaning                                       |
/// |---------------|-------|-----------------------------------------------|
/// | `logits`      | `[V]` | of the model, with bias and penalties         |
/// | `max`         |       | their largest, so that no weight is above 1   |
/// | `temperature` | `> 0` | 1 changes nothing                             |
/// | `weights`     | `[V]` | as [`exp`](crate::exp()) gives them           |
///
/// # Panics
/// If the lengths differ.
pub fn exp_weights(isa: Isa, logits: &[f32], max: f32, temperature: f32, weights: &mut [f32]) {
    assert_eq!(logits.len(), weights.len(), "exp_weights: lengths of logits and weights");
    every_isa!(isa, body(logits: &[f32], max: f32, temperature: f32, weights: &mut [f32]));
}

/// Parts of the vector that are computed side by side.
const PARTS: usize = 4;

#[inline(always)]
fn body(logits: &[f32], max: f32, temperature: f32, weights: &mut [f32]) {
    let logits = &logits[..weights.len()];
    let part = weights.len() / PARTS;
    for i in 0..part {
        let mut x = [0.0; PARTS];
        for p in 0..PARTS {
            x[p] = (logits[p * part + i] - max) / temperature;
        }
        let y = exp_each(x);
        for p in 0..PARTS {
            weights[p * part + i] = y[p];
        }
    }
    for i in part * PARTS..weights.len() {
        weights[i] = exp_each([(logits[i] - max) / temperature])[0];
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exp::exp;
    use crate::testing::{LENGTHS, assert_same_bits, noise, odd_noise};

    #[test]
    fn every_isa_gives_the_bits_of_exp() {
        let mut compared = 0;
        for len in LENGTHS {
            let wide: Vec<f32> = noise(len, 1).iter().map(|x| x * 60.0).collect();
            for x in [wide, odd_noise(len, 2)] {
                for (max, temperature) in [(60.0, 1.0), (1.0, 0.7), (0.0, 0.01)] {
                    let weight = |x: &f32| exp((x - max) / temperature);
                    let expected: Vec<f32> = x.iter().map(weight).collect();
                    for isa in Isa::available() {
                        let mut weights = vec![0.0; len];
                        exp_weights(isa, &x, max, temperature, &mut weights);
                        let context = format!("{isa:?}, {len}, temperature {temperature}");
                        compared += assert_same_bits(&weights, &expected, &context);
                    }
                }
            }
        }
        assert!(compared > 20_000, "{compared}");
    }
}
