//! One file for many subjects: the tasks of a family, and the groups they are averaged in.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use super::definition::{Task, read};
use super::file::MetricName;
use super::place::Place;
use crate::EvalError;
use crate::data::sha256_hex;

/// Bytes of a task file.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// A group of tasks whose scores are averaged by size.
#[derive(Debug, Clone, PartialEq)]
pub struct TaskGroup {
    /// Its name.
    pub name: String,
    /// Its name in tables.
    pub alias: String,
    /// Names of tasks, in the order of the sums.
    pub tasks: Vec<String>,
}

/// The groups of a family.
#[derive(Debug, Clone, PartialEq)]
pub struct Family {
    /// The group of all tasks.
    pub all: TaskGroup,
    /// Its parts.
    pub parts: Vec<TaskGroup>,
    /// Version of the groups.
    pub version: f64,
    /// Metrics that are averaged.
    pub aggregate: Vec<MetricName>,
}

/// What a task file gives.
#[derive(Debug, Clone)]
pub struct TaskSet {
    /// One task, or one for each subject.
    pub tasks: Vec<Task>,
    /// The groups, if it is a family.
    pub family: Option<Family>,
}

impl TaskSet {
    /// Reads a task file from a path.
    ///
    /// # Errors
    /// If it cannot be read or is no task file.
    pub fn open(path: &Path) -> Result<TaskSet, EvalError> {
        let len = std::fs::metadata(path).map_err(EvalError::io(path))?.len();
        if len > FILE_BYTES_MAX {
            let message = format!("{}: {len} bytes, at most {FILE_BYTES_MAX}", path.display());
            return Err(EvalError::Refused(message));
        }
        let text = std::fs::read_to_string(path).map_err(EvalError::io(path))?;
        Self::parse(&path.display().to_string(), &text)
    }

    /// Reads the text of a task file; `name` is what messages call it.
    ///
    /// # Errors
    /// If it is no task file: line and field are named.
    pub fn parse(name: &str, text: &str) -> Result<TaskSet, EvalError> {
        let place = Place { file: name, text };
        let (file, templates) = read(place)?;
        let (file, templates) = (Arc::new(file), Arc::new(templates));
        let sha256: Arc<str> = sha256_hex(text).into();
        let task = |subject: Option<String>| {
            Task::new(file.clone(), templates.clone(), sha256.clone(), subject)
                .map_err(|error| EvalError::from(place.at("name", error.to_string())))
        };
        let Some(section) = &file.family else {
            return Ok(TaskSet { tasks: vec![task(None)?], family: None });
        };
        let mut set = TaskSet { tasks: Vec::new(), family: None };
        let mut parts = Vec::new();
        let mut seen = BTreeSet::new();
        for (i, group) in section.groups.iter().enumerate() {
            let mut names = Vec::new();
            for subject in &group.subjects {
                let made = task(Some(subject.clone()))?;
                if !seen.insert(made.name.clone()) {
                    let message = format!("two tasks are called `{}`", made.name);
                    return Err(place.at(&format!("family.groups.{i}.subjects"), message).into());
                }
                names.push(made.name.clone());
                set.tasks.push(made);
            }
            let alias = group.alias.clone().unwrap_or_else(|| group.name.clone());
            parts.push(TaskGroup { name: group.name.clone(), alias, tasks: names });
        }
        if set.tasks.is_empty() {
            return Err(place.at("family.groups", "no subjects").into());
        }
        if let Some(metric) = section.aggregate.iter().find(|m| !file.metrics.contains(m)) {
            let message = format!("`{metric:?}` is not among the metrics");
            return Err(place.at("family.aggregate", message).into());
        }
        let all = TaskGroup {
            name: section.name.clone(),
            alias: section.alias.clone().unwrap_or_else(|| section.name.clone()),
            tasks: set.tasks.iter().map(|task| task.name.clone()).collect(),
        };
        let (version, aggregate) = (section.version, section.aggregate.clone());
        set.family = Some(Family { all, parts, version, aggregate });
        Ok(set)
    }

    /// The tasks of a name: all of a family, one of its groups, or one task.
    pub fn select(&self, name: &str) -> Option<TaskSet> {
        let whole = self.family.as_ref().is_some_and(|family| family.all.name == name);
        if whole {
            return Some(self.clone());
        }
        let part = self.family.iter().flat_map(|family| &family.parts);
        let part = part.into_iter().find(|part| part.name == name);
        let wanted = |task: &&Task| match part {
            Some(part) => part.tasks.contains(&task.name),
            None => task.name == name,
        };
        let tasks: Vec<Task> = self.tasks.iter().filter(wanted).cloned().collect();
        let family = self.family.as_ref().zip(part).map(|(family, part)| Family {
            all: part.clone(),
            parts: Vec::new(),
            ..family.clone()
        });
        (!tasks.is_empty()).then_some(TaskSet { tasks, family })
    }
}
