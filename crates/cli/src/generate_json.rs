//! The JSON of one answer.

use std::time::Duration;

use gptoss_engine::{ChatEvent, ChatStream, Engine, FinishReason, TextKind, TokenLogprobs};
use gptoss_harmony::Tokenizer;
use serde_json::{Value, json};

/// Runs the stream to its end and gives everything as one object.
pub fn chat_answer(engine: &Engine, stream: ChatStream<'_>) -> anyhow::Result<Value> {
    let (mut text, mut reasoning, mut preamble) = (String::new(), String::new(), String::new());
    let (mut messages, mut repairs, mut logprobs) = (Vec::new(), Vec::new(), Vec::new());
    let mut done = None;
    for event in stream {
        match event? {
            ChatEvent::Token { token, logprobs: Some(found) } => logprobs.push((token, found)),
            ChatEvent::Delta { kind: TextKind::Reasoning, text } => reasoning += &text,
            ChatEvent::Delta { kind: TextKind::Answer, text: delta } => text += &delta,
            ChatEvent::Delta { kind: TextKind::Preamble, text } => preamble += &text,
            ChatEvent::Message { message, .. } => messages.push(message),
            ChatEvent::Repaired(repair) => repairs.push(repair.to_string()),
            ChatEvent::Done(end) => done = Some(end),
            _ => {}
        }
    }
    let done = done.expect("a stream that did not fail ends with this event");
    let asked = !logprobs.is_empty();
    Ok(json!({
        "text": text,
        "reasoning": (!reasoning.is_empty()).then_some(reasoning),
        "preamble": (!preamble.is_empty()).then_some(preamble),
        "messages": messages,
        "finish_reason": finish_reason(done.reason),
        "usage": {
            "prompt_tokens": done.prompt_tokens,
            "cached_tokens": done.cached_tokens,
            "completion_tokens": done.completion_tokens,
            "reasoning_tokens": done.reasoning_tokens,
        },
        "timings": {
            "prefill_seconds": done.prefill.as_secs_f64(),
            "decode_seconds": done.decode.as_secs_f64(),
            "prefill_tokens_per_second":
                per_second(done.prompt_tokens - done.cached_tokens, done.prefill),
            "decode_tokens_per_second": per_second(done.completion_tokens, done.decode),
        },
        "repairs": repairs,
        "logprobs": asked.then(|| engine.tokenizer().map(|t| logprobs_json(t, &logprobs)))
            .transpose()?,
    }))
}

/// The word for a reason.
pub fn finish_reason(reason: FinishReason) -> &'static str {
    match reason {
        FinishReason::Stop => "stop",
        FinishReason::ToolCall => "tool_call",
        FinishReason::MaxTokens => "max_tokens",
        FinishReason::ContextFull => "context_full",
        FinishReason::Cancelled => "cancelled",
    }
}

/// One entry a token: its text, its log-probability and its rivals.
pub fn logprobs_json(tokenizer: &Tokenizer, logprobs: &[(u32, TokenLogprobs)]) -> Value {
    let token = |id: u32, logprob: f64| {
        let bytes = tokenizer.token_bytes(id).unwrap_or_default();
        json!({
            "id": id,
            "token": String::from_utf8_lossy(bytes),
            "bytes": bytes,
            // JSON has no infinity.
            "logprob": logprob.max(f64::MIN),
        })
    };
    logprobs
        .iter()
        .map(|(id, found)| {
            let mut entry = token(*id, found.logprob);
            entry["top"] = found.top.iter().map(|(id, logprob)| token(*id, *logprob)).collect();
            entry
        })
        .collect()
}

/// A rate; zero for no time at all.
pub fn per_second(count: usize, time: Duration) -> f64 {
    match time.as_secs_f64() {
        seconds if seconds > 0.0 => count as f64 / seconds,
        _ => 0.0,
    }
}
