//! Harmony over a tokenizer: the ids of the special tokens that frame messages.

use std::sync::Arc;

use crate::error::HarmonyError;
use crate::tokenizer::{TokenId, Tokenizer};

/// Ids of harmony's special tokens in one vocabulary, looked up by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SpecialTokens {
    /// `<|start|>` opens a header.
    pub start: TokenId,
    /// `<|message|>` ends the header and opens the content.
    pub message: TokenId,
    /// `<|end|>` ends a message; generation goes on.
    pub end: TokenId,
    /// `<|return|>` ends the last message of an answer; generation stops.
    pub return_: TokenId,
    /// `<|call|>` ends a tool call; generation stops until the tool has answered.
    pub call: TokenId,
    /// `<|channel|>` stands before the name of the channel.
    pub channel: TokenId,
    /// `<|constrain|>` stands before a content type that is enforced.
    pub constrain: TokenId,
    /// `<|endoftext|>`, where the vocabulary has one; generation stops.
    pub end_of_text: Option<TokenId>,
}

/// Harmony's rules over one tokenizer; cheap to clone.
#[derive(Clone)]
pub struct HarmonyEncoding {
    tokenizer: Arc<Tokenizer>,
    special: SpecialTokens,
}

impl HarmonyEncoding {
    /// Harmony over `tokenizer`.
    ///
    /// # Errors
    /// [`HarmonyError::MissingSpecialTokens`] with the name of every token that is missing.
    /// `<|endoftext|>` may be missing.
    pub fn new(tokenizer: Arc<Tokenizer>) -> Result<Self, HarmonyError> {
        let mut missing = Vec::new();
        let mut id = |name| {
            tokenizer.special(name).unwrap_or_else(|| {
                missing.push(name);
                TokenId::MAX
            })
        };
        let special = SpecialTokens {
            start: id("<|start|>"),
            message: id("<|message|>"),
            end: id("<|end|>"),
            return_: id("<|return|>"),
            call: id("<|call|>"),
            channel: id("<|channel|>"),
            constrain: id(CONSTRAIN),
            end_of_text: tokenizer.special("<|endoftext|>"),
        };
        if missing.is_empty() {
            Ok(Self { tokenizer, special })
        } else {
            Err(HarmonyError::MissingSpecialTokens { missing })
        }
    }

    /// The tokenizer underneath.
    pub fn tokenizer(&self) -> &Arc<Tokenizer> {
        &self.tokenizer
    }

    /// The ids of the special tokens.
    pub fn special(&self) -> SpecialTokens {
        self.special
    }

    /// The tokens on which the generation of an answer stops: return, call, end of text.
    pub fn stop_tokens(&self) -> Vec<TokenId> {
        let SpecialTokens { return_, call, end_of_text, .. } = self.special;
        [return_, call].into_iter().chain(end_of_text).collect()
    }
}

/// Name of the token before an enforced content type; a content type that begins with it means
/// the token, not these letters.
pub(crate) const CONSTRAIN: &str = "<|constrain|>";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ids_of_o200k_harmony_are_those_of_the_published_vocabulary() {
        let encoding = HarmonyEncoding::new(Tokenizer::o200k_harmony()).unwrap();
        assert_eq!(
            encoding.special(),
            SpecialTokens {
                start: 200006,
                message: 200008,
                end: 200007,
                return_: 200002,
                call: 200012,
                channel: 200005,
                constrain: 200003,
                end_of_text: Some(199999),
            }
        );
        assert_eq!(encoding.stop_tokens(), [200002, 200012, 199999]);
    }
}
