//! `gptoss eval list`: which tasks there are.

use std::io::Write as _;
use std::process::ExitCode;

use clap::Args;
use gptoss_eval::EvalError;
use gptoss_eval::task::{Kind, TaskSet, builtin_source, builtin_sources};
use serde_json::{Value, json};

/// List the tasks, or print the file of one
///
/// A task file that was printed can be changed and run: docs/evaluation.md describes the format.
#[derive(Args)]
#[command(after_help = "\
Examples:
  gptoss eval list
  gptoss eval list --file arc_easy > my_task.toml
  gptoss eval nano --tasks my_task.toml --data benchmarks")]
pub struct ListArgs {
    /// Print the file of this task, to be copied
    #[arg(long, value_name = "NAME")]
    file: Option<String>,
    /// Print a JSON list
    #[arg(long, conflicts_with = "file")]
    json: bool,
}

/// A task file as it is listed.
struct Row {
    name: &'static str,
    about: String,
    set: TaskSet,
}

/// Runs the command.
pub fn run(args: &ListArgs) -> anyhow::Result<ExitCode> {
    let mut out = std::io::stdout().lock();
    if let Some(name) = &args.file {
        let text = builtin_source(name).ok_or_else(|| {
            let names: Vec<&str> = builtin_sources().iter().map(|(name, _)| *name).collect();
            anyhow::anyhow!("no task file is called `{name}`; there are {}", names.join(", "))
        })?;
        out.write_all(text.as_bytes())?;
        return Ok(ExitCode::SUCCESS);
    }
    let rows = builtin_sources().iter().map(|(name, text)| row(name, text));
    let rows = rows.collect::<Result<Vec<Row>, EvalError>>()?;
    if args.json {
        let all: Vec<Value> = rows.iter().map(Row::json).collect();
        writeln!(out, "{:#}", Value::from(all))?;
        return Ok(ExitCode::SUCCESS);
    }
    let width = rows.iter().map(|row| row.name.len()).max().unwrap_or(0);
    for row in &rows {
        writeln!(out, "{:width$}  {:<17}{}", row.name, row.kind(), row.about)?;
        if let Some(family) = &row.set.family {
            let groups: Vec<&str> = family.parts.iter().map(|part| part.name.as_str()).collect();
            let one = row.set.tasks.first().map_or("", |task| task.name.as_str());
            writeln!(out, "{:width$}  groups {}; subjects such as {one}", "", groups.join(", "))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn row(name: &'static str, text: &'static str) -> Result<Row, EvalError> {
    Ok(Row { name, about: about(text), set: TaskSet::parse(name, text)? })
}

/// The first sentence of the comment that a file begins with.
fn about(text: &str) -> String {
    let lines = text.lines().map_while(|line| line.strip_prefix("# "));
    let comment = lines.collect::<Vec<_>>().join(" ");
    let sentence = comment.split(". ").next().unwrap_or_default();
    sentence.trim_end_matches('.').to_owned()
}

impl Row {
    fn kind(&self) -> &'static str {
        match self.set.tasks.first().map(|task| task.file.kind) {
            Some(Kind::MultipleChoice) => "log-likelihoods",
            Some(Kind::Generate) => "generated text",
            Some(Kind::Chat) => "conversation",
            None => "",
        }
    }

    fn json(&self) -> Value {
        let first = self.set.tasks.first();
        let data = first.map(|task| &task.file.data);
        let tasks: Vec<&str> = self.set.tasks.iter().map(|task| task.name.as_str()).collect();
        let groups = self.set.family.iter().flat_map(|family| &family.parts);
        json!({
            "name": self.name,
            "about": self.about,
            "kind": self.kind(),
            "shots": first.map(|task| task.file.shots.count),
            "hub": data.and_then(|data| data.hub.as_deref()),
            "folder": data.map(|data| data.folder.as_str()),
            "tasks": tasks,
            "groups": groups.map(|group| group.name.as_str()).collect::<Vec<_>>(),
        })
    }
}
