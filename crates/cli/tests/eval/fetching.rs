//! Benchmarks that are fetched from a hub by name.

use serde_json::{Value, json};

use crate::server::{Fault, TestHub};
use crate::{Bench, data, samples};

/// A page of the viewer with the lines of a file.
fn page(file: &str) -> Vec<u8> {
    let text = std::fs::read_to_string(data().join(file)).unwrap();
    let rows: Vec<Value> = text
        .lines()
        .enumerate()
        .map(|(i, line)| {
            let row: Value = serde_json::from_str(line).unwrap();
            json!({ "row_idx": i, "row": row, "truncated_cells": [] })
        })
        .collect();
    json!({ "num_rows_total": rows.len(), "partial": false, "rows": rows }).to_string().into_bytes()
}

#[test]
fn missing_documents_are_fetched_once() {
    let bench = Bench::new();
    let hub = TestHub::start();
    let args = |output: &'static str| {
        let args = ["nano", "--tasks", "arc_easy,mmlu_econometrics", "--num-fewshot", "0"];
        [&args[..], &["--limit", "6", "-o", output]].concat()
    };
    let fetch = |output: &'static str| {
        let mut command = bench.command(&args(output));
        command.env("HF_ENDPOINT", hub.endpoint()).env("HF_HUB_OFFLINE", "0");
        for proxy in ["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"] {
            command.env_remove(proxy);
        }
        command.output().unwrap()
    };
    hub.fault("config=ARC-Easy&split=test", 1, Fault::Body(page("arc_easy/test.jsonl")));
    let econometrics = page("mmlu/test/econometrics.jsonl");
    hub.fault("config=econometrics&split=test&offset=0&", 1, Fault::Body(econometrics));
    let output = fetch("run.jsonl");
    let err = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(0), "{err}");
    assert!(err.contains("fetching allenai/ai2_arc (ARC-Easy, test)"), "{err}");
    assert!(bench.path("benchmarks/mmlu/test/econometrics.jsonl").is_file());
    assert_eq!(hub.requests("/rows?").len(), 2);
    let again = fetch("again.jsonl");
    assert_eq!(again.status.code(), Some(0));
    assert_eq!(hub.requests("/rows?").len(), 2, "nothing is fetched twice");
    bench.succeed(&args("given.jsonl"));
    let [fetched, given] = ["run.jsonl", "given.jsonl"].map(|name| samples(&bench.text(name)));
    assert_eq!((fetched.len(), &fetched), (12, &given));

    let gone = bench.fail(&["nano", "--tasks", "gsm8k"]);
    assert!(gone.contains("the data of `gsm8k` is not on this machine"), "{gone}");
}
