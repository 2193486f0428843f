//! `gptoss chat`, with lines from a pipe and in a terminal.

mod program;

use program::{command, gptoss_with_input, reasoning_model};

fn chat(lines: &[&str], arguments: &[&str]) -> program::Output {
    gptoss_with_input(&[&["chat", "-t", "0"], arguments].concat(), &(lines.join("\n") + "\n"))
}

#[test]
fn lines_from_a_pipe_are_answered_one_by_one() {
    let output = chat(&["What is 2 plus 3?", "", "What is 4 plus 4?"], &[]);
    let expected = chat(&["What is 2 plus 3?"], &[]).success();
    assert_eq!(expected, "2 + 3 = 5.\n");
    let answers = output.success();
    assert!(answers.starts_with(&expected), "{answers}");
    assert!(answers.lines().count() == 2 && answers.contains('8'), "{answers}");
}

#[test]
fn a_line_that_is_not_text_does_not_end_the_chat() {
    use std::io::Write;
    let home = tempfile::tempdir().unwrap();
    let mut child = command(home.path())
        .args(["chat", "-t", "0"])
        .env("GPTOSS_MODEL", "")
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(b"Hel\xfflo\nWhat is 2 plus 3?\n").unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout), "2 + 3 = 5.\n");
    assert!(String::from_utf8_lossy(&output.stderr).contains("not UTF-8"));
    assert_eq!(output.status.code(), Some(0));
}

#[test]
fn commands_do_what_they_say() {
    let output = chat(&["/help", "/stats", "/nope", "/system Be kind.", "/reasoning"], &[]);
    assert_eq!(output.stdout, "");
    for expected in [
        "/save FILE",
        "model nano, seed 0, temperature 0",
        "0 of 1024 tokens used",
        "/nope: no such command",
        "instructions set",
        "reasoning is folded away",
    ] {
        assert!(output.stderr.contains(expected), "{expected}: {}", output.stderr);
    }
    assert_eq!(output.code, Some(0));
    let output = chat(&["/effort high", "/save"], &[]);
    assert!(output.stderr.contains("/effort: not supported by nano"), "{}", output.stderr);
    assert!(output.stderr.contains("/save: expected the name of a file"), "{}", output.stderr);
    let output = chat(&["/exit", "What is 2 plus 3?"], &[]);
    assert_eq!((output.stdout.as_str(), output.code), ("", Some(0)));
}

#[test]
fn a_conversation_is_saved_and_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("talk.json");
    let file = file.to_str().unwrap();
    let (save, load) = (format!("/save {file}"), format!("/load {file}"));
    let first = ["Hello!", "What is 2 plus 3?"];
    let whole = chat(&[&first[..], &[&save, "How are you?"]].concat(), &[]).success();
    let resumed = chat(&["How are you?"], &["--load", file]).success();
    assert!(!resumed.is_empty() && whole.ends_with(&resumed), "{whole} / {resumed}");
    let loaded = chat(&["/clear", &load, "How are you?"], &[]).success();
    assert_eq!(loaded, resumed);

    std::fs::write(file, "{\"messages\": 5}").unwrap();
    let bad = chat(&["Hello!", &load, "/stats"], &[]);
    assert!(bad.stderr.contains("talk.json: "), "{}", bad.stderr);
    assert_eq!(bad.code, Some(0), "a bad file does not end the chat");
    let bad = chat(&[], &["--load", file]);
    assert_eq!(bad.code, Some(2));
}

#[test]
fn a_conversation_that_outgrows_the_context_drops_its_oldest_turns_and_says_so() {
    let lines = vec!["Tell me a story."; 8];
    let output = chat(&lines, &["--context", "256"]);
    assert!(output.stderr.contains("no longer fit and were dropped"), "{}", output.stderr);
    assert_eq!(output.code, Some(0));
    let too_long = "word ".repeat(400);
    let output = chat(&[&too_long, "What is 2 plus 3?"], &["--context", "256"]);
    assert!(output.stderr.contains("does not fit into the context of 256"), "{}", output.stderr);
    assert_eq!(output.stdout, "2 + 3 = 5.\n", "the chat goes on");
}

#[test]
fn reasoning_is_shown_or_folded_away_and_never_the_answer() {
    let folder = tempfile::tempdir().unwrap();
    let model = reasoning_model(folder.path());
    let model = ["-m", &model, "-n", "8"];
    let shown = chat(&["What is 2 plus 3?"], &model);
    assert_eq!(shown.stdout, "");
    assert!(shown.stderr.contains("+ 3 ="), "{}", shown.stderr);
    let folded = chat(&["What is 2 plus 3?"], &[&["--hide-reasoning"], &model[..]].concat());
    assert!(folded.stderr.contains("▸ reasoning"), "{}", folded.stderr);
    assert!(!folded.stderr.contains("+ 3 ="), "{}", folded.stderr);
    let lines = ["/reasoning", "What is 2 plus 3?", "/reasoning"];
    let unfolded = chat(&lines, &model);
    assert!(unfolded.stderr.contains("that of the last answer:"), "{}", unfolded.stderr);
    assert_eq!(unfolded.stderr.matches("+ 3 =").count(), 1, "{}", unfolded.stderr);
}

#[test]
fn what_is_loaded_is_said_and_flags_win_over_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("talk.json");
    let file = file.to_str().unwrap();
    let turn = |role: &str, text: &str| format!(r#"{{"role":"{role}","content":"{text}"}}"#);
    let saved = format!(
        r#"{{"model":"x","effort":"High","instructions":null,"date":null,"seed":7,
            "messages":[{},{},{}]}}"#,
        turn("user", "Hi"),
        r#"{"role":"assistant","channel":"final","content":"Hello"}"#,
        turn("user", "And?")
    );
    std::fs::write(file, saved).unwrap();
    let said = chat(&["/stats"], &["--load", file]).stderr;
    for expected in
        ["loaded 3 messages", "its effort does not apply to nano", "1 at the end", "seed 7"]
    {
        assert!(said.contains(expected), "{expected}: {said}");
    }
    assert!(chat(&["/stats"], &["--load", file, "--seed", "3"]).stderr.contains("seed 3"));
}

#[test]
fn a_block_of_lines_is_a_message_and_an_empty_answer_is_none() {
    let output = chat(&["\"\"\"", "/etc/passwd is a file", "\"\"\""], &[]);
    assert!(!output.stderr.contains("no such command"), "{}", output.stderr);
    assert!(!output.stdout.is_empty());
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("talk.json");
    let save = format!("/save {}", file.display());
    chat(&["Hello!", &save], &["-n", "0"]).success();
    assert!(!std::fs::read_to_string(file).unwrap().contains("assistant"));
}

/// What only a terminal shows: prompts, dimmed notes, several lines, history, and Ctrl-C, which
/// stops an answer and not the program. A Python script plays the person.
#[test]
fn a_person_at_a_terminal_can_stop_an_answer_and_go_on() {
    let home = tempfile::tempdir().unwrap();
    let script = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/chat_terminal.py");
    let mut python = std::process::Command::new("python3");
    let program = command(home.path());
    python.arg(script).arg(program.get_program());
    python.env("GPTOSS_HOME", home.path()).env("HOME", home.path()).env_remove("NO_COLOR");
    let output = python.output().unwrap();
    assert!(
        output.status.success(),
        "{}\n{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}
