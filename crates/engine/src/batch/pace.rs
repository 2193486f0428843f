//! How many tokens of prompts go into a step beside the tokens that are generated.
//!
//! Two bounds. On average a stream's tokens come at most `stretch` times as slowly because of
//! prompts: each step allows prompts a part of its time, a step with a piece of a prompt spends
//! what that took longer, and there is no other piece before the debt is paid. And no piece takes
//! longer at once than its step allows, or than `stall` where that is more and can be paid back
//! before the next one has to come. A piece reads experts
//! that the generated tokens do not; most of them are read for a few tokens of a prompt already,
//! so that larger and rarer pieces cost much less in all.
//!
//! Clocks decide here when something is computed, and never what: results do not depend on how
//! prompts are cut.

/// What is aimed at, as a share of what is allowed: measurements scatter.
const MARGIN: f64 = 0.9;
/// Weight of one measurement.
const LEARNING: f64 = 0.3;
/// Of so many steps with prompts in them, one is left without, to measure what that takes.
const MEASURED_EVERY: u32 = 16;
/// However long a piece took, the next one comes after so many steps, so that a prompt ends.
const PAUSE_MAX: f64 = 15.0;
/// Tokens of prompts in the first step that has any.
const FIRST: f64 = 8.0;
/// By what the budget grows or shrinks at most from step to step.
const CHANGE: f64 = 1.5;

/// Learns what steps take.
#[derive(Debug)]
pub(super) struct Pace {
    /// How many times as long tokens may take on average because of prompts.
    stretch: f64,
    /// Seconds that a piece may take at once even if that is more than its step allows.
    stall: f64,
    /// Seconds of steps without prompts, by the number of sequences that generate; 0 if unknown.
    plain: Vec<f64>,
    /// Tokens of a piece.
    budget: f64,
    /// Seconds that pieces took longer than the steps up to here have allowed.
    debt: f64,
    /// Steps since there was one without a piece.
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
    pub(super) fn new(stretch: f64, stall: f64, sequences_max: usize) -> Pace {
        let plain = vec![0.0; sequences_max + 1];
        Pace { stretch, stall, plain, budget: FIRST, debt: 0.0, steps: 0 }
    }

    /// Tokens of prompts that go beside `decoding` sequences into the next step.
    pub(super) fn budget(&mut self, decoding: usize, max: usize) -> usize {
        if decoding == 0 {
            return max;
        }
        self.steps += 1;
        let is_known = self.expected(decoding).is_some();
        if !is_known || self.debt > 0.0 || self.steps.is_multiple_of(MEASURED_EVERY) {
            return 0;
        }
        (self.budget as usize).clamp(1, max)
    }

    /// Seconds of a step without prompts; of the nearest number of sequences that was measured.
    fn expected(&self, decoding: usize) -> Option<f64> {
        let known = self.plain.iter().enumerate().filter(|(_, seconds)| **seconds > 0.0);
        known.min_by_key(|(n, _)| n.abs_diff(decoding)).map(|(_, seconds)| *seconds)
    }

    /// Seconds for prompts that a step allows which would take `plain` without.
    fn allowance(&self, plain: f64) -> f64 {
        plain * (self.stretch * MARGIN - 1.0).max(0.0)
    }

