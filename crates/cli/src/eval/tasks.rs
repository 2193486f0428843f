//! Names of tasks to tasks.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::bail;
use gptoss_engine::Engine;
use gptoss_eval::EvalError;
use gptoss_eval::task::{Family, Kind, Task, TaskSet, builtin_sources, find};
use gptoss_hub::near_names;

/// The ending of task files.
const FILE_ENDING: &str = "toml";

/// A task and the family that it was asked for with.
pub struct Asked {
    /// The task.
    pub task: Task,
    /// Its family, if the whole of it or a group was asked for.
    pub family: Option<Family>,
}

/// The tasks of these names or files, in this order.
///
/// # Errors
/// For a name that is unknown, a file that is no task, and a task that is asked for twice.
pub fn all(names: &[String]) -> anyhow::Result<Vec<Asked>> {
    let mut tasks = Vec::new();
    let mut seen = BTreeSet::new();
    for name in names {
        let TaskSet { tasks: found, family } = one(name)?;
        for task in found {
            if !seen.insert(task.name.clone()) {
                bail!("--tasks: `{}` is asked for twice", task.name);
            }
            tasks.push(Asked { task, family: family.clone() });
        }
    }
    Ok(tasks)
}

/// The tasks of one name or file.
///
/// # Errors
/// For a name that is unknown, with those that resemble it, and a file that is no task.
pub fn one(name: &str) -> anyhow::Result<TaskSet> {
    let path = Path::new(name);
    if path.extension().is_some_and(|ending| ending == FILE_ENDING) {
        return Ok(TaskSet::open(path)?);
    }
    find(name).map_err(|error| match error {
        EvalError::UnknownTask { name, .. } => unknown(&name),
        error => error.into(),
    })
}

fn unknown(name: &str) -> anyhow::Error {
    let near = near_names(name, every_name().iter());
    let hint = match near.is_empty() {
        true => String::new(),
        false => format!("did you mean {}? ", near.join(" or ")),
    };
    anyhow::anyhow!(
        "unknown task `{name}`; {hint}`gptoss eval list` shows all, and a file of your own ends \
         in .{FILE_ENDING}"
    )
}

/// Names of all tasks, groups and families that come with the program.
fn every_name() -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for (file, text) in builtin_sources() {
        let Ok(TaskSet { tasks, family }) = TaskSet::parse(file, text) else { continue };
        names.extend(tasks.into_iter().map(|task| task.name));
        let groups = family.into_iter().flat_map(|f| std::iter::once(f.all).chain(f.parts));
        names.extend(groups.map(|group| group.name));
    }
    names
}

/// Why scores of these tasks say little about this model, if they do: a model that was trained to
/// reason in conversations is asked to continue bare text.
pub fn warning(engine: &Engine, tasks: &[Asked]) -> Option<String> {
    let is_bare = |asked: &&Asked| asked.task.file.kind != Kind::Chat;
    let bare = tasks.iter().find(is_bare)?;
    engine.harmony().ok()?;
    let name = &bare.task.name;
    let stems = ["mmlu", "arc_easy", "arc_challenge", "gsm8k"];
    let instead = stems.iter().find(|stem| name.starts_with(*stem));
    let instead = match instead {
        Some(stem) => format!("use `{stem}_reasoning` instead"),
        None => "ask it in a conversation (a task of kind `chat`) instead".to_owned(),
    };
    Some(format!(
        "gptoss: warning: this model answers in conversations, and `{name}` asks it to continue \
         bare text, which misjudges such models; {instead}"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_names_have_neighbours() {
        let error = |name: &str| all(&[name.to_owned()]).err().unwrap().to_string();
        assert!(error("arc_eazy").contains("did you mean arc_easy"), "{}", error("arc_eazy"));
        assert!(error("mmlu_stm").contains("mmlu_stem"), "{}", error("mmlu_stm"));
        let far = error("something else entirely");
        assert!(!far.contains("did you mean") && far.contains("gptoss eval list"), "{far}");
        assert!(error("no such file.toml").contains("no such file.toml"));
    }

    #[test]
    fn a_task_is_run_once() {
        let names = ["mmlu_stem", "mmlu_anatomy"].map(String::from);
        let error = all(&names).err().unwrap().to_string();
        assert!(error.contains("`mmlu_anatomy` is asked for twice"), "{error}");
        assert_eq!(all(&names[..1]).unwrap().len(), 19);
    }
}
