//! Tokenizers of any other kind, through the crate `tokenizers` of Hugging Face.
//!
//! The crate is handed a description without added tokens, so that no text can be one: those are
//! found by `special` before. What it may not do to us is guarded here: panics are caught, and
//! its regular expressions, which give up silently after a million steps back, see no run of
//! blanks or of other characters longer than `RUN_CHARS_MAX`.

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};

use serde_json::{Value, json};

use super::{TokenId, TokenizerError};

/// A run of blank or of other characters is cut after so many, if regular expressions are used.
///
/// No ordinary text has a longer one, and the steps back for one stay far below a million.
const RUN_CHARS_MAX: usize = 1 << 16;

/// Stands around the names of special tokens in vocabularies that are lists, so that no text has
/// them: texts are cut before and after this noncharacter.
const BARRIER: char = '\u{FFFF}';

/// An encoder of the foreign crate.
pub(super) struct Pipeline {
    /// For the beginning of a text.
    first: tokenizers::Tokenizer,
    /// For what follows, if that makes a difference (a space added at the beginning only).
    continued: Option<tokenizers::Tokenizer>,
    has_regex: bool,
}

impl Pipeline {
    /// The encoder that a tokenizer.json describes, without its special tokens.
    ///
    /// # Errors
    /// If the crate does not accept the description.
    pub(super) fn new(bytes: &[u8], specials: &BTreeSet<&str>) -> Result<Pipeline, TokenizerError> {
        let mut file: Value = serde_json::from_slice(bytes).map_err(TokenizerError::NotJson)?;
        for key in ["truncation", "padding", "post_processor", "decoder"] {
            file[key] = Value::Null;
        }
        file["added_tokens"] = json!([]);
        let model = &mut file["model"];
        model["dropout"] = Value::Null;
        hide_specials(model, specials);
        let has_regex = ["normalizer", "pre_tokenizer"].iter().any(|key| uses_regex(&file[key]));
        let first = build(&file)?;
        let continued = match never_prepend(&mut file["pre_tokenizer"]) {
            true => Some(build(&file)?),
            false => None,
        };
        Ok(Pipeline { first, continued, has_regex })
    }

    /// Appends the tokens of a text; `at_start` if nothing stands before it.
    ///
    /// A stretch on which the foreign crate fails gives no tokens; the load has shown that it can
    /// encode letters, symbols and unknown characters.
    pub(super) fn encode(&self, text: &str, at_start: bool, ids: &mut Vec<TokenId>) {
        let mut encoder = match &self.continued {
            Some(continued) if !at_start => continued,
            _ => &self.first,
        };
        for chunk in (Chunks { rest: text, cuts_runs: self.has_regex }) {
            ids.extend(encode_guarded(encoder, chunk).unwrap_or_default());
            encoder = self.continued.as_ref().unwrap_or(encoder);
        }
    }
}

/// The crate's tokenizer, after a trial.
fn build(file: &Value) -> Result<tokenizers::Tokenizer, TokenizerError> {
    let refused =
        |why: String| TokenizerError::invalid("tokenizer.json", "a tokenizer of a known kind", why);
    let bytes = serde_json::to_vec(file).map_err(TokenizerError::NotJson)?;
    let built = catch_unwind(|| tokenizers::Tokenizer::from_bytes(bytes));
    let tokenizer = match built {
        Ok(Ok(tokenizer)) => tokenizer,
        Ok(Err(error)) => return Err(refused(error.to_string())),
        Err(_) => return Err(refused("one that its parser fails on".to_owned())),
    };
    for trial in ["", "Ab 1.\n", "é語😀", "\u{378}\u{10FFFE}"] {
        encode_guarded(&tokenizer, trial).map_err(refused)?;
    }
    Ok(tokenizer)
}

/// The ids of a text; a panic is an error.
fn encode_guarded(tokenizer: &tokenizers::Tokenizer, text: &str) -> Result<Vec<u32>, String> {
    // A cache inside is all that a panic can leave half done, and the crate locks it.
    match catch_unwind(AssertUnwindSafe(|| tokenizer.encode_fast(text, false))) {
        Ok(Ok(encoding)) => Ok(encoding.get_ids().to_vec()),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err("a text that its encoder fails on".to_owned()),
    }
}

/// Takes special tokens out of the vocabulary, with the merges that lead to them or on from them.
///
/// The position in a list is the id, so there they only get a name that no text has.
fn hide_specials(model: &mut Value, specials: &BTreeSet<&str>) {
    match &mut model["vocab"] {
        Value::Object(vocab) => vocab.retain(|name, _| !specials.contains(name.as_str())),
        Value::Array(vocab) => {
            for entry in vocab {
                if let Some(Value::String(name)) = entry.get_mut(0)
                    && specials.contains(name.as_str())
                {
                    *name = format!("{BARRIER}{name}{BARRIER}");
                }
            }
        }
        _ => {}
    }
    if let Value::Array(merges) = &mut model["merges"] {
        merges.retain(|merge| {
            let pair = match merge {
                Value::String(line) => line.split_once(' '),
                _ => merge[0].as_str().zip(merge[1].as_str()),
            };
            pair.is_none_or(|(left, right)| {
                let both = format!("{left}{right}");
                ![left, right, &both].iter().any(|name| specials.contains(name))
            })
        });
    }
}

/// Whether a regular expression stands anywhere in this part of the file.
///
/// Some steps bring their own, so every step but the plainest counts.
fn uses_regex(part: &Value) -> bool {
    match part {
        Value::Object(fields) => {
            let harmless = ["Sequence", "Metaspace", "Prepend", "Replace", "NFC", "NFKC"];
            let is_step = fields.get("type").and_then(Value::as_str);
            fields.contains_key("Regex")
                || is_step.is_some_and(|step| !harmless.contains(&step))
                || fields.values().any(uses_regex)
        }
        Value::Array(steps) => steps.iter().any(uses_regex),
        _ => false,
    }
}

/// Turns every "a space before the first word" into "none"; whether there was one.
fn never_prepend(part: &mut Value) -> bool {
    match part {
        Value::Object(fields) => {
            let mut changed = false;
            for (key, value) in fields {
                if key == "prepend_scheme" && value == "first" {
                    *value = json!("never");
                    changed = true;
                } else {
                    changed |= never_prepend(value);
                }
            }
            changed
        }
        Value::Array(steps) => steps.iter_mut().fold(false, |any, step| never_prepend(step) | any),
        _ => false,
    }
}

/// A text in the stretches that are handed over one by one; ordinary texts are one stretch.
struct Chunks<'t> {
    rest: &'t str,
    cuts_runs: bool,
}

impl<'t> Iterator for Chunks<'t> {
    type Item = &'t str;

    fn next(&mut self) -> Option<&'t str> {
        let (mut run, mut was_blank) = (0, None);
        let cut = self.rest.char_indices().find(|&(start, c)| {
            let is_blank = c.is_whitespace();
            run = if was_blank == Some(is_blank) { run + 1 } else { 1 };
            was_blank = Some(is_blank);
            let before_barrier = start > 0 && c == BARRIER;
            let after_barrier = start == BARRIER.len_utf8() && self.rest.starts_with(BARRIER);
            before_barrier || after_barrier || self.cuts_runs && run > RUN_CHARS_MAX
        });
        let (chunk, rest) = self.rest.split_at(cut.map_or(self.rest.len(), |(start, _)| start));
        self.rest = rest;
        (!chunk.is_empty()).then_some(chunk)
    }
}
