//! Contexts and continuations as token ids, and what is cut off when they are too long.
//!
//! Source: lm-evaluation-harness 0.4.13 `api/model.py` (`loglikelihood`, `_encode_pair`),
//! `models/huggingface.py`, `models/api_models.py`.

use std::sync::Arc;

use gptoss_harmony::{TokenId, Tokenizer};

use crate::python::text::strip_end;
use crate::request::Pair;

/// What turns text into ids for an evaluation.
pub trait Encoder {
    /// The ids of a text as a model reads it from its beginning: with the token that begins every
    /// sequence, if the tokenizer adds one.
    fn encode(&self, text: &str) -> Vec<TokenId>;

    /// The ids of a text that follows something: nothing is added.
    fn encode_continuation(&self, text: &str) -> Vec<TokenId>;

    /// The token that stands before an empty context: the one that begins sequences, else the one
    /// that ends them.
    fn prefix(&self) -> TokenId;
}

/// A [`Tokenizer`] with what it adds.
#[derive(Debug, Clone)]
pub struct TokenizerEncoder {
    /// The tokenizer. Names of special tokens inside a text are ordinary text.
    pub tokenizer: Arc<Tokenizer>,
    /// Token that begins every sequence, if there is one.
    pub begin: Option<TokenId>,
    /// Token before an empty context.
    pub prefix: TokenId,
}

impl Encoder for TokenizerEncoder {
    fn encode(&self, text: &str) -> Vec<TokenId> {
        let ids = self.tokenizer.encode(text);
        self.begin.into_iter().chain(ids).collect()
    }

    fn encode_continuation(&self, text: &str) -> Vec<TokenId> {
        self.tokenizer.encode(text)
    }

    fn prefix(&self) -> TokenId {
        self.prefix
    }
}

/// A context and what is scored behind it, as ids.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenPair {
    /// Context, then continuation.
    pub ids: Vec<TokenId>,
    /// Length of the context: the ids from here on are scored.
    pub context_len: usize,
    /// Ids that were cut off on the left.
    pub lost: usize,
}

/// How many ids a pair may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Limit {
    /// As the harness cuts when it runs the model itself: `max_length` ids go in, and the last one
    /// of the pair never does.
    Direct {
        /// The longest sequence of the model.
        max_length: usize,
    },
    /// As it cuts when it asks a server: one place is kept for a token that is generated.
    Api {
        /// The longest sequence of the model.
        max_length: usize,
    },
}

impl Limit {
    /// The longest sequence of the model.
    pub fn max_length(self) -> usize {
        match self {
            Self::Direct { max_length } | Self::Api { max_length } => max_length,
        }
    }

    /// As whom it cuts: `hf` or `api`, the names of the harness for the two.
    pub fn name(self) -> &'static str {
        match self {
            Self::Direct { .. } => "hf",
            Self::Api { .. } => "api",
        }
    }

    /// Ids of a pair that are kept, from its end.
    fn pair_len(self) -> usize {
        match self {
            Self::Direct { max_length } => max_length.saturating_add(1),
            Self::Api { max_length } => max_length.saturating_sub(1),
        }
    }

    /// Ids of a context that are kept, from its end, when `max_gen_toks` are to follow. Nothing if
    /// there is no place for any.
    pub fn context_len(self, max_gen_toks: usize) -> Option<usize> {
        let len = match self {
            Self::Direct { max_length } => max_length,
            Self::Api { max_length } => max_length.saturating_sub(1),
        };
        len.checked_sub(max_gen_toks).filter(|len| *len > 0)
    }
}

/// The ids of a context and its continuation. White space at the end of the context moves to the
/// continuation, where tokenizers want it.
pub fn encode_pair(encoder: &dyn Encoder, pair: &Pair) -> TokenPair {
    if pair.context.is_empty() {
        let continuation = encoder.encode_continuation(&pair.continuation);
        let prefix = encoder.prefix();
        // A continuation that begins with the prefix is not given a second one.
        let has_one = continuation.first() == Some(&prefix);
        let before = if has_one { None } else { Some(prefix) };
        let ids: Vec<TokenId> = before.into_iter().chain(continuation).collect();
        return TokenPair { ids, context_len: 1, lost: 0 };
    }
    let context = strip_end(&pair.context);
    let whole = encoder.encode(&format!("{}{}", pair.context, pair.continuation));
    let mut ids = encoder.encode(context);
    let context_len = ids.len();
    ids.extend(whole.iter().skip(context_len));
    if context_len == 0 {
        // White space only. The harness gives up here; what stands before nothing is the prefix.
        ids.insert(0, encoder.prefix());
    }
    TokenPair { ids, context_len: context_len.max(1), lost: 0 }
}

