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
}

impl Counts {
    /// Adds the numbers of one line of output if it is a summary of the runner.
    ///
    /// The runner has to be known, because nextest repeats what a failed test printed, and that
    /// ends with the summary of the test program itself.
    pub fn add_line(&mut self, runner: Runner, line: &str) {
        let line = line.trim();
        let (start, before_numbers) = match runner {
            Runner::CargoTest => ("test result: ", ". "),
            Runner::Nextest => ("Summary [", "run: "),
        };
        if !line.starts_with(start) {
            return;
        }
        let numbers = line.split_once(before_numbers).map(|(_, numbers)| numbers);
        for part in numbers.unwrap_or_default().split([',', ';', '(']) {
            self.add_part(part.trim());
        }
    }

    /// Adds one part of a summary, as in `12 passed`.
    fn add_part(&mut self, part: &str) {
        let Some((number, what)) = part.split_once(' ') else { return };
        let Ok(number) = number.parse::<u64>() else { return };
        match what {
            "passed" => self.passed += number,
            "failed" | "exec failed" | "timed out" => self.failed += number,
            _ => {}
        }
    }
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
    fn other_lines_count_nothing() {
        let lines = ["3 passed, 1 failed", "test result", "Summary 4 passed", "", "1"];
        for runner in [Runner::CargoTest, Runner::Nextest] {
            assert_eq!(counted(runner, &lines), Counts::default());
        }
    }
}
