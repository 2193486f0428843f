//! `gptoss bench`: how fast a model runs here, and how much of the machine that is.
//!
//! Reading order: `cost` (bytes and operations of a model), `plan` (which tests), `engine_calls`
//! (what of the engine is measured), `measure` (one test), `row` (its result), `report` (how
//! results are shown).

pub mod cost;
mod engine_calls;
mod measure;
mod plan;
mod report;
mod row;

use std::collections::BTreeSet;
use std::io::{Write as _, stdout};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context as _, bail};
use clap::{Args, Subcommand, ValueEnum};
use gptoss_checkpoint::{Model, Part, write_atomically};
use gptoss_engine::EngineOptions;
use indicatif::ProgressBar;

use crate::bench_serve::{self, BenchServeArgs};
use crate::machine::{Limits, MachineArgs, System};
use crate::model_args::{CacheArg, PrecisionArg};
use crate::opening_args::today;
use crate::terminal::say;
use cost::ModelCost;
use engine_calls::Loaded;
use plan::{Numbers, Test};
use report::{Results, Subject};
pub use report::{gflops, gops, significant};
use row::Row;

/// Measure how fast a model runs, and how much of the machine that is
///
/// Measures what the machine can do at most (bytes read, operations computed), then prompts and
/// decoding. A limit is the speed at which the machine would do nothing but read the weights that
/// a token needs, or nothing but multiply.
#[derive(Args)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "\
Examples:
  gptoss bench
  gptoss bench gpt-oss-20b --prefill 512 --decode 64 --repetitions 3
  gptoss bench ./20b.gguf --batch 1,4,16 --json --output 20b.json
  gptoss bench ./20b.gguf --vs llama-bench

The smallest batch is decoded at every depth, larger ones at the first.
Tests of the defaults that are longer than the model's context are left out.
Ctrl-C ends it after the step that is going on, and shows what was measured."
)]
pub struct BenchArgs {
    #[command(subcommand)]
    of: Option<Of>,
    /// Model: nano (built in), a file or folder, a name in the local store, or a cached repository
    #[arg(default_value = "nano")]
    model: String,
    /// Lengths of prompts; 0 for none [default: 512,2048]
    #[arg(long, value_name = "TOKENS", value_delimiter = ',')]
    prefill: Option<Vec<usize>>,
    /// Tokens to decode; 0 for none
    #[arg(long, value_name = "TOKENS", default_value_t = 128)]
    decode: usize,
    /// Tokens in the context before decoding begins [default: 0,4096]
    #[arg(long, value_name = "TOKENS", value_delimiter = ',')]
    depth: Option<Vec<usize>>,
    /// Sequences that are decoded together
    #[arg(long, value_name = "COUNT", value_delimiter = ',', default_value = "1,4,16",
        value_parser = clap::value_parser!(u16).range(1..=1024))]
    batch: Vec<u16>,
    /// How often each test is measured, after one run to warm up
    #[arg(short, long, value_name = "COUNT", default_value_t = 5,
        value_parser = clap::value_parser!(u16).range(1..=1000))]
    repetitions: u16,
    #[command(flatten)]
    machine: MachineArgs,
    /// Activations that MXFP4, Q8_0, Q4_0 and Q4_1 weights meet: eight bits, or f32
    #[arg(long, value_name = "HOW", default_value = "fast")]
    precision: PrecisionArg,
    /// Numbers of the KV cache [default: f16; f32 with --precision exact]
    #[arg(long, value_name = "TYPE")]
    kv_cache: Option<CacheArg>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
    /// Print one line a test for a spreadsheet
    #[arg(long, conflicts_with = "json")]
    csv: bool,
    /// Write JSON or CSV to a file, as its name ends or --json or --csv says
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Show where the time went, part by part
    #[arg(long)]
    profile: bool,
    /// Print the table of another program, to be put beside its own
    #[arg(long, value_enum, conflicts_with_all = ["json", "csv"])]
    vs: Option<Other>,
}

/// What is measured instead of a model in this program.
#[derive(Subcommand)]
enum Of {
    Serve(BenchServeArgs),
}

/// Programs whose table can be printed.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Other {
    /// llama.cpp's
    LlamaBench,
}

/// What is made of the results.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Shape {
    Json,
    Csv,
}

/// Runs the command.
pub fn run(args: &BenchArgs) -> anyhow::Result<ExitCode> {
    match &args.of {
        Some(Of::Serve(args)) => bench_serve::run(args),
        None => run_model(args),
    }
}