/// Cuts a pair from the left to what the limit allows.
///
/// # Errors
/// If there is nothing to score, or not even the continuation and one id before it have a place.
pub fn truncate(pair: TokenPair, limit: Limit) -> Result<TokenPair, String> {
    if pair.ids.len() <= pair.context_len {
        return Err("a continuation without tokens".into());
    }
    let keep = limit.pair_len();
    let lost = pair.ids.len().saturating_sub(keep);
    if lost >= pair.context_len {
        let scored = pair.ids.len() - pair.context_len;
        return Err(format!("a continuation of {scored} tokens does not fit into {keep}"));
    }
    if lost == 0 {
        return Ok(pair);
    }
    let context_len = pair.context_len - lost;
    Ok(TokenPair { ids: pair.ids[lost..].to_vec(), context_len, lost: pair.lost + lost })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One id for each byte; the begin token is 256.
    struct Bytes {
        begins: bool,
    }

    impl Encoder for Bytes {
        fn encode(&self, text: &str) -> Vec<TokenId> {
            let begin = self.begins.then_some(256);
            begin.into_iter().chain(text.bytes().map(TokenId::from)).collect()
        }

        fn encode_continuation(&self, text: &str) -> Vec<TokenId> {
            text.bytes().map(TokenId::from).collect()
        }

        fn prefix(&self) -> TokenId {
            if self.begins { 256 } else { 65 }
        }
    }

    fn pair(context: &str, continuation: &str) -> Pair {
        Pair { context: context.into(), continuation: continuation.into() }
    }

    #[test]
    fn white_space_moves_to_the_continuation() {
        let encoded = encode_pair(&Bytes { begins: false }, &pair("ab \u{2003}\u{1c}", "c"));
        assert_eq!(encoded.context_len, 2);
        assert_eq!(encoded.ids.len(), "ab \u{2003}\u{1c}c".len());
        let encoded = encode_pair(&Bytes { begins: true }, &pair("ab", " c"));
        assert_eq!(encoded.ids, [256, 97, 98, 32, 99]);
        assert_eq!(encoded.context_len, 3);
    }

    #[test]
    fn an_empty_context_is_the_prefix() {
        let encoded = encode_pair(&Bytes { begins: false }, &pair("", "b"));
        assert_eq!((encoded.ids, encoded.context_len), (vec![65, 98], 1));
        // 65 is `A`: the first id of the continuation is the context.
        let encoded = encode_pair(&Bytes { begins: false }, &pair("", "Ab"));
        assert_eq!((encoded.ids, encoded.context_len), (vec![65, 98], 1));
    }

    #[test]
    fn a_context_of_white_space_is_the_prefix_too() {
        let encoded = encode_pair(&Bytes { begins: false }, &pair(" \n", "b"));
        assert_eq!((encoded.ids, encoded.context_len), (vec![65, 32, 10, 98], 1));
        let empty = TokenPair { ids: vec![1, 2], context_len: 2, lost: 0 };
        assert!(truncate(empty, Limit::Direct { max_length: 9 }).is_err());
    }

    #[test]
    fn is_cut_from_the_left() {
        let encoded = encode_pair(&Bytes { begins: false }, &pair("abcdef", "gh"));
        let cut = |limit| truncate(encoded.clone(), limit);
        let direct = cut(Limit::Direct { max_length: 4 }).unwrap();
        assert_eq!((direct.ids.len(), direct.context_len, direct.lost), (5, 3, 3));
        let api = cut(Limit::Api { max_length: 4 }).unwrap();
        assert_eq!((api.ids, api.context_len, api.lost), (b"fgh".map(u32::from).to_vec(), 1, 5));
        assert!(cut(Limit::Api { max_length: 3 }).is_err());
        assert_eq!(cut(Limit::Direct { max_length: 7 }).unwrap(), encoded);
        assert_eq!(Limit::Api { max_length: 10 }.context_len(4), Some(5));
        assert_eq!(Limit::Direct { max_length: 4 }.context_len(4), None);
    }
}
