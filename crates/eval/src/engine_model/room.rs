//! How many positions of the cache there is memory for.

use gptoss_engine::{Engine, available_bytes, cache_bytes};

/// Share of the memory that is free.
const SHARE: u64 = 4;
/// Bytes at most: more sequences at once than these hold make nothing faster.
const BYTES_MAX: u64 = 2 << 30;
/// Behind so many positions a cache grows by its full layers only.
const RINGS_ARE_FULL: usize = 1 << 16;

/// Positions of full layers that may be held together, beside what must be.
pub(super) fn spare_positions(engine: &Engine) -> usize {
    let bytes = available_bytes().map_or(BYTES_MAX, |free| (free / SHARE).min(BYTES_MAX));
    usize::try_from(bytes / position_bytes(engine)).unwrap_or(usize::MAX)
}

/// Bytes of one more position; at least 1.
fn position_bytes(engine: &Engine) -> u64 {
    const POSITIONS: usize = 1 << 10;
    let bytes = |positions| cache_bytes(engine.config(), positions, engine.cache_element());
    let more = bytes(RINGS_ARE_FULL + POSITIONS).saturating_sub(bytes(RINGS_ARE_FULL));
    (more / POSITIONS as u64).max(1)
}
