//! A finished document: what was asked, what came back, and how it was scored.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::EvalError;
use crate::grade::Verdict;

/// What tells documents of a run apart.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    /// Name of the task.
    pub task: String,
    /// Place of the document in its file.
    pub doc: usize,
    /// Which answer to it, from 0.
    pub repeat: usize,
}

/// Where finished documents go.
pub trait SampleLog {
    /// Whether a document is finished, or not wanted.
    fn is_done(&self, key: &Key) -> bool;

    /// Takes a finished document.
    ///
    /// # Errors
    /// If it cannot be kept, or is there already.
    fn append(&mut self, sample: &Sample) -> Result<(), EvalError>;
}

/// A finished document.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Sample {
    /// Name of the task.
    pub task: String,
    /// Place of the document in its file.
    pub doc: usize,
    /// Which answer to it, from 0.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub repeat: usize,
    /// sha256 of all that the model was asked.
    pub prompt_sha256: String,
    /// The question alone, for people.
    pub question: String,
    /// The right answer, for people.
    pub gold: String,
    /// What came back.
    pub answer: Answer,
    /// Scores by `metric,filter`.
    pub scores: BTreeMap<String, f64>,
    /// What became of it, by its first score.
    pub verdict: Verdict,
}

fn is_zero(value: &usize) -> bool {
    *value == 0
}

/// What came back.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum Answer {
    /// The log-likelihoods of choices.
    Choices {
        /// For each choice.
        logprobs: Vec<f64>,
        /// For each choice, whether its tokens were the likeliest.
        greedy: Vec<bool>,
        /// The choice that the first metric takes, for people.
        picked: String,
        /// Tokens that were cut off on the left, if any.
        #[serde(default, skip_serializing_if = "is_zero")]
        lost_tokens: usize,
    },
    /// A text.
    Text {
        /// The text, without reasoning.
        text: String,
        /// The reasoning, if there is any.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        reasoning: String,
        /// What each filter, or the grader, found in it.
        found: BTreeMap<String, String>,
        /// Tokens that were generated.
        tokens: usize,
        /// Whether there were no tokens left.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        truncated: bool,
    },
}

impl Sample {
    /// What tells it apart from others of its run.
    pub fn key(&self) -> Key {
        Key { task: self.task.clone(), doc: self.doc, repeat: self.repeat }
    }

    /// What the model answered, for people.
    pub fn answered(&self) -> &str {
        match &self.answer {
            Answer::Choices { picked, .. } => picked,
            Answer::Text { text, .. } => text,
        }
    }

    /// Tokens that were generated.
    pub fn tokens(&self) -> usize {
        match &self.answer {
            Answer::Choices { .. } => 0,
            Answer::Text { tokens, .. } => *tokens,
        }
    }
}
