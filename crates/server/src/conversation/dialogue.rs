//! The turns of a conversation as harmony messages, in the order in which they were generated.
//!
//! A turn of the assistant is its reasoning, then what it says before a call, then the calls: the
//! order in which the model writes, so that a prompt that repeats a turn begins with the tokens
//! that the cache has.

use std::collections::HashMap;

use gptoss_engine::{ChatOpening, Engine};
use gptoss_harmony::{
    Content, Conversation, DeveloperContent, Message, ReasoningEffort, ResponseFormat, Role,
};

use crate::conversation::names;
use crate::conversation::tools::Toolbox;
use crate::error::ApiError;

/// The content type of a call's arguments.
const JSON: &str = "<|constrain|>json";

/// Turns that are collected from messages or items.
#[derive(Default)]
pub(crate) struct Dialogue {
    /// Instructions before the first turn.
    instructions: Vec<String>,
    turns: Vec<Message>,
    /// Recipients of the calls so far, by id.
    calls: HashMap<String, String>,
}

/// What stands before the turns.
pub(crate) struct Opening<'a> {
    pub(crate) engine: &'a Engine,
    pub(crate) effort: Option<ReasoningEffort>,
    pub(crate) date: Option<String>,
    pub(crate) toolbox: &'a Toolbox,
    pub(crate) format: Option<ResponseFormat>,
}

impl Dialogue {
    /// Instructions of the developer; those before the first turn become one message.
    pub(crate) fn instructions(&mut self, text: String) {
        if self.turns.is_empty() {
            self.instructions.push(text);
            return;
        }
        let content = DeveloperContent { instructions: Some(text), ..DeveloperContent::default() };
        self.turns.push(Message::new(Role::Developer, content));
    }

    /// What the person says.
    pub(crate) fn user(&mut self, text: String, name: Option<&str>) -> Result<(), ApiError> {
        let mut message = Message::new(Role::User, text);
        if let Some(name) = name {
            names::check("name", name)?;
            message = message.with_name(name);
        }
        self.turns.push(message);
        Ok(())
    }

    /// What the model thought.
    pub(crate) fn reasoning(&mut self, text: String) {
        self.turns.push(Message::assistant("analysis", text));
    }

    /// What the model said before a call.
    pub(crate) fn preamble(&mut self, text: String) {
        self.turns.push(Message::assistant("commentary", text));
    }

    /// What the model answered.
    pub(crate) fn answer(&mut self, text: String) {
        self.turns.push(Message::assistant("final", text));
    }

    /// A call by the model; `param` says where it stands.
    ///
    /// # Errors
    /// 400 for a bad name or an empty id.
    pub(crate) fn call(
        &mut self,
        param: &str,
        id: &str,
        name: &str,
        arguments: String,
        toolbox: &Toolbox,
    ) -> Result<(), ApiError> {
        names::check(&format!("{param}.name"), name)?;
        if id.is_empty() {
            return Err(ApiError::field(format!("{param}.id"), "expected an id, found none"));
        }
        let recipient = names::recipient(name, toolbox.has(name));
        // Some clients count the ids of each turn from zero: the last call of an id is meant.
        self.calls.insert(id.to_owned(), recipient.clone());
        let call = Message::assistant("commentary", arguments);
        self.turns.push(call.with_recipient(recipient).with_content_type(JSON));
        Ok(())
    }

    /// What a tool answered to the call `id`.
    ///
    /// # Errors
    /// 400 if there is no such call before it.
    pub(crate) fn tool_output(
        &mut self,
        param: &str,
        id: &str,
        text: String,
    ) -> Result<(), ApiError> {
        let recipient = self.calls.get(id).ok_or_else(|| {
            let message = format!("no call with the id `{id}` stands before this answer");
            ApiError::field(param, message)
        })?;
        self.turns.push(Message::tool_answer(recipient.clone(), "commentary", text));
        Ok(())
    }

    /// Whether nothing was said yet.
    pub(crate) fn is_empty(&self) -> bool {
        self.turns.is_empty()
    }

    /// The whole conversation: the frame, the developer's message, the turns.
    pub(crate) fn into_conversation(self, opening: Opening<'_>) -> Conversation {
        let frame = ChatOpening { effort: opening.effort, instructions: None, date: opening.date };
        let mut messages = frame.messages(opening.engine);
        let instructions = self.instructions.join("\n\n");
        // A template has no place for a schema: what enforces it is all there is.
        let format = opening.format.filter(|_| opening.engine.chat_template().is_none());
        let mut developer = DeveloperContent {
            instructions: (!instructions.is_empty()).then_some(instructions),
            tools: None,
            response_formats: format.into_iter().collect(),
        };
        if let Some(namespace) = opening.toolbox.namespace() {
            developer = developer.with_tools(namespace);
        }
        if developer != DeveloperContent::default() {
            let content = Content::Developer(Box::new(developer));
            messages.push(Message::new(Role::Developer, content));
        }
        messages.extend(self.turns);
        Conversation::new(messages)
    }
}
