//! The letter that a text declares to be its answer.
//!
//! It finds what openai/gpt-oss `gpt_oss/evals/abcd_grader.py` (7b583341) finds: thirteen forms of
//! a declaration are tried in order of how explicit they are, and the first form that occurs
//! decides. The forms are written down here as Python regular expressions, in which `L` stands for
//! the letter: `W` for a pair of asterisks or underscores, or one.

use crate::EvalError;
use crate::python::regex::Regex;

/// From the most explicit form to the least. Letters are large except where `(?i)` stands.
const FORMS: [&str; 13] = [
    // **Answer:** A
    r"(?i)W Answer[s]?\s*[:\-–]?W\s*L\b",
    // A line that begins with `Answer B`, wrapped or not.
    r"(?im)^\s*W?Answer:?W?\s*:?\s*W?LW?\s*",
    // Answer: (C)
    r"(?i)\bAnswer[s]?\b\s*[:\-–]?\s*\(\s*L\s*\)",
    // Answers – D
    r"(?i)\bAnswer[s]?\b\s*[:\-–]?\s*L\b",
    // Option B, Choice: C
    r"(?i)\b(?:Option|Choice)\b\s*[:\-–]?\s*L\b",
    // \boxed{A}
    r"\\boxed\{[^}]*?L[^}]*\}",
    // \boxed{\textbf{C}}
    r"\\boxed\{[^}]*?\\textbf\{[^}]*?L[^}]*\}[^}]*\}",
    // \boxed{\text{C}}
    r"\\boxed\{[^}]*?\\text\{[^}]*?L[^}]*\}[^}]*\}",
    // (A), [B]
    r"(?<![A-Za-z0-9])[\(\[]\s*L\s*[\)\]](?![A-Za-z0-9])",
    // **B**
    r"(?<![A-Za-z0-9])WLW(?![A-Za-z0-9])",
    // \textbf{C}
    r"\\textbf\{[^}]*?L[^}]*\}",
    // **D) because**
    r"(?<![A-Za-z0-9])W\s*L\)[^*_\n]+?W(?![A-Za-z0-9])",
    // A line that begins with the letter.
    r"(?m)^\s*W?LW?\s*[\.\)\-–:]?\s*.*$",
];

/// Finds the letter of a choice.
#[derive(Debug, Clone)]
pub struct Letters {
    letters: &'static str,
    forms: Vec<Regex>,
}

impl Letters {
    /// Numbers of choices for which there are letters.
    pub const COUNTS: [usize; 3] = [3, 4, 5];

    /// A grader of answers from `A` on. The published one is for four.
    ///
    /// # Errors
    /// If there is none for this number of choices.
    pub fn new(count: usize) -> Result<Letters, EvalError> {
        if !Self::COUNTS.contains(&count) {
            let message = format!("not supported: letters for {count} choices");
            return Err(EvalError::Refused(message));
        }
        let letters = &"ABCDE"[..count];
        let form = |form: &&str| {
            let form = form.replace("W ", "W").replace('W', r"(?:\*{1,2}|_{1,2})");
            Regex::new(&form.replace('L', &format!("([{letters}])")))
        };
        Ok(Letters { letters, forms: FORMS.iter().map(form).collect::<Result<_, _>>()? })
    }

    /// How many choices there are.
    pub fn count(&self) -> usize {
        self.letters.len()
    }

    /// The letter, or nothing. Where no form occurs, the first character behind an optional `**`
    /// counts if it is a letter of a choice.
    ///
    /// # Errors
    /// If the text costs too much.
    pub fn find(&self, text: &str) -> Result<Option<String>, EvalError> {
        for form in &self.forms {
            let found = form.search(text)?;
            let letter = found.and_then(|groups| Some(groups.get(1)?.as_str().to_uppercase()));
            if let Some(letter) = letter.filter(|letter| self.letters.contains(letter.as_str())) {
                return Ok(Some(letter));
            }
        }
        let first = text.strip_prefix("**").unwrap_or(text).chars().next();
        Ok(first.filter(|first| self.letters.contains(*first)).map(String::from))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agrees_with_the_published_grader() {
        // Made by testdata/eval/make_abcd.py with gpt_oss/evals/abcd_grader.py.
        let text = include_str!("../../../../testdata/eval/abcd.jsonl");
        let grader = Letters::new(4).unwrap();
        let (mut compared, mut found_letters) = (0, 0);
        for line in text.lines() {
            let case: serde_json::Value = serde_json::from_str(line).unwrap();
            let expected = case["answer"].as_str().unwrap();
            // The published grader gives any first character; that is no answer here.
            let expected = Some(expected).filter(|e| e.len() == 1 && "ABCD".contains(e));
            let found = grader.find(case["text"].as_str().unwrap()).unwrap();
            assert_eq!(found.as_deref(), expected, "{line}");
            compared += 1;
            found_letters += usize::from(found.is_some());
        }
        assert!(compared >= 2000 && found_letters > compared / 2, "{found_letters}/{compared}");
    }

    #[test]
    fn other_numbers_of_letters() {
        let find = |count, text| Letters::new(count).unwrap().find(text).unwrap();
        assert_eq!(find(5, "Answer: E").as_deref(), Some("E"));
        assert_eq!(find(4, "so Answer: E"), None);
        assert_eq!(find(3, "(D) or (C)").as_deref(), Some("C"));
        assert!(Letters::new(6).is_err());
    }
}
