//! A pool that waits costs no processor time. Alone in its program, so that no other test runs in
//! the process whose time is measured.

#![forbid(unsafe_code)]
#![cfg(target_os = "linux")]

use std::fs;
use std::num::NonZeroUsize;
use std::thread;
use std::time::Duration;

use gptoss_threads::Pool;

/// Processor time of all threads of this process in ms, with a resolution of 10 ms.
///
/// Fields 14 and 15 of `/proc/self/stat` (man 5 proc), in ticks, of which Linux shows 100 per
/// second on every architecture that Rust's standard library runs on but alpha and ia64.
fn cpu_ms() -> u64 {
    let stat = fs::read_to_string("/proc/self/stat").expect("/proc/self/stat can be read");
    // The name in field 2 may have spaces; it ends with the last bracket.
    let (_, fields) = stat.rsplit_once(')').expect("field 2 stands in brackets");
    let ticks = fields.split_whitespace().skip(11).take(2).map(|field| field.parse::<u64>());
    ticks.map(|ticks| ticks.expect("a number of ticks")).sum::<u64>() * 10
}

#[test]
fn an_idle_pool_uses_no_processor_time() {
    let pool = Pool::new(NonZeroUsize::new(4).expect("four is not zero"));
    let busy = || {
        let begin = cpu_ms();
        while cpu_ms() < begin + 30 {
            pool.run(16, &|_| {});
        }
    };
    // Both ways to be idle: after a region, and after the guard that keeps workers awake.
    busy();
    check_idle();
    let active = pool.active();
    busy();
    drop(active);
    check_idle();
}

/// The workers fall asleep within the 20 ms that are allowed. What is measured is time itself, so
/// that this test has to sleep.
fn check_idle() {
    let begin = cpu_ms();
    thread::sleep(Duration::from_millis(300));
    let used = cpu_ms() - begin;
    assert!(used < 20, "{used} ms of processor time in 300 ms");
}
