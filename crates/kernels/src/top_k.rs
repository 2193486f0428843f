//! The largest entries of a short vector.

/// Writes the indices of the `chosen.len()` largest of `x`, largest first; among equals the lower
/// index comes first.
///
/// NaN counts as the smallest value. The choice is kept sorted while `x` is read once, right for
/// the few experts of a token.
///
/// # Panics
/// If more entries are asked for than there are.
pub fn top_k(x: &[f32], chosen: &mut [usize]) {
    assert!(chosen.len() <= x.len(), "top_k: {} of {}", chosen.len(), x.len());
    let better = |a: f32, b: f32| a > b || (b.is_nan() && !a.is_nan());
    let mut taken = 0;
    for (i, value) in x.iter().enumerate() {
        let mut place = taken;
        while place > 0 && better(*value, x[chosen[place - 1]]) {
            place -= 1;
        }
        if place < chosen.len() {
            taken = (taken + 1).min(chosen.len());
            chosen.copy_within(place..taken - 1, place + 1);
            chosen[place] = i;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{noise, odd_noise};

    #[test]
    fn ties_go_to_the_lower_index() {
        let mut chosen = [0; 4];
        top_k(&[1.0, 3.0, 3.0, f32::NAN, 2.0, 3.0], &mut chosen);
        assert_eq!(chosen, [1, 2, 5, 4]);
        let mut all = [0; 2];
        top_k(&[f32::NAN, -1.0], &mut all);
        assert_eq!(all, [1, 0]);
    }

    #[test]
    fn agrees_with_a_stable_sort() {
        let mut compared = 0;
        for len in 1..40 {
            for seed in 0..5 {
                let coarse: Vec<f32> =
                    noise(len, seed).iter().map(|x| (x * 4.0).round() + 0.0).collect();
                for x in [noise(len, seed), odd_noise(len, seed), coarse] {
                    // NaN below everything; equal zeros of both signs keep their order.
                    let mut order: Vec<usize> = (0..len).collect();
                    order.sort_by(|a, b| match (x[*a].is_nan(), x[*b].is_nan()) {
                        (false, false) => x[*b].partial_cmp(&x[*a]).expect("no NaN"),
                        (a, b) => a.cmp(&b),
                    });
                    for k in 0..=len.min(9) {
                        let mut chosen = vec![0; k];
                        top_k(&x, &mut chosen);
                        assert_eq!(chosen, order[..k], "{k} of {x:?}");
                        compared += k;
                    }
                }
            }
        }
        assert!(compared > 10_000, "{compared}");
    }
}
