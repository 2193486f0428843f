//! What the documents of a results file add up to.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::sample::Sample;
use super::store::Stored;
use crate::aggregate::{Score, TaskScores, group_score, score};
use crate::grade::Verdict;
use crate::python::float::mean;
use crate::task::TaskGroup;

/// The scores of tasks and their groups, groups before their tasks, in the order of the run.
pub fn scores(stored: &Stored) -> Vec<TaskScores> {
    let mut tasks = BTreeMap::new();
    for record in &stored.manifest.tasks {
        let samples: Vec<&Sample> = samples_of(stored, &record.name).collect();
        let mut entry = record.empty_scores();
        // Repeats of a document are answers to the same question: the error is that of documents.
        let docs: BTreeSet<usize> = samples.iter().map(|sample| sample.doc).collect();
        entry.samples = docs.len();
        let names: BTreeSet<&String> = samples.iter().flat_map(|s| s.scores.keys()).collect();
        for name in names {
            let (metric, filter) = name.split_once(',').unwrap_or((name, "none"));
            let score_of = |sample: &&Sample| Some((sample.doc, *sample.scores.get(name)?));
            let by_doc = means_by(samples.iter().filter_map(score_of));
            let values: Vec<f64> = by_doc.into_values().collect();
            entry.scores.extend(score(metric, filter, &values));
        }
        tasks.insert(record.name.clone(), entry);
    }
    with_groups(stored, &tasks)
}

/// The mean of the values of each key.
pub(crate) fn means_by<K: Ord>(values: impl Iterator<Item = (K, f64)>) -> BTreeMap<K, f64> {
    let mut all: BTreeMap<K, Vec<f64>> = BTreeMap::new();
    for (key, value) in values {
        all.entry(key).or_default().push(value);
    }
    all.into_iter().filter_map(|(key, values)| Some((key, mean(&values)?))).collect()
}

fn samples_of<'a>(stored: &'a Stored, task: &'a str) -> impl Iterator<Item = &'a Sample> {
    stored.samples.values().filter(move |sample| sample.task == task)
}

/// Enters each group before its first task.
fn with_groups(stored: &Stored, tasks: &BTreeMap<String, TaskScores>) -> Vec<TaskScores> {
    let mut seen = BTreeSet::new();
    let mut lines = Vec::new();
    for record in &stored.manifest.tasks {
        for (depth, group) in record.groups.iter().enumerate() {
            if !seen.insert(group.name.clone()) {
                continue;
            }
            let is_member = |groups: &[super::manifest::GroupRecord]| {
                groups.iter().any(|member| member.name == group.name)
            };
            let members = stored.manifest.tasks.iter().filter(|task| is_member(&task.groups));
            let members: Vec<String> = members.map(|task| task.name.clone()).collect();
            let part = TaskGroup {
                name: group.name.clone(),
                alias: group.alias.clone(),
                tasks: members.clone(),
            };
            let run: Vec<&TaskScores> = members.iter().filter_map(|name| tasks.get(name)).collect();
            let filters: BTreeSet<(&String, &String)> = run
                .iter()
                .flat_map(|task| &task.scores)
                .map(|score| (&score.metric, &score.filter))
                .filter(|(metric, _)| group.aggregate.contains(metric))
                .collect();
            let scores: Vec<Score> = filters
                .into_iter()
                .filter_map(|(metric, filter)| group_score(&part, tasks, metric, filter))
                .collect();
            lines.push(TaskScores {
                name: group.name.clone(),
                alias: group.alias.clone(),
                version: group.version,
                shots: None,
                samples: run.iter().map(|task| task.samples).sum(),
                is_group: true,
                depth,
                scores,
            });
        }
        lines.extend(tasks.get(&record.name).cloned());
    }
    lines
}

/// What became of the answers to conversations.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ChatScores {
    /// The task.
    pub task: String,
    /// Answers.
    pub answers: usize,
    /// Share that is right, of all answers.
    pub accuracy: f64,
    /// Standard error of the accuracy over documents; nothing for a single one.
    pub stderr: Option<f64>,
    /// Accuracy of each repeat on its own.
    pub by_repeat: Vec<f64>,
    /// Answers that are right.
    pub right: usize,
    /// Answers that are wrong.
    pub wrong: usize,
    /// Answers in which no answer was found.
    pub unparsed: usize,
    /// Answers that ended because there were no tokens left, and are not right.
    pub truncated: usize,
    /// Tokens of all answers, reasoning included.
    pub tokens: usize,
}

/// What became of the answers of each task that is a conversation.
pub fn chat_scores(stored: &Stored) -> Vec<ChatScores> {
    let chats = stored.manifest.tasks.iter().filter(|task| task.is_chat);
    chats.filter_map(|task| chat_score(stored, &task.name)).collect()
}

fn chat_score(stored: &Stored, task: &str) -> Option<ChatScores> {
    let samples: Vec<&Sample> = samples_of(stored, task).collect();
    let is_right = |sample: &Sample| f64::from(sample.verdict == Verdict::Right);
    let by_doc = means_by(samples.iter().map(|sample| (sample.doc, is_right(sample))));
    let by_repeat = means_by(samples.iter().map(|sample| (sample.repeat, is_right(sample))));
    let all: Vec<f64> = samples.iter().map(|sample| is_right(sample)).collect();
    let of_docs: Vec<f64> = by_doc.into_values().collect();
    let count = |verdict| samples.iter().filter(|sample| sample.verdict == verdict).count();
    Some(ChatScores {
        task: task.into(),
        answers: samples.len(),
        accuracy: mean(&all)?,
        stderr: crate::aggregate::stderr(&of_docs),
        by_repeat: by_repeat.into_values().collect(),
        right: count(Verdict::Right),
        wrong: count(Verdict::Wrong),
        unparsed: count(Verdict::Unparsed),
        truncated: count(Verdict::Truncated),
        tokens: samples.iter().map(|sample| sample.tokens()).sum(),
    })
}
