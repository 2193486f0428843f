//! The pool: its threads, and what can be asked of it.

use std::fmt;
use std::num::NonZeroUsize;
use std::panic;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};

use crate::backoff::Backoff;
use crate::chunks;
use crate::region::{Board, Region, in_task};
use crate::sleep::Sleep;

/// Threads that run one function over a range of indices together.
///
/// The thread that calls [`Pool::run`] is one of them. Dropping the pool ends the others.
///
/// ```
/// use std::num::NonZeroUsize;
/// use gptoss_threads::Pool;
///
/// let pool = Pool::new(NonZeroUsize::new(2).expect("two is not zero"));
/// let mut squares = vec![0; 1000];
/// let _active = pool.active();
/// pool.chunks_mut(&mut squares, 100, &|index, piece| {
///     for (i, square) in piece.iter_mut().enumerate() {
///         *square = (index * 100 + i).pow(2);
///     }
/// });
/// assert_eq!(squares[999], 999 * 999);
/// ```
pub struct Pool {
    room: Arc<Room>,
    workers: Vec<JoinHandle<()>>,
}

/// What the threads of a pool have in common.
#[derive(Debug, Default)]
struct Room {
    board: Board,
    sleep: Sleep,
    /// Guards of [`Pool::active`] that live.
    active: AtomicUsize,
    closed: AtomicBool,
}

/// Keeps the workers of a pool awake while it lives; see [`Pool::active`].
#[derive(Debug)]
#[must_use = "the workers are kept awake only while this guard lives"]
pub struct Active<'a> {
    room: &'a Room,
}

impl Pool {
    /// The largest number of threads of a pool.
    pub const THREADS_MAX: usize = 256;

    /// A pool of `threads` threads: the caller of [`Pool::run`] and `threads - 1` workers.
    ///
    /// If the system refuses to start that many threads, the pool has fewer: see
    /// [`Pool::threads`]. The results are the same.
    ///
    /// # Panics
    /// With more than [`Pool::THREADS_MAX`] threads.
    pub fn new(threads: NonZeroUsize) -> Pool {
        let (threads, max) = (threads.get(), Pool::THREADS_MAX);
        assert!(threads <= max, "threads of a pool: expected 1 to {max}, found {threads}");
        let room = Arc::new(Room::default());
        let cores = Pool::available();
        let spawn = |i: usize| {
            let room = Arc::clone(&room);
            // A worker without a core of its own would take one from those who work.
            let spins = i < cores;
            let name = format!("gptoss-{i}");
            thread::Builder::new().name(name).spawn(move || room.serve(spins)).ok()
        };
        let workers = (1..threads).map_while(spawn).collect();
        Pool { room, workers }
    }

    /// The number of threads that this process may run at once, at least 1.
    ///
    /// On Linux it respects the affinity of the process and the CPU quota of its control group.
    pub fn available() -> usize {
        thread::available_parallelism().map_or(1, NonZeroUsize::get)
    }

    /// The number of threads, the caller included.
    pub fn threads(&self) -> usize {
        self.workers.len() + 1
    }

    /// Calls `task(i)` once for each `i` in `0..count`, on any threads, and returns when all calls
    /// have returned.
    ///
    /// Indices are handed out in ascending order, one at a time: some 10 to 100 ns each when
    /// several threads ask at once, so a task should be worth a microsecond. Everything that tasks
    /// wrote is visible when `run` returns.
    ///
    /// A call from inside a task, of this pool or another, runs in the thread of that task. Calls
    /// from several threads run one after the other; a task may therefore not wait for another
    /// thread that calls `run` of the same pool.
    ///
    /// # Panics
    /// If a task panics: calls that have begun are finished, the others are skipped, and the first
    /// panic goes on in the caller. The pool can be used as before.
    pub fn run(&self, count: usize, task: &(dyn Fn(usize) + Sync)) {
        if count <= 1 || self.workers.is_empty() || in_task() {
            (0..count).for_each(task);
            return;
        }
        let room = &*self.room;
        let region = Region { count, task };
        let result = room.board.run(&region, || room.wake(count - 1), || room.wait());
        if let Err(payload) = result {
            panic::resume_unwind(payload);
        }
    }

