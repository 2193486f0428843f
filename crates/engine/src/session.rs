//! One sequence of tokens, its cache, and the logits after its last token.

use std::ops::ControlFlow;

use gptoss_harmony::TokenId;

use crate::engine::Engine;
use crate::error::EngineError;
use crate::forward::{LogitRows, Segment, forward, forward_batch};
use crate::kv_cache::{CacheSnapshot, KvCache};
use crate::observer::Observer;
use crate::options::Speculation;
use crate::speculation::{Lookup, Payoff};

/// Tokens that are computed together in prefill. Any number gives the same bits; with this one an
/// expert of gpt-oss-20b meets 64 tokens, so that reading its weights is a small part of the work.
const PREFILL_CHUNK: usize = 512;

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
    guess: Guess,
}

/// Tokens that were computed before they were asked for.
struct Guess {
    lookup: Lookup,
    payoff: Payoff,
    /// In the cache, behind the timeline's tokens.
    tokens: Vec<TokenId>,
    /// After each of them, `[tokens, V]`.
    logits: Vec<f32>,
    /// Tokens that matched when they were found, and how many of them have been right.
    matched: usize,
    right: usize,
}

/// Tokens that two sequences begin with.
pub(crate) fn common(a: &[TokenId], b: &[TokenId]) -> usize {
    a.iter().zip(b).take_while(|(a, b)| a == b).count()
}

