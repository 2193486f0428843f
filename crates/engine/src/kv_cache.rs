//! Keys and values of earlier positions.
//!
//! A full layer keeps every position; a sliding layer keeps its window and [`SLACK`] positions
//! more, in a ring. The slack lets many tokens be stored before they are attended to, and lets the
//! last of them be taken back.

use gptoss_checkpoint::{LayerType, ModelConfig};
use gptoss_kernels::cached_attention::{
    BLOCK, CacheElement, CacheRows, CacheRowsMut, HeadCache, HeadCacheMut, supports,
};

use crate::error::EngineError;
use crate::memory::available_bytes;

/// Positions that a ring keeps beside its window.
const SLACK: usize = 128;

/// The cache of one sequence.
#[derive(Clone, Debug)]
pub struct KvCache {
    layers: Vec<LayerCache>,
    positions: usize,
    /// The most positions since the cache was empty: rows of rings hold no older ones than these
    /// less the ring's capacity.
    highest: usize,
    context_length: usize,
}

/// The rings of a cache at one position, see [`KvCache::snapshot`].
#[derive(Clone, Debug)]
pub struct CacheSnapshot {
    positions: usize,
    highest: usize,
    /// The heads of each sliding layer.
    rings: Vec<Vec<HeadRows>>,
}

impl CacheSnapshot {
    /// The position it leads back to.
    pub fn positions(&self) -> usize {
        self.positions
    }
}

/// The cache of one layer.
#[derive(Clone, Debug)]
pub(crate) struct LayerCache {
    /// One entry a kv head.
    pub(crate) heads: Vec<HeadRows>,
    /// Rows of the ring, or of the whole context.
    capacity: usize,
    /// Positions that a query sees.
    window: usize,
}

/// Keys and values of a kv head.
#[derive(Clone, Debug)]
pub(crate) struct HeadRows {
    head_dim: usize,
    numbers: Numbers,
}

/// See [`CacheRows`].
#[derive(Clone, Debug)]
enum Numbers {
    F32 { keys: Vec<f32>, values: Vec<f32> },
    F16 { keys: Vec<u16>, values: Vec<u16> },
    Int8 { keys: Vec<i8>, values: Vec<i8>, key_scales: Vec<f32>, value_scales: Vec<f32> },
}

impl HeadRows {
    fn new(element: CacheElement, head_dim: usize, rows: usize) -> HeadRows {
        let n = rows * head_dim;
        let numbers = match element {
            CacheElement::F32 => Numbers::F32 { keys: vec![0.0; n], values: vec![0.0; n] },
            CacheElement::F16 => Numbers::F16 { keys: vec![0; n], values: vec![0; n] },
            CacheElement::Int8 => Numbers::Int8 {
                keys: vec![0; n],
                values: vec![0; n],
                key_scales: vec![0.0; rows],
                value_scales: vec![0.0; rows],
            },
        };
        HeadRows { head_dim, numbers }
    }

    /// Bytes of one position.
    pub(crate) fn position_bytes(&self) -> usize {
        self.view().rows().element().position_bytes(self.head_dim)
    }

    /// To read.
    pub(crate) fn view(&self) -> HeadCache<'_> {
        let rows = match &self.numbers {
            Numbers::F32 { keys, values } => CacheRows::F32 { keys, values },
            Numbers::F16 { keys, values } => CacheRows::F16 { keys, values },
            Numbers::Int8 { keys, values, key_scales, value_scales } => {
                CacheRows::Int8 { keys, values, key_scales, value_scales }
            }
        };
        HeadCache::new(self.head_dim, rows)
    }

    /// To write.
    pub(crate) fn view_mut(&mut self) -> HeadCacheMut<'_> {
        let rows = match &mut self.numbers {
            Numbers::F32 { keys, values } => CacheRowsMut::F32 { keys, values },
            Numbers::F16 { keys, values } => CacheRowsMut::F16 { keys, values },
            Numbers::Int8 { keys, values, key_scales, value_scales } => {
                CacheRowsMut::Int8 { keys, values, key_scales, value_scales }
            }
        };
        HeadCacheMut::new(self.head_dim, rows)
    }
}

impl LayerCache {
    /// Tokens that can be stored before the first of them is attended to.
    pub(crate) fn stored_at_once(&self) -> usize {
        match self.window < self.capacity {
            true => self.capacity - self.window,
            false => usize::MAX,
        }
    }

    /// The first position that a query at `position` sees.
    pub(crate) fn first_visible(&self, position: usize) -> usize {
        (position + 1).saturating_sub(self.window)
    }
}

