//! What the model is asked for a document: contexts and continuations, or a prompt.
//!
//! Source: lm-evaluation-harness 0.4.13 `api/task.py` (`fewshot_context`, `build_qa_turn`,
//! `multiple_input_context`, `construct_requests`) and `api/utils.py`.

use std::sync::Arc;

use minijinja::Value;

use crate::EvalError;
use crate::data::{Data, Doc, Split};
use crate::python::text::is_space;
use crate::shots::{SHOTS_SEED, Shots};
use crate::task::{Gold, Kind, MetricName, Task};

/// Examples at most.
const SHOTS_MAX: usize = 1000;

/// A text whose log-likelihood is asked for.
#[derive(Debug, Clone, PartialEq)]
pub struct Pair {
    /// What stands before it; one allocation for all choices that share it.
    pub context: Arc<str>,
    /// The text.
    pub continuation: String,
}

/// What the model is asked.
#[derive(Debug, Clone, PartialEq)]
pub enum Prompt {
    /// The log-likelihood of each continuation.
    Choices(Vec<Pair>),
    /// The text that follows.
    Generate(String),
    /// The answer to a user's message.
    Chat(String),
}

/// A document ready to be asked and scored.
#[derive(Debug, Clone, PartialEq)]
pub struct Question {
    /// Place of the document in its file, from 0.
    pub doc: usize,
    /// What the model is asked.
    pub prompt: Prompt,
    /// The question alone, without description and examples, for people who look at results.
    pub shown: String,
    /// The texts of the choices, as lengths are taken of them and letters given to them.
    pub choices: Vec<String>,
    /// What is right.
    pub gold: Gold,
}

/// What a user chooses about the prompts of a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PromptOptions {
    /// Number of examples; the task's own if absent.
    pub shots: Option<usize>,
    /// Seed of the choice of examples.
    pub seed: u64,
    /// Only the first documents.
    pub limit: Option<usize>,
}

impl Default for PromptOptions {
    fn default() -> Self {
        Self { shots: None, seed: SHOTS_SEED, limit: None }
    }
}

/// The questions of a task.
#[derive(Debug, Clone, PartialEq)]
pub struct Questions {
    /// In the order of the file.
    pub questions: Vec<Question>,
    /// Number of examples.
    pub shots: usize,
    /// Documents that there are without a limit.
    pub docs_total: usize,
    /// sha256 of the documents, then of the pool of examples if one was read.
    pub data_sha256: Vec<String>,
}

/// Makes the questions of a task from data.
///
/// # Errors
/// If data is missing, a template fails on a document, or a number of examples is asked for that
/// the task does not have.
pub fn questions(
    task: &Task,
    data: &Data,
    options: &PromptOptions,
) -> Result<Questions, EvalError> {
    let shots = shots_of(task, options.shots)?;
    let split = data.split(task.source(&task.file.data.split))?;
    let pool = pool_of(task, data, shots)?;
    let section = &task.file.shots;
    let docs = pool.as_ref().map_or(section.samples.as_slice(), |pool| &pool.docs);
    let sampler = Shots::new(docs, section.sampler, section.exclude_self, options.seed);
    let mut writer = Writer { task, pool: docs, sampler, shots, last: None };
    let limit = options.limit.unwrap_or(usize::MAX);
    let wanted = split.docs.iter().take(limit).enumerate();
    let questions = wanted.map(|(i, doc)| writer.question(i, doc)).collect::<Result<_, _>>()?;
    let mut data_sha256 = vec![split.sha256];
    data_sha256.extend(pool.map(|pool| pool.sha256));
    Ok(Questions { questions, shots, docs_total: split.docs.len(), data_sha256 })
}

fn shots_of(task: &Task, wanted: Option<usize>) -> Result<usize, EvalError> {
    let section = &task.file.shots;
    let refuse = |message: String| Err(EvalError::Refused(format!("`{}`: {message}", task.name)));
    match wanted {
        None => Ok(section.count),
        Some(count) if section.fixed && count != section.count => {
            refuse(format!("not supported: {count} examples; it always has {}", section.count))
        }
        Some(count) if count > SHOTS_MAX => refuse(format!("at most {SHOTS_MAX} examples")),
        Some(count) => Ok(count),
    }
}

fn pool_of(task: &Task, data: &Data, shots: usize) -> Result<Option<Split>, EvalError> {
    match &task.file.data.shots_split {
        Some(split) if shots > 0 => data.split(task.source(split)).map(Some),
        None if shots > task.file.shots.samples.len() => {
            let message = format!(
                "`{}`: not supported: {shots} examples; it has {}",
                task.name,
                task.file.shots.samples.len()
            );
            Err(EvalError::Refused(message))
        }
        _ => Ok(None),
    }
}

/// Writes the prompts of one document after the other.
struct Writer<'a> {
    task: &'a Task,
    pool: &'a [Doc],
    sampler: Shots<'a>,
    shots: usize,
    /// The places and the text of the examples before: the same ones are not rendered again.
    last: Option<(Vec<usize>, String)>,
}

