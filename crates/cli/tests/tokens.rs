//! `gptoss tokenize` and `gptoss detokenize`, by the real program.

use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};

const ORACLE: &str = include_str!("../../../testdata/tokenizer/o200k_harmony.jsonl");
const NANO: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../models/nano");

fn gptoss(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_gptoss"));
    command.args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Runs the program with this input; the input is written while the output is read.
fn run(args: &[&str], input: &[u8]) -> Output {
    let mut child = gptoss(args).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    std::thread::scope(|scope| {
        // A program that stops early closes the pipe; what it said is looked at below.
        scope.spawn(move || drop(stdin.write_all(input)));
        child.wait_with_output().unwrap()
    })
}

/// The output of a run that succeeds.
fn ok(args: &[&str], input: &[u8]) -> Vec<u8> {
    let output = run(args, input);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{args:?}: {errors}");
    assert_eq!(errors, "", "{args:?}");
    output.stdout
}

/// The message of a run that fails.
fn fails(args: &[&str], input: &[u8]) -> String {
    let output = run(args, input);
    assert_eq!(output.status.code(), Some(2), "{args:?}");
    String::from_utf8(output.stderr).unwrap()
}

#[test]
fn text_from_the_arguments_and_from_standard_input() {
    assert_eq!(ok(&["tokenize", "Hello, world!"], b""), b"13225 11 2375 0\n");
    assert_eq!(ok(&["tokenize"], b"Hello, world!"), b"13225 11 2375 0\n");
    assert_eq!(ok(&["tokenize"], b"Hello, world!\n"), b"13225 11 2375 4175\n");
    assert_eq!(ok(&["tokenize", ""], b"not read"), b"\n");
    assert_eq!(ok(&["tokenize"], b"a\xFFb"), b"64 187 65\n");
}

#[test]
fn special_tokens_only_when_asked_for() {
    assert_eq!(ok(&["tokenize", "<|start|>user"], b""), b"27 91 5236 91 29 1428\n");
    assert_eq!(ok(&["tokenize", "--special", "<|start|>user"], b""), b"200006 1428\n");
    assert_eq!(ok(&["detokenize", "200006", "1428"], b""), b"<|start|>user");
    let error = fails(&["tokenize", "--special"], b"\xFF");
    assert!(error.starts_with("gptoss: with --special the text must be UTF-8"), "{error}");
}

#[test]
fn one_object_with_the_text_of_each_token() {
    let row: Value =
        serde_json::from_slice(&ok(&["tokenize", "--json", "Hello, world!"], b"")).unwrap();
    let expected = json!({
        "tokenizer": "o200k_harmony", "text": "Hello, world!", "ids": [13225, 11, 2375, 0],
        "tokens": ["Hello", ",", " world", "!"],
    });
    assert_eq!(row, expected);
}

#[test]
fn bytes_come_back_exactly_through_both_commands() {
    let bytes: Vec<u8> = (0..=255).cycle().take(3 << 20).collect();
    let ids = ok(&["tokenize"], &bytes);
    assert_eq!(ok(&["detokenize"], &ids), bytes);
    assert_eq!(ok(&["detokenize"], b" 13225,11\n2375\t0 "), b"Hello, world!");
    assert_eq!(ok(&["detokenize"], b""), b"");
}

#[test]
fn lines_of_json_get_the_ids_of_the_oracle() {
    let (mut input, mut expected) = (String::new(), Vec::new());
    for line in ORACLE.lines() {
        let mut row: Value = serde_json::from_str(line).unwrap();
        if row["cat"] != "decode" {
            expected.push(row["ids"].take());
            row.as_object_mut().unwrap().remove("ids");
            input.push_str(&format!("{row}\n"));
        }
    }
    let output = String::from_utf8(ok(&["tokenize", "--jsonl"], input.as_bytes())).unwrap();
    assert_eq!(output.lines().count(), expected.len());
    assert_eq!(expected.len(), 1084);
    for ((before, after), ids) in input.lines().zip(output.lines()).zip(&expected) {
        let mut object: serde_json::Map<String, Value> = serde_json::from_str(after).unwrap();
        assert_eq!(object.remove("ids").as_ref(), Some(ids), "{before}");
        assert_eq!(Value::Object(object), serde_json::from_str::<Value>(before).unwrap());
    }

    let decoded = String::from_utf8(ok(&["detokenize", "--jsonl"], output.as_bytes())).unwrap();
    for (before, after) in input.lines().zip(decoded.lines()) {
        let (before, after): (Value, Value) =
            (serde_json::from_str(before).unwrap(), serde_json::from_str(after).unwrap());
        // Bytes that are not UTF-8 come back as "hex", beside a text with U+FFFD.
        assert_eq!(before["hex"], after["hex"]);
        if before["hex"].is_null() {
            assert_eq!(before["text"], after["text"]);
        }
    }
    assert_eq!(decoded.lines().count(), expected.len());
}

#[test]
fn each_line_is_answered_at_once() {
    let mut child = gptoss(&["tokenize", "--jsonl"]).spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    let mut output = BufReader::new(child.stdout.take().unwrap());
    for text in ["Hello", "", "語"] {
        writeln!(input, "{}", json!({"n": 1, "text": text})).unwrap();
        let mut line = String::new();
        output.read_line(&mut line).unwrap();
        let row: Value = serde_json::from_str(&line).unwrap();
        assert_eq!(row["text"], text);
        assert!(row["ids"].is_array());
    }
    drop(input);
    assert!(child.wait().unwrap().success());
}

#[test]
fn a_bad_line_stops_with_its_number() {
    let good = "{\"text\":\"a\",\"ids\":[64]}\n";
    for (command, bad, part) in [
        ("tokenize", "{\"text\":", "line 2: expected an object in JSON"),
        ("tokenize", "[1]", "line 2: expected an object in JSON"),
        ("tokenize", "{\"ids\":[1]}", "line 2: expected a string \"text\", found none"),
        ("tokenize", "{\"text\":3}", "line 2: expected a string in \"text\" or \"hex\", found 3"),
        ("tokenize", "{\"hex\":\"abc\"}", "line 2: expected pairs of hexadecimal digits"),
        ("tokenize", "", "line 2: expected an object in JSON"),
        ("detokenize", "{\"text\":\"a\"}", "line 2: expected an array \"ids\", found none"),
        ("detokenize", "{\"ids\":[1,-1]}", "line 2: ids[1]: expected a token id, found -1"),
        ("detokenize", "{\"ids\":[4294967296]}", "line 2: ids[0]: expected a token id"),
        ("detokenize", "{\"ids\":[201088]}", "line 2: token id 201088: expected an id of o200k"),
    ] {
        let output = run(&[command, "--jsonl"], format!("{good}{bad}\n{good}").as_bytes());
        let error = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{bad}: {error}");
        assert!(error.starts_with("gptoss: standard input: ") && error.contains(part), "{error}");
        // What came before is out.
        assert_eq!(output.stdout, good.as_bytes(), "{bad}");
    }
    let error = fails(&["detokenize"], b"1 2 x3 4");
    assert!(error.contains("standard input: id 3: expected a token id, found `x3`"), "{error}");
    let error = fails(&["detokenize", "201088"], b"");
    assert!(error.contains("token id 201088"), "{error}");
}

#[test]
fn other_tokenizers_by_file_and_by_folder() {
    let file = format!("{NANO}/tokenizer.json");
    let raw = "<|start|>user<|message|>Hello";
    let by_file = ok(&["tokenize", "--special", "--tokenizer", &file, raw], b"");
    assert!(by_file.starts_with(b"5 "), "{}", String::from_utf8_lossy(&by_file));
    assert_eq!(ok(&["tokenize", "--special", "--model", NANO, raw], b""), by_file);
    assert_eq!(ok(&["detokenize", "--model", NANO], &by_file), raw.as_bytes());
    let error = fails(&["tokenize", "--model", "no/such/file", "a"], b"");
    assert!(
        error.contains("neither o200k_harmony nor a tokenizer.json: `no/such/file`"),
        "{error}"
    );
    let error = fails(&["tokenize", "--model", &format!("{NANO}/config.json"), "a"], b"");
    assert!(error.contains("config.json: expected the format of tokenizer.json"), "{error}");
}

#[test]
fn bytes_that_are_no_text_survive_lines_of_json() {
    let lines = ok(&["detokenize", "--jsonl"], b"{\"ids\":[4103]}\n");
    let again = ok(&["tokenize", "--jsonl"], &lines);
    assert!(String::from_utf8_lossy(&again).contains("\"ids\":[4103]"));
}
