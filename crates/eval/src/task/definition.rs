//! A task whose file was checked: templates that compile, and the prompts of a document.

use std::sync::Arc;

use minijinja::Value;

use super::file::{FilterStep, Kind, MetricName, TaskFile, Texts};
use super::place::Place;
use super::template::{Templates, fields_of};
use crate::data::{Doc, Source};
use crate::python::regex::Regex;
use crate::{EvalError, TaskFileError};

/// Elements of a list that an expression gives.
const CHOICES_MAX: usize = 1000;

/// What is right for a document.
#[derive(Debug, Clone, PartialEq)]
pub enum Gold {
    /// The place of a choice.
    Index(usize),
    /// Which choices are true.
    Truths(Vec<bool>),
    /// The text of the answer.
    Text(String),
}

/// A task: one file, or one subject of a file.
#[derive(Debug, Clone)]
pub struct Task {
    /// Its name.
    pub name: String,
    /// Its name in tables.
    pub alias: String,
    /// The subject of a family.
    pub subject: Option<String>,
    /// What its file says.
    pub file: Arc<TaskFile>,
    /// sha256 of its file.
    pub sha256: Arc<str>,
    templates: Arc<Templates>,
}

/// Reads a task file, checks it and compiles its templates.
pub(super) fn read(place: Place<'_>) -> Result<(TaskFile, Templates), TaskFileError> {
    let file: TaskFile = toml::from_str(place.text).map_err(|error| place.of_toml(&error))?;
    let mut templates = Templates::default();
    add_templates(&file, &mut templates).map_err(|(field, message)| place.at(&field, message))?;
    for check in [check_kind, check_shots, check_scoring] {
        check(&file).map_err(|(field, message)| place.at(field, message))?;
    }
    check_patterns(&file).map_err(|(field, message)| place.at(&field, message))?;
    Ok((file, templates))
}

fn add_templates(file: &TaskFile, templates: &mut Templates) -> Result<(), (String, String)> {
    let prompt = &file.prompt;
    let mut template = |field: &str, source: Option<&String>| match source {
        Some(source) => templates.add(field, source).map_err(|error| (field.to_string(), error)),
        None => Ok(()),
    };
    template("name", Some(&file.name))?;
    template("alias", file.alias.as_ref())?;
    template("data.hub_config", file.data.hub_config.as_ref())?;
    template("prompt.description", Some(&prompt.description))?;
    template("prompt.text", prompt.text.as_ref())?;
    template("prompt.choice", prompt.choice.as_ref())?;
    template("prompt.continuation", prompt.continuation.as_ref())?;
    template("prompt.target", prompt.target.as_ref())?;
    template("prompt.gen_prefix", Some(&prompt.gen_prefix))?;
    for (field, texts) in
        [("prompt.choices", &prompt.choices), ("prompt.contexts", &prompt.contexts)]
    {
        for (i, source) in templates_of(texts).iter().enumerate() {
            template(&format!("{field}.{i}"), Some(source))?;
        }
    }
    let expression = |texts: &Option<Texts>| match texts {
        Some(Texts::Expression(source)) => Some(source.clone()),
        _ => None,
    };
    for (field, source) in [
        ("prompt.choices", expression(&prompt.choices)),
        ("prompt.contexts", expression(&prompt.contexts)),
        ("prompt.gold", prompt.gold.clone()),
        ("prompt.truths", prompt.truths.clone()),
    ] {
        if let Some(source) = source {
            templates.add_expression(field, &source).map_err(|error| (field.into(), error))?;
        }
    }
    Ok(())
}

fn templates_of(texts: &Option<Texts>) -> &[String] {
    match texts {
        Some(Texts::Templates(templates)) => templates,
        _ => &[],
    }
}

