//! Tokenizers: text to token ids and back.
//!
//! [`Tokenizer::o200k_harmony`] is compiled in; others come from a tokenizer.json or a GGUF file.
//!
//! Reading order: `utf8_stream` (bytes to text), `char_class` and `split` (a text to pieces),
//! `token_table` (ids and bytes), `merge` (a piece to tokens), `special` (names in a text),
//! `byte_alphabet` and `spelling` (how files write bytes), the encoders `byte_bpe`,
//! `sentence_piece`, `pipeline` and `deepseek`, what brings them: `o200k`, `json`, `vocabulary`,
//! and `disguise` (text of others between special tokens).

mod byte_alphabet;
mod byte_bpe;
mod char_class;
mod deepseek;
mod disguise;
mod error;
mod json;
mod merge;
mod o200k;
mod pipeline;
mod sentence_piece;
mod special;
mod spelling;
mod split;
mod token_table;
mod utf8_stream;
mod vocabulary;

use std::sync::Arc;

pub use error::TokenizerError;
pub use utf8_stream::Utf8Stream;
pub use vocabulary::{TokenType, Vocabulary, VocabularyModel};

use byte_bpe::ByteBpe;
use pipeline::Pipeline;
use sentence_piece::SentencePiece;
use special::{AddedTokens, Segment};
use token_table::TokenTable;

/// The number of a token in a vocabulary, and of its row in a model's embedding.
pub type TokenId = u32;

/// A vocabulary with its rules: encodes text, decodes ids. A clone costs nothing.
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
#[derive(Clone)]
pub struct Tokenizer(Arc<Parts>);

/// What a tokenizer consists of; clones share it.
struct Parts {
    name: String,
    table: TokenTable,
    added: AddedTokens,
    encoder: Encoder,
    begin_token: Option<TokenId>,
}

/// How ordinary text becomes ids.
enum Encoder {
    Bytes(ByteBpe),
    Pipeline(Box<Pipeline>),
    SentencePiece(SentencePiece),
}

impl Tokenizer {
    /// A tokenizer of these parts; `table` has the bytes of the added tokens as well.
    fn new(name: &str, table: TokenTable, added: AddedTokens, encoder: Encoder) -> Tokenizer {
        let name = name.to_owned();
        Tokenizer(Arc::new(Parts { name, table, added, encoder, begin_token: None }))
    }

    /// The tokenizer of the gpt-oss models; it is embedded and made once per process.
    pub fn o200k_harmony() -> Arc<Tokenizer> {
        Arc::clone(o200k::tokenizer())
    }

    /// The tokenizer that a tokenizer.json of Hugging Face describes.
    ///
    /// The file of a gpt-oss model gives [`Tokenizer::o200k_harmony`]. An added token counts as
    /// special if the file says so or if its name has the form `<|…|>`. Added tokens that are not
    /// special are recognised by [`Tokenizer::encode_with_specials`] only.
    ///
    /// # Errors
    /// If the bytes are no such file, or the tokenizer is of a kind that is not supported.
    pub fn from_json(bytes: &[u8]) -> Result<Tokenizer, TokenizerError> {
        json::parse(bytes)
    }

    /// The tokenizer of a GGUF file.
    ///
    /// The vocabulary of a gpt-oss model gives [`Tokenizer::o200k_harmony`].
    ///
    /// # Errors
    /// If the parts do not fit together, or the name of the split pattern is not known.
    pub fn from_vocabulary(vocabulary: Vocabulary) -> Result<Tokenizer, TokenizerError> {
        vocabulary.into_tokenizer()
    }

    /// The ids of ordinary text: what looks like a special token stays text.
    ///
    /// This is the barrier against text that pretends to be a message of its own; everything that
    /// comes from a user, a file or a tool goes through here.
    pub fn encode(&self, text: &str) -> Vec<TokenId> {
        let mut ids = Vec::new();
        self.encode_into(text, true, &mut ids);
        ids
    }

    /// The ids of a text in which special tokens are written by name, such as a raw prompt.
    ///
    /// Never for text from outside, see [`Tokenizer::encode`].
    pub fn encode_with_specials(&self, text: &str) -> Vec<TokenId> {
        let mut ids = Vec::new();
        for (index, segment) in self.0.added.segments(text).into_iter().enumerate() {
            match segment {
                Segment::Ordinary(text) => self.encode_into(text, index == 0, &mut ids),
                Segment::Added(id) => ids.push(id),
            }
        }
        ids
    }

    /// The ids of bytes that need not be UTF-8; those of [`Tokenizer::encode`] if they are.
    ///
    /// With a byte-level vocabulary such as o200k_harmony the tokens are the given bytes again,
    /// whatever these are, and the ids are tiktoken's. With others, bytes that are not UTF-8 are
    /// encoded as U+FFFD.
    pub fn encode_bytes(&self, bytes: &[u8]) -> Vec<TokenId> {
        match &self.0.encoder {
            Encoder::Bytes(bpe) => {
                let mut ids = Vec::new();
                bpe.encode_bytes(&self.0.table, bytes, &mut ids);
                ids
            }
            Encoder::Pipeline(_) | Encoder::SentencePiece(_) => {
                self.encode(&String::from_utf8_lossy(bytes))
            }
        }
    }

    /// Appends the ids of ordinary text; `at_start` if nothing stands before it.
    fn encode_into(&self, text: &str, at_start: bool, ids: &mut Vec<TokenId>) {
        match &self.0.encoder {
            Encoder::Bytes(bpe) => bpe.encode(&self.0.table, text, ids),
            Encoder::Pipeline(pipeline) => pipeline.encode(text, at_start, ids),
            Encoder::SentencePiece(bpe) => bpe.encode(&self.0.table, text, ids),
        }
    }

    /// The special token that a tokenizer.json puts before every text in its post-processor; the
    /// methods here leave it out, their callers know what is the beginning of a text.
    pub fn begin_token(&self) -> Option<TokenId> {
        self.0.begin_token
    }

    /// The id of the special token with this name, such as `<|start|>`.
    pub fn special(&self, name: &str) -> Option<TokenId> {
        self.0.added.special(name)
    }

    /// The special tokens with their ids, in the order of the ids.
    pub fn special_tokens(&self) -> impl Iterator<Item = (&str, TokenId)> {
        self.0.added.specials()
    }

    /// Whether the id is a special token.
    pub fn is_special(&self, id: TokenId) -> bool {
        self.0.added.is_special(id)
    }

    /// The bytes of a token; those of its name for a special token, `None` if there is no such id.
    ///
    /// A token may end in the middle of a code point, see [`Utf8Stream`].
    pub fn token_bytes(&self, id: TokenId) -> Option<&[u8]> {
        self.0.table.get(id)
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
                tokenizer: self.0.name.clone(),
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
        self.0.table.len()
    }

    /// What the tokenizer is called, such as `o200k_harmony`.
    pub fn name(&self) -> &str {
        &self.0.name
    }
}

impl std::fmt::Debug for Tokenizer {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut fields = formatter.debug_struct("Tokenizer");
        fields.field("name", &self.name()).field("vocab_size", &self.vocab_size());
        fields.finish_non_exhaustive()
    }
}
