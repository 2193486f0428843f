//! A model that runs in this process, on the engine.
//!
//! In reading order: `room` (memory), `reading` (logits to log-likelihoods), `cover` (which nodes
//! of a plan are computed together, and whose cache they go on from), `scoring` (a whole plan),
//! `answer` (tokens to text), `generating` (many texts at once), and here the model.
//!
//! Every log-likelihood and text has the bits that it has alone: the engine gives each sequence
//! the same bits in any company and from any cached beginning.

mod answer;
mod cover;
mod generating;
mod reading;
mod room;
mod scoring;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use gptoss_engine::{Engine, EngineError};

use crate::EvalError;
use crate::model::{Done, EvalModel, GenerateRequest, Generated, Scored};
use crate::plan::{Cost, Plan};
use crate::tokens::{Encoder, Limit, TokenizerEncoder};

/// How a model is asked.
#[derive(Debug, Clone)]
pub struct ModelOptions {
    /// The longest sequence, and where a longer one is cut.
    pub limit: Limit,
    /// Whether the token that begins sequences stands before every text.
    pub begins: bool,
    /// Sequences that are computed together at most.
    pub sequences_max: usize,
    /// Set by the caller when it wants no more.
    pub stop: Arc<AtomicBool>,
}

impl ModelOptions {
    /// The longest sequence that the model is configured for, without a token before it.
    pub fn of(engine: &Engine) -> ModelOptions {
        ModelOptions {
            limit: Limit::Direct { max_length: engine.config().max_position_embeddings },
            begins: false,
            sequences_max: 64,
            stop: Arc::default(),
        }
    }
}

/// A model on the engine.
pub struct EngineModel {
    engine: Engine,
    encoder: TokenizerEncoder,
    options: ModelOptions,
    cost: Cost,
}

impl EngineModel {
    /// A model on an engine.
    ///
    /// # Errors
    /// If it came without a tokenizer, is to begin with a token that its files do not name, or has
    /// no room for what is asked.
    pub fn new(engine: &Engine, options: ModelOptions) -> Result<EngineModel, EvalError> {
        let chat = &engine.model().chat;
        let refuse = |message: &str| Err(EvalError::Refused(message.into()));
        let (length, most) = (options.limit.max_length(), engine.config().max_position_embeddings);
        if length < 2 || length > most {
            return refuse(&format!("context: expected 2 to {most} tokens, found {length}"));
        }
        let begin = engine.text_begin().or(chat.bos_token_id);
        if options.begins && begin.is_none() {
            return refuse("not supported: the model's files name no token that begins a text");
        }
        if options.sequences_max == 0 {
            return refuse("expected at least one sequence at once, found 0");
        }
        let encoder = TokenizerEncoder {
            tokenizer: engine.tokenizer().map_err(failed)?.clone(),
            begin: begin.filter(|_| options.begins),
            prefix: begin.or(chat.eos_token_ids.first().copied()).unwrap_or_default(),
        };
        Ok(EngineModel { engine: engine.clone(), encoder, options, cost: Cost::default() })
    }

    /// # Errors
    /// [`EvalError::Interrupted`] if the caller wants no more.
    fn check_stop(&self) -> Result<(), EvalError> {
        match self.options.stop.load(Ordering::Relaxed) {
            true => Err(EvalError::Interrupted),
            false => Ok(()),
        }
    }
}

/// What the engine says.
fn failed(error: EngineError) -> EvalError {
    EvalError::Model(error.to_string())
}

impl EvalModel for EngineModel {
    fn encoder(&self) -> &dyn Encoder {
        &self.encoder
    }

    fn limit(&self) -> Limit {
        self.options.limit
    }

    fn score(&mut self, plan: &Plan, done: Done<'_, Scored>) -> Result<(), EvalError> {
        scoring::score(self, plan, done)
    }

    fn generate(
        &mut self,
        requests: &[GenerateRequest],
        done: Done<'_, Generated>,
    ) -> Result<(), EvalError> {
        generating::generate(self, requests, done)
    }

    fn cost(&self) -> Cost {
        self.cost
    }
}
