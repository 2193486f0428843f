//! What an evaluation needs of a model: an engine or a client of a server implements it.

use crate::EvalError;
use crate::plan::{Cost, Plan};
use crate::tokens::{Encoder, Limit};

/// The log-likelihood of a continuation.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Scored {
    /// Sum of the log-probabilities of its tokens, natural logarithm, from left to right in f64.
    pub logprob: f64,
    /// Whether each token was the likeliest one at its place.
    pub greedy: bool,
}

/// What text is to be continued.
#[derive(Debug, Clone, PartialEq)]
pub enum GeneratePrompt {
    /// As it is.
    Text(String),
    /// A user's message, written in the chat format of the model.
    Chat {
        /// The message.
        user: String,
        /// `low`, `medium` or `high`, for models that know it.
        effort: Option<String>,
    },
}

/// A text to be generated.
#[derive(Debug, Clone, PartialEq)]
pub struct GenerateRequest {
    /// What stands before.
    pub prompt: GeneratePrompt,
    /// Texts before which it ends. The caller cuts there too, so a model may leave them in.
    pub until: Vec<String>,
    /// Tokens at most, reasoning included.
    pub max_tokens: usize,
    /// 0 takes the likeliest token.
    pub temperature: f64,
    /// Share of probability that is sampled from.
    pub top_p: f64,
    /// Seed of the sampling; another one for each repeat of a document.
    pub seed: u64,
}

/// A generated text.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Generated {
    /// The answer, without reasoning.
    pub text: String,
    /// The reasoning, if there is any.
    pub reasoning: String,
    /// Tokens that were generated, reasoning included.
    pub tokens: usize,
    /// Whether it ended because there were no tokens left.
    pub truncated: bool,
}

/// Takes a finished request by its place. An error ends the run.
pub type Done<'a, T> = &'a mut dyn FnMut(usize, T) -> Result<(), EvalError>;

/// A model that is evaluated.
pub trait EvalModel {
    /// Its tokenizer.
    fn encoder(&self) -> &dyn Encoder;

    /// The longest sequence it takes.
    fn limit(&self) -> Limit;

    /// Computes a plan and hands over the log-likelihood of each request of it, once, in any
    /// order, as soon as it is known.
    ///
    /// # Errors
    /// If the model fails, or `done` does.
    fn score(&mut self, plan: &Plan, done: Done<'_, Scored>) -> Result<(), EvalError>;

    /// Generates texts and hands over each one, once, in any order, as soon as it is there.
    ///
    /// # Errors
    /// If the model fails, or `done` does.
    fn generate(
        &mut self,
        requests: &[GenerateRequest],
        done: Done<'_, Generated>,
    ) -> Result<(), EvalError>;

    /// What it has computed for prompts so far, also when a call ended with an error.
    fn cost(&self) -> Cost;
}
