//! What can go wrong with a conversation: it cannot be rendered, or the tokenizer has no harmony.

use crate::conversation::Role;

/// Why a conversation could not be rendered.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HarmonyError {
    /// The tokenizer cannot write harmony, because special tokens are missing.
    #[error(
        "tokenizer: expected harmony's special tokens, found none of the name {}",
        .missing.join(", ")
    )]
    MissingSpecialTokens {
        /// Names of the missing tokens.
        missing: Vec<&'static str>,
    },
    /// A tool's answer that does not say which tool answers.
    #[error("message {message}: field `name`: expected the tool's full name, found none")]
    ToolWithoutName {
        /// Index of the message in the conversation.
        message: usize,
    },
    /// Settings in a message of another role.
    #[error(
        "message {message}: content {content}: expected in a message of role {expected}, \
         found in one of role {found}"
    )]
    MisplacedContent {
        /// Index of the message in the conversation.
        message: usize,
        /// The content's `type` in JSON.
        content: &'static str,
        /// The only role that may carry it.
        expected: Role,
        /// The role that carries it.
        found: Role,
    },
    /// A tool's schema that is nested more deeply than can be rendered safely.
    #[error("tool `{tool}`: parameters: expected at most {depth_max} levels of schema, found more")]
    SchemaTooDeep {
        /// Name of the tool.
        tool: String,
        /// The number of levels allowed.
        depth_max: usize,
    },
}
