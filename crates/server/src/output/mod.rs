//! What a model generates, to what clients are told.
//!
//! In reading order: `piece` (what happens in an answer), `logprobs`, `usage`, `reader` (events of
//! the engine to pieces).

pub(crate) mod logprobs;
pub(crate) mod piece;
pub(crate) mod reader;
pub(crate) mod usage;
