//! The whole answer.

use schemars::JsonSchema;
use serde::Serialize;

use crate::chat_completions::Heading;
use crate::chat_completions::delta::{Delta, Deltas};
use crate::chat_completions::plan::ChatPlan;
use crate::error::ApiError;
use crate::generation::choices::{Choices, Happening};
use crate::output::logprobs::TokenLogprob;
use crate::output::usage::Usage;

/// The answer of `POST /v1/chat/completions`.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ChatCompletion {
    /// Its id.
    pub id: String,
    /// `chat.completion`.
    pub object: &'static str,
    /// Seconds since 1970.
    pub created: u64,
    /// The model that answered.
    pub model: String,
    /// The answers.
    pub choices: Vec<ChatChoice>,
    /// Tokens that they took.
    pub usage: Usage,
    /// Not told.
    pub system_fingerprint: Option<String>,
}

/// One answer.
#[derive(Debug, Default, Serialize, JsonSchema)]
pub struct ChatChoice {
    /// Its place among the answers.
    pub index: usize,
    /// What was said.
    pub message: ChatMessage,
    /// Log-probabilities of the content's tokens, if they were asked for.
    pub logprobs: Option<ChatLogprobs>,
    /// `stop`, `length` or `tool_calls`.
    pub finish_reason: String,
}

/// Log-probabilities of an answer.
#[derive(Debug, Default, Serialize, JsonSchema)]
pub struct ChatLogprobs {
    /// Of the content.
    pub content: Vec<TokenLogprob>,
    /// Of a refusal; there is none.
    pub refusal: Option<Vec<TokenLogprob>>,
}

/// What was said.
#[derive(Debug, Default, Serialize, JsonSchema)]
pub struct ChatMessage {
    /// `assistant`.
    pub role: &'static str,
    /// The answer; null if there are only calls.
    pub content: Option<String>,
    /// There is none: a refusal is an answer.
    pub refusal: Option<String>,
    /// What the model thought.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reasoning: Option<String>,
    /// The same, for clients that look for it here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reasoning_content: Option<String>,
    /// Calls of tools.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tool_calls: Vec<ToolCall>,
}

/// A call of a tool.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ToolCall {
    /// Its id, to which the tool's answer refers.
    pub id: String,
    /// `function`.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// What is called.
    pub function: FunctionCall,
}

/// What is called, and with what.
#[derive(Debug, Serialize, JsonSchema)]
pub struct FunctionCall {
    /// Name of the function.
    pub name: String,
    /// Arguments as the model wrote them, usually JSON.
    pub arguments: String,
}

/// Waits for the whole answer.
///
/// # Errors
/// If the engine failed, is going to end, or takes too long.
pub(crate) async fn whole(
    heading: Heading,
    plan: &ChatPlan,
    mut choices: Choices,
) -> Result<ChatCompletion, ApiError> {
    let mut all: Vec<ChatChoice> = (0..plan.n).map(|index| empty(index, plan.logprobs)).collect();
    let mut deltas: Vec<Deltas> = all.iter().map(|_| Deltas::new(plan.show_reasoning)).collect();
    while let Some((index, happening)) = choices.next().await? {
        let choice = &mut all[index];
        match happening {
            Happening::Piece(piece) => {
                if let Some(delta) = deltas[index].push(piece) {
                    add(choice, delta);
                }
            }
            Happening::Ended(outcome) => {
                choice.finish_reason = outcome.reason.as_str().to_owned();
                let message = &mut choice.message;
                if message.content.is_none() && message.tool_calls.is_empty() {
                    message.content = Some(String::new());
                }
            }
        }
    }
    Ok(ChatCompletion {
        id: heading.id,
        object: "chat.completion",
        created: heading.created,
        model: heading.model,
        choices: all,
        usage: choices.counts().into(),
        system_fingerprint: None,
    })
}

fn empty(index: usize, logprobs: bool) -> ChatChoice {
    ChatChoice {
        index,
        message: ChatMessage { role: "assistant", ..ChatMessage::default() },
        logprobs: logprobs.then(ChatLogprobs::default),
        finish_reason: String::new(),
    }
}

/// What the client of a stream does with a delta.
fn add(choice: &mut ChatChoice, delta: Delta) {
    let message = &mut choice.message;
    match delta {
        Delta::Reasoning(text) => {
            message.reasoning.get_or_insert_default().push_str(&text);
            message.reasoning_content.get_or_insert_default().push_str(&text);
        }
        Delta::Content { text, tokens } => {
            message.content.get_or_insert_default().push_str(&text);
            if let Some(logprobs) = &mut choice.logprobs {
                logprobs.content.extend(tokens);
            }
        }
        Delta::Call { id, name, .. } => {
            let function = FunctionCall { name, arguments: String::new() };
            message.tool_calls.push(ToolCall { id, kind: "function", function });
        }
        Delta::Arguments { index, text } => {
            message.tool_calls[index].function.arguments.push_str(&text);
        }
    }
}
