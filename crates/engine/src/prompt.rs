//! The prompt of a conversation, in the frame in which a model was trained.

use gptoss_harmony::{
    ChatFormat, Content, Conversation, DeveloperContent, Message, ReasoningEffort, RenderOptions,
    Role, SystemContent, TokenId,
};

use crate::engine::Engine;
use crate::error::EngineError;

/// What stands before the first turn of a conversation.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ChatOpening {
    /// How long the model thinks; `None` leaves it to the default of the format, medium.
    pub effort: Option<ReasoningEffort>,
    /// What is elsewhere called the system prompt.
    pub instructions: Option<String>,
    /// Today, `YYYY-MM-DD`; `None` leaves the line out. It is never read from a clock, so that a
    /// prompt can be repeated.
    pub date: Option<String>,
}

impl ChatOpening {
    /// The messages before the first turn: harmony's system message, unless the model's files say
    /// that it was trained with another one or none, then the instructions. With a chat template
    /// the system message holds what was asked for only.
    pub fn messages(&self, engine: &Engine) -> Vec<Message> {
        let mut messages = Vec::new();
        match &engine.model().chat.harmony {
            _ if engine.chat_template().is_some() => messages.extend(self.bare_settings()),
            Some(frame) => {
                let text = frame.system_message.clone();
                messages.extend(text.map(|text| Message::new(Role::System, Content::Text(text))));
            }
            None => {
                let mut system = SystemContent {
                    conversation_start_date: self.date.clone(),
                    ..SystemContent::default()
                };
                system.reasoning_effort = self.effort.or(system.reasoning_effort);
                messages.push(Message::new(Role::System, Content::System(Box::new(system))));
            }
        }
        if let Some(instructions) = &self.instructions {
            let developer = DeveloperContent {
                instructions: Some(instructions.clone()),
                ..DeveloperContent::default()
            };
            messages.push(Message::new(Role::Developer, Content::Developer(Box::new(developer))));
        }
        messages
    }

    /// Effort and date without the rest of harmony's system message, if one of them is set: all
    /// that a chat template can be told beside the conversation.
    pub fn bare_settings(&self) -> Option<Message> {
        if self.effort.is_none() && self.date.is_none() {
            return None;
        }
        let settings = SystemContent {
            model_identity: None,
            reasoning_effort: self.effort,
            conversation_start_date: self.date.clone(),
            knowledge_cutoff: None,
            channel_config: None,
            tools: None,
        };
        Some(Message::new(Role::System, settings))
    }
}

/// What a model may be told beside the conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PromptSetting {
    /// How long it thinks.
    Effort,
    /// Today's date.
    Date,
}

impl PromptSetting {
    /// Why the model cannot be told this; `None` if it can, or cannot chat at all.
    pub fn why_not(self, engine: &Engine) -> Option<&'static str> {
        match (engine.chat_format().ok()?, self) {
            (ChatFormat::Harmony(_), _) if engine.model().chat.harmony.is_some() => {
                Some("the model was trained without the system message that says it")
            }
            (ChatFormat::Template(_), PromptSetting::Effort) => {
                Some("the model's chat template has no place for it")
            }
            (ChatFormat::Template(template), PromptSetting::Date) if !template.takes_date() => {
                Some("the model's chat template has no place for it")
            }
            _ => None,
        }
    }
}

/// The ids that the model continues, and those at their end that belong to the answer's header.
///
/// # Errors
/// If the model cannot chat, or the conversation cannot be rendered.
pub fn prompt_tokens(
    engine: &Engine,
    conversation: &Conversation,
) -> Result<(Vec<TokenId>, Vec<TokenId>), EngineError> {
    let harmony = match engine.chat_format()? {
        ChatFormat::Harmony(harmony) => harmony,
        ChatFormat::Template(template) => {
            if conversation.messages.iter().any(uses_tools) {
                return Err(EngineError::ToolsWithoutHarmony);
            }
            return Ok((template.render_for_completion(conversation)?, Vec::new()));
        }
    };
    let options = RenderOptions::default();
    let mut prompt = harmony.render_for_completion(conversation, Role::Assistant, &options)?;
    let prefill = match &engine.model().chat.harmony {
        Some(frame) => engine.tokenizer()?.encode_with_specials(&frame.assistant_prefill),
        None => Vec::new(),
    };
    prompt.extend(&prefill);
    Ok((prompt, prefill))
}

/// Whether a message declares or calls tools, or is the answer of one.
fn uses_tools(message: &Message) -> bool {
    let declares = |content: &Content| match content {
        Content::Text(_) => false,
        Content::System(system) => system.tools.is_some(),
        Content::Developer(developer) => developer.tools.is_some(),
    };
    message.role == Role::Tool
        || message.called_tool().is_some()
        || message.content.iter().any(declares)
}

/// Drops the oldest turns until the prompt leaves room for `answer_tokens` in `context_length`;
/// gives the number of turns dropped. A turn is a user's message with all that follows it, and so
/// is what stands before the first user's message.
///
/// What stands before the first turn and the last turn itself are kept.
///
/// # Errors
/// [`EngineError::ContextFull`] if the last turn alone is too long; then nothing changed.
pub fn fit_conversation(
    engine: &Engine,
    conversation: &mut Conversation,
    context_length: usize,
    answer_tokens: usize,
) -> Result<usize, EngineError> {
    let mut fitted = conversation.clone();
    let mut dropped = 0;
    loop {
        let tokens = prompt_tokens(engine, &fitted)?.0.len().saturating_add(answer_tokens);
        if tokens <= context_length {
            *conversation = fitted;
            return Ok(dropped);
        }
        let is_opening = |message: &Message| matches!(message.role, Role::System | Role::Developer);
        let first = fitted.messages.iter().position(|message| !is_opening(message));
        let is_user = |message: &Message| message.role == Role::User;
        let next = first.and_then(|first| {
            fitted.messages[first + 1..].iter().position(is_user).map(|n| first + 1 + n)
        });
        match (first, next) {
            (Some(first), Some(next)) => drop(fitted.messages.drain(first..next)),
            _ => return Err(EngineError::ContextFull { tokens, context_length }),
        }
        dropped += 1;
    }
}
