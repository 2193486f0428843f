//! One parallel region at a time: published by its caller, claimed index by index, finished when
//! every index is accounted for.
//!
//! Three counters and a pointer make the protocol. Two facts carry all of it:
//!
//! 1. `remaining` counts indices that nobody has claimed. A claim takes it from r > 0 to r - 1,
//!    and whoever did that owns index `count - r`. So indices are claimed once each, in ascending
//!    order, and a claim succeeds only if there is something to claim *at that moment*: a thread
//!    that looked long ago and wakes in another region cannot claim for the past.
//! 2. `unfinished` counts indices that are not accounted for. A thread subtracts what it claimed
//!    only after its last use of the region, and the caller stays until nothing is left, so that
//!    a region outlives every claim on it.
//!
//! A counter that counts up needs an epoch beside it, so that a late thread does not claim index 3
//! of a region that has 2. A counter that counts down to 0 needs none.

#![allow(unsafe_code)]

use std::any::Any;
use std::cell::Cell;
use std::mem;
use std::panic::{self, AssertUnwindSafe};
use std::ptr;
use std::sync::atomic::{AtomicPtr, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

thread_local! {
    /// Whether this thread is inside a task: a region that begins here runs in this thread.
    static IN_TASK: Cell<bool> = const { Cell::new(false) };
}

/// What a panic leaves behind.
pub(crate) type Payload = Box<dyn Any + Send>;

/// A function and how many indices it is called for; it lies on the caller's stack.
pub(crate) struct Region<'a> {
    pub(crate) count: usize,
    pub(crate) task: &'a (dyn Fn(usize) + Sync),
}

/// A value on cache lines of its own: 128 bytes, since x86 fetches lines of 64 in pairs.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Apart<T>(T);

/// Where a region is put up for all threads of a pool.
#[derive(Debug, Default)]
pub(crate) struct Board {
    /// Held by the caller whose region is on the board.
    turn: Mutex<()>,
    offer: Apart<Offer>,
    unfinished: Apart<AtomicUsize>,
    /// The first panic of the region.
    panic: Mutex<Option<Payload>>,
}

/// What a thread reads to claim an index.
#[derive(Debug, Default)]
struct Offer {
    /// Indices that nobody has claimed.
    remaining: AtomicUsize,
    /// A [`Region`], alive from before `remaining` is above 0 until `unfinished` is 0.
    region: AtomicPtr<()>,
}

impl Board {
    /// Whether there is an index to claim.
    ///
    /// Sequentially consistent, as `sleep` requires; on x86 and ARM that costs a load nothing.
    pub(crate) fn has_work(&self) -> bool {
        self.offer.0.remaining.load(Ordering::SeqCst) > 0
    }

    /// Whether every index of the last region is accounted for.
    pub(crate) fn finished(&self) -> bool {
        // Sequentially consistent for `sleep`. As an acquire it also makes the writes of all tasks
        // visible: `unfinished` reached 0 by a chain of read-modify-writes, each a release.
        self.unfinished.0.load(Ordering::SeqCst) == 0
    }

    /// Runs a region: publishes it, calls `wake`, takes part in it, and calls `wait`, which should
    /// return when [`Board::finished`] is true. Regions of several callers run one after the other.
    ///
    /// # Errors
    /// What the first task that panicked left behind; indices that were not claimed at that moment
    /// are skipped.
    pub(crate) fn run(
        &self,
        region: &Region<'_>,
        wake: impl FnOnce(),
        wait: impl FnOnce(),
    ) -> Result<(), Payload> {
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        // No way out of this function leaves a pointer on the board that is still in use.
        let finish = Finish { board: self };
        self.offer.0.region.store(ptr::from_ref(region).cast_mut().cast(), Ordering::Relaxed);
        self.unfinished.0.store(region.count, Ordering::Relaxed);
        // The release that a claim acquires: who claims sees the two stores above.
        self.offer.0.remaining.store(region.count, Ordering::SeqCst);
        wake();
        self.take_part();
        wait();
        drop(finish);
        let mut panic = self.panic.lock().unwrap_or_else(PoisonError::into_inner);
        panic.take().map_or(Ok(()), Err)
    }

    /// Claims indices and calls the task for them until none is left; whether this thread was the
    /// last to finish.
    pub(crate) fn take_part(&self) -> bool {
        let Some(remaining) = self.claim() else { return false };
        let done = self.work(remaining);
        // The release that the caller acquires in `finished`. Nothing of the region may be used
        // after it.
        self.unfinished.0.fetch_sub(done, Ordering::SeqCst) == done
    }

