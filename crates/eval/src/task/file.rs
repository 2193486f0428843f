//! The format of a task file, field by field.
//!
//! Names follow the reference harness where it has the same thing, so that its YAML files are
//! easy to carry over. Unknown fields are mistakes.

use serde::Deserialize;

use crate::data::Doc;

/// A task file.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TaskFile {
    /// Name of the task; in a family a template of the subject.
    pub name: String,
    /// Name in tables, if it is another one; in a family a template.
    pub alias: Option<String>,
    /// Version of the task, as the reference harness counts it.
    pub version: f64,
    /// How the model is asked.
    pub kind: Kind,
    /// Where the documents are.
    pub data: DataSection,
    /// How a prompt is written.
    pub prompt: PromptSection,
    /// Examples before the question.
    #[serde(default)]
    pub shots: ShotsSection,
    /// What is measured.
    pub metrics: Vec<MetricName>,
    /// How answers are generated (kinds `generate` and `chat`).
    #[serde(default)]
    pub generation: GenerationSection,
    /// How an answer is cut out of what was generated; without any, all of it is the answer.
    #[serde(default)]
    pub filters: Vec<FilterSection>,
    /// When two answers are equal (metric `exact_match`).
    #[serde(default)]
    pub exact_match: ExactMatch,
    /// How a conversation is graded (kind `chat`).
    pub chat: Option<ChatSection>,
    /// Subjects, if the file is for many tasks.
    pub family: Option<FamilySection>,
}

/// How the model is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// The log-likelihood of each choice behind a context.
    MultipleChoice,
    /// Text is generated behind a context.
    Generate,
    /// A user's message is answered through the model's chat format, after reasoning.
    Chat,
}

/// Where the documents are.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DataSection {
    /// Folder below the folder of all data.
    pub folder: String,
    /// Data set on the hub.
    pub hub: Option<String>,
    /// Configuration of the data set on the hub; in a family a template.
    pub hub_config: Option<String>,
    /// Split that is asked.
    pub split: String,
    /// Split from which examples are taken.
    pub shots_split: Option<String>,
    /// Field that names the subject where one file has all of them.
    #[serde(default = "subject")]
    pub subject_field: String,
}

fn subject() -> String {
    "subject".into()
}

/// Templates of the prompt. A template is Jinja over the fields of a document; an expression is
/// what stands inside `{{ }}`, without the braces.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PromptSection {
    /// Template of what stands before everything.
    #[serde(default)]
    pub description: String,
    /// Template of the question. Absent if the choices stand in the context.
    pub text: Option<String>,
    /// The choices: a list of templates, or one expression that gives a list of texts.
    pub choices: Option<Texts>,
    /// Template for each element `choice` of the list of an expression.
    pub choice: Option<String>,
    /// Contexts, one for each choice, when the choice stands in the context and what follows it
    /// is the same for all (`continuation`).
    pub contexts: Option<Texts>,
    /// Template of what follows each of the `contexts`.
    pub continuation: Option<String>,
    /// Expression of the right choice: its index, or its text.
    pub gold: Option<String>,
    /// Expression of a list of 0 and 1, one for each choice (metric `mc2`).
    pub truths: Option<String>,
    /// Template of the right answer (kinds `generate` and `chat`), also after the examples.
    pub target: Option<String>,
    /// Template of what the answer begins with.
    #[serde(default)]
    pub gen_prefix: String,
    /// Between question and answer.
    #[serde(default = "space")]
    pub target_delimiter: String,
    /// Behind an example.
    #[serde(default = "blank_line")]
    pub fewshot_delimiter: String,
}

fn space() -> String {
    " ".into()
}

fn blank_line() -> String {
    "\n\n".into()
}

/// Several texts.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
pub enum Texts {
    /// An expression that gives a list.
    Expression(String),
    /// Templates.
    Templates(Vec<String>),
}

