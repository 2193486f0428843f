//! `cargo xtask soak`: one server with nano under load and abuse, for minutes.
//!
//! The load is made by `clients/soak.py`, which needs nothing but Python. It is a command of its
//! own because it takes minutes and its figures belong to a machine.

use std::path::Path;
use std::process::Command;

use crate::clients::{Server, build};
use crate::step::{Outcome, shown};

/// Minutes when none are given.
const MINUTES: f64 = 5.0;

/// Understands the words after `soak`.
///
/// # Errors
/// A sentence about the word that was not understood.
pub fn minutes(words: &[&str]) -> Result<f64, String> {
    match words {
        [] => Ok(MINUTES),
        ["--minutes", number] => match number.parse::<f64>() {
            Ok(minutes) if minutes > 0.0 && minutes.is_finite() => Ok(minutes),
            _ => Err(format!("--minutes: expected a number above 0, found `{number}`")),
        },
        _ => Err(format!("soak: not understood: {}", words.join(" "))),
    }
}

/// Starts a server, keeps it busy and ends it.
///
/// # Errors
/// What went wrong: an error of the server, memory that grew, an answer that changed.
pub fn run(root: &Path, minutes: f64) -> Result<(), String> {
    let mut command = Command::new(build(root)?);
    // Small limits, so that what has to end by them ends within the test.
    command.args(["serve", "--port", "0", "--log", "warn", "--body-bytes", "1048576"]);
    command.args(["--header-seconds", "10", "--body-seconds", "10", "--write-seconds", "10"]);
    let server = Server::start(root, "soak", command)?;
    let mut load = Command::new("python3");
    load.arg(root.join("clients/soak.py")).args(["--url", server.url()]);
    load.args(["--minutes", &minutes.to_string(), "--process", &server.id().to_string()]);
    if let Outcome::Failed(reason) = shown(load) {
        return Err(format!("soak: {reason}"));
    }
    server.end()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_the_command_line() {
        assert_eq!(minutes(&[]), Ok(MINUTES));
        assert_eq!(minutes(&["--minutes", "0.5"]), Ok(0.5));
        for wrong in [&["--minutes"][..], &["--minutes", "0"], &["--minutes", "inf"], &["5"]] {
            assert!(minutes(wrong).is_err(), "{wrong:?}");
        }
    }
}
