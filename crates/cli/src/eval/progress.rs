//! How far a run is: a bar on a terminal, else a line now and then, on standard error.

use std::io::{IsTerminal as _, stderr};
use std::time::{Duration, Instant};

use gptoss_eval::grade::Verdict;
use gptoss_eval::results::Sample;
use indicatif::{HumanDuration, ProgressBar, ProgressStyle};

use crate::terminal::say;

/// How often a line is written where there is no terminal.
const LINE_EVERY: Duration = Duration::from_secs(5);

/// Shows how far a run is, and how many of its answers are right.
pub struct View {
    bar: Option<ProgressBar>,
    /// Answers of all tasks: in all, finished, and finished before this session.
    total: usize,
    done: usize,
    before: usize,
    task: String,
    /// Answers of the task in this session, and those of them that are right.
    answers: usize,
    right: usize,
    start: Instant,
    last_line: Instant,
}

impl View {
    /// A run of `total` answers, of which `before` are there already.
    pub fn new(total: usize, before: usize) -> View {
        let bar = stderr().is_terminal().then(|| bar(total, before));
        let now = Instant::now();
        View {
            bar,
            total,
            done: before,
            before,
            task: String::new(),
            answers: 0,
            right: 0,
            start: now,
            last_line: now,
        }
    }

    /// A task begins.
    pub fn begin(&mut self, task: &str) {
        self.task = task.to_owned();
        (self.answers, self.right) = (0, 0);
        if let Some(bar) = &self.bar {
            bar.set_message(self.task.clone());
        }
    }

    /// An answer is finished.
    pub fn sample(&mut self, sample: &Sample) {
        self.done += 1;
        self.answers += 1;
        self.right += usize::from(sample.verdict == Verdict::Right);
        if let Some(bar) = &self.bar {
            bar.set_position(self.done as u64);
            bar.set_message(format!("{}: {}", self.task, self.share()));
        } else if self.last_line.elapsed() >= LINE_EVERY {
            self.last_line = Instant::now();
            say(&self.line());
        }
    }

    /// Nothing more comes.
    pub fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }

    /// `43.3 % of 120 right`.
    fn share(&self) -> String {
        let share = self.right as f64 * 100.0 / self.answers.max(1) as f64;
        format!("{share:.1} % of {} right", self.answers)
    }

    /// `arc_easy: 43.3 % of 120 right; 500 of 7000, 12.3 a second, 9 minutes left`.
    fn line(&self) -> String {
        let seconds = self.start.elapsed().as_secs_f64().max(1e-3);
        let rate = (self.done - self.before) as f64 / seconds;
        let left = (self.total - self.done.min(self.total)) as f64 / rate.max(1e-9);
        format!(
            "{}: {}; {} of {}, {rate:.1} a second, {} left",
            self.task,
            self.share(),
            self.done,
            self.total,
            HumanDuration(Duration::from_secs(left.min(1e9) as u64)),
        )
    }
}

fn bar(total: usize, before: usize) -> ProgressBar {
    let bar = ProgressBar::new(total as u64).with_position(before as u64);
    let style = ProgressStyle::with_template(
        "[{bar:20}] {pos} of {len}, {per_sec}, {eta} left; {wide_msg}",
    );
    let style = style.expect("the template is a constant that tests have drawn");
    bar.set_style(style.progress_chars("=> "));
    bar.reset_eta();
    bar
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_tells_score_rate_and_time() {
        let mut view = View::new(100, 40);
        view.begin("arc_easy");
        (view.done, view.answers, view.right) = (60, 20, 5);
        view.start = Instant::now() - Duration::from_secs(10);
        let line = view.line();
        let expected = "arc_easy: 25.0 % of 20 right; 60 of 100, 2.0 a second, ";
        assert!(line.starts_with(expected) && line.ends_with(" left"), "{line}");
        view.begin("empty");
        assert!(view.line().starts_with("empty: 0.0 % of 0 right"), "{}", view.line());
    }

    #[test]
    fn the_bar_can_be_drawn() {
        assert_eq!(bar(10, 3).position(), 3);
    }
}
