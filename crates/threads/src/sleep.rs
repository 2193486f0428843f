//! Who sleeps, and who wakes them.
//!
//! No wake-up is lost: whoever is about to sleep first says so and then looks for a reason to stay
//! awake; whoever makes a reason first makes it and then looks whether someone sleeps. All four
//! steps are sequentially consistent, so at least one of the two sees the other. The lock closes
//! the gap between the last look and the sleep itself.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// The sleeping threads of a pool.
#[derive(Debug, Default)]
pub(crate) struct Sleep {
    lock: Mutex<()>,
    workers: Condvar,
    workers_asleep: AtomicUsize,
    caller: Condvar,
    caller_asleep: AtomicBool,
}

impl Sleep {
    /// Sleeps as long as `idle`, which reads with sequential consistency what others write before
    /// they call [`Sleep::wake_workers`].
    pub(crate) fn worker_while(&self, idle: impl Fn() -> bool) {
        let mut guard = self.lock();
        self.workers_asleep.fetch_add(1, Ordering::SeqCst);
        while idle() {
            guard = self.workers.wait(guard).unwrap_or_else(PoisonError::into_inner);
        }
        self.workers_asleep.fetch_sub(1, Ordering::SeqCst);
    }

    /// Wakes sleeping workers, at most `count`.
    pub(crate) fn wake_workers(&self, count: usize) {
        let asleep = self.workers_asleep.load(Ordering::SeqCst);
        if asleep == 0 || count == 0 {
            return;
        }
        drop(self.lock());
        if count >= asleep {
            self.workers.notify_all();
        } else {
            (0..count).for_each(|_| self.workers.notify_one());
        }
    }

    /// Sleeps until `finished`, which reads with sequential consistency what others write before
    /// they call [`Sleep::wake_caller`]. One caller at a time.
    pub(crate) fn caller_until(&self, finished: impl Fn() -> bool) {
        let mut guard = self.lock();
        self.caller_asleep.store(true, Ordering::SeqCst);
        while !finished() {
            guard = self.caller.wait(guard).unwrap_or_else(PoisonError::into_inner);
        }
        self.caller_asleep.store(false, Ordering::SeqCst);
    }

    /// Wakes the caller if it sleeps.
    pub(crate) fn wake_caller(&self) {
        if self.caller_asleep.load(Ordering::SeqCst) {
            drop(self.lock());
            self.caller.notify_one();
        }
    }

    /// How many workers sleep.
    #[cfg(test)]
    pub(crate) fn workers_asleep(&self) -> usize {
        self.workers_asleep.load(Ordering::SeqCst)
    }

    fn lock(&self) -> MutexGuard<'_, ()> {
        self.lock.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_sleeps_who_has_a_reason_not_to() {
        let sleep = Sleep::default();
        sleep.worker_while(|| false);
        sleep.caller_until(|| true);
        assert_eq!(sleep.workers_asleep.load(Ordering::SeqCst), 0);
        assert!(!sleep.caller_asleep.load(Ordering::SeqCst));
    }

    #[test]
    fn every_sleeper_is_woken_once_for_each_reason() {
        const WORKERS: usize = 3;
        const ROUNDS: usize = 300;
        let (sleep, round) = (Sleep::default(), AtomicUsize::new(0));
        let woken = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for _ in 0..WORKERS {
                scope.spawn(|| {
                    for seen in 0..ROUNDS {
                        sleep.worker_while(|| round.load(Ordering::SeqCst) == seen);
                        woken.fetch_add(1, Ordering::SeqCst);
                        sleep.wake_caller();
                    }
                });
            }
            for next in 1..=ROUNDS {
                round.store(next, Ordering::SeqCst);
                sleep.wake_workers(WORKERS);
                sleep.caller_until(|| woken.load(Ordering::SeqCst) == next * WORKERS);
            }
        });
        assert_eq!(woken.load(Ordering::SeqCst), ROUNDS * WORKERS);
    }
}
