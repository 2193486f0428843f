//! The seam between whoever has requests (a server, an evaluator) and whoever computes them.

use std::ops::ControlFlow;

use gptoss_harmony::TokenId;

use crate::error::EngineError;
use crate::generate::{Step, TokenLogprobs};
use crate::sampler::SamplingParams;

/// One sequence to be computed.
pub struct BatchRequest {
    /// What is continued; at least one token.
    pub prompt: Vec<TokenId>,
    /// How tokens are chosen.
    pub sampling: SamplingParams,
    /// Generation ends after one of these, which is given out as the last token.
    pub stop_tokens: Vec<TokenId>,
    /// Tokens to generate at most; 0 computes the prompt only.
    pub max_tokens: usize,
    /// Give the log-probabilities of this many most likely tokens with each generated token.
    pub top_logprobs: Option<usize>,
    /// Give the log-probabilities of the prompt's own tokens from the second on, with this many
    /// most likely tokens each.
    pub prompt_logprobs: Option<usize>,
    /// Give the mean of the prompt's last hidden states (`[D]`, after the final norm).
    pub embed: bool,
    /// Whose request it is: waiting requests of several clients take turns.
    pub client: String,
    /// Which tokens may come.
    pub constraint: Option<Box<dyn Constraint>>,
    /// Who is told what happens.
    pub sink: Box<dyn Sink>,
}

/// Is told what happens to a request, on the thread that computes: it must return at once.
pub trait Sink: Send {
    /// Takes an event; to break is to cancel, and then nothing follows.
    fn event(&mut self, event: BatchEvent) -> ControlFlow<()>;

    /// Whether anybody still waits for what may come: asked before each step, also while the
    /// request waits or its prompt is computed, when there is no event to break at. If not, nothing
    /// follows.
    fn is_wanted(&mut self) -> bool {
        true
    }
}

impl<F: FnMut(BatchEvent) -> ControlFlow<()> + Send> Sink for F {
    fn event(&mut self, event: BatchEvent) -> ControlFlow<()> {
        self(event)
    }
}

/// Which tokens may come next.
pub trait Constraint: Send {
    /// Sets the logits (`[V]`) of tokens that may not come to minus infinity; at least one stays.
    ///
    /// # Errors
    /// Why no token may come, or the rules were too much to compute.
    fn mask(&mut self, logits: &mut [f32]) -> Result<(), String>;

    /// Learns which token came.
    ///
    /// # Errors
    /// Why it may not have come.
    fn accept(&mut self, token: TokenId) -> Result<(), String>;
}

/// What happens to a request, in this order.
#[derive(Clone, Debug, PartialEq)]
pub enum BatchEvent {
    /// It left the queue; this many tokens of the prompt need not be computed.
    Started {
        /// Tokens whose keys and values were kept from another request or turn.
        cached_tokens: usize,
    },
    /// Of the prompt's tokens from the second on, in order; in one event or several.
    PromptLogprobs(Vec<TokenLogprobs>),
    /// Mean of the last hidden states.
    Embedding(Vec<f32>),
    /// A token was generated.
    Token(Step),
    /// Nothing follows.
    Done(BatchDone),
}

/// How a request ended.
#[derive(Clone, Debug, PartialEq)]
pub struct BatchDone {
    /// Why.
    pub stop: BatchStop,
    /// Tokens generated.
    pub generated: usize,
}

/// Why a request ended.
#[derive(Clone, Debug, PartialEq)]
pub enum BatchStop {
    /// A stop token was generated.
    StopToken(TokenId),
    /// `max_tokens` were generated.
    MaxTokens,
    /// The context is full.
    ContextFull,
    /// The program is going to end.
    ShuttingDown,
    /// This request failed; others go on.
    Failed(String),
}

/// Why a request was not taken.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    /// As many wait as may wait.
    #[error("too many requests are waiting ({waiting})")]
    QueueFull {
        /// Requests that wait.
        waiting: usize,
        /// Seconds after which there may be room.
        retry_after: u64,
    },
    /// It can never be computed.
    #[error(transparent)]
    Invalid(#[from] EngineError),
    /// The program is going to end.
    #[error("the server is shutting down")]
    ShuttingDown,
}

/// Counts of a batcher: gauges of this moment and counters since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct BatchStatus {
    /// Requests that are computed.
    pub running: usize,
    /// Requests that wait.
    pub waiting: usize,
    /// Pages of the cache that hold something, of `pages`.
    pub pages_used: usize,
    /// Pages that there are.
    pub pages: usize,
    /// Positions of a page.
    pub page_positions: usize,
    /// Tokens of prompts that were asked for since the start.
    pub prompt_tokens: u64,
    /// Those of them that were in the cache.
    pub cached_tokens: u64,
    /// Tokens generated since the start.
    pub generated_tokens: u64,
}

/// Takes requests and computes them together.
pub trait Batcher: Send + Sync {
    /// Takes a request, or refuses it before anything is computed.
    ///
    /// # Errors
    /// See [`Refused`].
    fn submit(&self, request: BatchRequest) -> Result<(), Refused>;

    /// What is going on.
    fn status(&self) -> BatchStatus;

    /// Tokens that a request may have, prompt and answer together.
    fn context_length(&self) -> usize;

    /// Takes no more requests; those that run go on.
    fn close(&self);
}
