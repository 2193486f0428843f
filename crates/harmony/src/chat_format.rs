//! How a model talks: in harmony, or with a chat template of its own.

use std::sync::Arc;

use crate::encoding::HarmonyEncoding;
use crate::template::TemplateEncoding;
use crate::tokenizer::{TokenId, Tokenizer};

/// The format of a model's conversations; cheap to clone.
#[derive(Clone)]
pub enum ChatFormat {
    /// Messages with channels and calls, as gpt-oss was trained.
    Harmony(HarmonyEncoding),
    /// Whatever the template writes; all that the model generates is its answer.
    Template(TemplateEncoding),
}

impl ChatFormat {
    /// The tokenizer underneath.
    pub fn tokenizer(&self) -> &Arc<Tokenizer> {
        match self {
            ChatFormat::Harmony(harmony) => harmony.tokenizer(),
            ChatFormat::Template(template) => template.tokenizer(),
        }
    }

    /// The tokens on which the generation of an answer stops.
    pub fn stop_tokens(&self) -> Vec<TokenId> {
        match self {
            ChatFormat::Harmony(harmony) => harmony.stop_tokens(),
            ChatFormat::Template(template) => template.template().stop_tokens.clone(),
        }
    }

    /// The template, if the model has one of its own.
    pub fn as_template(&self) -> Option<&TemplateEncoding> {
        match self {
            ChatFormat::Harmony(_) => None,
            ChatFormat::Template(template) => Some(template),
        }
    }
}
