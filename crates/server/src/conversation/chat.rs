//! Messages of Chat Completions.

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use crate::conversation::dialogue::Dialogue;
use crate::conversation::text::MessageContent;
use crate::conversation::tools::Toolbox;
use crate::error::ApiError;

/// One message of a chat.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
pub struct ChatMessageParam {
    /// `system`, `developer`, `user`, `assistant` or `tool`.
    pub role: String,
    /// What was said.
    #[serde(default)]
    pub content: Option<MessageContent>,
    /// Name of the user.
    #[serde(default)]
    pub name: Option<String>,
    /// Calls by the assistant.
    #[serde(default)]
    pub tool_calls: Option<Vec<ToolCallParam>>,
    /// The call that a tool answers.
    #[serde(default)]
    pub tool_call_id: Option<String>,
    /// What the assistant thought.
    #[serde(default)]
    pub reasoning: Option<String>,
    /// Another name of the same.
    #[serde(default)]
    pub reasoning_content: Option<String>,
    /// What the assistant said in place of an answer.
    #[serde(default)]
    pub refusal: Option<String>,
    /// Of an older form of calls, which is refused.
    #[serde(default)]
    pub function_call: Option<Value>,
}

/// A call by the assistant.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
pub struct ToolCallParam {
    /// Its id, to which the tool's answer refers.
    pub id: String,
    /// `function`.
    #[serde(rename = "type", default)]
    pub kind: Option<String>,
    /// What is called.
    pub function: FunctionCallParam,
}

/// What is called, and with what.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
pub struct FunctionCallParam {
    /// Name of the function.
    pub name: String,
    /// Its arguments as text, usually JSON.
    #[serde(default)]
    pub arguments: String,
}

/// The turns of `messages`.
///
/// # Errors
/// 400 with the place of what is wrong.
pub(crate) fn dialogue(
    messages: Vec<ChatMessageParam>,
    toolbox: &Toolbox,
) -> Result<Dialogue, ApiError> {
    if messages.is_empty() {
        return Err(ApiError::field("messages", "expected at least one message"));
    }
    let mut dialogue = Dialogue::default();
    for (i, message) in messages.into_iter().enumerate() {
        let at = format!("messages[{i}]");
        if message.function_call.is_some() {
            return Err(ApiError::unsupported(format!("{at}.function_call"), "use tool_calls"));
        }
        match message.role.as_str() {
            "system" | "developer" => {
                dialogue.instructions(required_text(&at, message.content.as_ref())?);
            }
            "user" => {
                let text = required_text(&at, message.content.as_ref())?;
                dialogue.user(text, message.name.as_deref())?;
            }
            "assistant" => assistant(&mut dialogue, &at, message, toolbox)?,
            "tool" => {
                let text = required_text(&at, message.content.as_ref())?;
                let param = format!("{at}.tool_call_id");
                let id = message.tool_call_id.unwrap_or_default();
                dialogue.tool_output(&param, &id, text)?;
            }
            role => {
                let message =
                    format!("expected system, developer, user, assistant or tool, found `{role}`");
                return Err(ApiError::field(format!("{at}.role"), message));
            }
        }
    }
    if dialogue.is_empty() {
        return Err(ApiError::field("messages", "expected a message beside the instructions"));
    }
    Ok(dialogue)
}

fn required_text(at: &str, content: Option<&MessageContent>) -> Result<String, ApiError> {
    let param = format!("{at}.content");
    let content = content.ok_or_else(|| ApiError::field(&param, "expected text, found none"))?;
    content.text(&param, "")
}

/// A turn of the assistant, in the order in which it was generated.
fn assistant(
    dialogue: &mut Dialogue,
    at: &str,
    message: ChatMessageParam,
    toolbox: &Toolbox,
) -> Result<(), ApiError> {
    let content = match &message.content {
        Some(content) => Some(content.text(&format!("{at}.content"), "")?),
        None => message.refusal,
    };
    let calls = message.tool_calls.unwrap_or_default();
    let reasoning = [message.reasoning, message.reasoning_content].into_iter().flatten();
    let reasoning = reasoning.into_iter().find(|text| !text.is_empty());
    if content.is_none() && calls.is_empty() && reasoning.is_none() {
        let message = "expected content, reasoning or tool_calls, found none";
        return Err(ApiError::field(format!("{at}.content"), message));
    }
    let has_reasoning = reasoning.is_some();
    if let Some(reasoning) = reasoning {
        dialogue.reasoning(reasoning);
    }
    match content {
        Some(text) if !calls.is_empty() && !text.is_empty() => dialogue.preamble(text),
        Some(text) if calls.is_empty() && (!text.is_empty() || !has_reasoning) => {
            dialogue.answer(text);
        }
        _ => {}
    }
    for (k, call) in calls.into_iter().enumerate() {
        let at = format!("{at}.tool_calls[{k}]");
        if let Some(kind) = call.kind.as_deref().filter(|kind| *kind != "function") {
            let message = format!("calls of type `{kind}`; only functions are called");
            return Err(ApiError::unsupported(format!("{at}.type"), message));
        }
        let FunctionCallParam { name, arguments } = call.function;
        dialogue.call(&at, &call.id, &name, arguments, toolbox)?;
    }
    Ok(())
}