    /// Splits `data` into pieces of `piece` elements, the last of which may be shorter, and calls
    /// `task(index, piece)` once for each, as [`Pool::run`] does.
    ///
    /// # Panics
    /// If `piece` is 0, and if a task panics.
    pub fn chunks_mut<T: Send>(
        &self,
        data: &mut [T],
        piece: usize,
        task: &(dyn Fn(usize, &mut [T]) + Sync),
    ) {
        chunks::chunks_mut(self, data, piece, task);
    }

    /// Splits `data` at `ends` and calls `task(index, piece)` once for each piece, as
    /// [`Pool::run`] does: piece `i` is `data[ends[i - 1]..ends[i]]`, the first begins at 0.
    ///
    /// # Panics
    /// If `ends` do not ascend or the last is not the length of `data`, and if a task panics.
    pub fn pieces_mut<T: Send>(
        &self,
        data: &mut [T],
        ends: &[usize],
        task: &(dyn Fn(usize, &mut [T]) + Sync),
    ) {
        chunks::pieces_mut(self, data, ends, task);
    }

    /// Lets workers spin instead of sleep while the guard lives, so that a region begins and ends
    /// in a fraction of a microsecond.
    ///
    /// To be held during a forward pass, and not while waiting for a user: every spinning worker
    /// keeps a core busy. There is at most one for each core beside the caller's; workers beyond
    /// that are left asleep while the guard lives, since they could only take a core from those
    /// who work. Guards may be nested and held by several threads.
    pub fn active(&self) -> Active<'_> {
        let room = &*self.room;
        if room.active.fetch_add(1, Ordering::SeqCst) == 0 {
            room.sleep.wake_workers(self.workers.len());
        }
        Active { room }
    }
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool").field("threads", &self.threads()).finish_non_exhaustive()
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.room.closed.store(true, Ordering::SeqCst);
        self.room.sleep.wake_workers(self.workers.len());
        for worker in self.workers.drain(..) {
            // Panics of tasks do not reach this far up a worker, and there is nothing to be done
            // about one while dropping.
            let _ = worker.join();
        }
    }
}

impl Drop for Active<'_> {
    fn drop(&mut self) {
        self.room.active.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Room {
    /// The life of a worker: wait for a region, take part, until the pool is closed.
    fn serve(&self, spins: bool) {
        let is_active = || spins && self.active.load(Ordering::SeqCst) > 0;
        let closed = || self.closed.load(Ordering::SeqCst);
        let mut wait = Backoff::new();
        while !closed() {
            if self.board.has_work() {
                self.take_part();
                wait = Backoff::new();
            } else if !wait.is_over() || is_active() {
                wait.step();
            } else {
                self.sleep.worker_while(|| !self.board.has_work() && !is_active() && !closed());
                wait = Backoff::new();
            }
        }
    }

    fn take_part(&self) {
        if self.board.take_part() {
            self.sleep.wake_caller();
        }
    }

    /// Calls for at most `count` sleeping workers, in the thread of the caller.
    fn wake(&self, count: usize) {
        // While active, those who can help are awake already; to look for others would cost each
        // region a system call.
        if self.active.load(Ordering::SeqCst) == 0 {
            self.sleep.wake_workers(count);
        }
    }

    /// Returns when the region is finished, in the thread of the caller.
    fn wait(&self) {
        let mut wait = Backoff::new();
        while !self.board.finished() {
            if wait.is_over() {
                self.sleep.caller_until(|| self.board.finished());
            } else {
                wait.step();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Barrier;

    use super::*;

    fn wait_for_asleep(pool: &Pool, count: usize) {
        while pool.room.sleep.workers_asleep() != count {
            thread::yield_now();
        }
    }

    #[test]
    fn a_region_wakes_as_many_sleepers_as_can_help() {
        let pool = Pool::new(NonZeroUsize::new(4).expect("four is not zero"));
        for count in [2, 3, 4, 2] {
            wait_for_asleep(&pool, 3);
            // No task ends before all have begun, each in a thread of its own.
            let all = Barrier::new(count);
            pool.run(count, &|_| {
                all.wait();
            });
        }
    }

    #[test]
    fn a_guard_wakes_workers_that_have_a_core() {
        let pool = Pool::new(NonZeroUsize::new(4).expect("four is not zero"));
        let with_a_core = Pool::available().min(4) - 1;
        for _ in 0..3 {
            wait_for_asleep(&pool, 3);
            let outer = pool.active();
            wait_for_asleep(&pool, 3 - with_a_core);
            drop(pool.active());
            assert_eq!(pool.room.active.load(Ordering::SeqCst), 1);
            drop(outer);
        }
    }
}
