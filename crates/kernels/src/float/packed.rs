//! The order of numbers in memory where many tokens meet a matrix.
//!
//! Columns of one lane lie together: first all `k` with `k mod 16 = 0`, then those with 1, and so
//! on; in activations each of them with the numbers of all tokens of a block side by side.

use std::ops::Range;

use crate::dot::LANES;

/// Tokens of the largest block.
pub(super) const TOKENS_MAX: usize = 8;
/// From how many tokens on packing pays: with 24 it was slower, with 32 about as fast (BF16, 96
/// rows of 2880, Cascade Lake at 2.5 GHz).
pub(super) const MANY_TOKENS: usize = 32;

/// Columns of a lane.
#[cfg(target_arch = "x86_64")]
pub(super) const fn lane_cols(cols: usize, lane: usize) -> usize {
    lane_start(cols, lane + 1) - lane_start(cols, lane)
}

/// Columns of the lanes before `lane`.
pub(super) const fn lane_start(cols: usize, lane: usize) -> usize {
    let tail = cols % LANES;
    lane * (cols / LANES) + if lane < tail { lane } else { tail }
}

/// Blocks of 6 to [`TOKENS_MAX`] tokens, if there are [`MANY_TOKENS`] or more.
pub(super) fn token_blocks(tokens: usize) -> impl Iterator<Item = Range<usize>> {
    even_parts(tokens, TOKENS_MAX)
}

/// Packs `x` (`[T, cols]`): for each block of `n` tokens `[lane, columns of the lane, n]`.
pub(super) fn pack(x: &[f32], cols: usize, packed: &mut [f32]) {
    for range in token_blocks(x.len() / cols) {
        let n = range.len();
        let x = &x[range.start * cols..range.end * cols];
        let packed = &mut packed[range.start * cols..range.end * cols];
        // Lanes inside: what is read and written lies in few cache lines.
        for k in 0..cols {
            let place = (lane_start(cols, k % LANES) + k / LANES) * n;
            for (t, packed) in packed[place..place + n].iter_mut().enumerate() {
                *packed = x[t * cols + k];
            }
        }
    }
}

/// `0..n` in as few parts of at most `max` as possible, the longest first.
pub(super) fn even_parts(n: usize, max: usize) -> impl Iterator<Item = Range<usize>> {
    let parts = n.div_ceil(max);
    let (size, longer) = n.checked_div(parts).map_or((0, 0), |size| (size, n % parts));
    (0..parts).map(move |i| i * size + i.min(longer)..(i + 1) * size + (i + 1).min(longer))
}