/// Examples before the question.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ShotsSection {
    /// How many, if the user does not say.
    pub count: usize,
    /// Whether another number is refused.
    pub fixed: bool,
    /// Which ones.
    pub sampler: Sampler,
    /// Whether one more is drawn and the question itself removed, as the harness does where it
    /// takes examples and questions from the same split, or names neither.
    pub exclude_self: bool,
    /// The examples themselves, instead of a split.
    pub samples: Vec<Doc>,
}

/// Which examples are taken.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Sampler {
    /// Drawn anew for each document, from one generator for the task.
    #[default]
    Default,
    /// The first ones, the same for each document.
    FirstN,
}

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MetricName {
    /// The choice with the highest log-likelihood is right.
    Acc,
    /// The same after division by the choice's length in code points.
    AccNorm,
    /// The same after division by the choice's length in bytes.
    AccBytes,
    /// Share of the probability that lies on the true choices.
    Mc2,
    /// The answer equals the target.
    ExactMatch,
    /// The grader of a conversation finds the right answer.
    Graded,
}

impl MetricName {
    /// The name in results. The harness calls the probability of true choices `acc`.
    pub fn label(self) -> &'static str {
        match self {
            Self::Acc | Self::Mc2 => "acc",
            Self::AccNorm => "acc_norm",
            Self::AccBytes => "acc_bytes",
            Self::ExactMatch => "exact_match",
            Self::Graded => "accuracy",
        }
    }
}

/// How answers are generated.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct GenerationSection {
    /// Texts before which the answer ends.
    pub until: Vec<String>,
    /// Tokens at most.
    pub max_gen_toks: usize,
    /// 0 takes the likeliest token.
    pub temperature: f64,
    /// Share of probability that is sampled from.
    pub top_p: f64,
}

impl Default for GenerationSection {
    fn default() -> Self {
        Self { until: Vec::new(), max_gen_toks: 256, temperature: 0.0, top_p: 1.0 }
    }
}

/// A way to cut the answer out of a text; each is scored on its own.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FilterSection {
    /// Name in results.
    pub name: String,
    /// One after the other.
    pub steps: Vec<FilterStep>,
}

/// One step of a filter.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, tag = "op", rename_all = "snake_case")]
pub enum FilterStep {
    /// The match of a Python regular expression.
    Regex {
        /// The expression.
        pattern: String,
        /// Which of all matches: 0 the first, -1 the last.
        #[serde(default)]
        group_select: i64,
        /// The answer if nothing matches.
        #[serde(default = "invalid")]
        fallback: String,
    },
    /// White space at both ends goes.
    RemoveWhitespace,
    /// All letters become small.
    Lowercase,
    /// All letters become large.
    Uppercase,
}

fn invalid() -> String {
    "[invalid]".into()
}

/// When two answers are equal.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ExactMatch {
    /// Large and small letters are the same.
    pub ignore_case: bool,
    /// ASCII punctuation does not count.
    pub ignore_punctuation: bool,
    /// ASCII digits do not count.
    pub ignore_numbers: bool,
    /// Matches of these Python regular expressions do not count, one after the other.
    pub regexes_to_ignore: Vec<String>,
}

/// How a conversation is graded.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChatSection {
    /// Who looks for the answer.
    pub grader: Grader,
}

/// Who looks for the answer in what a reasoning model wrote.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Grader {
    /// A letter of a choice.
    Abcd,
    /// An integer in `\boxed{}`, else the last integer.
    Boxed,
    /// A number in `\boxed{}`, else the last number.
    LastNumber,
}

/// Many tasks from one file.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FamilySection {
    /// Name of the group of all.
    pub name: String,
    /// Name in tables.
    pub alias: Option<String>,
    /// Version of the groups.
    pub version: f64,
    /// Metrics that are averaged over the groups.
    pub aggregate: Vec<MetricName>,
    /// The groups, in the order of the sums.
    pub groups: Vec<GroupSection>,
}

/// A group of subjects.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GroupSection {
    /// Name of the group.
    pub name: String,
    /// Name in tables.
    pub alias: Option<String>,
    /// Subjects, in the order of the sums.
    pub subjects: Vec<String>,
}
