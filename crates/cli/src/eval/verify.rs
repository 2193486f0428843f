//! `gptoss eval verify`: a random part of a results file once more, bit by bit.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Write as _, stdout};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use clap::{Args, ValueEnum as _};
use gptoss_engine::EngineOptions;
use gptoss_eval::EvalError;
use gptoss_eval::request::{PromptOptions, Question};
use gptoss_eval::results::{
    Key, ModelRecord, Rerun, Stored, TaskRecord, Verification, choose, compare, read,
};
use gptoss_eval::run::{Run, run_task};
use gptoss_eval::task::Task;

use super::data::Benchmarks;
use super::subject::{Setting, Subject};
use super::tasks;
use crate::bench::stop_on_interrupt;
use crate::machine::MachineArgs;
use crate::model_args::{CacheArg, PrecisionArg};
use crate::terminal::say;

/// Run a random part of a results file again, and compare
///
/// Model, tokenizer, tasks and data have to be those that the file records, by their hashes; the
/// same program then gives the same bits on any machine with any number of threads. The exit code
/// is 1 if something differs.
#[derive(Args)]
#[command(after_help = "\
Examples:
  gptoss eval verify run.jsonl --data benchmarks
  gptoss eval verify run.jsonl --count 500 --seed 7 --model ./copy.gguf")]
pub struct VerifyArgs {
    /// Results file
    file: PathBuf,
    /// Answers to run again, at most
    #[arg(short = 'n', long, value_name = "COUNT", default_value_t = 50)]
    count: usize,
    /// Seed of their choice
    #[arg(long, value_name = "NUMBER", default_value_t = 0)]
    seed: u64,
    /// Distance of two log-likelihoods that is no difference, for another version of the program
    #[arg(long, value_name = "DISTANCE", default_value_t = 0.0)]
    tolerance: f64,
    /// Folder of the benchmarks [default: fetched from the hub]
    #[arg(long, value_name = "FOLDER")]
    data: Option<PathBuf>,
    /// Files of tasks that do not come with the program
    #[arg(long, value_name = "FILES", value_delimiter = ',')]
    tasks: Vec<String>,
    /// Where the model is [default: where the file says]
    #[arg(short, long, value_name = "MODEL")]
    model: Option<String>,
    #[command(flatten)]
    machine: MachineArgs,
}

/// A task and those of its questions that are asked again.
struct Again {
    task: Task,
    questions: Vec<Question>,
}

/// Runs the command.
pub fn run(args: &VerifyArgs) -> anyhow::Result<ExitCode> {
    if args.tolerance.is_nan() || args.tolerance < 0.0 {
        bail!("--tolerance: expected 0 or more");
    }
    let stored = read(&args.file)?;
    let keys = choose(&stored, args.count, args.seed);
    if keys.is_empty() {
        bail!("{}: no answers to verify", args.file.display());
    }
    let again = again(args, &stored, &keys)?;
    let record = &stored.manifest.model;
    let subject = Subject::load(&setting(args, record)?)?;
    check_model(record, &subject.record)?;
    let stop = stop_on_interrupt()?;
    let mut model = subject.model(&stop)?;
    let mut log = Rerun::new(keys);
    for Again { task, questions } in &again {
        let progress = &mut |_: &_| ();
        let sampling = &stored.manifest.sampling;
        let mut run = Run { model: &mut model, log: &mut log, sampling, progress };
        match run_task(&mut run, task, questions) {
            Err(EvalError::Interrupted) => {
                say("gptoss: interrupted; nothing was compared");
                return Ok(ExitCode::from(130));
            }
            outcome => outcome?,
        }
    }
    let found = compare(&stored, &log.samples, args.tolerance);
    print(&found)?;
    Ok(ExitCode::from(u8::from(!found.differences.is_empty())))
}

