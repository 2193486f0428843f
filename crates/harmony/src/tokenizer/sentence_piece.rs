//! SentencePiece's byte-pair encoding by scores, as Llama 2 and Mistral use it.
//!
//! Kudo & Richardson 2018 (arXiv:1808.06226); google/sentencepiece, `src/bpe_model.cc`. The
//! symbols are at first the characters of the whole text, spaces included. Of the pairs that are
//! a token the one with the highest score merges first. A character that is no token is written
//! with the tokens of its bytes.

use super::merge::{Merged, Symbol, merge};
use super::spelling::SPACE;
use super::token_table::{TokenIndex, TokenTable};
use super::{TokenId, TokenizerError};

/// The encoder; the tokens themselves are in the table of the tokenizer.
pub(super) struct SentencePiece {
    index: TokenIndex,
    /// By id, the place in the order of merging: equal for equal scores.
    ranks: Vec<u32>,
    /// The token of each byte, or `unknown` if there is none.
    byte_tokens: Vec<TokenId>,
    /// Whether an unknown character gives one token and not one for each of its bytes.
    has_byte_tokens: bool,
    add_space_prefix: bool,
}

/// A symbol that is no token by itself.
const NO_TOKEN: TokenId = TokenId::MAX;

impl SentencePiece {
    /// An encoder of these pieces with their scores; `table` holds their bytes.
    ///
    /// # Errors
    /// If a score is not a number, or neither all bytes nor the unknown have a token.
    pub(super) fn new(
        table: &TokenTable,
        pieces: &[(TokenId, f32)],
        byte_tokens: Vec<Option<TokenId>>,
        unknown: Option<TokenId>,
        add_space_prefix: bool,
    ) -> Result<SentencePiece, TokenizerError> {
        if let Some((id, score)) = pieces.iter().find(|(_, score)| score.is_nan()) {
            let found = format!("{score} for token {id}");
            return Err(TokenizerError::invalid("tokenizer.ggml.scores", "numbers", found));
        }
        let has_byte_tokens = byte_tokens.iter().all(Option::is_some);
        let known: Option<Vec<TokenId>> =
            byte_tokens.into_iter().map(|token| token.or(unknown)).collect();
        let byte_tokens = known.ok_or_else(|| {
            let expected = "tokens for all 256 bytes or one for the unknown";
            TokenizerError::invalid("tokenizer.ggml.tokens", expected, "neither")
        })?;
        let mut order: Vec<&(TokenId, f32)> = pieces.iter().collect();
        order.sort_by(|a, b| b.1.total_cmp(&a.1));
        let mut ranks = vec![u32::MAX; table.len()];
        let (mut rank, mut last) = (0, f32::INFINITY);
        for &&(id, score) in &order {
            if score < last {
                rank += 1;
                last = score;
            }
            ranks[id as usize] = rank;
        }
        let index = TokenIndex::new(table, pieces.iter().map(|&(id, _)| id));
        Ok(SentencePiece { index, ranks, byte_tokens, has_byte_tokens, add_space_prefix })
    }

    /// Appends the tokens of a text.
    pub(super) fn encode(&self, table: &TokenTable, text: &str, ids: &mut Vec<TokenId>) {
        if text.is_empty() {
            return;
        }
        // The table has spaces where the vocabulary writes `▁`, so the two are one here as well.
        let mut spaced = String::with_capacity(text.len() + 1);
        if self.add_space_prefix {
            spaced.push(' ');
        }
        spaced.extend(text.chars().map(|c| if c == SPACE { ' ' } else { c }));
        let text = spaced.as_bytes();

        let symbols = spaced.char_indices().map(|(start, c)| {
            let end = start + c.len_utf8();
            let id = self.index.get(table, &text[start..end]).unwrap_or(NO_TOKEN);
            Symbol { id, start, end }
        });
        let mut symbols: Vec<Symbol> = symbols.collect();
        merge(&mut symbols, |left, right| {
            let id = self.index.get(table, &text[left.start..right.end])?;
            Some(Merged { rank: self.ranks[id as usize], id })
        });
        for symbol in symbols {
            let bytes = &text[symbol.start..symbol.end];
            if symbol.id != NO_TOKEN {
                ids.push(symbol.id);
            } else if self.has_byte_tokens {
                ids.extend(bytes.iter().map(|&byte| self.byte_tokens[usize::from(byte)]));
            } else {
                ids.push(self.byte_tokens[usize::from(bytes[0])]);
            }
        }
    }
}
