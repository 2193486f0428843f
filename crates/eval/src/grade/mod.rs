//! Graders of answers that a reasoning model wrote: a letter, a boxed number, the last number.

mod abcd;
mod boxed;
mod number;

pub use abcd::Letters;
pub use boxed::Boxed;
pub use number::LastNumber;

use crate::EvalError;
use crate::task::Grader;

/// What became of an answer.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// The answer is the right one.
    Right,
    /// Another answer was found.
    Wrong,
    /// No answer was found in a text that ended by itself.
    Unparsed,
    /// No right answer was found in a text that ended because there were no tokens left.
    Truncated,
}

/// An answer and what became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Graded {
    /// What was found; empty if nothing was.
    pub answer: String,
    /// What became of it.
    pub verdict: Verdict,
}

/// The grader of a task, with its patterns compiled.
#[derive(Debug, Clone)]
pub enum AnyGrader {
    /// See [`Letters`]; one for each number of choices, from three to five.
    Letters(Vec<Letters>),
    /// See [`Boxed`].
    Boxed(Box<Boxed>),
    /// See [`LastNumber`].
    LastNumber(Box<LastNumber>),
}

impl AnyGrader {
    /// The grader of this name.
    ///
    /// # Errors
    /// Never for the patterns that stand in this crate.
    pub fn new(grader: Grader) -> Result<AnyGrader, EvalError> {
        Ok(match grader {
            Grader::Abcd => {
                let graders = Letters::COUNTS.map(Letters::new).into_iter();
                Self::Letters(graders.collect::<Result<_, _>>()?)
            }
            Grader::Boxed => Self::Boxed(Box::new(Boxed::new()?)),
            Grader::LastNumber => Self::LastNumber(Box::new(LastNumber::new()?)),
        })
    }

    /// Grades a text. `choices` is how many letters there are, `truncated` whether the model had
    /// no tokens left.
    ///
    /// # Errors
    /// If a pattern costs too much on this text.
    pub fn grade(
        &self,
        text: &str,
        target: &str,
        choices: usize,
        truncated: bool,
    ) -> Result<Graded, EvalError> {
        let (found, is_right) = match self {
            Self::Letters(graders) => {
                let grader = graders.iter().find(|grader| grader.count() == choices);
                let grader = grader.ok_or_else(|| {
                    EvalError::Refused(format!("not supported: letters for {choices} choices"))
                })?;
                let found = grader.find(text)?;
                let is_right = found.as_deref() == Some(target);
                (found, is_right)
            }
            Self::Boxed(grader) => {
                let found = grader.find(text)?;
                let is_right = found.as_deref().is_some_and(|found| boxed::is_same(found, target));
                // What is no integer counts as no answer, as int() fails on it.
                (found.filter(|found| boxed::integer(found).is_some()), is_right)
            }
            Self::LastNumber(grader) => {
                let found = grader.find(text)?;
                let is_right = found.as_deref().is_some_and(|found| number::is_same(found, target));
                (found, is_right)
            }
        };
        let verdict = match (&found, is_right) {
            (_, true) => Verdict::Right,
            (_, false) if truncated => Verdict::Truncated,
            (None, false) => Verdict::Unparsed,
            (Some(_), false) => Verdict::Wrong,
        };
        Ok(Graded { answer: found.unwrap_or_default(), verdict })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_found_is_not_wrong() {
        let grader = AnyGrader::new(Grader::Abcd).unwrap();
        let verdict = |text, truncated| grader.grade(text, "B", 4, truncated).unwrap().verdict;
        assert_eq!(verdict("Answer: B", false), Verdict::Right);
        assert_eq!(verdict("Answer: B", true), Verdict::Right);
        assert_eq!(verdict("Answer: C", false), Verdict::Wrong);
        assert_eq!(verdict("Answer: C", true), Verdict::Truncated);
        assert_eq!(verdict("I do not know", false), Verdict::Unparsed);
        assert_eq!(verdict("", true), Verdict::Truncated);
        assert!(grader.grade("A", "A", 9, false).is_err());
        let grader = AnyGrader::new(Grader::Boxed).unwrap();
        let verdict = |text| grader.grade(text, "70", 0, false).unwrap().verdict;
        assert_eq!(verdict(r"so \boxed{070}"), Verdict::Right);
        assert_eq!(verdict(r"so \boxed{x + 70}"), Verdict::Unparsed);
        assert_eq!(verdict("it is 71"), Verdict::Wrong);
    }
}
