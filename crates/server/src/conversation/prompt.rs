//! A conversation as the token ids that the model continues.

use gptoss_engine::{Engine, fit_conversation, prompt_tokens};
use gptoss_harmony::{Conversation, TokenId};

use crate::error::ApiError;

/// The ids that the model continues, and how its answer is to be read.
#[derive(Clone, Debug)]
pub(crate) struct Prompt {
    /// All ids.
    pub(crate) ids: Vec<TokenId>,
    /// Those at the end that belong to the header of the answer.
    pub(crate) prefill: Vec<TokenId>,
    /// Full names of the declared tools.
    pub(crate) tools: Vec<String>,
}

/// Whether old turns may be left out to make room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Truncation {
    /// A prompt that is too long is refused.
    Disabled,
    /// The oldest turns are dropped until there is room for this many tokens of an answer.
    Auto(usize),
}

impl Prompt {
    /// Renders `conversation`, which leaves room for at least one token in `context_length`.
    ///
    /// # Errors
    /// 400 if it does not fit or cannot be rendered.
    pub(crate) fn render(
        engine: &Engine,
        mut conversation: Conversation,
        context_length: usize,
        truncation: Truncation,
    ) -> Result<Prompt, ApiError> {
        if let Truncation::Auto(answer_tokens) = truncation {
            let answer_tokens = answer_tokens.clamp(1, context_length);
            fit_conversation(engine, &mut conversation, context_length, answer_tokens)
                .map_err(|error| ApiError::of_engine(&error))?;
        }
        let (ids, prefill) =
            prompt_tokens(engine, &conversation).map_err(|e| ApiError::of_engine(&e))?;
        if ids.len() >= context_length {
            return Err(ApiError::context_length(ids.len(), context_length, "messages"));
        }
        Ok(Prompt { ids, prefill, tools: conversation.tool_names() })
    }
}
