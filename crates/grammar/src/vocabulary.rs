//! A tokenizer as the matcher needs it: a trie of all tokens' bytes.

use std::sync::Arc;

use gptoss_harmony::{HarmonyEncoding, Tokenizer};
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
    pub(crate) fn new(harmony: &HarmonyEncoding) -> Result<Vocabulary, GrammarError> {
        let tokenizer = harmony.tokenizer().clone();
        let mut words: Vec<Vec<u8>> = (0..tokenizer.vocab_size() as TokenId)
            .map(|id| tokenizer.token_bytes(id).unwrap_or_default().to_vec())
            .collect();
        for (name, id) in tokenizer.special_tokens() {
            let word = words.get_mut(id as usize).ok_or_else(|| GrammarError::Tokenizer {
                reason: format!("special token {id} is outside the vocabulary"),
            })?;
            *word = [&[TokTrie::SPECIAL_TOKEN_MARKER], name.as_bytes()].concat();
        }
        // Turns end with tokens that the grammar names, so the trie's own end stays unused.
        let info = TokRxInfo::new(words.len() as u32, harmony.special().return_);
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
