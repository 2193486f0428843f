//! Special tokens: their names, and where they stand in a text.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use aho_corasick::{AhoCorasick, MatchKind};

use super::TokenId;

/// A token that stands for its name as a whole, outside byte-pair encoding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct AddedToken {
    /// As it stands in a text, such as `<|start|>`.
    pub(super) name: String,
    pub(super) id: TokenId,
    /// Steers the model, and is no part of what it says.
    pub(super) is_special: bool,
    /// Takes the white space before it.
    pub(super) strips_left: bool,
    /// Takes the white space after it.
    pub(super) strips_right: bool,
    /// Is recognised only where no letter, digit or `_` touches it.
    pub(super) single_word: bool,
}

impl AddedToken {
    /// A special token that is recognised anywhere.
    pub(super) fn special(name: impl Into<String>, id: TokenId) -> AddedToken {
        AddedToken {
            name: name.into(),
            id,
            is_special: true,
            strips_left: false,
            strips_right: false,
            single_word: false,
        }
    }
}

/// A stretch of a text with added tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Segment<'t> {
    Ordinary(&'t str),
    Added(TokenId),
}

/// All added tokens of a tokenizer, in the order of their ids.
pub(super) struct AddedTokens {
    tokens: Vec<AddedToken>,
    /// Names of the special ones.
    specials: BTreeMap<String, TokenId>,
    /// Finds the names of `tokens`; made when a text is searched for the first time.
    searcher: OnceLock<Option<AhoCorasick>>,
}

impl AddedTokens {
    /// These tokens; names and ids do not repeat.
    pub(super) fn new(mut tokens: Vec<AddedToken>) -> AddedTokens {
        tokens.sort_by_key(|token| token.id);
        let specials = tokens.iter().filter(|token| token.is_special);
        let specials = specials.map(|token| (token.name.clone(), token.id)).collect();
        AddedTokens { tokens, specials, searcher: OnceLock::new() }
    }

    /// The id of the special token of this name.
    pub(super) fn special(&self, name: &str) -> Option<TokenId> {
        self.specials.get(name).copied()
    }

    /// The special tokens by id.
    pub(super) fn specials(&self) -> impl Iterator<Item = (&str, TokenId)> {
        let specials = self.tokens.iter().filter(|token| token.is_special);
        specials.map(|token| (token.name.as_str(), token.id))
    }

    /// The names of all, special or not, by id.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.tokens.iter().map(|token| token.name.as_str())
    }

    /// Whether the id is a special token.
    pub(super) fn is_special(&self, id: TokenId) -> bool {
        self.tokens
            .binary_search_by_key(&id, |token| token.id)
            .is_ok_and(|index| self.tokens[index].is_special)
    }

    /// The text with the added tokens recognised: leftmost, and of several there the longest.
    pub(super) fn segments<'t>(&self, text: &'t str) -> Vec<Segment<'t>> {
        let Some(searcher) = self.searcher.get_or_init(|| self.make_searcher()) else {
            return vec![Segment::Ordinary(text)];
        };
        let mut segments = Vec::new();
        // Everything before `done` is in `segments`.
        let mut done = 0;
        for found in searcher.find_iter(text) {
            let token = &self.tokens[found.pattern().as_usize()];
            let (mut start, mut end) = (found.start(), found.end());
            // White space that the token before took may begin this one.
            if start < done || token.single_word && !stands_alone(text, start, end) {
                continue;
            }
            if token.strips_left {
                start = done + text[done..start].trim_end().len();
            }
            if token.strips_right {
                end = text.len() - text[end..].trim_start().len();
            }
            if start > done {
                segments.push(Segment::Ordinary(&text[done..start]));
            }
            segments.push(Segment::Added(token.id));
            done = end;
        }
        if done < text.len() {
            segments.push(Segment::Ordinary(&text[done..]));
        }
        segments
    }

    /// The automaton over all names; `None` if there are none.
    fn make_searcher(&self) -> Option<AhoCorasick> {
        let names = self.tokens.iter().map(|token| token.name.as_str());
        let builder = AhoCorasick::builder().match_kind(MatchKind::LeftmostLongest).build(names);
        // The one error is more names than 2^31, which no vocabulary in memory has.
        builder.ok().filter(|searcher| searcher.patterns_len() > 0)
    }
}

/// Whether no word character touches this stretch of the text.
fn stands_alone(text: &str, start: usize, end: usize) -> bool {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    !text[..start].ends_with(is_word) && !text[end..].starts_with(is_word)
}
