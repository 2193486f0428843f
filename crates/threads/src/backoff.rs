//! Waiting for a moment without sleeping.

use std::hint;
use std::thread;

/// Steps of a wait before its thread goes to sleep: between 0.2 ms (x86 where `pause` takes 40
/// cycles) and 1 ms (140 cycles), longer than a gap between two regions of one forward pass.
const STEPS: u64 = 20_000;
/// Steps after which the core is offered to others now and then. A wait this long (20 to 100 µs)
/// may be a wait for a thread that has no core.
const STEPS_ALONE: u64 = 2_000;
/// Steps between two such offers, each a system call of some 0.3 µs.
const STEPS_BETWEEN_YIELDS: u64 = 64;

/// One wait: how long it has lasted.
pub(crate) struct Backoff {
    steps: u64,
}

impl Backoff {
    /// A wait that begins.
    pub(crate) fn new() -> Backoff {
        Backoff { steps: 0 }
    }

    /// Waits some 10 to 50 ns, or lets another thread have the core.
    pub(crate) fn step(&mut self) {
        // A wait without end stays in the phase in which the core is offered.
        // 64 bits do not overflow: at 10 ns a step they last for 5000 years.
        self.steps += 1;
        if self.steps > STEPS_ALONE && self.steps.is_multiple_of(STEPS_BETWEEN_YIELDS) {
            thread::yield_now();
        } else {
            hint::spin_loop();
        }
    }

    /// Whether it is time to sleep.
    pub(crate) fn is_over(&self) -> bool {
        self.steps >= STEPS
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_ends_after_its_steps_and_stays_ended() {
        let mut backoff = Backoff::new();
        let mut steps = 0;
        while !backoff.is_over() {
            backoff.step();
            steps += 1;
        }
        assert_eq!(steps, STEPS);
        for _ in 0..2 * STEPS_BETWEEN_YIELDS {
            backoff.step();
            assert!(backoff.is_over());
        }
    }
}
