//! How many tests passed and failed, read from what the test runners print.

/// Numbers of tests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Tests that ran and passed.
    pub passed: u64,
    /// Tests that ran and failed, timed out or could not be started.
    pub failed: u64,
}

/// A program that runs tests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Runner {
    /// `cargo test` prints a line for each test program:
    /// `test result: ok. 12 passed; 0 failed; 0 ignored; …`.
    CargoTest,
    /// `cargo nextest` prints one line in all:
    /// `Summary [ 0.5s] 7 tests run: 5 passed (1 slow), 2 failed, 0 skipped`.
    Nextest,
    /// pytest prints one line in all: `2 failed, 5 passed, 1 error in 3.21s`, between `=` or not.
    Pytest,
    /// Node's test runner prints TAP, and at its end `# pass 12` and `# fail 0`, each on a line.
    NodeTest,
}

impl Counts {
    /// Adds the numbers of one line of output if it is a summary of the runner.
    ///
    /// The runner has to be known, because nextest repeats what a failed test printed, and that
    /// ends with the summary of the test program itself.
    pub fn add_line(&mut self, runner: Runner, line: &str) {
        let line = line.trim_end();
        match runner {
            Runner::CargoTest => self.add_numbers(after(line.trim(), "test result: ", ". ")),
            Runner::Nextest => self.add_numbers(after(line.trim(), "Summary [", "run: ")),
            Runner::Pytest => self.add_numbers(of_pytest(line)),
            Runner::NodeTest => {
                let words: Vec<_> = line.split(' ').collect();
                if let ["#", what @ ("pass" | "fail" | "cancelled"), number] = words[..] {
                    self.add_part(&format!("{number} {what}"));
                }
            }
        }
    }

    /// Adds the parts of a summary, as in `12 passed; 0 failed`.
    fn add_numbers(&mut self, numbers: Option<&str>) {
        for part in numbers.unwrap_or_default().split([',', ';', '(']) {
            self.add_part(part.trim());
        }
    }

    /// Adds one part of a summary, as in `12 passed`.
    fn add_part(&mut self, part: &str) {
        let Some((number, what)) = part.split_once(' ') else { return };
        let Ok(number) = number.parse::<u64>() else { return };
        match what {
            "passed" | "pass" => self.passed += number,
            "failed" | "exec failed" | "timed out" => self.failed += number,
            // What pytest could not set up, and what Node did not come to.
            "error" | "errors" | "fail" | "cancelled" => self.failed += number,
            _ => {}
        }
    }
}

/// What stands behind `before` in a line that begins with `start`.
fn after<'a>(line: &'a str, start: &str, before: &str) -> Option<&'a str> {
    let (_, numbers) = line.strip_prefix(start)?.split_once(before)?;
    Some(numbers)
}

/// The numbers of pytest's last line, which ends with the time that it took.
fn of_pytest(line: &str) -> Option<&str> {
    let (numbers, time) = line.trim_matches(['=', ' ']).rsplit_once(" in ")?;
    let seconds = time.split(' ').next()?.strip_suffix('s')?;
    seconds.parse::<f64>().ok()?;
    numbers.starts_with(|c: char| c.is_ascii_digit()).then_some(numbers)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counted(runner: Runner, lines: &[&str]) -> Counts {
        let mut counts = Counts::default();
        for line in lines {
            counts.add_line(runner, line);
        }
        counts
    }

    #[test]
    fn cargo_test_prints_one_line_a_program() {
        let lines = [
            "running 2 tests",
            "test result: ok. 2 passed; 0 failed; 0 ignored; 0 measured; 7 filtered out; 0.01s\n",
            "test result: FAILED. 5 passed; 1 failed; 1 ignored; 0 measured; 0 filtered out",
        ];
        assert_eq!(counted(Runner::CargoTest, &lines), Counts { passed: 7, failed: 1 });
    }

    #[test]
    fn nextest_prints_one_line_in_all() {
        let count = |line: &str| counted(Runner::Nextest, &[line]);
        let all = count("     Summary [   0.005s] 2 tests run: 2 passed, 0 skipped\n");
        assert_eq!(all, Counts { passed: 2, failed: 0 });
        let every_kind = count(
            "     Summary [  12.5s] 9 tests run: 5 passed (1 slow), 2 failed, 1 timed out, \
             1 exec failed, 3 skipped",
        );
        assert_eq!(every_kind, Counts { passed: 5, failed: 4 });
        let stopped = count("     Summary [   1.0s] 3/8 tests run: 2 passed, 1 failed");
        assert_eq!(stopped, Counts { passed: 2, failed: 1 });
    }

    #[test]
    fn what_a_failed_test_printed_is_not_counted_again() {
        let lines = [
            "  stdout ───",
            "    test result: FAILED. 0 passed; 1 failed; 0 ignored; 0 measured",
            "     Summary [   0.1s] 1 test run: 0 passed, 1 failed, 0 skipped",
        ];
        assert_eq!(counted(Runner::Nextest, &lines), Counts { passed: 0, failed: 1 });
    }

    #[test]
    fn pytest_prints_its_numbers_before_the_time() {
        let count = |line: &str| counted(Runner::Pytest, &[line]);
        assert_eq!(count("12 passed in 0.35s"), Counts { passed: 12, failed: 0 });
        let many = count("=== 2 failed, 5 passed, 1 skipped, 1 error in 63.21s (0:01:03) ===\n");
        assert_eq!(many, Counts { passed: 5, failed: 3 });
        for line in ["FAILED a.py - 3 passed in a row", "5 passed in here", "in 3.0s", "a in 1s"] {
            assert_eq!(count(line), Counts::default(), "{line}");
        }
    }

    #[test]
    fn node_prints_a_line_for_each_number() {
        let lines = ["ok 1 - # pass 3", "# tests 9", "# pass 7", "# fail 1", "# cancelled 1"];
        assert_eq!(counted(Runner::NodeTest, &lines), Counts { passed: 7, failed: 2 });
        // Indented lines belong to tests within a test.
        assert_eq!(counted(Runner::NodeTest, &["    # pass 3"]), Counts::default());
    }

    #[test]
    fn other_lines_count_nothing() {
        let lines = ["3 passed, 1 failed", "test result", "Summary 4 passed", "", "1"];
        for runner in [Runner::CargoTest, Runner::Nextest, Runner::Pytest, Runner::NodeTest] {
            assert_eq!(counted(runner, &lines), Counts::default());
        }
    }
}
