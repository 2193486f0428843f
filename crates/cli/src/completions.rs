//! `gptoss completions` and `gptoss man`: from the same table as `--help`.

use std::fs;
use std::io;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Args, CommandFactory};
use clap_complete::Shell;

use crate::Cli;

/// Print completions for a shell
#[derive(Args)]
#[command(after_help = "Examples:
  gptoss completions bash > ~/.local/share/bash-completion/completions/gptoss
  gptoss completions zsh > ~/.zfunc/_gptoss
  gptoss completions fish > ~/.config/fish/completions/gptoss.fish")]
pub struct CompletionsArgs {
    /// The shell
    shell: Shell,
}

/// Print the manual page, or write one page for each command
#[derive(Args)]
#[command(after_help = "Examples:
  gptoss man | man -l -
  gptoss man --output ~/.local/share/man/man1")]
pub struct ManArgs {
    /// Folder to write gptoss.1, gptoss-chat.1, … to
    #[arg(short, long, value_name = "FOLDER")]
    output: Option<PathBuf>,
}

/// Runs `completions`.
pub fn run_completions(args: &CompletionsArgs) -> anyhow::Result<ExitCode> {
    // Into memory first: the generator panics when the reader of a pipe goes away.
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "gptoss", &mut script);
    io::Write::write_all(&mut io::stdout().lock(), &script)?;
    Ok(ExitCode::SUCCESS)
}

/// Runs `man`.
pub fn run_man(args: &ManArgs) -> anyhow::Result<ExitCode> {
    let command = Cli::command();
    let Some(folder) = &args.output else {
        clap_mangen::Man::new(command).render(&mut io::stdout().lock())?;
        return Ok(ExitCode::SUCCESS);
    };
    let context = || format!("{}: cannot be written", folder.display());
    fs::create_dir_all(folder).with_context(context)?;
    clap_mangen::generate_to(command, folder).with_context(context)?;
    Ok(ExitCode::SUCCESS)
}
