//! The integer in the last `\boxed{}`, else the last integer of the text.
//!
//! It finds what `extract_boxed_text` of openai/gpt-oss `gpt_oss/evals/aime_eval.py` (7b583341)
//! finds, and compares as Python's `int()` reads.

use crate::EvalError;
use crate::python::regex::Regex;
use crate::python::text::strip;

/// Digits that Python's `int()` reads of a text.
const DIGITS_MAX: usize = 4300;

/// Finds what stands in a box.
#[derive(Debug, Clone)]
pub struct Boxed {
    boxes: Regex,
    digits: Regex,
}

impl Boxed {
    /// The grader.
    ///
    /// # Errors
    /// Never: the patterns are right.
    pub fn new() -> Result<Boxed, EvalError> {
        let boxes = Regex::new(r"(?s)boxed{(.*?)}|framebox{(.*?)}")?;
        Ok(Boxed { boxes, digits: Regex::new(r"\d+")? })
    }

    /// What stands in the last box that is not empty, after its last comma; else the last integer.
    ///
    /// # Errors
    /// If the text costs too much.
    pub fn find(&self, text: &str) -> Result<Option<String>, EvalError> {
        if let Some(full) = self.find_boxed(text)? {
            return Ok(full.rsplit(',').next().map(|last| strip(last).to_string()));
        }
        Ok(self.digits.find_all(text)?.pop().and_then(|mut groups| groups.pop()))
    }

    /// All that stands in the last box that is not empty.
    pub(super) fn find_boxed(&self, text: &str) -> Result<Option<String>, EvalError> {
        let boxes = self.boxes.find_all(text)?;
        Ok(boxes.into_iter().rev().flatten().find(|group| !group.is_empty()))
    }
}

/// The digits that `int()` reads, without zeros before them, with a sign if it is negative.
pub(super) fn integer(text: &str) -> Option<String> {
    let text = strip(text);
    let (is_negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let ends = digits.starts_with('_') || digits.ends_with('_') || digits.contains("__");
    let digits: String = digits.chars().filter(|c| *c != '_').collect();
    let is_number = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
    if ends || !is_number || digits.len() > DIGITS_MAX {
        return None;
    }
    let digits = digits.trim_start_matches('0');
    Some(match (digits, is_negative) {
        ("", _) => "0".into(),
        (digits, true) => format!("-{digits}"),
        (digits, false) => digits.into(),
    })
}

/// Whether two texts are the same integer.
pub(super) fn is_same(found: &str, target: &str) -> bool {
    // A target may have words behind its number.
    let len = target.find(|c: char| !c.is_ascii_digit()).unwrap_or(target.len());
    integer(found).is_some_and(|found| Some(found) == integer(&target[..len]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_what_the_published_grader_finds() {
        // Made by testdata/eval/make_abcd.py with gpt_oss/evals/aime_eval.py.
        let text = include_str!("../../../../testdata/eval/boxed.jsonl");
        let grader = Boxed::new().unwrap();
        let mut compared = 0;
        for line in text.lines() {
            let case: serde_json::Value = serde_json::from_str(line).unwrap();
            let found = grader.find(case["text"].as_str().unwrap()).unwrap();
            assert_eq!(found.as_deref().unwrap_or(""), case["answer"].as_str().unwrap(), "{line}");
            let number = found.as_deref().and_then(integer);
            assert_eq!(number.as_deref(), case["int"].as_str(), "{line}");
            compared += 1;
        }
        assert!(compared >= 20, "only {compared}");
    }

    #[test]
    fn integers_are_compared_as_numbers() {
        assert!(is_same(" 070 ", "70"));
        assert!(is_same("1_000", "1000 apples"));
        assert!(!is_same("70.0", "70"));
        assert!(!is_same("", ""));
        assert!(!is_same("-5", "5"));
    }
}
