//! Runs that are killed or interrupted at any moment, and go on.

use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use crate::{Bench, data, samples};

/// Log-likelihoods of 50 questions, and 25 texts that are generated.
const ARGS: [&str; 11] = [
    "nano",
    "--tasks",
    "arc_easy,arc_challenge,gsm8k",
    "--num-fewshot",
    "0",
    "--max-tokens",
    "24",
    "--limit",
    "25",
    "--parallel",
    "4",
];

fn start(bench: &Bench) -> Child {
    let data = data();
    let more = ["--data", data.to_str().unwrap(), "-o", "run.jsonl", "--resume"];
    let mut command = bench.command(&[&ARGS[..], &more].concat());
    command.stdout(Stdio::null()).stderr(Stdio::piped());
    command.spawn().unwrap()
}

/// Waits until the file has so many lines; false if the program ended before.
fn wait_for_lines(bench: &Bench, child: &mut Child, lines: usize) -> bool {
    let start = Instant::now();
    while bench.text("run.jsonl").lines().count() < lines {
        assert!(start.elapsed() < Duration::from_secs(120), "no answers come");
        if child.try_wait().unwrap().is_some() {
            return false;
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    true
}

#[test]
fn a_killed_run_loses_and_repeats_nothing() {
    let whole = Bench::new();
    whole.succeed(&[&ARGS[..], &["-o", "run.jsonl"]].concat());
    let expected = samples(&whole.text("run.jsonl"));
    assert_eq!(expected.len(), 75);

    let bench = Bench::new();
    let mut kills = 0;
    loop {
        let lines = bench.text("run.jsonl").lines().count();
        let mut child = start(&bench);
        let is_running = wait_for_lines(&bench, &mut child, lines + 12);
        // SIGKILL on Unix, TerminateProcess on Windows: no time to tidy up.
        child.kill().unwrap();
        let status = child.wait().unwrap();
        if !is_running {
            assert!(status.success(), "{status}");
            break;
        }
        kills += 1;
    }
    assert!(kills >= 3, "{kills} kills");
    let text = bench.text("run.jsonl");
    // A document that was there twice would be an error of reading.
    let output = bench.run(&["compare", "run.jsonl"]);
    assert_eq!(output.code, Some(0), "{}", output.err);
    assert_eq!(samples(&text), expected);
}

#[test]
#[cfg(unix)]
fn ctrl_c_leaves_a_file_to_go_on_with() {
    let bench = Bench::new();
    let mut child = start(&bench);
    assert!(wait_for_lines(&bench, &mut child, 8));
    let id = child.id().to_string();
    assert!(std::process::Command::new("kill").args(["-INT", &id]).status().unwrap().success());
    let output = child.wait_with_output().unwrap();
    let err = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(130), "{err}");
    assert!(err.contains("gptoss: interrupted; ") && err.contains("--resume goes on"), "{err}");
    let there = samples(&bench.text("run.jsonl")).len();
    assert!((7..75).contains(&there), "{there}");
    // What the session cost is recorded although it was not finished.
    assert!(bench.text("run.jsonl").lines().last().unwrap().starts_with("{\"session\":"));
    let mut child = start(&bench);
    assert!(child.wait().unwrap().success());
    assert_eq!(samples(&bench.text("run.jsonl")).len(), 75);
}
