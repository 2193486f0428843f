//! From logits to the next token.
//!
//! The steps, in order: logit bias, repetition / presence / frequency penalties, temperature,
//! top-k, min-p, top-p, draw. Temperature comes first among the cuts, as in Hugging Face
//! transformers and vLLM, so that `top_p` and `min_p` see the distribution that is drawn from.
//! Everything is a pure function of its inputs: the random number for a token depends on the
//! seed, the sequence's index and the token's position, and on nothing else.

use std::collections::BTreeMap;

use gptoss_harmony::TokenId;
use gptoss_kernels::{Isa, exp_weights};

use crate::philox::uniform;
use crate::ranking::{Candidate, Ranking, SMALLEST, between, by_weight, reached_by};

/// Smaller vocabularies are sorted, which takes them no longer.
const RANKED_FROM: usize = 8192;
/// Exponentials that are computed at once and stay in the first cache.
const CHUNK: usize = 4096;

/// How the next token is chosen. [`SamplingParams::default`] is greedy without penalties.
#[derive(Clone, Debug, PartialEq)]
pub struct SamplingParams {
    /// 0 takes the most likely token; else logits are divided by it.
    pub temperature: f32,
    /// Keep the `top_k` most likely tokens; 0 keeps all.
    pub top_k: usize,
    /// Keep the most likely tokens until their probabilities reach this; 1 keeps all.
    pub top_p: f32,
    /// Keep tokens at least this many times as likely as the most likely one; 0 keeps all.
    pub min_p: f32,
    /// Logits of tokens seen before, prompt included, are divided (if positive) or multiplied by
    /// this (Keskar et al. 2019, arXiv:1909.05858); 1 changes nothing.
    pub repetition_penalty: f32,
    /// Subtracted for each time a token was generated.
    pub frequency_penalty: f32,
    /// Subtracted once if a token was generated.
    pub presence_penalty: f32,
    /// Added to the logits of these tokens.
    pub logit_bias: BTreeMap<TokenId, f32>,
    /// Seed of the draws.
    pub seed: u64,
    /// Which of several sequences of one request this is.
    pub sequence: u64,
}

impl Default for SamplingParams {
    fn default() -> SamplingParams {
        SamplingParams {
            temperature: 0.0,
            top_k: 0,
            top_p: 1.0,
            min_p: 0.0,
            repetition_penalty: 1.0,
            frequency_penalty: 0.0,
            presence_penalty: 0.0,
            logit_bias: BTreeMap::new(),
            seed: 0,
            sequence: 0,
        }
    }
}

/// A parameter outside of its range.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("{name}: expected {expected}, found {found}")]
pub struct SamplingError {
    /// Field of [`SamplingParams`].
    pub name: &'static str,
    /// The range.
    pub expected: &'static str,
    /// What was given.
    pub found: f32,
}

impl SamplingParams {
    /// Checks every range; a NaN is outside of all.
    ///
    /// # Errors
    /// The first field that is out of range.
    pub fn validate(&self) -> Result<(), SamplingError> {
        let checks = [
            ("temperature", "0 or more", self.temperature, 0.0..=f32::MAX),
            ("top_p", "more than 0, at most 1", self.top_p, f32::MIN_POSITIVE..=1.0),
            ("min_p", "0 to 1", self.min_p, 0.0..=1.0),
            ("repetition_penalty", "more than 0", self.repetition_penalty, 1e-6..=1e6),
            ("frequency_penalty", "-2 to 2", self.frequency_penalty, -2.0..=2.0),
            ("presence_penalty", "-2 to 2", self.presence_penalty, -2.0..=2.0),
        ];
        for (name, expected, found, range) in checks {
            if !range.contains(&found) {
                return Err(SamplingError { name, expected, found });
            }
        }
        match self.logit_bias.values().find(|bias| bias.is_nan() || **bias == f32::INFINITY) {
            Some(found) => Err(SamplingError {
                name: "logit_bias",
                expected: "numbers, or minus infinity to forbid a token",
                found: *found,
            }),
            None => Ok(()),
        }
    }
}

/// What was generated and given so far, for the penalties.
#[derive(Clone, Debug, Default)]
pub struct History {
    /// Times that each token was generated.
    generated: BTreeMap<TokenId, u32>,
    /// Tokens of the prompt that were not generated yet count as seen.
    prompt: std::collections::BTreeSet<TokenId>,
}

impl History {
    /// The history of a prompt.
    pub fn new(prompt: &[TokenId]) -> History {
        History { generated: BTreeMap::new(), prompt: prompt.iter().copied().collect() }
    }

