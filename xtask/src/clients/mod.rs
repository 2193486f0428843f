//! `cargo xtask clients`: programs that others wrote, run against `gptoss serve`.
//!
//! Reading order: [`environment`] (the packages, installed once for each set of pins), [`server`]
//! (a server that is started, found and ended), and here the suites. What they check is said in
//! `clients/README.md`.

pub mod environment;
mod server;

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::counts::{Counts, Runner};
use crate::step::{Outcome, Report, cargo, counted, shown};
pub use server::Server;

/// The key of the server that has keys; the suites know it too.
const KEY: &str = "test-key";

/// A set of tests with its own packages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Suite {
    /// Current clients for Python.
    Python,
    /// Clients for Python that need an earlier OpenAI SDK.
    Adapters,
    /// Clients for JavaScript.
    Node,
}

/// What `cargo xtask clients` was asked to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    suites: Vec<Suite>,
    /// Passed to the runner of the only suite.
    arguments: Vec<String>,
}

impl Request {
    /// Everything.
    pub fn all() -> Request {
        Request { suites: vec![Suite::Python, Suite::Adapters, Suite::Node], arguments: Vec::new() }
    }

    /// Understands the words after `clients`.
    ///
    /// # Errors
    /// A sentence about the word that was not understood.
    pub fn parse(words: &[&str]) -> Result<Request, String> {
        let [name, arguments @ ..] = words else { return Ok(Request::all()) };
        let suite = match *name {
            "python" => Suite::Python,
            "adapters" => Suite::Adapters,
            "node" => Suite::Node,
            _ => return Err(format!("clients: expected python, adapters or node, found `{name}`")),
        };
        let arguments = arguments.iter().map(ToString::to_string).collect();
        Ok(Request { suites: vec![suite], arguments })
    }
}

/// Runs suites by themselves and prints the summary.
///
/// # Errors
/// The name of the step that failed and its reason.
pub fn run(root: &Path, request: &Request) -> Result<(), String> {
    let mut report = Report::default();
    let done = report.step("clients", |counts| test(root, request, counts));
    print!("{}", report.summary());
    done
}

/// Builds the program, starts servers, runs the suites one after the other and ends the servers.
pub fn test(root: &Path, request: &Request, counts: &mut Counts) -> Outcome {
    match try_test(root, request, counts) {
        Ok(()) => Outcome::Passed,
        Err(reason) => Outcome::Failed(reason),
    }
}

fn try_test(root: &Path, request: &Request, counts: &mut Counts) -> Result<(), String> {
    let mut programs = Vec::new();
    for suite in &request.suites {
        programs.push((suite, environment::install(root, *suite)?));
    }
    let program = build(root)?;
    let servers = Servers::start(root, &program)?;
    let mut failed = Vec::new();
    for (suite, folder) in &programs {
        let mut command = suite.command(root, folder)?;
        command.args(&request.arguments).envs(servers.variables());
        command.env("CLIENTS_ROOT", root).env("CLIENTS_PROGRAM", &program);
        command.env("CLIENTS_TOOL_CASES", root.join("clients/scripted/tool_cases.jsonl"));
        if let Outcome::Failed(reason) = counted(suite.runner(), command, counts) {
            failed.push(format!("{suite:?}: {reason}"));
        }
    }
    servers.end()?;
    if failed.is_empty() { Ok(()) } else { Err(failed.join(", ")) }
}

/// Compiles the program and gives its path.
///
/// # Errors
/// If it does not compile.
pub fn build(root: &Path) -> Result<PathBuf, String> {
    let arguments = ["build", "--package", "gptoss-cli", "--locked", "--offline"];
    if let Outcome::Failed(reason) = shown(cargo(root, &arguments)) {
        return Err(format!("the program does not build: {reason}"));
    }
    // It is of the same profile as this program, so it lies beside it.
    let here = std::env::current_exe().map_err(|error| format!("own path: {error}"))?;
    Ok(here.with_file_name(format!("gptoss{}", std::env::consts::EXE_SUFFIX)))
}

impl Suite {
    fn runner(self) -> Runner {
        match self {
            Suite::Python | Suite::Adapters => Runner::Pytest,
            Suite::Node => Runner::NodeTest,
        }
    }

    /// The command that runs the tests with the packages in `folder`.
    fn command(self, root: &Path, folder: &Path) -> Result<Command, String> {
        let tests = root.join("clients/python");
        let folders: &[&str] = match self {
            Suite::Python => &["sdk", "frameworks", "contract", "evaluation"],
            // The SDK's suite once more, with the earlier SDK.
            Suite::Adapters => &["sdk", "adapters"],
            Suite::Node => return environment::node_test(root, folder),
        };
        let mut command = Command::new(environment::program(folder, "python"));
        command.args(["-m", "pytest"]).args(folders).current_dir(tests);
        // Byte code would lie among the sources.
        command.env("PYTHONDONTWRITEBYTECODE", "1").env("NO_COLOR", "1");
        Ok(command)
    }
}

/// The servers that the suites talk to.
struct Servers {
    nano: Server,
    scripted: Server,
    limited: Server,
}

impl Servers {
    fn start(root: &Path, program: &Path) -> Result<Servers, String> {
        let scripted = root.join("clients/scripted");
        let script = environment::folder(root)?.join("script.json");
        let mut make = Command::new(environment::PYTHON);
        make.arg(scripted.join("make_script.py")).arg(&script);
        if let Outcome::Failed(reason) = shown(make) {
            return Err(format!("the script of the replaying server: {reason}"));
        }
        let serve = |name, configure: &dyn Fn(&mut Command)| {
            let mut command = Command::new(program);
            command.args(["serve", "--port", "0"]);
            configure(&mut command);
            Server::start(root, name, command)
        };
        Ok(Servers {
            nano: serve("nano", &|_| {})?,
            scripted: serve("scripted", &|command| {
                command.arg("--any-name").arg("--scripted").arg(&script);
            })?,
            limited: serve("limited", &|command| {
                let script = scripted.join("limited.json");
                command.arg("--any-name").arg("--scripted").arg(script);
                command.env("GPTOSS_API_KEYS", KEY);
            })?,
        })
    }

    fn variables(&self) -> [(&'static str, &str); 3] {
        [
            ("CLIENTS_NANO_URL", self.nano.url()),
            ("CLIENTS_SCRIPTED_URL", self.scripted.url()),
            ("CLIENTS_LIMITED_URL", self.limited.url()),
        ]
    }

    /// Ends all of them, and tells of the first that did not end as it should.
    fn end(self) -> Result<(), String> {
        let ends = [self.nano.end(), self.scripted.end(), self.limited.end()];
        ends.into_iter().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_the_command_line() {
        assert_eq!(Request::parse(&[]), Ok(Request::all()));
        let one = Request { suites: vec![Suite::Python], arguments: vec!["-k".into(), "a".into()] };
        assert_eq!(Request::parse(&["python", "-k", "a"]), Ok(one));
        assert!(Request::parse(&["ruby"]).is_err());
    }
}
