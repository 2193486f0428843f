//! What is said on standard error beside the answer.

use gptoss_engine::FinishReason;

use crate::terminal::say;

/// Says that an answer did not end by itself.
pub fn cut_short(reason: FinishReason) {
    match reason {
        FinishReason::MaxTokens => {
            say("gptoss: the answer was cut off at the limit of --max-tokens");
        }
        FinishReason::ContextFull => {
            say("gptoss: the answer was cut off because the context is full; see --context");
        }
        FinishReason::Stop | FinishReason::ToolCall | FinishReason::Cancelled => {}
    }
}
