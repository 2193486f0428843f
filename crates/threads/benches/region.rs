//! How long a region of two tasks takes beyond the longer task, on two threads.
//!
//! `cargo bench -p gptoss-threads` prints a table: median and 99th percentile of the time of a
//! region less the work W of one task, in µs; the regions follow each other at once, or after the
//! caller has slept for 2 ms. A value near W says that both tasks ran in one thread.

#![forbid(unsafe_code)]

use std::hint::black_box;
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use gptoss_threads::Pool;

const WORK_US: [u64; 4] = [0, 5, 20, 100];
const GAPS: [(Duration, usize); 2] = [(Duration::ZERO, 20_000), (Duration::from_millis(2), 500)];

type Task<'a> = &'a (dyn Fn(usize) + Sync);

fn main() {
    let pool = Pool::new(NonZeroUsize::new(2).expect("two is not zero"));
    let steps_per_us = calibrate();
    println!("{} cores, work of 1 µs = {steps_per_us:.0} steps", Pool::available());
    println!("{:<28} {:>6} {:>8} {:>9} {:>9}", "", "gap ms", "W µs", "median", "p99");
    for (gap, count) in GAPS {
        for work_us in WORK_US {
            let steps = (work_us as f64 * steps_per_us) as u64;
            let row = |name: &str, run: &dyn Fn(Task)| {
                let (median, p99) = measure(gap, count, steps, run);
                let (gap_ms, work) = (gap.as_millis(), work_us as f64);
                let (median, p99) = (median - work, p99 - work);
                println!("{name:<28} {gap_ms:>6} {work_us:>8} {median:>9.2} {p99:>9.2}");
            };
            {
                let _active = pool.active();
                row("Pool::run, active", &|task| pool.run(2, task));
            }
            row("Pool::run", &|task| pool.run(2, task));
            row("one thread", &|task| (0..2).for_each(task));
            row("std::thread::scope", &|task| {
                thread::scope(|scope| {
                    scope.spawn(|| task(1));
                    task(0);
                });
            });
        }
    }
}

/// Steps of `work` in 1 µs: the best of several tries, as others may want the core.
fn calibrate() -> f64 {
    const STEPS: u64 = 1_000_000;
    let try_once = |_| {
        let begin = Instant::now();
        work(STEPS);
        begin.elapsed().as_secs_f64() * 1e6
    };
    STEPS as f64 / (0..20).map(try_once).fold(f64::INFINITY, f64::min)
}

/// Arithmetic of which each step needs the one before.
fn work(steps: u64) {
    let mut x = black_box(1_u64);
    for _ in 0..steps {
        x = x.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
    }
    black_box(x);
}

/// Median and 99th percentile of the time of one region, in µs.
fn measure(gap: Duration, count: usize, steps: u64, run: &dyn Fn(Task)) -> (f64, f64) {
    let calls = AtomicUsize::new(0);
    let task = |_| {
        work(steps);
        calls.fetch_add(1, Ordering::Relaxed);
    };
    let region = |_| {
        if !gap.is_zero() {
            thread::sleep(gap);
        }
        let begin = Instant::now();
        run(&task);
        begin.elapsed().as_secs_f64() * 1e6
    };
    // The slower the region, the fewer are needed for a steady median.
    let count = if steps == 0 { count } else { count / 4 };
    for i in 0..count / 10 {
        region(i);
    }
    let mut times: Vec<f64> = (0..count).map(region).collect();
    assert_eq!(calls.into_inner(), 2 * (count + count / 10), "a region lost or repeated a task");
    times.sort_by(f64::total_cmp);
    (times[count / 2], times[count * 99 / 100])
}
