//! `gptoss eval` as a program, with nano and the slices of benchmarks in `testdata/eval`.

mod fetching;
mod killing;
#[allow(dead_code)] // Only its way to start the program is of use here.
#[path = "../program/mod.rs"]
mod program;
mod running;
#[path = "../../../hub/tests/server/mod.rs"]
mod server;

use std::path::{Path, PathBuf};
use std::process::Command;

/// The slices of benchmarks.
fn data() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/eval/data")
}

/// A folder to run in, which is also the home of the program.
struct Bench {
    folder: tempfile::TempDir,
}

/// What a run printed, and its exit code.
struct Output {
    out: String,
    err: String,
    code: Option<i32>,
}

impl Bench {
    fn new() -> Bench {
        Bench { folder: tempfile::tempdir().unwrap() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn text(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap_or_default()
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = program::command(self.folder.path());
        command.env_remove("HF_ENDPOINT").env("HF_HUB_OFFLINE", "1");
        command.arg("eval").args(args).current_dir(self.folder.path());
        command
    }

    fn run(&self, args: &[&str]) -> Output {
        let output = self.command(args).output().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        Output { out: text(output.stdout), err: text(output.stderr), code: output.status.code() }
    }

    /// As [`Bench::run`], with the slices of benchmarks; it must succeed.
    fn succeed(&self, args: &[&str]) -> Output {
        let data = data();
        let output = self.run(&[args, &["--data", data.to_str().unwrap()]].concat());
        assert_eq!(output.code, Some(0), "{args:?}: {}{}", output.out, output.err);
        output
    }

    /// The last line of standard error of a command that must end in an error.
    fn fail(&self, args: &[&str]) -> String {
        let output = self.run(args);
        assert_eq!(output.code, Some(2), "{args:?}: {}{}", output.out, output.err);
        assert_eq!(output.out, "");
        output.err.lines().last().unwrap_or_default().to_owned()
    }
}

/// The finished documents of a results file, in an order of their own.
fn samples(text: &str) -> Vec<serde_json::Value> {
    let lines = text.lines().filter_map(|line| serde_json::from_str(line).ok());
    let mut samples: Vec<serde_json::Value> =
        lines.filter_map(|line: serde_json::Value| line.get("sample").cloned()).collect();
    samples.sort_by_key(|sample| {
        (sample["task"].to_string(), sample["doc"].as_u64(), sample["repeat"].as_u64())
    });
    samples
}
