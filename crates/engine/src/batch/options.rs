//! How much is computed at once, and how much is kept.

use std::path::PathBuf;

use gptoss_checkpoint::ModelConfig;

use crate::error::EngineError;
use crate::kv_cache::{CacheShape, PAGE};
use crate::memory::check_memory;

/// Bounds of a [`Scheduler`](super::Scheduler). None changes a bit of a result.
#[derive(Clone, Debug, PartialEq)]
pub struct BatchOptions {
    /// Tokens that a request may have, prompt and answer together.
    pub context_length: usize,
    /// Positions of the full layers' cache, for all sequences and what is kept of earlier ones
    /// together; at least `context_length`.
    pub cache_positions: usize,
    /// Sequences that are computed together.
    pub sequences_max: usize,
    /// Requests that wait for their turn.
    pub waiting_max: usize,
    /// Tokens that are computed in one step.
    pub step_tokens_max: usize,
    /// Places in earlier sequences from which another one can go on; 0 keeps nothing.
    pub snapshots_max: usize,
    /// Positions between such places in a long prompt; its end is one too.
    pub snapshot_every: usize,
    /// Where what is kept of earlier sequences outlives the program, if anywhere. The file holds
    /// what users wrote, and is as large as the cache at most.
    pub prefix_file: Option<PathBuf>,
    /// How many times as long a step may take because of prompts while others generate.
    pub stretch: f64,
}

impl BatchOptions {
    /// For requests of up to `context_length` tokens, with a cache for four of them.
    pub fn new(context_length: usize) -> BatchOptions {
        BatchOptions {
            context_length,
            cache_positions: context_length.saturating_mul(4),
            sequences_max: 32,
            waiting_max: 256,
            step_tokens_max: 512,
            snapshots_max: 64,
            snapshot_every: 1024,
            prefix_file: None,
            stretch: 2.0,
        }
    }

    /// Pages of the cache.
    pub(super) fn pages(&self) -> usize {
        self.cache_positions.div_ceil(PAGE)
    }

    /// Bytes of all caches when everything is in use.
    pub(super) fn bytes(&self, shape: &CacheShape) -> u64 {
        let times = |bytes: u64, n: usize| bytes.saturating_mul(n as u64);
        times(shape.page_bytes(), self.pages())
            .saturating_add(times(shape.ring_bytes(self.context_length), self.sequences_max))
            .saturating_add(times(shape.snapshot_bytes(self.context_length), self.snapshots_max))
    }

    /// Checks the numbers, and that there is memory.
    pub(super) fn check(
        &self,
        config: &ModelConfig,
        shape: &CacheShape,
    ) -> Result<(), EngineError> {
        let (context_length, max) = (self.context_length, config.max_position_embeddings);
        if context_length == 0 || context_length > max {
            return Err(EngineError::ContextLength { context_length, max });
        }
        let numbers = [
            ("cache_positions", self.cache_positions, context_length),
            ("sequences_max", self.sequences_max, 1),
            ("waiting_max", self.waiting_max, 1),
            ("step_tokens_max", self.step_tokens_max, 1),
            ("snapshot_every", self.snapshot_every, 1),
        ];
        for (name, found, min) in numbers {
            if found < min {
                return Err(EngineError::BatchOption { name, min, found });
            }
        }
        let bytes = self.bytes(shape);
        check_memory(bytes, || EngineError::BatchMemory { bytes })
    }
}
