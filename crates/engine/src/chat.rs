//! A conversation to a streamed answer: chat format, session and sampler together.

use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use gptoss_harmony::parse::{AnswerParser, MessageEnd, MessageHeader, ParseEvent, Repair};
use gptoss_harmony::{Content, Conversation, Message, Role, TokenId};

use crate::error::EngineError;
use crate::generate::{GenerateParams, Generation, StopReason, TokenLogprobs};
use crate::prompt::prompt_tokens;
use crate::sampler::SamplingParams;
use crate::session::Session;
use crate::stop_strings::StopStrings;

/// What to answer, and how.
#[derive(Clone, Debug)]
pub struct ChatRequest {
    /// The conversation so far; the answer follows it.
    pub conversation: Conversation,
    /// How tokens are chosen.
    pub sampling: SamplingParams,
    /// Tokens to generate at most; `None` until the context is full.
    pub max_tokens: Option<usize>,
    /// The answer ends before the first of these; reasoning and tool calls may contain them.
    pub stop: Vec<String>,
    /// Give the log-probabilities of this many most likely tokens with each token.
    pub top_logprobs: Option<usize>,
}

impl ChatRequest {
    /// Answers `conversation` as the model's makers recommend.
    pub fn new(conversation: Conversation, sampling: SamplingParams) -> ChatRequest {
        ChatRequest {
            conversation,
            sampling,
            max_tokens: None,
            stop: Vec::new(),
            top_logprobs: None,
        }
    }
}

/// What a piece of text is, so that reasoning is never taken for the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TextKind {
    /// Channel `analysis`: for researchers, not for users.
    Reasoning,
    /// Channel `final`: the answer.
    Answer,
    /// Channel `commentary` without a recipient: said to the user before calling a tool.
    Preamble,
    /// Addressed to a tool.
    ToolCall,
}

impl TextKind {
    /// The kind of a message's text.
    pub fn of(header: &MessageHeader) -> TextKind {
        match (header.called_tool(), header.channel.as_deref()) {
            (Some(_), _) => TextKind::ToolCall,
            (None, Some("final") | None) => TextKind::Answer,
            (None, Some("commentary")) => TextKind::Preamble,
            _ => TextKind::Reasoning,
        }
    }
}

/// One thing that happens while an answer is generated.
#[derive(Clone, Debug, PartialEq)]
pub enum ChatEvent {
    /// A token was generated, with its log-probabilities if they were asked for.
    Token {
        /// The token.
        token: TokenId,
        /// Its log-probability and its rivals.
        logprobs: Option<TokenLogprobs>,
    },
    /// More text: whole code points, never empty.
    Delta {
        /// What the text is.
        kind: TextKind,
        /// The text.
        text: String,
    },
    /// A message is complete.
    Message {
        /// The message, to be appended to the conversation.
        message: Message,
        /// What ended it.
        end: MessageEnd,
    },
    /// The model deviated from the format and was read like this.
    Repaired(Repair),
    /// The answer has ended; nothing follows.
    Done(ChatDone),
}

/// Why an answer ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FinishReason {
    /// The model was done, or a stop string came.
    Stop,
    /// The model waits for a tool.
    ToolCall,
    /// `max_tokens` were generated.
    MaxTokens,
    /// The context is full.
    ContextFull,
    /// The caller broke off.
    Cancelled,
}

/// Counts and times of an answer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ChatDone {
    /// Why it ended.
    pub reason: FinishReason,
    /// Tokens of the prompt.
    pub prompt_tokens: usize,
    /// Those of them that were in the cache already.
    pub cached_tokens: usize,
    /// Tokens generated, the frame of messages and the stop token included.
    pub completion_tokens: usize,
    /// Those of them that were generated while the model was reasoning.
    pub reasoning_tokens: usize,
    /// Time to compute the prompt.
    pub prefill: Duration,
    /// Time from the end of prefill to the last token.
    pub decode: Duration,
}

/// An answer that is being generated: an iterator of [`ChatEvent`]s, [`ChatEvent::Done`] last.
pub struct ChatStream<'a> {
    session: &'a mut Session,
    generation: Generation,
    parser: AnswerParser,
    stop: StopStrings,
    /// Text of the current message as it was given out, if stop strings apply to it.
    shown: Option<String>,
    /// Set when the answer is complete although the model has not said so.
    complete: bool,
    /// Events not yet given out, last one first.
    queue: Vec<ChatEvent>,
    done: ChatDone,
    started: Instant,
    cancelled: bool,
    finished: bool,
}

impl<'a> ChatStream<'a> {
    /// Computes the prompt and gets ready to generate.
    ///
    /// # Errors
    /// As [`ChatStream::with_progress`].
    pub fn new(session: &'a mut Session, request: ChatRequest) -> Result<Self, EngineError> {
        ChatStream::with_progress(session, request, &mut |_, _| ControlFlow::Continue(()))
    }

