//! `gptoss harmony render` and `gptoss harmony parse`, the real program.

use std::io::Write;
use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};

/// Runs `gptoss harmony` with standard input.
fn harmony(args: &[&str], input: &str) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_gptoss"))
        .arg("harmony")
        .args(args)
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // A program that fails early does not read its input.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    child.wait_with_output().unwrap()
}

fn stdout(args: &[&str], input: &str) -> String {
    let output = harmony(args, input);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{args:?}: {stderr}");
    assert_eq!(stderr, "");
    String::from_utf8(output.stdout).unwrap()
}

/// The error line of a run that must fail with exit code 2 and print nothing else.
fn stderr(args: &[&str], input: &str) -> String {
    let output = harmony(args, input);
    assert_eq!(output.status.code(), Some(2), "{args:?}");
    assert_eq!(output.stdout, b"", "{args:?}");
    String::from_utf8(output.stderr).unwrap()
}

const CHAT: &str = r#"[
    {"role": "user", "content": "2+2?"},
    {"role": "assistant", "channel": "analysis", "content": "simple"},
    {"role": "assistant", "channel": "final", "content": "4"}
]"#;

#[test]
fn render_prints_ids_and_text_of_a_completion() {
    let out = stdout(&["render"], r#"[{"role": "user", "content": "hi"}]"#);
    assert_eq!(
        out,
        "200006 1428 200008 3686 200007 200006 173781\n\
         <|start|>user<|message|>hi<|end|><|start|>assistant\n"
    );
    let ids = stdout(&["render", "--ids"], r#"[{"role": "user", "content": "hi"}]"#);
    assert_eq!(ids, "200006 1428 200008 3686 200007 200006 173781\n");
}

#[test]
fn render_knows_three_purposes_and_three_rules() {
    let text = |args: &[&str]| stdout(&[&["render", "--text"], args].concat(), CHAT);
    let user = "<|start|>user<|message|>2+2?<|end|>";
    let think = "<|start|>assistant<|channel|>analysis<|message|>simple<|end|>";
    let answer = "<|start|>assistant<|channel|>final<|message|>4";
    let next = "<|start|>assistant";
    assert_eq!(text(&[]), format!("{user}{answer}<|end|>{next}"));
    assert_eq!(text(&["--keep-analysis"]), format!("{user}{think}{answer}<|end|>{next}"));
    assert_eq!(text(&["--for", "conversation"]), format!("{user}{answer}<|end|>"));
    assert_eq!(text(&["--for", "training"]), format!("{user}{think}{answer}<|return|>"));
    let library = text(&["--for", "training", "--drop-rule", "library"]);
    assert_eq!(library, format!("{user}{answer}<|return|>"));
    let user_next = text(&["--next-role", "user"]);
    assert_eq!(user_next, format!("{user}{answer}<|end|><|start|>user"));
}

#[test]
fn render_reads_a_file_and_prints_json() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("chat.json");
    let call = json!({"messages": [{"role": "assistant", "channel": "commentary",
        "recipient": "functions.f", "content": "{}"}]});
    std::fs::write(&path, call.to_string()).unwrap();
    let args = ["render", path.to_str().unwrap(), "--json", "--for", "conversation"];
    let row: Value = serde_json::from_str(&stdout(&args, "")).unwrap();
    let text = "<|start|>assistant to=functions.f<|channel|>commentary<|message|>{}<|call|>";
    assert_eq!(row["text"], text);
    let ids =
        json!([200006, 173781, 316, 28, 44580, 1196, 200005, 12606, 815, 200008, 12083, 200012]);
    assert_eq!(row["ids"], ids);
    let row: Value =
        serde_json::from_str(&stdout(&[&args[..], &["--recipient", "channel"]].concat(), ""))
            .unwrap();
    let text = "<|start|>assistant<|channel|>commentary to=functions.f<|message|>{}<|call|>";
    assert_eq!(row["text"], text);
}

#[test]
fn parse_prints_messages_and_what_was_repaired() {
    let ids = ["parse", "200005", "17196", "200008", "19", "200007", "200002"];
    let row: Value = serde_json::from_str(&stdout(&ids, "")).unwrap();
    let expected = json!({
        "messages": [{"role": "assistant", "name": null, "channel": "final",
                      "content": [{"type": "text", "text": "4"}]}],
        "ends": ["end"],
        "repairs": [{"at": 5, "kind": "extra_end",
                     "description": "<|return|> outside of a message: ignored"}],
        "stops": [{"at": 5, "reason": "return"}],
    });
    assert_eq!(row, expected);
    let list = stdout(&["parse", "--json"], "[200005, 17196, 200008, 19, 200007, 200002]\n");
    assert_eq!(list, format!("{row}\n"));
}

#[test]
fn parse_reads_a_whole_conversation_and_any_id() {
    let ids = "200006 1428 200008 3686 200007 4294967295";
    let row: Value = serde_json::from_str(&stdout(&["parse"], ids)).unwrap();
    assert_eq!(row["messages"][0]["role"], "user");
    assert_eq!(row["repairs"][0]["kind"], "unknown_token");
    let cut: Value =
        serde_json::from_str(&stdout(&["parse", "--end", "length"], "200005 17196 200008 19"))
            .unwrap();
    assert_eq!(cut["ends"], json!(["length"]));
    let call = ["parse", "--tool", "functions.f", "--role", "assistant"];
    // `<|channel|>commentary to=f<|message|>{}<|call|>`
    let row: Value =
        serde_json::from_str(&stdout(&call, "200005 12606 815 316 28 69 200008 12083 200012"))
            .unwrap();
    assert_eq!(row["messages"][0]["recipient"], "functions.f");
    assert_eq!(row["repairs"][0]["kind"], "missing_namespace");
}

#[test]
fn another_tokenizer_has_its_own_ids() {
    let input = r#"[{"role": "user", "content": "hello"}]"#;
    let args = ["render", "--tokenizer", "models/nano"];
    let out = stdout(&args, input);
    let (ids, text) = out.split_once('\n').unwrap();
    assert_eq!(ids, "5 291 7 267 302 87 6 5 292");
    assert_eq!(text, "<|start|>user<|message|>hello<|end|><|start|>assistant\n");
    let answer = [&["parse", "--tokenizer", "models/nano"][..], &["4", "289", "7", "517", "8"]];
    let row: Value = serde_json::from_str(&stdout(&answer.concat(), "")).unwrap();
    assert_eq!(row["messages"][0]["channel"], "final");
}

#[test]
fn errors_name_the_file_the_place_and_the_field() {
    let role = r#"{"messages": [{"role": "wizard", "content": "x"}]}"#;
    assert_eq!(
        stderr(&["render"], role),
        "gptoss: standard input: field `role`: expected one of system, developer, user, \
         assistant, tool, found `wizard` at line 1 column 31\n"
    );
    assert_eq!(
        stderr(&["render"], "[\n  {\"role\": \"user\",}]"),
        "gptoss: standard input: trailing comma at line 2 column 19\n"
    );
    assert_eq!(
        stderr(&["render"], r#"[{"role": "tool", "content": "x"}]"#),
        "gptoss: standard input: message 0: field `name`: expected the tool's full name, \
         found none\n"
    );
    assert!(stderr(&["render", "no/such.json"], "").starts_with("gptoss: no/such.json: "));
    assert_eq!(
        stderr(&["parse"], "1 2 x"),
        "gptoss: standard input: id 3: expected a token id, found `x`: invalid digit found in \
         string\n"
    );
    assert!(stderr(&["parse", "--role", "wizard"], "").contains("expected one of system"));
}

#[test]
fn help_shows_examples() {
    for command in ["render", "parse"] {
        let help = stdout(&[command, "--help"], "");
        assert!(help.contains("Examples:\n  gptoss harmony"), "{help}");
    }
}