type Mistake = (&'static str, String);

/// Which templates a kind needs, and which it has no use for.
fn check_kind(file: &TaskFile) -> Result<(), Mistake> {
    let prompt = &file.prompt;
    let needs = |field, is_there: bool, why: &str| {
        if is_there { Ok(()) } else { Err((field, format!("missing: {why}"))) }
    };
    let refuses = |field, is_there: bool, why: &str| {
        if is_there { Err((field, format!("has no use: {why}"))) } else { Ok(()) }
    };
    match (file.kind, prompt.contexts.is_some()) {
        (Kind::MultipleChoice, false) => {
            let why = "the kind is `multiple_choice`";
            needs("prompt.text", prompt.text.is_some(), why)?;
            needs("prompt.choices", prompt.choices.is_some(), why)?;
            needs("prompt.gold", prompt.gold.is_some(), why)?;
            refuses("prompt.continuation", prompt.continuation.is_some(), "no `contexts`")?;
            refuses("prompt.target", prompt.target.is_some(), why)
        }
        (Kind::MultipleChoice, true) => {
            let why = "`contexts` are given";
            needs("prompt.continuation", prompt.continuation.is_some(), why)?;
            needs("prompt.gold", prompt.gold.is_some(), why)?;
            refuses("prompt.text", prompt.text.is_some(), why)?;
            refuses("prompt.choices", prompt.choices.is_some(), why)
        }
        (Kind::Generate | Kind::Chat, _) => {
            let why = "the kind is not `multiple_choice`";
            needs("prompt.text", prompt.text.is_some(), "the question")?;
            needs("prompt.target", prompt.target.is_some(), "the right answer")?;
            refuses("prompt.contexts", prompt.contexts.is_some(), why)?;
            refuses("prompt.gold", prompt.gold.is_some(), why)?;
            // A chat grader must know how many letters there are.
            let choices = prompt.choices.is_some() && file.kind == Kind::Generate;
            refuses("prompt.choices", choices, why)
        }
    }?;
    let chat = file.kind == Kind::Chat;
    needs("chat", !chat || file.chat.is_some(), "the kind is `chat`")?;
    refuses("chat", !chat && file.chat.is_some(), "the kind is not `chat`")?;
    let prefix = chat && !(prompt.gen_prefix.is_empty() && prompt.description.is_empty());
    refuses("prompt.gen_prefix", prefix, "the kind is `chat`")
}

fn check_shots(file: &TaskFile) -> Result<(), Mistake> {
    let shots = &file.shots;
    if file.kind == Kind::Chat && (shots.count > 0 || !shots.fixed) {
        return Err(("shots", "the kind `chat` needs `count = 0` and `fixed = true`".into()));
    }
    if !shots.samples.is_empty() && file.data.shots_split.is_some() {
        return Err(("shots.samples", "has no use: `data.shots_split` is given".into()));
    }
    if shots.count > 0 && shots.samples.is_empty() && file.data.shots_split.is_none() {
        return Err(("shots.count", "needs `data.shots_split` or `shots.samples`".into()));
    }
    Ok(())
}

/// Whether metrics, filters and settings of generation fit the kind.
fn check_scoring(file: &TaskFile) -> Result<(), Mistake> {
    if file.metrics.is_empty() {
        return Err(("metrics", "at least one metric is needed".into()));
    }
    for metric in &file.metrics {
        let fits = match metric {
            MetricName::ExactMatch => file.kind == Kind::Generate,
            MetricName::Graded => file.kind == Kind::Chat,
            MetricName::Mc2 => file.prompt.truths.is_some(),
            _ => file.kind == Kind::MultipleChoice,
        };
        if !fits {
            return Err(("metrics", format!("`{metric:?}` does not fit the kind and the prompt")));
        }
    }
    if file.metrics.contains(&MetricName::Mc2) && file.metrics.contains(&MetricName::Acc) {
        return Err(("metrics", "`mc2` and `acc` are both reported as `acc`".into()));
    }
    if file.kind != Kind::Generate && !file.filters.is_empty() {
        return Err(("filters", "have no use: nothing is generated to be filtered".into()));
    }
    let generation = &file.generation;
    if generation.max_gen_toks == 0 || generation.max_gen_toks > 1 << 20 {
        return Err(("generation.max_gen_toks", "expected 1 to 1048576".into()));
    }
    if !(0.0..=10.0).contains(&generation.temperature) {
        return Err(("generation.temperature", "expected 0 to 10".into()));
    }
    if !(generation.top_p > 0.0 && generation.top_p <= 1.0) {
        return Err(("generation.top_p", "expected a number above 0, at most 1".into()));
    }
    Ok(())
}

fn check_patterns(file: &TaskFile) -> Result<(), (String, String)> {
    for (i, filter) in file.filters.iter().enumerate() {
        for (j, step) in filter.steps.iter().enumerate() {
            if let FilterStep::Regex { pattern, .. } = step {
                let field = format!("filters.{i}.steps.{j}");
                Regex::new(pattern).map_err(|error| (field, error.to_string()))?;
            }
        }
    }
    for (i, pattern) in file.exact_match.regexes_to_ignore.iter().enumerate() {
        let field = format!("exact_match.regexes_to_ignore.{i}");
        Regex::new(pattern).map_err(|error| (field, error.to_string()))?;
    }
    Ok(())
}

impl Task {
    pub(super) fn new(
        file: Arc<TaskFile>,
        templates: Arc<Templates>,
        sha256: Arc<str>,
        subject: Option<String>,
    ) -> Result<Task, EvalError> {
        let mut task =
            Task { name: String::new(), alias: String::new(), subject, file, sha256, templates };
        let fields = task.fields(&Doc::new());
        task.name = task.render("name", &fields, 0)?;
        task.alias = match task.file.alias {
            Some(_) => task.render("alias", &fields, 0)?,
            None => task.name.clone(),
        };
        Ok(task)
    }

    /// Where the documents of a split are.
    pub fn source<'a>(&'a self, split: &'a str) -> Source<'a> {
        let field = self.file.data.subject_field.as_str();
        let subset = self.subject.as_deref().map(|subject| (subject, field));
        Source { folder: &self.file.data.folder, split, subset }
    }

    /// Data set and configuration on the hub, if the file names one.
    ///
    /// # Errors
    /// If the template of the configuration fails.
    pub fn hub(&self) -> Result<Option<(String, String)>, EvalError> {
        let data = &self.file.data;
        let Some(repo) = data.hub.clone() else { return Ok(None) };
        let config = match data.hub_config {
            Some(_) => self.render("data.hub_config", &self.fields(&Doc::new()), 0)?,
            None => "default".to_string(),
        };
        Ok(Some((repo, config)))
    }

    /// The fields of a document as templates see them, with the subject of a family: `subject` as
    /// files name it, `subject_words` with spaces.
    pub fn fields(&self, doc: &Doc) -> Value {
        match &self.subject {
            Some(subject) => {
                let words = subject.replace('_', " ");
                fields_of(doc, &[("subject", subject), ("subject_words", &words)])
            }
            None => fields_of(doc, &[]),
        }
    }

    /// The text of a template of the file.
    ///
    /// # Errors
    /// If it fails on this document.
    pub fn render(
        &self,
        field: &'static str,
        fields: &Value,
        doc: usize,
    ) -> Result<String, EvalError> {
        self.templates.render(field, fields).map_err(|message| self.mistake(doc, field, message))
    }

    /// The texts of the choices, or of the contexts.
    ///
    /// # Errors
    /// If it fails on this document, or gives something else than texts.
    pub fn texts(
        &self,
        field: &'static str,
        texts: &Texts,
        fields: &Value,
        doc: usize,
    ) -> Result<Vec<String>, EvalError> {
        let fail = |message| self.mistake(doc, field, message);
        if let Texts::Templates(sources) = texts {
            let render = |i| self.templates.render(&format!("{field}.{i}"), fields);
            return (0..sources.len()).map(render).collect::<Result<_, _>>().map_err(fail);
        }
        let list = self.templates.evaluate(field, fields).map_err(fail)?;
        let items = list.try_iter().map_err(|error| fail(error.to_string()))?;
        let mut found = Vec::new();
        for item in items.take(CHOICES_MAX) {
            let text = item.as_str().map(str::to_string);
            let text = text.ok_or_else(|| fail(format!("expected texts, found {item}")))?;
            found.push(if self.file.prompt.choice.is_some() && field == "prompt.choices" {
                let with_choice = minijinja::context! { choice => text, ..fields.clone() };
                self.render("prompt.choice", &with_choice, doc)?
            } else {
                text
            });
        }
        Ok(found)
    }

    /// The place of the right choice, of `choices`.
    ///
    /// # Errors
    /// If the expression gives no place and no text of a choice.
    pub fn gold_index(
        &self,
        fields: &Value,
        choices: &[String],
        doc: usize,
    ) -> Result<usize, EvalError> {
        let fail = |message| self.mistake(doc, "prompt.gold", message);
        let value = self.templates.evaluate("prompt.gold", fields).map_err(fail)?;
        let index = match value.as_str() {
            Some(text) if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) => {
                text.parse().ok()
            }
            Some(text) => choices.iter().position(|choice| choice == text),
            None => value.as_usize(),
        };
        index.filter(|index| *index < choices.len()).ok_or_else(|| {
            fail(format!("expected a place below {} or a choice, found {value}", choices.len()))
        })
    }

    /// Which choices are true.
    ///
    /// # Errors
    /// If the expression gives no list of 0 and 1 for each choice.
    pub fn truths(
        &self,
        fields: &Value,
        choices: &[String],
        doc: usize,
    ) -> Result<Vec<bool>, EvalError> {
        let fail = |message| self.mistake(doc, "prompt.truths", message);
        let list = self.templates.evaluate("prompt.truths", fields).map_err(fail)?;
        let items = list.try_iter().map_err(|error| fail(error.to_string()))?;
        let truths: Vec<bool> = items.map(|item| item.as_i64() == Some(1)).collect();
        if truths.len() != choices.len() {
            let counts = (choices.len(), truths.len());
            return Err(fail(format!("expected {} of them, found {}", counts.0, counts.1)));
        }
        Ok(truths)
    }

    /// An error in a template of this task.
    pub(crate) fn mistake(&self, doc: usize, field: &'static str, message: String) -> EvalError {
        EvalError::Document { task: self.name.clone(), doc, field, message }
    }
}
