//! A tokenizer as the matcher needs it: a trie of all tokens' bytes.

use std::sync::Arc;

use gptoss_harmony::{ChatFormat, Tokenizer};
use toktrie::{TokRxInfo, TokTrie, TokenId, TokenizerEnv};

use crate::spec::GrammarError;

/// Our tokenizer behind the matcher's interface.
pub(crate) struct Vocabulary {
    tokenizer: Arc<Tokenizer>,
    trie: TokTrie,
}

impl Vocabulary {
    /// Reads the bytes of all tokens.
    ///
    /// Special tokens begin with a byte that is in no text, so that free text never matches them.
    pub(crate) fn new(format: &ChatFormat) -> Result<Vocabulary, GrammarError> {
        let tokenizer = format.tokenizer().clone();
        let mut words: Vec<Vec<u8>> = (0..tokenizer.vocab_size() as TokenId)
            .map(|id| tokenizer.token_bytes(id).unwrap_or_default().to_vec())
            .collect();
        for (name, id) in tokenizer.special_tokens() {
            let word = words.get_mut(id as usize).ok_or_else(|| GrammarError::Tokenizer {
                reason: format!("special token {id} is outside the vocabulary"),
            })?;
            *word = [&[TokTrie::SPECIAL_TOKEN_MARKER], name.as_bytes()].concat();
        }
        // What ends a turn is a token and no text, even where a vocabulary calls it ordinary.
        for id in format.stop_tokens() {
            if let Some(word) = words.get_mut(id as usize)
                && word.first() != Some(&TokTrie::SPECIAL_TOKEN_MARKER)
            {
                word.insert(0, TokTrie::SPECIAL_TOKEN_MARKER);
            }
        }
        // Turns end with tokens that the grammar names, so the trie's own end stays unused.
        let end = format.stop_tokens().first().copied().unwrap_or_default();
        let info = TokRxInfo::new(words.len() as u32, end);
        let trie = TokTrie::from(&info, &words);
        Ok(Vocabulary { tokenizer, trie })
    }
}

impl TokenizerEnv for Vocabulary {
    fn tok_trie(&self) -> &TokTrie {
        &self.trie
    }

    fn tokenize_bytes(&self, bytes: &[u8]) -> Vec<TokenId> {
        self.tokenizer.encode_bytes(bytes)
    }
}
