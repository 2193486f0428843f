//! The tiny dense models against the goldens (`testdata/dense/README.md`): both layouts, both
//! implementations.

use crate::support::{Golden, engine, engine_with, exact_engine, max_difference, repository, rows};
use gptoss_checkpoint::{Model, ModelConfig, RotaryPairs};
use gptoss_engine::{
    Engine, EngineOptions, KvCache, LogitRows, Trace, argmax, forward, reference_forward,
};

/// transformers keeps norms and angles in f32.
const LOGITS_MAX: f32 = 2e-4;
/// Hidden states reach 10.
const HIDDEN_MAX: f32 = 2e-4;

/// A file or folder of weights, and its goldens.
const MODELS: [(&str, &str); 9] = [
    ("mistral/hf", "mistral/golden"),
    ("mistral/model.gguf", "mistral/golden"),
    ("llama3/hf", "llama3/golden"),
    ("llama3/model.gguf", "llama3/golden"),
    ("deepseek/hf", "deepseek/golden"),
    ("deepseek/model.gguf", "deepseek/golden"),
    ("smollm/hf", "smollm/golden"),
    ("smollm/model.gguf", "smollm/golden"),
    ("smollm/mixed.gguf", "smollm/mixed"),
];

fn path(name: &str) -> String {
    format!("testdata/dense/{name}")
}

fn golden(name: &str) -> Golden {
    Golden::open(&path(&format!("{name}.safetensors")))
}

fn cached(engine: &Engine, ids: &[u32]) -> (Vec<f32>, Trace) {
    let mut trace = Trace::new(engine.config());
    let mut cache = KvCache::new(engine.config(), ids.len(), engine.cache_element()).unwrap();
    let logits = forward(engine.forward_model(), &mut cache, ids, LogitRows::All, &mut trace);
    (logits, trace)
}

fn reference(engine: &Engine, ids: &[u32]) -> (Vec<f32>, Trace) {
    let model = engine.forward_model();
    let mut trace = Trace::new(engine.config());
    (reference_forward(model.config, model.weights, ids, &mut trace).concat(), trace)
}

/// The largest difference of the logits of a prompt.
fn logits_differ(golden: &Golden, prompt: &str, logits: &[f32]) -> f32 {
    let expected = golden.floats(&format!("{prompt}.logits"));
    let positions = golden.indices(&format!("{prompt}.positions"));
    let vocab_size = expected.len() / positions.len();
    max_difference(&rows(logits, vocab_size, &positions), &expected)
}

#[test]
fn both_implementations_agree_with_transformers() {
    let mut compared = 0;
    for (model, values) in MODELS {
        let (golden, engine) = (golden(values), exact_engine(&path(model)));
        let (layers, width) = (engine.config().num_hidden_layers, engine.config().hidden_size);
        for prompt in golden.prompts() {
            let ids = golden.ids(&format!("{prompt}.ids"));
            let positions = golden.indices(&format!("{prompt}.positions"));
            for (which, (logits, trace)) in
                [("forward", cached(&engine, &ids)), ("reference", reference(&engine, &ids))]
            {
                let difference = logits_differ(&golden, &prompt, &logits);
                // transformers does not give the state between the last layer and the norm.
                let stages = (0..layers).chain([layers + 1]);
                let hidden: Vec<f32> =
                    stages.flat_map(|s| rows(&trace.hidden[s], width, &positions)).collect();
                let hidden = max_difference(&hidden, &golden.floats(&format!("{prompt}.hidden")));
                println!("{model} {which} {prompt}: logits {difference:.1e}, hidden {hidden:.1e}");
                assert!(difference <= LOGITS_MAX, "{model} {which} {prompt}: {difference:e}");
                assert!(hidden <= HIDDEN_MAX, "{model} {which} {prompt}: hidden {hidden:e}");
                compared += 1;
            }
        }
    }
    assert_eq!(compared, MODELS.len() * 4 * 2);
}

#[test]
fn greedy_continuations_are_identical() {
    let mut compared = 0;
    for (model, values) in MODELS {
        let (golden, engine) = (golden(values), exact_engine(&path(model)));
        for prompt in ["short", "window"] {
            let ids = golden.ids(&format!("{prompt}.ids"));
            let expected = golden.ids(&format!("{prompt}.greedy"));
            let mut session = engine.session(ids.len() + expected.len()).unwrap();
            session.sync(&ids).unwrap();
            for (i, expected) in expected.iter().enumerate() {
                let token = argmax(session.logits());
                assert_eq!(token, *expected, "{model} {prompt}: token {i}");
                session.push(token).unwrap();
                compared += 1;
            }
        }
    }
    assert_eq!(compared, MODELS.len() * 2 * 24);
}

