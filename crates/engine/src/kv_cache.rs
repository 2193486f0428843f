//! Keys and values of earlier positions.
//!
//! A full layer keeps every position; a sliding layer keeps its window only, in a ring: position
//! `p` lies in row `p mod window`. A row is `[G, K]`.

use gptoss_checkpoint::{LayerType, ModelConfig};
use gptoss_kernels::KeysValues;

use crate::error::EngineError;

/// The cache of one sequence.
#[derive(Clone, Debug)]
pub struct KvCache {
    layers: Vec<LayerCache>,
    positions: usize,
    context_length: usize,
}

/// The rings of a cache at one position, see [`KvCache::snapshot`].
#[derive(Clone, Debug)]
pub struct CacheSnapshot {
    positions: usize,
    /// Keys and values of each sliding layer.
    rings: Vec<(Vec<f32>, Vec<f32>)>,
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
    /// `[rows, G, K]`, grown to at most `capacity` rows.
    keys: Vec<f32>,
    values: Vec<f32>,
    /// Rows of the ring, or of the whole context.
    capacity: usize,
    /// G·K.
    width: usize,
    /// K.
    head_dim: usize,
}

impl KvCache {
    /// An empty cache for up to `context_length` positions; the room is reserved here.
    ///
    /// # Errors
    /// [`EngineError::Memory`] if the room cannot be had.
    pub fn new(config: &ModelConfig, context_length: usize) -> Result<KvCache, EngineError> {
        let width = config.num_key_value_heads * config.head_dim;
        let bytes = cache_bytes(config, context_length);
        let refused = || EngineError::Memory { context_length, bytes };
        let layers = config.layer_types.iter().map(|kind| {
            let capacity = layer_rows(config, *kind, context_length);
            let elements = capacity.checked_mul(width).ok_or_else(refused)?;
            let (mut keys, mut values) = (Vec::new(), Vec::new());
            keys.try_reserve_exact(elements).map_err(|_| refused())?;
            values.try_reserve_exact(elements).map_err(|_| refused())?;
            Ok(LayerCache { keys, values, capacity, width, head_dim: config.head_dim })
        });
        let layers = layers.collect::<Result<_, EngineError>>()?;
        Ok(KvCache { layers, positions: 0, context_length })
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
        self.positions = 0;
        for layer in &mut self.layers {
            layer.keys.clear();
            layer.values.clear();
        }
    }

    /// Forgets the positions from `positions` on, if the rings still hold what a continuation
    /// from there needs; tells whether they did. If not, nothing changes.
    pub fn truncate(&mut self, positions: usize) -> bool {
        if positions >= self.positions {
            return positions == self.positions;
        }
        let overwritten =
            |layer: &LayerCache| self.positions > layer.capacity && !layer.keeps_everything(self);
        if positions > 0 && self.layers.iter().any(overwritten) {
            return false;
        }
        self.positions = positions;
        for layer in &mut self.layers {
            let rows = positions.min(layer.capacity);
            layer.keys.truncate(rows * layer.width);
            layer.values.truncate(rows * layer.width);
        }
        true
    }

    /// What a return to the present position will need and later positions overwrite: the rings of
    /// the sliding layers (3 MiB for gpt-oss-20b in 16 bits).
    pub fn snapshot(&self) -> CacheSnapshot {
        let rings = self.layers.iter().filter(|layer| !layer.keeps_everything(self));
        CacheSnapshot {
            positions: self.positions,
            rings: rings.map(|layer| (layer.keys.clone(), layer.values.clone())).collect(),
        }
    }

    /// Goes back to a snapshot of this cache. The positions before it must not have changed since:
    /// nothing may have been truncated to less, and nothing cleared.
    pub fn restore(&mut self, snapshot: &CacheSnapshot) {
        let (positions, context_length) = (snapshot.positions, self.context_length);
        let mut rings = snapshot.rings.iter();
        for layer in &mut self.layers {
            if layer.capacity >= context_length {
                layer.keys.truncate(positions * layer.width);
                layer.values.truncate(positions * layer.width);
            } else if let Some((keys, values)) = rings.next() {
                layer.keys.clone_from(keys);
                layer.values.clone_from(values);
            }
        }
        self.positions = positions;
    }

    pub(crate) fn layer(&self, layer: usize) -> &LayerCache {
        &self.layers[layer]
    }

    /// Appends the keys and values (`[T, G, K]`) of the next positions to a layer. When all
    /// layers have theirs, [`KvCache::advance`] counts them.
    pub(crate) fn append(&mut self, layer: usize, keys: &[f32], values: &[f32]) {
        let start = self.positions;
        let layer = &mut self.layers[layer];
        let rows = keys.chunks_exact(layer.width).zip(values.chunks_exact(layer.width));
        for (i, (key, value)) in rows.enumerate() {
            let at = (start + i) % layer.capacity * layer.width;
            put(&mut layer.keys, at, key);
            put(&mut layer.values, at, value);
        }
    }

    pub(crate) fn advance(&mut self, tokens: usize) {
        self.positions += tokens;
    }
}

/// Writes a row at element `at`, which is inside or right at the end.
fn put(rows: &mut Vec<f32>, at: usize, row: &[f32]) {
    match rows.len() == at {
        true => rows.extend_from_slice(row),
        false => rows[at..at + row.len()].copy_from_slice(row),
    }
}

impl LayerCache {
    /// The cached keys and values of kv head `head` at positions `from..to`, in order: one run,
    /// or two where the ring wraps.
    pub(crate) fn runs(&self, head: usize, from: usize, to: usize) -> [KeysValues<'_>; 2] {
        let first = from % self.capacity;
        let before_wrap = (to - from).min(self.capacity - first);
        [self.run(head, first, before_wrap), self.run(head, 0, to - from - before_wrap)]
    }

    fn run(&self, head: usize, row: usize, len: usize) -> KeysValues<'_> {
        match len {
            0 => KeysValues { keys: &[], values: &[], stride: self.width, len },
            _ => {
                let at = row * self.width + head * self.head_dim;
                let (keys, values) = (&self.keys[at..], &self.values[at..]);
                KeysValues { keys, values, stride: self.width, len }
            }
        }
    }

    fn keeps_everything(&self, cache: &KvCache) -> bool {
        self.capacity >= cache.context_length
    }
}

/// Rows that a layer needs for `context_length` positions.
fn layer_rows(config: &ModelConfig, kind: LayerType, context_length: usize) -> usize {
    match kind {
        LayerType::SlidingAttention => config.sliding_window.min(context_length),
        LayerType::FullAttention => context_length,
    }
}

/// Bytes of keys and values, f32, for `context_length` positions.
pub fn cache_bytes(config: &ModelConfig, context_length: usize) -> u64 {
    config.kv_cache_bytes(context_length, size_of::<f32>() as u64)
}
