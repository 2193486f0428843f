//! The gpt-oss engine: checkpoint to logits to text.
//!
//! The path of a token, in reading order: [`engine`](Engine) (a loaded model), [`forward`] (ids
//! to logits) with [`rope`](RotaryEmbedding), [`kv_cache`](KvCache), `attention`, `moe` and
//! `linear`, [`session`](Session) (one timeline), [`sampler`](sample) (logits to the next token),
//! [`generate`](Generation) (the decode loop), [`chat`](ChatStream) (messages to events).
//! [`reference_forward`] is the same model in plain loops, the oracle of the rest.

#![forbid(unsafe_code)]

mod attention;
mod engine;
mod error;
mod forward;
mod generate;
mod kv_cache;
mod linear;
mod moe;
mod observer;
mod philox;
mod reference;
mod rope;
mod sampler;
mod session;
mod stop_strings;
mod vocabulary;

pub use engine::Engine;
pub use error::EngineError;
pub use forward::{ForwardModel, LogitRows, forward};
pub use generate::{GenerateParams, Generation, Step, StopReason, TokenLogprobs};
pub use kv_cache::{KvCache, cache_bytes};
pub use observer::{Observer, Trace};
pub use reference::reference_forward;
pub use rope::RotaryEmbedding;
pub use sampler::{History, SamplingError, SamplingParams, argmax, log_probabilities, sample};
pub use session::{Session, Synced};
pub use stop_strings::StopStrings;
