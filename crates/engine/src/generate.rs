//! The loop of decode: sample a token, stop or append it, and again.

use gptoss_harmony::TokenId;

use crate::error::EngineError;
use crate::sampler::{History, SamplingParams, log_probabilities, sample};
use crate::session::Session;

/// When and how to generate.
#[derive(Clone, Debug)]
pub struct GenerateParams {
    /// How tokens are chosen.
    pub sampling: SamplingParams,
    /// Generation ends after one of these, which is given out as the last token.
    pub stop_tokens: Vec<TokenId>,
    /// Tokens to generate at most.
    pub max_tokens: usize,
    /// Give the log-probabilities of this many most likely tokens with each token.
    pub top_logprobs: Option<usize>,
}

/// Why generation ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StopReason {
    /// A stop token was generated.
    StopToken(TokenId),
    /// `max_tokens` were generated.
    MaxTokens,
    /// The context is full.
    ContextFull,
}

/// One generated token.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    /// The token.
    pub token: TokenId,
    /// Its log-probability and its most likely rivals, if asked for. They are those of the model,
    /// before bias, penalties and temperature.
    pub logprobs: Option<TokenLogprobs>,
}

/// Log-probabilities at one position.
#[derive(Clone, Debug, PartialEq)]
pub struct TokenLogprobs {
    /// Of the chosen token.
    pub logprob: f64,
    /// The most likely tokens, most likely first, lower ids first among equals.
    pub top: Vec<(TokenId, f64)>,
}

/// A running generation: one [`Step`] a call, then a [`StopReason`].
pub struct Generation {
    params: GenerateParams,
    history: History,
    generated: usize,
    /// Set when the last token was given out.
    stopped: Option<StopReason>,
    /// Sampled and given out, but not yet run through the model.
    pending: Option<TokenId>,
}

impl Generation {
    /// A generation that goes on where `session` stands.
    pub fn new(session: &Session, params: GenerateParams) -> Generation {
        let history = History::new(session.tokens());
        Generation { params, history, generated: 0, stopped: None, pending: None }
    }

    /// The next token, or `None` when generation has ended.
    ///
    /// The last token is not run through the model: the timeline of `session` then ends before
    /// it.
    ///
    /// # Errors
    /// None of the model's own; [`EngineError::ContextFull`] is a [`StopReason`] here.
    ///
    /// # Panics
    /// If `session` has no tokens: there is nothing to continue.
    pub fn next(&mut self, session: &mut Session) -> Result<Option<Step>, EngineError> {
        if self.stopped.is_some() {
            return Ok(None);
        }
        if self.generated >= self.params.max_tokens {
            self.stopped = Some(StopReason::MaxTokens);
            return Ok(None);
        }
        if let Some(token) = self.pending.take() {
            if session.tokens().len() >= session.context_length() {
                self.stopped = Some(StopReason::ContextFull);
                return Ok(None);
            }
            session.push(token)?;
        }
        let mut logits = session.logits().to_vec();
        let position = session.tokens().len();
        let token = sample(&self.params.sampling, &self.history, position, &mut logits);
        let logprobs = self.params.top_logprobs.map(|n| logprobs(session.logits(), token, n));
        self.history.push(token);
        self.generated += 1;
        match self.params.stop_tokens.contains(&token) {
            true => self.stopped = Some(StopReason::StopToken(token)),
            false => self.pending = Some(token),
        }
        Ok(Some(Step { token, logprobs }))
    }

    /// Why generation ended; `None` while it goes on.
    pub fn stopped(&self) -> Option<StopReason> {
        self.stopped
    }

    /// Tokens generated so far.
    pub fn generated(&self) -> usize {
        self.generated
    }
}

/// The log-probability of `token` and of the `n` most likely tokens.
pub(crate) fn logprobs(logits: &[f32], token: TokenId, n: usize) -> TokenLogprobs {
    let logprob = log_probabilities(logits);
    let mut order: Vec<TokenId> = (0..logits.len() as TokenId).collect();
    let by_logit = |a: &TokenId, b: &TokenId| {
        logits[*b as usize].total_cmp(&logits[*a as usize]).then(a.cmp(b))
    };
    let n = n.min(order.len());
    if n < order.len() {
        order.select_nth_unstable_by(n, by_logit);
        order.truncate(n);
    }
    order.sort_unstable_by(by_logit);
    TokenLogprobs {
        logprob: logprob(token),
        top: order.into_iter().map(|id| (id, logprob(id))).collect(),
    }
}
