//! How often the default arithmetic and the plain loops choose the same token:
//! `cargo bench -p gptoss-engine --bench agreement`.
//!
//! nano writes 40 texts of 250 tokens at temperature 1; both compute the logits of every position.
//! Fails if the most likely token differs at more than one position in 200.

use gptoss_engine::{Engine, History, SamplingParams, argmax, reference_forward, sample};

const TEXTS: u64 = 40;
const TOKENS: usize = 250;

fn main() {
    let engine = Engine::load("nano").expect("nano is part of the program");
    let (mut same, mut positions) = (0, 0);
    let (mut sum, mut values) = (0.0, 0);
    for seed in 0..TEXTS {
        let tokens = written(&engine, seed);
        let mut session = engine.session(TOKENS).expect("there is memory for nano");
        let all = session.observe(&tokens, &mut ()).expect("it fits");
        let model = engine.forward_model();
        let expected = reference_forward(model.config, model.weights, &tokens, &mut ());
        for (found, expected) in all.chunks(model.config.vocab_size).zip(&expected) {
            same += usize::from(argmax(found) == argmax(expected));
            positions += 1;
            let difference = found.iter().zip(expected).map(|(a, b)| f64::from((a - b).abs()));
            sum += difference.sum::<f64>();
            values += found.len();
        }
    }
    let share = same as f64 / positions as f64;
    println!("{same} of {positions} positions, {:.2} %", 100.0 * share);
    println!("mean |Δlogit| {:.2e}", sum / values as f64);
    assert!(positions >= 10_000 && share >= 0.995, "{same} of {positions}");
}

/// What the model writes after nothing but the token 1.
fn written(engine: &Engine, seed: u64) -> Vec<u32> {
    let params = SamplingParams { seed, temperature: 1.0, ..SamplingParams::default() };
    let mut session = engine.session(TOKENS).expect("there is memory for nano");
    let mut tokens = vec![1];
    session.sync(&tokens).expect("it fits");
    while tokens.len() < TOKENS {
        let mut logits = session.logits().to_vec();
        let token = sample(&params, &History::default(), tokens.len(), &mut logits);
        tokens.push(token);
        session.push(token).expect("it fits");
    }
    tokens
}
