//! Chat templates: conversations as ids for models that do not speak harmony.
//!
//! Such a model brings a template in Jinja's language, which writes a conversation as text with
//! special tokens in it by name. Its text is, character by character, what transformers'
//! `apply_chat_template` gives; testdata/templates holds the proof.
//!
//! Where it differs on purpose: transformers reads the whole text back, so that a user who writes
//! `<|im_end|>` ends a message. Here the ids come from a second rendering in which the texts of
//! others are in disguise, and only what the template itself wrote is looked through for special
//! tokens. The two renderings are compared: a template that goes by what is in a text (such as
//! `</think>`) is rendered a third time with only the names of special tokens broken up, and if
//! that would give another sequence of special tokens the conversation is refused.
//!
//! Reading order: `error`, `strftime` and `tojson` (what Python writes), `methods` and
//! `generation_tags` (what Jinja has elsewhere), `environment` (a compiled template), `view` (a
//! conversation as templates see it), and [`TemplateEncoding`] itself.

mod environment;
mod error;
mod generation_tags;
mod methods;
mod strftime;
mod tojson;
mod view;

use std::collections::BTreeSet;
use std::sync::Arc;

use minijinja::Value;

pub use error::TemplateError;

use crate::conversation::Conversation;
use crate::tokenizer::{TokenId, Tokenizer};
use environment::Compiled;
use view::Voices;

/// A chat template as a model's files bring it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ChatTemplate {
    /// The template, in Jinja's language.
    pub source: String,
    /// The text that it calls `bos_token`.
    pub bos_token: Option<String>,
    /// The text that it calls `eos_token`.
    pub eos_token: Option<String>,
    /// The text that it calls `unk_token`.
    pub unk_token: Option<String>,
    /// Tokens that end an answer.
    pub stop_tokens: Vec<TokenId>,
}

/// What is done to a text.
type Voice<'a> = &'a dyn Fn(&str) -> String;

/// A chat template over a tokenizer; cheap to clone.
#[derive(Clone)]
pub struct TemplateEncoding(Arc<Parts>);

struct Parts {
    template: ChatTemplate,
    compiled: Compiled,
    tokenizer: Arc<Tokenizer>,
}

impl TemplateEncoding {
    /// `template` over `tokenizer`.
    ///
    /// # Errors
    /// [`TemplateError::Syntax`] if it is no template.
    pub fn new(
        tokenizer: Arc<Tokenizer>,
        template: ChatTemplate,
    ) -> Result<TemplateEncoding, TemplateError> {
        let compiled = Compiled::new(&template.source)?;
        Ok(TemplateEncoding(Arc::new(Parts { template, compiled, tokenizer })))
    }

    /// The tokenizer underneath.
    pub fn tokenizer(&self) -> &Arc<Tokenizer> {
        &self.0.tokenizer
    }

    /// The template.
    pub fn template(&self) -> &ChatTemplate {
        &self.0.template
    }

    /// Whether the template writes the day of the conversation, if it is told.
    pub fn takes_date(&self) -> bool {
        self.0.template.source.contains("strftime_now")
    }

    /// The conversation as text, followed by the beginning of the assistant's message. The day of
    /// the conversation is `conversation_start_date` of a system message; all other settings of
    /// one are refused.
    ///
    /// What users wrote stands in it as they wrote it: it is to be looked at, not to be encoded.
    ///
    /// # Errors
    /// If the template refuses the conversation, or has no place for a part of it.
    pub fn text_for_completion(
        &self,
        conversation: &Conversation,
    ) -> Result<String, TemplateError> {
        let plain = |text: &str| text.to_owned();
        self.written(conversation, Voices { said: &plain, declared: &plain })
    }

    /// The ids of [`TemplateEncoding::text_for_completion`], which the model is to continue.
    /// Nothing that stands in the conversation becomes a special token.
    ///
    /// # Errors
    /// As there, and [`TemplateError::Rewritten`] if a text could become a special token.
    pub fn render_for_completion(
        &self,
        conversation: &Conversation,
    ) -> Result<Vec<TokenId>, TemplateError> {
        let tokenizer = self.tokenizer();
        let plain = self.text_for_completion(conversation)?;
        let taken: BTreeSet<char> = plain.chars().filter(|c| *c >= '\u{F0000}').collect();
        let disguise = tokenizer.disguise(|c| taken.contains(&c));
        let disguise = disguise.ok_or(TemplateError::Rewritten)?;
        let hide = |text: &str| disguise.hide(text);
        let broken = |text: &str| tokenizer.break_specials(text, &disguise);
        let (said, declared): (Voice, Voice) = (&hide, &broken);
        // A template may refuse what it can no longer read.
        let hidden = self.written(conversation, Voices { said, declared }).unwrap_or_default();
        if disguise.reveal(&hidden) == plain {
            return Ok(tokenizer.encode_disguised(&hidden, &disguise));
        }
        let readable = self.written(conversation, Voices { said: declared, declared })?;
        let is_same_text = disguise.reveal(&readable) == plain;
        let is_same_frame = tokenizer.specials_in(&readable) == tokenizer.specials_in(&hidden);
        match is_same_text && is_same_frame {
            true => Ok(tokenizer.encode_disguised(&readable, &disguise)),
            false => Err(TemplateError::Rewritten),
        }
    }

    /// What the template writes of the conversation.
    fn written(
        &self,
        conversation: &Conversation,
        voices: Voices<'_>,
    ) -> Result<String, TemplateError> {
        let Parts { template, compiled, .. } = &*self.0;
        let view = view::view(conversation, voices)?;
        let mut variables = vec![
            ("messages", Value::from(view.messages)),
            ("tools", Value::from(view.tools)),
            ("documents", Value::from(())),
            ("add_generation_prompt", Value::from(true)),
        ];
        let tokens = [
            ("bos_token", &template.bos_token),
            ("eos_token", &template.eos_token),
            ("unk_token", &template.unk_token),
        ];
        let named = |(name, text): (&'static str, &Option<String>)| {
            text.as_ref().map(|text| (name, Value::from(text)))
        };
        variables.extend(tokens.into_iter().filter_map(named));
        compiled.render(variables, view.today)
    }
}

impl std::fmt::Debug for TemplateEncoding {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut fields = formatter.debug_struct("TemplateEncoding");
        fields.field("template", self.template()).finish_non_exhaustive()
    }
}
