//! How long a second turn waits for its first token, and a stream for its next one while a long
//! prompt is computed: `cargo bench -p gptoss-engine --bench serving`.
//!
//! The model is a small one of gpt-oss-20b's kind with random weights. Arguments after `--` are
//! the layers (8 by default), the tokens of the conversation (4096) and of the long prompt (8192).
//! The second turn's answer is compared with the same request alone; the bar for the stream's
//! median and 95th percentile is twice what they are without the prompt.

use std::ops::ControlFlow;
use std::sync::mpsc::{Receiver, channel};
use std::time::Instant;

use gptoss_checkpoint::presets;
use gptoss_checkpoint::synth::{DenseFormat, Existing, Plan, Synthesis, Target};
use gptoss_engine::{
    BatchEvent, BatchOptions, BatchRequest, Batcher, Engine, SamplingParams, Scheduler,
};

/// Tokens that are generated and dropped again, as reasoning is.
const REASONING: usize = 200;
/// Tokens of a stream that are measured before the long prompt comes.
const ALONE: usize = 300;
const REPETITIONS: usize = 3;

fn main() {
    let words: Vec<usize> = std::env::args().skip(1).filter_map(|word| word.parse().ok()).collect();
    let word = |i: usize, default: usize| words.get(i).copied().unwrap_or(default);
    let (layers, turn, long) = (word(0, 8), word(1, 4096), word(2, 8192));
    let folder = tempfile::tempdir().expect("there is a folder for temporary files");
    let engine = small(folder.path(), layers, (turn + long) * 4);
    println!("{layers} layers, {} threads, {}", engine.threads(), engine.isa().name());
    second_turn(&engine, turn);
    for streams in [1, 4] {
        stream(&engine, long, streams);
    }
}

/// The 20b's heads and experts; few and narrow layers.
fn small(folder: &std::path::Path, layers: usize, context_length: usize) -> Engine {
    let mut config = presets::find("gpt-oss-20b").expect("it is a preset").config;
    (config.num_hidden_layers, config.hidden_size, config.intermediate_size) = (layers, 512, 512);
    (config.num_attention_heads, config.num_key_value_heads) = (16, 2);
    (config.vocab_size, config.max_position_embeddings) = (4096, context_length);
    config.layer_types.truncate(layers);
    let target = Target::Gguf { dense: DenseFormat::Q8_0, vocabulary: None };
    let synthesis = Synthesis { name: "small", config: &config, seed: 1, target };
    let path = folder.join("small.gguf");
    let plan = Plan::new(&synthesis).expect("the configuration can be written");
    plan.write(&path, Existing::Keep, 1, &|_| {}).expect("there is room for a small model");
    Engine::load(path.to_str().expect("a temporary path is text")).expect("it was just written")
}

fn ids(engine: &Engine, len: usize, seed: u32) -> Vec<u32> {
    let vocab_size = engine.config().vocab_size as u32;
    (0..len as u32)
        .map(|i| (i.wrapping_mul(2_654_435_761) >> 7).wrapping_add(seed) % vocab_size)
        .collect()
}

/// Tokens with the seconds at which they came, and the tokens that were in the cache.
struct Answer {
    tokens: Vec<u32>,
    seconds: Vec<f64>,
    cached_tokens: usize,
}

/// Asks; the receiver gets each token with the moment at which it was told.
fn ask(
    scheduler: &Scheduler,
    prompt: &[u32],
    max_tokens: usize,
) -> Receiver<(Instant, BatchEvent)> {
    let (sender, receiver) = channel();
    let request = BatchRequest {
        prompt: prompt.to_vec(),
        sampling: SamplingParams::default(),
        stop_tokens: Vec::new(),
        max_tokens,
        top_logprobs: None,
        prompt_logprobs: None,
        embed: false,
        client: String::new(),
        constraint: None,
        sink: Box::new(move |event| match sender.send((Instant::now(), event)) {
            Ok(()) => ControlFlow::Continue(()),
            Err(_) => ControlFlow::Break(()),
        }),
    };
    scheduler.submit(request).expect("the queue is empty");
    receiver
}

/// Everything that came, and when, from `start` on.
fn answer(receiver: &Receiver<(Instant, BatchEvent)>, start: Instant) -> Answer {
    let mut answer = Answer { tokens: Vec::new(), seconds: Vec::new(), cached_tokens: 0 };
    for (at, event) in receiver {
        match event {
            BatchEvent::Started { cached_tokens } => answer.cached_tokens = cached_tokens,
            BatchEvent::Token(step) => {
                answer.tokens.push(step.token);
                answer.seconds.push(at.duration_since(start).as_secs_f64());
            }
            _ => {}
        }
    }
    answer
}

fn scheduler(engine: &Engine) -> Scheduler {
    let context_length = engine.config().max_position_embeddings;
    let options =
        BatchOptions { cache_positions: context_length, ..BatchOptions::new(context_length) };
    Scheduler::start(engine, options).expect("there is memory for a small cache")
}

/// The value at share `at` of all, sorted.
fn quantile(values: &[f64], at: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted[((sorted.len() - 1) as f64 * at).round() as usize]
}

