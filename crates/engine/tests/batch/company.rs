//! The same bits whoever else is there, whatever is kept, and however little room there is.

use std::num::NonZeroUsize;
use std::sync::mpsc::Receiver;

use gptoss_engine::{
    BatchEvent, BatchOptions, BatchStop, CacheElement, Engine, EngineOptions, Precision,
    SamplingParams, Scheduler,
};
use proptest::prelude::*;

use crate::asking::{Asked, Got, engine_with, got, ids};

const MODELS: [(&str, usize); 3] = [
    ("testdata/models/t64/mxfp4", 500),
    ("testdata/models/t96/model.gguf", 500),
    ("models/nano", 900),
];

fn kinds() -> [EngineOptions; 3] {
    let two = EngineOptions { threads: NonZeroUsize::new(2), ..EngineOptions::default() };
    [
        two,
        EngineOptions { precision: Precision::Exact, ..two },
        EngineOptions { cache: Some(CacheElement::Int8), ..two },
    ]
}

/// A request in the making.
#[derive(Clone, Debug)]
struct Arrival {
    /// Which text it begins with, and how much of it; then it goes its own way.
    text: u32,
    shared: usize,
    own: usize,
    max_tokens: usize,
    temperature: bool,
    prompt_logprobs: bool,
    cancel_at: Option<usize>,
    /// Tokens of the one before that it waits for.
    after: usize,
    client: usize,
}

fn arrival() -> impl Strategy<Value = Arrival> {
    let lengths = (0u32..3, 0usize..=8, 1usize..40, 0usize..40);
    let kinds = (any::<bool>(), prop::bool::weighted(0.2), prop::option::weighted(0.2, 1usize..9));
    (lengths, kinds, 0usize..6, 0usize..3).prop_map(
        |(
            (text, shared, own, max_tokens),
            (temperature, prompt_logprobs, cancel_at),
            after,
            client,
        )| {
            // Beginnings of up to 400 tokens: several windows, rings and pages.
            let shared = shared * 50;
            Arrival {
                text,
                shared,
                own,
                max_tokens,
                temperature,
                prompt_logprobs,
                cancel_at,
                after,
                client,
            }
        },
    )
}

impl Arrival {
    fn asked(&self, engine: &Engine, number: usize) -> Asked {
        let mut prompt = ids(engine, self.shared, self.text);
        prompt.extend(ids(engine, self.own, 100 + number as u32 % 4));
        let sampling = SamplingParams {
            temperature: f32::from(u8::from(self.temperature)),
            seed: number as u64,
            presence_penalty: 0.5,
            repetition_penalty: 1.1,
            ..SamplingParams::default()
        };
        Asked {
            prompt,
            sampling,
            stop_tokens: vec![7, 8, 9],
            max_tokens: self.max_tokens,
            top_logprobs: Some(3),
            prompt_logprobs: self.prompt_logprobs.then_some(1),
            client: ["a", "b", "c"][self.client],
            cancel_at: self.cancel_at,
            ..Asked::default()
        }
    }
}

/// Runs all; each is submitted when the one before has so many tokens, or has ended.
fn together(scheduler: &Scheduler, all: &[(Asked, usize)]) -> Vec<Got> {
    let mut receivers: Vec<Receiver<BatchEvent>> = Vec::new();
    let mut early: Vec<Vec<BatchEvent>> = Vec::new();
    for (asked, after) in all {
        if let (Some(before), Some(early)) = (receivers.last(), early.last_mut()) {
            early.extend(before.iter().take(*after));
        }
        receivers.push(asked.of(scheduler));
        early.push(Vec::new());
    }
    let rest = receivers.into_iter().zip(early);
    rest.map(|(receiver, early)| {
        let (sender, all) = std::sync::mpsc::channel();
        early.into_iter().chain(receiver).for_each(|event| sender.send(event).unwrap());
        drop(sender);
        got(&all)
    })
    .collect()
}

/// The log-probabilities of a prompt, computed alone.
fn prompt_logprobs(engine: &Engine, prompt: &[u32]) -> Vec<f64> {
    let mut session = engine.session(prompt.len()).unwrap();
    let all = session.observe(prompt, &mut ()).unwrap();
    let rows = all.chunks(engine.config().vocab_size).zip(&prompt[1..]);
    rows.map(|(row, token)| gptoss_engine::log_probabilities(row)(*token)).collect()
}

