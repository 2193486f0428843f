//! A run: tasks on a model, into a results file.

use std::io::{Write as _, stdout};
use std::path::Path;
use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Context as _, bail};
use gptoss_engine::PromptSetting;
use gptoss_eval::EvalError;
use gptoss_eval::engine_model::EngineModel;
use gptoss_eval::model::EvalModel as _;
use gptoss_eval::request::Questions;
use gptoss_eval::results::{Manifest, Sample, Session, Store, TaskRecord, read};
use gptoss_eval::run::{Run, run_task};
use gptoss_eval::task::Task;

use super::args::RunArgs;
use super::data::Benchmarks;
use super::progress::View;
use super::subject::Subject;
use super::summary;
use super::tasks;
use crate::bench::stop_on_interrupt;
use crate::terminal::say;

/// A task with its questions.
struct Planned {
    task: Task,
    questions: Questions,
}

/// Runs the command.
pub fn run(args: &RunArgs) -> anyhow::Result<ExitCode> {
    if args.tasks.is_empty() {
        bail!("--tasks is missing: `gptoss eval list` shows which there are");
    }
    let output = args.output();
    check_output(&output, args.resume)?;
    let asked = tasks::all(&args.tasks)?;
    args.check(&asked)?;
    let benchmarks = Benchmarks::open(args.data.as_deref())?;
    let mut records = Vec::new();
    let mut planned = Vec::new();
    for asked in &asked {
        let questions = benchmarks.questions(&asked.task, &args.prompts())?;
        records.push(TaskRecord::new(&asked.task, asked.family.as_ref(), &questions));
        planned.push(Planned { task: asked.task.clone(), questions });
    }
    let stop = stop_on_interrupt()?;
    let subject = Subject::load(&args.setting())?;
    if args.sampling().effort.is_some()
        && let Some(why) = PromptSetting::Effort.why_not(&subject.engine)
    {
        bail!("{}: not supported: --effort; {why}", args.model);
    }
    if let Some(warning) = tasks::warning(&subject.engine, &asked) {
        say(&warning);
    }
    let manifest = Manifest {
        tasks: records,
        limit: args.limit,
        shots_seed: args.fewshot_seed,
        environment: subject.environment(),
        ..Manifest::new(&args.run_name(), subject.record.clone(), args.sampling())
    };
    let model = subject.model(&stop)?;
    let store = Store::open(&output, &manifest)?;
    let mut work = Work { model, store, manifest };
    let is_finished = work.run(&planned)?;
    drop(work);
    finish(args, &output, is_finished)
}

/// Refuses to write into a file that nobody said to go on with.
fn check_output(path: &Path, resume: bool) -> anyhow::Result<()> {
    let there = std::fs::metadata(path).is_ok_and(|found| found.len() > 0);
    if there && !resume {
        let path = path.display();
        bail!("{path} is there already: --resume goes on with it, --output names another file");
    }
    Ok(())
}

/// A model, its file, and what is to be done.
struct Work {
    model: EngineModel,
    store: Store,
    manifest: Manifest,
}

impl Work {
    /// Runs what is missing of each task; false if it was interrupted.
    fn run(&mut self, planned: &[Planned]) -> anyhow::Result<bool> {
        let records = &self.manifest.tasks;
        let total = records.iter().map(|task| task.docs * self.manifest.repeats(task)).sum();
        let mut view = View::new(total, self.store.done_len());
        for Planned { task, questions } in planned {
            view.begin(&task.name);
            let outcome = self.run_one(task, questions, &mut view);
            if matches!(outcome, Err(EvalError::Interrupted)) {
                view.finish();
                return Ok(false);
            }
            outcome.inspect_err(|_| view.finish())?;
        }
        view.finish();
        Ok(true)
    }

    /// Runs what is missing of a task, and records what it cost even if it fails.
    fn run_one(
        &mut self,
        task: &Task,
        questions: &Questions,
        view: &mut View,
    ) -> Result<(), EvalError> {
        let before = self.model.cost();
        let start = Instant::now();
        let mut session = Session::default();
        let mut progress = |sample: &Sample| {
            session.samples += 1;
            session.generated_tokens += sample.tokens();
            view.sample(sample);
        };
        let outcome = run_task(
            &mut Run {
                model: &mut self.model,
                log: &mut self.store,
                sampling: &self.manifest.sampling,
                progress: &mut progress,
            },
            task,
            &questions.questions,
        );
        let after = self.model.cost();
        session.seconds = start.elapsed().as_secs_f64();
        session.naive_tokens = after.naive_tokens - before.naive_tokens;
        session.computed_tokens = after.computed_tokens - before.computed_tokens;
        if session.samples > 0 {
            self.store.finish(&session)?;
        }
        outcome
    }
}

/// Prints what came out, or how to go on.
fn finish(args: &RunArgs, output: &Path, is_finished: bool) -> anyhow::Result<ExitCode> {
    let stored = read(output)?;
    if !is_finished {
        let (path, count) = (output.display(), stored.samples.len());
        say(&format!(
            "gptoss: interrupted; {count} answers are in {path}, and the same command with \
             --resume goes on"
        ));
        return Ok(ExitCode::from(130));
    }
    let text = if args.json { summary::json(&stored)? } else { summary::table(&stored) };
    stdout().write_all(text.as_bytes()).context("standard output")?;
    for line in summary::costs(&stored) {
        say(&line);
    }
    say(&format!("gptoss: every answer is in {}", output.display()));
    Ok(ExitCode::SUCCESS)
}
