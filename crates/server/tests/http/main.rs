//! The server through real HTTP on this machine: against replayed answers and against nano.
//!
//! The files in `golden` were read beside the description of the interface;
//! `UPDATE_EXPECT=1 cargo test -p gptoss-server` writes them again.

mod chat;
mod client;
mod completions;
mod conversations;
mod openapi;
mod operation;
mod pains;
mod responses;
mod streams;
#[path = "../../../engine/tests/template_model/mod.rs"]
mod template_model;
mod templates;