impl Writer<'_> {
    fn question(&mut self, i: usize, doc: &Doc) -> Result<Question, EvalError> {
        let task = self.task;
        let fields = task.fields(doc);
        let places = self.sampler.next(self.shots, doc);
        let places = places.map_err(|message| task.mistake(i, "shots.count", message))?;
        let before = task.render("prompt.description", &fields, i)? + &self.examples(places)?;
        let prefix = task.render("prompt.gen_prefix", &fields, i)?;
        match task.file.kind {
            Kind::MultipleChoice => self.choices(i, &fields, &before, &prefix),
            Kind::Generate => {
                let shown = self.asked(&task.render("prompt.text", &fields, i)?, &prefix);
                self.with_target(i, &fields, Prompt::Generate(before + &shown), shown)
            }
            Kind::Chat => {
                let text = task.render("prompt.text", &fields, i)?;
                self.with_target(i, &fields, Prompt::Chat(text.clone()), text)
            }
        }
    }

    fn with_target(
        &self,
        doc: usize,
        fields: &Value,
        prompt: Prompt,
        shown: String,
    ) -> Result<Question, EvalError> {
        let gold = Gold::Text(self.task.render("prompt.target", fields, doc)?);
        let choices = match &self.task.file.prompt.choices {
            Some(texts) => self.task.texts("prompt.choices", texts, fields, doc)?,
            None => Vec::new(),
        };
        Ok(Question { doc, prompt, shown, choices, gold })
    }

    fn choices(
        &self,
        doc: usize,
        fields: &Value,
        before: &str,
        prefix: &str,
    ) -> Result<Question, EvalError> {
        let (task, prompt) = (self.task, &self.task.file.prompt);
        let delimiter = &prompt.target_delimiter;
        let (choices, pairs, shown) = if let Some(contexts) = &prompt.contexts {
            let contexts = task.texts("prompt.contexts", contexts, fields, doc)?;
            let end = delimiter.clone() + &task.render("prompt.continuation", fields, doc)?;
            let pair = |context: &String| {
                // Here no delimiter stands before a prefix of the answer.
                let context = format!("{before}{context}{prefix}").into();
                Pair { context, continuation: end.clone() }
            };
            let pairs = contexts.iter().map(pair).collect();
            let shown = contexts.first().map(|context| format!("{context}{end}"));
            (contexts, pairs, shown.unwrap_or_default())
        } else {
            let choices = self.choice_texts(fields, doc)?;
            let shown = self.asked(&task.render("prompt.text", fields, doc)?, prefix);
            let context: Arc<str> = format!("{before}{shown}").into();
            let pair = |choice: &String| Pair {
                context: context.clone(),
                continuation: format!("{delimiter}{choice}"),
            };
            let pairs = choices.iter().map(pair).collect();
            (choices, pairs, shown)
        };
        let gold = if task.file.metrics.contains(&MetricName::Mc2) {
            Gold::Truths(task.truths(fields, &choices, doc)?)
        } else {
            Gold::Index(task.gold_index(fields, &choices, doc)?)
        };
        Ok(Question { doc, prompt: Prompt::Choices(pairs), shown, choices, gold })
    }

    fn choice_texts(&self, fields: &Value, doc: usize) -> Result<Vec<String>, EvalError> {
        let texts = self.task.file.prompt.choices.as_ref();
        let missing = || self.task.mistake(doc, "prompt.choices", "missing".into());
        let found = self.task.texts("prompt.choices", texts.ok_or_else(missing)?, fields, doc)?;
        if found.is_empty() {
            return Err(self.task.mistake(doc, "prompt.choices", "no choices".into()));
        }
        Ok(found)
    }

    /// A question that waits for its answer.
    fn asked(&self, text: &str, prefix: &str) -> String {
        let between = requires_delimiter(text, prefix);
        let delimiter = if between { &self.task.file.prompt.target_delimiter } else { "" };
        format!("{text}{delimiter}{prefix}")
    }

    /// The text of the examples at these places.
    fn examples(&mut self, places: Vec<usize>) -> Result<String, EvalError> {
        if let Some((last, text)) = &self.last
            && *last == places
        {
            return Ok(text.clone());
        }
        let texts = places.iter().map(|place| self.example(*place));
        let text = texts.collect::<Result<String, _>>()?;
        self.last = Some((places, text.clone()));
        Ok(text)
    }

    /// An example with its answer. Errors name its place in the pool.
    fn example(&self, place: usize) -> Result<String, EvalError> {
        let (task, prompt) = (self.task, &self.task.file.prompt);
        let fields = task.fields(&self.pool[place]);
        let prefix = task.render("prompt.gen_prefix", &fields, place)?;
        let (question, answer) = if let Some(contexts) = &prompt.contexts {
            let contexts = task.texts("prompt.contexts", contexts, &fields, place)?;
            let right = task.gold_index(&fields, &contexts, place)?;
            let answer = task.render("prompt.continuation", &fields, place)?;
            (contexts[right].clone(), answer)
        } else {
            let question = task.render("prompt.text", &fields, place)?;
            let answer = if task.file.kind == Kind::MultipleChoice {
                let choices = self.choice_texts(&fields, place)?;
                choices[task.gold_index(&fields, &choices, place)?].clone()
            } else {
                task.render("prompt.target", &fields, place)?
            };
            (question, answer)
        };
        if answer.is_empty() {
            return Ok(self.asked(&question, &prefix));
        }
        let delimited = prefix.is_empty() || requires_delimiter(&question, &prefix);
        let delimiter = if delimited { &prompt.target_delimiter } else { "" };
        let between = if requires_delimiter(&prefix, &answer) { " " } else { "" };
        let end = &prompt.fewshot_delimiter;
        Ok(format!("{question}{delimiter}{prefix}{between}{answer}{end}"))
    }
}

/// Whether a delimiter belongs between two texts: neither has white space where they meet.
fn requires_delimiter(before: &str, after: &str) -> bool {
    let (Some(last), Some(first)) = (before.chars().last(), after.chars().next()) else {
        return false;
    };
    !is_space(last) && !is_space(first)
}
