//! The sliding layers of a sequence that are kept in rings: the rings, and copies of their windows.

use gptoss_kernels::cached_attention::TILE;

use super::rows::HeadRows;
use super::shape::CacheShape;

/// The rings of all sliding layers. Position `p` lies in row `p` modulo their length.
#[derive(Debug)]
pub(super) struct Rings {
    rows: HeadRows,
    /// No ring holds a position before this one.
    oldest: usize,
    window: usize,
}

/// The windows of a cache at one position: from there, or from a few positions before, a cache can
/// go on (3.4 MiB for gpt-oss-20b in 16 bits). See [`KvCache::snapshot`](super::KvCache::snapshot).
#[derive(Clone, Debug)]
pub struct CacheSnapshot {
    /// Positions before this one are held ...
    positions: usize,
    /// ... from this one on.
    oldest: usize,
    window: usize,
    /// The tiles from this one on.
    first_tile: usize,
    rows: HeadRows,
}

impl CacheSnapshot {
    /// Room for the windows before `positions`, of which those from `oldest` on will be held.
    /// Where no layer has a ring there are none, and every position is held.
    pub(crate) fn zeros(shape: &CacheShape, positions: usize, oldest: usize) -> CacheSnapshot {
        let heads = shape.ring_layers() * shape.kv_heads;
        if heads == 0 {
            let rows = HeadRows::new(shape.element, shape.head_dim, 0, TILE);
            return CacheSnapshot { positions, oldest: 0, window: 0, first_tile: 0, rows };
        }
        let first_tile = positions.saturating_sub(shape.window) / TILE;
        let tiles = positions.div_ceil(TILE) - first_tile;
        let rows = HeadRows::new(shape.element, shape.head_dim, heads, tiles.max(1) * TILE);
        let oldest = oldest.max(first_tile * TILE);
        CacheSnapshot { positions, oldest, window: shape.window, first_tile, rows }
    }

    /// The first position that is held.
    pub(crate) fn oldest(&self) -> usize {
        self.oldest
    }

    pub(crate) fn rows(&self) -> &HeadRows {
        &self.rows
    }

    pub(crate) fn rows_mut(&mut self) -> &mut HeadRows {
        &mut self.rows
    }

    /// The last position that it leads back to.
    pub fn positions(&self) -> usize {
        self.positions
    }

    /// The last position, up to `wanted`, that it leads back to: what is visible from there must
    /// be held.
    pub fn resumes_at(&self, wanted: usize) -> Option<usize> {
        let at = wanted.min(self.positions);
        is_held(self.oldest, at, self.window).then_some(at)
    }
}

/// Whether the positions from `oldest` on are all that a token at `position` needs.
fn is_held(oldest: usize, position: usize, window: usize) -> bool {
    position.saturating_sub(window.saturating_sub(1)) >= oldest
}

impl Rings {
    /// Empty rings for a context of `context_length`.
    pub(super) fn new(shape: &CacheShape, context_length: usize) -> Rings {
        let heads = shape.ring_layers() * shape.kv_heads;
        let rows = shape.ring_rows(context_length);
        let rows = HeadRows::new(shape.element, shape.head_dim, heads, rows);
        Rings { rows, oldest: 0, window: shape.window }
    }

    pub(super) fn rows(&self) -> &HeadRows {
        &self.rows
    }

    pub(super) fn rows_mut(&mut self) -> &mut HeadRows {
        &mut self.rows
    }

    /// Tokens that can be stored before the first of them is attended to.
    pub(super) fn stored_at_once(&self) -> usize {
        match self.window < self.rows.rows() {
            true => self.rows.rows() - self.window,
            // The ring is as long as the context.
            false => usize::MAX,
        }
    }

    /// Counts positions up to `positions` as stored.
    pub(super) fn advance(&mut self, positions: usize) {
        self.oldest = self.oldest.max(positions.saturating_sub(self.rows.rows()));
    }

    /// Whether everything is held that is visible from `position`.
    pub(super) fn holds(&self, position: usize) -> bool {
        is_held(self.oldest, position, self.window)
    }

    /// Forgets everything.
    pub(super) fn clear(&mut self) {
        self.oldest = 0;
    }

    /// The windows before `positions`, which is where the rings stand.
    pub(super) fn snapshot(&self, shape: &CacheShape, positions: usize) -> CacheSnapshot {
        let mut snapshot = CacheSnapshot::zeros(shape, positions, self.oldest);
        let (first, tiles) = (snapshot.first_tile, snapshot.rows.rows() / TILE);
        let ring = self.rows.rows() / TILE;
        let tiles: Vec<_> = (0..tiles).map(|tile| ((first + tile) % ring, tile)).collect();
        snapshot.rows.copy_tiles(&self.rows, &tiles);
        snapshot
    }

    /// Takes over what a snapshot holds.
    pub(super) fn restore(&mut self, snapshot: &CacheSnapshot) {
        let (first, tiles) = (snapshot.first_tile, snapshot.rows.rows() / TILE);
        let ring = self.rows.rows() / TILE;
        let tiles: Vec<_> = (0..tiles).map(|tile| (tile, (first + tile) % ring)).collect();
        self.rows.copy_tiles(&snapshot.rows, &tiles);
        self.oldest = snapshot.oldest;
    }
}
