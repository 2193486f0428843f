//! Runs, reports and mistakes.

use serde_json::Value;

use crate::server::sha256;
use crate::{Bench, samples};

#[test]
fn a_run_prints_the_table_and_keeps_every_answer() {
    let bench = Bench::new();
    let output = bench.succeed(&[
        "nano",
        "--tasks",
        "arc_easy,mmlu_jurisprudence",
        "--limit",
        "20",
        "-o",
        "run.jsonl",
    ]);
    assert!(output.out.starts_with("|    Tasks    |Version|"), "{}", output.out);
    assert!(
        output.out.contains("|arc_easy") && output.out.contains("|acc_norm|"),
        "{}",
        output.out
    );
    assert!(output.err.contains("misjudges such models; use `arc_easy_reasoning`"));
    assert!(output.err.contains("40 answers in "), "{}", output.err);
    let text = bench.text("run.jsonl");
    assert_eq!(samples(&text).len(), 40);
    let manifest: Value = serde_json::from_str(text.lines().next().unwrap()).unwrap();
    let manifest = &manifest["manifest"];
    let weights = "../../models/nano/model.safetensors";
    let weights = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(weights);
    let expected = sha256(&std::fs::read(weights).unwrap());
    assert_eq!(manifest["model"]["sha256"], expected);
    assert_eq!(manifest["model"]["precision"], "fast");
    assert_eq!(manifest["model"]["kv_cache"], "f16");
    assert_eq!(manifest["model"]["max_length"], 1024);
    for name in ["gptoss", "isa", "threads", "system"] {
        assert!(manifest["environment"][name].is_string(), "{name}: {manifest}");
    }
    assert_eq!(manifest["tasks"][1]["data_sha256"].as_array().unwrap().len(), 1);
    let session: Value = serde_json::from_str(text.lines().last().unwrap()).unwrap();
    let tokens = |name: &str| session["session"][name].as_u64().unwrap();
    assert!(tokens("naive_tokens") > 3 * tokens("computed_tokens"), "{session}");
}

#[test]
fn conversations_are_counted_apart() {
    let bench = Bench::new();
    let task = ["nano", "--tasks", "gsm8k_reasoning", "--limit", "4", "--repeats", "2"];
    let args = [&task[..], &["--max-tokens", "40", "--seed", "3", "-o"]].concat();
    let output = bench.succeed(&[&args[..], &["a.jsonl"]].concat());
    assert!(output.out.contains("|gsm8k_reasoning|8|"), "{}", output.out);
    assert!(output.err.contains("tokens generated"), "{}", output.err);
    assert!(!output.err.contains("warning"), "{}", output.err);
    let first = samples(&bench.text("a.jsonl"));
    assert_eq!(first.len(), 8);
    assert_ne!(first[0]["answer"]["text"], first[1]["answer"]["text"], "repeats differ");
    // Company, threads and the order of computing change nothing.
    bench.succeed(&[&args[..], &["b.jsonl", "--parallel", "1", "--threads", "1"]].concat());
    assert_eq!(samples(&bench.text("b.jsonl")), first);
}

#[test]
fn a_run_is_verified_and_compared() {
    let bench = Bench::new();
    let args = ["nano", "--tasks", "arc_easy,gsm8k", "--num-fewshot", "0", "--limit", "6"];
    bench.succeed(&[&args[..], &["--max-tokens", "24", "-o", "a.jsonl"]].concat());
    let exact = ["--max-tokens", "24", "--precision", "exact", "--name", "exact", "-o", "b.jsonl"];
    bench.succeed(&[&args[..], &exact].concat());
    for file in ["a.jsonl", "b.jsonl"] {
        let output = bench.succeed(&["verify", file, "--count", "9", "--threads", "1"]);
        assert!(
            output.out.starts_with("9 of 9 answers are the same, bit by bit"),
            "{}",
            output.out
        );
    }

    let output = bench.run(&["compare", "a.jsonl", "b.jsonl"]);
    assert!(output.out.starts_with("# Comparison of runs"), "{}{}", output.out, output.err);
    let reports = ["-o", "r.html", "-o", "r.md", "-o", "r.json"];
    let output = bench.run(&[&["compare", "a.jsonl", "b.jsonl"][..], &reports].concat());
    assert_eq!((output.code, output.out.as_str()), (Some(0), ""), "{}", output.err);
    assert!(bench.text("r.html").starts_with("<!doctype html>"));
    assert!(bench.text("r.md").contains("| nano |"));
    let json: Value = serde_json::from_str(&bench.text("r.json")).unwrap();
    assert_eq!(json["runs"][1]["manifest"]["name"], "exact");
    let error = bench.fail(&["compare", "a.jsonl", "-o", "r.txt"]);
    assert!(error.contains("expected a name that ends in .html, .md or .json"), "{error}");

    // A results file that somebody has changed.
    let text = bench.text("a.jsonl");
    let line = text.lines().find(|line| line.contains("\"logprobs\":[-")).unwrap();
    let changed = line.replacen("\"logprobs\":[-", "\"logprobs\":[-1", 1);
    std::fs::write(bench.path("c.jsonl"), text.replace(line, &changed)).unwrap();
    let data = crate::data();
    let output = bench.run(&["verify", "c.jsonl", "--data", data.to_str().unwrap()]);
    assert_eq!(output.code, Some(1), "{}{}", output.out, output.err);
    assert!(output.out.contains("choice 0: log-likelihood -1"), "{}", output.out);
}

