//! `gptoss serve`: flags, environment and file to a server; the rest is in crate `server`.

mod args;
mod model;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context as _;
use clap::Args;
use gptoss_server::config::{Settings, SettingsPartial, read};
use gptoss_server::scripted::{self, Script, Scripted};
use gptoss_server::{KEYS_VARIABLE, Keys, Parts, Server, constrain, log, process_signals};

use crate::terminal::say;
use args::SettingsArgs;

/// Exit code of a program that a second Ctrl-C ends, as shells give it.
const INTERRUPTED: i32 = 130;

/// Serve a model to OpenAI's clients over HTTP
///
/// A setting comes from its flag, else from the environment, else from the file, else from the
/// defaults, which --check-config shows. API keys come from a file (--keys-file) or from the
/// variable GPTOSS_API_KEYS, with commas between them; on this machine alone none are needed.
#[derive(Args)]
#[command(after_help = "Examples:
  gptoss serve
  gptoss serve --model gpt-oss-20b --context 32768 --port 8000
  gptoss serve --config gptoss.toml --check-config
  GPTOSS_API_KEYS=secret gptoss serve --host 0.0.0.0")]
pub struct ServeArgs {
    /// Configuration file
    #[arg(long, env = "GPTOSS_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
    /// Show the settings as a configuration file, and exit
    #[arg(long)]
    check_config: bool,
    #[command(flatten)]
    settings: SettingsArgs,
    /// Replay this script instead of computing, to test clients with
    #[arg(long, hide = true, value_name = "FILE")]
    scripted: Option<PathBuf>,
}

/// Runs the command.
pub fn run(args: &ServeArgs) -> anyhow::Result<ExitCode> {
    let file = match args.config.as_ref().filter(|path| !path.as_os_str().is_empty()) {
        Some(path) => read(path)?,
        None => SettingsPartial::default(),
    };
    let settings = args.settings.partial().or(file).or_default();
    let list = std::env::var(KEYS_VARIABLE).unwrap_or_default();
    let keys = Keys::load(&settings.access.keys_file, &list)?;
    model::check(&settings)?;
    if args.check_config {
        Server::check(&settings, &keys)?;
        print(&settings, &keys)?;
        return Ok(ExitCode::SUCCESS);
    }
    log::install(&settings.log)?;
    let end = process_signals(|| std::process::exit(INTERRUPTED));
    match &args.scripted {
        Some(path) => {
            let engine = scripted::engine()?;
            let batcher = Arc::new(Scripted::new(&engine, Script::read(path)?)?);
            let constraints = Some(scripted::unconstrained());
            serve(Parts { engine, batcher, constraints, settings, keys }, end)?;
        }
        None => {
            let engine = model::engine(&settings)?;
            let scheduler = model::scheduler(&engine, &settings)?;
            let batcher = scheduler.clone();
            // A model that cannot chat answers raw completions only.
            let constraints = engine.chat_format().ok().map(constrain::grammars);
            serve(Parts { engine, batcher, constraints, settings, keys }, end)?;
            if let Err(error) = scheduler.finish() {
                say(&format!("gptoss: {error}"));
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Serves until `end` is done.
fn serve(parts: Parts, end: impl Future<Output = ()>) -> anyhow::Result<()> {
    let server = Server::new(parts)?;
    Ok(gptoss_server::run(&server, |address| greet(&server, address), end)?)
}

/// Prints the settings; of the keys only how many there are.
fn print(settings: &Settings, keys: &Keys) -> anyhow::Result<()> {
    use std::io::Write as _;
    let mut out = std::io::stdout().lock();
    writeln!(out, "# API keys: {}\n{}", keys.len(), settings.to_toml().trim_end())
        .context("standard output")
}

/// Says where the server is and how to ask it something.
fn greet(server: &Server, address: SocketAddr) {
    let model = server.model();
    // An address that means all of this machine's is none to connect to.
    let host = match address.ip().is_unspecified() {
        true => format!("localhost:{}", address.port()),
        false => address.to_string(),
    };
    say(&format!(
        "gptoss: {model} on http://{address} (Ctrl-C ends, a second one at once)\n\n\
         curl http://{host}/v1/chat/completions -H 'Content-Type: application/json' \\\n  \
         -d '{{\"model\": \"{model}\", \"messages\": \
         [{{\"role\": \"user\", \"content\": \"Hello!\"}}]}}'\n"
    ));
}
