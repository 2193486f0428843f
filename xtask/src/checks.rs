//! `cargo xtask test`: every check of the repository, in order, up to the first that fails.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use crate::counts::{Counts, Runner};
use crate::step::{Outcome, Report, cargo, counted, shown};
use crate::{clients, fuzz, scripts, smollm2};

/// How much is checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extent {
    /// Everything.
    Full,
    /// Without clippy, the clients, the published model, the documentation and the fuzz targets.
    Fast,
}

/// Waits between the tries to fetch. A registry behind a cache can answer with an index older
/// than the lock file, and with a newer one a moment later.
const FETCH_WAITS: [Duration; 4] = [
    Duration::from_secs(1),
    Duration::from_secs(3),
    Duration::from_secs(10),
    Duration::from_secs(30),
];

/// Runs the checks and prints the summary.
///
/// # Errors
/// The name of the step that failed and its reason.
pub fn run(root: &Path, extent: Extent) -> Result<(), String> {
    let mut report = Report::default();
    let done = steps(root, extent, &mut report);
    print!("{}", report.summary());
    done
}

fn steps(root: &Path, extent: Extent, report: &mut Report) -> Result<(), String> {
    let full = extent == Extent::Full;
    let offline = ["--workspace", "--locked", "--offline"];
    let on_all = |first: &[&'static str]| [first, &offline].concat();

    report.step("fetch", |_| fetch(root, "Cargo.toml"))?;
    report.step("format", |_| shown(cargo(root, &["fmt", "--all", "--check"])))?;
    if full {
        let mut arguments = on_all(&["clippy", "--all-targets"]);
        arguments.extend(["--", "-D", "warnings"]);
        report.step("clippy", |_| shown(cargo(root, &arguments)))?;
    }
    if has_nextest(root) {
        let arguments = on_all(&["nextest", "run", "--no-fail-fast"]);
        report.step("test", |counts| counted(Runner::Nextest, cargo(root, &arguments), counts))?;
        // nextest runs no examples of the documentation.
        let arguments = on_all(&["test", "--doc", "--no-fail-fast"]);
        report.step("doctest", |counts| {
            counted(Runner::CargoTest, cargo(root, &arguments), counts)
        })?;
    } else {
        let arguments = on_all(&["test", "--no-fail-fast"]);
        report
            .step("test", |counts| counted(Runner::CargoTest, cargo(root, &arguments), counts))?;
    }
    report.step("count", |counts| some_passed(*counts))?;
    if full {
        report.step("clients", |counts| clients::test(root, &clients::Request::all(), counts))?;
        report.step("smollm2", |counts| smollm2::test(root, counts))?;
        let mut doc = cargo(root, &on_all(&["doc", "--no-deps"]));
        doc.env("RUSTDOCFLAGS", "-D warnings");
        report.step("doc", |_| shown(doc))?;
        if root.join(fuzz::MANIFEST).is_file() {
            report.step("fuzz", |_| fuzz_compiles(root))?;
        }
    }
    report.step("scripts", |_| scripts::check(root))
}

/// Fetches the crates of a lock file, so that everything after it needs no network.
///
/// If the registry does not answer, crates that an earlier run fetched are enough.
fn fetch(root: &Path, manifest: &str) -> Outcome {
    let arguments = ["fetch", "--locked", "--manifest-path", manifest];
    for wait in FETCH_WAITS {
        if shown(cargo(root, &arguments)) == Outcome::Passed {
            return Outcome::Passed;
        }
        println!("fetch: trying again in {} s", wait.as_secs());
        std::thread::sleep(wait);
    }
    match shown(cargo(root, &[&arguments[..], &["--offline"]].concat())) {
        Outcome::Failed(_) => Outcome::Failed(format!("cannot fetch the crates of {manifest}")),
        other => other,
    }
}

fn has_nextest(root: &Path) -> bool {
    let mut command = cargo(root, &["nextest", "--version"]);
    let status = command.stdout(Stdio::null()).stderr(Stdio::null()).status();
    status.is_ok_and(|status| status.success())
}

/// A run in which no test was counted has checked nothing, whatever its exit code.
fn some_passed(counts: Counts) -> Outcome {
    match counts {
        Counts { passed: 0, .. } => Outcome::Failed("no test was counted".into()),
        Counts { failed: 0, .. } => Outcome::Passed,
        Counts { failed, .. } => Outcome::Failed(format!("{failed} tests failed")),
    }
}

/// Compiles the fuzz targets, which are a workspace of their own, without linking them.
fn fuzz_compiles(root: &Path) -> Outcome {
    if let Outcome::Failed(_) = fetch(root, fuzz::MANIFEST) {
        return Outcome::Skipped("its crates are not here and cannot be fetched".into());
    }
    shown(fuzz::check(root))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_without_tests_is_a_failure() {
        assert_eq!(some_passed(Counts { passed: 3, failed: 0 }), Outcome::Passed);
        for counts in [Counts::default(), Counts { passed: 3, failed: 1 }] {
            assert!(matches!(some_passed(counts), Outcome::Failed(_)), "{counts:?}");
        }
    }
}
