//! The program `gptoss`: flags to calls, results to standard output, errors to standard error.
//!
//! Exit codes: 0 done, 1 a negative result (a check that failed), 2 an error. A reader that
//! closes the pipe early is not an error.

#![forbid(unsafe_code)]

mod bench;
mod bench_serve;
mod chat;
mod completions;
mod doctor;
mod eval;
mod generate;
mod generate_json;
mod generate_raw;
mod harmony;
mod list;
mod logits;
mod machine;
mod model_args;
mod notices;
mod opening_args;
mod pull;
mod rendered_args;
mod rm;
mod sampling_args;
mod serve;
mod show;
mod synth;
mod template;
mod terminal;
mod tokenizer_args;
mod tokens;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Run OpenAI's open-weight gpt-oss models, and dense models of the Llama family, on this machine.
#[derive(Parser)]
#[command(name = "gptoss", version, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

/// One variant a command; each has a file of its own name.
#[derive(Subcommand)]
enum Command {
    Chat(chat::ChatArgs),
    Generate(generate::GenerateArgs),
    Serve(Box<serve::ServeArgs>),
    Logits(logits::LogitsArgs),
    Show(show::ShowArgs),
    Bench(bench::BenchArgs),
    Eval(Box<eval::EvalArgs>),
    Doctor(doctor::DoctorArgs),
    Synth(synth::SynthArgs),
    Pull(pull::PullArgs),
    List(list::ListArgs),
    Rm(rm::RmArgs),
    Tokenize(tokens::TokenizeArgs),
    Detokenize(tokens::DetokenizeArgs),
    Completions(completions::CompletionsArgs),
    Man(completions::ManArgs),
    Harmony(harmony::HarmonyArgs),
    Template(template::TemplateArgs),
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    match run(&cli.command) {
        Ok(code) => code,
        Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            terminal::say(&format!("gptoss: {error:#}"));
            ExitCode::from(2)
        }
    }
}

fn run(command: &Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Chat(args) => chat::run(args),
        Command::Completions(args) => completions::run_completions(args),
        Command::Man(args) => completions::run_man(args),
        Command::Generate(args) => generate::run(args),
        Command::Serve(args) => serve::run(args),
        Command::Logits(args) => logits::run(args),
        Command::Show(args) => show::run(args),
        Command::Bench(args) => bench::run(args),
        Command::Eval(args) => eval::run(args),
        Command::Doctor(args) => doctor::run(args),
        Command::Synth(args) => synth::run(args),
        Command::Pull(args) => pull::run(args),
        Command::List(args) => list::run(args),
        Command::Rm(args) => rm::run(args),
        Command::Tokenize(args) => tokens::tokenize(args),
        Command::Detokenize(args) => tokens::detokenize(args),
        Command::Harmony(args) => harmony::run(args),
        Command::Template(args) => template::run(args),
    }
}

/// Whether the error is a reader that went away, as in `gptoss … | head`.
fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        let broken = |e: std::io::ErrorKind| e == std::io::ErrorKind::BrokenPipe;
        let json = cause.downcast_ref::<serde_json::Error>();
        cause.downcast_ref::<std::io::Error>().is_some_and(|e| broken(e.kind()))
            || json.and_then(serde_json::Error::io_error_kind).is_some_and(broken)
    })
}
