//! The handle of the thread that computes.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

use super::options::BatchOptions;
use super::prefix_file::PrefixFileError;
use super::request::{BatchRequest, BatchStatus, Batcher, Refused};
use super::worker::Worker;
use crate::engine::Engine;
use crate::error::EngineError;
use crate::kv_cache::{CacheShape, KvPool};

/// Seconds that a request is believed to take before one was seen.
const SECONDS_UNKNOWN: f64 = 10.0;
/// Bounds of what a refused client is told to wait, in seconds.
const RETRY_SECONDS: (f64, f64) = (1.0, 600.0);

/// Computes requests together on a thread of its own: they join and leave at every step, and each
/// gets the bits that it gets alone.
///
/// Dropping it ends what runs with [`BatchStop::ShuttingDown`](super::BatchStop::ShuttingDown).
pub struct Scheduler {
    engine: Engine,
    options: BatchOptions,
    shared: Arc<Shared>,
    /// Gives what became of the file of kept prefixes.
    thread: Mutex<Option<JoinHandle<Result<(), PrefixFileError>>>>,
    cold_start: Option<PrefixFileError>,
}

/// What the handle and the thread have in common.
pub(super) struct Shared {
    state: Mutex<State>,
    /// Rung when something was submitted or the end is near.
    bell: Condvar,
}

/// See [`Shared`].
pub(super) struct State {
    /// Requests that the thread has not seen.
    pub(super) submitted: Vec<BatchRequest>,
    /// Requests that wait in the thread.
    pub(super) queued: usize,
    /// Whether new requests are refused.
    pub(super) is_closed: bool,
    /// Whether what runs is to end.
    pub(super) is_ending: bool,
    pub(super) status: BatchStatus,
    /// What a request took lately, from its turn to its end.
    pub(super) request_seconds: f64,
}

impl Shared {
    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sleeps until the bell rings.
    pub(super) fn wait<'a>(&self, state: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
        self.bell.wait(state).unwrap_or_else(PoisonError::into_inner)
    }
}

impl Scheduler {
    /// Starts the thread.
    ///
    /// # Errors
    /// [`EngineError::ContextLength`], [`EngineError::BatchOption`] or [`EngineError::HeadDim`] if
    /// no request could be computed, and [`EngineError::BatchMemory`] if there is no room.
    ///
    /// # Panics
    /// If the system has no thread left.
    pub fn start(engine: &Engine, options: BatchOptions) -> Result<Scheduler, EngineError> {
        let shape = CacheShape::new(engine.config(), engine.cache_element())?;
        options.check(engine.config(), &shape)?;
        let pool = KvPool::new(shape, options.pages());
        let status = BatchStatus {
            pages: pool.pages(),
            page_positions: KvPool::PAGE_POSITIONS,
            ..BatchStatus::default()
        };
        let state = State {
            submitted: Vec::new(),
            queued: 0,
            is_closed: false,
            is_ending: false,
            status,
            request_seconds: SECONDS_UNKNOWN,
        };
        let shared = Arc::new(Shared { state: Mutex::new(state), bell: Condvar::new() });
        let mut worker = Worker::new(engine.clone(), options.clone(), pool, shared.clone());
        let cold_start = worker.load_prefixes().err();
        let builder = thread::Builder::new().name("batch".to_owned());
        let thread = builder.spawn(move || worker.run()).expect("the system has a thread left");
        let thread = Mutex::new(Some(thread));
        Ok(Scheduler { engine: engine.clone(), options, shared, thread, cold_start })
    }

    /// Why [`BatchOptions::prefix_file`] was not read, so that nothing is kept of an earlier
    /// program. That there is no file yet is no reason.
    pub fn cold_start(&self) -> Option<&PrefixFileError> {
        self.cold_start.as_ref()
    }

    /// Ends what runs or waits with [`BatchStop::ShuttingDown`](super::BatchStop::ShuttingDown),
    /// refuses what comes, and writes [`BatchOptions::prefix_file`]. The second time, and in a
    /// sink, it does not wait.
    ///
    /// # Errors
    /// Why the file could not be written.
    pub fn finish(&self) -> Result<(), PrefixFileError> {
        let mut state = self.shared.lock();
        (state.is_closed, state.is_ending) = (true, true);
        drop(state);
        self.shared.bell.notify_one();
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        match thread {
            // A sink may hold the last handle; its thread cannot wait for itself.
            Some(thread) if thread.thread().id() != thread::current().id() => {
                // The thread catches panics; if one escaped, there is nothing left to do.
                thread.join().unwrap_or(Ok(()))
            }
            _ => Ok(()),
        }
    }

    /// What no amount of waiting would change.
    fn check(&self, request: &BatchRequest) -> Result<(), EngineError> {
        let (tokens, context_length) = (request.prompt.len(), self.options.context_length);
        if tokens == 0 {
            return Err(EngineError::EmptyPrompt);
        }
        if tokens > context_length {
            return Err(EngineError::ContextFull { tokens, context_length });
        }
        let vocab_size = self.engine.config().vocab_size;
        if let Some(id) = request.prompt.iter().find(|id| **id as usize >= vocab_size) {
            return Err(EngineError::TokenId { id: *id, vocab_size });
        }
        Ok(request.sampling.validate()?)
    }
}

impl Batcher for Scheduler {
    fn submit(&self, request: BatchRequest) -> Result<(), Refused> {
        self.check(&request)?;
        let mut state = self.shared.lock();
        if state.is_closed {
            return Err(Refused::ShuttingDown);
        }
        let waiting = state.queued + state.submitted.len();
        if waiting >= self.options.waiting_max {
            let turns = (waiting + 1) as f64 / self.options.sequences_max as f64;
            let seconds = (turns * state.request_seconds).ceil();
            let retry_after = seconds.clamp(RETRY_SECONDS.0, RETRY_SECONDS.1) as u64;
            return Err(Refused::QueueFull { waiting, retry_after });
        }
        state.submitted.push(request);
        drop(state);
        self.shared.bell.notify_one();
        Ok(())
    }

    fn status(&self) -> BatchStatus {
        let state = self.shared.lock();
        BatchStatus { waiting: state.queued + state.submitted.len(), ..state.status }
    }

    fn context_length(&self) -> usize {
        self.options.context_length
    }

    fn close(&self) {
        self.shared.lock().is_closed = true;
    }
}

impl Drop for Scheduler {
    fn drop(&mut self) {
        // Who wants to know what became of the file calls it first.
        let _ = self.finish();
    }
}
