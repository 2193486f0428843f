//! Load time and encoding rate of the tokenizers.
//!
//! `cargo bench -p gptoss-harmony --bench tokenizer`
//!
//! The text is that of the oracle (55 languages, code, emoji, blanks), repeated to 10 MB. Every
//! result is checked before it is timed.

use std::hint::black_box;
use std::time::Instant;

use gptoss_harmony::Tokenizer;
use serde_json::Value;

const ORACLE: &str = include_str!("../../../testdata/tokenizer/o200k_harmony.jsonl");
const NANO: &[u8] = include_bytes!("../../../models/nano/tokenizer.json");

fn main() {
    let rows = ORACLE.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
    let texts: Vec<String> =
        rows.filter_map(|row| Some(row["text"].as_str()?.to_owned())).collect();
    let text = texts.join("\n");
    let text = text.repeat(10_000_000 / text.len() + 1);

    let start = Instant::now();
    let o200k = Tokenizer::o200k_harmony();
    println!("o200k_harmony: load {:.1} ms", start.elapsed().as_secs_f64() * 1e3);
    rate(&o200k, &text);

    let start = Instant::now();
    let nano = Tokenizer::from_json(NANO).expect("nano's file is sound");
    println!("nano: load {:.1} ms", start.elapsed().as_secs_f64() * 1e3);
    rate(&nano, &text);

    for tokenizer in [&*o200k, &nano] {
        for unit in ["a", " ", "\n", "😀", "1"] {
            let text = unit.repeat(1_000_000 / unit.len());
            let start = Instant::now();
            let ids = black_box(tokenizer.encode(&text));
            let elapsed = start.elapsed().as_secs_f64() * 1e3;
            assert_eq!(tokenizer.decode(&ids).expect("ids of its own"), text);
            println!("{}: 1 MB of {unit:?} in {elapsed:.0} ms", tokenizer.name());
        }
    }
}

/// Prints the rate of the best of three runs.
fn rate(tokenizer: &Tokenizer, text: &str) {
    let ids = tokenizer.encode(text);
    assert_eq!(tokenizer.decode(&ids).expect("ids of its own"), text);
    let seconds = (0..3).map(|_| {
        let start = Instant::now();
        black_box(tokenizer.encode(black_box(text)));
        start.elapsed().as_secs_f64()
    });
    let best = seconds.fold(f64::INFINITY, f64::min);
    let megabytes = text.len() as f64 / 1e6;
    println!("  {} tokens, {:.1} MB/s", ids.len(), megabytes / best);
}
