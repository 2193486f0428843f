//! What can go wrong with a chat template.

/// Why a chat template cannot be used, or a conversation cannot be written with it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TemplateError {
    /// The template itself is wrong.
    #[error("chat template: line {line}: {reason}")]
    Syntax {
        /// Where.
        line: usize,
        /// What is wrong there.
        reason: String,
    },
    /// The template refuses the conversation, in its own words.
    #[error("the model's chat template refuses the conversation: {message}")]
    Refused {
        /// What it says.
        message: String,
    },
    /// The template cannot be carried out for this conversation.
    #[error("chat template: line {line}: cannot be rendered: {reason}")]
    Render {
        /// Where.
        line: usize,
        /// Why.
        reason: String,
    },
    /// The template takes too many steps or too much memory.
    #[error("chat template: expected at most {fuel_max} steps for a conversation, found more")]
    TooMuch {
        /// The budget, where 64 bytes count as a step.
        fuel_max: u64,
    },
    /// A setting that no template has a place for.
    #[error("message {message}: not supported: {what}: a chat template has no place for it")]
    Setting {
        /// Index of the message in the conversation.
        message: usize,
        /// Name of the setting.
        what: &'static str,
    },
    /// A tool's answer that does not say which tool answers.
    #[error("message {message}: field `name`: expected the tool's full name, found none")]
    ToolWithoutName {
        /// Index of the message in the conversation.
        message: usize,
    },
    /// A tool's answer without a call before it.
    #[error("message {message}: expected a call of `{tool}` before its answer, found none")]
    AnswerWithoutCall {
        /// Index of the message in the conversation.
        message: usize,
        /// Name of the tool.
        tool: String,
    },
    /// A date that is none.
    #[error("date: expected a day as YYYY-MM-DD, found `{found}`")]
    Date {
        /// What was given.
        found: String,
    },
    /// The template takes texts apart in a way that could make special tokens of them.
    #[error(
        "not supported: a text of the conversation could become a special token, because the \
         model's chat template rewrites it"
    )]
    Rewritten,
}