impl KvCache {
    /// An empty cache for up to `context_length` positions; the room is reserved here.
    ///
    /// # Errors
    /// [`EngineError::Memory`] if the room cannot be had, [`EngineError::HeadDim`] if heads are of
    /// a width that the kernels do not know.
    pub fn new(
        config: &ModelConfig,
        context_length: usize,
        element: CacheElement,
    ) -> Result<KvCache, EngineError> {
        let head_dim = config.head_dim;
        if !supports(head_dim) {
            return Err(EngineError::HeadDim { head_dim });
        }
        let bytes = cache_bytes(config, context_length, element);
        let refused = || EngineError::Memory { context_length, bytes };
        if available_bytes().is_some_and(|available| bytes > available) {
            return Err(refused());
        }
        // Whether addresses for all of it can be had; the memory itself comes when it is used.
        let mut probe = Vec::<u8>::new();
        let probed = usize::try_from(bytes).map_err(|_| refused())?;
        probe.try_reserve_exact(probed).map_err(|_| refused())?;
        drop(probe);
        let layers = config.layer_types.iter().map(|kind| {
            let capacity = layer_rows(config, *kind, context_length);
            let heads = (0..config.num_key_value_heads)
                .map(|_| HeadRows::new(element, head_dim, capacity))
                .collect();
            let window = match kind {
                LayerType::SlidingAttention => config.sliding_window,
                LayerType::FullAttention => usize::MAX,
            };
            LayerCache { heads, capacity, window }
        });
        Ok(KvCache { layers: layers.collect(), positions: 0, highest: 0, context_length })
    }

    /// Positions that are cached, that is, the position of the next token.
    pub fn positions(&self) -> usize {
        self.positions
    }

    /// Positions there is room for.
    pub fn context_length(&self) -> usize {
        self.context_length
    }

    /// Forgets everything; the room stays reserved.
    pub fn clear(&mut self) {
        (self.positions, self.highest) = (0, 0);
    }

    /// Forgets the positions from `positions` on, if the rings still hold what a continuation
    /// from there needs; tells whether they did. If not, nothing changes.
    pub fn truncate(&mut self, positions: usize) -> bool {
        if positions > self.positions {
            return false;
        }
        let is_kept = |layer: &LayerCache| {
            let needed = positions.saturating_sub(layer.window.saturating_sub(1));
            needed + layer.capacity >= self.highest || layer.capacity >= self.context_length
        };
        if positions > 0 && !self.layers.iter().all(is_kept) {
            return false;
        }
        self.positions = positions;
        true
    }

    /// What a return to the present position will need and later positions overwrite: the rings of
    /// the sliding layers (6 MiB for gpt-oss-20b in 16 bits).
    pub fn snapshot(&self) -> CacheSnapshot {
        let rings = self.layers.iter().filter(|layer| layer.capacity < self.context_length);
        CacheSnapshot {
            positions: self.positions,
            highest: self.highest,
            rings: rings.map(|layer| layer.heads.clone()).collect(),
        }
    }

    /// Goes back to a snapshot of this cache. The positions before it must not have changed since:
    /// nothing may have been truncated to less, and nothing cleared.
    pub fn restore(&mut self, snapshot: &CacheSnapshot) {
        let context_length = self.context_length;
        let rings = self.layers.iter_mut().filter(|layer| layer.capacity < context_length);
        for (layer, heads) in rings.zip(&snapshot.rings) {
            layer.heads.clone_from(heads);
        }
        (self.positions, self.highest) = (snapshot.positions, snapshot.highest);
    }

    pub(crate) fn layer(&self, layer: usize) -> &LayerCache {
        &self.layers[layer]
    }

    /// To store the keys and values of the next positions. When all layers have theirs,
    /// [`KvCache::advance`] counts them.
    pub(crate) fn layer_mut(&mut self, layer: usize) -> &mut LayerCache {
        &mut self.layers[layer]
    }

    pub(crate) fn advance(&mut self, tokens: usize) {
        self.positions += tokens;
        self.highest = self.highest.max(self.positions);
    }
}

/// Rows that a layer keeps for `context_length` positions: whole blocks.
fn layer_rows(config: &ModelConfig, kind: LayerType, context_length: usize) -> usize {
    let rows = match kind {
        LayerType::SlidingAttention => (config.sliding_window + SLACK).min(context_length),
        LayerType::FullAttention => context_length,
    };
    rows.div_ceil(BLOCK) * BLOCK
}

/// Bytes of keys and values for `context_length` positions.
pub fn cache_bytes(config: &ModelConfig, context_length: usize, element: CacheElement) -> u64 {
    let position = element.position_bytes(config.head_dim) * config.num_key_value_heads;
    let rows = config.layer_types.iter().map(|kind| {
        // A caller may ask for any length.
        let context_length = context_length.min(u32::MAX as usize);
        layer_rows(config, *kind, context_length) as u64
    });
    rows.fold(0, |sum: u64, rows| sum.saturating_add(rows.saturating_mul(position as u64)))
}
