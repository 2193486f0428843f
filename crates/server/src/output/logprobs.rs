//! Log-probabilities as the chat interfaces show them.

use gptoss_engine::Step;
use gptoss_harmony::{TokenId, Tokenizer};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What stands for the logarithm of zero, which JSON cannot say.
const IMPOSSIBLE: f64 = -9999.0;

/// A token that was generated, with its rivals.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TokenLogprob {
    /// Its text; U+FFFD where it is no whole code point.
    pub token: String,
    /// Natural logarithm of its probability before temperature, bias and penalties.
    pub logprob: f64,
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// The most likely tokens, most likely first.
    pub top_logprobs: Vec<TopLogprob>,
}

/// A token that could have been generated.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TopLogprob {
    /// Its text.
    pub token: String,
    /// Natural logarithm of its probability.
    pub logprob: f64,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

impl TokenLogprob {
    /// The token of a step; `None` if no log-probabilities were asked for.
    pub(crate) fn of(step: &Step, tokenizer: &Tokenizer) -> Option<TokenLogprob> {
        let logprobs = step.logprobs.as_ref()?;
        let (token, bytes) = spelled(tokenizer, step.token);
        let top = logprobs.top.iter().map(|(id, logprob)| {
            let (token, bytes) = spelled(tokenizer, *id);
            TopLogprob { token, logprob: finite(*logprob), bytes }
        });
        let top_logprobs = top.collect();
        Some(TokenLogprob { token, logprob: finite(logprobs.logprob), bytes, top_logprobs })
    }
}

fn spelled(tokenizer: &Tokenizer, id: TokenId) -> (String, Vec<u8>) {
    let bytes = tokenizer.token_bytes(id).unwrap_or_default().to_vec();
    (String::from_utf8_lossy(&bytes).into_owned(), bytes)
}

/// A logarithm that JSON can say.
pub(crate) fn finite(logprob: f64) -> f64 {
    logprob.max(IMPOSSIBLE)
}
