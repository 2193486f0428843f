//! What system and developer messages set: identity, effort, dates, channels, tools, formats.
//!
//! Nothing here is read from a clock or from the model: date, identity and knowledge cutoff are
//! inputs, so a prompt is the same whenever and wherever it is rendered.

use std::collections::BTreeMap;

use serde::de::{self, Deserializer};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// How long the model is asked to think.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize)]
pub enum ReasoningEffort {
    /// Short chains of thought.
    Low,
    /// The default of the models.
    #[default]
    Medium,
    /// Long chains of thought.
    High,
}

impl ReasoningEffort {
    /// Every effort, least first.
    pub const ALL: [Self; 3] = [Self::Low, Self::Medium, Self::High];

    /// The word in the system message.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
        }
    }

    /// The effort that `word` stands for, in upper or lower case.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|effort| effort.as_str().eq_ignore_ascii_case(word))
    }
}

impl<'de> Deserialize<'de> for ReasoningEffort {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let word = String::deserialize(deserializer)?;
        Self::from_word(&word).ok_or_else(|| {
            de::Error::custom(format!(
                "field `reasoning_effort`: expected one of Low, Medium, High, found `{word}`"
            ))
        })
    }
}

/// The channels that the system message names.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChannelConfig {
    /// Names in the order in which they are listed; none means that nothing is said of channels.
    pub valid_channels: Vec<String>,
    /// Whether every message is asked to name its channel.
    pub channel_required: bool,
}

impl Default for ChannelConfig {
    /// The three channels of gpt-oss, required.
    fn default() -> Self {
        let channels = ["analysis", "commentary", "final"];
        Self { valid_channels: channels.map(str::to_owned).to_vec(), channel_required: true }
    }
}

/// One tool that the model may call.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tool {
    /// Name inside the namespace, without a dot.
    pub name: String,
    /// What it does; each line becomes a comment.
    #[serde(default)]
    pub description: String,
    /// JSON schema of the arguments; none for a tool that takes none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parameters: Option<Value>,
}

impl Tool {
    /// A tool with its description and the JSON schema of its arguments.
    pub fn new(
        name: impl Into<String>,
        description: impl Into<String>,
        parameters: Option<Value>,
    ) -> Self {
        Self { name: name.into(), description: description.into(), parameters }
    }
}

/// Tools under one name: `functions` for those of the developer, `browser`, `python`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ToolNamespace {
    /// The part of a recipient before the dot.
    pub name: String,
    /// Text before the tools.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// The tools; none for a namespace that is itself called, such as `python`.
    pub tools: Vec<Tool>,
}

impl ToolNamespace {
    /// The developer's own tools, in the namespace `functions`.
    pub fn functions(tools: Vec<Tool>) -> Self {
        Self { name: "functions".to_owned(), description: None, tools }
    }

    /// The browser that gpt-oss was trained with, in the words of its training.
    pub fn browser() -> Self {
        Self {
            name: "browser".to_owned(),
            description: Some(BROWSER_DESCRIPTION.to_owned()),
            tools: vec![
                Tool::new(
                    "search",
                    "Searches for information related to `query` and displays `topn` results.",
                    Some(json!({
                        "type": "object",
                        "properties": {
                            "query": {"type": "string"},
                            "topn": {"type": "number", "default": 10},
                            "source": {"type": "string"},
                        },
                        "required": ["query"],
                    })),
                ),
                Tool::new(
                    "open",
                    BROWSER_OPEN_DESCRIPTION,
                    Some(json!({
                        "type": "object",
                        "properties": {
                            "id": {"type": ["number", "string"], "default": -1},
                            "cursor": {"type": "number", "default": -1},
                            "loc": {"type": "number", "default": -1},
                            "num_lines": {"type": "number", "default": -1},
                            "view_source": {"type": "boolean", "default": false},
                            "source": {"type": "string"},
                        },
                    })),
                ),
                Tool::new(
                    "find",
                    "Finds exact matches of `pattern` in the current page, or the page given by \
                     `cursor`.",
                    Some(json!({
                        "type": "object",
                        "properties": {
                            "pattern": {"type": "string"},
                            "cursor": {"type": "number", "default": -1},
                        },
                        "required": ["pattern"],
                    })),
                ),
            ],
        }
    }

