//! Pieces of an answer to what Chat Completions says of them.

use crate::ids;
use crate::output::logprobs::TokenLogprob;
use crate::output::piece::{Kind, Piece};

/// What stands between two pieces of reasoning.
const BETWEEN_REASONING: &str = "\n";
/// What stands between what is said before a call and the answer.
const BETWEEN_CONTENT: &str = "\n\n";

/// What is added to a choice.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Delta {
    Reasoning(String),
    Content {
        text: String,
        tokens: Vec<TokenLogprob>,
    },
    /// A call begins; its arguments follow.
    Call {
        index: usize,
        id: String,
        name: String,
    },
    Arguments {
        index: usize,
        text: String,
    },
}

/// Turns the pieces of one choice into deltas.
#[derive(Debug, Default)]
pub(crate) struct Deltas {
    show_reasoning: bool,
    kind: Option<Kind>,
    has_reasoning: bool,
    has_content: bool,
    calls: usize,
    /// What stands before the next text.
    separator: &'static str,
}

impl Deltas {
    pub(crate) fn new(show_reasoning: bool) -> Deltas {
        Deltas { show_reasoning, ..Deltas::default() }
    }

    /// What a piece adds, if anything.
    pub(crate) fn push(&mut self, piece: Piece) -> Option<Delta> {
        match piece {
            Piece::Begin(kind) => self.begin(kind),
            Piece::Text { text, tokens } => self.text(&text, tokens),
            Piece::End { .. } => None,
        }
    }

    fn begin(&mut self, kind: Kind) -> Option<Delta> {
        self.separator = match kind {
            Kind::Reasoning if self.has_reasoning => BETWEEN_REASONING,
            Kind::Preamble | Kind::Answer if self.has_content => BETWEEN_CONTENT,
            _ => "",
        };
        let delta = match &kind {
            Kind::Call(name) => {
                let index = self.calls;
                self.calls += 1;
                Some(Delta::Call { index, id: ids::fresh("call_"), name: name.clone() })
            }
            _ => None,
        };
        self.kind = Some(kind);
        delta
    }

    fn text(&mut self, text: &str, tokens: Vec<TokenLogprob>) -> Option<Delta> {
        let text = format!("{}{text}", std::mem::take(&mut self.separator));
        match self.kind.as_ref()? {
            Kind::Reasoning => {
                self.has_reasoning = true;
                self.show_reasoning.then_some(Delta::Reasoning(text))
            }
            Kind::Preamble | Kind::Answer => {
                self.has_content = true;
                Some(Delta::Content { text, tokens })
            }
            Kind::Call(_) => Some(Delta::Arguments { index: self.calls - 1, text }),
        }
    }
}
