//! One step of the checks: a command that is run, echoed, timed and remembered.

use std::ffi::OsString;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use crate::counts::{Counts, Runner};

/// How a step ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It was run and found nothing wrong.
    Passed,
    /// It found something wrong; the text says what in a few words.
    Failed(String),
    /// It could not be run on this machine; the text says why.
    Skipped(String),
}

/// The steps that were run, in order, and the tests that were counted.
#[derive(Debug, Default)]
pub struct Report {
    steps: Vec<(String, Duration, Outcome)>,
    /// Sums over the steps that run tests.
    pub counts: Counts,
}

impl Report {
    /// Runs one step under its name, prints how it ended and tells whether to go on.
    ///
    /// # Errors
    /// If the step failed: the name of the step and its reason.
    pub fn step(
        &mut self,
        name: &str,
        work: impl FnOnce(&mut Counts) -> Outcome,
    ) -> Result<(), String> {
        println!("── {name}");
        let start = Instant::now();
        let outcome = work(&mut self.counts);
        let seconds = start.elapsed();
        self.steps.push((name.to_string(), seconds, outcome.clone()));
        match outcome {
            Outcome::Passed => Ok(()),
            Outcome::Skipped(reason) => {
                println!("{name}: skipped, {reason}");
                Ok(())
            }
            Outcome::Failed(reason) => Err(format!("{name}: {reason}")),
        }
    }

    /// The table of steps and, as its last line, the sums `N passed, N failed`.
    pub fn summary(&self) -> String {
        let mut text = String::from("── summary\n");
        for (name, duration, outcome) in &self.steps {
            let seconds = duration.as_secs_f64();
            let end = match outcome {
                Outcome::Passed => "ok".to_string(),
                Outcome::Failed(reason) => format!("FAILED: {reason}"),
                Outcome::Skipped(reason) => format!("skipped: {reason}"),
            };
            text.push_str(&format!("{name:<16}{seconds:>8.1} s  {end}\n"));
        }
        let Counts { passed, failed } = self.counts;
        text.push_str(&format!("{passed} passed, {failed} failed\n"));
        text
    }
}

/// The cargo that started this program, in the folder of the repository, without a terminal.
pub fn cargo(root: &Path, arguments: &[&str]) -> Command {
    let program = std::env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo"));
    let mut command = Command::new(program);
    command.args(arguments).current_dir(root).stdin(Stdio::null());
    command
}

/// Runs a command to its end with its output shown.
pub fn shown(mut command: Command) -> Outcome {
    print_command(&command);
    match command.status() {
        Ok(status) => outcome_of(status),
        Err(error) => Outcome::Failed(format!("cannot start {:?}: {error}", command.get_program())),
    }
}

/// Runs a test runner to its end, shows its output and adds the tests it reports to `counts`.
pub fn counted(runner: Runner, mut command: Command, counts: &mut Counts) -> Outcome {
    // Colours would hide the numbers of the summary from the parser.
    command.env("CARGO_TERM_COLOR", "never");
    print_command(&command);
    match copy_lines(runner, command, counts) {
        Ok(status) => outcome_of(status),
        Err(error) => Outcome::Failed(format!("cannot run the tests: {error}")),
    }
}

/// Copies both outputs of a command to standard output, line by line, counting on the way.
fn copy_lines(
    runner: Runner,
    mut command: Command,
    counts: &mut Counts,
) -> std::io::Result<ExitStatus> {
    let (reader, writer) = std::io::pipe()?;
    let mut child = command.stdout(writer.try_clone()?).stderr(writer).spawn()?;
    // The command holds writing ends of the pipe, which would never end while they are open.
    drop(command);
    let mut reader = BufReader::new(reader);
    let mut line = Vec::new();
    while reader.read_until(b'\n', &mut line)? > 0 {
        std::io::stdout().write_all(&line)?;
        counts.add_line(runner, &String::from_utf8_lossy(&line));
        line.clear();
    }
    child.wait()
}

fn print_command(command: &Command) {
    let words: Vec<_> = command.get_args().map(|word| word.to_string_lossy()).collect();
    let program = Path::new(command.get_program()).file_stem().unwrap_or_default();
    println!("$ {} {}", program.to_string_lossy(), words.join(" "));
}

fn outcome_of(status: ExitStatus) -> Outcome {
    if status.success() { Outcome::Passed } else { Outcome::Failed(status.to_string()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_step_stops_and_is_named_in_the_summary() {
        let mut report = Report::default();
        assert_eq!(report.step("format", |_| Outcome::Passed), Ok(()));
        let skipped = report.step("fuzz", |_| Outcome::Skipped("no crates".into()));
        assert_eq!(skipped, Ok(()));
        let failed = report.step("test", |counts| {
            counts
                .add_line(Runner::CargoTest, "test result: FAILED. 3 passed; 1 failed; 0 ignored");
            Outcome::Failed("exit status: 101".into())
        });
        assert_eq!(failed, Err("test: exit status: 101".to_string()));
        let summary = report.summary();
        let lines: Vec<&str> = summary.lines().collect();
        assert_eq!(lines.len(), 5, "{summary}");
        assert!(lines[1].starts_with("format ") && lines[1].ends_with(" s  ok"), "{summary}");
        assert!(lines[2].ends_with("skipped: no crates"), "{summary}");
        assert!(lines[3].ends_with("FAILED: exit status: 101"), "{summary}");
        assert_eq!(lines[4], "3 passed, 1 failed");
    }

    #[test]
    fn a_program_that_does_not_exist_is_a_failure() {
        let outcome = shown(Command::new("no-such-program-for-this-test"));
        assert!(matches!(outcome, Outcome::Failed(_)), "{outcome:?}");
    }

    #[test]
    fn output_of_a_runner_is_counted_and_its_status_kept() {
        let mut counts = Counts::default();
        let outcome =
            counted(Runner::CargoTest, cargo(Path::new("."), &["--version"]), &mut counts);
        assert_eq!(outcome, Outcome::Passed);
        assert_eq!(counts, Counts::default());
        let outcome =
            counted(Runner::CargoTest, cargo(Path::new("."), &["no-such-command"]), &mut counts);
        assert!(matches!(outcome, Outcome::Failed(_)), "{outcome:?}");
    }
}