    /// The Python interpreter that gpt-oss was trained with, in the words of its training.
    pub fn python() -> Self {
        Self {
            name: "python".to_owned(),
            description: Some(PYTHON_DESCRIPTION.to_owned()),
            tools: Vec::new(),
        }
    }
}

// The models know these tools by exactly these sentences, so they are data of the format.
const BROWSER_DESCRIPTION: &str = "\
Tool for browsing.
The `cursor` appears in brackets before each browsing display: `[{cursor}]`.
Cite information from the tool using the following format:
`【{cursor}†L{line_start}(-L{line_end})?】`, for example: `【6†L9-L11】` or `【8†L3】`.
Do not quote more than 10 words directly from the tool output.
sources=web (default: web)";

const BROWSER_OPEN_DESCRIPTION: &str = "\
Opens the link `id` from the page indicated by `cursor` starting at line number `loc`, \
showing `num_lines` lines.
Valid link ids are displayed with the formatting: `【{id}†.*】`.
If `cursor` is not provided, the most recent page is implied.
If `id` is a string, it is treated as a fully qualified URL associated with `source`.
If `loc` is not provided, the viewport will be positioned at the beginning of the document or \
centered on the most relevant passage, if available.
Use this function without `id` to scroll to a new location of an opened page.";

const PYTHON_DESCRIPTION: &str = "\
Use this tool to execute Python code in your chain of thought. The code will not be shown to \
the user. This tool should be used for internal reasoning, but not for code that is intended to \
be visible to the user (e.g. when creating plots, tables, or files).

When you send a message containing Python code to python, it will be executed in a stateful \
Jupyter notebook environment. python will respond with the output of the execution or time out \
after 120.0 seconds. The drive at '/mnt/data' can be used to save and persist user files. \
Internet access for this session is UNKNOWN. Depends on the cluster.";

/// Namespaces by name; rendered in the order of their keys.
pub type ToolNamespaces = BTreeMap<String, ToolNamespace>;

/// What a system message sets; a field that is absent is not rendered.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SystemContent {
    /// Who the model is told to be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model_identity: Option<String>,
    /// How long it is asked to think.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reasoning_effort: Option<ReasoningEffort>,
    /// The day of the conversation, as YYYY-MM-DD.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub conversation_start_date: Option<String>,
    /// The month in which the training data ends, as YYYY-MM.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub knowledge_cutoff: Option<String>,
    /// The channels it may speak on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub channel_config: Option<ChannelConfig>,
    /// Built-in tools: `browser`, `python`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tools: Option<ToolNamespaces>,
}

impl Default for SystemContent {
    /// What gpt-oss was trained with: ChatGPT, knowledge to 2024-06, medium effort, three
    /// required channels, no date and no tools.
    fn default() -> Self {
        let identity = "You are ChatGPT, a large language model trained by OpenAI.";
        Self {
            model_identity: Some(identity.to_owned()),
            reasoning_effort: Some(ReasoningEffort::Medium),
            conversation_start_date: None,
            knowledge_cutoff: Some("2024-06".to_owned()),
            channel_config: Some(ChannelConfig::default()),
            tools: None,
        }
    }
}

/// A JSON schema that the answer is asked to follow.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ResponseFormat {
    /// Name of the format.
    pub name: String,
    /// What it is for; each line becomes a comment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// The JSON schema, written into the prompt as compact JSON.
    pub schema: Value,
}

/// What a developer message sets; empty fields are not rendered.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DeveloperContent {
    /// What the model is told to do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instructions: Option<String>,
    /// The developer's tools, usually one namespace `functions`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tools: Option<ToolNamespaces>,
    /// Formats for structured output, an extension of openai-harmony's JSON.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub response_formats: Vec<ResponseFormat>,
}

impl DeveloperContent {
    /// The content with a namespace of tools, replacing one of the same name.
    #[must_use]
    pub fn with_tools(mut self, namespace: ToolNamespace) -> Self {
        self.tools.get_or_insert_default().insert(namespace.name.clone(), namespace);
        self
    }
}

impl SystemContent {
    /// The content with a namespace of built-in tools, replacing one of the same name.
    #[must_use]
    pub fn with_tools(mut self, namespace: ToolNamespace) -> Self {
        self.tools.get_or_insert_default().insert(namespace.name.clone(), namespace);
        self
    }
}
