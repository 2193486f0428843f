//! Conversations to token ids: the prompt that the model continues, or the text it is trained on.
//!
//! ```text
//! <|start|>{role}[:{name}][ to={recipient}][<|channel|>{channel}][ {content type}]<|message|>
//! {content}{<|end|> or, for an assistant's message with a recipient, <|call|>}
//! ```
//!
//! A tool's answer carries the tool's name in place of the role. Every piece is encoded as
//! ordinary text on its own, so nothing that a user, a tool or a model wrote can become a special
//! token.

use crate::conversation::{Content, Conversation, Message, Role};
use crate::encoding::{CONSTRAIN, HarmonyEncoding};
use crate::error::HarmonyError;
use crate::system::{FunctionTools, developer_text, system_text};
use crate::tokenizer::TokenId;

/// Which messages of earlier reasoning are left out; a message counts by its channel `analysis`,
/// whoever wrote it, so the calls of built-in tools and their results go with the reasoning.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AnalysisRule {
    /// Everything before the assistant's last final message, as openai/harmony's docs/format.md
    /// asks ("drop any previous CoT content"). For training, the messages after the last user
    /// message are what is learnt, so they are kept and the final before them counts.
    #[default]
    BeforeLastFinal,
    /// What openai-harmony 0.0.8 does: only when the assistant's last message is final, and then
    /// only what stands before the conversation's first final message.
    Library,
    /// Nothing is left out.
    KeepAll,
}

/// Where a recipient is written in the header.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RecipientPosition {
    /// After the role: `<|start|>assistant to=functions.f<|channel|>commentary`.
    #[default]
    Role,
    /// After an assistant's channel: `<|start|>assistant<|channel|>commentary to=functions.f`.
    /// Messages without a channel and those of other roles keep it after the role.
    Channel,
}

/// How a conversation is rendered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RenderOptions {
    /// Which earlier reasoning is left out.
    pub analysis: AnalysisRule,
    /// Where recipients stand.
    pub recipient: RecipientPosition,
}

impl HarmonyEncoding {
    /// The conversation followed by the beginning of a message of `next_role`, which the model
    /// is to continue.
    ///
    /// # Errors
    /// [`HarmonyError`] for a tool's answer without the tool's name, settings in a message of
    /// another role, and a schema that is nested too deeply; messages that are left out are not
    /// looked at.
    pub fn render_for_completion(
        &self,
        conversation: &Conversation,
        next_role: Role,
        options: &RenderOptions,
    ) -> Result<Vec<TokenId>, HarmonyError> {
        let mut ids = self.render_conversation(conversation, options)?;
        ids.push(self.special().start);
        self.push_text(next_role.as_str(), &mut ids);
        Ok(ids)
    }

    /// The conversation as it is.
    ///
    /// # Errors
    /// As [`HarmonyEncoding::render_for_completion`].
    pub fn render_conversation(
        &self,
        conversation: &Conversation,
        options: &RenderOptions,
    ) -> Result<Vec<TokenId>, HarmonyError> {
        let messages = &conversation.messages;
        self.render_messages(messages, analysis_end(messages, options.analysis), options)
    }

    /// The conversation as a training example: a final message of the assistant at the end is
    /// followed by `<|return|>`, so that the model learns to stop.
    ///
    /// # Errors
    /// As [`HarmonyEncoding::render_for_completion`].
    pub fn render_for_training(
        &self,
        conversation: &Conversation,
        options: &RenderOptions,
    ) -> Result<Vec<TokenId>, HarmonyError> {
        let messages = &conversation.messages;
        let history = match options.analysis {
            AnalysisRule::BeforeLastFinal => {
                let last_user = messages.iter().rposition(|message| message.role == Role::User);
                &messages[..last_user.unwrap_or(0)]
            }
            AnalysisRule::Library | AnalysisRule::KeepAll => messages,
        };
        let mut ids =
            self.render_messages(messages, analysis_end(history, options.analysis), options)?;
        if messages.last().is_some_and(is_final)
            && let Some(last) = ids.last_mut()
        {
            *last = self.special().return_;
        }
        Ok(ids)
    }

