//! The tiny models and nano against the goldens (`testdata/models/README.md`,
//! `models/nano/README.md`): every layout, both implementations.

use crate::support::{Golden, engine, exact_engine, max_difference, repository, rows};
use gptoss_engine::{
    Engine, EngineOptions, KvCache, LogitRows, Observer, Trace, argmax, forward, reference_forward,
};

/// The largest difference measured is 2.9e-5; two other float32 implementations have 2.3e-4.
const LOGITS_MAX: f32 = 5e-5;
/// Hidden states reach 60; the largest difference measured is 5e-5.
const HIDDEN_MAX: f32 = 3e-4;

const TINY: [(&str, &str); 7] = [
    ("t64", "mxfp4"),
    ("t64", "bf16"),
    ("t64", "original"),
    ("t64", "model.gguf"),
    ("t96", "mxfp4"),
    ("t96", "original"),
    ("t96", "model.gguf"),
];

/// Logits of every position and what was observed on the way.
type Run = fn(&Engine, &[u32]) -> (Vec<f32>, Trace);

fn cached(engine: &Engine, ids: &[u32]) -> (Vec<f32>, Trace) {
    let mut trace = Trace::new(engine.config());
    // One prompt is longer than its model's configured context, which a session would refuse.
    let element = engine.cache_element();
    let mut cache = KvCache::new(engine.config(), ids.len(), element).unwrap();
    let logits = forward(engine.forward_model(), &mut cache, ids, LogitRows::All, &mut trace);
    (logits, trace)
}

fn reference(engine: &Engine, ids: &[u32]) -> (Vec<f32>, Trace) {
    let model = engine.forward_model();
    let mut trace = Trace::new(engine.config());
    let observer: &mut dyn Observer = &mut trace;
    (reference_forward(model.config, model.weights, ids, observer).concat(), trace)
}

/// Compares one prompt; gives the largest difference of the logits.
fn compare(name: &str, prompt: &str, golden: &Golden, engine: &Engine, run: Run) -> f32 {
    let config = engine.config();
    let (ids, positions) =
        (golden.ids(&format!("{prompt}.ids")), golden.indices(&format!("{prompt}.positions")));
    let (logits, trace) = run(engine, &ids);
    let logits = rows(&logits, config.vocab_size, &positions);
    let difference = max_difference(&logits, &golden.floats(&format!("{prompt}.logits")));
    assert!(difference <= LOGITS_MAX, "{name} {prompt}: logits differ by {difference:e}");
    if !golden.has(&format!("{prompt}.hidden")) {
        return difference;
    }
    let hidden: Vec<f32> =
        trace.hidden.iter().flat_map(|x| rows(x, config.hidden_size, &positions)).collect();
    let hidden = max_difference(&hidden, &golden.floats(&format!("{prompt}.hidden")));
    assert!(hidden <= HIDDEN_MAX, "{name} {prompt}: hidden states differ by {hidden:e}");

    let chosen = config.num_experts_per_tok;
    let at = |p: &usize| p * chosen..(p + 1) * chosen;
    let experts: Vec<usize> = trace
        .router_ids
        .iter()
        .flat_map(|layer| positions.iter().flat_map(|p| layer[at(p)].to_vec()))
        .collect();
    assert_eq!(experts, golden.indices(&format!("{prompt}.router_ids")), "{name} {prompt}");
    let shares: Vec<f32> =
        trace.router_weights.iter().flat_map(|x| rows(x, chosen, &positions)).collect();
    let shares = max_difference(&shares, &golden.floats(&format!("{prompt}.router_weights")));
    assert!(shares <= 1e-4, "{name} {prompt}: router weights differ by {shares:e}");
    difference
}

fn every_tiny_model(which: &str, run: Run) {
    let mut compared = 0;
    for (size, layout) in TINY {
        let golden = Golden::open(&format!("testdata/models/{size}/golden.safetensors"));
        let engine = exact_engine(&format!("testdata/models/{size}/{layout}"));
        for prompt in golden.prompts() {
            let name = format!("{size}/{layout} {which}");
            let difference = compare(&name, &prompt, &golden, &engine, run);
            println!("{name} {prompt}: max |Δlogit| {difference:.1e}");
            compared += 1;
        }
    }
    assert_eq!(compared, TINY.len() * 5);
}

#[test]
fn tiny_models_agree_with_float64() {
    every_tiny_model("forward", cached);
}

#[test]
fn the_reference_agrees_with_float64() {
    every_tiny_model("reference", reference);
}

#[test]
fn nano_agrees_with_transformers() {
    let golden = Golden::open("models/nano/golden.safetensors");
    let from_disk = exact_engine("models/nano");
    let embedded = Engine::load_with("nano", &EngineOptions::exact()).unwrap();
    for prompt in golden.prompts() {
        let difference = compare("nano forward", &prompt, &golden, &embedded, cached);
        println!("nano {prompt}: max |Δlogit| {difference:.1e}");
        compare("nano reference", &prompt, &golden, &from_disk, reference);
    }
    assert!(repository("models/nano/harmony.json").exists());
}

#[test]
fn greedy_continuations_are_identical() {
    let mut compared = 0;
    for (size, layout) in TINY {
        let golden = Golden::open(&format!("testdata/models/{size}/golden.safetensors"));
        let engine = exact_engine(&format!("testdata/models/{size}/{layout}"));
        for prompt in ["short", "window"] {
            let ids = golden.ids(&format!("{prompt}.ids"));
            let expected = golden.ids(&format!("{prompt}.greedy"));
            let mut session = engine.session(ids.len() + expected.len()).unwrap();
            session.sync(&ids).unwrap();
            let mut actual = Vec::new();
            for _ in 0..expected.len() {
                actual.push(argmax(session.logits()));
                session.push(actual[actual.len() - 1]).unwrap();
            }
            assert_eq!(actual, expected, "{size}/{layout} {prompt}");
            compared += actual.len();
        }
    }
    assert_eq!(compared, TINY.len() * 2 * 24);
}

#[test]
fn every_layout_gives_the_same_bits() {
    layouts_agree(exact_engine, |_| true);
    // In eight bits, where the weights are.
    layouts_agree(engine, |layout| layout != "bf16");
}

fn layouts_agree(open: fn(&str) -> Engine, is_meant: fn(&str) -> bool) {
    for size in ["t64", "t96"] {
        let golden = Golden::open(&format!("testdata/models/{size}/golden.safetensors"));
        let ids = golden.ids("window.ids");
        let all: Vec<(&str, Vec<u32>)> = TINY
            .iter()
            .filter(|(s, layout)| *s == size && is_meant(layout))
            .map(|(_, layout)| {
                let engine = open(&format!("testdata/models/{size}/{layout}"));
                let (logits, _) = cached(&engine, &ids);
                (*layout, logits.into_iter().map(f32::to_bits).collect())
            })
            .collect();
        assert!(all.len() >= 3);
        for (layout, bits) in &all {
            assert!(*bits == all[0].1, "{size}: {layout} differs from {}", all[0].0);
        }
    }
}
