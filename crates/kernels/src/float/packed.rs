//! The order of numbers in memory where many tokens meet a matrix.
//!
//! Columns of one lane lie together: first all `k` with `k mod 16 = 0`, then those with 1, and so
//! on. Tokens lie in panels, in these lane by lane, and there in blocks: `[columns of the lane, n]`
//! for each block of `n` tokens.

use std::ops::Range;

use crate::dot::LANES;
use crate::isa::{Isa, Level};

/// Tokens of the largest block.
pub(super) const TOKENS_MAX: usize = 6;
/// Blocks of a panel, at most.
const PANEL_BLOCKS: usize = 16;
/// Tokens of a panel, at most.
pub(super) const PANEL_TOKENS: usize = PANEL_BLOCKS * TOKENS_MAX;

/// From how many tokens on packing pays. On Cascade Lake at 2.5 GHz, 64 rows of 2880 in BF16 and
/// F32 were about as fast either way with 24 (AVX2) and 48 tokens (AVX-512).
pub(super) const fn many_tokens(isa: Isa) -> usize {
    match isa.level() {
        Level::Portable => usize::MAX,
        #[cfg(target_arch = "x86_64")]
        Level::Avx2 => 24,
        #[cfg(target_arch = "x86_64")]
        Level::Avx512 => 48,
    }
}

/// Columns of a lane.
pub(super) const fn lane_cols(cols: usize, lane: usize) -> usize {
    lane_start(cols, lane + 1) - lane_start(cols, lane)
}

/// Columns of the lanes before `lane`.
pub(super) const fn lane_start(cols: usize, lane: usize) -> usize {
    let tail = cols % LANES;
    lane * (cols / LANES) + if lane < tail { lane } else { tail }
}

/// Panels of whole blocks, of about the same size: the tokens of each.
pub(super) fn panels(tokens: usize) -> impl Iterator<Item = Range<usize>> {
    even_parts(tokens.div_ceil(TOKENS_MAX), PANEL_BLOCKS)
        .map(move |blocks| blocks.start * TOKENS_MAX..tokens.min(blocks.end * TOKENS_MAX))
}

/// Blocks of 5 or 6 of the tokens of a panel, if there are [`many_tokens`] or more in all.
pub(super) fn blocks(panel_len: usize) -> impl Iterator<Item = Range<usize>> {
    even_parts(panel_len, TOKENS_MAX)
}

/// Packs the tokens `x` of a panel.
pub(super) fn pack_panel(x: &[f32], cols: usize, packed: &mut [f32]) {
    let tokens = x.len() / cols;
    for block in blocks(tokens) {
        let (n, x) = (block.len(), &x[block.start * cols..block.end * cols]);
        let mut places = [0; LANES];
        for (lane, place) in places.iter_mut().enumerate() {
            *place = lane_start(cols, lane) * tokens + lane_cols(cols, lane) * block.start;
        }
        // Lanes inside: what is read and written lies in few cache lines.
        for first in (0..cols).step_by(LANES) {
            for (k, place) in (first..cols).zip(&mut places) {
                for (t, packed) in packed[*place..*place + n].iter_mut().enumerate() {
                    *packed = x[t * cols + k];
                }
                *place += n;
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