/// The tasks of the chosen answers, with their questions.
fn again(args: &VerifyArgs, stored: &Stored, keys: &[Key]) -> anyhow::Result<Vec<Again>> {
    let manifest = &stored.manifest;
    let mut docs: BTreeMap<&str, BTreeSet<usize>> = BTreeMap::new();
    for key in keys {
        docs.entry(&key.task).or_default().insert(key.doc);
    }
    let benchmarks = Benchmarks::open(args.data.as_deref())?;
    let mut all = Vec::new();
    for record in &manifest.tasks {
        let Some(wanted) = docs.get(record.name.as_str()) else { continue };
        let task = task(args, record)?;
        let options = PromptOptions {
            shots: Some(record.shots),
            seed: manifest.shots_seed,
            limit: manifest.limit,
        };
        let questions = benchmarks.questions(&task, &options)?;
        if questions.data_sha256 != record.data_sha256 {
            bail!("`{}`: the data is another than that of the file", record.name);
        }
        let questions = questions.questions.into_iter();
        let questions = questions.filter(|question| wanted.contains(&question.doc)).collect();
        all.push(Again { task, questions });
    }
    Ok(all)
}

/// The task of a record, out of the given files or of those that come with the program.
fn task(args: &VerifyArgs, record: &TaskRecord) -> anyhow::Result<Task> {
    for name in &args.tasks {
        let found = tasks::one(name)?.tasks.into_iter().find(|task| task.name == record.name);
        if let Some(task) = found {
            return same(task, record);
        }
    }
    let set = tasks::one(&record.name).context("--tasks names files of other tasks")?;
    let task = set.tasks.into_iter().find(|task| task.name == record.name);
    same(task.with_context(|| format!("no task `{}`", record.name))?, record)
}

fn same(task: Task, record: &TaskRecord) -> anyhow::Result<Task> {
    if *task.sha256 != *record.file_sha256 {
        bail!("`{}`: the task file is another than that of the run", record.name);
    }
    Ok(task)
}

/// How the model is asked, as the file records it.
fn setting<'a>(args: &'a VerifyArgs, record: &'a ModelRecord) -> anyhow::Result<Setting<'a>> {
    let unknown = |what: &str, found: &str| {
        anyhow::anyhow!("{}: unknown {what} `{found}`", args.file.display())
    };
    let precision = PrecisionArg::from_str(&record.precision, false)
        .map_err(|_| unknown("precision", &record.precision))?;
    let cache = CacheArg::from_str(&record.kv_cache, false)
        .map_err(|_| unknown("cache", &record.kv_cache))?;
    Ok(Setting {
        name: args.model.as_deref().unwrap_or(&record.name),
        machine: &args.machine,
        options: EngineOptions {
            precision: precision.into(),
            cache: Some(cache.into()),
            ..EngineOptions::default()
        },
        max_length: Some(record.max_length),
        cut: &record.cut,
        begins: Some(record.begins),
        sequences_max: 64,
    })
}

fn check_model(expected: &ModelRecord, found: &ModelRecord) -> anyhow::Result<()> {
    let pairs = [
        ("model", &expected.sha256, &found.sha256),
        ("tokenizer", &expected.tokenizer_sha256, &found.tokenizer_sha256),
    ];
    for (what, expected, found) in pairs {
        if expected != found {
            bail!("the {what} is another: expected sha256 {expected}, found {found}");
        }
    }
    Ok(())
}

fn print(found: &Verification) -> std::io::Result<()> {
    let mut out = stdout().lock();
    for difference in &found.differences {
        let (task, doc, repeat) = (&difference.task, difference.doc, difference.repeat);
        writeln!(out, "{task} {doc}.{repeat}: {}", difference.message)?;
    }
    writeln!(
        out,
        "{} of {} answers are the same, bit by bit; {} differ, the largest distance of two \
         log-likelihoods is {}",
        found.identical,
        found.compared,
        found.differences.len(),
        found.logprob_distance_max
    )
}
