//! How long the model is asked to think.
//!
//! gpt-oss knows low, medium and high. Clients may also say none or minimal, which becomes low, and
//! xhigh or max, which becomes high: the nearest that there is.

use gptoss_engine::Engine;
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
    if engine.model().chat.harmony.is_some() {
        let message = "the model was trained without the system message that carries it";
        return Err(ApiError::unsupported(param, message));
    }
    Ok(Some(effort))
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
