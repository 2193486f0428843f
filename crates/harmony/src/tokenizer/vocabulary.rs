//! Vocabularies as GGUF files bring them, in the keys `tokenizer.ggml.*`.
//!
//! Source of the meanings: the GGUF specification (ggml-org/ggml, `docs/gguf.md`), and for the
//! names of split patterns ggml-org/llama.cpp, `src/llama-vocab.cpp`. Only names are known here
//! whose pattern is that of a published tokenizer, taken from the tokenizer itself.

use super::byte_alphabet;
use super::byte_bpe::{ByteBpe, MergeBytes};
use super::deepseek;
use super::o200k;
use super::sentence_piece::SentencePiece;
use super::special::{AddedToken, AddedTokens};
use super::spelling::Spelling;
use super::split::SplitPattern;
use super::token_table::TokenTable;
use super::{Encoder, TokenId, Tokenizer, TokenizerError};

const TOKENS: &str = "tokenizer.ggml.tokens";
const MERGES: &str = "tokenizer.ggml.merges";
const PRE: &str = "tokenizer.ggml.pre";

/// A vocabulary with what is needed to encode with it.
#[derive(Clone, Debug, PartialEq)]
pub struct Vocabulary {
    /// How a text becomes tokens.
    pub model: VocabularyModel,
    /// `tokenizer.ggml.tokens`: the names by id, as the file writes them.
    pub tokens: Vec<String>,
    /// `tokenizer.ggml.token_type`: one for each token, or none at all if all are normal.
    pub token_types: Vec<TokenType>,
    /// Ids that are special whatever their type says: begin and end of text, padding.
    pub special_ids: Vec<TokenId>,
}

/// The kind of a vocabulary, `tokenizer.ggml.model`.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum VocabularyModel {
    /// `gpt2`: byte-level byte-pair encoding.
    Gpt2 {
        /// `tokenizer.ggml.pre`: the name of the split pattern, such as `gpt-4o`.
        pre: String,
        /// `tokenizer.ggml.merges`: two tokens and a space between them, the first goes first.
        merges: Vec<String>,
    },
    /// `llama`: SentencePiece's byte-pair encoding, the pair with the highest score first.
    Llama {
        /// `tokenizer.ggml.scores`: one for each token.
        scores: Vec<f32>,
        /// `tokenizer.ggml.add_space_prefix`: a space is put before the text; mostly true.
        add_space_prefix: bool,
    },
}

/// The type of a token, `tokenizer.ggml.token_type`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TokenType {
    /// Part of texts.
    Normal,
    /// Stands for what cannot be encoded.
    Unknown,
    /// Steers the model: a special token.
    Control,
    /// Recognised by its name before texts are split, but part of them.
    UserDefined,
    /// Fills up the vocabulary.
    Unused,
    /// A single byte, written `<0x0A>`.
    Byte,
}

impl TokenType {
    /// The type that a GGUF file gives as a number from 1 to 6.
    pub fn from_gguf(number: i32) -> Option<TokenType> {
        Some(match number {
            1 => TokenType::Normal,
            2 => TokenType::Unknown,
            3 => TokenType::Control,
            4 => TokenType::UserDefined,
            5 => TokenType::Unused,
            6 => TokenType::Byte,
            _ => return None,
        })
    }
}

impl Vocabulary {
    /// The tokenizer that the vocabulary describes.
    pub(super) fn into_tokenizer(self) -> Result<Tokenizer, TokenizerError> {
        self.check()?;
        match &self.model {
            VocabularyModel::Gpt2 { pre, merges } => self.byte_level(pre, merges),
            VocabularyModel::Llama { scores, add_space_prefix } => {
                self.sentence_piece(scores, *add_space_prefix)
            }
        }
    }

