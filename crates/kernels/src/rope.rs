//! Rotary position embedding on halves of a head.
//!
//! Source: Su et al. 2021 (arXiv:2104.09864); the split into halves (pairs `i`, `i + K/2`) as in
//! `_apply_rotary_emb` of openai/gpt-oss, `gpt_oss/torch/model.py`.

use crate::cached_attention::HEAD_DIM_MAX;
use crate::dot::LANES;
use crate::every_isa::every_isa;
use crate::isa::Isa;

/// Rotates the heads of one token in place.
///
/// | argument    | shape         | meaning                                    |
/// |-------------|---------------|--------------------------------------------|
/// | `x`         | `[heads, K]`  | queries or keys                            |
/// | `cos`,`sin` | `[K / 2]`     | of the token's angles, concentration inside |
///
/// # Panics
/// If the lengths do not belong together.
pub fn rotate(isa: Isa, x: &mut [f32], cos: &[f32], sin: &[f32]) {
    let half = cos.len();
    assert_eq!(half, sin.len(), "rotate: cos and sin");
    assert!(half > 0 && x.len().is_multiple_of(2 * half), "rotate: heads of {half} pairs");
    every_isa!(isa, body(x: &mut [f32], cos: &[f32], sin: &[f32]));
}

/// As [`rotate`], for heads whose pairs are neighbours, `2i` and `2i + 1`; gives them as halves,
/// so that the result has the bits of [`rotate`] on halves.
///
/// # Panics
/// As [`rotate`], or if heads are wider than [`HEAD_DIM_MAX`].
pub fn rotate_neighbours(isa: Isa, x: &mut [f32], cos: &[f32], sin: &[f32]) {
    let half = cos.len();
    assert!(half <= HEAD_DIM_MAX / 2, "rotate_neighbours: heads of {half} pairs");
    assert!(half > 0 && x.len().is_multiple_of(2 * half), "rotate: heads of {half} pairs");
    every_isa!(isa, to_halves(x: &mut [f32], half: usize));
    rotate(isa, x, cos, sin);
}

#[inline(always)]
fn to_halves(x: &mut [f32], half: usize) {
    let mut seconds = [0.0; HEAD_DIM_MAX / 2];
    let seconds = &mut seconds[..half];
    for head in x.chunks_exact_mut(2 * half) {
        for i in 0..half {
            // Place `i` was read before it is written: 2i ≥ i.
            (head[i], seconds[i]) = (head[2 * i], head[2 * i + 1]);
        }
        head[half..].copy_from_slice(seconds);
    }
}

#[inline(always)]
fn body(x: &mut [f32], cos: &[f32], sin: &[f32]) {
    let half = cos.len();
    let (cos, cos_tail) = cos.as_chunks::<LANES>();
    let (sin, sin_tail) = sin.as_chunks::<LANES>();
    for head in x.chunks_exact_mut(2 * half) {
        let (first, second) = head.split_at_mut(half);
        let (first, first_tail) = first.as_chunks_mut::<LANES>();
        let (second, second_tail) = second.as_chunks_mut::<LANES>();
        for (c, first) in first.iter_mut().enumerate() {
            // Copies tell the compiler that nothing overlaps.
            let (a, b, cos, sin) = (*first, second[c], cos[c], sin[c]);
            for i in 0..LANES {
                first[i] = a[i] * cos[i] - b[i] * sin[i];
            }
            for i in 0..LANES {
                second[c][i] = b[i] * cos[i] + a[i] * sin[i];
            }
        }
        for (i, first) in first_tail.iter_mut().enumerate() {
            let (a, b) = (*first, second_tail[i]);
            *first = a * cos_tail[i] - b * sin_tail[i];
            second_tail[i] = b * cos_tail[i] + a * sin_tail[i];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{LENGTHS, assert_same_bits, noise, odd_noise};

    #[test]
    fn pairs_are_halves_not_neighbours() {
        // A quarter turn of the first pair only.
        for isa in Isa::available() {
            let mut x = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0];
            rotate(isa, &mut x, &[0.0, 1.0], &[1.0, 0.0]);
            assert_eq!(x, [-3.0, 2.0, 1.0, 4.0, -7.0, 6.0, 5.0, 8.0], "{isa:?}");
        }
    }

    #[test]
    fn neighbours_become_halves() {
        let mut compared = 0;
        for half in [1, 3, 8, 32, 64, HEAD_DIM_MAX / 2] {
            let halves = noise(2 * half * 3, 1);
            let mut neighbours = vec![0.0; halves.len()];
            for (i, x) in halves.iter().enumerate() {
                let (head, within) = (i / (2 * half), i % (2 * half));
                neighbours[head * 2 * half + within % half * 2 + within / half] = *x;
            }
            let (cos, sin) = (noise(half, 3), noise(half, 4));
            let mut expected = halves;
            rotate(Isa::PORTABLE, &mut expected, &cos, &sin);
            for isa in Isa::available() {
                let mut rotated = neighbours.clone();
                rotate_neighbours(isa, &mut rotated, &cos, &sin);
                compared += assert_same_bits(&rotated, &expected, &format!("{isa:?}, {half}"));
            }
        }
        assert!(compared > 1000, "{compared}");
    }

    #[test]
    fn every_isa_gives_the_same_bits() {
        let mut compared = 0;
        for half in LENGTHS {
            for x in [noise(2 * half * 3, 1), odd_noise(2 * half * 3, 2)] {
                let (cos, sin) = (noise(half, 3), noise(half, 4));
                let mut expected = x.clone();
                rotate(Isa::PORTABLE, &mut expected, &cos, &sin);
                for isa in Isa::available() {
                    let mut rotated = x.clone();
                    rotate(isa, &mut rotated, &cos, &sin);
                    compared += assert_same_bits(&rotated, &expected, &format!("{isa:?}, {half}"));
                }
            }
        }
        assert!(compared > 40_000, "{compared}");
    }
}
