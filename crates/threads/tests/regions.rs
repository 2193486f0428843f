//! Every index once, whatever the threads, the callers and the moment.

#![forbid(unsafe_code)]

use std::collections::HashSet;
use std::hint::black_box;
use std::num::NonZeroUsize;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Barrier, Mutex};
use std::thread;

use gptoss_threads::Pool;
use proptest::prelude::*;

fn pool(threads: usize) -> Pool {
    Pool::new(NonZeroUsize::new(threads).expect("tests ask for threads"))
}

/// How often `run` calls the task for each index.
fn calls(pool: &Pool, count: usize) -> Vec<usize> {
    let calls: Vec<AtomicUsize> = (0..count).map(|_| AtomicUsize::new(0)).collect();
    pool.run(count, &|i| {
        calls[i].fetch_add(1, Ordering::Relaxed);
    });
    calls.into_iter().map(AtomicUsize::into_inner).collect()
}

/// Some work whose result depends on the index only.
fn mix(i: usize) -> u64 {
    (0..i % 97).fold(i as u64, |x, _| x.wrapping_mul(6364136223846793005).wrapping_add(1))
}

/// Some 20 ns for each step.
fn compute(steps: usize) {
    for i in 0..steps {
        black_box(mix(i));
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 48,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn every_index_is_done_once(
        threads in 1_usize..=12,
        counts in prop::collection::vec(0_usize..400, 1..20),
        active in any::<bool>(),
    ) {
        let pool = pool(threads);
        prop_assert_eq!(pool.threads(), threads);
        let _active = active.then(|| pool.active());
        for count in counts {
            prop_assert_eq!(calls(&pool, count), vec![1; count]);
        }
    }

    #[test]
    fn pieces_are_those_of_chunks_mut(
        threads in 1_usize..=6,
        len in 0_usize..600,
        piece in 1_usize..700,
    ) {
        let pool = pool(threads);
        let fill = |index: usize, piece: &mut [u64]| {
            let len = piece.len();
            piece.iter_mut().enumerate().for_each(|(i, x)| *x += mix(index * 1000 + i + len));
        };
        let mut expected: Vec<u64> = (0..len as u64).collect();
        let mut found = expected.clone();
        expected.chunks_mut(piece).enumerate().for_each(|(index, piece)| fill(index, piece));
        pool.chunks_mut(&mut found, piece, &fill);
        prop_assert_eq!(found, expected);
    }
}

#[test]
fn more_threads_than_cores_do_every_index_once() {
    let pool = pool(Pool::THREADS_MAX);
    assert_eq!(pool.threads(), Pool::THREADS_MAX);
    for _ in 0..20 {
        assert_eq!(calls(&pool, 1000), vec![1; 1000]);
    }
    let _active = pool.active();
    for _ in 0..200 {
        assert_eq!(calls(&pool, 300), vec![1; 300]);
    }
}

#[test]
fn a_hundred_thousand_regions_lose_nothing() {
    const REGIONS: usize = 100_000;
    let pool = pool(3);
    let done = AtomicUsize::new(0);
    let count = |_| {
        done.fetch_add(1, Ordering::Relaxed);
    };
    for region in 0..REGIONS {
        // Half of them while workers spin, and half while they may go to sleep in between.
        let _active = (region < REGIONS / 2).then(|| pool.active());
        pool.run(2, &count);
        assert_eq!(done.load(Ordering::Relaxed), 2 * (region + 1));
    }
    for _ in 0..REGIONS {
        pool.run(0, &count);
    }
    assert_eq!(done.into_inner(), 2 * REGIONS);
}

#[test]
fn what_tasks_wrote_is_visible_after_the_region() {
    let pool = pool(4);
    let _active = pool.active();
    let mut data = vec![0_u64; 64];
    for round in 1..=2000 {
        pool.chunks_mut(&mut data, 8, &|_, piece| piece.iter_mut().for_each(|x| *x += 1));
        assert!(data.iter().all(|&x| x == round), "round {round}: {data:?}");
    }
}

#[test]
fn tasks_of_one_region_run_on_several_threads() {
    let pool = pool(2);
    // Neither task ends before both have begun.
    let both = Barrier::new(2);
    let threads = Mutex::new(HashSet::new());
    for _ in 0..50 {
        pool.run(2, &|_| {
            both.wait();
            threads.lock().unwrap().insert(thread::current().id());
        });
    }
    let threads = threads.into_inner().unwrap();
    assert_eq!(threads.len(), 2);
    assert!(threads.contains(&thread::current().id()));
}

#[test]
fn elements_without_size_and_empty_slices_have_pieces() {
    let pool = pool(3);
    let elements = AtomicUsize::new(0);
    let add = |_, piece: &mut [()]| {
        elements.fetch_add(piece.len(), Ordering::Relaxed);
    };
    pool.chunks_mut(&mut [(); 1001], 7, &add);
    pool.chunks_mut(&mut [(); 5], usize::MAX, &add);
    pool.chunks_mut(&mut [], 7, &add);
    assert_eq!(elements.into_inner(), 1006);
}

#[test]
fn a_panic_goes_on_in_the_caller_and_the_pool_stays() {
    for threads in [1, 2, 5] {
        let pool = pool(threads);
        for at in [0, 1, 50, 99] {
            let begun = AtomicU64::new(0);
            let region = || {
                pool.run(100, &|i| {
                    begun.fetch_add(1, Ordering::Relaxed);
                    if i == at {
                        panic!("task {i}");
                    }
                });
            };
            let payload = catch_unwind(AssertUnwindSafe(region)).unwrap_err();
            assert_eq!(*payload.downcast::<String>().unwrap(), format!("task {at}"));
            assert!((at as u64 + 1..=100).contains(&begun.into_inner()));
            assert_eq!(calls(&pool, 100), vec![1; 100]);
        }
    }
}

#[test]
fn panics_in_all_tasks_are_one_panic() {
    /// Panics once more when it is thrown away.
    struct Bomb;
    impl Drop for Bomb {
        fn drop(&mut self) {
            if !thread::panicking() {
                panic!("dropped");
            }
        }
    }
    let pool = pool(4);
    for _ in 0..50 {
        let region = || pool.run(64, &|_| std::panic::panic_any(Bomb));
        let payload = catch_unwind(AssertUnwindSafe(region)).unwrap_err();
        assert!(payload.is::<Bomb>());
        std::mem::forget(payload);
        assert_eq!(calls(&pool, 64), vec![1; 64]);
    }
}

#[test]
fn a_region_inside_a_task_runs_in_the_thread_of_the_task() {
    let (outer, other) = (pool(3), pool(3));
    let done = AtomicUsize::new(0);
    outer.run(20, &|_| {
        let here = thread::current().id();
        for inner in [&outer, &other] {
            inner.run(10, &|_| {
                assert_eq!(thread::current().id(), here);
                inner.run(2, &|_| {
                    done.fetch_add(1, Ordering::Relaxed);
                });
            });
        }
    });
    assert_eq!(done.into_inner(), 20 * 2 * 10 * 2);
}

#[test]
fn a_panic_inside_a_nested_region_reaches_the_caller() {
    let pool = pool(3);
    let region = || pool.run(8, &|_| pool.run(8, &|i| assert!(i != 5, "five")));
    assert!(catch_unwind(AssertUnwindSafe(region)).is_err());
    assert_eq!(calls(&pool, 30), vec![1; 30]);
}

#[test]
fn several_callers_share_a_pool() {
    const CALLERS: usize = 3;
    let pool = pool(3);
    let done = AtomicUsize::new(0);
    thread::scope(|scope| {
        for caller in 0..CALLERS {
            let (pool, done) = (&pool, &done);
            scope.spawn(move || {
                for round in 0..500 {
                    let _active = (round % 3 == caller).then(|| pool.active());
                    let found = calls(pool, 2 + round % 9);
                    assert!(found.iter().all(|&calls| calls == 1), "round {round}: {found:?}");
                    done.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
    });
    assert_eq!(done.into_inner(), CALLERS * 500);
}

#[test]
fn a_pool_ends_at_any_moment() {
    for round in 0..200 {
        let pool = pool(1 + round % 5);
        if round % 2 == 0 {
            assert_eq!(calls(&pool, round), vec![1; round]);
        }
        if round % 3 == 0 {
            // A guard that is never dropped does not keep workers alive.
            std::mem::forget(pool.active());
        }
        if round % 50 == 0 {
            // Long enough for the workers to go to sleep.
            compute(100_000);
        }
        drop(pool);
    }
}

#[test]
fn a_task_that_takes_long_is_waited_for() {
    let pool = pool(2);
    let done = AtomicUsize::new(0);
    let both = Barrier::new(2);
    pool.run(2, &|_| {
        both.wait();
        // Longer than the caller spins, in the thread that is not the caller's.
        if thread::current().name().is_some_and(|name| name.starts_with("gptoss-")) {
            compute(500_000);
        }
        done.fetch_add(1, Ordering::Relaxed);
    });
    assert_eq!(done.into_inner(), 2);
}

#[test]
fn unusable_numbers_are_refused() {
    let too_many = || pool(Pool::THREADS_MAX + 1);
    assert!(catch_unwind(too_many).is_err());
    let no_piece = || pool(1).chunks_mut(&mut [1, 2], 0, &|_, _| {});
    assert!(catch_unwind(no_piece).is_err());
    assert!(Pool::available() >= 1);
}

#[test]
fn a_pool_is_shared_between_threads() {
    fn shared<T: Send + Sync>(_: &T) {}
    let pool = pool(1);
    shared(&pool);
    shared(&pool.active());
}
