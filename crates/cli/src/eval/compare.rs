//! `gptoss eval compare`: runs side by side.

use std::io::{Write as _, stdout};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use clap::Args;
use gptoss_checkpoint::write_atomically;
use gptoss_eval::compare::{CompareOptions, Comparison, compare, html, markdown};
use gptoss_eval::results::{Stored, read};

use crate::terminal::say;

/// Put runs side by side: scores, significance, cost, and the answers themselves
///
/// The first run is the one that the others are compared with, document by document: McNemar's
/// test, and a bootstrap of the differences. One run alone is reported.
#[derive(Args)]
#[command(after_help = "\
Examples:
  gptoss eval compare run.jsonl
  gptoss eval compare small.jsonl large.jsonl -o report.html
  gptoss eval compare before.jsonl after.jsonl -o report.md -o report.json

A page in HTML is one file that needs no network.")]
pub struct CompareArgs {
    /// Results files
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// File to write, whose name ends in .html, .md or .json; may be repeated [default: Markdown on
    /// standard output]
    #[arg(short, long, value_name = "REPORT")]
    output: Vec<PathBuf>,
    /// Draws of the bootstrap
    #[arg(long, value_name = "COUNT", default_value_t = 2000,
        value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    draws: u32,
    /// Seed of the bootstrap
    #[arg(long, value_name = "NUMBER", default_value_t = 1)]
    seed: u64,
    /// Documents that can be looked at in the page, at most
    #[arg(long, value_name = "COUNT", default_value_t = 400)]
    samples: usize,
}

/// How a comparison is written.
#[derive(Clone, Copy)]
enum Shape {
    Html,
    Markdown,
    Json,
}

impl Shape {
    fn of(path: &Path) -> anyhow::Result<Shape> {
        match path.extension().and_then(|ending| ending.to_str()) {
            Some("html") => Ok(Shape::Html),
            Some("md") => Ok(Shape::Markdown),
            Some("json") => Ok(Shape::Json),
            _ => bail!("{}: expected a name that ends in .html, .md or .json", path.display()),
        }
    }

    fn text(self, comparison: &Comparison) -> String {
        match self {
            Shape::Html => html(comparison),
            Shape::Markdown => markdown(comparison),
            Shape::Json => comparison.to_json() + "\n",
        }
    }
}

/// Runs the command.
pub fn run(args: &CompareArgs) -> anyhow::Result<ExitCode> {
    let shapes = args.output.iter().map(|path| Shape::of(path));
    let shapes = shapes.collect::<anyhow::Result<Vec<Shape>>>()?;
    let stored = args.files.iter().map(|path| read(path)).collect::<Result<Vec<Stored>, _>>()?;
    let options = CompareOptions {
        draws: args.draws as usize,
        seed: args.seed,
        browsed_max: args.samples,
        ..CompareOptions::default()
    };
    let comparison = compare(&stored, &options);
    if shapes.is_empty() {
        stdout().write_all(markdown(&comparison).as_bytes())?;
    }
    for (path, shape) in args.output.iter().zip(shapes) {
        let text = shape.text(&comparison);
        write_atomically(path, |out| out.write_all(text.as_bytes()))
            .with_context(|| format!("{}: cannot be written", path.display()))?;
        say(&format!("gptoss: {} is written", path.display()));
    }
    Ok(ExitCode::SUCCESS)
}
