//! Continuing plain text, without a conversation.

use std::time::{Duration, Instant};

use gptoss_engine::{
    FinishReason, GenerateParams, Generation, Session, StopReason, StopStrings, TokenLogprobs,
};
use gptoss_harmony::{Tokenizer, Utf8Stream};
use serde_json::{Value, json};

use crate::generate_json::{finish_reason, logprobs_json, per_second};

/// What to continue, and how.
pub struct RawRequest<'a> {
    /// Text in which special tokens are recognised by name.
    pub prompt: &'a str,
    /// How tokens are chosen.
    pub params: GenerateParams,
    /// The text ends before the first of these.
    pub stop: Vec<String>,
}

/// The continuation.
pub struct RawAnswer {
    /// Its text; special tokens by name, without the stop token.
    pub text: String,
    /// Why it ended.
    pub reason: FinishReason,
    prompt_tokens: usize,
    completion_tokens: usize,
    prefill: Duration,
    decode: Duration,
    logprobs: Vec<(u32, TokenLogprobs)>,
}

/// Generates the continuation; `show` is given each piece of text.
pub fn continue_raw(
    session: &mut Session,
    request: RawRequest<'_>,
    mut show: impl FnMut(&str) -> std::io::Result<()>,
) -> anyhow::Result<RawAnswer> {
    let engine = session.engine().clone();
    let tokenizer = engine.tokenizer()?;
    let started = Instant::now();
    let mut ids = tokenizer.encode_with_specials(request.prompt);
    if let Some(begin) = engine.text_begin_before(&ids) {
        ids.insert(0, begin);
    }
    session.sync(&ids)?;
    let prefill = started.elapsed();
    let mut generation = Generation::new(session, request.params);
    let (mut utf8, mut stop) = (Utf8Stream::new(), StopStrings::new(request.stop));
    let (mut text, mut logprobs) = (String::new(), Vec::new());
    let mut add = |piece: String| {
        text.push_str(&piece);
        show(&piece)
    };
    while let Some(step) = generation.next(session)? {
        logprobs.extend(step.logprobs.map(|logprobs| (step.token, logprobs)));
        if !matches!(generation.stopped(), Some(StopReason::StopToken(_))) {
            let bytes = tokenizer.token_bytes(step.token).unwrap_or_default();
            add(stop.push(&utf8.push(bytes)))?;
        }
        if stop.found() {
            break;
        }
    }
    add(stop.push(&utf8.finish()))?;
    add(stop.finish())?;
    Ok(RawAnswer {
        text,
        reason: match generation.stopped() {
            Some(StopReason::MaxTokens) => FinishReason::MaxTokens,
            Some(StopReason::ContextFull) => FinishReason::ContextFull,
            _ => FinishReason::Stop,
        },
        prompt_tokens: ids.len(),
        completion_tokens: generation.generated(),
        prefill,
        decode: started.elapsed() - prefill,
        logprobs,
    })
}

impl RawAnswer {
    /// Everything as one object.
    pub fn json(&self, tokenizer: &Tokenizer) -> Value {
        let asked = !self.logprobs.is_empty();
        json!({
            "text": self.text,
            "finish_reason": finish_reason(self.reason),
            "usage": {
                "prompt_tokens": self.prompt_tokens,
                "completion_tokens": self.completion_tokens,
            },
            "timings": {
                "prefill_seconds": self.prefill.as_secs_f64(),
                "decode_seconds": self.decode.as_secs_f64(),
                "prefill_tokens_per_second": per_second(self.prompt_tokens, self.prefill),
                "decode_tokens_per_second": per_second(self.completion_tokens, self.decode),
            },
            "logprobs": asked.then(|| logprobs_json(tokenizer, &self.logprobs)),
        })
    }
}