    /// The messages without the analysis before index `analysis_end`.
    fn render_messages(
        &self,
        messages: &[Message],
        analysis_end: usize,
        options: &RenderOptions,
    ) -> Result<Vec<TokenId>, HarmonyError> {
        let functions = function_tools(messages);
        let mut ids = Vec::new();
        for (i, message) in messages.iter().enumerate() {
            if i < analysis_end && message.channel.as_deref() == Some("analysis") {
                continue;
            }
            self.push_header(i, message, options.recipient, &mut ids)?;
            for content in &message.content {
                let text = content_text(i, message.role, content, functions)?;
                self.push_text(&text, &mut ids);
            }
            let is_call = message.role == Role::Assistant && message.recipient.is_some();
            ids.push(if is_call { self.special().call } else { self.special().end });
        }
        Ok(ids)
    }

    fn push_header(
        &self,
        index: usize,
        message: &Message,
        position: RecipientPosition,
        ids: &mut Vec<TokenId>,
    ) -> Result<(), HarmonyError> {
        ids.push(self.special().start);
        match (message.role, &message.name) {
            (Role::Tool, Some(name)) => self.push_text(name, ids),
            (Role::Tool, None) => return Err(HarmonyError::ToolWithoutName { message: index }),
            (role, name) => {
                self.push_text(role.as_str(), ids);
                if let Some(name) = name {
                    self.push_text(&format!(":{name}"), ids);
                }
            }
        }
        // Everybody is the default and is not written.
        let recipient = message.recipient.as_deref().filter(|recipient| *recipient != "all");
        let recipient = recipient.map(|recipient| format!(" to={recipient}"));
        let in_channel = position == RecipientPosition::Channel
            && message.role == Role::Assistant
            && message.channel.is_some();
        if let Some(recipient) = recipient.as_ref().filter(|_| !in_channel) {
            self.push_text(recipient, ids);
        }
        if let Some(channel) = &message.channel {
            ids.push(self.special().channel);
            self.push_text(channel, ids);
        }
        if let Some(recipient) = recipient.as_ref().filter(|_| in_channel) {
            self.push_text(recipient, ids);
        }
        if let Some(content_type) = &message.content_type {
            match content_type.strip_prefix(CONSTRAIN) {
                Some(name) => {
                    self.push_text(" ", ids);
                    ids.push(self.special().constrain);
                    self.push_text(name, ids);
                }
                None => self.push_text(&format!(" {content_type}"), ids),
            }
        }
        ids.push(self.special().message);
        Ok(())
    }

    fn push_text(&self, text: &str, ids: &mut Vec<TokenId>) {
        ids.extend(self.tokenizer().encode(text));
    }
}

/// The index before which analysis is left out.
fn analysis_end(messages: &[Message], rule: AnalysisRule) -> usize {
    let end = match rule {
        AnalysisRule::KeepAll => None,
        AnalysisRule::BeforeLastFinal => messages.iter().rposition(is_final),
        AnalysisRule::Library => {
            let last = messages.iter().rfind(|message| message.role == Role::Assistant);
            let on_final = |message: &Message| message.channel.as_deref() == Some("final");
            let first_final = messages.iter().position(on_final);
            first_final.filter(|_| last.is_some_and(is_final))
        }
    };
    end.unwrap_or(0)
}

fn is_final(message: &Message) -> bool {
    message.role == Role::Assistant && message.channel.as_deref() == Some("final")
}

fn function_tools(messages: &[Message]) -> FunctionTools {
    let declared = messages.iter().flat_map(|message| &message.content).any(|content| {
        let Content::Developer(developer) = content else { return false };
        let functions = developer.tools.as_ref().and_then(|tools| tools.get("functions"));
        functions.is_some_and(|namespace| !namespace.tools.is_empty())
    });
    if declared { FunctionTools::Declared } else { FunctionTools::None }
}

fn content_text(
    index: usize,
    role: Role,
    content: &Content,
    functions: FunctionTools,
) -> Result<std::borrow::Cow<'_, str>, HarmonyError> {
    let misplaced = |content, expected| {
        Err(HarmonyError::MisplacedContent { message: index, content, expected, found: role })
    };
    match content {
        Content::Text(text) => Ok(text.into()),
        Content::System(system) if role == Role::System => {
            Ok(system_text(system, functions)?.into())
        }
        Content::System(_) => misplaced("system_content", Role::System),
        Content::Developer(developer) if role == Role::Developer => {
            Ok(developer_text(developer)?.into())
        }
        Content::Developer(_) => misplaced("developer_content", Role::Developer),
    }
}