/// The rows of a GGUF file are in another order, but what is computed is the same. The divisors of
/// llama3 are rounded to f32 there, and only there.
#[test]
fn both_layouts_give_the_same_bits() {
    for size in ["mistral", "deepseek", "smollm", "llama3"] {
        let ids = golden(&format!("{size}/golden")).ids("long.ids");
        // A cache in F16 makes a last bit a step of 2⁻¹¹.
        for (open, bound) in [(exact_engine as fn(&str) -> Engine, 1e-4), (engine, 5e-3)] {
            let [hf, gguf] = ["hf", "model.gguf"]
                .map(|layout| cached(&open(&path(&format!("{size}/{layout}"))), &ids).0);
            let difference = max_difference(&hf, &gguf);
            match size {
                "llama3" => assert!(difference < bound, "{size}: {difference:e}"),
                _ => assert!(hf == gguf, "{size}: logits differ by {difference:e}"),
            }
        }
    }
}

/// The difference from the goldens after a model was changed.
fn changed(size: &str, change: impl FnOnce(&mut Model)) -> f32 {
    let golden = golden(&format!("{size}/golden"));
    let mut model = Model::open(&repository(&path(&format!("{size}/hf")))).unwrap();
    change(&mut model);
    let engine = Engine::from_model(model, &EngineOptions::exact()).unwrap();
    logits_differ(&golden, "long", &cached(&engine, &golden.ids("long.ids")).0)
}

#[test]
fn the_goldens_see_what_sets_the_models_apart() {
    let config =
        |size: &str, change: fn(&mut ModelConfig)| changed(size, |m| change(&mut m.config));
    assert!(config("mistral", |_| ()) < LOGITS_MAX);
    assert!(config("mistral", |c| c.sliding_window += 1) > 0.01);
    assert!(config("mistral", |c| c.sliding_window = 2000) > 0.01);
    assert!(config("llama3", |c| c.rope_scaling = None) > 0.1);
    assert!(config("deepseek", |c| c.rope_scaling = None) > 0.1);
    assert!(config("smollm", |c| c.rope_theta = 10_000.0) > 0.1);
    assert!(config("smollm", |c| c.swiglu_limit = Some(7.0)) > 0.1);
    let sinks = |m: &mut Model| m.weights.layers.iter_mut().for_each(|l| l.sinks.fill(0.0));
    assert!(changed("smollm", sinks) > 0.01);
    let pairs = |m: &mut Model| m.weights.rotary_pairs = RotaryPairs::Neighbours;
    assert!(changed("smollm", pairs) > 0.1);
}

/// A window that is too wide for rings is kept in pages; it is the same window.
#[test]
fn wide_windows_are_seen_in_pages_too() {
    let golden = golden("mistral/golden");
    let ids: Vec<u32> = golden.ids("long.ids").into_iter().cycle().take(1300).collect();
    let model = || Model::open(&repository(&path("mistral/hf"))).unwrap();
    let logits = |window: usize| {
        let mut model = model();
        model.config.sliding_window = window;
        model.config.max_position_embeddings = 2000;
        let engine = Engine::from_model(model, &EngineOptions::exact()).unwrap();
        (cached(&engine, &ids).0, reference(&engine, &ids).0)
    };
    let last = |x: &[f32]| x[x.len() - 320..].to_vec();
    let (in_pages, plain) = logits(1100);
    assert!(max_difference(&last(&in_pages), &last(&plain)) < LOGITS_MAX);
    let (wider, _) = logits(1200);
    assert!(max_difference(&last(&in_pages), &last(&wider)) > 1e-3, "the window is seen");
}

/// The mean of what eight bits change where nothing was trained: 0.087, with logits of a standard
/// deviation of 4; `tests/smollm2.rs` has a trained model.
#[test]
fn eight_bits_are_near() {
    let golden = golden("smollm/mixed");
    let name = path("smollm/mixed.gguf");
    let ids = golden.ids("window.ids");
    let expected = golden.floats("window.logits");
    for options in [EngineOptions::default(), EngineOptions::exact()] {
        let (logits, _) = cached(&engine_with(&name, &options), &ids);
        let sum: f64 = logits.iter().zip(&expected).map(|(a, b)| f64::from((a - b).abs())).sum();
        let mean = sum / logits.len() as f64;
        println!("{:?}: mean |Δlogit| {mean:.1e}", options.precision);
        assert!(mean < 0.12, "{:?}: {mean}", options.precision);
        assert!(mean > 1e-8, "nothing was rounded");
    }
}
