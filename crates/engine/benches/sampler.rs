//! Times of choosing a token from a vocabulary of 201,088: `cargo bench -p gptoss-engine --bench
//! sampler`.
//!
//! For flat, ordinary and sharp logits and each kind of cut: the mean time of a call in
//! microseconds, the shortest of several runs.

use std::hint::black_box;
use std::time::Instant;

use gptoss_engine::{History, SamplingParams, log_probabilities, sample};

const VOCABULARY: usize = 201_088;
const CALLS: usize = 8;
const RUNS: usize = 30;

fn main() {
    let sampled = |change: fn(&mut SamplingParams)| {
        let mut params = SamplingParams { temperature: 1.0, ..SamplingParams::default() };
        change(&mut params);
        params
    };
    let settings = [
        ("greedy", SamplingParams::default()),
        ("temperature 1", sampled(|_| ())),
        ("temperature 0.7", sampled(|p| p.temperature = 0.7)),
        ("top_p 0.95", sampled(|p| p.top_p = 0.95)),
        ("top_k 40", sampled(|p| p.top_k = 40)),
        ("min_p 0.05", sampled(|p| p.min_p = 0.05)),
        ("top_k, top_p, min_p", sampled(|p| (p.top_k, p.top_p, p.min_p) = (200, 0.9, 0.01))),
    ];
    println!("{:>22} {:>10} {:>10} {:>10}", "microseconds", "flat", "ordinary", "sharp");
    // Standard deviations of the logits: 1, 2.5 and 8.
    let models = [1.0, 2.5, 8.0].map(logits);
    for (name, params) in &settings {
        print!("{name:>22}");
        for logits in &models {
            let us = microseconds(|position| {
                let mut logits = logits.clone();
                black_box(sample(params, &History::default(), position, &mut logits));
            });
            print!(" {us:>10.0}");
        }
        println!();
    }
    print!("{:>22}", "log_probabilities");
    for logits in &models {
        print!(" {:>10.0}", microseconds(|_| _ = black_box(log_probabilities(logits)(7))));
    }
    println!();
}

fn microseconds(mut call: impl FnMut(usize)) -> f64 {
    let mut run = || {
        let start = Instant::now();
        (0..CALLS).for_each(&mut call);
        start.elapsed().as_secs_f64() * 1e6 / CALLS as f64
    };
    (0..RUNS).map(|_| run()).fold(f64::INFINITY, f64::min)
}

/// Nearly normal numbers.
fn logits(deviation: f32) -> Vec<f32> {
    let mut state = 1u32;
    let mut uniform = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as f32 / 16_777_216.0 - 0.5
    };
    (0..VOCABULARY).map(|_| (0..12).map(|_| uniform()).sum::<f32>() * deviation).collect()
}
