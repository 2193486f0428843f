//! The largest entries of a short vector.

/// Writes the indices of the `chosen.len()` largest of `x`, largest first; among equals the lower
/// index comes first.
///
/// NaN counts as the smallest value. The cost is `x.len() · chosen.len()`, right for the few
/// experts of a token.
///
/// # Panics
/// If more entries are asked for than there are.
pub fn top_k(x: &[f32], chosen: &mut [usize]) {
    assert!(chosen.len() <= x.len(), "top_k: {} of {}", chosen.len(), x.len());
    for k in 0..chosen.len() {
        let (taken, rest) = chosen.split_at_mut(k);
        let better = |i: usize, best: usize| x[i] > x[best] || (x[best].is_nan() && !x[i].is_nan());
        rest[0] = (0..x.len())
            .filter(|i| !taken.contains(i))
            .reduce(|best, i| if better(i, best) { i } else { best })
            .expect("fewer are taken than there are");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ties_go_to_the_lower_index() {
        let mut chosen = [0; 4];
        top_k(&[1.0, 3.0, 3.0, f32::NAN, 2.0, 3.0], &mut chosen);
        assert_eq!(chosen, [1, 2, 5, 4]);
        let mut all = [0; 2];
        top_k(&[f32::NAN, -1.0], &mut all);
        assert_eq!(all, [1, 0]);
    }
}
