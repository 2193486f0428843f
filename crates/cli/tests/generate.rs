//! `gptoss generate` and `gptoss logits`, run as programs.

mod program;

use std::path::Path;

use program::{Output, gptoss_with_input, reasoning_model};
use serde_json::Value;

/// Runs the program with nothing on standard input.
fn gptoss(arguments: &[&str]) -> Output {
    gptoss_with_input(arguments, "")
}

fn json(output: Output) -> Value {
    let text = output.success();
    assert_eq!(text.lines().count(), 1, "one object: {text}");
    serde_json::from_str(&text).unwrap()
}

#[test]
fn a_prompt_is_answered_from_the_command_line_and_from_standard_input() {
    let from_argument = gptoss(&["generate", "-t", "0", "What is 2 plus 3?"]).success();
    assert_eq!(from_argument, "2 + 3 = 5.\n");
    let from_input = gptoss_with_input(&["generate", "-t", "0"], "What is 2 plus 3?\n").success();
    assert_eq!(from_input, from_argument);
}

#[test]
fn the_same_seed_gives_the_same_text() {
    let story = |seed: &str| gptoss(&["generate", "-s", seed, "Tell me a story."]).success();
    assert_eq!(story("7"), story("7"));
    assert_ne!(story("7"), story("8"));
}

#[test]
fn json_has_text_counts_times_and_log_probabilities() {
    let answer = json(gptoss(&["generate", "-t", "0", "--json", "--logprobs", "2", "Hello!"]));
    let tokens = answer["usage"]["completion_tokens"].as_u64().unwrap() as usize;
    assert!(!answer["text"].as_str().unwrap().is_empty());
    assert_eq!(answer["finish_reason"], "stop");
    assert_eq!(answer["messages"][0]["channel"], "final");
    assert!(answer["timings"]["decode_tokens_per_second"].as_f64().unwrap() > 0.0);
    let logprobs = answer["logprobs"].as_array().unwrap();
    assert_eq!(logprobs.len(), tokens);
    for entry in logprobs {
        assert_eq!(entry["top"].as_array().unwrap().len(), 2);
        assert_eq!(entry["top"][0]["id"], entry["id"], "greedy takes the most likely token");
    }
    let none = json(gptoss(&["generate", "-t", "0", "--json", "Hello!"]));
    assert_eq!(none["logprobs"], Value::Null);
    assert_eq!(none["text"], answer["text"]);
}

#[test]
fn limits_and_stop_strings_hold() {
    let short = json(gptoss(&["generate", "-n", "3", "--json", "Tell me a story."]));
    assert_eq!(short["usage"]["completion_tokens"], 3);
    assert_eq!(short["finish_reason"], "max_tokens");
    let output = gptoss(&["generate", "-t", "0", "--stop", " = 5", "What is 2 plus 3?"]);
    assert_eq!(output.success(), "2 + 3\n");
    let cut = gptoss(&["generate", "-n", "2", "Tell me a story."]);
    assert!(cut.stderr.contains("--max-tokens"), "{}", cut.stderr);
}

#[test]
fn raw_text_is_continued_and_special_tokens_are_recognised() {
    let raw = json(gptoss(&["generate", "--raw", "-t", "0", "-n", "20", "--json", "Once upon a"]));
    assert_eq!(raw["usage"]["completion_tokens"], 20);
    assert!(raw["text"].as_str().unwrap().starts_with(" time"), "{}", raw["text"]);
    let prompt = "<|start|>user<|message|>What is 2 plus 3?<|end|><|start|>assistant\
                  <|channel|>final<|message|>";
    let raw = json(gptoss(&["generate", "--raw", "-t", "0", "--json", prompt]));
    let chat = json(gptoss(&["generate", "-t", "0", "--json", "What is 2 plus 3?"]));
    assert_eq!(raw["text"], chat["text"]);
    assert_eq!(raw["usage"]["prompt_tokens"], chat["usage"]["prompt_tokens"]);
}

#[test]
fn reasoning_is_never_taken_for_the_answer() {
    let folder = tempfile::tempdir().unwrap();
    let model = reasoning_model(folder.path());
    let question = ["-m", &model, "-t", "0", "-n", "8", "What is 2 plus 3?"];
    let hidden = gptoss(&[&["generate"], &question[..]].concat());
    assert_eq!((hidden.stdout.as_str(), hidden.code), ("", Some(0)));
    assert!(!hidden.stderr.contains("+ 3 ="), "{}", hidden.stderr);
    let shown = gptoss(&[&["generate", "--show-reasoning"], &question[..]].concat());
    assert_eq!(shown.stdout, "");
    assert!(shown.stderr.contains("+ 3 ="), "{}", shown.stderr);
    let json = json(gptoss(&[&["generate", "--json"], &question[..]].concat()));
    assert_eq!(json["text"], "");
    assert!(json["reasoning"].as_str().unwrap().contains("+ 3 ="), "{json}");
    assert!(json["usage"]["reasoning_tokens"].as_u64().unwrap() >= 7, "{json}");
}

