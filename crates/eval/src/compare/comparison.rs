//! All figures of a comparison, before anything is laid out; also its JSON form.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::bootstrap::{Interval, paired_bootstrap};
use super::mcnemar::{Discordant, mcnemar};
use super::published::{PublishedScore, published};
use crate::aggregate::TaskScores;
use crate::grade::Verdict;
use crate::results::{
    Answer, ChatScores, Key, Manifest, Sample, Stored, chat_scores, means_by, scores,
};

/// What a reader of a comparison may choose.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct CompareOptions {
    /// Draws of the bootstrap.
    pub draws: usize,
    /// Its seed.
    pub seed: u64,
    /// Documents that can be looked at.
    pub browsed_max: usize,
    /// Characters of a text of them.
    pub text_chars_max: usize,
}

impl Default for CompareOptions {
    fn default() -> Self {
        Self { draws: 2000, seed: 1, browsed_max: 400, text_chars_max: 3000 }
    }
}

/// A run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunSummary {
    /// What was run.
    pub manifest: Manifest,
    /// Finished documents.
    pub samples: usize,
    /// Seconds of all sessions.
    pub seconds: f64,
    /// Tokens of a client that asks one request after the other.
    pub naive_tokens: usize,
    /// Tokens that were computed for prompts.
    pub computed_tokens: usize,
    /// Tokens that were generated.
    pub generated_tokens: usize,
    /// Conversations by verdict.
    pub chats: Vec<ChatScores>,
}

/// A score of a run.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct ScoreCell {
    /// The mean.
    pub value: f64,
    /// Its standard error.
    pub stderr: Option<f64>,
    /// Documents.
    pub samples: usize,
}

/// A task and a metric over all runs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TaskRow {
    /// Name of the task or group.
    pub name: String,
    /// Its name in tables.
    pub alias: String,
    /// Metric and filter.
    pub metric: String,
    /// Whether it is a group.
    pub is_group: bool,
    /// How deep it lies in groups.
    pub depth: usize,
    /// One for each run; nothing where it was not run.
    pub cells: Vec<Option<ScoreCell>>,
}

/// Two runs on the documents of a task or group that both have.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Pairing {
    /// Name of the task or group.
    pub name: String,
    /// Metric and filter.
    pub metric: String,
    /// The second run; the first is always run 0.
    pub run: usize,
    /// Documents of both.
    pub documents: usize,
    /// For scores that are right or wrong.
    pub mcnemar: Option<Discordant>,
    /// The difference.
    pub bootstrap: Interval,
}

/// A document to look at.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BrowsedSample {
    /// The task.
    pub task: String,
    /// The document.
    pub doc: usize,
    /// Which answer to it.
    pub repeat: usize,
    /// The question.
    pub question: String,
    /// The right answer.
    pub gold: String,
    /// One for each run; nothing where it was not run.
    pub answers: Vec<Option<BrowsedAnswer>>,
}

/// The answer of a run to a document.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BrowsedAnswer {
    /// The answer.
    pub answer: String,
    /// What a grader found in it, or the log-likelihoods.
    pub detail: String,
    /// What became of it.
    pub verdict: Verdict,
}

/// All figures.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Comparison {
    /// What was chosen.
    pub options: CompareOptions,
    /// The runs.
    pub runs: Vec<RunSummary>,
    /// Scores.
    pub rows: Vec<TaskRow>,
    /// Differences from run 0.
    pub pairings: Vec<Pairing>,
    /// Documents to look at: those that runs disagree on first.
    pub browsed: Vec<BrowsedSample>,
    /// How many there are in all.
    pub browsed_total: usize,
    /// Scores of others.
    pub published: Vec<PublishedScore>,
    /// What a reader must know about how far runs can be compared.
    pub notes: Vec<String>,
}

