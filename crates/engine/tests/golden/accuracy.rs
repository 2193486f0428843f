//! What eight-bit activations and a rounded cache cost, against the float64 goldens.
//!
//! `cargo test -p gptoss-engine --test golden accuracy -- --nocapture` prints the table of
//! `docs/numerics.md`.

use gptoss_engine::{
    CacheElement, Engine, EngineOptions, KvCache, LogitRows, Precision, argmax, forward,
};

use crate::support::{Golden, engine_with, rows};

/// What is measured over some positions.
#[derive(Default)]
struct Loss {
    values: usize,
    positions: usize,
    sum: f64,
    max: f64,
    divergence: f64,
    same_top: usize,
}

impl Loss {
    /// Adds one position's logits.
    fn add(&mut self, logits: &[f32], golden: &[f32]) {
        for (x, y) in logits.iter().zip(golden) {
            let difference = (f64::from(*x) - f64::from(*y)).abs();
            self.sum += difference;
            self.max = self.max.max(difference);
        }
        self.values += logits.len();
        self.positions += 1;
        let (p, q) = (log_softmax(golden), log_softmax(logits));
        self.divergence += p.iter().zip(&q).map(|(p, q)| p.exp() * (p - q)).sum::<f64>();
        self.same_top += usize::from(argmax(logits) == argmax(golden));
    }

    fn mean(&self) -> f64 {
        self.sum / self.values as f64
    }

    fn print(&self, name: &str) {
        println!(
            "| {name} | {:.2e} | {:.2e} | {:.2e} | {} of {} |",
            self.mean(),
            self.max,
            self.divergence / self.positions as f64,
            self.same_top,
            self.positions
        );
    }
}

fn log_softmax(logits: &[f32]) -> Vec<f64> {
    let max = logits.iter().fold(f64::MIN, |max, x| max.max(f64::from(*x)));
    let sum: f64 = logits.iter().map(|x| (f64::from(*x) - max).exp()).sum();
    logits.iter().map(|x| f64::from(*x) - max - sum.ln()).collect()
}

/// The loss of a model over the positions that its golden file has.
fn loss(engine: &Engine, golden: &Golden) -> Loss {
    let mut loss = Loss::default();
    let vocab_size = engine.config().vocab_size;
    for prompt in golden.prompts() {
        let ids = golden.ids(&format!("{prompt}.ids"));
        let positions = golden.indices(&format!("{prompt}.positions"));
        let mut cache = KvCache::new(engine.config(), ids.len(), engine.cache_element()).unwrap();
        let all = forward(engine.forward_model(), &mut cache, &ids, LogitRows::All, &mut ());
        let wanted = golden.floats(&format!("{prompt}.logits"));
        let found = rows(&all, vocab_size, &positions);
        for (found, wanted) in found.chunks(vocab_size).zip(wanted.chunks(vocab_size)) {
            loss.add(found, wanted);
        }
    }
    loss
}

#[test]
fn accuracy_is_within_its_bounds() {
    let with = |precision, cache| EngineOptions {
        precision,
        cache: Some(cache),
        ..EngineOptions::default()
    };
    println!("| model, precision, cache | mean Δ | max Δ | KL | same top token |");
    for (model, golden) in [
        ("testdata/models/t64/mxfp4", "testdata/models/t64/golden.safetensors"),
        ("testdata/models/t96/mxfp4", "testdata/models/t96/golden.safetensors"),
        ("models/nano", "models/nano/golden.safetensors"),
    ] {
        let golden = Golden::open(golden);
        for (precision, cache, mean_max) in [
            (Precision::Exact, CacheElement::F32, 1e-4),
            (Precision::Exact, CacheElement::F16, 5e-3),
            (Precision::Fast, CacheElement::F32, 0.05),
            (Precision::Fast, CacheElement::F16, 0.05),
            (Precision::Fast, CacheElement::Int8, 0.1),
        ] {
            let loss = loss(&engine_with(model, &with(precision, cache)), &golden);
            loss.print(&format!("{model}, {}, {cache:?}", precision.name()));
            assert!(loss.positions > 20, "{model}: {} positions", loss.positions);
            assert!(loss.mean() <= mean_max, "{model}: mean {:e}", loss.mean());
        }
    }
}
