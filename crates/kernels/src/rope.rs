//! Rotary position embedding on halves of a head.
//!
//! Source: Su et al. 2021 (arXiv:2104.09864); the split into halves (pairs `i`, `i + K/2`) as in
//! `_apply_rotary_emb` of openai/gpt-oss, `gpt_oss/torch/model.py`.

/// Rotates the heads of one token in place.
///
/// | argument    | shape         | meaning                                    |
/// |-------------|---------------|--------------------------------------------|
/// | `x`         | `[heads, K]`  | queries or keys                            |
/// | `cos`,`sin` | `[K / 2]`     | of the token's angles, concentration inside |
///
/// # Panics
/// If the lengths do not belong together.
pub fn rotate(x: &mut [f32], cos: &[f32], sin: &[f32]) {
    let half = cos.len();
    assert_eq!(half, sin.len(), "rotate: cos and sin");
    assert!(half > 0 && x.len().is_multiple_of(2 * half), "rotate: heads of {half} pairs");
    for head in x.chunks_exact_mut(2 * half) {
        let (first, second) = head.split_at_mut(half);
        for ((a, b), (cos, sin)) in first.iter_mut().zip(second).zip(cos.iter().zip(sin)) {
            (*a, *b) = (*a * cos - *b * sin, *b * cos + *a * sin);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_are_halves_not_neighbours() {
        // A quarter turn of the first pair only.
        let mut x = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0];
        rotate(&mut x, &[0.0, 1.0], &[1.0, 0.0]);
        assert_eq!(x, [-3.0, 2.0, 1.0, 4.0, -7.0, 6.0, 5.0, 8.0]);
    }
}
