//! Where the time of a forward pass goes.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

/// A part of the forward pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    Embedding,
    Norm,
    Qkv,
    Rope,
    Attention,
    AttentionOut,
    Router,
    ExpertsUp,
    ExpertsDown,
    Combine,
    Unembedding,
}

impl Part {
    const ALL: [Part; 11] = [
        Part::Embedding,
        Part::Norm,
        Part::Qkv,
        Part::Rope,
        Part::Attention,
        Part::AttentionOut,
        Part::Router,
        Part::ExpertsUp,
        Part::ExpertsDown,
        Part::Combine,
        Part::Unembedding,
    ];

    const fn name(self) -> &'static str {
        match self {
            Part::Embedding => "embedding",
            Part::Norm => "norm",
            Part::Qkv => "q, k, v",
            Part::Rope => "rope, cache",
            Part::Attention => "attention",
            Part::AttentionOut => "attention out",
            Part::Router => "router",
            Part::ExpertsUp => "experts up",
            Part::ExpertsDown => "experts down",
            Part::Combine => "experts sum",
            Part::Unembedding => "unembedding",
        }
    }
}

/// What a part has cost.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ProfileRow {
    /// The part of the forward pass.
    pub name: &'static str,
    /// How often it was run.
    pub calls: u64,
    /// Wall time.
    pub seconds: f64,
    /// Bytes of weights or of the cache that it read, each once.
    pub bytes: u64,
    /// Multiplications and additions.
    pub operations: u64,
}

/// Bytes and operations of one call.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Work {
    pub(crate) bytes: u64,
    pub(crate) operations: u64,
}

/// A clock for each part; stands still until it is started.
#[derive(Debug, Default)]
pub(crate) struct Profile {
    is_running: AtomicBool,
    rows: Mutex<[ProfileRow; Part::ALL.len()]>,
}

impl Profile {
    /// Begins anew.
    pub(crate) fn start(&self) {
        *self.lock() = Part::ALL.map(|part| ProfileRow { name: part.name(), ..Default::default() });
        self.is_running.store(true, Ordering::Relaxed);
    }

    /// Ends, and gives what was measured: one row for each part.
    pub(crate) fn take(&self) -> Vec<ProfileRow> {
        self.is_running.store(false, Ordering::Relaxed);
        self.lock().to_vec()
    }

    /// Runs a part; `work` is only asked for while the clock runs.
    pub(crate) fn time<T>(
        &self,
        part: Part,
        work: impl FnOnce() -> Work,
        run: impl FnOnce() -> T,
    ) -> T {
        if !self.is_running.load(Ordering::Relaxed) {
            return run();
        }
        let start = Instant::now();
        let result = run();
        let seconds = start.elapsed().as_secs_f64();
        let work = work();
        let row = &mut self.lock()[part as usize];
        row.calls += 1;
        row.seconds += seconds;
        row.bytes += work.bytes;
        row.operations += work.operations;
        result
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, [ProfileRow; Part::ALL.len()]> {
        // A panic elsewhere leaves numbers, which are as good as before.
        self.rows.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_is_counted_only_while_the_clock_runs() {
        let profile = Profile::default();
        let work = || Work { bytes: 3, operations: 5 };
        assert_eq!(profile.time(Part::Router, work, || 7), 7);
        profile.start();
        profile.time(Part::Router, work, || ());
        profile.time(Part::Router, work, || ());
        let rows = profile.take();
        let router = rows.iter().find(|row| row.name == "router").expect("a row for each part");
        assert_eq!((router.calls, router.bytes, router.operations), (2, 6, 10));
        assert!(rows.iter().filter(|row| row.calls > 0).count() == 1);
    }
}