#[test]
fn scores_are_printed_as_json() {
    let bench = Bench::new();
    let output = bench.succeed(&["nano", "--tasks", "arc_easy", "--limit", "4", "--json"]);
    let json: Value = serde_json::from_str(&output.out).unwrap();
    assert!(json["results"]["arc_easy"]["acc,none"].is_number(), "{json}");
    assert!(bench.path("eval-nano.jsonl").is_file());
}

#[test]
fn tasks_are_listed_and_copied() {
    let bench = Bench::new();
    let list = bench.run(&["list"]).out;
    assert!(list.contains("gsm8k_reasoning") && list.contains("groups mmlu_stem"), "{list}");
    let json: Value = serde_json::from_str(&bench.run(&["list", "--json"]).out).unwrap();
    assert_eq!(json.as_array().unwrap().len(), 17);
    let file = bench.run(&["list", "--file", "arc_easy"]).out;
    let mine = file.replace("name = \"arc_easy\"", "name = \"mine\"").replace("Question:", "Q:");
    std::fs::write(bench.path("mine.toml"), mine).unwrap();
    bench.succeed(&["nano", "--tasks", "mine.toml", "--limit", "4", "-o", "run.jsonl"]);
    let output = bench.succeed(&["verify", "run.jsonl", "--tasks", "mine.toml"]);
    assert!(output.out.starts_with("4 of 4"), "{}", output.out);
    let broken = file.replace("gold =", "golden =");
    std::fs::write(bench.path("broken.toml"), broken).unwrap();
    let error = bench.fail(&["nano", "--tasks", "broken.toml"]);
    assert!(error.contains("broken.toml:20: `prompt.golden`: unknown field `golden`"), "{error}");
}

#[test]
fn mistakes_say_what_to_do() {
    let bench = Bench::new();
    let data = crate::data();
    let data = data.to_str().unwrap();
    let cases: [(&[&str], &str); 9] = [
        (&["nano"], "--tasks is missing: `gptoss eval list`"),
        (&["nano", "--tasks", "arc_eazy"], "did you mean arc_easy"),
        (&["nano", "--tasks", "arc_easy", "--data", "nowhere"], "--data nowhere: no folder"),
        (
            &["nano", "--tasks", "mmlu_anatomy", "--data", data],
            "it is the split test of cais/mmlu (anatomy) on the Hugging Face hub",
        ),
        (&["nano", "--tasks", "aime"], "HF_HUB_OFFLINE forbids to ask the hub"),
        (
            &["nano", "--tasks", "gsm8k_reasoning", "--effort", "low", "--data", data],
            "not supported: --effort",
        ),
        (&["nano", "--tasks", "arc_easy", "--effort", "low", "--data", data], "--effort: none of"),
        (
            &["nano", "--tasks", "truthfulqa_mc1", "--num-fewshot", "3", "--data", data],
            "3 examples",
        ),
        (&["nano", "--tasks", "arc_easy", "--context", "4000", "--data", data], "2 to 1024 tokens"),
    ];
    for (args, message) in cases {
        let error = bench.fail(args);
        assert!(error.contains(message), "{args:?}: {error}");
    }
}

#[test]
fn another_run_is_not_mixed_in() {
    let bench = Bench::new();
    let data = crate::data();
    let data = data.to_str().unwrap();
    let run = ["nano", "--tasks", "arc_easy", "--data", data, "-o", "run.jsonl"];
    let with = |more: &[&'static str]| -> Vec<&str> {
        run.iter().copied().chain(more.iter().copied()).collect()
    };
    bench.succeed(&["nano", "--tasks", "arc_easy", "--limit", "4", "-o", "run.jsonl"]);
    let error = bench.fail(&with(&["--limit", "4"]));
    assert!(error.contains("run.jsonl is there already: --resume goes on with it"), "{error}");
    for (more, part) in [
        (&["--limit", "5", "--resume"][..], "the limit"),
        (&["--limit", "4", "--resume", "--precision", "exact"][..], "precision or cache"),
        (&["--limit", "4", "--resume", "--num-fewshot", "0", "--seed", "1"][..], "seed"),
    ] {
        let error = bench.fail(&with(more));
        assert!(error.contains("another run (") && error.contains(part), "{error}");
    }
    let output = bench.run(&with(&["--limit", "4", "--resume", "--threads", "1"]));
    assert_eq!(output.code, Some(0), "{}", output.err);
    assert_eq!(samples(&bench.text("run.jsonl")).len(), 4);
}
