//! The loop of the thread that computes: who is new, whose turn it is, one step, who is done.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use super::options::BatchOptions;
use super::pace::Pace;
use super::prefix::PrefixIndex;
use super::prefix_file::{self, PrefixFileError, Target, identity};
use super::queue::Queue;
use super::request::{BatchRequest, BatchStop};
use super::scheduler::{Shared, State};
use super::sequence::{End, Sequence, is_wanted, panic_message, tell_unbegun};
use crate::engine::Engine;
use crate::kv_cache::{KvCache, KvPool};

/// Weight of one request in what requests take.
const LEARNING: f64 = 0.2;
/// A sequence shorter than this is not kept: to compute it again is little work.
const KEPT_MIN: usize = 16;

/// Everything that is computed, and what it is computed with.
pub(super) struct Worker {
    pub(super) engine: Engine,
    pub(super) options: BatchOptions,
    pub(super) pool: KvPool,
    pub(super) index: PrefixIndex,
    pub(super) queue: Queue<BatchRequest>,
    /// Sequences that gave their pages to older ones, oldest first.
    pub(super) preempted: VecDeque<Sequence>,
    pub(super) running: Vec<Sequence>,
    /// Caches without pages whose rings can be used again.
    pub(super) spare: Vec<KvCache>,
    pub(super) pace: Pace,
    /// Of the next sequence.
    pub(super) number: u64,
    shared: Arc<Shared>,
    pub(super) counters: Counters,
}

/// Counts since the last report.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Counters {
    pub(super) prompt_tokens: u64,
    pub(super) cached_tokens: u64,
    pub(super) generated_tokens: u64,
}

impl Worker {
    pub(super) fn new(
        engine: Engine,
        options: BatchOptions,
        pool: KvPool,
        shared: Arc<Shared>,
    ) -> Worker {
        Worker {
            index: PrefixIndex::new(options.snapshots_max),
            queue: Queue::new(),
            preempted: VecDeque::new(),
            running: Vec::new(),
            spare: Vec::new(),
            pace: Pace::new(options.stretch, options.sequences_max),
            number: 0,
            counters: Counters::default(),
            engine,
            options,
            pool,
            shared,
        }
    }

    /// Reads what an earlier program has kept.
    pub(super) fn load_prefixes(&mut self) -> Result<(), PrefixFileError> {
        let Worker { engine, options, pool, index, .. } = self;
        let Some(path) = &options.prefix_file else { return Ok(()) };
        let (config, context_length) = (engine.config(), options.context_length);
        prefix_file::load(path, &identity(engine), Target { pool, index, config, context_length })
    }

    /// Computes until the scheduler ends, and gives what became of the file of kept prefixes.
    pub(super) fn run(mut self) -> Result<(), PrefixFileError> {
        while self.receive() {
            let turn = AssertUnwindSafe(|| {
                self.forget_unwanted();
                self.admit();
                self.step();
                self.retire();
            });
            if let Err(payload) = catch_unwind(turn) {
                // A fault of this program: what was going on cannot be trusted any more.
                let why = panic_message(&*payload);
                self.index = PrefixIndex::new(self.options.snapshots_max);
                self.end_all(&BatchStop::Failed(format!("internal error: {why}")));
            }
        }
        for sequence in &self.running {
            keep(&mut self.index, sequence);
        }
        self.end_all(&BatchStop::ShuttingDown);
        match &self.options.prefix_file {
            Some(path) => prefix_file::save(path, &identity(&self.engine), &self.index),
            None => Ok(()),
        }
    }

    /// Takes what was submitted, and waits if there is nothing to do. Tells whether to go on.
    fn receive(&mut self) -> bool {
        let shared = self.shared.clone();
        let mut state = shared.lock();
        loop {
            for request in state.submitted.drain(..) {
                let client = request.client.clone();
                self.queue.push(&client, request);
            }
            self.report_to(&mut state);
            if state.is_ending {
                return false;
            }
            if !self.running.is_empty() || state.queued > 0 {
                return true;
            }
            state = shared.wait(state);
        }
    }

    /// Brings the status up to date: before somebody is told of a change, so that who then looks
    /// sees it.
    pub(super) fn report(&mut self) {
        let shared = self.shared.clone();
        self.report_to(&mut shared.lock());
    }

    fn report_to(&mut self, state: &mut State) {
        let Counters { prompt_tokens, cached_tokens, generated_tokens } =
            std::mem::take(&mut self.counters);
        state.queued = self.queue.len() + self.preempted.len();
        state.status.prompt_tokens += prompt_tokens;
        state.status.cached_tokens += cached_tokens;
        state.status.generated_tokens += generated_tokens;
        state.status.running = self.running.len();
        state.status.pages_used = self.pool.pages_used();
    }

    /// Drops requests that nobody waits for any more.
    fn forget_unwanted(&mut self) {
        for request in self.queue.remove(&mut |request| !is_wanted(request)) {
            // Its sink may panic once more.
            let _ = catch_unwind(AssertUnwindSafe(move || drop(request)));
        }
        self.preempted.iter_mut().for_each(Sequence::check_wanted);
        let (gone, kept) =
            self.preempted.drain(..).partition::<Vec<_>, _>(|sequence| sequence.ended.is_some());
        self.preempted = kept.into();
        for sequence in gone {
            self.spare.extend(sequence.into_cache());
        }
        self.running.iter_mut().for_each(Sequence::check_wanted);
        self.retire();
    }

    /// Ends the sequences that have ended: keeps what they computed, and tells them.
    pub(super) fn retire(&mut self) {
        let mut i = 0;
        while i < self.running.len() {
            if self.running[i].ended.is_none() {
                i += 1;
                continue;
            }
            let mut sequence = self.running.remove(i);
            keep(&mut self.index, &sequence);
            sequence.release();
            let seconds = sequence.since.elapsed().as_secs_f64();
            let mut state = self.shared.lock();
            state.request_seconds += (seconds - state.request_seconds) * LEARNING;
            drop(state);
            self.report();
            sequence.tell_end();
            self.spare.extend(sequence.into_cache());
        }
    }

    /// Ends everything that runs or waits.
    fn end_all(&mut self, stop: &BatchStop) {
        for mut sequence in self.running.drain(..).chain(self.preempted.drain(..)) {
            sequence.ended.get_or_insert(End::Told(stop.clone()));
            sequence.tell_end();
            // The cache goes too; it may be half written.
            sequence.into_cache();
        }
        let mut waiting = self.queue.remove(&mut |_| true);
        waiting.append(&mut self.shared.lock().submitted);
        for request in waiting {
            tell_unbegun(request, stop.clone());
        }
    }
}

/// Keeps a snapshot of what was computed of a sequence.
pub(super) fn keep(index: &mut PrefixIndex, sequence: &Sequence) {
    let cache = sequence.cache();
    let tokens = &sequence.tokens()[..cache.positions()];
    if tokens.len() >= KEPT_MIN && index.wants(tokens) {
        index.insert(tokens, cache.pages(), cache.snapshot());
    }
}
