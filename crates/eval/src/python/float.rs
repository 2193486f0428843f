//! Sums in the order of Python and numpy.

/// `sum(values)` of CPython up to 3.11: from left to right, one rounding for each addition.
///
/// From 3.12 on, Python compensates; the harness is anchored at 3.11.
pub fn sum(values: &[f64]) -> f64 {
    // `Iterator::sum` begins with -0.0, Python with the integer 0.
    values.iter().fold(0.0, |total, value| total + value)
}

/// `sum(values) / len(values)`; nothing of no values.
pub fn mean(values: &[f64]) -> Option<f64> {
    (!values.is_empty()).then(|| sum(values) / values.len() as f64)
}

/// `numpy.sum` of one axis: blocks of at most 128 values in eight running sums, halves of more.
///
/// Source: numpy `loops_utils.h.src`, `pairwise_sum`.
pub fn pairwise_sum(values: &[f64]) -> f64 {
    let n = values.len();
    if n < 8 {
        // numpy begins with -0.0, which only shows in a sum of nothing but -0.0.
        return values.iter().fold(-0.0, |total, value| total + value) + 0.0;
    }
    if n > 128 {
        let half = n / 2 - (n / 2) % 8;
        return pairwise_sum(&values[..half]) + pairwise_sum(&values[half..]);
    }
    let (blocks, rest) = values.as_chunks::<8>();
    let mut r = blocks[0];
    for block in &blocks[1..] {
        for (sum, value) in r.iter_mut().zip(block) {
            *sum += value;
        }
    }
    let total = ((r[0] + r[1]) + (r[2] + r[3])) + ((r[4] + r[5]) + (r[6] + r[7]));
    rest.iter().fold(total, |total, value| total + value)
}

/// `numpy.argmax`: the first place of the largest value, or of the first NaN; 0 of no values.
pub fn first_max(values: &[f64]) -> usize {
    let mut best = 0;
    for (i, value) in values.iter().enumerate() {
        if value.is_nan() {
            return i;
        }
        if *value > values[best] {
            best = i;
        }
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_from_left_to_right() {
        assert_eq!(sum(&[0.1; 10]), 0.9999999999999999);
        assert_eq!(mean(&[]), None);
        assert_eq!(mean(&[1.0, 0.0, 0.0]), Some(1.0 / 3.0));
    }

    #[test]
    fn sums_as_numpy_does() {
        // Values 1/(i+1): the sum of each length is what numpy 2.4.6 prints.
        let values: Vec<f64> = (0..300).map(|i| 1.0 / f64::from(i + 1)).collect();
        let text = include_str!("../../../../testdata/eval/pairwise.txt");
        let expected: Vec<f64> = text.lines().map(|line| line.parse().unwrap()).collect();
        assert_eq!(expected.len(), 301);
        for (n, expected) in expected.iter().enumerate() {
            assert_eq!(pairwise_sum(&values[..n]).to_bits(), expected.to_bits(), "{n} values");
        }
        assert!((0..=300).any(|n| sum(&values[..n]) != pairwise_sum(&values[..n])));
    }

    #[test]
    fn the_first_of_equals_wins() {
        assert_eq!(first_max(&[-2.0, -1.0, -1.0]), 1);
        assert_eq!(first_max(&[0.0, f64::NAN, 1.0, f64::NAN]), 1);
        assert_eq!(first_max(&[f64::NEG_INFINITY; 2]), 0);
    }
}