/// Time to the first token of a second turn that drops the first turn's reasoning, with what is
/// kept of the first, and without.
fn second_turn(engine: &Engine, turn: usize) {
    let (mut warm, mut cold) = (Vec::new(), Vec::new());
    let mut cached_tokens = 0;
    for repetition in 0..REPETITIONS as u32 {
        let first = ids(engine, turn, repetition * 1000);
        let mut second = first.clone();
        second.extend(ids(engine, 60, repetition * 1000 + 500));
        let both = scheduler(engine);
        answer(&ask(&both, &first, REASONING), Instant::now());
        let start = Instant::now();
        let found = answer(&ask(&both, &second, 8), start);
        warm.push(found.seconds[0]);
        cached_tokens = found.cached_tokens;
        let alone = scheduler(engine);
        let start = Instant::now();
        let expected = answer(&ask(&alone, &second, 8), start);
        assert_eq!(found.tokens, expected.tokens, "the same tokens from the cache");
        cold.push(expected.seconds[0]);
    }
    let median = |values: &[f64]| quantile(values, 0.5);
    println!(
        "second turn of {} tokens, {cached_tokens} kept: first token after {:.3} s, cold {:.3} s \
         ({:.0} times; {REPETITIONS} repetitions, {:.3} to {:.3} and {:.3} to {:.3})",
        turn + 60,
        median(&warm),
        median(&cold),
        median(&cold) / median(&warm),
        quantile(&warm, 0.0),
        quantile(&warm, 1.0),
        quantile(&cold, 0.0),
        quantile(&cold, 1.0),
    );
}

/// Seconds at which the tokens of one of several streams come, at most `max` of them; between the
/// first [`ALONE`] and the rest, `meanwhile` is done.
fn token_seconds(
    scheduler: &Scheduler,
    prompts: &[Vec<u32>],
    max: usize,
    meanwhile: impl FnOnce(Instant) -> usize,
) -> Vec<f64> {
    let start = Instant::now();
    let running: Vec<_> = prompts.iter().map(|ids| ask(scheduler, ids, usize::MAX)).collect();
    let second = |(at, event): (Instant, BatchEvent)| {
        matches!(event, BatchEvent::Token(_)).then(|| at.duration_since(start).as_secs_f64())
    };
    let mut seconds: Vec<f64> = running[0].iter().filter_map(second).take(ALONE).collect();
    let more = meanwhile(start);
    let rest = running[0].iter().filter_map(second).take(max.min(more));
    seconds.extend(rest);
    seconds
}

/// Milliseconds between tokens that came after `from` and up to `to`, and their numbers.
fn gaps(seconds: &[f64], from: f64, to: f64) -> (Vec<f64>, std::ops::Range<usize>) {
    let first = seconds.partition_point(|at| *at <= from).max(1);
    let end = seconds.partition_point(|at| *at <= to).max(first);
    ((first..end).map(|i| (seconds[i] - seconds[i - 1]) * 1e3).collect(), first..end)
}

/// Time between the tokens of one of `streams` streams: before a long prompt comes, while it is
/// computed, and of the very same tokens when no prompt comes, because a longer text is slower.
fn stream(engine: &Engine, long: usize, streams: usize) {
    let prompts: Vec<_> = (0..streams).map(|i| ids(engine, 50, i as u32 * 77)).collect();
    let (mut asked, mut computed) = (0.0, 0.0);
    let busy = scheduler(engine);
    let with = token_seconds(&busy, &prompts, usize::MAX, |start| {
        asked = start.elapsed().as_secs_f64();
        computed = answer(&ask(&busy, &ids(engine, long, 9), 1), start).seconds[0];
        // Those of the stream that wait to be read, up to the prompt's end and a few more.
        (busy.status().generated_tokens as usize / streams).saturating_sub(ALONE)
    });
    drop(busy);
    let (before, _) = gaps(&with, with[0], asked);
    let (during, numbers) = gaps(&with, asked, computed);
    let without = token_seconds(&scheduler(engine), &prompts, numbers.end - ALONE, |_| usize::MAX);
    let same: Vec<f64> =
        numbers.filter_map(|i| Some((without.get(i)? - without[i - 1]) * 1e3)).collect();
    let rows = [("before", &before), ("during", &during), ("the same without", &same)];
    for (name, gaps) in rows {
        println!(
            "{streams} streams, {name}: {} tokens, median {:.2} ms, p95 {:.2} ms, largest {:.2} ms",
            gaps.len(),
            quantile(gaps, 0.5),
            quantile(gaps, 0.95),
            quantile(gaps, 1.0),
        );
    }
    let ratio = |other: &[f64], at: f64| quantile(&during, at) / quantile(other, at);
    println!(
        "{streams} streams: median {:.2} and p95 {:.2} times before, {:.2} and {:.2} times the \
         same without; the prompt of {long} took {:.1} s",
        ratio(&before, 0.5),
        ratio(&before, 0.95),
        ratio(&same, 0.5),
        ratio(&same, 0.95),
        computed - asked,
    );
}