#[test]
fn bad_requests_end_with_one_line_and_code_2() {
    let cases: &[(&[&str], &str)] = &[
        (&["generate", ""], "gptoss: the prompt is empty"),
        (&["generate", "-t", "-1", "x"], "temperature: expected 0 or more, found -1"),
        (
            &["generate", "--repetition-penalty", "-1", "x"],
            "repetition_penalty: expected more than",
        ),
        (&["generate", "--logit-bias", "4096=1", "x"], "expected an id of the vocabulary of 4096"),
        (&["generate", "--effort", "low", "x"], "not supported: --effort and --date"),
        (&["generate", "--context", "2000", "x"], "context length 2000: expected 1 to 1024"),
        (&["generate", "--context", "5", "Hello"], "does not fit into the context of 5"),
        (&["generate", "--model", "./no/such", "x"], "no/such"),
    ];
    for (arguments, message) in cases {
        let output = gptoss(arguments);
        assert_eq!(output.code, Some(2), "{arguments:?}: {}", output.stderr);
        assert!(output.stderr.contains(message), "{arguments:?}: {}", output.stderr);
        assert_eq!(output.stderr.lines().count(), 1, "{}", output.stderr);
        assert_eq!(output.stdout, "", "{arguments:?}");
    }
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let home = tempfile::tempdir().unwrap();
    for arguments in [
        &["generate", "-n", "3", "Hello!"][..],
        &["generate", "--raw", "-n", "0", "Hello!"],
        &["generate", "--json", "-n", "1", "--logprobs", "4000", "Hello!"],
        &["show", "/no/such/file"],
    ] {
        let mut child = program::command(home.path())
            .args(arguments)
            .stdin(std::process::Stdio::null())
            .stdout(std::process::Stdio::piped())
            .stderr(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        drop((child.stdout.take(), child.stderr.take()));
        let expected = if arguments[0] == "show" { 2 } else { 0 };
        assert_eq!(child.wait().unwrap().code(), Some(expected), "{arguments:?}");
    }
}

#[test]
fn logits_are_written_for_research() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    std::fs::write(path("ids.json"), "[657, 586, 265]\n").unwrap();
    std::fs::write(path("ids.txt"), "657 586,265\n").unwrap();
    let run = |ids: &str, out: &str, more: &[&str]| {
        let (ids, out) = (path(ids), path(out));
        let arguments = [&["logits", "nano", "--ids", &ids, "-o", &out], more].concat();
        gptoss(&arguments)
    };
    assert_eq!(run("ids.json", "a", &[]).success(), "");
    run("ids.txt", "b", &[]).success();
    assert_eq!(std::fs::read(path("a")).unwrap(), std::fs::read(path("b")).unwrap());
    run("ids.txt", "r", &["--reference"]).success();

    let read = |name: &str| {
        let bytes = gptoss_checkpoint::Bytes::from(std::fs::read(path(name)).unwrap());
        gptoss_checkpoint::safetensors::read(Path::new(name), &bytes).unwrap()
    };
    let (fast, reference) = (read("a"), read("r"));
    let shapes: Vec<_> = fast.iter().map(|(k, t)| (k.as_str(), t.shape.clone())).collect();
    let expected = [
        ("hidden", vec![10, 3, 256]),
        ("ids", vec![3]),
        ("logits", vec![3, 4096]),
        ("router_ids", vec![8, 3, 2]),
        ("router_weights", vec![8, 3, 2]),
    ];
    assert_eq!(shapes, expected);
    assert_eq!(fast["router_ids"].data[..], reference["router_ids"].data[..]);

    std::fs::write(path("bad"), "1 x 3").unwrap();
    let bad = run("bad", "c", &[]);
    assert_eq!(bad.code, Some(2));
    assert!(bad.stderr.contains("expected a token id, found `x`"), "{}", bad.stderr);
    std::fs::write(path("big"), "4096").unwrap();
    assert!(run("big", "c", &[]).stderr.contains("token id 4096 is not in the vocabulary"));
    assert!(!folder.path().join("c").exists());
}
