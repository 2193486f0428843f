//! All requests, each on a thread of its own while it is going on.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::client::{Api, Client, Outcome};

/// Longest sleep without looking whether to stop.
const NAP: Duration = Duration::from_millis(50);

/// Who is asked what.
pub struct Load<'a> {
    pub client: &'a Client,
    pub api: Api,
    /// The body of a request by its number.
    pub bodies: &'a (dyn Fn(u64) -> Value + Sync),
    /// Set when no more requests are to be sent.
    pub stop: &'a AtomicBool,
}

impl Load<'_> {
    /// Sends requests at their times from the start, whatever the others do; gives their outcomes
    /// in order, and seconds from the start to the last end.
    pub fn open_loop(&self, times: &[Duration]) -> (Vec<Outcome>, f64) {
        let start = Instant::now();
        let outcomes = Mutex::new(Vec::new());
        thread::scope(|scope| {
            for (number, at) in times.iter().enumerate() {
                if !self.sleep_until(start + *at) {
                    break;
                }
                let outcomes = &outcomes;
                scope.spawn(move || {
                    let late = start.elapsed().saturating_sub(*at);
                    let outcome = Outcome { late, ..self.send(number) };
                    push(outcomes, number, outcome);
                });
            }
        });
        (in_order(outcomes), start.elapsed().as_secs_f64())
    }

    /// Keeps `streams` requests going on until `count` were sent.
    pub fn closed_loop(&self, streams: usize, count: usize) -> (Vec<Outcome>, f64) {
        let start = Instant::now();
        let outcomes = Mutex::new(Vec::new());
        let next = AtomicUsize::new(0);
        thread::scope(|scope| {
            for _ in 0..streams.min(count) {
                scope.spawn(|| {
                    while !self.stop.load(Ordering::SeqCst) {
                        let number = next.fetch_add(1, Ordering::SeqCst);
                        if number >= count {
                            break;
                        }
                        push(&outcomes, number, self.send(number));
                    }
                });
            }
        });
        (in_order(outcomes), start.elapsed().as_secs_f64())
    }

    fn send(&self, number: usize) -> Outcome {
        self.client.stream(self.api, &(self.bodies)(number as u64))
    }

    /// Whether the time came before a stop.
    fn sleep_until(&self, at: Instant) -> bool {
        loop {
            if self.stop.load(Ordering::SeqCst) {
                return false;
            }
            let left = at.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return true;
            }
            thread::sleep(left.min(NAP));
        }
    }
}

fn push(outcomes: &Mutex<Vec<(usize, Outcome)>>, number: usize, outcome: Outcome) {
    outcomes.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push((number, outcome));
}

fn in_order(outcomes: Mutex<Vec<(usize, Outcome)>>) -> Vec<Outcome> {
    let mut all = outcomes.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    all.sort_by_key(|(number, _)| *number);
    all.into_iter().map(|(_, outcome)| outcome).collect()
}
