//! How an answer is cut out of a generated text, and when two answers are equal.
//!
//! Sources: lm-evaluation-harness 0.4.13 `filters/extraction.py`, `filters/transformation.py`,
//! `api/metrics.py` (`exact_match_hf_evaluate`).

use crate::EvalError;
use crate::python::regex::Regex;
use crate::python::text::strip;
use crate::task::{ExactMatch, FilterSection, FilterStep};

/// The text before the first of the stop strings, one after the other.
pub fn cut_at_stops<'t>(text: &'t str, until: &[String]) -> &'t str {
    until
        .iter()
        .filter(|stop| !stop.is_empty())
        .fold(text, |text, stop| text.split(stop.as_str()).next().unwrap_or(text))
}

/// A filter with its patterns compiled.
#[derive(Debug, Clone)]
pub struct Filter {
    /// Name in results.
    pub name: String,
    steps: Vec<Step>,
}

#[derive(Debug, Clone)]
enum Step {
    Regex { regex: Box<Regex>, group_select: i64, fallback: String },
    RemoveWhitespace,
    Lowercase,
    Uppercase,
}

impl Filter {
    /// The filters of a task; one that changes nothing, `none`, if it has none.
    ///
    /// # Errors
    /// If a pattern is wrong.
    pub fn all(sections: &[FilterSection]) -> Result<Vec<Filter>, EvalError> {
        if sections.is_empty() {
            return Ok(vec![Filter { name: "none".into(), steps: Vec::new() }]);
        }
        sections.iter().map(Self::new).collect()
    }

    fn new(section: &FilterSection) -> Result<Filter, EvalError> {
        let step = |step: &FilterStep| {
            Ok(match step {
                FilterStep::Regex { pattern, group_select, fallback } => Step::Regex {
                    regex: Box::new(Regex::new(pattern)?),
                    group_select: *group_select,
                    fallback: fallback.clone(),
                },
                FilterStep::RemoveWhitespace => Step::RemoveWhitespace,
                FilterStep::Lowercase => Step::Lowercase,
                FilterStep::Uppercase => Step::Uppercase,
            })
        };
        let steps = section.steps.iter().map(step).collect::<Result<_, EvalError>>()?;
        Ok(Filter { name: section.name.clone(), steps })
    }

    /// The answer in a text.
    ///
    /// # Errors
    /// If a pattern costs too much on this text.
    pub fn apply(&self, text: &str) -> Result<String, EvalError> {
        let mut text = text.to_string();
        for step in &self.steps {
            text = match step {
                Step::RemoveWhitespace => strip(&text).to_string(),
                Step::Lowercase => text.to_lowercase(),
                Step::Uppercase => text.to_uppercase(),
                Step::Regex { regex, group_select, fallback } => {
                    let matches = regex.find_all(&text)?;
                    select(&matches, *group_select).map_or(fallback.as_str(), strip).to_string()
                }
            };
        }
        Ok(text)
    }
}

/// The first group of a match that is not empty. A pattern with one group or none gives its match
/// even if that is empty.
fn select(matches: &[Vec<String>], which: i64) -> Option<&str> {
    let at = if which < 0 { matches.len() as i64 + which } else { which };
    let groups = matches.get(usize::try_from(at).ok()?)?;
    match groups.as_slice() {
        [one] => Some(one),
        several => several.iter().map(String::as_str).find(|group| !group.is_empty()),
    }
}

/// Compares answers.
#[derive(Debug, Clone)]
pub struct Matcher {
    section: ExactMatch,
    ignored: Vec<Regex>,
}

impl Matcher {
    /// The comparison of a task.
    ///
    /// # Errors
    /// If a pattern is wrong.
    pub fn new(section: &ExactMatch) -> Result<Matcher, EvalError> {
        let patterns = section.regexes_to_ignore.iter();
        let ignored = patterns.map(|pattern| Regex::new(pattern)).collect::<Result<_, _>>()?;
        Ok(Matcher { section: section.clone(), ignored })
    }

    /// Whether an answer is the target.
    ///
    /// # Errors
    /// If a pattern costs too much.
    pub fn is_match(&self, answer: &str, target: &str) -> Result<bool, EvalError> {
        Ok(self.reduced(answer)? == self.reduced(target)?)
    }

    fn reduced(&self, text: &str) -> Result<String, EvalError> {
        let mut text = text.to_string();
        for regex in &self.ignored {
            text = regex.remove(&text)?;
        }
        if self.section.ignore_case {
            text = text.to_lowercase();
        }
        let ignored = |c: char| {
            (self.section.ignore_punctuation && c.is_ascii_punctuation())
                || (self.section.ignore_numbers && c.is_ascii_digit())
        };
        text.retain(|c| !ignored(c));
        // numpy's arrays of texts do not know zeros at the end.
        Ok(text.trim_end_matches('\0').to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::task::find;

    #[test]
    fn gsm8k_answers_are_found() {
        let file = &find("gsm8k").unwrap().tasks[0].file;
        let filters = Filter::all(&file.filters).unwrap();
        let matcher = Matcher::new(&file.exact_match).unwrap();
        let gold = "16 - 3 - 4 = <<16-3-4=9>>9\n#### 1,018";
        for (text, strict, flexible, right) in [
            (" So it is 1018.\n#### 1018", "1018", "1018", [true, true]),
            (" The total is $1018.00", "[invalid]", "$1018.00", [false, false]),
            (" x = 1,018\n#### $1,018", "[invalid]", "$1,018", [false, true]),
            (" nothing", "[invalid]", "[invalid]", [false, false]),
            ("#### 1018.", "1018.", "1018.", [true, true]),
            ("#### 1018\n#### -5", "1018", "-5", [true, false]),
            ("a $ b 7 - 1018", "[invalid]", "1018", [false, true]),
        ] {
            let answers: Vec<String> = filters.iter().map(|f| f.apply(text).unwrap()).collect();
            assert_eq!(answers, [strict, flexible], "{text}");
            for (answer, right) in answers.iter().zip(right) {
                assert_eq!(matcher.is_match(answer, gold).unwrap(), right, "{text}: {answer}");
            }
        }
    }

    #[test]
    fn the_first_line_is_the_answer_of_generative_mmlu() {
        let file = &find("mmlu_anatomy_generative").unwrap().tasks[0].file;
        let filter = &Filter::all(&file.filters).unwrap()[0];
        let matcher = Matcher::new(&file.exact_match).unwrap();
        for (text, answer, right) in
            [(" B. \nC", "B.", true), ("\nB", "", false), ("(b)", "(b)", true), ("A", "A", false)]
        {
            let found = filter.apply(text).unwrap();
            assert_eq!(found, answer, "{text:?}");
            assert_eq!(matcher.is_match(&found, "B").unwrap(), right, "{text:?}");
        }
    }

    #[test]
    fn stops_cut() {
        let until = ["\n\n".to_string(), String::new(), "Q:".into()];
        assert_eq!(cut_at_stops("a Q: b\n\nc", &until), "a ");
        assert_eq!(cut_at_stops("a", &until), "a");
    }
}
