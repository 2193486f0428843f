//! How long the model is asked to think.
//!
//! gpt-oss knows low, medium and high. Clients may also say none or minimal, which becomes low, and
//! xhigh or max, which becomes high: the nearest that there is. A model with a chat template has no
//! effort: none is what it does, and every other word is refused.

use gptoss_engine::{Engine, PromptSetting};
use gptoss_harmony::ReasoningEffort;

use crate::error::ApiError;
use crate::server::Server;

/// The effort that a client's word stands for; `None` leaves the server's default.
///
/// # Errors
/// 400 for another word, and for a model that was trained without the line that says it.
pub(crate) fn parse(
    engine: &Engine,
    param: &str,
    word: Option<&str>,
) -> Result<Option<ReasoningEffort>, ApiError> {
    let Some(word) = word else { return Ok(None) };
    let effort = match word {
        "none" | "minimal" | "low" => ReasoningEffort::Low,
        "medium" => ReasoningEffort::Medium,
        "high" | "xhigh" | "max" => ReasoningEffort::High,
        _ => {
            let message = format!(
                "expected low, medium or high (or none, minimal, xhigh, max), found `{word}`"
            );
            return Err(ApiError::field(param, message));
        }
    };
    match PromptSetting::Effort.why_not(engine) {
        Some(_) if word == "none" && engine.chat_template().is_some() => Ok(None),
        Some(why) => Err(ApiError::unsupported(param, why)),
        None => Ok(Some(effort)),
    }
}

/// The effort that a request asks for, else the server's default.
///
/// # Errors
/// As [`parse`].
pub(crate) fn chosen(
    server: &Server,
    param: &str,
    word: Option<&str>,
) -> Result<Option<ReasoningEffort>, ApiError> {
    let asked = parse(&server.engine, param, word)?;
    Ok(asked.or_else(|| ReasoningEffort::from_word(&server.settings.prompt.effort)))
}