    /// Learns how long a step took.
    pub(super) fn learn(&mut self, load: StepLoad, seconds: f64) {
        let StepLoad { decoding, prompt_tokens, was_limited } = load;
        if decoding == 0 {
            self.debt = 0.0;
            return;
        }
        if prompt_tokens == 0 {
            self.steps = 0;
            self.debt = (self.debt - self.allowance(seconds)).max(0.0);
            let Some(plain) = self.plain.get_mut(decoding) else { return };
            match *plain > 0.0 {
                true => *plain += (seconds - *plain) * LEARNING,
                false => *plain = seconds,
            }
            return;
        }
        let Some(plain) = self.expected(decoding) else { return };
        let allowed = self.allowance(plain);
        // What the step took longer; nothing if a clock jumped.
        let longer = (seconds - plain).max(0.0);
        self.debt = (self.debt + longer - allowed).clamp(0.0, allowed * PAUSE_MAX);
        // A debt that `PAUSE_MAX` would forgive is made only by a piece that cannot be smaller.
        let longest = self.stall.min(allowed * PAUSE_MAX).max(allowed);
        let ideal = match longer > 0.0 {
            true => longest / longer * prompt_tokens as f64,
            false => f64::INFINITY,
        };
        let ideal = ideal.clamp(self.budget / CHANGE, self.budget * CHANGE);
        if was_limited || ideal < self.budget {
            self.budget = (self.budget + (ideal - self.budget) * LEARNING).max(1.0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A machine that takes `seconds(decoding, prompt tokens)`, and two streams on it.
    struct Settled {
        /// Tokens of prompts in each of the last steps.
        pieces: Vec<usize>,
        /// Seconds of these steps together, and if there were no prompts.
        seconds: [f64; 2],
    }

    fn settled(stall: f64, seconds: impl Fn(usize, usize) -> f64) -> Settled {
        let mut pace = Pace::new(2.0, stall, 8);
        let mut settled = Settled { pieces: Vec::new(), seconds: [0.0; 2] };
        for step in 0..1000 {
            let prompt_tokens = pace.budget(2, 512);
            let load = StepLoad { decoding: 2, prompt_tokens, was_limited: true };
            pace.learn(load, seconds(2, prompt_tokens));
            if step >= 400 {
                settled.pieces.push(prompt_tokens);
                settled.seconds[0] += seconds(2, prompt_tokens);
                settled.seconds[1] += seconds(2, 0);
            }
        }
        settled
    }

    #[test]
    fn a_step_takes_at_most_twice_as_long_and_not_much_less() {
        let Settled { pieces, seconds } = settled(0.0, |_, n| 0.010 + n as f64 * 0.0005);
        assert!(pieces.iter().all(|n| (12..=20).contains(n) || *n == 0), "{pieces:?}");
        let times = seconds[0] / seconds[1];
        assert!((1.5..2.0).contains(&times), "{times} times as long");
    }

    /// The first token of a prompt takes three steps' time: it comes in few steps.
    #[test]
    fn tokens_take_at_most_twice_as_long_on_average_where_no_piece_is_short() {
        let Settled { pieces, seconds } = settled(0.0, |_, n| if n > 0 { 0.04 } else { 0.01 });
        assert!(pieces.iter().all(|n| *n <= 1), "{pieces:?}");
        let times = seconds[0] / seconds[1];
        assert!((1.5..2.0).contains(&times), "{times} times as long");
    }

    /// 40 ms for any piece and 1 ms for a token: in 100 ms there are 60.
    #[test]
    fn larger_and_rarer_pieces_within_a_stall_do_more() {
        let machine = |_, n: usize| 0.05 + if n > 0 { 0.04 + n as f64 * 0.001 } else { 0.0 };
        let [small, large] = [0.0, 0.1].map(|stall| settled(stall, machine));
        let rate = |of: &Settled| of.pieces.iter().sum::<usize>() as f64 / of.seconds[0];
        assert!(rate(&large) > 3.0 * rate(&small), "{} and {}", rate(&large), rate(&small));
        assert!(large.pieces.iter().all(|n| *n <= 70), "{:?}", large.pieces);
        let times = large.seconds[0] / large.seconds[1];
        assert!((1.5..2.0).contains(&times), "{times} times as long");
    }

    /// 100 ms are more than 15 steps of this machine can pay back.
    #[test]
    fn a_fast_machine_does_not_take_the_whole_stall() {
        let Settled { pieces, seconds } = settled(0.1, |_, n| 0.003 + n as f64 * 0.0002);
        let times = seconds[0] / seconds[1];
        assert!((1.5..2.0).contains(&times), "{times} times as long");
        assert!(pieces.iter().any(|n| *n > 100), "{pieces:?}");
    }

    #[test]
    fn a_prompt_ends_even_if_a_token_of_it_takes_a_hundred_steps() {
        let Settled { pieces, .. } = settled(0.0, |_, n| if n > 0 { 1.0 } else { 0.01 });
        assert!(pieces.iter().filter(|n| **n == 1).count() >= 600 / 17, "{pieces:?}");
    }

    #[test]
    fn prompts_are_left_out_until_the_rest_was_measured_and_alone_get_all() {
        let mut pace = Pace::new(2.0, 0.0, 8);
        assert_eq!((pace.budget(0, 512), pace.budget(3, 512)), (512, 0));
        pace.learn(StepLoad { decoding: 3, prompt_tokens: 0, was_limited: true }, 0.1);
        assert!(pace.budget(5, 512) > 0);
    }
}
