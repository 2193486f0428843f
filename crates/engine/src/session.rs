//! One sequence of tokens, its cache, and the logits after its last token.

use std::ops::ControlFlow;

use gptoss_harmony::TokenId;

use crate::engine::Engine;
use crate::error::EngineError;
use crate::forward::{LogitRows, forward};
use crate::kv_cache::{CacheSnapshot, KvCache};
use crate::observer::Observer;

/// Tokens that are computed together in prefill. Any number gives the same bits; this one bounds
/// the memory for activations.
const PREFILL_CHUNK: usize = 256;

/// One mutable timeline over an immutable [`Engine`].
///
/// Callers say which whole sequence they want; [`Session::sync`] keeps the common beginning and
/// computes the rest.
pub struct Session {
    engine: Engine,
    cache: KvCache,
    tokens: Vec<TokenId>,
    logits: Vec<f32>,
    /// The cache at the end of the last prompt: the next prompt of a conversation goes on from
    /// there, because it drops or ends differently what was generated.
    snapshot: Option<CacheSnapshot>,
}

/// What [`Session::sync`] did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Synced {
    /// Tokens whose cache was kept.
    pub reused: usize,
    /// Tokens that were computed.
    pub computed: usize,
    /// Whether the whole sequence is there; false if the caller broke off.
    pub complete: bool,
}

impl Session {
    /// An empty timeline with room for `context_length` tokens.
    ///
    /// # Errors
    /// [`EngineError::ContextLength`] if the model is not configured for that many, and
    /// [`EngineError::Memory`] if there is no room.
    pub fn new(engine: &Engine, context_length: usize) -> Result<Session, EngineError> {
        let max = engine.config().max_position_embeddings;
        if context_length == 0 || context_length > max {
            return Err(EngineError::ContextLength { context_length, max });
        }
        let cache = KvCache::new(engine.config(), context_length)?;
        Ok(Session {
            engine: engine.clone(),
            cache,
            tokens: Vec::new(),
            logits: Vec::new(),
            snapshot: None,
        })
    }

    /// Makes the timeline equal to `tokens`.
    ///
    /// # Errors
    /// As [`Session::sync_with`].
    pub fn sync(&mut self, tokens: &[TokenId]) -> Result<Synced, EngineError> {
        self.sync_with(tokens, &mut |_, _| ControlFlow::Continue(()))
    }

    /// Makes the timeline equal to `tokens`; `progress` is told the tokens done and wanted after
    /// each chunk, and may break off, which leaves a shorter timeline.
    ///
    /// At least the last token is computed, so that its logits are there.
    ///
    /// # Errors
    /// [`EngineError::ContextFull`] or [`EngineError::TokenId`]; then nothing changed.
    pub fn sync_with(
        &mut self,
        tokens: &[TokenId],
        progress: &mut dyn FnMut(usize, usize) -> ControlFlow<()>,
    ) -> Result<Synced, EngineError> {
        self.check(tokens.len(), tokens)?;
        let reused = self.keep_common(tokens);
        let mut synced = Synced { reused, computed: 0, complete: true };
        for chunk in tokens[reused..].chunks(PREFILL_CHUNK) {
            self.extend(chunk, LogitRows::Last, &mut ());
            synced.computed += chunk.len();
            let done = reused + synced.computed;
            if progress(done, tokens.len()).is_break() && done < tokens.len() {
                synced.complete = false;
                break;
            }
        }
        if synced.computed > 0 {
            self.snapshot = Some(self.cache.snapshot());
        }
        Ok(synced)
    }

    /// Appends one token.
    ///
    /// # Errors
    /// [`EngineError::ContextFull`] or [`EngineError::TokenId`]; then nothing changed.
    pub fn push(&mut self, token: TokenId) -> Result<(), EngineError> {
        self.check(self.tokens.len() + 1, &[token])?;
        self.extend(&[token], LogitRows::Last, &mut ());
        Ok(())
    }

    /// Appends `tokens` in one forward pass, with an observer, and gives the logits of all of
    /// them, `[T, V]`.
    ///
    /// # Errors
    /// [`EngineError::ContextFull`] or [`EngineError::TokenId`]; then nothing changed.
    pub fn observe(
        &mut self,
        tokens: &[TokenId],
        observer: &mut dyn Observer,
    ) -> Result<Vec<f32>, EngineError> {
        self.check(self.tokens.len() + tokens.len(), tokens)?;
        if tokens.is_empty() {
            return Ok(Vec::new());
        }
        let all = self.extend(tokens, LogitRows::All, observer);
        self.logits = all[all.len() - self.engine.config().vocab_size..].to_vec();
        Ok(all)
    }

    /// The logits after the last token, `[V]`; empty before the first.
    pub fn logits(&self) -> &[f32] {
        &self.logits
    }

    /// The tokens of the timeline.
    pub fn tokens(&self) -> &[TokenId] {
        &self.tokens
    }

    /// Room in tokens.
    pub fn context_length(&self) -> usize {
        self.cache.context_length()
    }

    /// The engine that this session runs on.
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Cuts the cache back to the longest useful beginning of `tokens`; gives its length.
    fn keep_common(&mut self, tokens: &[TokenId]) -> usize {
        let common = self.tokens.iter().zip(tokens).take_while(|(a, b)| a == b).count();
        if common == tokens.len() && common == self.tokens.len() && common > 0 {
            return common;
        }
        // The last wanted token is computed again for its logits.
        let wanted = common.min(tokens.len().saturating_sub(1));
        let kept = self.go_back(wanted);
        self.snapshot = self.snapshot.take().filter(|snapshot| snapshot.positions() <= kept);
        self.tokens.truncate(kept);
        self.logits.clear();
        kept
    }

    /// Cuts the cache back to `wanted` positions, or to fewer if rings were overwritten; gives how
    /// many are left.
    fn go_back(&mut self, wanted: usize) -> usize {
        if wanted > 0 && self.cache.truncate(wanted) {
            return wanted;
        }
        let snapshot = self.snapshot.as_ref().filter(|snapshot| {
            snapshot.positions() <= wanted && snapshot.positions() <= self.cache.positions()
        });
        match snapshot {
            Some(snapshot) => self.cache.restore(snapshot),
            None => self.cache.clear(),
        }
        self.cache.positions()
    }

    fn check(&self, length: usize, tokens: &[TokenId]) -> Result<(), EngineError> {
        let context_length = self.context_length();
        if length > context_length {
            return Err(EngineError::ContextFull { tokens: length, context_length });
        }
        let vocab_size = self.engine.config().vocab_size;
        match tokens.iter().find(|id| **id as usize >= vocab_size) {
            Some(id) => Err(EngineError::TokenId { id: *id, vocab_size }),
            None => Ok(()),
        }
    }

    /// Runs the model; keeps the last logits unless all are given back.
    fn extend(
        &mut self,
        tokens: &[TokenId],
        rows: LogitRows,
        observer: &mut dyn Observer,
    ) -> Vec<f32> {
        let logits = forward(self.engine.forward_model(), &mut self.cache, tokens, rows, observer);
        self.tokens.extend_from_slice(tokens);
        match rows {
            LogitRows::All => logits,
            LogitRows::Last => {
                self.logits = logits;
                Vec::new()
            }
        }
    }
}
