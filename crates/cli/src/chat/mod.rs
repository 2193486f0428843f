//! `gptoss chat`: a conversation in the terminal.
//!
//! Reading order: [`state`] (the conversation and its settings), [`saved`] (its file), [`slash`]
//! (the commands), [`view`] (what is shown), [`repl`] (the loop).

mod repl;
mod saved;
mod slash;
mod state;
mod view;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use crate::model_args::ModelArgs;
use crate::opening_args::OpeningArgs;
use crate::sampling_args::SamplingArgs;

/// Talk to a model
///
/// Answers are shown as they are generated, reasoning dimmed. Ctrl-C stops an answer, Ctrl-D
/// leaves. A line that ends with \ goes on in the next one, and so does everything between two
/// lines of """. /help lists the commands.
#[derive(Args)]
#[command(after_help = "Examples:
  gptoss chat
  gptoss chat --model gpt-oss-20b --effort high
  gptoss chat --load talk.json
  printf 'Hello!\\nWhat is 2 plus 3?\\n' | gptoss chat")]
pub struct ChatArgs {
    #[command(flatten)]
    model: ModelArgs,
    #[command(flatten)]
    sampling: SamplingArgs,
    #[command(flatten)]
    opening: OpeningArgs,
    /// Go on with a saved conversation
    #[arg(long, value_name = "FILE")]
    load: Option<PathBuf>,
    /// Fold reasoning away; /reasoning shows it
    #[arg(long)]
    hide_reasoning: bool,
    /// Do not read or write the file of earlier inputs
    #[arg(long)]
    no_history: bool,
}

/// Runs the command.
pub fn run(args: &ChatArgs) -> anyhow::Result<ExitCode> {
    repl::run(args)
}
