//! Checks and chores of this repository, started as `cargo xtask`.
//!
//! Reading order: [`checks`] (what `cargo xtask test` runs, in order), [`step`] (how one of them
//! is run, timed and reported), [`counts`] (how many tests passed), [`scripts`] (syntax of shell
//! and Python files), [`fuzz`] (the wrapper around cargo-fuzz), [`clients`] (programs that others
//! wrote, against our server), [`smollm2`] (a published model against transformers), [`soak`] (the
//! server under load for minutes).
//!
//! Nothing outside the standard library is used, so the checks start on a bare toolchain.
//! Exit codes: 0 all passed, 1 a check failed, 2 the command line was not understood.

#![forbid(unsafe_code)]

mod checks;
mod clients;
mod counts;
mod fuzz;
mod scripts;
mod smollm2;
mod soak;
mod step;

use std::path::PathBuf;
use std::process::ExitCode;

const HELP: &str = "\
Checks and chores of this repository.

Usage: cargo xtask <COMMAND>

Commands:
  test [--fast]                     run every check; --fast leaves out clippy, clients, smollm2,
                                    doc and fuzz
  clients                           try the server with clients for Python and JavaScript
  clients python|adapters|node ...  one suite of these; more words go to pytest or node
  smollm2                           compare a published dense model with transformers
  soak [--minutes <N>]              keep the server under load and abuse for N minutes (default 5)
  fuzz                              list the fuzz targets
  fuzz <TARGET>|all --minutes <N>   fuzz one target, or each in turn, for N minutes (default 10)
  help                              print this text
";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let done = match arguments.as_slice() {
        ["test"] => checks::run(&root(), checks::Extent::Full),
        ["test", "--fast"] => checks::run(&root(), checks::Extent::Fast),
        ["fuzz", rest @ ..] => match fuzz::Request::parse(rest) {
            Ok(request) => fuzz::run(&root(), &request),
            Err(message) => return usage(&message),
        },
        ["clients", rest @ ..] => match clients::Request::parse(rest) {
            Ok(request) => clients::run(&root(), &request),
            Err(message) => return usage(&message),
        },
        ["smollm2"] => smollm2::run(&root()),
        ["soak", rest @ ..] => match soak::minutes(rest) {
            Ok(minutes) => soak::run(&root(), minutes),
            Err(message) => return usage(&message),
        },
        ["help" | "--help" | "-h"] => {
            print!("{HELP}");
            Ok(())
        }
        [] => return usage("a command is missing"),
        _ => return usage(&format!("not understood: {}", arguments.join(" "))),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("xtask: {message}");
            ExitCode::from(1)
        }
    }
}

/// Reports a command line that was not understood; exit code 2.
fn usage(message: &str) -> ExitCode {
    eprint!("xtask: {message}\n\n{HELP}");
    ExitCode::from(2)
}

/// The folder of the repository: cargo names the folder of this package when it starts it.
fn root() -> PathBuf {
    let here = std::env::var_os("CARGO_MANIFEST_DIR")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
    here.parent().expect("the package lies in a folder of the repository").to_path_buf()
}