/// Measures a model in this program.
fn run_model(args: &BenchArgs) -> anyhow::Result<ExitCode> {
    let file = args.output.as_deref().map(|path| anyhow::Ok((path, file_shape(args, path)?)));
    let file = file.transpose()?;
    let options = EngineOptions {
        threads: args.machine.threads,
        isa: args.machine.isa,
        precision: args.precision.into(),
        cache: args.kv_cache.map(Into::into),
        ..EngineOptions::default()
    };
    let loaded = engine_calls::load(&args.model, options)?;
    let numbers = Numbers {
        prefill: args.prefill.clone(),
        decode: args.decode,
        depth: args.depth.clone(),
        batch: args.batch.iter().map(|batch| usize::from(*batch)).collect(),
    };
    let tests = numbers.tests(loaded.engine.config().max_position_embeddings)?;
    if args.profile {
        engine_calls::profile_start(&loaded.engine);
    }
    let stop = stop_on_interrupt()?;
    let system = System::read(Path::new("/"));
    let subject = subject(&args.model, &loaded, &system)?;
    let limits = Limits::measure(loaded.threads, loaded.isa, &system);
    // A file in JSON or CSV leaves standard output to people.
    let shown = match (args.json, args.csv, &file) {
        (true, _, None) => Some(Shape::Json),
        (_, true, None) => Some(Shape::Csv),
        _ => None,
    };
    let mut rows = Vec::new();
    let table = Table { subject: &subject, limits: &limits, vs: args.vs, silent: shown.is_some() };
    let outcome = measure_all(&loaded, &tests, args, &stop, &table, &mut rows);
    let profile = match args.profile {
        true => engine_calls::profile_take(&loaded.engine),
        false => Vec::new(),
    };
    let results = Results { subject: &subject, limits: &limits, rows: &rows, profile: &profile };
    if args.profile && shown.is_none() {
        stdout().write_all(report::profile_table(&profile).as_bytes())?;
    }
    if let Some(shape) = shown {
        stdout().write_all(text_of(shape, &results).as_bytes())?;
    }
    if let Some((path, shape)) = file {
        let text = text_of(shape, &results);
        write_atomically(path, |out| out.write_all(text.as_bytes()))
            .with_context(|| format!("{}: cannot be written", path.display()))?;
    }
    outcome?;
    if stop.load(Ordering::SeqCst) {
        say("gptoss: interrupted; only finished tests are shown");
        return Ok(ExitCode::from(130));
    }
    Ok(ExitCode::SUCCESS)
}

/// What a file is to hold.
fn file_shape(args: &BenchArgs, path: &Path) -> anyhow::Result<Shape> {
    let ending = path.extension().and_then(|ending| ending.to_str());
    match (args.json, args.csv, ending) {
        (true, _, _) | (_, false, Some("json")) => Ok(Shape::Json),
        (_, true, _) | (_, _, Some("csv")) => Ok(Shape::Csv),
        _ => bail!(
            "{}: expected a name that ends in .json or .csv, or --json or --csv",
            path.display()
        ),
    }
}

fn text_of(shape: Shape, results: &Results<'_>) -> String {
    match shape {
        Shape::Json => format!("{:#}\n", report::to_json(results)),
        Shape::Csv => report::csv(results),
    }
}

/// A flag that the first Ctrl-C sets; the second one ends the program.
pub fn stop_on_interrupt() -> anyhow::Result<Arc<AtomicBool>> {
    let stop = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&stop);
    ctrlc::set_handler(move || {
        if flag.swap(true, Ordering::SeqCst) {
            std::process::exit(130);
        }
    })
    .context("cannot watch for Ctrl-C")?;
    Ok(stop)
}

/// A table that grows by a row when a test is finished.
struct Table<'a> {
    subject: &'a Subject,
    limits: &'a Limits,
    vs: Option<Other>,
    silent: bool,
}

impl Table<'_> {
    fn heading(&self) -> std::io::Result<()> {
        let text = match self.vs {
            Some(Other::LlamaBench) => report::llama_bench_heading(),
            None => report::heading(self.subject, self.limits),
        };
        self.write(&text)
    }

    fn row(&self, row: &Row) -> std::io::Result<()> {
        let text = match self.vs {
            Some(Other::LlamaBench) => {
                report::llama_bench_line(self.subject, self.limits.threads, row)
            }
            None => report::line(row),
        };
        self.write(&text)
    }

    fn write(&self, text: &str) -> std::io::Result<()> {
        if self.silent {
            return Ok(());
        }
        let mut out = stdout().lock();
        out.write_all(text.as_bytes())?;
        out.flush()
    }
}

/// Runs the tests until one fails or Ctrl-C; finished ones are in `rows`.
fn measure_all(
    loaded: &Loaded,
    tests: &[Test],
    args: &BenchArgs,
    stop: &AtomicBool,
    table: &Table<'_>,
    rows: &mut Vec<Row>,
) -> anyhow::Result<()> {
    let cost = ModelCost::of_model(loaded.engine.model());
    table.heading()?;
    for test in tests.iter().take_while(|_| !stop.load(Ordering::SeqCst)) {
        // Nothing is drawn while the clock runs, and nothing at all but on a terminal.
        let bar = ProgressBar::new_spinner().with_message(format!("measuring {test}"));
        bar.tick();
        let rates = measure::run(loaded, test, usize::from(args.repetitions), stop);
        bar.finish_and_clear();
        let limit = row::limit(&cost, test, loaded.computing, &table.limits.all);
        if let Some(row) = Row::new(*test, rates?, limit) {
            table.row(&row)?;
            rows.push(row);
        }
    }
    Ok(())
}

/// What all rows have in common.
fn subject(name: &str, loaded: &Loaded, system: &System) -> anyhow::Result<Subject> {
    let model = loaded.engine.model();
    // A path is too long for a table; its last part tells models apart.
    let short = Path::new(name).file_name().and_then(|name| name.to_str()).unwrap_or(name);
    Ok(Subject {
        machine: system.processor.clone().unwrap_or_else(|| "unknown processor".to_owned()),
        date: today().map_err(anyhow::Error::msg)?,
        model: short.to_owned(),
        bytes: model.weight_bytes(),
        parameters: model.config.parameters().total,
        formats: formats(model),
        precision: loaded.computing.precision.name(),
    })
}

/// The formats of the matrices of each layer.
fn formats(model: &Model) -> String {
    let uses = model.formats();
    let of = |part: Part| {
        let found: BTreeSet<&str> =
            uses.iter().filter(|row| row.part == part).map(|row| row.format).collect();
        found.into_iter().collect::<Vec<_>>().join(" and ")
    };
    let attention = of(Part::Attention);
    let (name, most) = match of(Part::Mlp) {
        formats if formats.is_empty() => ("experts", of(Part::Experts)),
        formats => ("perceptron", formats),
    };
    match most == attention {
        true => attention,
        false => format!("{most} {name}, {attention} attention"),
    }
}