/// Compares runs; one alone is reported.
pub fn compare(stored: &[Stored], options: &CompareOptions) -> Comparison {
    let lines: Vec<Vec<TaskScores>> = stored.iter().map(scores).collect();
    let rows = rows(&lines);
    let mut notes = notes(stored);
    let mut pairings = Vec::new();
    for run in 1..stored.len() {
        for row in &rows {
            let pairing = pairing(stored, run, row, options, &mut notes);
            pairings.extend(pairing);
        }
    }
    let (browsed, browsed_total) = browsed(stored, options);
    let tasks: BTreeSet<String> = stored
        .iter()
        .flat_map(|stored| &stored.manifest.tasks)
        .flat_map(|task| task.groups.iter().map(|group| &group.name).chain([&task.name]))
        .cloned()
        .collect();
    notes.dedup();
    Comparison {
        options: *options,
        runs: stored.iter().map(summary).collect(),
        rows,
        pairings,
        browsed,
        browsed_total,
        published: published(&tasks),
        notes,
    }
}

fn summary(stored: &Stored) -> RunSummary {
    let total = |figure: fn(&crate::results::Session) -> usize| {
        stored.sessions.iter().map(figure).sum::<usize>()
    };
    RunSummary {
        manifest: stored.manifest.clone(),
        samples: stored.samples.len(),
        seconds: stored.sessions.iter().map(|session| session.seconds).sum(),
        naive_tokens: total(|session| session.naive_tokens),
        computed_tokens: total(|session| session.computed_tokens),
        generated_tokens: total(|session| session.generated_tokens),
        chats: chat_scores(stored),
    }
}

/// Rows in the order of the runs; what only a later run has stands behind.
fn rows(runs: &[Vec<TaskScores>]) -> Vec<TaskRow> {
    let mut rows: Vec<TaskRow> = Vec::new();
    for (run, lines) in runs.iter().enumerate() {
        for line in lines {
            for score in &line.scores {
                let metric = format!("{},{}", score.metric, score.filter);
                let found = rows.iter().position(|r| r.name == line.name && r.metric == metric);
                let at = found.unwrap_or_else(|| {
                    rows.push(TaskRow {
                        name: line.name.clone(),
                        alias: line.alias.clone(),
                        metric,
                        is_group: line.is_group,
                        depth: line.depth,
                        cells: vec![None; runs.len()],
                    });
                    rows.len() - 1
                });
                let (value, stderr, samples) = (score.value, score.stderr, line.samples);
                rows[at].cells[run] = Some(ScoreCell { value, stderr, samples });
            }
        }
    }
    rows
}

fn notes(stored: &[Stored]) -> Vec<String> {
    let mut notes = Vec::new();
    for stored in stored {
        let manifest = &stored.manifest;
        let wanted: usize =
            manifest.tasks.iter().map(|task| task.docs * manifest.repeats(task)).sum();
        if stored.samples.len() < wanted {
            let done = stored.samples.len();
            notes.push(format!("{}: {done} of {wanted} answers are finished", manifest.name));
        }
        if let Some(limit) = manifest.limit {
            notes.push(format!("{}: only the first {limit} documents of a task", manifest.name));
        }
        let cut = |sample: &&Sample| match &sample.answer {
            Answer::Choices { lost_tokens, .. } => *lost_tokens > 0,
            Answer::Text { .. } => false,
        };
        let cut = stored.samples.values().filter(cut).count();
        if cut > 0 {
            notes.push(format!("{}: {cut} prompts were cut on the left", manifest.name));
        }
    }
    notes
}

/// The mean of each document's repeats.
fn values(stored: &Stored, tasks: &[&str], metric: &str) -> BTreeMap<(String, usize), f64> {
    let samples = stored.samples.values().filter(|s| tasks.contains(&s.task.as_str()));
    means_by(samples.filter_map(|sample| {
        Some(((sample.task.clone(), sample.doc), *sample.scores.get(metric)?))
    }))
}

