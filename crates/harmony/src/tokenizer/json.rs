//! Hugging Face's tokenizer.json: what it says, and which encoder can do it.
//!
//! Three ways, the first that fits: the vocabulary of o200k_harmony is the embedded one; byte-level
//! byte-pair encoding with a published split pattern is done by `byte_bpe`; everything else by the
//! crate of Hugging Face in `pipeline`. Truncation, padding and dropout are left out on purpose;
//! the token that a post-processor would put at the beginning is only remembered.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::Value;

use super::byte_alphabet;
use super::byte_bpe::{ByteBpe, MergeBytes};
use super::o200k;
use super::pipeline::Pipeline;
use super::special::{AddedToken, AddedTokens};
use super::spelling::Spelling;
use super::split::SplitPattern;
use super::token_table::TokenTable;
use super::{Encoder, Parts, TokenId, Tokenizer, TokenizerError};

const VOCAB: &str = "tokenizer.json: model.vocab";
const ADDED: &str = "tokenizer.json: added_tokens";

/// The tokenizer that a tokenizer.json describes.
pub(super) fn parse(bytes: &[u8]) -> Result<Tokenizer, TokenizerError> {
    let file: File = serde_json::from_slice(bytes).map_err(TokenizerError::NotJson)?;
    file.check_ids()?;
    let pattern = file.byte_level_pattern();
    if pattern == Some(SplitPattern::O200k { digits_max: 3 }) && file.is_o200k_harmony() {
        return Ok(Tokenizer::clone(o200k::tokenizer()));
    }
    let spelling = Spelling::from_decoder(&file.decoder)?;
    let added: Vec<AddedToken> = file.added_tokens.iter().map(AddedEntry::to_token).collect();
    let specials: BTreeSet<&str> = added
        .iter()
        .filter(|token| token.is_special && file.model.unk_token.as_ref() != Some(&token.name))
        .map(|token| token.name.as_str())
        .collect();

    let mut table = TokenTable::default();
    for (name, id) in file.model.vocab.tokens() {
        if !specials.contains(name) {
            table.insert(id as TokenId, &spelling.bytes_of(name));
        }
    }
    let encoder = match pattern {
        Some(pattern) if file.has_every_byte() => {
            let merges = read_merges(bytes, &specials)?;
            let whole = file.model.ignore_merges;
            let place = "tokenizer.json: model.merges";
            Encoder::Bytes(ByteBpe::by_merges(&table, &merges, pattern, whole, place)?)
        }
        _ => Encoder::Pipeline(Box::new(Pipeline::new(bytes, &specials)?)),
    };
    for token in &added {
        table.insert(token.id, token.name.as_bytes());
    }
    let name = "tokenizer.json".to_owned();
    let begin_token = begin_token(&file.post_processor)
        .filter(|id| added.iter().any(|token| token.is_special && token.id == *id));
    let added = AddedTokens::new(added);
    Ok(Tokenizer(Arc::new(Parts { name, table, added, encoder, begin_token })))
}

/// The token that a post-processor puts before a single text: the first piece of a
/// `TemplateProcessing`, which may be a step of a `Sequence`.
fn begin_token(post_processor: &Value) -> Option<TokenId> {
    match post_processor["type"].as_str()? {
        "Sequence" => post_processor["processors"].as_array()?.iter().find_map(begin_token),
        "TemplateProcessing" => {
            let name = post_processor["single"][0]["SpecialToken"]["id"].as_str()?;
            let id = post_processor["special_tokens"][name]["ids"][0].as_u64()?;
            TokenId::try_from(id).ok()
        }
        _ => None,
    }
}

/// A tokenizer.json without the merges, which are by far the largest part.
#[derive(Deserialize)]
#[serde(expecting = "an object with a `model`")]
struct File {
    #[serde(default)]
    added_tokens: Vec<AddedEntry>,
    #[serde(default)]
    normalizer: Value,
    #[serde(default)]
    pre_tokenizer: Value,
    #[serde(default)]
    decoder: Value,
    #[serde(default)]
    post_processor: Value,
    model: Model,
}

/// An entry of `added_tokens`.
#[derive(Deserialize)]
struct AddedEntry {
    id: u64,
    content: String,
    #[serde(default)]
    single_word: bool,
    #[serde(default)]
    lstrip: bool,
    #[serde(default)]
    rstrip: bool,
    #[serde(default)]
    special: bool,
}