    /// Takes one index; what `remaining` was before.
    fn claim(&self) -> Option<usize> {
        let remaining = &self.offer.0.remaining;
        let mut seen = remaining.load(Ordering::Relaxed);
        while seen > 0 {
            let less = seen - 1;
            let claimed =
                remaining.compare_exchange_weak(seen, less, Ordering::Acquire, Ordering::Relaxed);
            match claimed {
                Ok(_) => return Some(seen),
                Err(other) => seen = other,
            }
        }
        None
    }

    /// Does a claimed index and all that can be claimed after it; how many indices are accounted
    /// for by that.
    fn work(&self, claimed: usize) -> usize {
        let region = self.offer.0.region.load(Ordering::Relaxed);
        // SAFETY: `run` stored a pointer to a `Region` before it set `remaining`, and this thread
        // has acquired that by a claim which it has not yet subtracted from `unfinished`. `run`
        // neither returns nor gives up its turn to store another pointer before `unfinished` is 0
        // (`Finish`). The reference is last used in this function, before the subtraction.
        let region = unsafe { &*region.cast::<Region<'_>>() };
        // Every later claim of this loop is of the same region, since it is unfinished until the
        // first claim is subtracted.
        let mut next = Some(claimed);
        let mut done = 0;
        let was_in_task = IN_TASK.replace(true);
        let result = panic::catch_unwind(AssertUnwindSafe(|| {
            while let Some(remaining) = next {
                done += 1;
                (region.task)(region.count - remaining);
                next = self.claim();
            }
        }));
        IN_TASK.set(was_in_task);
        if let Err(payload) = result {
            done += self.cancel(payload);
        }
        done
    }

    /// Keeps the payload for the caller and claims everything that is left; how much that was.
    fn cancel(&self, payload: Payload) -> usize {
        let mut first = self.panic.lock().unwrap_or_else(PoisonError::into_inner);
        match *first {
            None => *first = Some(payload),
            // Dropping runs code of the task once more, and a panic there would end a worker.
            Some(_) => mem::forget(payload),
        }
        self.offer.0.remaining.swap(0, Ordering::Acquire)
    }
}

/// Makes sure, when it is dropped, that nobody uses the region any more.
struct Finish<'a> {
    board: &'a Board,
}

impl Drop for Finish<'_> {
    fn drop(&mut self) {
        if !self.board.finished() {
            // `wake` or `wait` panicked: claim what is left, and wait for what others claimed.
            let left = self.board.offer.0.remaining.swap(0, Ordering::Acquire);
            self.board.unfinished.0.fetch_sub(left, Ordering::SeqCst);
            while !self.board.finished() {
                thread::yield_now();
            }
        }
    }
}

/// Whether this thread is inside a task of any pool.
pub(crate) fn in_task() -> bool {
    IN_TASK.get()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn payload_text(payload: &Payload) -> &str {
        payload.downcast_ref::<&str>().expect("the tests panic with literals")
    }

    #[test]
    fn indices_are_claimed_in_ascending_order() {
        let board = Board::default();
        let seen = Mutex::new(Vec::new());
        let task = |i| seen.lock().unwrap().push(i);
        board.run(&Region { count: 5, task: &task }, || {}, || {}).unwrap();
        assert_eq!(*seen.lock().unwrap(), [0, 1, 2, 3, 4]);
        assert!(board.finished() && !board.has_work());
    }

    #[test]
    fn a_panic_skips_what_nobody_has_claimed() {
        let board = Board::default();
        let calls = AtomicUsize::new(0);
        let task = |i| {
            calls.fetch_add(1, Ordering::Relaxed);
            assert!(i != 2, "two");
        };
        let result = board.run(&Region { count: 9, task: &task }, || {}, || {});
        assert_eq!(payload_text(&result.unwrap_err()), "two");
        assert_eq!(calls.load(Ordering::Relaxed), 3);
        assert!(board.finished() && !board.has_work());
        board.run(&Region { count: 1, task: &|_| {} }, || {}, || {}).unwrap();
    }

    #[test]
    fn a_thread_without_a_claim_does_nothing() {
        let board = Board::default();
        assert!(!board.take_part());
        assert!(board.finished());
    }

    #[test]
    fn a_panic_while_waking_leaves_nothing_on_the_board() {
        let board = Board::default();
        let region = Region { count: 3, task: &|_| {} };
        let run = || board.run(&region, || panic!("no bell"), || {});
        assert!(panic::catch_unwind(AssertUnwindSafe(run)).is_err());
        assert!(board.finished() && !board.has_work());
        board.run(&region, || {}, || {}).unwrap();
    }

    #[test]
    fn a_task_is_known_as_one_in_its_thread_only() {
        let board = Board::default();
        let task = |_| {
            assert!(in_task());
            assert!(!thread::scope(|scope| scope.spawn(in_task).join().unwrap()));
        };
        board.run(&Region { count: 2, task: &task }, || {}, || {}).unwrap();
        assert!(!in_task());
    }
}
