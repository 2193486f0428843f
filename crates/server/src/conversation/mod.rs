//! What clients send as messages and items, to a harmony conversation and its prompt.
//!
//! In reading order: `names` (what may stand in a header), `text` (contents of messages), `tools`,
//! `effort`, `format`, `dialogue` (turns in the order in which the model would have generated
//! them), `prompt` (the whole as token ids), and the two languages that lead here: `chat` and
//! `items`.

pub(crate) mod chat;
pub(crate) mod dialogue;
pub(crate) mod effort;
pub(crate) mod format;
pub(crate) mod items;
pub(crate) mod names;
pub(crate) mod prompt;
pub(crate) mod text;
pub(crate) mod tools;
