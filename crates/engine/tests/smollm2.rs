//! SmolLM2-135M-Instruct in Q4_1 against transformers on the same file (`testdata/smollm2`).
//!
//! `cargo xtask smollm2` fetches the file and runs this; GPTOSS_SMOLLM2 names it.

use std::path::{Path, PathBuf};

use gptoss_checkpoint::Model;
use gptoss_engine::{Engine, EngineOptions, argmax};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

/// Largest |Δ log-probability| with `--precision exact`; the largest measured is 2.6e-5.
const EXACT_MAX: f64 = 1e-4;
/// Mean |Δ log-probability| in the default precision, eight-bit activations and a cache in F16:
/// 0.043 was measured.
const FAST_MEAN: f64 = 0.05;

/// One prompt and what transformers computed.
struct Row {
    text: String,
    ids: Vec<u32>,
    greedy: Vec<u32>,
    /// Of all tokens but the first, the greedy ones included.
    logprobs: Vec<f64>,
    /// Between the largest two logits, for each greedy token.
    gaps: Vec<f64>,
}

fn numbers(row: &Value, field: &str) -> Vec<f64> {
    row[field].as_array().unwrap().iter().map(|x| x.as_f64().unwrap()).collect()
}

fn golden() -> (String, Vec<Row>) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/smollm2");
    let text = std::fs::read_to_string(folder.join("golden.jsonl")).unwrap();
    let mut lines = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let head = lines.next().unwrap();
    let ids = |row: &Value, field: &str| numbers(row, field).iter().map(|x| *x as u32).collect();
    let rows = lines.map(|row| Row {
        text: row["text"].as_str().unwrap().to_owned(),
        ids: ids(&row, "ids"),
        greedy: ids(&row, "greedy"),
        logprobs: [numbers(&row, "prompt_logprobs"), numbers(&row, "greedy_logprobs")].concat(),
        gaps: numbers(&row, "gaps"),
    });
    (head["model_sha256"].as_str().unwrap().to_owned(), rows.collect())
}

/// The model's file, which must be the one that the goldens are of.
fn file(sha256: &str) -> PathBuf {
    let path = std::env::var_os("GPTOSS_SMOLLM2").expect("GPTOSS_SMOLLM2 names the GGUF file");
    let path = PathBuf::from(path);
    let bytes = std::fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let digest: String = Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(digest, sha256, "{}: another file", path.display());
    path
}

fn log_softmax(logits: &[f32], token: u32) -> f64 {
    let max = logits.iter().fold(f64::MIN, |max, x| max.max(f64::from(*x)));
    let sum: f64 = logits.iter().map(|x| (f64::from(*x) - max).exp()).sum();
    f64::from(logits[token as usize]) - max - sum.ln()
}

/// What one precision makes of all prompts.
#[derive(Debug, Default)]
struct Found {
    tokens: usize,
    largest: f64,
    sum: f64,
    /// Prompts whose greedy texts are equal.
    equal: usize,
    /// Greedy choices that are equal, each after the golden text before it.
    same: usize,
    chosen: usize,
    /// Gaps where the first choice of a text differs.
    gaps: Vec<f64>,
}

fn run(engine: &Engine, rows: &[Row]) -> Found {
    let mut found = Found::default();
    let vocab_size = engine.config().vocab_size;
    for row in rows {
        let all = [&row.ids[..], &row.greedy].concat();
        let logits = engine.session(all.len()).unwrap().observe(&all, &mut ()).unwrap();
        let logits: Vec<&[f32]> = logits.chunks(vocab_size).collect();
        for ((logits, token), expected) in logits.iter().zip(&all[1..]).zip(&row.logprobs) {
            let difference = (log_softmax(logits, *token) - expected).abs();
            found.largest = found.largest.max(difference);
            found.sum += difference;
            found.tokens += 1;
        }
        // A text is equal if each choice after the golden text before it is.
        let choices = logits[row.ids.len() - 1..].iter().zip(&row.greedy).zip(&row.gaps);
        let differing: Vec<f64> =
            choices.filter(|((x, token), _)| argmax(x) != **token).map(|(_, gap)| *gap).collect();
        found.chosen += row.greedy.len();
        found.same += row.greedy.len() - differing.len();
        found.equal += usize::from(differing.is_empty());
        found.gaps.extend(differing.first());
    }
    assert_eq!(found.tokens, rows.iter().map(|row| row.logprobs.len()).sum::<usize>());
    let mean = found.sum / found.tokens as f64;
    println!(
        "{:?}: {} of {} texts equal, {} of {} choices, mean |Δlogprob| {mean:.1e}, max {:.1e}, \
         gaps of other choices {:?}",
        engine.precision(),
        found.equal,
        rows.len(),
        found.same,
        found.chosen,
        found.largest,
        found.gaps
    );
    found
}

#[test]
fn smollm2_equals_transformers() {
    let (sha256, rows) = golden();
    assert_eq!(rows.len(), 50);
    let path = file(&sha256);
    let open =
        |options: &EngineOptions| Engine::from_model(Model::open(&path).unwrap(), options).unwrap();
    let engine = open(&EngineOptions::exact());
    let tokenizer = engine.tokenizer().unwrap();
    for row in &rows {
        assert_eq!(tokenizer.encode_with_specials(&row.text), row.ids, "{}", row.text);
    }
    let exact = run(&engine, &rows);
    assert!(exact.largest < EXACT_MAX, "{exact:?}");
    assert_eq!(exact.equal, rows.len(), "{exact:?}");
    let fast = run(&open(&EngineOptions::default()), &rows);
    assert!(fast.sum / (fast.tokens as f64) < FAST_MEAN, "{fast:?}");
    assert!(fast.same * 100 >= fast.chosen * 95, "{fast:?}");
}
