//! Text on the way to a terminal or a pipe.

use std::borrow::Cow;
use std::io::{self, Write};

/// Text without control characters, which could move the cursor or change the terminal.
pub fn harmless(text: &str) -> Cow<'_, str> {
    let dangerous = |c: char| c.is_control() && c != '\n' && c != '\t';
    match text.contains(dangerous) {
        true => Cow::Owned(text.replace(dangerous, "\u{FFFD}")),
        false => Cow::Borrowed(text),
    }
}

/// Says something on standard error, with a line feed.
pub fn say(text: &str) {
    say_part(&format!("{text}\n"));
}

/// Says something on standard error. A reader that went away misses it, which is no reason to
/// stop.
pub fn say_part(text: &str) {
    let mut err = io::stderr();
    let _ = err.write_all(harmless(text).as_bytes()).and_then(|()| err.flush());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escape_sequences_do_not_reach_the_terminal() {
        assert_eq!(harmless("a\x1b[2Jb\r\u{9b}1m"), "a\u{FFFD}[2Jb\u{FFFD}\u{FFFD}1m");
        assert_eq!(harmless("tab\t, line\n, é 😀"), "tab\t, line\n, é 😀");
    }
}
