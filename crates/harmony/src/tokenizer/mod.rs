//! Tokenizers: text to token ids and back.
//!
//! [`Tokenizer::o200k_harmony`] is compiled in. Reading order: `utf8_stream` (bytes to text),
//! `char_class` and `split` (a text to pieces), `token_table` (ids and bytes), `merge` (a piece
//! to tokens), `special` (names in a text), then the encoders `o200k` and `rank_bpe`.

mod char_class;
mod error;
mod merge;
mod o200k;
mod rank_bpe;
mod special;
mod split;
mod token_table;
mod utf8_stream;

use std::sync::{Arc, OnceLock};

pub use error::TokenizerError;
pub use utf8_stream::Utf8Stream;

use rank_bpe::RankBpe;
use special::{AddedTokens, Segment};
use split::SplitPattern;
use token_table::TokenTable;

/// The number of a token in a vocabulary, and of its row in a model's embedding.
pub type TokenId = u32;

/// A vocabulary with its rules: encodes text, decodes ids. Share it in an [`Arc`].
///
/// ```
/// use gptoss_harmony::Tokenizer;
///
/// let tokenizer = Tokenizer::o200k_harmony();
/// let ids = tokenizer.encode("Hello, world!");
/// assert_eq!(ids, [13225, 11, 2375, 0]);
/// assert_eq!(tokenizer.decode(&ids)?, "Hello, world!");
/// // What a user types is never a special token, whatever it looks like.
/// assert_eq!(tokenizer.encode("<|end|>").len(), 5);
/// assert_eq!(tokenizer.encode_with_specials("<|end|>"), [200007]);
/// # Ok::<(), gptoss_harmony::TokenizerError>(())
/// ```
pub struct Tokenizer {
    name: String,
    table: TokenTable,
    added: AddedTokens,
    encoder: Encoder,
}

/// How ordinary text becomes ids.
enum Encoder {
    Ranks(RankBpe),
}

impl Tokenizer {
    /// The tokenizer of the gpt-oss models; it is embedded and made once per process.
    pub fn o200k_harmony() -> Arc<Tokenizer> {
        static TOKENIZER: OnceLock<Arc<Tokenizer>> = OnceLock::new();
        let tokenizer = TOKENIZER.get_or_init(|| {
            let mut table = o200k::tokens();
            let pattern = SplitPattern::O200k { digits_max: 3 };
            let encoder = Encoder::Ranks(RankBpe::new(&table, pattern));
            let added = o200k::added_tokens();
            for token in &added {
                table.insert(token.id, token.name.as_bytes());
            }
            let (name, added) = ("o200k_harmony".to_owned(), AddedTokens::new(added));
            Arc::new(Tokenizer { name, table, added, encoder })
        });
        Arc::clone(tokenizer)
    }

    /// The ids of ordinary text: what looks like a special token stays text.
    ///
    /// This is the barrier against text that pretends to be a message of its own; everything that
    /// comes from a user, a file or a tool goes through here.
    pub fn encode(&self, text: &str) -> Vec<TokenId> {
        let mut ids = Vec::new();
        self.encode_into(text, &mut ids);
        ids
    }

    /// The ids of a text in which special tokens are written by name, such as a raw prompt.
    ///
    /// Never for text from outside, see [`Tokenizer::encode`].
    pub fn encode_with_specials(&self, text: &str) -> Vec<TokenId> {
        let mut ids = Vec::new();
        for segment in self.added.segments(text) {
            match segment {
                Segment::Ordinary(text) => self.encode_into(text, &mut ids),
                Segment::Added(id) => ids.push(id),
            }
        }
        ids
    }

    /// The ids of bytes that need not be UTF-8; those of [`Tokenizer::encode`] if they are.
    ///
    /// Their tokens are the given bytes again, whatever these are.
    pub fn encode_bytes(&self, bytes: &[u8]) -> Vec<TokenId> {
        let mut ids = Vec::new();
        match &self.encoder {
            Encoder::Ranks(bpe) => bpe.encode_bytes(&self.table, bytes, &mut ids),
        }
        ids
    }

    /// Appends the ids of ordinary text.
    fn encode_into(&self, text: &str, ids: &mut Vec<TokenId>) {
        match &self.encoder {
            Encoder::Ranks(bpe) => bpe.encode(&self.table, text, ids),
        }
    }

    /// The id of the special token with this name, such as `<|start|>`.
    pub fn special(&self, name: &str) -> Option<TokenId> {
        self.added.special(name)
    }

    /// The special tokens with their ids, in the order of the ids.
    pub fn special_tokens(&self) -> impl Iterator<Item = (&str, TokenId)> {
        self.added.specials()
    }

    /// Whether the id is a special token.
    pub fn is_special(&self, id: TokenId) -> bool {
        self.added.is_special(id)
    }

    /// The bytes of a token; those of its name for a special token, `None` if there is no such id.
    ///
    /// A token may end in the middle of a code point, see [`Utf8Stream`].
    pub fn token_bytes(&self, id: TokenId) -> Option<&[u8]> {
        self.table.get(id)
    }

    /// The bytes of all tokens, one after another.
    ///
    /// # Errors
    /// [`TokenizerError::UnknownToken`] for an id that is no token.
    pub fn decode_bytes(&self, ids: &[TokenId]) -> Result<Vec<u8>, TokenizerError> {
        let mut bytes = Vec::new();
        for &id in ids {
            let token = self.token_bytes(id).ok_or_else(|| TokenizerError::UnknownToken {
                id,
                tokenizer: self.name.clone(),
                vocab_size: self.vocab_size(),
            })?;
            bytes.extend_from_slice(token);
        }
        Ok(bytes)
    }

    /// The text of all tokens; bytes that are not UTF-8 become U+FFFD.
    ///
    /// # Errors
    /// As [`Tokenizer::decode_bytes`].
    pub fn decode(&self, ids: &[TokenId]) -> Result<String, TokenizerError> {
        self.decode_bytes(ids).map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
    }

    /// The largest id plus one; ids below it may be unused.
    pub fn vocab_size(&self) -> usize {
        self.table.len()
    }

    /// What the tokenizer is called, such as `o200k_harmony`.
    pub fn name(&self) -> &str {
        &self.name
    }
}
