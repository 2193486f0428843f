//! Byte-level byte-pair encoding: the symbols of a piece are at first its bytes.
//!
//! Two ways to say which pair goes first are in use. tiktoken's vocabularies are ranks: a pair may
//! merge if its bytes are a token, and the id of that token is its rank. GPT-2 and its successors
//! publish a list of merges.

use std::collections::HashMap;

use foldhash::fast::RandomState;

use super::merge::{Merged, Symbol, merge};
use super::split::SplitPattern;
use super::token_table::{TokenIndex, TokenTable};
use super::{TokenId, TokenizerError};

/// The encoder; the tokens themselves are in the table of the tokenizer.
pub(super) struct ByteBpe {
    pattern: SplitPattern,
    /// The token of each single byte. Some published lists of merges (SmolLM2's) leave out bytes
    /// that no text of their training had; such a byte is left out of the tokens, as tokenizers
    /// and llama.cpp do.
    byte_tokens: Vec<Option<TokenId>>,
    order: MergeOrder,
}

/// Which pairs merge, and in which order.
enum MergeOrder {
    /// What is a token merges, the smallest id first.
    Ranks(TokenIndex),
    /// The pairs of a list merge.
    List {
        /// What two neighbouring tokens become; only looked up, never gone through.
        merges: HashMap<(TokenId, TokenId), Merged, RandomState>,
        /// Finds pieces that are a token as they stand, without regard to the merges.
        whole_pieces: Option<TokenIndex>,
    },
}

/// A merge as published: the bytes of the left and of the right token.
pub(super) type MergeBytes = (Vec<u8>, Vec<u8>);

impl ByteBpe {
    /// An encoder by ranks over the tokens of `table`, which are all ordinary.
    ///
    /// # Errors
    /// If a single byte is no token; `place` is where the vocabulary comes from.
    pub(super) fn by_ranks(
        table: &TokenTable,
        pattern: SplitPattern,
        place: &'static str,
    ) -> Result<ByteBpe, TokenizerError> {
        let index = TokenIndex::new(table, table.iter().map(|(id, _)| id));
        let byte_tokens = byte_tokens(table, &index);
        if let Some(byte) = byte_tokens.iter().position(Option::is_none) {
            let found = format!("none for the byte {byte:#04x}");
            return Err(TokenizerError::invalid(place, "a token for every single byte", found));
        }
        Ok(ByteBpe { pattern, byte_tokens, order: MergeOrder::Ranks(index) })
    }

    /// An encoder over the tokens of `table`, which are all ordinary, with a list of merges of
    /// which the first goes first.
    ///
    /// With `takes_whole_pieces` a piece that is a token becomes that token, even if the merges
    /// would not arrive there (Llama 3).
    ///
    /// # Errors
    /// If a merge has a part or a result that is no token. `place` is where the vocabulary comes
    /// from.
    pub(super) fn by_merges(
        table: &TokenTable,
        merges: &[MergeBytes],
        pattern: SplitPattern,
        takes_whole_pieces: bool,
        place: &'static str,
    ) -> Result<ByteBpe, TokenizerError> {
        let index = TokenIndex::new(table, table.iter().map(|(id, _)| id));
        let byte_tokens = byte_tokens(table, &index);
        let mut pairs = HashMap::with_capacity_and_hasher(merges.len(), RandomState::default());
        for (rank, (left, right)) in (0..).zip(merges) {
            let both = [left.as_slice(), right].concat();
            let token = |bytes| index.get(table, bytes);
            let (Some(left), Some(right), Some(id)) = (token(left), token(right), token(&both))
            else {
                let both = String::from_utf8_lossy(&both);
                let found = format!("merge {rank} to {both:?} with a token that is missing");
                return Err(TokenizerError::invalid(place, "merges of tokens", found));
            };
            pairs.insert((left, right), Merged { rank, id });
        }
        let whole_pieces = takes_whole_pieces.then_some(index);
        let order = MergeOrder::List { merges: pairs, whole_pieces };
        Ok(ByteBpe { pattern, byte_tokens, order })
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
        let (mut last_piece, mut kept, mut end) = (begin, 0, 0);
        for piece in self.pattern.pieces(valid) {
            (last_piece, kept, end) = (ids.len(), end, end + piece.len());
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
                kept -= token(ids[last_piece]).len();
            }
        }
        ids.truncate(last_piece);
        self.encode_piece(table, &bytes[kept..], ids);
    }

    /// Appends the tokens of one piece.
    fn encode_piece(&self, table: &TokenTable, piece: &[u8], ids: &mut Vec<TokenId>) {
        let whole_pieces = match &self.order {
            // Most pieces are a token, and by ranks the merges arrive there too.
            MergeOrder::Ranks(index) => Some(index),
            MergeOrder::List { whole_pieces, .. } => whole_pieces.as_ref(),
        };
        if let Some(id) = whole_pieces.and_then(|index| index.get(table, piece)) {
            ids.push(id);
            return;
        }
        let symbols = piece.iter().enumerate().filter_map(|(start, &byte)| {
            let id = self.byte_tokens[usize::from(byte)]?;
            Some(Symbol { id, start, end: start + 1 })
        });
        let mut symbols: Vec<Symbol> = symbols.collect();
        match &self.order {
            MergeOrder::Ranks(index) => merge(&mut symbols, |left, right| {
                let id = index.get(table, &piece[left.start..right.end])?;
                Some(Merged { rank: id, id })
            }),
            MergeOrder::List { merges, .. } => {
                merge(&mut symbols, |left, right| merges.get(&(left.id, right.id)).copied());
            }
        }
        ids.extend(symbols.iter().map(|symbol| symbol.id));
    }
}

/// The token of each single byte, if it has one.
fn byte_tokens(table: &TokenTable, index: &TokenIndex) -> Vec<Option<TokenId>> {
    (0..=u8::MAX).map(|byte| index.get(table, &[byte])).collect()
}
