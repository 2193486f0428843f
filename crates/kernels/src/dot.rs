//! Sums in one fixed order.
//!
//! Sixteen partial sums, element `i` in lane `i mod 16`; then lanes `i` and `i + 8` are added,
//! then `i + 4`, `i + 2`, `i + 1`. Vector code of 4, 8 or 16 lanes can keep this order, so every
//! instruction set gives the same bits (`docs/numerics.md`).

/// Partial sums of every reduction.
pub(crate) const LANES: usize = 16;

/// The dot product of two vectors, each product rounded before it is added.
///
/// The error is at most about (n/16 + 5)·2⁻²⁴ times the sum of |aᵢ·bᵢ|.
///
/// # Panics
/// If the lengths differ.
#[inline(always)]
pub fn dot(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len(), "dot: lengths");
    let (a, a_tail) = a.as_chunks::<LANES>();
    let (b, b_tail) = b.as_chunks::<LANES>();
    let mut lanes = [0.0; LANES];
    let b = &b[..a.len()];
    for (c, a) in a.iter().enumerate() {
        for i in 0..LANES {
            lanes[i] += a[i] * b[c][i];
        }
    }
    for (i, a) in a_tail.iter().enumerate() {
        lanes[i] += a * b_tail[i];
    }
    reduce(lanes)
}

/// The sum of a vector.
#[inline(always)]
pub fn sum(x: &[f32]) -> f32 {
    let (chunks, tail) = x.as_chunks::<LANES>();
    let mut lanes = [0.0; LANES];
    for chunk in chunks {
        for i in 0..LANES {
            lanes[i] += chunk[i];
        }
    }
    for (i, x) in tail.iter().enumerate() {
        lanes[i] += x;
    }
    reduce(lanes)
}

/// Folds the lanes of a sum.
#[inline(always)]
pub(crate) fn reduce(lanes: [f32; LANES]) -> f32 {
    let mut sums = [0.0; 8];
    for i in 0..8 {
        sums[i] = lanes[i] + lanes[i + 8];
    }
    for i in 0..4 {
        sums[i] += sums[i + 4];
    }
    (sums[0] + sums[2]) + (sums[1] + sums[3])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::noise;

    /// Lengths around one and two vectors, and the models' own.
    const LENGTHS: [usize; 10] = [0, 1, 15, 16, 17, 31, 33, 64, 2880, 4096];

    #[test]
    fn agrees_with_f64() {
        for len in LENGTHS {
            let (a, b) = (noise(len, 1), noise(len, 2));
            let products = || a.iter().zip(&b).map(|(&a, &b)| f64::from(a) * f64::from(b));
            let (exact, scale) = (products().sum::<f64>(), products().map(f64::abs).sum::<f64>());
            let bound = (len as f64 / 16.0 + 5.0) * f64::from(f32::EPSILON) / 2.0 * scale;
            let actual = f64::from(dot(&a, &b));
            assert!((actual - exact).abs() <= bound, "length {len}: {actual} is not {exact}");
            let ones = vec![1.0; len];
            assert_eq!(sum(&a), dot(&a, &ones), "length {len}");
        }
    }

    #[test]
    fn the_order_is_the_written_one() {
        // 2²⁴ + 1 = 2²⁴ in f32, so the result shows which elements met first.
        let big = 16_777_216.0;
        let mut x = [0.0; 33];
        (x[0], x[16], x[32]) = (big, 1.0, 1.0);
        assert_eq!(sum(&x), big, "lane 0 adds one at a time");
        (x[0], x[8], x[16], x[32]) = (big, 0.0, 0.0, 0.0);
        (x[4], x[12]) = (1.0, 1.0);
        assert_eq!(sum(&x), big + 2.0, "lanes 4 and 12 meet before lane 0");
        (x[12], x[8]) = (0.0, 1.0);
        assert_eq!(sum(&x), big, "lanes 0 and 8 meet first");
    }
}
