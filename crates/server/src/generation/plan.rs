//! An answer that is to be generated: the prompt, how tokens are chosen, what is enforced.

use gptoss_engine::SamplingParams;

use crate::constrain::ConstraintSpec;
use crate::conversation::prompt::Prompt;
use crate::error::ApiError;
use crate::generation::run::Order;
use crate::output::reader::{Reader, Reading};
use crate::server::Server;

/// An answer that is to be generated, once or several times.
pub(crate) struct Plan {
    pub(crate) prompt: Prompt,
    pub(crate) sampling: SamplingParams,
    /// Tokens to generate at most; `None` until the context is full.
    pub(crate) max_tokens: Option<usize>,
    pub(crate) top_logprobs: Option<usize>,
    pub(crate) reading: Reading,
    pub(crate) spec: ConstraintSpec,
}

impl Plan {
    /// `n` sequences that differ in their random numbers only.
    ///
    /// # Errors
    /// If the model cannot chat.
    pub(crate) fn orders(&self, server: &Server, n: usize) -> Result<Vec<Order>, ApiError> {
        let format = server.chat_format()?;
        // Clients ask for the whole context as a matter of course: what fits is what they get.
        let room = server.batcher.context_length().saturating_sub(self.prompt.ids.len());
        let spec = ConstraintSpec { prefill: self.prompt.prefill.clone(), ..self.spec.clone() };
        let order = |sequence| Order {
            prompt: self.prompt.ids.clone(),
            sampling: SamplingParams { sequence, ..self.sampling.clone() },
            stop_tokens: format.stop_tokens(),
            max_tokens: self.max_tokens.unwrap_or(room).min(room),
            top_logprobs: self.top_logprobs,
            prompt_logprobs: None,
            embed: false,
            spec: spec.clone(),
        };
        Ok((0..n as u64).map(order).collect())
    }

    /// A reader of one of the answers.
    ///
    /// # Errors
    /// If the model cannot chat.
    pub(crate) fn reader(&self, server: &Server) -> Result<Reader, ApiError> {
        Ok(Reader::new(server.chat_format()?, &self.prompt, self.reading.clone()))
    }
}
