//! Running the real program, away from the user's own models and settings.

use std::io::Write;
use std::process::{Command, Stdio};

/// What a run printed, and its exit code.
pub struct Output {
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
    /// `None` if a signal ended it.
    pub code: Option<i32>,
}

impl Output {
    /// Standard output of a run that must have succeeded.
    pub fn success(self) -> String {
        assert_eq!(self.code, Some(0), "{}", self.stderr);
        self.stdout
    }
}

/// The program with a home of its own, which is gone after the test.
pub fn command(home: &std::path::Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_gptoss"));
    for name in ["GPTOSS_MODEL", "HF_HUB_CACHE", "HF_TOKEN", "XDG_DATA_HOME", "XDG_CACHE_HOME"] {
        command.env_remove(name);
    }
    command.env("GPTOSS_HOME", home).env("HF_HOME", home.join("hf")).env("HOME", home);
    command
}

/// Runs the program with `input` on standard input.
pub fn gptoss_with_input(arguments: &[&str], input: &str) -> Output {
    let home = tempfile::tempdir().unwrap();
    let mut child = command(home.path())
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // A program that does not read its input may be gone already.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    let output = child.wait_with_output().unwrap();
    Output {
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
        code: output.status.code(),
    }
}

/// A copy of nano whose answers come on channel `analysis`, as a reasoning model's first words do.
pub fn reasoning_model(folder: &std::path::Path) -> String {
    let nano = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models/nano");
    for file in ["config.json", "generation_config.json", "model.safetensors", "tokenizer.json"] {
        std::fs::copy(nano.join(file), folder.join(file)).unwrap();
    }
    let frame = r#"{"system_message": null,
        "assistant_prefill": "<|channel|>analysis<|message|>"}"#;
    std::fs::write(folder.join("harmony.json"), frame).unwrap();
    folder.to_str().unwrap().to_owned()
}
