//! `gptoss serve`, run as a program.

#[allow(dead_code)] // Only some of the tests need a reasoning model.
mod program;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Stdio};

use program::{Output, command, gptoss_with_input};

fn gptoss(arguments: &[&str]) -> Output {
    gptoss_with_input(arguments, "")
}

/// A running server and the address that it prints.
struct Serving {
    child: Child,
    stderr: BufReader<std::process::ChildStderr>,
    address: String,
}

impl Serving {
    fn new(home: &std::path::Path, arguments: &[&str]) -> Serving {
        let mut command = command(home);
        command.args(["serve", "--port", "0"]).args(arguments);
        let mut child = command.stdin(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let mut stderr = BufReader::new(child.stderr.take().unwrap());
        let mut line = String::new();
        stderr.read_line(&mut line).unwrap();
        let address = line.split("http://").nth(1).unwrap_or_else(|| panic!("{line}"));
        let address = address.split(' ').next().unwrap().to_owned();
        Serving { child, stderr, address }
    }

    fn ask(&self, request: &str) -> String {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    fn post(&self, path: &str, body: &str) -> String {
        let length = body.len();
        self.ask(&format!(
            "POST {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\
             Content-Length: {length}\r\n\r\n{body}"
        ))
    }

    /// Sends a signal, and gives the exit code and what was said.
    fn end(mut self, signal: &str) -> (Option<i32>, String) {
        let id = self.child.id().to_string();
        std::process::Command::new("kill").args([signal, &id]).status().unwrap();
        let mut said = String::new();
        self.stderr.read_to_string(&mut said).unwrap();
        (self.child.wait().unwrap().code(), said)
    }
}

#[test]
fn settings_come_from_flags_then_the_environment_then_the_file() {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("gptoss.toml");
    std::fs::write(&file, "[server]\nport = 1\n[limits]\nbody_bytes = 2\nprompts = 3\n").unwrap();
    let mut command = command(home.path());
    command.args(["serve", "--check-config", "--port", "9", "--config"]).arg(&file);
    command.env("GPTOSS_PORT", "8").env("GPTOSS_BODY_BYTES", "7");
    command.env("GPTOSS_API_KEYS", "very-secret,other");
    let output = command.output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(0));
    for line in ["# API keys: 2", "port = 9", "body_bytes = 7", "prompts = 3", "queue = 256"] {
        assert!(text.lines().any(|found| found == line), "{line}:\n{text}");
    }
    assert!(!text.contains("secret"), "{text}");
}

#[test]
fn wrong_settings_are_errors_that_say_where() {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("gptoss.toml");
    std::fs::write(&file, "[server]\nport = 1\nhots = 3\n").unwrap();
    let path = file.to_str().unwrap();
    let cases = [
        (&["--config", path][..], "line 3"),
        (&["--config", "/nowhere.toml"], "/nowhere.toml"),
        (&["--precision", "wrong"], "model.precision"),
        (&["--kv-cache", "f8"], "model.kv_cache"),
        (&["--effort", "huge"], "prompt.effort"),
        (&["--connections", "0"], "limits.connections"),
        (&["--host", "0.0.0.0"], "API keys"),
    ];
    for (arguments, expected) in cases {
        let output = gptoss(&[&["serve", "--check-config"], arguments].concat());
        assert_eq!(output.code, Some(2), "{arguments:?}: {}", output.stdout);
        assert!(output.stderr.contains(expected), "{arguments:?}: {}", output.stderr);
    }
    let output = gptoss(&["serve", "--effort", "low"]);
    assert_eq!(output.code, Some(2));
    assert!(output.stderr.contains("not supported: prompt.effort"), "{}", output.stderr);
}

#[test]
#[cfg(unix)]
fn it_answers_and_ends_with_0_when_it_is_told_to() {
    let home = tempfile::tempdir().unwrap();
    let body = r#"{"messages":[{"role":"user","content":"What is 2 plus 3?"}],"temperature":0}"#;
    for signal in ["-INT", "-TERM"] {
        let serving = Serving::new(home.path(), &["--log-format", "json"]);
        let answer = serving.post("/v1/chat/completions", body);
        assert!(answer.contains("2 + 3 = 5."), "{answer}");
        let (code, said) = serving.end(signal);
        assert_eq!(code, Some(0), "{said}");
        assert!(said.contains("curl http://127.0.0.1:"), "{said}");
        // The log has the request, and nothing of what was said.
        assert!(said.contains("\"path\":\"/v1/chat/completions\""), "{said}");
        assert!(!said.contains("plus"), "{said}");
    }
}

#[test]
#[cfg(unix)]
fn a_script_stands_in_for_a_large_model() {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("script.json");
    let script =
        r#"{"scripts": {"Hi": ["<|channel|>analysis<|message|>Hm.<|end|><|start|>assistant\
        <|channel|>final<|message|>Scripted.<|return|>"]}}"#
            .replace("\\\n        ", "");
    std::fs::write(&file, script).unwrap();
    let serving = Serving::new(home.path(), &["--scripted", file.to_str().unwrap(), "--log=off"]);
    let answer = serving.post("/v1/responses", r#"{"input": "Hi"}"#);
    assert!(answer.contains("Scripted.") && answer.contains("reasoning_text"), "{answer}");
    assert_eq!(serving.end("-TERM").0, Some(0));
}