/// The model without its merges.
#[derive(Deserialize)]
struct Model {
    #[serde(default, rename = "type")]
    kind: Option<String>,
    #[serde(default)]
    unk_token: Option<String>,
    #[serde(default)]
    continuing_subword_prefix: Option<String>,
    #[serde(default)]
    end_of_word_suffix: Option<String>,
    #[serde(default)]
    byte_fallback: bool,
    #[serde(default)]
    ignore_merges: bool,
    vocab: Vocab,
}

/// The vocabulary: a map from token to id, or a list of tokens with scores.
enum Vocab {
    Map(Vec<(String, u64)>),
    List(Vec<String>),
}

impl Vocab {
    /// Each token with its id, in the order of the file.
    fn tokens(&self) -> Box<dyn Iterator<Item = (&str, u64)> + '_> {
        match self {
            Vocab::Map(entries) => Box::new(entries.iter().map(|(name, id)| (name.as_str(), *id))),
            Vocab::List(names) => Box::new(names.iter().map(String::as_str).zip(0..)),
        }
    }
}

impl<'de> Deserialize<'de> for Vocab {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Vocab, D::Error> {
        deserializer.deserialize_any(VocabVisitor)
    }
}

struct VocabVisitor;

impl<'de> Visitor<'de> for VocabVisitor {
    type Value = Vocab;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a map from tokens to ids or a list of tokens with scores")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Vocab, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = map.next_entry()? {
            entries.push(entry);
        }
        Ok(Vocab::Map(entries))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Vocab, A::Error> {
        let mut names = Vec::new();
        while let Some((name, IgnoredAny)) = list.next_element()? {
            names.push(name);
        }
        Ok(Vocab::List(names))
    }
}

impl AddedEntry {
    /// A name in the form `<|…|>` is special even if the file forgets to say so.
    fn to_token(&self) -> AddedToken {
        let looks_special = self.content.starts_with("<|") && self.content.ends_with("|>");
        AddedToken {
            name: self.content.clone(),
            id: self.id as TokenId,
            is_special: self.special || looks_special,
            strips_left: self.lstrip,
            strips_right: self.rstrip,
            single_word: self.single_word,
        }
    }
}

impl File {
    /// Refuses ids that repeat, that contradict each other, or that would need a giant table.
    fn check_ids(&self) -> Result<(), TokenizerError> {
        let added = || self.added_tokens.iter().map(|token| (token.content.as_str(), token.id));
        let tokens = || self.model.vocab.tokens().map(|token| (VOCAB, token));
        let all = || tokens().chain(added().map(|token| (ADDED, token)));
        let limit = 4 * all().count() as u64 + 1024;
        if let Some((place, (name, id))) = all().find(|(_, (_, id))| *id >= limit) {
            let expected = format!("ids below {limit} for as many tokens");
            return Err(TokenizerError::invalid(place, expected, format!("{id} for {name:?}")));
        }
        // The limit holds, so a table of all ids is no larger than a few times the file.
        let mut names: Vec<Option<&str>> = vec![None; limit as usize];
        for (place, (name, id)) in all() {
            if name.is_empty() && place == ADDED {
                return Err(TokenizerError::invalid(place, "a name", "an empty one"));
            }
            // An added token may stand in the vocabulary as well.
            let slot = &mut names[id as usize];
            match slot {
                Some(other) if *other != name || place == VOCAB => {
                    let found = format!("{id} for {other:?} and {name:?}");
                    return Err(TokenizerError::invalid(place, "an id for each token", found));
                }
                _ => *slot = Some(name),
            }
        }
        let mut by_name: Vec<(&str, u64)> = all().map(|(_, token)| token).collect();
        by_name.sort_unstable();
        by_name.dedup();
        match by_name.windows(2).find(|pair| pair[0].0 == pair[1].0) {
            Some(pair) => {
                let found = format!("{} and {} for {:?}", pair[0].1, pair[1].1, pair[0].0);
                Err(TokenizerError::invalid(VOCAB, "one id for each token", found))
            }
            None => Ok(()),
        }
    }

