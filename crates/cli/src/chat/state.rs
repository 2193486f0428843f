//! The conversation, its settings and the model that answers.

use gptoss_engine::{
    ChatDone, ChatOpening, ChatRequest, Engine, EngineError, SamplingParams, Session,
    fit_conversation,
};
use gptoss_harmony::{Conversation, Message, Role};

use super::ChatArgs;

/// Everything that a command or a turn may change.
pub struct ChatState {
    /// The model.
    pub engine: Engine,
    /// Its timeline; computed prefixes are kept from turn to turn.
    pub session: Session,
    /// What stands before the first turn.
    pub opening: ChatOpening,
    /// The turns, without the opening.
    pub turns: Vec<Message>,
    /// Name under which the model was asked for.
    pub model: String,
    /// How tokens are chosen.
    pub sampling: SamplingParams,
    /// Tokens of an answer at most.
    pub max_tokens: Option<usize>,
    /// Texts that end an answer.
    pub stop: Vec<String>,
    /// Whether reasoning is shown as it comes.
    pub show_reasoning: bool,
    /// The reasoning of the last answer.
    pub last_reasoning: String,
    /// Counts and times of the last answer.
    pub last: Option<ChatDone>,
}

impl ChatState {
    /// A conversation that has not begun.
    pub fn new(args: &ChatArgs) -> anyhow::Result<ChatState> {
        let engine = args.model.engine()?;
        engine.chat_format()?;
        Ok(ChatState {
            session: args.model.session(&engine)?,
            opening: args.opening.opening(&engine)?,
            turns: Vec::new(),
            model: args.model.model.clone(),
            sampling: args.sampling.params(&engine)?,
            max_tokens: args.sampling.max_tokens,
            stop: args.sampling.stop.clone(),
            show_reasoning: !args.hide_reasoning,
            last_reasoning: String::new(),
            last: None,
            engine,
        })
    }

    /// The request for an answer to the turns so far, and how many of the oldest turns were
    /// dropped to make room for it.
    ///
    /// A quarter of the context is kept free for the answer, or `max_tokens` if that is less.
    pub fn request(&mut self) -> Result<(ChatRequest, usize), EngineError> {
        let context_length = self.session.context_length();
        let reserved = self.max_tokens.unwrap_or(usize::MAX).min(context_length / 4);
        let mut messages = self.opening.messages(&self.engine);
        let before_turns = messages.len();
        messages.extend(self.turns.iter().cloned());
        let mut conversation = Conversation::new(messages);
        let dropped = fit_conversation(&self.engine, &mut conversation, context_length, reserved)?;
        self.turns = conversation.messages[before_turns..].to_vec();
        let request = ChatRequest {
            max_tokens: self.max_tokens,
            stop: self.stop.clone(),
            ..ChatRequest::new(conversation, self.sampling.clone())
        };
        Ok((request, dropped))
    }

    /// Takes back the last turn that was not answered.
    pub fn drop_unanswered(&mut self) {
        while self.turns.last().is_some_and(|message| message.role == Role::User) {
            self.turns.pop();
        }
    }
}