/// New tokens of one of several sessions, for [`Engine::step`].
pub struct Feed<'a> {
    /// The timeline that they are appended to.
    pub session: &'a mut Session,
    /// At least one.
    pub tokens: &'a [TokenId],
    /// Whether the session's logits are wanted afterwards: without, it has none until its next
    /// step.
    pub rows: LogitRows,
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
        let config = engine.config();
        let max = config.max_position_embeddings;
        if context_length == 0 || context_length > max {
            return Err(EngineError::ContextLength { context_length, max });
        }
        let cache = KvCache::new(config, context_length, engine.cache_element())?;
        let guess = Guess {
            lookup: Lookup::default(),
            payoff: Payoff::new(config),
            tokens: Vec::new(),
            logits: Vec::new(),
            matched: 0,
            right: 0,
        };
        Ok(Session {
            engine: engine.clone(),
            cache,
            tokens: Vec::new(),
            logits: Vec::new(),
            snapshot: None,
            guess,
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
            let done = reused + synced.computed + chunk.len();
            let rows = if done == tokens.len() { LogitRows::Last } else { LogitRows::None };
            self.extend(chunk, rows, &mut ());
            synced.computed += chunk.len();
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
    /// What followed the same tokens before may be computed with it, so that a later call finds its
    /// logits ready. They are the same bits.
    ///
    /// # Errors
    /// [`EngineError::ContextFull`] or [`EngineError::TokenId`]; then nothing changed.
    pub fn push(&mut self, token: TokenId) -> Result<(), EngineError> {
        self.check(self.tokens.len() + 1, &[token])?;
        if self.guess.tokens.get(self.guess.right) == Some(&token) {
            self.take_guess();
            return Ok(());
        }
        self.drop_guess(true);
        self.tokens.push(token);
        let guessed = self.guess();
        self.tokens.pop();
        if guessed.is_empty() {
            self.extend(&[token], LogitRows::Last, &mut ());
            return Ok(());
        }
        let step: Vec<TokenId> = [token].into_iter().chain(guessed.iter().copied()).collect();
        let mut logits = self.extend(&step, LogitRows::All, &mut ());
        self.tokens.truncate(self.tokens.len() - guessed.len());
        self.guess.logits = logits.split_off(self.engine.config().vocab_size);
        self.logits = logits;
        (self.guess.tokens, self.guess.right) = (guessed, 0);
        Ok(())
    }

    /// Tokens that are worth being computed with the last one.
    fn guess(&mut self) -> Vec<TokenId> {
        if self.engine.speculation() == Speculation::Off {
            return Vec::new();
        }
        let Some(candidate) = self.guess.lookup.find(&self.tokens) else { return Vec::new() };
        let room = self.context_length() - self.tokens.len();
        let n = self.guess.payoff.candidates(candidate.matched).min(room);
        self.guess.matched = candidate.matched;
        candidate.following.iter().take(n).copied().collect()
    }

    /// Moves the next guessed token into the timeline.
    fn take_guess(&mut self) {
        let guess = &mut self.guess;
        let vocab_size = self.engine.config().vocab_size;
        self.tokens.push(guess.tokens[guess.right]);
        self.logits.clear();
        let at = guess.right * vocab_size;
        self.logits.extend_from_slice(&guess.logits[at..at + vocab_size]);
        guess.right += 1;
        if guess.right == guess.tokens.len() {
            self.drop_guess(false);
        }
    }

    /// Forgets what was guessed and not asked for; learns from it, if the next token was another.
    fn drop_guess(&mut self, was_wrong: bool) {
        let guess = &mut self.guess;
        if guess.tokens.is_empty() {
            return;
        }
        guess.payoff.learn(guess.matched, guess.right, was_wrong);
        guess.tokens.clear();
        guess.logits.clear();
        let is_kept = self.cache.truncate(self.tokens.len());
        assert!(is_kept, "fewer tokens are guessed than a ring has room beside its window");
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
        self.drop_guess(false);
        let all = self.extend(tokens, LogitRows::All, observer);
        self.logits = all[all.len() - self.engine.config().vocab_size..].to_vec();
        Ok(all)
    }

    /// The logits after the last token, `[V]`; empty before the first, and when
    /// [`Session::sync_with`] was broken off.
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
        self.drop_guess(false);
        let common = common(&self.tokens, tokens);
        if common == tokens.len() && common == self.tokens.len() && !self.logits.is_empty() {
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
        let wanted = wanted.min(self.cache.positions());
        let snapshot = self.snapshot.as_ref();
        match snapshot.and_then(|snapshot| Some((snapshot, snapshot.resumes_at(wanted)?))) {
            Some((snapshot, at)) => self.cache.restore(snapshot, at),
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
            LogitRows::Last | LogitRows::None => {
                self.logits = logits;
                Vec::new()
            }
        }
    }
}

impl Engine {
    /// Appends tokens to several sessions of this engine in one forward pass. Each gets the bits
    /// that it gets alone, so that sessions may join and leave between any two steps.
    ///
    /// Gives the logits of the feeds that asked for [`LogitRows::All`], `[tokens, V]` each, one
    /// after the other; the others' are in their sessions.
    ///
    /// # Errors
    /// [`EngineError::ContextFull`] or [`EngineError::TokenId`]; then nothing changed.
    ///
    /// # Panics
    /// If a feed has no tokens.
    pub fn step(&self, feeds: &mut [Feed<'_>]) -> Result<Vec<f32>, EngineError> {
        for Feed { session, tokens, .. } in &*feeds {
            session.check(session.tokens.len() + tokens.len(), tokens)?;
        }
        if feeds.is_empty() {
            return Ok(Vec::new());
        }
        for feed in &mut *feeds {
            feed.session.drop_guess(false);
        }
        let mut segments: Vec<_> = feeds
            .iter_mut()
            .map(|feed| {
                let Feed { session, tokens, rows } = feed;
                Segment { cache: &mut session.cache, tokens, rows: *rows }
            })
            .collect();
        let logits = forward_batch(self.forward_model(), &mut segments, &mut ());
        let (vocab_size, mut rest, mut all) = (self.config().vocab_size, &logits[..], Vec::new());
        for Feed { session, tokens, rows } in feeds {
            let n = match rows {
                LogitRows::None => 0,
                LogitRows::Last => 1,
                LogitRows::All => tokens.len(),
            };
            let (own, others) = rest.split_at(n * vocab_size);
            rest = others;
            session.tokens.extend_from_slice(tokens);
            session.logits = own[own.len().saturating_sub(vocab_size)..].to_vec();
            if *rows == LogitRows::All {
                all.extend_from_slice(own);
            }
        }
        Ok(all)
    }
}
