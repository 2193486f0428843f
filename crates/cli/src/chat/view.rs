//! What the chat shows: answers on standard output, all else on standard error.

use std::borrow::Cow;
use std::io::{self, IsTerminal, Write};

use crate::terminal::harmless;

const DIM: &str = "\x1b[2m";
const RED: &str = "\x1b[31m";
const PLAIN: &str = "\x1b[0m";

/// The terminal, or the files that stand for it.
pub struct View {
    out: io::Stdout,
    answers_on_terminal: bool,
    colours: bool,
    /// Whether the cursor is at the start of a line.
    at_line_start: bool,
}

impl View {
    /// Looks at what standard output and error are. `NO_COLOR` switches colours off.
    pub fn new() -> View {
        let no_color = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        View {
            out: io::stdout(),
            answers_on_terminal: io::stdout().is_terminal(),
            colours: io::stderr().is_terminal() && !no_color,
            at_line_start: true,
        }
    }

    /// A piece of the answer.
    pub fn answer(&mut self, text: &str) -> io::Result<()> {
        let shown = if self.answers_on_terminal { harmless(text) } else { Cow::Borrowed(text) };
        self.out.write_all(shown.as_bytes())?;
        self.at_line_start = text.ends_with('\n');
        self.out.flush()
    }

    /// A piece of reasoning, dimmed.
    pub fn reasoning(&mut self, text: &str) {
        self.error_text(DIM, text);
    }

    /// Ends the line, if one is open.
    pub fn end_line(&mut self) {
        if self.at_line_start {
            return;
        }
        self.at_line_start = true;
        // A reader that went away is noticed at the next answer.
        let _ = match self.answers_on_terminal {
            true => writeln!(self.out),
            false => writeln!(io::stderr()),
        };
    }

    /// Ends the answer's line on standard output.
    pub fn end_answer(&mut self) -> io::Result<()> {
        if !self.at_line_start {
            self.at_line_start = true;
            writeln!(self.out)?;
        }
        self.out.flush()
    }

    /// Something that the program says, dimmed.
    pub fn note(&mut self, text: &str) {
        self.end_line();
        self.error_text(DIM, text);
        self.end_error_line();
    }

    /// Something that went wrong.
    pub fn problem(&mut self, text: &str) {
        self.end_line();
        self.error_text(RED, text);
        self.end_error_line();
    }

    fn error_text(&mut self, colour: &str, text: &str) {
        let text = harmless(text);
        let mut err = io::stderr();
        let _ = match self.colours {
            true => write!(err, "{colour}{text}{PLAIN}"),
            false => write!(err, "{text}"),
        };
        let _ = err.flush();
        self.at_line_start = text.ends_with('\n');
    }

    fn end_error_line(&mut self) {
        let _ = writeln!(io::stderr());
        self.at_line_start = true;
    }
}