    /// The split pattern, if this is byte-level byte-pair encoding that needs nothing else.
    fn byte_level_pattern(&self) -> Option<SplitPattern> {
        let model = &self.model;
        let is_plain = model.kind.as_deref() == Some("BPE")
            && matches!(model.vocab, Vocab::Map(_))
            && model.continuing_subword_prefix.as_deref().unwrap_or_default().is_empty()
            && model.end_of_word_suffix.as_deref().unwrap_or_default().is_empty()
            && !model.byte_fallback
            && self.normalizer.is_null()
            && self.decoder["type"] == "ByteLevel";
        if is_plain { split_pattern(&self.pre_tokenizer) } else { None }
    }

    /// Whether every byte is a token of its own, as a byte-level vocabulary should have it.
    fn has_every_byte(&self) -> bool {
        let bytes = self.model.vocab.tokens().filter_map(|(name, _)| {
            (name.chars().count() == 1).then(|| byte_alphabet::bytes_of(name)).flatten()
        });
        bytes.collect::<BTreeSet<_>>().len() == 256
    }

    /// Whether the vocabulary is the embedded one; `byte_level_pattern` has been compared.
    ///
    /// The merges follow from the ranks. Special tokens that harmony uses must agree as far as
    /// the file has them; the reserved ones have other names in some files.
    fn is_o200k_harmony(&self) -> bool {
        let ordinary = o200k::tokenizer();
        let mut found = 0;
        for (name, id) in self.model.vocab.tokens() {
            if id >= u64::from(o200k::ORDINARY) {
                continue;
            }
            let bytes = byte_alphabet::bytes_of(name);
            if bytes.as_deref() != ordinary.token_bytes(id as TokenId) {
                return false;
            }
            found += 1;
        }
        let added = self.added_tokens.iter().map(|token| (token.content.as_str(), token.id));
        found == o200k::ORDINARY && o200k::agrees_with(added)
    }
}

/// The pattern of a pre-tokenizer that ends in bytes, if it is one of the published ones.
fn split_pattern(pre_tokenizer: &Value) -> Option<SplitPattern> {
    // Both settings of `ByteLevel` are true where the file does not say.
    let byte_level = |step: &Value| {
        let is_plain = step["type"] == "ByteLevel" && step["add_prefix_space"] == false;
        is_plain.then(|| step["use_regex"].as_bool().unwrap_or(true))
    };
    if let Some(splits) = byte_level(pre_tokenizer) {
        return Some(if splits { SplitPattern::Gpt2 } else { SplitPattern::Whole });
    }
    if pre_tokenizer["type"] != "Sequence" {
        return None;
    }
    let [first, second] = pre_tokenizer["pretokenizers"].as_array()?.as_slice() else {
        return None;
    };
    match (first["type"].as_str()?, byte_level(second)?) {
        ("Split", false) if first["behavior"] == "Isolated" && first["invert"] == false => {
            SplitPattern::from_regex(first["pattern"]["Regex"].as_str()?)
        }
        ("Digits", true) if first["individual_digits"] == true => {
            Some(SplitPattern::DigitsThenGpt2)
        }
        _ => None,
    }
}

/// The merges of a byte-level vocabulary, without those that have to do with special tokens.
fn read_merges(bytes: &[u8], specials: &BTreeSet<&str>) -> Result<Vec<MergeBytes>, TokenizerError> {
    #[derive(Deserialize)]
    struct File {
        model: Model,
    }
    #[derive(Deserialize)]
    struct Model {
        merges: Vec<Merge>,
    }
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Merge {
        Line(String),
        Pair(String, String),
    }

    let file: File = serde_json::from_slice(bytes).map_err(TokenizerError::NotJson)?;
    let mut merges = Vec::with_capacity(file.model.merges.len());
    for (rank, merge) in file.model.merges.iter().enumerate() {
        let pair = match merge {
            Merge::Line(line) => line.split_once(' '),
            Merge::Pair(left, right) => Some((left.as_str(), right.as_str())),
        };
        let spelled = pair.and_then(|(left, right)| {
            Some((byte_alphabet::bytes_of(left)?, byte_alphabet::bytes_of(right)?))
        });
        let (Some((left, right)), Some(bytes)) = (pair, spelled) else {
            let found = format!("something else for merge {rank}");
            let place = "tokenizer.json: model.merges";
            return Err(TokenizerError::invalid(place, "two byte-level tokens", found));
        };
        let both = format!("{left}{right}");
        if ![left, right, &both].iter().any(|name| specials.contains(name)) {
            merges.push(bytes);
        }
    }
    Ok(merges)
}
