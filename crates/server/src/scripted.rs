//! An engine that replays what it was told instead of computing, to test clients with.
//!
//! A small model cannot show what a large one does: reasoning, calls of tools, malformed headers. A
//! script gives for each last text of the user the harmony texts of the turns that follow it. The
//! text of a turn is what comes after `<|start|>assistant`, special tokens by name; without a token
//! that stops at its end it counts as cut off by the limit.

use std::collections::HashMap;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use gptoss_checkpoint::{ChatDefaults, TokenizerSource};
use gptoss_engine::{
    BatchDone, BatchEvent, BatchRequest, BatchStatus, BatchStop, Batcher, Constraint, Engine,
    EngineError, EngineOptions, Refused, Step, TokenLogprobs,
};
use gptoss_harmony::parse::{MessageEnd, ParseOptions, StreamParser};
use gptoss_harmony::{HarmonyEncoding, Role, TokenId};
use serde::Deserialize;

use crate::config::ConfigError;
use crate::constrain::ConstraintFactory;

/// Tokens of context that a script pretends to have.
const CONTEXT_LENGTH: usize = 131_072;
/// Logarithm of the probability that every token pretends to have.
const LOGPROB: f64 = -0.25;
/// A longer file is no script.
const FILE_BYTES_MAX: u64 = 64 << 20;

/// What is replayed.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Script {
    /// Turns by the last text of the user.
    pub scripts: HashMap<String, Vec<Turn>>,
    /// Turns after any other text.
    pub default: Vec<Turn>,
    /// Milliseconds between tokens.
    pub delay_ms: u64,
    /// Requests at once, 64 if it is 0; others are refused as if the queue was full.
    pub at_once: usize,
}

/// One turn of the model.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub enum Turn {
    /// Its text.
    Text(String),
    /// Its text, and how the engine fails after it.
    Failing {
        /// The text.
        text: String,
        /// The message of the failure.
        fail: String,
    },
}

impl Script {
    /// Reads a script in JSON.
    ///
    /// # Errors
    /// If it cannot be read or is no script.
    pub fn read(path: &Path) -> Result<Script, ConfigError> {
        let failed = |source| ConfigError::Read { path: path.to_owned(), source };
        let syntax = |message| ConfigError::Syntax { path: path.to_owned(), message };
        if std::fs::metadata(path).map_err(failed)?.len() > FILE_BYTES_MAX {
            return Err(syntax(format!("expected at most {FILE_BYTES_MAX} bytes")));
        }
        let bytes = std::fs::read(path).map_err(failed)?;
        serde_json::from_slice(&bytes).map_err(|error| syntax(error.to_string()))
    }
}

/// An engine with the tokenizer and the frame of the published models, which computes nothing
/// sensible.
///
/// # Errors
/// If the built-in model cannot be opened.
pub fn engine() -> Result<Engine, EngineError> {
    let mut model = gptoss_checkpoint::locate("nano")?.open()?;
    model.tokenizer = TokenizerSource::O200kHarmony;
    model.config.vocab_size = gptoss_checkpoint::O200K_HARMONY_TOKENS;
    model.chat = ChatDefaults { eos_token_ids: vec![200_002, 199_999], ..ChatDefaults::default() };
    let threads = std::num::NonZeroUsize::new(1);
    Engine::from_model(model, &EngineOptions { threads, ..EngineOptions::default() })
}

/// Constraints that trust the script.
pub fn unconstrained() -> Arc<ConstraintFactory> {
    struct Free;
    impl Constraint for Free {
        fn mask(&mut self, _logits: &mut [f32]) -> Result<(), String> {
            Ok(())
        }
        fn accept(&mut self, _token: TokenId) -> Result<(), String> {
            Ok(())
        }
    }
    Arc::new(|_| Ok(Box::new(Free)))
}

/// A batcher that replays.
pub struct Scripted {
    shared: Arc<Shared>,
}

struct Shared {
    harmony: HarmonyEncoding,
    width: usize,
    script: Script,
    is_closed: AtomicBool,
    running: AtomicUsize,
    prompt_tokens: AtomicU64,
    generated_tokens: AtomicU64,
}

impl Scripted {
    /// Replays `script` with the tokenizer of `engine`.
    ///
    /// # Errors
    /// If the model has no harmony.
    pub fn new(engine: &Engine, script: Script) -> Result<Scripted, EngineError> {
        let shared = Shared {
            harmony: engine.harmony()?.clone(),
            width: engine.config().hidden_size,
            script,
            is_closed: AtomicBool::new(false),
            running: AtomicUsize::new(0),
            prompt_tokens: AtomicU64::new(0),
            generated_tokens: AtomicU64::new(0),
        };
        Ok(Scripted { shared: Arc::new(shared) })
    }
}