/// Compares what everybody got with the same alone; gives how many tokens were compared.
fn compare(engine: &Engine, options: &BatchOptions, all: &[(Asked, usize)]) -> usize {
    let scheduler = Scheduler::start(engine, options.clone()).unwrap();
    let mut compared = 0;
    for (i, (got, (asked, _))) in together(&scheduler, all).iter().zip(all).enumerate() {
        let alone = asked.alone(engine, options.context_length);
        match asked.cancel_at.filter(|at| *at <= alone.steps.len()) {
            Some(at) => {
                assert_eq!(got.steps, alone.steps[..at], "request {i}");
                assert_eq!(got.done, None, "request {i} was cancelled");
            }
            None => {
                assert_eq!(got.steps, alone.steps, "request {i}, {} cached", got.cached_tokens);
                assert_eq!(got.done, alone.done, "request {i}");
            }
        }
        compared += got.steps.len();
        if asked.prompt_logprobs.is_some() {
            let found: Vec<f64> = got.prompt_logprobs.iter().map(|p| p.logprob).collect();
            assert_eq!(found, prompt_logprobs(engine, &asked.prompt), "request {i}");
            compared += found.len();
        }
    }
    compared
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    /// Arrivals and cancellations at any time, beginnings that are shared, a cache that hardly
    /// holds one of them.
    #[test]
    fn any_requests_get_what_they_get_alone(
        (kind, model) in (0usize..3, prop_oneof![3 => Just(0usize), 3 => Just(1), 1 => Just(2)]),
        short in prop::bool::weighted(0.25),
        (sequences_max, step_tokens_max) in (1usize..7, prop_oneof![1usize..20, 64usize..600]),
        (extra, snapshots_max, snapshot_every) in (0usize..900, 0usize..9, 20usize..200),
        arrivals in prop::collection::vec(arrival(), 2..9),
    ) {
        let (path, longest) = MODELS[model];
        let engine = engine_with(path, &kinds()[kind]);
        // Shorter than a ring, so that the ring holds all; or several rings long.
        let context_length = if short { 120 } else { longest };
        let options = BatchOptions {
            cache_positions: context_length + extra,
            sequences_max, step_tokens_max, snapshots_max, snapshot_every,
            ..BatchOptions::new(context_length)
        };
        let all: Vec<(Asked, usize)> = arrivals
            .iter()
            .enumerate()
            .map(|(i, arrival)| (arrival.asked(&engine, i), arrival.after))
            .filter(|(asked, _)| asked.prompt.len() <= context_length)
            .collect();
        compare(&engine, &options, &all);
    }
}

/// Everybody needs more pages than there are: the younger ones give theirs up and go on later.
#[test]
fn sequences_that_lose_their_pages_get_the_same_bits() {
    for (path, kind) in [(MODELS[0].0, 0), (MODELS[1].0, 1), (MODELS[2].0, 2)] {
        let engine = engine_with(path, &kinds()[kind]);
        let context_length = 500;
        let options = BatchOptions {
            // Four pages; three prompts of one page each grow to two and more.
            cache_positions: context_length,
            sequences_max: 3,
            ..BatchOptions::new(context_length)
        };
        let all: Vec<(Asked, usize)> = (0..3)
            .map(|i| {
                let arrival = Arrival {
                    text: i,
                    shared: 50,
                    own: 60,
                    max_tokens: 250,
                    temperature: true,
                    prompt_logprobs: i == 1,
                    cancel_at: None,
                    after: 0,
                    client: 0,
                };
                (Asked { stop_tokens: Vec::new(), ..arrival.asked(&engine, i as usize) }, 0)
            })
            .collect();
        assert!(compare(&engine, &options, &all) >= 750, "{path}");
    }
}

#[test]
fn a_context_that_is_full_ends_where_it_ends_alone() {
    let engine = engine_with(MODELS[0].0, &kinds()[0]);
    for context_length in [40, 300] {
        let asked = Asked {
            prompt: ids(&engine, 30, 1),
            max_tokens: 1000,
            top_logprobs: Some(0),
            ..Asked::default()
        };
        let options = BatchOptions::new(context_length);
        let scheduler = Scheduler::start(&engine, options.clone()).unwrap();
        let found = got(&asked.of(&scheduler));
        assert_eq!(found.done.as_ref().unwrap().stop, BatchStop::ContextFull);
        assert_eq!(found.steps.len(), context_length - 30 + 1);
        assert!(compare(&engine, &options, &[(asked, 0)]) > 0);
    }
}
