//! What can be enforced.

use gptoss_harmony::TokenId;
use serde_json::Value;

/// What the tokens of an answer must be.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ConstraintSpec {
    /// What the message on `final` must be; `None` leaves it free.
    pub answer: Option<BodyRule>,
    /// Tools that may be called, those with a schema with arguments that follow it.
    pub tools: Vec<ToolRule>,
    /// Whether a tool must be called.
    pub calls: CallRule,
    /// Tokens at the end of the prompt that belong to the header of the answer; the first token
    /// that a constraint sees comes after them.
    pub prefill: Vec<TokenId>,
}

/// What the body of a message must be.
#[derive(Clone, Debug, PartialEq)]
pub enum BodyRule {
    /// Any JSON object.
    JsonObject,
    /// JSON that follows a schema.
    JsonSchema(Value),
    /// What a grammar in Lark's notation derives.
    Lark(String),
    /// What a regular expression matches as a whole.
    Regex(String),
}

/// A tool that may be called.
#[derive(Clone, Debug, PartialEq)]
pub struct ToolRule {
    /// Recipient of the call, such as `functions.get_weather`.
    pub recipient: String,
    /// Schema of the arguments; `None` for a tool whose arguments are any JSON object.
    pub schema: Option<Value>,
}

/// Whether a tool must be called.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CallRule {
    /// The model decides.
    #[default]
    Auto,
    /// One of the tools, and no answer on `final`.
    Required,
}

impl ConstraintSpec {
    /// Whether nothing is enforced.
    pub fn is_free(&self) -> bool {
        self.answer.is_none()
            && self.calls == CallRule::Auto
            && self.tools.iter().all(|tool| tool.schema.is_none())
    }
}

/// Why a specification cannot be enforced; the text is for whoever wrote it.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum GrammarError {
    /// A keyword of JSON schema that would not be followed.
    #[error("not supported: JSON schema keyword `{keyword}` at {pointer}")]
    Keyword {
        /// The keyword.
        keyword: String,
        /// Where it stands, as a JSON pointer.
        pointer: String,
    },
    /// A schema that is nested too deeply.
    #[error("the JSON schema is nested more than {max} levels deep")]
    Depth {
        /// Levels that are allowed.
        max: usize,
    },
    /// The grammar is wrong, or too large.
    #[error("the {what} cannot be followed: {reason}")]
    Grammar {
        /// Which part of the specification.
        what: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The answer of this model always begins in another way.
    #[error("not supported: this model's answers always begin with {prefill:?}")]
    Prefill {
        /// What they begin with.
        prefill: String,
    },
    /// Tools, with a model whose calls have no known form.
    #[error("not supported: tools with a model that does not speak harmony")]
    ToolsWithoutHarmony,
    /// Nothing would end the answer.
    #[error("not supported: the model's files name no token that ends an answer")]
    NoEnd,
    /// A call is required, but there is no tool.
    #[error("a tool must be called, but no tool is given")]
    NoTools,
    /// A tool whose name cannot stand in a header.
    #[error("a tool's name may have letters, digits, `_`, `-` and `.` only, not {name:?}")]
    ToolName {
        /// The name.
        name: String,
    },
    /// The model's tokenizer cannot be used.
    #[error("the tokenizer cannot be used for constrained decoding: {reason}")]
    Tokenizer {
        /// Why.
        reason: String,
    },
}
