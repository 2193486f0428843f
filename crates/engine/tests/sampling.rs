//! Sampling: every parameter does what it says, and a seed decides everything.

use std::collections::{BTreeMap, BTreeSet};

use gptoss_engine::{
    Engine, GenerateParams, Generation, History, SamplingParams, StopReason, argmax,
    log_probabilities, sample,
};
use proptest::prelude::*;

const LOGITS: [f32; 6] = [1.0, 3.0, 2.0, -1.0, 3.0, 0.0];

fn at_temperature_one() -> SamplingParams {
    SamplingParams { temperature: 1.0, ..SamplingParams::default() }
}

/// How often each token is drawn at 20,000 positions.
fn shares(params: &SamplingParams, logits: &[f32], history: &History) -> Vec<f64> {
    let mut counts = vec![0.0; logits.len()];
    for position in 0..20_000 {
        counts[sample(params, history, position, &mut logits.to_vec()) as usize] += 1.0 / 20_000.0;
    }
    counts
}

fn drawn(params: &SamplingParams) -> BTreeSet<usize> {
    let shares = shares(params, &LOGITS, &History::default());
    (0..shares.len()).filter(|i| shares[*i] > 0.0).collect()
}

#[test]
fn greedy_takes_the_first_of_the_largest() {
    let greedy = SamplingParams::default();
    assert_eq!(sample(&greedy, &History::default(), 0, &mut LOGITS.to_vec()), 1);
    assert_eq!(argmax(&[f32::NAN, f32::NEG_INFINITY, f32::NAN]), 1);
}

#[test]
fn draws_follow_the_softmax_at_any_temperature() {
    for temperature in [0.5, 1.0, 2.0] {
        let params = SamplingParams { temperature, ..at_temperature_one() };
        let weights: Vec<f64> = LOGITS.iter().map(|l| f64::from(*l / temperature).exp()).collect();
        let total: f64 = weights.iter().sum();
        let shares = shares(&params, &LOGITS, &History::default());
        for (i, share) in shares.iter().enumerate() {
            let expected = weights[i] / total;
            assert!((share - expected).abs() < 0.012, "{temperature} [{i}]: {share} {expected}");
        }
    }
}

#[test]
fn the_cuts_keep_what_they_say() {
    let with = |change: fn(&mut SamplingParams)| {
        let mut params = at_temperature_one();
        change(&mut params);
        drawn(&params)
    };
    assert_eq!(with(|_| ()), (0..6).collect());
    assert_eq!(with(|p| p.top_k = 1), [1].into(), "the lower index among equals");
    assert_eq!(with(|p| p.top_k = 3), [1, 2, 4].into());
    // Shares: 0.40, 0.40, 0.15, 0.05, 0.02, 0.007.
    assert_eq!(with(|p| p.top_p = 0.3), [1].into());
    assert_eq!(with(|p| p.top_p = 0.6), [1, 4].into());
    assert_eq!(with(|p| p.top_p = 0.9), [1, 2, 4].into());
    // e^-1 = 0.37 of the largest, e^-2 = 0.14.
    assert_eq!(with(|p| p.min_p = 0.3), [1, 2, 4].into());
    assert_eq!(with(|p| p.min_p = 1.0), [1, 4].into());
    assert_eq!(with(|p| p.temperature = 0.01), [1, 4].into());
}

#[test]
fn bias_and_penalties_change_the_logits() {
    let mut history = History::new(&[2, 3]);
    for token in [1, 1, 4] {
        history.push(token);
    }
    let changed = |params: SamplingParams| {
        let mut logits = LOGITS.to_vec();
        sample(&params, &history, 0, &mut logits);
        logits
    };
    let greedy = SamplingParams::default;
    let biased = SamplingParams { logit_bias: BTreeMap::from([(0, 5.0), (99, 1.0)]), ..greedy() };
    assert_eq!(changed(biased), [6.0, 3.0, 2.0, -1.0, 3.0, 0.0]);
    let frequency = SamplingParams { frequency_penalty: 0.5, ..greedy() };
    assert_eq!(changed(frequency), [1.0, 2.0, 2.0, -1.0, 2.5, 0.0], "generated tokens only");
    let presence = SamplingParams { presence_penalty: 0.5, ..greedy() };
    assert_eq!(changed(presence), [1.0, 2.5, 2.0, -1.0, 2.5, 0.0]);
    let repetition = SamplingParams { repetition_penalty: 2.0, ..greedy() };
    assert_eq!(changed(repetition), [1.0, 1.5, 1.0, -2.0, 1.5, 0.0], "the prompt counts too");
    let forbidden =
        SamplingParams { logit_bias: BTreeMap::from([(1, f32::NEG_INFINITY)]), ..greedy() };
    assert_eq!(sample(&forbidden, &History::default(), 0, &mut LOGITS.to_vec()), 4);
}

