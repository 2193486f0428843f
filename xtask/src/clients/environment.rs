//! Packages of the suites: installed below `target/clients`, once for each set of pins.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::clients::Suite;
use crate::step::{Outcome, shown};

/// The interpreter that environments are made with.
pub const PYTHON: &str = "python3";
/// The pins were resolved for this version; a later one takes them too.
const PYTHON_CHECK: &str = "import sys; sys.exit(sys.version_info < (3, 11))";
/// As for Node.
const NODE_CHECK: &str = "process.exit(parseInt(process.versions.node) < 20 ? 1 : 0)";

/// Waits before each further try, as registries fail for a moment now and then.
const WAITS: [Duration; 3] =
    [Duration::from_secs(2), Duration::from_secs(10), Duration::from_secs(30)];

/// A file that says that an installation came to its end.
const COMPLETE: &str = "complete";

/// The folder for everything of the suites that is not source.
///
/// # Errors
/// If it cannot be made.
pub fn folder(root: &Path) -> Result<PathBuf, String> {
    let target =
        std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from);
    let folder = target.join("clients");
    std::fs::create_dir_all(&folder).map_err(|error| at(&folder, &error))?;
    // Programs are run in other folders.
    folder.canonicalize().map_err(|error| at(&folder, &error))
}

/// The folder with the packages of a suite, which is made if it is not there.
///
/// # Errors
/// If the interpreter is missing or too old, or the packages cannot be installed.
pub fn install(root: &Path, suite: Suite) -> Result<PathBuf, String> {
    match suite {
        Suite::Python => python(root, "requirements.txt"),
        Suite::Adapters => python(root, "adapters.txt"),
        Suite::Node => node(root),
    }
}

/// A program of an environment for Python.
pub fn program(environment: &Path, name: &str) -> PathBuf {
    let folder = if cfg!(windows) { "Scripts" } else { "bin" };
    environment.join(folder).join(name)
}

/// The environment with the packages of a file of `clients/python`.
///
/// # Errors
/// As [`install`].
pub fn python(root: &Path, pins: &str) -> Result<PathBuf, String> {
    let sources = root.join("clients/python");
    let files = [sources.join("installer.txt"), sources.join(pins)];
    let name = pins.trim_end_matches(".txt");
    let folder = folder(root)?;
    let place = Place::new(&folder, name, &files)?;
    place.make(|environment| {
        check(PYTHON, &["-c", PYTHON_CHECK], "Python 3.11 or later")?;
        quiet(Command::new(PYTHON).args(["-m", "venv"]).arg(environment))?;
        let python = program(environment, "python");
        let pip = || {
            let mut command = Command::new(&python);
            command.args(["-m", "pip", "install", "--quiet", "--no-deps", "--requirement"]);
            command
        };
        // uv installs in seconds what takes pip minutes.
        again(|| {
            let mut command = pip();
            command.arg(&files[0]);
            command
        })?;
        let uv = || {
            let mut command = Command::new(program(environment, "uv"));
            command.args(["pip", "install", "--quiet", "--no-deps", "--python"]).arg(&python);
            command.arg("--cache-dir").arg(folder.join("uv-cache"));
            command.arg("--requirement").arg(&files[1]);
            command
        };
        // A registry that only pip was told of is one for pip.
        again(uv).or_else(|_| {
            again(|| {
                let mut command = pip();
                command.arg(&files[1]);
                command
            })
        })
    })
}

/// The environment with the packages of a file of pins that have hashes, and nothing else.
///
/// # Errors
/// As [`install`], and if a package has another hash.
pub fn hashed(root: &Path, name: &str, pins: &Path) -> Result<PathBuf, String> {
    let place = Place::new(&folder(root)?, name, &[pins.to_path_buf()])?;
    place.make(|environment| {
        check(PYTHON, &["-c", PYTHON_CHECK], "Python 3.11 or later")?;
        quiet(Command::new(PYTHON).args(["-m", "venv"]).arg(environment))?;
        again(|| {
            let mut command = Command::new(program(environment, "python"));
            command.args(["-m", "pip", "install", "--quiet", "--no-deps", "--require-hashes"]);
            command.arg("--only-binary=:all:").arg("--requirement").arg(pins);
            command
        })
    })
}

fn node(root: &Path) -> Result<PathBuf, String> {
    let sources = root.join("clients/node");
    let files = [sources.join("package.json"), sources.join("package-lock.json")];
    let place = Place::new(&folder(root)?, "node", &files)?;
    place.make(|environment| {
        check("node", &["-e", NODE_CHECK], "Node 20 or later")?;
        std::fs::create_dir_all(environment).map_err(|error| at(environment, &error))?;
        for file in &files {
            let copy = environment.join(file.file_name().expect("a file of ours has a name"));
            std::fs::copy(file, &copy).map_err(|error| at(&copy, &error))?;
        }
        again(|| {
            let mut command = Command::new("npm");
            command.args(["ci", "--no-audit", "--no-fund", "--loglevel=error"]);
            command.current_dir(environment);
            command
        })
    })
}

/// The command that runs the tests for JavaScript. Node looks for packages beside the files that
/// want them, so tests and examples are copied to the packages.
///
/// # Errors
/// If they cannot be copied.
pub fn node_test(root: &Path, environment: &Path) -> Result<Command, String> {
    copy(&root.join("clients/node/tests"), &environment.join("tests"), "js")?;
    copy(&root.join("examples"), &environment.join("examples"), "mjs")?;
    let mut command = Command::new("node");
    command.args(["--test", "--test-reporter=tap", "tests/"]).current_dir(environment);
    Ok(command)
}