fn pairing(
    stored: &[Stored],
    run: usize,
    row: &TaskRow,
    options: &CompareOptions,
    notes: &mut Vec<String>,
) -> Option<Pairing> {
    let record =
        |run: usize, name: &str| stored[run].manifest.tasks.iter().find(|task| task.name == name);
    let is_member = |task: &&crate::results::TaskRecord| {
        task.name == row.name || task.groups.iter().any(|group| group.name == row.name)
    };
    let mut tasks = Vec::new();
    for task in stored[0].manifest.tasks.iter().filter(is_member) {
        let Some(other) = record(run, &task.name) else { continue };
        if task.data_sha256.first() != other.data_sha256.first() {
            notes.push(format!("`{}`: the runs have different data; not paired", task.name));
            continue;
        }
        if task.shots != other.shots || task.file_sha256 != other.file_sha256 {
            notes.push(format!("`{}`: the runs have different prompts", task.name));
        }
        tasks.push(task.name.as_str());
    }
    let before = values(&stored[0], &tasks, &row.metric);
    let after = values(&stored[run], &tasks, &row.metric);
    let both = before.iter().filter_map(|(key, value)| Some((*value, *after.get(key)?)));
    let (first, second): (Vec<f64>, Vec<f64>) = both.unzip();
    let bootstrap = paired_bootstrap(&first, &second, options.draws, options.seed)?;
    let is_binary = |values: &[f64]| values.iter().all(|value| *value == 0.0 || *value == 1.0);
    let mcnemar = (is_binary(&first) && is_binary(&second)).then(|| {
        let pairs = || first.iter().zip(&second);
        let only_first = pairs().filter(|(a, b)| a > b).count();
        mcnemar(only_first, pairs().filter(|(a, b)| a < b).count())
    });
    let (name, metric) = (row.name.clone(), row.metric.clone());
    Some(Pairing { name, metric, run, documents: first.len(), mcnemar, bootstrap })
}

/// Disagreements first, then what all have wrong, then the rest; each in the order of documents.
fn browsed(stored: &[Stored], options: &CompareOptions) -> (Vec<BrowsedSample>, usize) {
    let keys: BTreeSet<&Key> = stored.iter().flat_map(|stored| stored.samples.keys()).collect();
    let rank = |key: &&Key| {
        let verdicts: BTreeSet<bool> = stored
            .iter()
            .filter_map(|stored| Some(stored.samples.get(*key)?.verdict == Verdict::Right))
            .collect();
        match (verdicts.len(), verdicts.contains(&true)) {
            (2, _) => 0,
            (_, false) => 1,
            _ => 2,
        }
    };
    let total = keys.len();
    let mut keys: Vec<&Key> = keys.into_iter().collect();
    keys.sort_by_cached_key(rank);
    keys.truncate(options.browsed_max);
    let browse = |key: &Key| {
        let samples: Vec<Option<&Sample>> = stored.iter().map(|s| s.samples.get(key)).collect();
        let some = samples.iter().flatten().next();
        let cut = |text: &str| shortened(text, options.text_chars_max);
        BrowsedSample {
            task: key.task.clone(),
            doc: key.doc,
            repeat: key.repeat,
            question: some.map_or_else(String::new, |sample| cut(&sample.question)),
            gold: some.map_or_else(String::new, |sample| cut(&sample.gold)),
            answers: samples.iter().map(|s| s.map(|sample| answer(sample, options))).collect(),
        }
    };
    (keys.into_iter().map(browse).collect(), total)
}

fn answer(sample: &Sample, options: &CompareOptions) -> BrowsedAnswer {
    let detail = match &sample.answer {
        Answer::Choices { logprobs, .. } => {
            let parts: Vec<String> = logprobs.iter().map(|ll| format!("{ll:.3}")).collect();
            format!("log-likelihoods {}", parts.join(", "))
        }
        Answer::Text { found, tokens, truncated, .. } => {
            let found: Vec<String> =
                found.iter().map(|(filter, text)| format!("{filter}: {text:?}")).collect();
            let cut = if *truncated { ", cut off" } else { "" };
            format!("found {}; {tokens} tokens{cut}", found.join(", "))
        }
    };
    BrowsedAnswer {
        answer: shortened(sample.answered(), options.text_chars_max),
        detail: shortened(&detail, options.text_chars_max),
        verdict: sample.verdict,
    }
}

/// The beginning and the end of a long text: answers stand at the end.
fn shortened(text: &str, chars_max: usize) -> String {
    let count = text.chars().count();
    if count <= chars_max {
        return text.to_string();
    }
    let half = chars_max / 2;
    let start: String = text.chars().take(half).collect();
    let end: String = text.chars().skip(count - half).collect();
    format!("{start}\n[… {} characters …]\n{end}", count - 2 * half)
}

impl Comparison {
    /// All figures as JSON.
    pub fn to_json(&self) -> String {
        serde_json::to_string_pretty(self).expect("names are texts and numbers are finite or null")
    }
}
