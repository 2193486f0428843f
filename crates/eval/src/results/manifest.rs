//! What is needed to run the same again: model, tokenizer, tasks, data, seeds, versions.

use serde::{Deserialize, Serialize};

use crate::aggregate::TaskScores;
use crate::data::sha256_hex;
use crate::request::Questions;
use crate::task::{Family, Task};

/// Form of the results file.
pub(super) const FORMAT: u32 = 1;

/// What was run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// Form of the file.
    pub format: u32,
    /// A name for people.
    pub name: String,
    /// The model.
    pub model: ModelRecord,
    /// The tasks, in the order they are reported.
    pub tasks: Vec<TaskRecord>,
    /// How answers were sampled, for tasks that generate.
    pub sampling: SamplingRecord,
    /// Only the first documents of each task.
    pub limit: Option<usize>,
    /// Seed of the choice of examples.
    pub shots_seed: u64,
    /// Whatever else tells machines and programs apart, by name: version, kernels, processor.
    #[serde(default)]
    pub environment: std::collections::BTreeMap<String, String>,
}

/// A model.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ModelRecord {
    /// A name for people.
    pub name: String,
    /// sha256 of the weights, or of what names them.
    pub sha256: String,
    /// sha256 of the tokenizer.
    pub tokenizer_sha256: String,
    /// Longest sequence.
    pub max_length: usize,
    /// As whom it cuts longer ones, see [`Limit::name`](crate::tokens::Limit::name).
    #[serde(default)]
    pub cut: String,
    /// Whether the token that begins sequences stands before every text.
    #[serde(default)]
    pub begins: bool,
    /// Arithmetic that decides the bits, such as `fast`.
    #[serde(default)]
    pub precision: String,
    /// Numbers of the cache, such as `f16`.
    #[serde(default)]
    pub kv_cache: String,
}

/// A task as it was run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TaskRecord {
    /// Its name.
    pub name: String,
    /// Its name in tables.
    pub alias: String,
    /// Subject of a family.
    pub subject: Option<String>,
    /// The groups it belongs to, the outermost first.
    pub groups: Vec<GroupRecord>,
    /// Version.
    pub version: f64,
    /// Number of examples.
    pub shots: usize,
    /// sha256 of the task file.
    pub file_sha256: String,
    /// sha256 of its data.
    pub data_sha256: Vec<String>,
    /// Documents that are run.
    pub docs: usize,
    /// Whether it is graded as a conversation.
    pub is_chat: bool,
}

/// A group of tasks.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GroupRecord {
    /// Its name.
    pub name: String,
    /// Its name in tables.
    pub alias: String,
    /// Version.
    pub version: f64,
    /// Names of the metrics that are averaged.
    pub aggregate: Vec<String>,
}

/// How answers are sampled.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SamplingRecord {
    /// How often each document is answered.
    pub repeats: usize,
    /// Reasoning effort of conversations.
    pub effort: Option<String>,
    /// Instead of the task's own.
    pub temperature: Option<f64>,
    /// Instead of the task's own.
    pub max_tokens: Option<usize>,
    /// Seed of the sampling.
    pub seed: u64,
}

impl Default for SamplingRecord {
    fn default() -> Self {
        Self { repeats: 1, effort: None, temperature: None, max_tokens: None, seed: 0 }
    }
}

impl Manifest {
    /// A manifest without tasks.
    pub fn new(name: &str, model: ModelRecord, sampling: SamplingRecord) -> Manifest {
        Manifest {
            format: FORMAT,
            name: name.into(),
            model,
            tasks: Vec::new(),
            sampling,
            limit: None,
            shots_seed: crate::shots::SHOTS_SEED,
            environment: Default::default(),
        }
    }

    /// sha256 of everything that decides the results; names for people and the environment do not.
    pub fn fingerprint(&self) -> String {
        let mut same = self.clone();
        same.name = String::new();
        same.model.name = String::new();
        same.environment.clear();
        sha256_hex(&serde_json::to_string(&same).unwrap_or_default())
    }

    /// What of another manifest differs, in words, among what decides the results.
    pub fn differences(&self, other: &Manifest) -> Vec<&'static str> {
        let names = |manifest: &Manifest| -> Vec<String> {
            manifest.tasks.iter().map(|task| task.name.clone()).collect()
        };
        let of_tasks = |part: fn(&TaskRecord, &TaskRecord) -> bool| {
            let mut both = self.tasks.iter().zip(&other.tasks);
            names(self) == names(other) && both.any(|(a, b)| part(a, b))
        };
        let (a, b) = (&self.model, &other.model);
        let computing = |model: &ModelRecord| (model.precision.clone(), model.kv_cache.clone());
        let reading = |model: &ModelRecord| (model.max_length, model.cut.clone(), model.begins);
        [
            ("the form of the file", self.format != other.format),
            ("the model", a.sha256 != b.sha256),
            ("the tokenizer", a.tokenizer_sha256 != b.tokenizer_sha256),
            ("precision or cache", computing(a) != computing(b)),
            ("context, cut or first token", reading(a) != reading(b)),
            ("the tasks", names(self) != names(other)),
            ("task files", of_tasks(|a, b| a.file_sha256 != b.file_sha256)),
            ("data", of_tasks(|a, b| a.data_sha256 != b.data_sha256)),
            ("the number of examples", of_tasks(|a, b| a.shots != b.shots)),
            ("the limit", self.limit != other.limit),
            ("the seed of examples", self.shots_seed != other.shots_seed),
            ("repeats, effort, sampling or seed", self.sampling != other.sampling),
        ]
        .into_iter()
        .filter(|(_, differs)| *differs)
        .map(|(name, _)| name)
        .collect()
    }

    /// How often a document of a task is answered: only sampled answers are worth repeating.
    pub fn repeats(&self, task: &TaskRecord) -> usize {
        if task.is_chat { self.sampling.repeats.max(1) } else { 1 }
    }
}

impl TaskRecord {
    /// A task as it is run with these questions.
    pub fn new(task: &Task, family: Option<&Family>, questions: &Questions) -> TaskRecord {
        let groups = family.map(|family| {
            let holds = |group: &&crate::task::TaskGroup| group.tasks.contains(&task.name);
            let groups = std::iter::once(&family.all).chain(family.parts.iter().filter(holds));
            let record = |group: &crate::task::TaskGroup| GroupRecord {
                name: group.name.clone(),
                alias: group.alias.clone(),
                version: family.version,
                aggregate: family.aggregate.iter().map(|m| m.label().to_string()).collect(),
            };
            groups.map(record).collect()
        });
        TaskRecord {
            name: task.name.clone(),
            alias: task.alias.clone(),
            subject: task.subject.clone(),
            groups: groups.unwrap_or_default(),
            version: task.file.version,
            shots: questions.shots,
            file_sha256: task.sha256.to_string(),
            data_sha256: questions.data_sha256.clone(),
            docs: questions.questions.len(),
            is_chat: task.file.kind == crate::task::Kind::Chat,
        }
    }

    /// The line of results that this task begins with.
    pub(super) fn empty_scores(&self) -> TaskScores {
        TaskScores {
            name: self.name.clone(),
            alias: self.alias.clone(),
            version: self.version,
            shots: Some(self.shots),
            samples: 0,
            is_group: false,
            depth: self.groups.len(),
            scores: Vec::new(),
        }
    }
}
