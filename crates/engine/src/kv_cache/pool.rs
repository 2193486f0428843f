//! Pages of the full layers, from a bounded pool, shared by reference.
//!
//! Positions of a page are written in order and never changed, so whoever holds a page may read
//! what was there when it got it. To write, a cache must be the only holder: where two sequences
//! part in the middle of a page, the one that writes copies it first.

use std::mem;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use gptoss_checkpoint::ModelConfig;
use gptoss_kernels::cached_attention::CacheElement;

use super::rows::HeadRows;
use super::shape::{CacheShape, PAGE};
use crate::error::EngineError;
use crate::memory::check_memory;

/// A bounded number of pages of the cache. Cloning shares it.
#[derive(Clone, Debug)]
pub struct KvPool(Arc<Parts>);

#[derive(Debug)]
struct Parts {
    shape: CacheShape,
    pages: usize,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Pages that were given back.
    free: Vec<HeadRows>,
    /// Pages that are held by somebody.
    used: usize,
}

/// Keys and values of [`PAGE`] positions of all full layers. Cloning shares it; the last holder
/// gives it back to its pool.
#[derive(Clone, Debug)]
pub(crate) struct Page(Arc<PageRows>);

#[derive(Debug)]
struct PageRows {
    rows: HeadRows,
    pool: Arc<Parts>,
}

impl KvPool {
    /// Positions of a page.
    pub const PAGE_POSITIONS: usize = PAGE;

    /// A pool of `pages` pages for caches of a model. Memory comes when a page is first used; that
    /// there is room for all of them is checked here.
    ///
    /// # Errors
    /// [`EngineError::HeadDim`] if heads are of a width that the kernels do not know, and
    /// [`EngineError::BatchMemory`] if there is no room.
    pub fn of_model(
        config: &ModelConfig,
        pages: usize,
        element: CacheElement,
    ) -> Result<KvPool, EngineError> {
        let shape = CacheShape::new(config, element)?;
        let bytes = shape.page_bytes().saturating_mul(pages as u64);
        check_memory(bytes, || EngineError::BatchMemory { bytes })?;
        Ok(KvPool::new(shape, pages))
    }

    /// A pool of `pages` pages. Memory comes when a page is first used.
    pub(crate) fn new(shape: CacheShape, pages: usize) -> KvPool {
        KvPool(Arc::new(Parts { shape, pages, state: Mutex::default() }))
    }

    /// Pages that there are.
    pub fn pages(&self) -> usize {
        self.0.pages
    }

    /// Pages that are held by sequences or kept for later ones.
    pub fn pages_used(&self) -> usize {
        self.0.lock().used
    }

    pub(crate) fn shape(&self) -> &CacheShape {
        &self.0.shape
    }

    /// A page with anything in it, if there is one left.
    pub(crate) fn take(&self) -> Option<Page> {
        let mut state = self.0.lock();
        if state.used == self.0.pages {
            return None;
        }
        state.used += 1;
        let free = state.free.pop();
        drop(state);
        let shape = &self.0.shape;
        let heads = shape.paged_layers() * shape.kv_heads;
        let rows =
            free.unwrap_or_else(|| HeadRows::new(shape.element, shape.head_dim, heads, PAGE));
        Some(Page(Arc::new(PageRows { rows, pool: self.0.clone() })))
    }
}

impl Parts {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Page {
    /// To read.
    pub(crate) fn rows(&self) -> &HeadRows {
        &self.0.rows
    }

    /// To write, if nobody else holds it.
    pub(crate) fn rows_mut(&mut self) -> Option<&mut HeadRows> {
        Arc::get_mut(&mut self.0).map(|page| &mut page.rows)
    }
}

impl PartialEq for Page {
    /// Whether they are the same page, not only the same numbers.
    fn eq(&self, other: &Page) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Drop for PageRows {
    fn drop(&mut self) {
        let rows = mem::replace(&mut self.rows, HeadRows::none());
        let mut state = self.pool.lock();
        state.used -= 1;
        state.free.push(rows);
    }
}