/// Makes `to` a folder with the files of `from` of one ending, and no others.
fn copy(from: &Path, to: &Path, ending: &str) -> Result<(), String> {
    let _ = std::fs::remove_dir_all(to);
    std::fs::create_dir_all(to).map_err(|error| at(to, &error))?;
    for entry in std::fs::read_dir(from).map_err(|error| at(from, &error))?.flatten() {
        let path = entry.path();
        if path.extension().is_some_and(|found| found == ending) {
            let copy = to.join(entry.file_name());
            std::fs::copy(&path, &copy).map_err(|error| at(&copy, &error))?;
        }
    }
    Ok(())
}

/// Where an environment lies, as its pins say.
struct Place {
    parent: PathBuf,
    prefix: String,
    name: String,
}

impl Place {
    fn new(parent: &Path, name: &str, pins: &[PathBuf]) -> Result<Place, String> {
        let mut hash = Fnv::default();
        for path in pins {
            hash.add(&std::fs::read(path).map_err(|error| at(path, &error))?);
        }
        let prefix = format!("{name}-");
        let name = format!("{prefix}{:016x}", hash.0);
        Ok(Place { parent: parent.to_path_buf(), prefix, name })
    }

    /// The folder, filled by `fill` unless that was done before.
    fn make(&self, fill: impl FnOnce(&Path) -> Result<(), String>) -> Result<PathBuf, String> {
        let folder = self.parent.join(&self.name);
        if folder.join(COMPLETE).is_file() {
            return Ok(folder);
        }
        self.clear();
        println!("installing {}", self.name);
        fill(&folder).map_err(|reason| {
            format!(
                "cannot install the packages of clients ({reason}); they are fetched once from \
                 PyPI and npm: is there a network? `cargo xtask test --fast` does without them"
            )
        })?;
        let complete = folder.join(COMPLETE);
        std::fs::write(&complete, "").map_err(|error| at(&complete, &error))?;
        Ok(folder)
    }

    /// Removes what was begun, and environments of earlier pins.
    fn clear(&self) {
        let entries = std::fs::read_dir(&self.parent).into_iter().flatten().flatten();
        for entry in entries {
            if entry.file_name().to_string_lossy().starts_with(&self.prefix) {
                let _ = std::fs::remove_dir_all(entry.path());
            }
        }
    }
}

/// The hash FNV-1a of 64 bits: the same on every machine and with every compiler.
struct Fnv(u64);

impl Default for Fnv {
    fn default() -> Fnv {
        Fnv(0xcbf2_9ce4_8422_2325)
    }
}

impl Fnv {
    fn add(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
}

fn check(program: &str, arguments: &[&str], wanted: &str) -> Result<(), String> {
    let mut command = Command::new(program);
    let status = command.args(arguments).stdin(Stdio::null()).status();
    match status {
        Ok(status) if status.success() => Ok(()),
        _ => Err(format!("{wanted} is needed as `{program}`")),
    }
}

fn quiet(command: &mut Command) -> Result<(), String> {
    let name = command.get_program().to_string_lossy().into_owned();
    match command.stdin(Stdio::null()).status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("{name}: {status}")),
        Err(error) => Err(format!("{name}: {error}")),
    }
}

/// Runs a command until it succeeds, a few times.
fn again(command: impl Fn() -> Command) -> Result<(), String> {
    let run = || match shown(command()) {
        Outcome::Failed(reason) => Err(reason),
        _ => Ok(()),
    };
    for wait in WAITS {
        if run().is_ok() {
            return Ok(());
        }
        println!("clients: trying again in {} s", wait.as_secs());
        std::thread::sleep(wait);
    }
    run()
}

fn at(path: &Path, error: &std::io::Error) -> String {
    format!("{}: {error}", path.display())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_pins_lie_elsewhere_and_earlier_ones_are_removed() {
        let folder = std::env::temp_dir().join(format!("xtask-clients-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let pins = [folder.join("pins.txt")];
        let make = |text: &str| {
            std::fs::write(&pins[0], text).unwrap();
            let place = Place::new(&folder, "python", &pins).unwrap();
            let mut filled = 0;
            let made = place.make(|path| {
                filled += 1;
                std::fs::create_dir_all(path).map_err(|error| error.to_string())
            });
            (made.unwrap(), filled)
        };
        let (first, filled) = make("a==1");
        assert_eq!(filled, 1);
        assert_eq!(make("a==1"), (first.clone(), 0));
        let (second, filled) = make("a==2");
        assert_eq!(filled, 1);
        let firsts = (first.exists(), second.exists());
        std::fs::write(&pins[0], "a==3").unwrap();
        let place = Place::new(&folder, "python", &pins).unwrap();
        let failed = place.make(|_| Err("no network".into())).unwrap_err();
        std::fs::remove_dir_all(&folder).unwrap();
        assert_eq!(firsts, (false, true));
        assert!(failed.contains("no network") && failed.contains("--fast"), "{failed}");
    }

    #[test]
    fn the_hash_is_fnv_1a() {
        let mut hash = Fnv::default();
        hash.add(b"a");
        // The published value of the letter.
        assert_eq!(hash.0, 0xaf63_dc4c_8601_ec8c);
    }
}
