//! The number that a text ends with, as answers to word problems are written.

use crate::EvalError;
use crate::grade::Boxed;
use crate::python::regex::Regex;

/// Finds a number: in the last box, else the last of the text.
#[derive(Debug, Clone)]
pub struct LastNumber {
    boxes: Boxed,
    numbers: Regex,
}

impl LastNumber {
    /// The grader.
    ///
    /// # Errors
    /// Never: the patterns are right.
    pub fn new() -> Result<LastNumber, EvalError> {
        // Thousands may be set apart by commas; a point belongs to it if a digit follows.
        let numbers = Regex::new(r"-?[0-9]+(?:,[0-9]{3})*(?:\.[0-9]+)?|-?\.[0-9]+")?;
        Ok(LastNumber { boxes: Boxed::new()?, numbers })
    }

    /// The number as it is written, or nothing.
    ///
    /// # Errors
    /// If the text costs too much.
    pub fn find(&self, text: &str) -> Result<Option<String>, EvalError> {
        let last = |text: &str| -> Result<Option<String>, EvalError> {
            Ok(self.numbers.find_all(text)?.pop().and_then(|mut groups| groups.pop()))
        };
        if let Some(content) = self.boxes.find_boxed(text)?
            && let Some(number) = last(&content)?
        {
            return Ok(Some(number));
        }
        last(text)
    }
}

/// Whether two texts are the same number: commas, signs of currency and zeros at the ends do not
/// count. Digits are compared, not floats, so that nothing is rounded.
pub(super) fn is_same(found: &str, target: &str) -> bool {
    reduced(found).is_some_and(|found| Some(found) == reduced(target))
}

fn reduced(text: &str) -> Option<(bool, String, String)> {
    let text: String = text.chars().filter(|c| !matches!(c, ',' | '$' | ' ')).collect();
    let (is_negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.as_str()),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let is_digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    if !is_digits(whole) || !is_digits(fraction) || (whole.is_empty() && fraction.is_empty()) {
        return None;
    }
    let whole = whole.trim_start_matches('0').to_string();
    let fraction = fraction.trim_end_matches('0').to_string();
    let is_zero = whole.is_empty() && fraction.is_empty();
    Some((is_negative && !is_zero, whole, fraction))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_last_number() {
        let grader = LastNumber::new().unwrap();
        for (text, expected) in [
            ("It costs $1,234.50.", Some("1,234.50")),
            (r"18 in all: \boxed{18} of 20", Some("18")),
            (r"\boxed{18\text{ dollars}}", Some("18")),
            (r"\boxed{x} so 5", Some("5")),
            ("3 and 4, 5", Some("5")),
            ("he owes -7", Some("-7")),
            ("1,23", Some("23")),
            (".5 of it", Some(".5")),
            ("none", None),
        ] {
            assert_eq!(grader.find(text).unwrap().as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn numbers_are_compared_by_value() {
        for (found, target) in
            [("1,018.00", "1018"), ("$5", "5"), ("-0", "0"), (".50", "0.5"), ("007", "7")]
        {
            assert!(is_same(found, target), "{found} {target}");
        }
        for (found, target) in [("5", "-5"), ("5.01", "5"), ("", ""), ("x", "x"), (".", "0")] {
            assert!(!is_same(found, target), "{found} {target}");
        }
    }
}