    /// As [`ChatStream::new`]; `progress` is told the tokens of the prompt done and wanted after
    /// each chunk, and may break off, which cancels the answer.
    ///
    /// # Errors
    /// If the model cannot chat, the conversation cannot be rendered, a sampling parameter is out
    /// of range, or the prompt does not fit into the context.
    pub fn with_progress(
        session: &'a mut Session,
        request: ChatRequest,
        progress: &mut dyn FnMut(usize, usize) -> ControlFlow<()>,
    ) -> Result<Self, EngineError> {
        let started = Instant::now();
        request.sampling.validate()?;
        let engine = session.engine().clone();
        let format = engine.chat_format()?;
        let (prompt, prefill) = prompt_tokens(&engine, &request.conversation)?;
        let room = session.context_length();
        if prompt.len() >= room {
            let tokens = prompt.len() + 1;
            return Err(EngineError::ContextFull { tokens, context_length: room });
        }
        let synced = session.sync_with(&prompt, progress)?;
        let tools = request.conversation.tool_names();
        let (parser, _) = AnswerParser::begin(format, tools, &prefill);
        let generation = Generation::new(
            session,
            GenerateParams {
                sampling: request.sampling,
                stop_tokens: format.stop_tokens(),
                max_tokens: request.max_tokens.unwrap_or(usize::MAX),
                top_logprobs: request.top_logprobs,
            },
        );
        let done = ChatDone {
            reason: FinishReason::Stop,
            prompt_tokens: prompt.len(),
            cached_tokens: synced.reused,
            completion_tokens: 0,
            reasoning_tokens: 0,
            prefill: started.elapsed(),
            decode: Duration::ZERO,
        };
        let mut stream = ChatStream {
            session,
            generation,
            parser,
            stop: StopStrings::new(request.stop),
            shown: None,
            complete: false,
            queue: Vec::new(),
            done,
            started: Instant::now(),
            cancelled: !synced.complete,
            finished: false,
        };
        stream.watch();
        Ok(stream)
    }

    /// Ends the answer: what was generated so far is still given out as a message.
    pub fn cancel(&mut self) {
        self.cancelled = true;
    }

    /// The kind of the text that comes now; `None` in a header.
    fn kind(&self) -> Option<TextKind> {
        self.parser.header().map(TextKind::of)
    }

    /// Starts to look for stop strings if the message that has begun is for the user.
    fn watch(&mut self) {
        let visible = matches!(self.kind(), Some(TextKind::Answer | TextKind::Preamble));
        self.shown = visible.then(String::new);
    }

    /// Generates one token, or ends the answer.
    fn advance(&mut self) -> Result<Vec<ChatEvent>, EngineError> {
        if self.cancelled {
            return Ok(self.finish(FinishReason::Cancelled, MessageEnd::Cancelled));
        }
        let Some(step) = self.generation.next(self.session)? else {
            return Ok(match self.generation.stopped() {
                Some(StopReason::MaxTokens) => {
                    self.finish(FinishReason::MaxTokens, MessageEnd::Length)
                }
                Some(StopReason::ContextFull) => {
                    self.finish(FinishReason::ContextFull, MessageEnd::Length)
                }
                _ => self.finish(self.done.reason, MessageEnd::Eos),
            });
        };
        self.done.completion_tokens += 1;
        if self.kind() == Some(TextKind::Reasoning) {
            self.done.reasoning_tokens += 1;
        }
        let mut events = vec![ChatEvent::Token { token: step.token, logprobs: step.logprobs }];
        for event in self.parser.push(step.token) {
            self.translate(event, &mut events);
        }
        if self.stop.found() || self.complete {
            events.extend(self.finish(FinishReason::Stop, MessageEnd::Eos));
        }
        Ok(events)
    }

    /// The events of the end of an answer, with the message that was not complete.
    fn finish(&mut self, reason: FinishReason, end: MessageEnd) -> Vec<ChatEvent> {
        let mut events = Vec::new();
        for event in self.parser.finish(end) {
            self.translate(event, &mut events);
        }
        self.done.reason = reason;
        self.done.decode = self.started.elapsed();
        self.finished = true;
        events.push(ChatEvent::Done(self.done));
        events
    }

    fn translate(&mut self, event: ParseEvent, events: &mut Vec<ChatEvent>) {
        match event {
            // A model that begins to speak for somebody else has said what it had to say.
            ParseEvent::MessageStart(header) => match header.role {
                Role::Assistant => self.watch(),
                _ => self.complete = true,
            },
            ParseEvent::TextDelta(text) => self.delta(text, events),
            ParseEvent::MessageEnd { message, end } if message.role == Role::Assistant => {
                // The final message is the last of an answer, even if it ends like an earlier one.
                self.complete |= message.channel.as_deref() == Some("final");
                self.end(message, end, events);
            }
            ParseEvent::Repaired(repair) => events.push(ChatEvent::Repaired(repair)),
            ParseEvent::Stop(gptoss_harmony::parse::StopReason::Call) => {
                self.done.reason = FinishReason::ToolCall;
            }
            _ => {}
        }
    }

    fn delta(&mut self, text: String, events: &mut Vec<ChatEvent>) {
        let kind = self.kind().unwrap_or(TextKind::Answer);
        let text = match &mut self.shown {
            Some(shown) => {
                let text = self.stop.push(&text);
                shown.push_str(&text);
                text
            }
            None => text,
        };
        if !text.is_empty() {
            events.push(ChatEvent::Delta { kind, text });
        }
    }

    fn end(&mut self, mut message: Message, end: MessageEnd, events: &mut Vec<ChatEvent>) {
        if let Some(mut shown) = self.shown.take() {
            let held = self.stop.finish();
            if !held.is_empty() {
                shown.push_str(&held);
                let is_preamble = message.channel.as_deref() == Some("commentary");
                let kind = if is_preamble { TextKind::Preamble } else { TextKind::Answer };
                events.push(ChatEvent::Delta { kind, text: held });
            }
            message.content = vec![Content::Text(shown)];
        }
        events.push(ChatEvent::Message { message, end });
    }
}

impl Iterator for ChatStream<'_> {
    type Item = Result<ChatEvent, EngineError>;

    fn next(&mut self) -> Option<Self::Item> {
        while self.queue.is_empty() && !self.finished {
            match self.advance() {
                Ok(events) => self.queue.extend(events.into_iter().rev()),
                Err(error) => {
                    self.finished = true;
                    return Some(Err(error));
                }
            }
        }
        self.queue.pop().map(Ok)
    }
}