    /// Refuses parts whose lengths or ids do not fit together.
    fn check(&self) -> Result<(), TokenizerError> {
        let count = self.tokens.len();
        if count == 0 || u32::try_from(count).is_err() {
            return Err(TokenizerError::invalid(TOKENS, "at least one token", count));
        }
        let types = self.token_types.len();
        if types != 0 && types != count {
            let expected = format!("{count} types, one for each token");
            return Err(TokenizerError::invalid("tokenizer.ggml.token_type", expected, types));
        }
        match self.special_ids.iter().find(|&&id| id as usize >= count) {
            Some(id) => {
                let expected = format!("ids of special tokens below {count}");
                Err(TokenizerError::invalid("tokenizer.ggml", expected, id))
            }
            None => Ok(()),
        }
    }

    /// The type of a token, with the special ids of the file taken into account.
    ///
    /// Files give names such as `<|end|>` every type; they are special.
    fn token_type(&self, id: TokenId) -> TokenType {
        let name = &self.tokens[id as usize];
        let given = self.token_types.get(id as usize).copied().unwrap_or(TokenType::Normal);
        let looks_special = name.starts_with("<|") && name.ends_with("|>") && name.len() > 4;
        let is_special = looks_special || self.special_ids.contains(&id);
        if is_special && given != TokenType::Byte { TokenType::Control } else { given }
    }

    /// The tokens with their ids and types.
    fn typed(&self) -> impl Iterator<Item = (TokenId, &str, TokenType)> {
        (0..).zip(&self.tokens).map(|(id, name)| (id, name.as_str(), self.token_type(id)))
    }

    /// A tokenizer of the kind `gpt2`.
    fn byte_level(&self, pre: &str, merges: &[String]) -> Result<Tokenizer, TokenizerError> {
        if pre == "deepseek-coder" {
            return self.deepseek_coder(merges);
        }
        let known = pattern_of(pre);
        let may_be_o200k = matches!(known, Some((SplitPattern::O200k { digits_max: 3 }, _)));
        if (may_be_o200k || pre == "default") && self.is_o200k_harmony() {
            return Ok(Tokenizer::clone(o200k::tokenizer()));
        }
        let (pattern, takes_whole_pieces) = known.ok_or_else(|| {
            let expected = "gpt-4o, llama-bpe, qwen2, gpt-2, smollm, a name for one of these, or \
                            deepseek-coder";
            TokenizerError::unsupported(PRE, expected, format!("`{pre}`"))
        })?;
        let table = self.byte_level_table();
        let mut pairs: Vec<MergeBytes> = Vec::with_capacity(merges.len());
        for (rank, merge) in merges.iter().enumerate() {
            let pair = merge.split_once(' ').and_then(|(left, right)| {
                Some((byte_alphabet::bytes_of(left)?, byte_alphabet::bytes_of(right)?))
            });
            pairs.push(pair.ok_or_else(|| {
                let found = format!("{merge:?} for merge {rank}");
                TokenizerError::invalid(MERGES, "two byte-level tokens", found)
            })?);
        }
        let bpe = ByteBpe::by_merges(&table, &pairs, pattern, takes_whole_pieces, MERGES)?;
        Ok(self.finish("gguf gpt2", table, Encoder::Bytes(bpe)))
    }

    /// The bytes of the ordinary tokens of the kind `gpt2`.
    fn byte_level_table(&self) -> TokenTable {
        let mut table = TokenTable::default();
        for (id, name, _) in self.typed().filter(|(_, _, kind)| is_ordinary(*kind)) {
            table.insert(id, &Spelling::ByteAlphabet.bytes_of(name));
        }
        table
    }

    /// A tokenizer of the kind `gpt2` with the split of DeepSeek-Coder.
    fn deepseek_coder(&self, merges: &[String]) -> Result<Tokenizer, TokenizerError> {
        let ordinary = self.typed().filter(|(_, _, kind)| is_ordinary(*kind));
        let encoder = deepseek::encoder(ordinary.map(|(id, name, _)| (name, id)), merges)?;
        let encoder = Encoder::Pipeline(Box::new(encoder));
        Ok(self.finish("gguf gpt2", self.byte_level_table(), encoder))
    }

