//! How many tests passed and failed, read from what the test runners print.

/// Numbers of tests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Tests that ran and passed.
    pub passed: u64,
    /// Tests that ran and failed, timed out or could not be started.
    pub failed: u64,
}

impl Counts {
    /// Adds the numbers of one line of output if it is the summary of a runner.
    ///
    /// Two runners are known: `cargo test`, which prints one line a test program, as in
    /// `test result: ok. 12 passed; 0 failed; 0 ignored; …`, and `cargo nextest`, which prints one
    /// line in all, as in `Summary [ 0.5s] 7 tests run: 5 passed (1 slow), 2 failed, 0 skipped`.
    pub fn add_line(&mut self, line: &str) {
        let line = line.trim();
        let numbers = if let Some(rest) = line.strip_prefix("test result: ") {
            rest.split_once(". ").map(|(_, numbers)| numbers)
        } else if line.starts_with("Summary [") {
            line.split_once("run: ").map(|(_, numbers)| numbers)
        } else {
            None
        };
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

    fn counted(lines: &[&str]) -> Counts {
        let mut counts = Counts::default();
        for line in lines {
            counts.add_line(line);
        }
        counts
    }

    #[test]
    fn cargo_test_prints_one_line_a_program() {
        let counts = counted(&[
            "running 2 tests",
            "test result: ok. 2 passed; 0 failed; 0 ignored; 0 measured; 7 filtered out; 0.01s\n",
            "test result: FAILED. 5 passed; 1 failed; 1 ignored; 0 measured; 0 filtered out",
        ]);
        assert_eq!(counts, Counts { passed: 7, failed: 1 });
    }

    #[test]
    fn nextest_prints_one_line_in_all() {
        let counts = counted(&["     Summary [   0.005s] 2 tests run: 2 passed, 0 skipped\n"]);
        assert_eq!(counts, Counts { passed: 2, failed: 0 });
        let counts = counted(&[
            "     Summary [  12.5s] 9 tests run: 5 passed (1 slow), 2 failed, 1 timed out, \
             1 exec failed, 3 skipped",
        ]);
        assert_eq!(counts, Counts { passed: 5, failed: 4 });
        let counts = counted(&["     Summary [   1.0s] 3/8 tests run: 2 passed, 1 failed"]);
        assert_eq!(counts, Counts { passed: 2, failed: 1 });
    }

    #[test]
    fn other_lines_count_nothing() {
        let counts = counted(&["3 passed, 1 failed", "test result", "Summary 4 passed", "", "1"]);
        assert_eq!(counts, Counts::default());
    }
}
