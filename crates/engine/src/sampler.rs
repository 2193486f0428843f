//! From logits to the next token.
//!
//! The steps, in order: logit bias, repetition / presence / frequency penalties, temperature,
//! top-k, min-p, top-p, draw. Temperature comes first among the cuts, as in Hugging Face
//! transformers and vLLM, so that `top_p` and `min_p` see the distribution that is drawn from.
//! Everything is a pure function of its inputs: the random number for a token depends on the
//! seed, the sequence's index and the token's position, and on nothing else.

use std::collections::BTreeMap;

use gptoss_harmony::TokenId;
use gptoss_kernels::exp;

use crate::philox::uniform;

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
    let kept = candidates(params, logits);
    if kept.is_empty() {
        // An infinite logit leaves no finite weights to draw from.
        return argmax(logits);
    }
    choose(&kept, uniform(params.seed, params.sequence, position as u64))
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
    let mut best = 0;
    for (i, logit) in logits.iter().enumerate() {
        if *logit > logits[best] || (logits[best].is_nan() && !logit.is_nan()) {
            best = i;
        }
    }
    best as TokenId
}

/// The tokens that may be drawn, most likely first, with weights that are not normalised.
fn candidates(params: &SamplingParams, logits: &[f32]) -> Vec<(TokenId, f32)> {
    let max = logits[argmax(logits) as usize];
    let mut kept: Vec<(TokenId, f32)> = logits
        .iter()
        .enumerate()
        .map(|(id, logit)| (id as TokenId, exp((logit - max) / params.temperature)))
        .filter(|(_, weight)| *weight > 0.0 && *weight >= params.min_p)
        .collect();
    let by_weight =
        |a: &(TokenId, f32), b: &(TokenId, f32)| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0));
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
fn choose(kept: &[(TokenId, f32)], draw: f64) -> TokenId {
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
    let sum: f64 = logits.iter().map(|logit| f64::from(exp(logit - max))).sum();
    let log_sum = libm::log(sum) + f64::from(max);
    move |token| logits.get(token as usize).map_or(f64::NEG_INFINITY, |l| f64::from(*l) - log_sum)
}
