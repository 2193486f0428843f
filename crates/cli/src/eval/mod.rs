//! `gptoss eval`: benchmarks, scored as lm-evaluation-harness scores them.
//!
//! Reading order: `tasks` (names to tasks), `data` (their documents), `subject` (the model and
//! what is recorded of it), `args` (the flags of a run), `progress` (how far it is), `run`,
//! `summary` (what came out), `verify` (a part of it again), `compare` (runs side by side), `list`
//! (which tasks there are).

mod args;
mod compare;
mod data;
mod list;
mod progress;
mod run;
mod subject;
mod summary;
mod tasks;
mod verify;

use std::process::ExitCode;

use clap::{Args, Subcommand};

/// Score a model on benchmarks
///
/// Prompts and scores are those of lm-evaluation-harness 0.4.13, digit by digit. Every finished
/// document is appended to a results file; a run that was stopped at any moment goes on with
/// --resume. What questions have in common is computed once.
#[derive(Args)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "\
Examples:
  gptoss eval list
  gptoss eval nano --tasks arc_easy,arc_challenge --data benchmarks
  gptoss eval ./smollm2.gguf --tasks mmlu_continuation --limit 100 -o run.jsonl
  gptoss eval gpt-oss-20b --tasks mmlu_reasoning,gsm8k_reasoning --effort low --repeats 4
  gptoss eval compare run.jsonl other.jsonl -o report.html
  gptoss eval verify run.jsonl --data benchmarks

A model that reasons before it answers is asked in conversations: the tasks whose names end in
`_reasoning`. Exit codes: 0 done, 1 `verify` found a difference, 2 an error, 130 interrupted."
)]
pub struct EvalArgs {
    #[command(subcommand)]
    of: Option<Of>,
    #[command(flatten)]
    run: args::RunArgs,
}

/// What is done instead of a run.
#[derive(Subcommand)]
enum Of {
    List(list::ListArgs),
    Compare(compare::CompareArgs),
    Verify(verify::VerifyArgs),
}

/// Runs the command.
pub fn run(args: &EvalArgs) -> anyhow::Result<ExitCode> {
    match &args.of {
        Some(Of::List(args)) => list::run(args),
        Some(Of::Compare(args)) => compare::run(args),
        Some(Of::Verify(args)) => verify::run(args),
        None => run::run(&args.run),
    }
}