impl Batcher for Scripted {
    fn submit(&self, request: BatchRequest) -> Result<(), Refused> {
        let shared = self.shared.clone();
        let at_once = if shared.script.at_once == 0 { 64 } else { shared.script.at_once };
        if shared.is_closed.load(Ordering::Relaxed) {
            return Err(Refused::ShuttingDown);
        }
        if shared.running.fetch_add(1, Ordering::Relaxed) >= at_once {
            shared.running.fetch_sub(1, Ordering::Relaxed);
            return Err(Refused::QueueFull { waiting: at_once, retry_after: 1 });
        }
        std::thread::spawn(move || {
            // Whoever waits is told by its sink when this ends early.
            let replayed = std::panic::AssertUnwindSafe(|| shared.replay(request));
            let _ = std::panic::catch_unwind(replayed);
            shared.running.fetch_sub(1, Ordering::Relaxed);
        });
        Ok(())
    }

    fn status(&self) -> BatchStatus {
        let shared = &self.shared;
        BatchStatus {
            running: shared.running.load(Ordering::Relaxed),
            prompt_tokens: shared.prompt_tokens.load(Ordering::Relaxed),
            generated_tokens: shared.generated_tokens.load(Ordering::Relaxed),
            ..BatchStatus::default()
        }
    }

    fn context_length(&self) -> usize {
        CONTEXT_LENGTH
    }

    fn close(&self) {
        self.shared.is_closed.store(true, Ordering::Relaxed);
    }
}

impl Shared {
    fn replay(&self, mut request: BatchRequest) -> ControlFlow<()> {
        let prompt_tokens = request.prompt.len() as u64;
        self.prompt_tokens.fetch_add(prompt_tokens, Ordering::Relaxed);
        request.sink.event(BatchEvent::Started { cached_tokens: 0 })?;
        if let Some(top) = request.prompt_logprobs {
            let rest = request.prompt.iter().skip(1);
            let logprobs = rest.map(|id| pretended(*id, top)).collect();
            request.sink.event(BatchEvent::PromptLogprobs(logprobs))?;
        }
        if request.embed {
            let numbers = (0..self.width).map(|i| (prompt_tokens as f32).sin() + i as f32);
            request.sink.event(BatchEvent::Embedding(numbers.collect()))?;
        }
        let (text, fail) = match self.turn(&request.prompt) {
            Some(Turn::Text(text)) => (text.as_str(), None),
            Some(Turn::Failing { text, fail }) => (text.as_str(), Some(fail.clone())),
            None => ("<|channel|>final<|message|>There is no script for this.<|return|>", None),
        };
        let tokens = self.harmony.tokenizer().encode_with_specials(text);
        let mut generated = 0;
        let mut stop = BatchStop::MaxTokens;
        for token in tokens.into_iter().take(request.max_tokens) {
            std::thread::sleep(Duration::from_millis(self.script.delay_ms));
            if !request.sink.is_wanted() {
                return ControlFlow::Break(());
            }
            let logprobs = request.top_logprobs.map(|n| pretended(token, n));
            request.sink.event(BatchEvent::Token(Step { token, logprobs }))?;
            generated += 1;
            self.generated_tokens.fetch_add(1, Ordering::Relaxed);
            if request.stop_tokens.contains(&token) {
                stop = BatchStop::StopToken(token);
                break;
            }
        }
        if let Some(message) = fail {
            stop = BatchStop::Failed(message);
        }
        request.sink.event(BatchEvent::Done(BatchDone { stop, generated }))
    }

    /// The turn that follows a prompt: the last one again when there are no more.
    fn turn(&self, prompt: &[TokenId]) -> Option<&Turn> {
        let mut parser = StreamParser::new(&self.harmony, ParseOptions::default());
        for id in prompt {
            parser.push(*id);
        }
        parser.finish(MessageEnd::Cancelled);
        let messages = parser.into_messages();
        let user = messages.iter().rposition(|message| message.role == Role::User);
        let text = user.map(|at| messages[at].text()).unwrap_or_default();
        let after = &messages[user.map_or(0, |at| at + 1)..];
        let is_start = |i: &usize| {
            let is_model = |at: usize| after[at].role == Role::Assistant;
            is_model(*i) && (*i == 0 || !is_model(*i - 1))
        };
        let turn = (0..after.len()).filter(is_start).count();
        let turns = self.script.scripts.get(&text).unwrap_or(&self.script.default);
        turns.get(turn).or(turns.last())
    }
}

/// Log-probabilities that look like some.
fn pretended(token: TokenId, n: usize) -> TokenLogprobs {
    let rival = |i: usize| (token.wrapping_add(i as TokenId) % 100_000, LOGPROB - i as f64);
    let top = (0..n).map(|i| if i == 0 { (token, LOGPROB) } else { rival(i) });
    TokenLogprobs { logprob: LOGPROB, top: top.collect() }
}
