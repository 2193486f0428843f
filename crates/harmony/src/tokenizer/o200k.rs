//! o200k_harmony, the encoding of the gpt-oss models: embedded ranks and special tokens.

use std::sync::{Arc, OnceLock};

use super::byte_bpe::ByteBpe;
use super::special::{AddedToken, AddedTokens};
use super::split::SplitPattern;
use super::token_table::TokenTable;
use super::{Encoder, TokenId, Tokenizer};

/// What the encoding is called.
const NAME: &str = "o200k_harmony";

/// Each token of o200k_base by rank: its length in one byte, then its bytes.
static RANKS: &[u8] = include_bytes!("o200k_base/ranks.bin");

/// The number of ordinary tokens; their ids are their ranks.
pub(super) const ORDINARY: TokenId = 199_998;

/// The size of the vocabulary, which is also the number of rows of the models' embeddings.
const VOCAB_SIZE: TokenId = 201_088;

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

/// The tokenizer, made at the first call.
pub(super) fn tokenizer() -> &'static Arc<Tokenizer> {
    static TOKENIZER: OnceLock<Arc<Tokenizer>> = OnceLock::new();
    TOKENIZER.get_or_init(|| {
        let mut table = ordinary_tokens();
        let pattern = SplitPattern::O200k { digits_max: 3 };
        let encoder = ByteBpe::by_ranks(&table, pattern, NAME)
            .expect("the embedded vocabulary has every single byte");
        let added = added_tokens();
        for token in &added {
            table.insert(token.id, token.name.as_bytes());
        }
        let added = AddedTokens::new(added);
        Arc::new(Tokenizer::new(NAME, table, added, Encoder::Bytes(encoder)))
    })
}

/// Whether special tokens of a file are the ones of this vocabulary.
///
/// Every id lies in their range, and a name with a meaning in harmony has its id.
pub(super) fn agrees_with<'a>(added: impl Iterator<Item = (&'a str, u64)>) -> bool {
    let range = u64::from(ORDINARY)..u64::from(VOCAB_SIZE);
    let mut added = added;
    added.all(|(name, id)| {
        let named =
            NAMED.iter().find(|(named_id, named)| *named == name || u64::from(*named_id) == id);
        range.contains(&id)
            && named.is_none_or(|(named_id, named)| *named == name && u64::from(*named_id) == id)
    })
}

/// The ordinary tokens.
fn ordinary_tokens() -> TokenTable {
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
fn added_tokens() -> Vec<AddedToken> {
    let name = |id| match NAMED.iter().find(|(named, _)| *named == id) {
        Some((_, name)) => (*name).to_owned(),
        None => format!("<|reserved_{id}|>"),
    };
    (ORDINARY..VOCAB_SIZE).map(|id| AddedToken::special(name(id), id)).collect()
}
