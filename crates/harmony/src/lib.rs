//! Tokenizers, chat formats and the streaming parser: text and token ids, no model.
//!
//! In reading order: [`tokenizer`] turns text into ids; `conversation` and `instructions` are
//! what is said; `typescript`, `system`, `encoding` and `render` write it as ids; [`template`] does
//! so for models that do not speak harmony, and `chat_format` is either; [`parse`] reads the ids
//! that a model generates.

#![forbid(unsafe_code)]

mod chat_format;
mod conversation;
mod encoding;
mod error;
mod instructions;
pub mod parse;
mod render;
mod system;
pub mod template;
pub mod tokenizer;
mod typescript;

pub use chat_format::ChatFormat;
pub use conversation::{Content, Conversation, Message, Role};
pub use encoding::{HarmonyEncoding, SpecialTokens};
pub use error::HarmonyError;
pub use instructions::{
    ChannelConfig, DeveloperContent, ReasoningEffort, ResponseFormat, SystemContent, Tool,
    ToolNamespace, ToolNamespaces,
};
pub use render::{AnalysisRule, RecipientPosition, RenderOptions};
pub use template::{ChatTemplate, TemplateEncoding, TemplateError};
pub use tokenizer::{
    TokenId, TokenType, Tokenizer, TokenizerError, Utf8Stream, Vocabulary, VocabularyModel,
};
