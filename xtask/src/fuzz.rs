//! The fuzz targets: compiled by `cargo xtask test`, run by `cargo xtask fuzz`.
//!
//! They are a workspace of their own under `fuzz/`, because instrumented code and libFuzzer have
//! no place in the ordinary build. What the fuzzer has found lies in a corpus that the ordinary
//! tests replay, so a machine without cargo-fuzz still checks it.

use std::path::Path;
use std::process::{Command, Stdio};

use crate::step::{Outcome, cargo, shown};

/// The manifest of the fuzz workspace, from the folder of the repository.
pub const MANIFEST: &str = "fuzz/Cargo.toml";

/// Minutes for one target when none are given.
const MINUTES: u64 = 10;

/// What `cargo xtask fuzz` was asked to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// Print the names of the targets.
    List,
    /// Run one target, or all in turn.
    Run {
        /// The name of the target, or `all`.
        target: String,
        /// Wall-clock minutes for each target.
        minutes: u64,
    },
}

impl Request {
    /// Understands the words after `fuzz`.
    ///
    /// # Errors
    /// A sentence about the word that was not understood.
    pub fn parse(words: &[&str]) -> Result<Request, String> {
        let run = |target: &str, minutes| Request::Run { target: target.to_string(), minutes };
        match words {
            [] => Ok(Request::List),
            [option, ..] if option.starts_with('-') => Err(format!("{option}: name a target")),
            [target] => Ok(run(target, MINUTES)),
            [target, "--minutes", number] => match number.parse() {
                Ok(minutes) if minutes > 0 => Ok(run(target, minutes)),
                _ => Err(format!("--minutes: expected a number above 0, found `{number}`")),
            },
            _ => Err(format!("fuzz: not understood: {}", words.join(" "))),
        }
    }
}

/// Lists the targets or runs them one after the other.
///
/// # Errors
/// If a target is unknown, cargo-fuzz is not installed, or a run found a crash.
pub fn run(root: &Path, request: &Request) -> Result<(), String> {
    let manifest = std::fs::read_to_string(root.join(MANIFEST))
        .map_err(|error| format!("{MANIFEST}: cannot read the fuzz targets: {error}"))?;
    let targets = targets(&manifest);
    let Request::Run { target, minutes } = request else {
        targets.iter().for_each(|name| println!("{name}"));
        return Ok(());
    };
    let chosen: Vec<&String> =
        targets.iter().filter(|name| target == "all" || *name == target).collect();
    if chosen.is_empty() {
        return Err(format!("no fuzz target `{target}`, expected one of {}", targets.join(", ")));
    }
    if !has_cargo_fuzz(root) {
        return Err("cargo-fuzz is not installed: cargo install cargo-fuzz --locked".into());
    }
    for name in chosen {
        let mut command = cargo(root, &["fuzz", "run", name, "--"]);
        // Sanitizers are options of a nightly compiler; this variable lets the compiler of the
        // project accept them, so that what is fuzzed is what is shipped.
        command.env("RUSTC_BOOTSTRAP", "1");
        command.args([format!("-max_total_time={}", minutes * 60), "-timeout=20".into()]);
        // An input that makes a parser allocate without bound is a finding.
        command.arg("-rss_limit_mb=2048");
        if let Outcome::Failed(reason) = shown(command) {
            return Err(format!("fuzz target {name}: {reason}; the input is in fuzz/artifacts"));
        }
    }
    Ok(())
}

/// The command that compiles every target without linking.
pub fn check(root: &Path) -> Command {
    let mut command = cargo(root, &["check", "--locked", "--offline", "--manifest-path", MANIFEST]);
    // With a ready library named, the binding does not compile libFuzzer, which needs a C++
    // compiler; nothing is linked here, so any file that exists will do.
    command.env("CUSTOM_LIBFUZZER_PATH", root.join(MANIFEST));
    command.env("RUSTFLAGS", "-D warnings");
    command
}

fn has_cargo_fuzz(root: &Path) -> bool {
    let mut command = cargo(root, &["fuzz", "--version"]);
    let status = command.stdout(Stdio::null()).stderr(Stdio::null()).status();
    status.is_ok_and(|status| status.success())
}

/// Names of the programs of a manifest, in its order.
fn targets(manifest: &str) -> Vec<String> {
    let mut names = Vec::new();
    let mut in_program = false;
    for line in manifest.lines().map(str::trim) {
        if line.starts_with('[') {
            in_program = line == "[[bin]]";
        } else if in_program
            && let Some((key, value)) = line.split_once('=')
            && key.trim() == "name"
        {
            names.push(value.trim().trim_matches('"').to_string());
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_the_command_line() {
        let run = |target: &str, minutes| Request::Run { target: target.into(), minutes };
        assert_eq!(Request::parse(&[]), Ok(Request::List));
        assert_eq!(Request::parse(&["gguf"]), Ok(run("gguf", MINUTES)));
        assert_eq!(Request::parse(&["all", "--minutes", "3"]), Ok(run("all", 3)));
        for wrong in [
            &["--minutes", "3"][..],
            &["gguf", "--minutes"],
            &["gguf", "--minutes", "0"],
            &["gguf", "--minutes", "ten"],
            &["gguf", "config"],
        ] {
            assert!(Request::parse(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn targets_are_the_programs_of_the_manifest() {
        let manifest = "[package]\nname = \"fuzz\"\n\n[[bin]]\nname = \"gguf\"\npath = \"a.rs\"\n\
                        [[bin]]\npath = \"b.rs\"\nname=\"config\"\n[profile.dev]\nname = \"x\"\n";
        assert_eq!(targets(manifest), ["gguf", "config"]);
    }

    #[test]
    fn without_a_fuzz_workspace_the_error_names_the_manifest() {
        let error = run(Path::new("no-such-folder"), &Request::List).unwrap_err();
        assert!(error.starts_with("fuzz/Cargo.toml: cannot read"), "{error}");
    }
}
