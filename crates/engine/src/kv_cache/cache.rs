//! The cache of one sequence.

use std::ops::Range;

use gptoss_checkpoint::ModelConfig;
use gptoss_kernels::cached_attention::{CacheElement, HeadCache, HeadCacheMut};

use super::pool::{KvPool, Page};
use super::ring::{CacheSnapshot, Rings};
use super::shape::{CacheShape, PAGE, Place, cache_bytes};
use crate::error::EngineError;
use crate::memory::check_memory;

/// The cache of one sequence.
#[derive(Debug)]
pub struct KvCache {
    pool: KvPool,
    /// Of the layers in pages, in order of positions; there may be more than the positions need.
    pages: Vec<Page>,
    /// Of the layers in rings.
    rings: Rings,
    positions: usize,
    context_length: usize,
}

/// A head's rows that get keys and values of some positions.
pub(crate) struct Written<'a> {
    /// Index of the kv head.
    pub(crate) head: usize,
    /// They lie in these rows, and in no others that are written.
    pub(crate) positions: Range<usize>,
    pub(crate) rows: HeadCacheMut<'a>,
}

impl KvCache {
    /// An empty cache for up to `context_length` positions, with pages of its own; that there is
    /// room for all of them is checked here.
    ///
    /// # Errors
    /// [`EngineError::Memory`] if the room cannot be had, [`EngineError::HeadDim`] if heads are of
    /// a width that the kernels do not know.
    pub fn new(
        config: &ModelConfig,
        context_length: usize,
        element: CacheElement,
    ) -> Result<KvCache, EngineError> {
        let shape = CacheShape::new(config, element)?;
        let bytes = cache_bytes(config, context_length, element);
        check_memory(bytes, || EngineError::Memory { context_length, bytes })?;
        let pool = KvPool::new(shape, context_length.div_ceil(PAGE));
        Ok(KvCache::in_pool(&pool, context_length))
    }

    /// An empty cache for up to `context_length` positions, whose pages come from `pool` when they
    /// are needed.
    pub fn in_pool(pool: &KvPool, context_length: usize) -> KvCache {
        let rings = Rings::new(pool.shape(), context_length);
        KvCache { pool: pool.clone(), pages: Vec::new(), rings, positions: 0, context_length }
    }

    /// Positions that are cached, that is, the position of the next token.
    pub fn positions(&self) -> usize {
        self.positions
    }

    /// Positions there is room for.
    pub fn context_length(&self) -> usize {
        self.context_length
    }

    /// Forgets everything; the pages are kept.
    pub fn clear(&mut self) {
        self.positions = 0;
        self.rings.clear();
    }

    /// Forgets the positions from `positions` on, if the rings still hold what a continuation
    /// from there needs; tells whether they did. If not, nothing changes.
    pub fn truncate(&mut self, positions: usize) -> bool {
        if positions > self.positions {
            return false;
        }
        if positions == 0 {
            self.clear();
            return true;
        }
        if self.pool.shape().ring_layers() > 0 && !self.rings.holds(positions) {
            return false;
        }
        self.positions = positions;
        true
    }

    /// Another sequence with the same beginning. The pages are shared until one of the two writes
    /// into the last of them; the windows of the sliding layers are copied.
    pub fn fork(&self) -> KvCache {
        let mut fork = KvCache::in_pool(&self.pool, self.context_length);
        if self.positions > 0 {
            fork.resume(self.pages().to_vec(), &self.snapshot(), self.positions);
        }
        fork
    }

    /// What a return to the present position will need and later positions overwrite: the windows
    /// of the sliding layers.
    pub fn snapshot(&self) -> CacheSnapshot {
        self.rings.snapshot(self.pool.shape(), self.positions)
    }

    /// Goes back to position `at` of a snapshot of this cache; see [`CacheSnapshot::resumes_at`].
    /// The positions before it must not have changed since: nothing may have been truncated to
    /// less, and nothing cleared.
    ///
    /// # Panics
    /// If the snapshot does not lead back to `at`.
    pub fn restore(&mut self, snapshot: &CacheSnapshot, at: usize) {
        assert_eq!(snapshot.resumes_at(at), Some(at), "cache: restored at {at}");
        assert!(at <= self.pages.len() * PAGE, "cache: restored at {at} without pages");
        self.rings.restore(snapshot);
        self.positions = at;
    }

