//! The gpt-oss engine: checkpoint to logits to text.
//!
//! The path of a token, in reading order: [`engine`](Engine) (a loaded model), [`forward`] (ids
//! to logits) with [`options`](EngineOptions) and `compute` (on what it runs),
//! [`rope`](RotaryEmbedding), [`kv_cache`](KvCache), `attention`, `moe` and `linear`,
//! [`session`](Session) (one timeline) with `speculation`, `ranking` and [`sampler`](sample)
//! (logits to the next token), [`generate`](Generation) (the decode loop),
//! [`chat_format`](chat_format_of), [`prompt`](ChatOpening) and [`chat`](ChatStream) (messages to
//! events).
//!
//! ```
//! use gptoss_engine::{ChatEvent, ChatRequest, ChatStream, Engine, SamplingParams, TextKind};
//! use gptoss_harmony::{Conversation, Message, Role};
//!
//! let engine = Engine::load("nano")?;
//! let mut session = engine.session(512)?;
//! let question = Message::new(Role::User, "Hello!");
//! let request = ChatRequest::new(Conversation::new(vec![question]), SamplingParams::default());
//! let mut answer = String::new();
//! for event in ChatStream::new(&mut session, request)? {
//!     if let ChatEvent::Delta { kind: TextKind::Answer, text } = event? {
//!         answer += &text; // or print it as it comes
//!     }
//! }
//! assert!(!answer.is_empty());
//! # Ok::<(), gptoss_engine::EngineError>(())
//! ```
//!
//! [`reference_forward`] is the same model in plain loops, the oracle of the rest.

#![forbid(unsafe_code)]

mod attention;
mod batch;
mod chat;
mod chat_format;
mod compute;
mod engine;
mod error;
mod forward;
mod generate;
mod kv_cache;
mod linear;
mod memory;
mod moe;
mod observer;
mod options;
mod philox;
mod profile;
mod prompt;
mod ranking;
mod reference;
mod rope;
mod sampler;
mod session;
mod speculation;
mod stop_strings;
mod vocabulary;

pub use batch::{
    BatchDone, BatchEvent, BatchOptions, BatchRequest, BatchStatus, BatchStop, Batcher, Constraint,
    PrefixFileError, Refused, Scheduler, Sink,
};
pub use chat::{ChatDone, ChatEvent, ChatRequest, ChatStream, FinishReason, TextKind};
pub use chat_format::chat_format_of;
pub use compute::Compute;
pub use engine::Engine;
pub use error::EngineError;
pub use forward::{ForwardModel, LogitRows, Segment, forward, forward_batch};
pub use generate::{GenerateParams, Generation, Step, StopReason, TokenLogprobs};
pub use gptoss_kernels::Isa;
pub use gptoss_kernels::cached_attention::CacheElement;
pub use kv_cache::{CacheSnapshot, KvCache, KvPool, cache_bytes};
pub use memory::available_bytes;
pub use observer::{Observer, Trace};
pub use options::{EngineOptions, Precision, Speculation};
pub use profile::ProfileRow;
pub use prompt::{ChatOpening, PromptSetting, fit_conversation, prompt_tokens};
pub use reference::reference_forward;
pub use rope::RotaryEmbedding;
pub use sampler::{History, SamplingError, SamplingParams, argmax, log_probabilities, sample};
pub use session::{Feed, Session, Synced};
pub use stop_strings::StopStrings;
pub use vocabulary::tokenizer_of;
