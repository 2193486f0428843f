//! How many candidates are worth their time.

use gptoss_checkpoint::ModelConfig;

use super::lookup::MATCH_MAX;

/// Candidates that are computed at most.
const CANDIDATES_MAX: usize = 8;
/// What must be gained before it is tried.
const GAIN_MIN: f64 = 1.1;
/// Weight of one observation.
const LEARNING: f64 = 0.15;
/// How fast a disappointment is forgotten, a token.
const FORGETTING: f64 = 0.01;

/// An estimate of how often candidates are right, and of what it costs to compute them.
///
/// It decides how fast a text comes, and never which.
#[derive(Clone, Debug)]
pub(crate) struct Payoff {
    /// Share of right candidates, by tokens that matched.
    right: [f64; MATCH_MAX + 1],
    /// Share of a token's bytes that every further token of a step reads again: none of the dense
    /// matrices, and of the experts those that no token before it has chosen.
    expert_share: f64,
    /// Share of the experts that a token chooses.
    chosen: f64,
}

/// The shares to begin with, by tokens that matched.
const RIGHT: [f64; MATCH_MAX + 1] = [0.0, 0.0, 0.3, 0.45, 0.6, 0.7, 0.8, 0.85, 0.9];

impl Payoff {
    /// For a model's proportions of dense and expert weights.
    pub(crate) fn new(config: &ModelConfig) -> Payoff {
        let active = config.parameters().active as f64;
        let matrix = config.hidden_size * config.intermediate_size;
        let experts = 3 * matrix * config.num_experts_per_tok * config.num_hidden_layers;
        Payoff {
            right: RIGHT,
            expert_share: experts as f64 / active,
            chosen: config.num_experts_per_tok as f64 / config.num_local_experts as f64,
        }
    }

    /// How many candidates to compute after a match of `matched` tokens.
    pub(crate) fn candidates(&mut self, matched: usize) -> usize {
        let right = &mut self.right[matched.min(MATCH_MAX)];
        *right += (RIGHT[matched.min(MATCH_MAX)] - *right) * FORGETTING;
        let right = *right;
        let gain = |n: usize| {
            let expected = (1..=n).fold(1.0, |sum, i| sum + right.powi(i as i32));
            expected / self.cost(n + 1)
        };
        let best = (1..=CANDIDATES_MAX).max_by(|a, b| gain(*a).total_cmp(&gain(*b)));
        best.filter(|n| gain(*n) >= GAIN_MIN).unwrap_or(0)
    }

    /// Time of a step of `tokens` tokens; one token is 1. The bytes that are read, and a little for
    /// the arithmetic.
    fn cost(&self, tokens: usize) -> f64 {
        let touched = (1.0 - (1.0 - self.chosen).powi(tokens as i32)) / self.chosen;
        1.0 - self.expert_share + self.expert_share * touched + 0.03 * (tokens - 1) as f64
    }

    /// Learns that of candidates after a match of `matched` tokens the first `right` were chosen,
    /// and whether one then was not.
    pub(crate) fn learn(&mut self, matched: usize, right: usize, was_wrong: bool) {
        let share = &mut self.right[matched.min(MATCH_MAX)];
        for _ in 0..right {
            *share += (1.0 - *share) * LEARNING;
        }
        if was_wrong {
            *share -= *share * LEARNING;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of_20b() -> Payoff {
        let preset = gptoss_checkpoint::presets::find("gpt-oss-20b");
        Payoff::new(&preset.expect("a preset").config)
    }

    #[test]
    fn it_speculates_while_it_is_right_and_stops_while_it_is_wrong() {
        let mut payoff = of_20b();
        assert!(payoff.candidates(8) >= 4);
        assert_eq!(payoff.candidates(2), 0, "two experts' worth of bytes for a guess");
        for _ in 0..20 {
            payoff.learn(8, 0, true);
        }
        assert_eq!(payoff.candidates(8), 0);
        for _ in 0..20 {
            payoff.learn(2, 3, false);
        }
        assert!(payoff.candidates(2) >= 4);
        // A disappointment is not for ever.
        let tries = (0..500).find(|_| payoff.candidates(8) > 0);
        assert!(tries.is_some_and(|tries| tries > 20), "{tries:?}");
    }
}