    /// Goes on at position `at` of another sequence, whose first pages are `pages`.
    ///
    /// # Panics
    /// As [`KvCache::restore`].
    pub(crate) fn resume(&mut self, pages: Vec<Page>, snapshot: &CacheSnapshot, at: usize) {
        self.pages = pages;
        self.restore(snapshot, at);
    }

    /// Gives all pages back and forgets everything.
    pub(crate) fn release(&mut self) {
        self.pages.clear();
        self.clear();
    }

    /// The pages that hold anything.
    pub(crate) fn pages(&self) -> &[Page] {
        &self.pages[..self.positions.div_ceil(PAGE)]
    }

    /// Makes room for `tokens` more positions: their pages are there, and no other sequence holds
    /// them. Tells whether the pool had enough pages; if not, some may have been added.
    ///
    /// # Panics
    /// If they are more than the context has room for.
    pub fn reserve(&mut self, tokens: usize) -> bool {
        let end = self.positions + tokens;
        let room = self.context_length - self.positions;
        assert!(tokens <= room, "cache: {tokens} tokens, room for {room}");
        for index in self.positions / PAGE..end.div_ceil(PAGE) {
            if let Some(page) = self.pages.get_mut(index) {
                if page.rows_mut().is_some() {
                    continue;
                }
                let Some(mut copy) = self.pool.take() else { return false };
                let rows = copy.rows_mut().expect("a page that was just taken is not shared");
                rows.copy_all(page.rows());
                *page = copy;
            } else {
                let Some(page) = self.pool.take() else { return false };
                self.pages.push(page);
            }
        }
        true
    }

    /// Tokens that can be stored in a layer before the first of them is attended to.
    pub(crate) fn stored_at_once(&self, layer: usize) -> usize {
        match self.pool.shape().place(layer) {
            Place::Pages(_) => usize::MAX,
            Place::Ring(_) => self.rings.stored_at_once(),
        }
    }

    /// The first position that a query at `position` sees.
    pub(crate) fn first_visible(&self, layer: usize, position: usize) -> usize {
        self.pool.shape().first_visible(layer, position)
    }

    /// Bytes of a position of one layer.
    pub(crate) fn position_bytes(&self) -> usize {
        self.pool.shape().layer_bytes(1) as usize
    }

    /// Where a head's keys and values lie, to be read up to position `end`.
    pub(crate) fn head(&self, layer: usize, head: usize, end: usize) -> Vec<HeadCache<'_>> {
        let kv_heads = self.pool.shape().kv_heads;
        match self.pool.shape().place(layer) {
            Place::Ring(at) => vec![self.rings.rows().head(at * kv_heads + head)],
            Place::Pages(at) => {
                let pages = &self.pages[..end.div_ceil(PAGE)];
                pages.iter().map(|page| page.rows().head(at * kv_heads + head)).collect()
            }
        }
    }

    /// Where the keys and values of `positions` are to be stored. When all layers have theirs,
    /// [`KvCache::advance`] counts them.
    ///
    /// # Panics
    /// If [`KvCache::reserve`] did not make room for them.
    pub(crate) fn written(&mut self, layer: usize, positions: Range<usize>) -> Vec<Written<'_>> {
        let kv_heads = self.pool.shape().kv_heads;
        let heads = |at: usize| at * kv_heads..(at + 1) * kv_heads;
        let entry = |positions: Range<usize>| {
            move |(head, rows)| Written { head, positions: positions.clone(), rows }
        };
        match self.pool.shape().place(layer) {
            Place::Ring(at) => {
                let rows = self.rings.rows_mut().heads_mut(heads(at));
                rows.into_iter().enumerate().map(entry(positions)).collect()
            }
            Place::Pages(at) => {
                let (first, end) = (positions.start / PAGE, positions.end.div_ceil(PAGE));
                let pages = self.pages[first..end].iter_mut().enumerate();
                pages
                    .flat_map(|(i, page)| {
                        let start = (first + i) * PAGE;
                        let own = start.max(positions.start)..(start + PAGE).min(positions.end);
                        let rows = page.rows_mut().expect("pages that are written are reserved");
                        rows.heads_mut(heads(at)).into_iter().enumerate().map(entry(own))
                    })
                    .collect()
            }
        }
    }

    pub(crate) fn advance(&mut self, tokens: usize) {
        self.positions += tokens;
        self.rings.advance(self.positions);
    }
}