#[test]
fn what_is_out_of_range_is_refused_by_name() {
    let message = |change: fn(&mut SamplingParams)| {
        let mut params = SamplingParams::default();
        change(&mut params);
        params.validate().err().map(|e| e.to_string()).unwrap_or_default()
    };
    assert_eq!(message(|_| ()), "");
    assert_eq!(message(|p| p.temperature = -1.0), "temperature: expected 0 or more, found -1");
    assert_eq!(message(|p| p.temperature = f32::NAN), "temperature: expected 0 or more, found NaN");
    assert_eq!(message(|p| p.top_p = 0.0), "top_p: expected more than 0, at most 1, found 0");
    assert_eq!(message(|p| p.min_p = 1.5), "min_p: expected 0 to 1, found 1.5");
    assert_eq!(
        message(|p| p.repetition_penalty = 0.0),
        "repetition_penalty: expected more than 0, found 0"
    );
    assert!(message(|p| p.frequency_penalty = 3.0).starts_with("frequency_penalty"));
    assert!(message(|p| p.presence_penalty = -3.0).starts_with("presence_penalty"));
    assert!(message(|p| _ = p.logit_bias.insert(0, f32::NAN)).starts_with("logit_bias"));
}

#[test]
fn log_probabilities_sum_to_one() {
    let logprob = log_probabilities(&LOGITS);
    let total: f64 = (0..6).map(|id| logprob(id).exp()).sum();
    assert!((total - 1.0).abs() < 1e-6, "{total}");
    assert_eq!(logprob(6), f64::NEG_INFINITY);
}

/// The tokens of a generation, and why it ended.
fn generate(engine: &Engine, params: GenerateParams, prompt: &[u32]) -> (Vec<u32>, StopReason) {
    let mut session = engine.session(40).unwrap();
    session.sync(prompt).unwrap();
    let mut generation = Generation::new(&session, params);
    let mut tokens = Vec::new();
    while let Some(step) = generation.next(&mut session).unwrap() {
        let logprobs = step.logprobs.expect("asked for");
        assert_eq!(logprobs.top.len(), 3);
        assert!(logprobs.top.windows(2).all(|w| w[0].1 >= w[1].1), "{logprobs:?}");
        assert!(logprobs.logprob <= logprobs.top[0].1);
        tokens.push(step.token);
    }
    (tokens, generation.stopped().unwrap())
}

fn params(seed: u64) -> GenerateParams {
    GenerateParams {
        sampling: SamplingParams { seed, ..at_temperature_one() },
        stop_tokens: Vec::new(),
        max_tokens: 20,
        top_logprobs: Some(3),
    }
}

#[test]
fn the_same_seed_gives_the_same_text_and_another_seed_another() {
    let engine = Engine::load("nano").unwrap();
    let prompt = [657, 586, 265, 534];
    let (first, reason) = generate(&engine, params(1), &prompt);
    assert_eq!((first.len(), reason), (20, StopReason::MaxTokens));
    assert_eq!(generate(&engine, params(1), &prompt).0, first);
    assert_ne!(generate(&engine, params(2), &prompt).0, first);
    // Going on from the middle draws the same numbers: they depend on the position alone.
    let middle: Vec<u32> = prompt.iter().chain(&first[..7]).copied().collect();
    let rest = generate(&engine, GenerateParams { max_tokens: 13, ..params(1) }, &middle).0;
    assert_eq!(rest, first[7..]);
    let mut other = params(1);
    other.sampling.sequence = 1;
    assert_ne!(generate(&engine, other, &prompt).0, first, "another sequence of the same seed");
}

#[test]
fn generation_ends_at_a_stop_token_or_a_full_context() {
    let engine = Engine::load("nano").unwrap();
    let prompt = [657, 586, 265, 534];
    let (all, _) = generate(&engine, params(1), &prompt);
    let stop = GenerateParams { stop_tokens: vec![all[5]], ..params(1) };
    let (tokens, reason) = generate(&engine, stop, &prompt);
    let first = all.iter().position(|t| *t == all[5]).unwrap();
    assert_eq!((&tokens[..], reason), (&all[..=first], StopReason::StopToken(all[5])));
    let endless = GenerateParams { max_tokens: usize::MAX, ..params(1) };
    let (tokens, reason) = generate(&engine, endless, &prompt);
    assert_eq!((tokens.len(), reason), (40 - 4 + 1, StopReason::ContextFull));
    let none = GenerateParams { max_tokens: 0, ..params(1) };
    assert_eq!(generate(&engine, none, &prompt), (vec![], StopReason::MaxTokens));
}

proptest! {
    #[test]
    fn any_logits_give_a_token(
        logits in prop::collection::vec(prop::num::f32::ANY, 1..50),
        temperature in 0f32..3.0,
        top_k in 0usize..60,
        top_p in 0.01f32..=1.0,
        min_p in 0f32..=1.0,
        position in 0usize..1000,
    ) {
        let params = SamplingParams {
            temperature, top_k, top_p, min_p, ..SamplingParams::default()
        };
        let token = sample(&params, &History::default(), position, &mut logits.clone());
        prop_assert!((token as usize) < logits.len());
        if logits.iter().any(|l| !l.is_nan()) {
            prop_assert!(!logits[token as usize].is_nan(), "NaN was chosen");
        }
    }
}
