//! The server through real HTTP on this machine: against replayed answers and against nano.

mod chat;
mod client;
mod completions;
mod conversations;
mod openapi;
mod operation;
mod pains;
mod responses;
mod streams;
