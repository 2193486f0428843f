//! Which layer's keys and values lie where, and how many bytes they are.

use gptoss_checkpoint::{LayerType, ModelConfig};
use gptoss_kernels::cached_attention::{BLOCK, CacheElement, TILE, supports};

use crate::error::EngineError;

/// Positions of a page: two of attention's blocks. For gpt-oss-20b a page is 3 MiB in 16 bits: long
/// enough that reading does not notice its ends, and short enough that the half page which a
/// sequence wastes on average, and the page that is copied where two sequences part, are small.
pub(crate) const PAGE: usize = 2 * BLOCK;
/// Positions that a ring keeps beside its window: they let many tokens be stored before they are
/// attended to, and let the last of them be taken back.
const SLACK: usize = 128;

/// The widest window that is kept in rings. A return to a position takes a copy of its windows,
/// which for wider ones is as large as a cache (539 MB for the 4096 positions of Mistral-7B);
/// those layers keep every position, in pages that sequences share.
const RING_WINDOW_MAX: usize = 1024;

/// Where a layer's keys and values lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// In pages; the number counts the layers there.
    Pages(usize),
    /// In the rings; the number counts the layers there.
    Ring(usize),
}

/// What the caches of a model have in common.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CacheShape {
    pub(crate) element: CacheElement,
    pub(crate) head_dim: usize,
    pub(crate) kv_heads: usize,
    /// Positions that a query in a sliding layer sees.
    pub(crate) window: usize,
    /// One entry a layer.
    places: Vec<Place>,
    /// Whether a layer slides.
    slides: Vec<bool>,
}

impl CacheShape {
    /// That of a model.
    ///
    /// # Errors
    /// [`EngineError::HeadDim`] if heads are of a width that the kernels do not know.
    pub(crate) fn new(
        config: &ModelConfig,
        element: CacheElement,
    ) -> Result<CacheShape, EngineError> {
        if !supports(config.head_dim) {
            return Err(EngineError::HeadDim { head_dim: config.head_dim });
        }
        Ok(CacheShape::of(config, element))
    }

    fn of(config: &ModelConfig, element: CacheElement) -> CacheShape {
        let (mut pages, mut rings) = (0, 0);
        let has_rings = config.sliding_window <= RING_WINDOW_MAX;
        let slides = |kind: &LayerType| *kind == LayerType::SlidingAttention;
        let place = |kind: &LayerType| {
            let (place, count): (fn(usize) -> Place, _) = match slides(kind) && has_rings {
                false => (Place::Pages, &mut pages),
                true => (Place::Ring, &mut rings),
            };
            *count += 1;
            place(*count - 1)
        };
        CacheShape {
            element,
            head_dim: config.head_dim,
            kv_heads: config.num_key_value_heads,
            window: config.sliding_window,
            places: config.layer_types.iter().map(place).collect(),
            slides: config.layer_types.iter().map(slides).collect(),
        }
    }

    /// The first position that a query at `position` of `layer` sees.
    pub(crate) fn first_visible(&self, layer: usize, position: usize) -> usize {
        match self.slides[layer] {
            true => (position + 1).saturating_sub(self.window),
            false => 0,
        }
    }

    /// Where `layer` lies.
    pub(crate) fn place(&self, layer: usize) -> Place {
        self.places[layer]
    }

    /// Layers that lie in pages.
    pub(crate) fn paged_layers(&self) -> usize {
        self.places.iter().filter(|place| matches!(place, Place::Pages(_))).count()
    }

    /// Layers that lie in rings.
    pub(crate) fn ring_layers(&self) -> usize {
        self.places.len() - self.paged_layers()
    }

    /// Rows of a ring for `context_length` positions: whole blocks.
    pub(crate) fn ring_rows(&self, context_length: usize) -> usize {
        (self.window + SLACK).min(context_length).div_ceil(BLOCK) * BLOCK
    }

    /// Rows of a snapshot at most: the window, wherever it begins in a tile.
    pub(crate) fn snapshot_rows(&self, context_length: usize) -> usize {
        let rows = (self.window + TILE).div_ceil(TILE) * TILE;
        rows.min(self.ring_rows(context_length))
    }

    /// Bytes of `positions` in one layer.
    pub(crate) fn layer_bytes(&self, positions: usize) -> u64 {
        let position = self.element.position_bytes(self.head_dim) * self.kv_heads;
        (positions as u64).saturating_mul(position as u64)
    }

    /// Bytes of a page.
    pub(crate) fn page_bytes(&self) -> u64 {
        self.layer_bytes(PAGE).saturating_mul(self.paged_layers() as u64)
    }

    /// Bytes of the rings of a sequence.
    pub(crate) fn ring_bytes(&self, context_length: usize) -> u64 {
        let rows = self.ring_rows(context_length);
        self.layer_bytes(rows).saturating_mul(self.ring_layers() as u64)
    }

    /// Bytes of a snapshot at most.
    pub(crate) fn snapshot_bytes(&self, context_length: usize) -> u64 {
        let rows = self.snapshot_rows(context_length);
        self.layer_bytes(rows).saturating_mul(self.ring_layers() as u64)
    }
}

/// Bytes of keys and values for `context_length` positions.
pub fn cache_bytes(config: &ModelConfig, context_length: usize, element: CacheElement) -> u64 {
    // A caller may ask for any length.
    let context_length = context_length.min(u32::MAX as usize);
    let shape = CacheShape::of(config, element);
    let pages = context_length.div_ceil(PAGE) as u64;
    shape.page_bytes().saturating_mul(pages).saturating_add(shape.ring_bytes(context_length))
}