    /// Counts a generated token.
    pub fn push(&mut self, token: TokenId) {
        *self.generated.entry(token).or_default() += 1;
    }

    /// Every token seen, with the times it was generated.
    fn seen(&self) -> impl Iterator<Item = (TokenId, u32)> {
        let only_prompt = self.prompt.iter().filter(|id| !self.generated.contains_key(id));
        self.generated.iter().map(|(id, n)| (*id, *n)).chain(only_prompt.map(|id| (*id, 0)))
    }
}

/// Chooses the token at `position` of its sequence.
///
/// `logits` (`[V]`) are the model's; they are changed in place by bias and penalties. NaN logits
/// are never chosen; if nothing else is left, token 0 is.
///
/// # Panics
/// If `logits` is empty.
pub fn sample(
    params: &SamplingParams,
    history: &History,
    position: usize,
    logits: &mut [f32],
) -> TokenId {
    assert!(!logits.is_empty(), "sample: no logits");
    adjust(params, history, logits);
    if params.temperature == 0.0 {
        return argmax(logits);
    }
    let max = logits[argmax(logits) as usize];
    let mut weights = vec![0.0; logits.len()];
    exp_weights(Isa::detect(), logits, max, params.temperature, &mut weights);
    let draw = uniform(params.seed, params.sequence, position as u64);
    if let Some(token) = ranked(params, &weights, draw) {
        return token;
    }
    let kept = candidates(params, &weights);
    if kept.is_empty() {
        // An infinite logit leaves no finite weights to draw from.
        return argmax(logits);
    }
    choose(&kept, draw)
}

/// Bias and penalties.
fn adjust(params: &SamplingParams, history: &History, logits: &mut [f32]) {
    for (token, bias) in &params.logit_bias {
        if let Some(logit) = logits.get_mut(*token as usize) {
            *logit += bias;
        }
    }
    let penalised = params.repetition_penalty != 1.0
        || params.frequency_penalty != 0.0
        || params.presence_penalty != 0.0;
    if !penalised {
        return;
    }
    for (token, generated) in history.seen() {
        let Some(logit) = logits.get_mut(token as usize) else { continue };
        match *logit > 0.0 {
            true => *logit /= params.repetition_penalty,
            false => *logit *= params.repetition_penalty,
        }
        if generated > 0 {
            *logit -= params.frequency_penalty * generated as f32 + params.presence_penalty;
        }
    }
}

/// The index of the largest logit, the lower one among equals.
pub fn argmax(logits: &[f32]) -> TokenId {
    gptoss_kernels::argmax(Isa::detect(), logits) as TokenId
}

/// What [`candidates`] and [`choose`] give, without sorting; `None` if that is not certain, or if
/// sorting takes no longer.
fn ranked(params: &SamplingParams, weights: &[f32], draw: f64) -> Option<TokenId> {
    if params.top_k > 0 || weights.len() < RANKED_FROM {
        return None;
    }
    let mut ranking = Ranking::new(weights, params.min_p.max(SMALLEST));
    let mut total = ranking.total();
    if params.top_p < 1.0 {
        total = ranking.at_sum(total * f64::from(params.top_p))?.sum;
    }
    Some(ranking.at_sum(draw * total)?.token)
}

/// The tokens that may be drawn, most likely first, with weights that are not normalised.
fn candidates(params: &SamplingParams, weights: &[f32]) -> Vec<Candidate> {
    // No token of the best `top_k` is below what `top_k` tokens reach.
    let min = params.min_p.max(SMALLEST).max(reached_by(weights, params.top_k));
    let mut kept = between(weights, min, f32::INFINITY);
    if params.top_k > 0 && params.top_k < kept.len() {
        kept.select_nth_unstable_by(params.top_k, by_weight);
        kept.truncate(params.top_k);
    }
    kept.sort_unstable_by(by_weight);
    if params.top_p < 1.0 {
        let total: f64 = kept.iter().map(|(_, weight)| f64::from(*weight)).sum();
        let wanted = total * f64::from(params.top_p);
        let mut reached = 0.0;
        let enough = kept.iter().position(|(_, weight)| {
            reached += f64::from(*weight);
            reached >= wanted
        });
        kept.truncate(enough.map_or(kept.len(), |last| last + 1));
    }
    kept
}

