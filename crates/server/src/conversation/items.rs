//! Items of Responses.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::base64;
use crate::conversation::dialogue::Dialogue;
use crate::conversation::text::MessageContent;
use crate::conversation::tools::Toolbox;
use crate::error::ApiError;

/// What stands before reasoning that travels with a client: it is not secret, and is only packed
/// because clients keep what is packed and drop what is readable.
const PACKED: &str = "gptoss1.";

/// What the model is to answer.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(untagged, expecting = "expected a string or a list of items")]
pub enum ResponsesInput {
    /// What the user says.
    Text(String),
    /// Items, oldest first.
    Items(Vec<InputItem>),
}

/// An item; which fields it has depends on its type.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct InputItem {
    /// `message` (also if it is missing), `reasoning`, `function_call`, `function_call_output`.
    #[serde(rename = "type", default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// Id of the item.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Of a message: `user`, `assistant`, `system` or `developer`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
    /// Of a message or of reasoning.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content: Option<MessageContent>,
    /// Of the assistant's message: `commentary` or `final_answer`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phase: Option<String>,
    /// Of reasoning: as this server packed it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encrypted_content: Option<String>,
    /// Of a call and its output.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub call_id: Option<String>,
    /// Of a call: the function.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Of a call: its arguments as text, usually JSON.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub arguments: Option<String>,
    /// Of a call's output.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<MessageContent>,
}

impl ResponsesInput {
    /// The items; a text is the user's message.
    pub(crate) fn into_items(self) -> Vec<InputItem> {
        match self {
            ResponsesInput::Items(items) => items,
            ResponsesInput::Text(text) => vec![InputItem {
                kind: Some("message".to_owned()),
                role: Some("user".to_owned()),
                content: Some(MessageContent::Text(text)),
                ..InputItem::default()
            }],
        }
    }
}

/// Reasoning in a form that a client carries without reading it.
pub(crate) fn pack(reasoning: &str) -> String {
    format!("{PACKED}{}", base64::encode(reasoning.as_bytes()))
}

/// The turns of `instructions` and `items`.
///
/// # Errors
/// 400 with the place of what is wrong.
pub(crate) fn dialogue(
    instructions: Option<String>,
    items: &[InputItem],
    toolbox: &Toolbox,
) -> Result<Dialogue, ApiError> {
    let mut dialogue = Dialogue::default();
    if let Some(instructions) = instructions {
        dialogue.instructions(instructions);
    }
    for (i, item) in items.iter().enumerate() {
        let at = format!("input[{i}]");
        match item.kind.as_deref().unwrap_or("message") {
            "message" => message(&mut dialogue, &at, item, &items[i + 1..])?,
            "reasoning" => {
                if let Some(text) = reasoning(&at, item)? {
                    dialogue.reasoning(text);
                }
            }
            "function_call" => {
                let id = item.call_id.as_deref().unwrap_or_default();
                let name = item.name.as_deref().unwrap_or_default();
                let arguments = item.arguments.clone().unwrap_or_default();
                dialogue.call(&at, id, name, arguments, toolbox)?;
            }
            "function_call_output" => {
                let param = format!("{at}.output");
                let output = item.output.as_ref();
                let output = output.ok_or_else(|| ApiError::field(&param, "expected text"))?;
                let id = item.call_id.as_deref().unwrap_or_default();
                dialogue.tool_output(&format!("{at}.call_id"), id, output.text(&param, "")?)?;
            }
            kind => {
                let message = format!("items of type `{kind}`");
                return Err(ApiError::unsupported(format!("{at}.type"), message));
            }
        }
    }
    if dialogue.is_empty() {
        return Err(ApiError::field("input", "expected an item beside the instructions"));
    }
    Ok(dialogue)
}

fn message(
    dialogue: &mut Dialogue,
    at: &str,
    item: &InputItem,
    rest: &[InputItem],
) -> Result<(), ApiError> {
    let param = format!("{at}.content");
    let content = item.content.as_ref();
    let text = content.ok_or_else(|| ApiError::field(&param, "expected text"))?.text(&param, "")?;
    match item.role.as_deref() {
        Some("user") => dialogue.user(text, None),
        Some("system" | "developer") => {
            dialogue.instructions(text);
            Ok(())
        }
        Some("assistant") => {
            match is_preamble(item, rest) {
                true => dialogue.preamble(text),
                false => dialogue.answer(text),
            }
            Ok(())
        }
        role => {
            let found = role.unwrap_or("none");
            let message = format!("expected user, assistant, system or developer, found `{found}`");
            Err(ApiError::field(format!("{at}.role"), message))
        }
    }
}

/// Whether the assistant says this before a call: clients that do not know of phases leave it to
/// the order of items.
fn is_preamble(item: &InputItem, rest: &[InputItem]) -> bool {
    let kind = |item: &InputItem| item.kind.clone().unwrap_or_default();
    let next = rest.iter().find(|item| kind(item) != "reasoning");
    match item.phase.as_deref() {
        Some(phase) => phase == "commentary",
        None => next.is_some_and(|next| kind(next) == "function_call"),
    }
}

/// The text of a reasoning item; `None` if it carries none that can be read here, as one that
/// another vendor's model wrote.
fn reasoning(at: &str, item: &InputItem) -> Result<Option<String>, ApiError> {
    let text = match &item.content {
        Some(content) => content.text(&format!("{at}.content"), "\n")?,
        None => String::new(),
    };
    if !text.is_empty() {
        return Ok(Some(text));
    }
    let packed = item.encrypted_content.as_deref().and_then(|text| text.strip_prefix(PACKED));
    let Some(packed) = packed else { return Ok(None) };
    let text = base64::decode(packed).and_then(|bytes| String::from_utf8(bytes).ok());
    let wrong = || ApiError::field(format!("{at}.encrypted_content"), "the content is damaged");
    text.map(Some).ok_or_else(wrong)
}
