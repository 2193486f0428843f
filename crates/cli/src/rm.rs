//! `gptoss rm`: deletes a model from the store or the cache.

use std::io::{BufRead as _, IsTerminal as _, Write as _, stderr, stdin, stdout};
use std::process::ExitCode;

use anyhow::bail;
use clap::Args;
use gptoss_checkpoint::embedded;
use gptoss_hub::{Hub, Removal};

use crate::pull::size_text;
use crate::terminal::{say, say_part};

/// Delete a model from this machine
#[derive(Args)]
#[command(after_help = "Examples:
  gptoss rm openai/gpt-oss-20b
  gptoss rm openai/gpt-oss-20b@6cee5e8 --yes
  gptoss rm small

The cache is shared with Python tools: what is deleted there is gone for them too.
A name that `pull --name` gave stands for files of the cache; deleting it frees the name only.")]
pub struct RmArgs {
    /// A name of the store, ORG/NAME of the cache, or ORG/NAME@REVISION
    name: String,
    /// Do not ask
    #[arg(short, long)]
    yes: bool,
}

/// Runs the command.
pub fn run(args: &RmArgs) -> anyhow::Result<ExitCode> {
    if args.name == embedded::NANO {
        bail!("nano is part of this program and cannot be deleted");
    }
    let hub = Hub::from_env()?;
    let removal = hub.plan_removal(&args.name)?;
    if !args.yes && !is_agreed(&removal)? {
        say("nothing was deleted");
        return Ok(ExitCode::from(1));
    }
    let bytes = hub.remove(&removal)?;
    let name = &removal.name;
    let line = match removal.is_name_only {
        true => format!("deleted the name {name}; its files stay in the cache"),
        false => format!("deleted {name}, freed {bytes} bytes ({})", size_text(bytes)),
    };
    writeln!(stdout(), "{line}")?;
    Ok(ExitCode::SUCCESS)
}

/// Asks on the terminal.
fn is_agreed(removal: &Removal) -> anyhow::Result<bool> {
    if !(stdin().is_terminal() && stderr().is_terminal()) {
        bail!("{}: deleting needs --yes where nobody can be asked", removal.name);
    }
    let what = match removal.is_name_only {
        true => format!("the name {}", removal.name),
        false => format!("{} ({})", removal.name, size_text(removal.bytes)),
    };
    let names = match removal.store_names.as_slice() {
        [] => String::new(),
        names => format!(" and what stands for it: {}", names.join(", ")),
    };
    say_part(&format!("delete {what}{names}? [y/N] "));
    stderr().flush()?;
    let mut answer = String::new();
    stdin().lock().read_line(&mut answer)?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}