/// The candidate at share `draw` of the total weight.
fn choose(kept: &[Candidate], draw: f64) -> TokenId {
    let total: f64 = kept.iter().map(|(_, weight)| f64::from(*weight)).sum();
    let mut left = draw * total;
    for (token, weight) in kept {
        left -= f64::from(*weight);
        if left < 0.0 {
            return *token;
        }
    }
    kept.last().expect("there is a candidate").0
}

/// The natural logarithms of the tokens' probabilities (softmax of `logits`, without
/// temperature), in f64 and in order of ids.
pub fn log_probabilities(logits: &[f32]) -> impl Fn(TokenId) -> f64 + '_ {
    let max = logits[argmax(logits) as usize];
    let mut sum = 0.0;
    let mut weights = [0.0; CHUNK];
    for logits in logits.chunks(CHUNK) {
        let weights = &mut weights[..logits.len()];
        exp_weights(Isa::detect(), logits, max, 1.0, weights);
        for weight in weights {
            sum += f64::from(*weight);
        }
    }
    let log_sum = libm::log(sum) + f64::from(max);
    move |token| logits.get(token as usize).map_or(f64::NEG_INFINITY, |l| f64::from(*l) - log_sum)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Logits with a peak of `sharpness`, the same for the same seed, in steps of `step`.
    fn logits(len: usize, sharpness: f32, step: f32, seed: u64) -> Vec<f32> {
        let mut logits: Vec<f32> = (0..len as u64)
            .map(|i| {
                // The sum of four uniform numbers is nearly normal.
                let normal: f64 = (0..4).map(|part| uniform(seed, part, i) - 0.5).sum();
                (normal as f32 * sharpness / step).round() * step
            })
            .collect();
        (logits[7], logits[11], logits[13]) = (f32::NAN, f32::NEG_INFINITY, -3e38);
        logits
    }

    /// The definition: the weights that may be drawn, sorted, cut and added one after another.
    fn sorted(params: &SamplingParams, weights: &[f32]) -> Vec<Candidate> {
        let all = (0..).zip(weights.iter().copied());
        let mut kept: Vec<Candidate> =
            all.filter(|(_, weight)| *weight > 0.0 && *weight >= params.min_p).collect();
        kept.sort_by(by_weight);
        if params.top_k > 0 {
            kept.truncate(params.top_k);
        }
        let total: f64 = kept.iter().map(|(_, weight)| f64::from(*weight)).sum();
        let (mut reached, mut len) = (0.0, 0);
        while params.top_p < 1.0 && len < kept.len() {
            reached += f64::from(kept[len].1);
            len += 1;
            if reached >= total * f64::from(params.top_p) {
                kept.truncate(len);
            }
        }
        kept
    }

    #[test]
    fn large_vocabularies_are_drawn_from_as_small_ones() {
        let with = |top_k, top_p, min_p| SamplingParams {
            top_k,
            top_p,
            min_p,
            ..SamplingParams::default()
        };
        let mut settings =
            vec![with(30, 0.8, 0.2), with(5000, 0.9, 0.0), with(1_000_000, 0.5, 0.0)];
        for top_p in [1.0, 0.95, 0.5, 0.1, 1e-6] {
            settings.extend([with(0, top_p, 0.0), with(0, top_p, 0.05), with(40, top_p, 0.0)]);
        }
        settings.extend([with(1, 1.0, 0.0), with(0, 1.0, 1.0)]);
        let (mut answered, mut asked) = (0, 0);
        let models = [(1.0, 1e-6), (8.0, 1e-6), (60.0, 1e-6), (400.0, 1e-6), (6.0, 0.5)];
        for (seed, (sharpness, step)) in models.into_iter().enumerate() {
            let logits = logits(RANKED_FROM + 77, sharpness, step, seed as u64);
            let max = logits[argmax(&logits) as usize];
            let mut weights = vec![0.0; logits.len()];
            exp_weights(Isa::PORTABLE, &logits, max, 1.0, &mut weights);
            for params in &settings {
                let expected = sorted(params, &weights);
                let context = format!("sharpness {sharpness}, {params:?}");
                assert!(candidates(params, &weights) == expected, "{context}");
                for position in 0..100 {
                    let draw = uniform(9, seed as u64, position);
                    if let Some(token) = ranked(params, &weights, draw) {
                        assert_eq!(token, choose(&expected, draw), "{context}, draw {draw}");
                        answered += 1;
                    }
                    asked += usize::from(params.top_k == 0);
                }
            }
        }
        assert!(asked == 5500 && answered > 5300, "{answered} answers of {asked}");
    }
}
