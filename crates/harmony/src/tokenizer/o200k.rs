//! o200k_harmony, the encoding of the gpt-oss models: embedded ranks and special tokens.

use super::TokenId;
use super::special::AddedToken;
use super::token_table::TokenTable;

/// Each token of o200k_base by rank: its length in one byte, then its bytes.
static RANKS: &[u8] = include_bytes!("o200k_base/ranks.bin");

/// The number of ordinary tokens; their ids are their ranks.
pub(super) const ORDINARY: TokenId = 199_998;

/// The size of the vocabulary, which is also the number of rows of the models' embeddings.
pub(super) const VOCAB_SIZE: TokenId = 201_088;

/// The special tokens that have a meaning; the others from `ORDINARY` on are `<|reserved_ID|>`.
///
/// openai/harmony, `src/tiktoken_ext/public_encodings.rs`. Its `<|reserved_201088|>` lies beyond
/// the vocabulary of the models and is left out; tiktoken's `<|endofprompt|>` has no meaning in
/// harmony and is ordinary text.
const NAMED: [(TokenId, &str); 9] = [
    (199_998, "<|startoftext|>"),
    (199_999, "<|endoftext|>"),
    (200_002, "<|return|>"),
    (200_003, "<|constrain|>"),
    (200_005, "<|channel|>"),
    (200_006, "<|start|>"),
    (200_007, "<|end|>"),
    (200_008, "<|message|>"),
    (200_012, "<|call|>"),
];

/// The ordinary tokens.
pub(super) fn tokens() -> TokenTable {
    let mut table = TokenTable::default();
    let mut rest = RANKS;
    for id in 0..ORDINARY {
        let (&len, after) = rest.split_first().expect("the embedded file has a length per rank");
        let (token, after) = after.split_at(usize::from(len));
        table.insert(id, token);
        rest = after;
    }
    table
}

/// The special tokens.
pub(super) fn added_tokens() -> Vec<AddedToken> {
    let name = |id| match NAMED.iter().find(|(named, _)| *named == id) {
        Some((_, name)) => (*name).to_owned(),
        None => format!("<|reserved_{id}|>"),
    };
    (ORDINARY..VOCAB_SIZE).map(|id| AddedToken::special(name(id), id)).collect()
}
