//! Constrained decoding: which tokens a turn may have.
//!
//! In reading order: `spec` is what can be enforced, `schema` what of JSON schema is refused,
//! `turn` writes the grammar of a whole turn (in harmony reasoning stays free, and headers, calls
//! and the answer follow the rules), `vocabulary` gives the matcher a tokenizer, and `matcher` is
//! the [`Constraint`](gptoss_engine::Constraint) itself. The matching is llguidance's.

#![forbid(unsafe_code)]

mod matcher;
mod schema;
mod spec;
mod turn;
mod vocabulary;

pub use matcher::Grammars;
pub use spec::{BodyRule, CallRule, ConstraintSpec, GrammarError, ToolRule};
