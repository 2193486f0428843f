//! Log-probabilities as Completions shows them: parallel lists.

use gptoss_engine::TokenLogprobs;
use gptoss_harmony::{TokenId, Tokenizer};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value};

use crate::output::logprobs::finite;

/// Log-probabilities of a text, one entry a token.
#[derive(Clone, Debug, Default, PartialEq, Serialize, JsonSchema)]
pub struct CompletionLogprobs {
    /// The tokens; `bytes:` and their bytes where they are no text.
    pub tokens: Vec<String>,
    /// Natural logarithms of their probabilities; null for the first of a prompt.
    pub token_logprobs: Vec<Option<f64>>,
    /// The most likely tokens and the one that came; null for the first of a prompt.
    pub top_logprobs: Vec<Option<Map<String, Value>>>,
    /// Characters of the text before each token.
    pub text_offset: Vec<usize>,
}

/// One token's entry.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Entry {
    pub(crate) token: String,
    pub(crate) logprob: Option<f64>,
    pub(crate) top: Option<Map<String, Value>>,
    pub(crate) offset: usize,
}

impl Entry {
    /// The entry of a token; `logprobs` are missing for the first of a prompt.
    pub(crate) fn new(
        tokenizer: &Tokenizer,
        token: TokenId,
        logprobs: Option<&TokenLogprobs>,
        offset: usize,
    ) -> Entry {
        let name = spelled(tokenizer, token);
        let top = logprobs.map(|logprobs| {
            let all = logprobs.top.iter().map(|(id, logprob)| (spelled(tokenizer, *id), *logprob));
            let own = (name.clone(), logprobs.logprob);
            let number = |(name, logprob): (String, f64)| (name, Value::from(finite(logprob)));
            all.chain([own]).map(number).collect()
        });
        let logprob = logprobs.map(|logprobs| finite(logprobs.logprob));
        Entry { token: name, logprob, top, offset }
    }
}

impl CompletionLogprobs {
    pub(crate) fn push(&mut self, entry: Entry) {
        self.tokens.push(entry.token);
        self.token_logprobs.push(entry.logprob);
        self.top_logprobs.push(entry.top);
        self.text_offset.push(entry.offset);
    }

    pub(crate) fn extend(&mut self, other: CompletionLogprobs) {
        self.tokens.extend(other.tokens);
        self.token_logprobs.extend(other.token_logprobs);
        self.top_logprobs.extend(other.top_logprobs);
        self.text_offset.extend(other.text_offset);
    }
}

/// A token by a name that no other has: its text, or its bytes where it is no text.
fn spelled(tokenizer: &Tokenizer, id: TokenId) -> String {
    let bytes = tokenizer.token_bytes(id).unwrap_or_default();
    match std::str::from_utf8(bytes) {
        Ok(text) => text.to_owned(),
        Err(_) => {
            let digits = bytes.iter().map(|byte| format!("\\x{byte:02x}"));
            format!("bytes:{}", digits.collect::<String>())
        }
    }
}
