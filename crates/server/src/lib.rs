//! HTTP over the gpt-oss engine: the interfaces that OpenAI's clients speak.
//!
//! The path of a request, in reading order: [`config`], [`auth`](Keys), `hosts`, `guests` and
//! `gate` (who may ask, and how often), `body` and [`fields`] (the body, and what is done with a
//! field), `conversation` (messages and items to a harmony prompt), `sampling`, [`constrain`]
//! (what is enforced), `generation` (the engine's sequences), `output` (tokens to pieces of an
//! answer), the interfaces [`chat_completions`], [`responses`], [`completions`], [`embeddings`],
//! [`tokenize`], [`models`], `health` and `openapi`, with `sse`, `store`, [`error`], `metrics` and
//! [`log`] beside them; `app` (the paths), [`serve`](run) (connections) and [`server`](Server)
//! (what is shared).
//!
//! What computes is a [`gptoss_engine::Batcher`]: the engine's scheduler, or [`scripted`] in tests.

#![forbid(unsafe_code)]

mod app;
mod auth;
mod base64;
mod body;
mod catch;
pub mod chat_completions;
pub mod completions;
pub mod config;
pub mod constrain;
mod conversation;
pub mod embeddings;
pub mod error;
pub mod fields;
mod gate;
mod generation;
mod guests;
mod health;
mod hosts;
mod ids;
pub mod log;
mod metrics;
pub mod models;
mod openapi;
mod output;
pub mod responses;
mod sampling;
pub mod scripted;
mod serve;
mod server;
mod sse;
mod store;
mod timed_io;
pub mod tokenize;

pub use auth::{KEYS_VARIABLE, Keys};
pub use serve::{process_signals, run};
pub use server::{Parts, Server, ServerError};
pub use store::StoreError;