    /// A tokenizer of the kind `llama`.
    fn sentence_piece(
        &self,
        scores: &[f32],
        add_space_prefix: bool,
    ) -> Result<Tokenizer, TokenizerError> {
        let place = "tokenizer.ggml.scores";
        if scores.len() != self.tokens.len() {
            let expected = format!("{} scores, one for each token", self.tokens.len());
            return Err(TokenizerError::invalid(place, expected, scores.len()));
        }
        let mut table = TokenTable::default();
        let mut byte_tokens = vec![None; 256];
        let mut unknown = None;
        for (id, name, kind) in self.typed() {
            let has_byte_tokens = kind == TokenType::Byte;
            if is_ordinary(kind) || has_byte_tokens {
                table.insert(id, &Spelling::SentencePiece { has_byte_tokens }.bytes_of(name));
            }
            match (kind, table.get(id)) {
                (TokenType::Byte, Some(&[byte])) => byte_tokens[usize::from(byte)] = Some(id),
                (TokenType::Byte, _) => {
                    let expected = "bytes in the form <0x0A>";
                    return Err(TokenizerError::invalid(TOKENS, expected, format!("{name:?}")));
                }
                (TokenType::Unknown, _) => unknown = unknown.or(Some(id)),
                _ => {}
            }
        }
        let pieces: Vec<(TokenId, f32)> = self
            .typed()
            .filter(|(_, _, kind)| is_ordinary(*kind))
            .map(|(id, _, _)| (id, scores[id as usize]))
            .collect();
        let encoder = SentencePiece::new(&table, &pieces, byte_tokens, unknown, add_space_prefix)?;
        Ok(self.finish("gguf llama", table, Encoder::SentencePiece(encoder)))
    }

    /// The tokenizer with the tokens that are no part of the encoding.
    fn finish(&self, name: &str, mut table: TokenTable, encoder: Encoder) -> Tokenizer {
        let mut added = Vec::new();
        for (id, name, kind) in self.typed() {
            if table.get(id).is_none() {
                table.insert(id, name.as_bytes());
            }
            match kind {
                TokenType::Control if !name.is_empty() => added.push(AddedToken::special(name, id)),
                TokenType::UserDefined if !name.is_empty() => {
                    added.push(AddedToken { is_special: false, ..AddedToken::special(name, id) });
                }
                _ => {}
            }
        }
        Tokenizer::new(name, table, AddedTokens::new(added), encoder)
    }

    /// Whether the vocabulary is the embedded one; the merges follow from the ranks.
    fn is_o200k_harmony(&self) -> bool {
        let Some((ordinary, others)) = self.tokens.split_at_checked(o200k::ORDINARY as usize)
        else {
            return false;
        };
        let embedded = o200k::tokenizer();
        let agrees = |(id, name): (TokenId, &String)| {
            byte_alphabet::bytes_of(name).as_deref() == embedded.token_bytes(id)
        };
        // The file fills up with names of its own where harmony has reserved ones.
        let others = others.iter().map(String::as_str).zip(u64::from(o200k::ORDINARY)..);
        (0..).zip(ordinary).all(agrees) && o200k::agrees_with(others)
    }
}

/// Whether tokens of this type come out of texts.
fn is_ordinary(kind: TokenType) -> bool {
    matches!(kind, TokenType::Normal | TokenType::UserDefined)
}

/// The split pattern of a name, and whether a piece that is a token skips the merges.
fn pattern_of(pre: &str) -> Option<(SplitPattern, bool)> {
    Some(match pre {
        "gpt-4o" | "llama4" => (SplitPattern::O200k { digits_max: 3 }, false),
        "llama-bpe" | "llama3" | "llama-v3" => (SplitPattern::Cl100k { digits_max: 3 }, true),
        "dbrx" | "smaug-bpe" | "chatglm-bpe" => (SplitPattern::Cl100k { digits_max: 3 }, false),
        "qwen2" | "deepseek-r1-qwen" | "stablelm2" => {
            (SplitPattern::Cl100k { digits_max: 1 }, false)
        }
        "gpt-2" | "phi-2" | "mpt" | "olmo" | "jais" => (SplitPattern::Gpt2, false),
        "smollm" | "starcoder" | "refact" | "command-r" | "codeshell" => {
            (SplitPattern::DigitsThenGpt2, false)
        }
        _ => return None,
    })
}
