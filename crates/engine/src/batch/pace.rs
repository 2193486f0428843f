//! How many tokens of prompts go into a step beside the tokens that are generated.
//!
//! Clocks decide here when something is computed, and never what: results do not depend on how
//! prompts are cut.

/// What is aimed at, as a share of what is allowed: measurements scatter.
const MARGIN: f64 = 0.9;
/// Weight of one measurement.
const LEARNING: f64 = 0.3;
/// Of so many steps with prompts in them, one is left without, to measure what that takes.
const MEASURED_EVERY: u32 = 16;
/// Tokens of prompts in the first step that has any.
const FIRST: f64 = 8.0;
/// By what the budget grows or shrinks at most from step to step.
const CHANGE: f64 = 1.5;

/// Learns what steps take.
#[derive(Debug)]
pub(super) struct Pace {
    /// How many times as long a step may take because of prompts.
    stretch: f64,
    /// Seconds of steps without prompts, by the number of sequences that generate; 0 if unknown.
    plain: Vec<f64>,
    budget: f64,
    steps: u32,
}

/// What a step consisted of.
#[derive(Clone, Copy, Debug)]
pub(super) struct StepLoad {
    /// Sequences that generate.
    pub(super) decoding: usize,
    /// Tokens of prompts.
    pub(super) prompt_tokens: usize,
    /// Whether more tokens of prompts were there.
    pub(super) was_limited: bool,
}

impl Pace {
    /// For up to `sequences_max` sequences.
    pub(super) fn new(stretch: f64, sequences_max: usize) -> Pace {
        Pace { stretch, plain: vec![0.0; sequences_max + 1], budget: FIRST, steps: 0 }
    }

    /// Tokens of prompts that go beside `decoding` sequences into the next step.
    pub(super) fn budget(&mut self, decoding: usize, max: usize) -> usize {
        if decoding == 0 {
            return max;
        }
        self.steps += 1;
        if self.expected(decoding).is_none() || self.steps.is_multiple_of(MEASURED_EVERY) {
            return 0;
        }
        (self.budget as usize).clamp(1, max)
    }

    /// Seconds of a step without prompts; of the nearest number of sequences that was measured.
    fn expected(&self, decoding: usize) -> Option<f64> {
        let known = self.plain.iter().enumerate().filter(|(_, seconds)| **seconds > 0.0);
        known.min_by_key(|(n, _)| n.abs_diff(decoding)).map(|(_, seconds)| *seconds)
    }

    /// Learns how long a step took.
    pub(super) fn learn(&mut self, load: StepLoad, seconds: f64) {
        let StepLoad { decoding, prompt_tokens, was_limited } = load;
        if decoding == 0 {
            return;
        }
        if prompt_tokens == 0 {
            let Some(plain) = self.plain.get_mut(decoding) else { return };
            match *plain > 0.0 {
                true => *plain += (seconds - *plain) * LEARNING,
                false => *plain = seconds,
            }
            return;
        }
        let Some(plain) = self.expected(decoding) else { return };
        let allowed = plain * (self.stretch * MARGIN - 1.0).max(0.0);
        // What the step took longer, for each token of prompts; nothing if a clock jumped.
        let cost = (seconds - plain).max(0.0) / prompt_tokens as f64;
        let ideal = if cost > 0.0 { allowed / cost } else { f64::INFINITY };
        let ideal = ideal.clamp(self.budget / CHANGE, self.budget * CHANGE);
        if was_limited || ideal < self.budget {
            self.budget = (self.budget + (ideal - self.budget) * LEARNING).max(1.0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs a machine that takes `seconds(decoding, prompt tokens)`; gives the last budgets.
    fn settled(seconds: impl Fn(usize, usize) -> f64) -> Vec<usize> {
        let mut pace = Pace::new(2.0, 8);
        let mut budgets = Vec::new();
        for _ in 0..400 {
            let prompt_tokens = pace.budget(2, 512);
            let load = StepLoad { decoding: 2, prompt_tokens, was_limited: true };
            pace.learn(load, seconds(2, prompt_tokens));
            budgets.push(prompt_tokens);
        }
        budgets.split_off(360).into_iter().filter(|n| *n > 0).collect()
    }

    #[test]
    fn a_step_takes_at_most_twice_as_long_and_not_much_less() {
        let budgets = settled(|_, n| 0.010 + n as f64 * 0.0005);
        assert!(budgets.iter().all(|n| (12..=20).contains(n)), "{budgets:?}");
    }

    #[test]
    fn a_machine_that_cannot_is_asked_for_one_token() {
        let budgets = settled(|_, n| if n > 0 { 1.0 } else { 0.01 });
        assert!(budgets.iter().all(|n| *n == 1), "{budgets:?}");
    }

    #[test]
    fn prompts_are_left_out_until_the_rest_was_measured_and_alone_get_all() {
        let mut pace = Pace::new(2.0, 8);
        assert_eq!((pace.budget(0, 512), pace.budget(3, 512)), (512, 0));
        pace.learn(StepLoad { decoding: 3, prompt_tokens: 0, was_limited: true }, 0.1);
        assert!(pace.budget(5, 512) > 0);
    }
}
