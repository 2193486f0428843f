//! Byte-pair encoding by ranks, as tiktoken does it: a pair may merge if its bytes are a token,
//! and the id of that token is its rank.

use super::TokenId;
use super::merge::{Merged, Symbol, merge};
use super::split::SplitPattern;
use super::token_table::{TokenIndex, TokenTable};

/// The encoder; the tokens themselves are in the table of the tokenizer.
pub(super) struct RankBpe {
    index: TokenIndex,
    pattern: SplitPattern,
}

impl RankBpe {
    /// An encoder over the tokens of `table`, which has a token for every single byte.
    pub(super) fn new(table: &TokenTable, pattern: SplitPattern) -> RankBpe {
        let ids = table.iter().map(|(id, _)| id);
        RankBpe { index: TokenIndex::new(table, ids), pattern }
    }

    /// Appends the tokens of a text.
    pub(super) fn encode(&self, table: &TokenTable, text: &str, ids: &mut Vec<TokenId>) {
        for piece in self.pattern.pieces(text) {
            self.encode_piece(table, piece.as_bytes(), ids);
        }
    }

    /// Appends the tokens of bytes that need not be text, as tiktoken does it.
    ///
    /// What is text before the first invalid byte is split as such, but its last piece (and, if
    /// that is blank, the blank tokens before it) goes with all that follows as one piece.
    pub(super) fn encode_bytes(&self, table: &TokenTable, bytes: &[u8], ids: &mut Vec<TokenId>) {
        let valid = bytes.utf8_chunks().next().map_or("", |chunk| chunk.valid());
        let begin = ids.len();
        let mut last_piece = begin;
        for piece in self.pattern.pieces(valid) {
            last_piece = ids.len();
            self.encode_piece(table, piece.as_bytes(), ids);
        }
        if valid.len() == bytes.len() {
            return;
        }
        let token = |id: TokenId| table.get(id).expect("the encoder gives ids of its table");
        let is_blank = |id| token(id).iter().all(|byte| matches!(byte, b' ' | b'\n' | b'\t'));
        if last_piece < ids.len() && is_blank(ids[last_piece]) {
            while last_piece > begin && is_blank(ids[last_piece - 1]) {
                last_piece -= 1;
            }
        }
        let kept: usize = ids[begin..last_piece].iter().map(|&id| token(id).len()).sum();
        ids.truncate(last_piece);
        self.encode_piece(table, &bytes[kept..], ids);
    }

    /// Appends the tokens of one piece.
    pub(super) fn encode_piece(&self, table: &TokenTable, piece: &[u8], ids: &mut Vec<TokenId>) {
        // Most pieces are a token, and then byte-pair encoding arrives there too.
        if let Some(id) = self.index.get(table, piece) {
            ids.push(id);
            return;
        }
        let token = |bytes: &[u8]| self.index.get(table, bytes);
        let byte_symbol = |start: usize| {
            let id = token(&piece[start..=start]).expect("every single byte is a token");
            Symbol { id, start, end: start + 1 }
        };
        let mut symbols: Vec<Symbol> = (0..piece.len()).map(byte_symbol).collect();
        merge(&mut symbols, |left, right| {
            token(&piece[left.start..right.end]).map(|id| Merged { rank: id, id })
        });
        ids.extend(symbols.iter().map(|symbol| symbol.id));
    }
}
