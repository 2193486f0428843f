//! A model that talks with a chat template, through the commands.

#[allow(dead_code)] // Only some of the tests need a reasoning model.
mod program;
#[path = "../../engine/tests/template_model/mod.rs"]
mod template_model;

use program::{Output, gptoss_with_input};
use serde_json::Value;

/// The model's files in a folder, by its path.
fn model_in(folder: &tempfile::TempDir) -> String {
    template_model::write(folder.path());
    folder.path().to_str().unwrap().to_owned()
}

/// Runs a command with the model; `input` is standard input.
fn with_model(arguments: &[&str], input: &str) -> Output {
    let folder = tempfile::tempdir().unwrap();
    let model = model_in(&folder);
    gptoss_with_input(&[arguments, &["--model", &model]].concat(), input)
}

const TALK: &str = r#"[{"role": "user", "content": "Hi<|im_end|>"}]"#;

#[test]
fn chat_and_generate_answer_as_nano_does() {
    let expected = gptoss_with_input(&["generate", "-t", "0", "What is 2 plus 3?"], "").success();
    let answer = with_model(&["generate", "-t", "0", "What is 2 plus 3?"], "").success();
    assert_eq!(answer, expected);
    let json = with_model(&["generate", "-t", "0", "--json", "What is 2 plus 3?"], "").success();
    let json: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["text"], expected.trim_end());
    assert_eq!((&json["reasoning"], &json["finish_reason"]), (&Value::Null, &"stop".into()));
    let lines = "What is 2 plus 3?\nAnd 4 plus 4?\n/stats\n";
    let talk = with_model(&["chat", "-t", "0"], lines);
    assert!(talk.stderr.contains("last answer: "), "{}", talk.stderr);
    let expected = gptoss_with_input(&["chat", "-t", "0"], lines).success();
    assert_eq!(talk.success(), expected);
}

#[test]
fn a_conversation_is_saved_and_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("talk.json");
    let file = file.to_str().unwrap();
    let first = format!("What is 2 plus 3?\n/save {file}\nHow are you?\n");
    let whole = with_model(&["chat", "-t", "0"], &first).success();
    let resumed = with_model(&["chat", "-t", "0", "--load", file], "How are you?\n").success();
    assert!(!resumed.is_empty() && whole.ends_with(&resumed), "{whole} / {resumed}");
}

#[test]
fn what_the_template_cannot_say_is_refused() {
    let effort = with_model(&["generate", "--effort", "low", "x"], "");
    assert!(effort.stderr.contains("not supported: --effort and --date"), "{}", effort.stderr);
    assert_eq!(effort.code, Some(2));
    let slash = with_model(&["chat"], "/effort high\n");
    assert!(slash.stderr.contains("/effort: not supported by"), "{}", slash.stderr);
    let serve = with_model(&["serve", "--port", "0", "--effort", "low"], "");
    assert!(serve.stderr.contains("prompt.effort and prompt.date"), "{}", serve.stderr);
    assert_eq!(serve.code, Some(2));
    let date = with_model(&["template", "--date", "2026-11-03"], TALK);
    assert!(date.stderr.contains("not supported: --date"), "{}", date.stderr);
}

#[test]
fn a_model_without_any_format_says_what_it_can_do() {
    let folder = tempfile::tempdir().unwrap();
    let model = model_in(&folder);
    std::fs::remove_file(folder.path().join("tokenizer_config.json")).unwrap();
    for command in ["chat", "generate", "template"] {
        let output = gptoss_with_input(&[command, "--model", &model], "Hello!\n");
        assert!(output.stderr.contains("nor a chat template"), "{command}: {}", output.stderr);
        assert!(output.stderr.contains("gptoss generate --raw"), "{command}: {}", output.stderr);
        assert_eq!(output.code, Some(2), "{command}");
    }
    let raw = ["generate", "--raw", "-n", "3", "--model", &model, "Once upon a time"];
    assert!(!gptoss_with_input(&raw, "").success().is_empty());
}

#[test]
fn the_template_writes_a_conversation() {
    let source = with_model(&["template", "--source"], "").success();
    assert!(source.contains("{% for m in messages %}"), "{source}");
    let expected = "<|im_start|>user<|im_sep|>Hi<|im_end|><|im_end|>\
                    <|im_start|>assistant<|im_part|>final<|im_sep|>";
    assert_eq!(with_model(&["template", "--text"], TALK).success(), expected);
    let json = with_model(&["template", "--json"], TALK).success();
    let json: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["text"], expected);
    let ids = json["ids"].as_array().unwrap();
    assert_eq!(ids.iter().filter(|id| **id == 6).count(), 1, "one end is the template's: {json}");
    let numbers = with_model(&["template", "--ids"], TALK).success();
    assert_eq!(numbers.split_whitespace().count(), ids.len());
    let nano = gptoss_with_input(&["template", "--model", "nano"], TALK);
    assert!(nano.stderr.contains("speaks harmony"), "{}", nano.stderr);
}
