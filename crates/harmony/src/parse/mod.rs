//! The ids that a model generates, to messages, while they arrive.
//!
//! Parsing never fails: whatever a model writes becomes messages and, where it deviates from the
//! format, a [`Repair`] that says how it was read. Three rules stand above all others: nothing
//! that is complete is lost, every text is in a message or in a repair, and reasoning is never
//! put on the channel `final`.
//!
//! In reading order: `event` and `repair` (what comes out), `header_buffer`, `channel` and
//! `header` (a header to its fields), `headerless` (a message without `<|message|>`), and below
//! the states; then `plain` (models without harmony) and `answer` (either).
//!
//! ```text
//!                  <|start|>              <|message|>
//! ExpectStart ───────────────▶ Header ───────────────▶ Content
//!      ▲                          │ end, return, call     │ end, return, call
//!      └──────────────────────────┴───────────────────────┘
//! ```

mod answer;
mod channel;
mod event;
mod header;
mod header_buffer;
mod headerless;
mod plain;
mod repair;

pub use answer::AnswerParser;
pub use event::{MessageEnd, MessageHeader, ParseEvent, ParseState, StopReason};
pub use plain::PlainParser;
pub use repair::Repair;

use crate::conversation::{Message, Role};
use crate::encoding::HarmonyEncoding;
use crate::tokenizer::{TokenId, Utf8Stream};
use header::{Origin, read_header};
use header_buffer::{HeaderBuffer, Piece, flatten};
use headerless::split;

/// The most tokens of a header; the longest of real ones have about 40. What goes on without
/// `<|message|>` is text that lacks its header, and is passed on from here.
const HEADER_TOKENS_MAX: usize = 256;

/// What is known before the first id.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ParseOptions {
    /// The role with which the prompt ended, as in
    /// [`render_for_completion`](HarmonyEncoding::render_for_completion); `None` if the ids begin
    /// with `<|start|>`.
    pub role: Option<Role>,
    /// The declared tools as [`Conversation::tool_names`](crate::Conversation::tool_names) gives
    /// them; `None` if they are not known, and then no recipient is doubted.
    pub tools: Option<Vec<String>>,
}

impl ParseOptions {
    /// For the answer to a prompt that ends with `<|start|>assistant`, with these tools declared.
    pub fn completion(tools: Vec<String>) -> Self {
        Self { role: Some(Role::Assistant), tools: Some(tools) }
    }
}

/// A parser that takes one id at a time.
///
/// ```
/// use gptoss_harmony::{HarmonyEncoding, Tokenizer};
/// use gptoss_harmony::parse::{MessageEnd, ParseEvent, ParseOptions, StreamParser};
///
/// let encoding = HarmonyEncoding::new(Tokenizer::o200k_harmony())?;
/// let mut parser = StreamParser::new(&encoding, ParseOptions::completion(Vec::new()));
/// let ids = encoding.tokenizer().encode_with_specials("<|channel|>final<|message|>4<|return|>");
/// let mut answer = String::new();
/// for id in ids {
///     for event in parser.push(id) {
///         if let ParseEvent::TextDelta(text) = event {
///             answer += &text;
///         }
///     }
/// }
/// parser.finish(MessageEnd::Eos);
/// assert_eq!(answer, "4");
/// assert_eq!(parser.messages()[0].channel.as_deref(), Some("final"));
/// # Ok::<(), gptoss_harmony::HarmonyError>(())
/// ```
#[derive(Clone)]
pub struct StreamParser {
    encoding: HarmonyEncoding,
    tools: Option<Vec<String>>,
    state: State,
    messages: Vec<Message>,
    /// What ended the last of `messages`.
    last_end: Option<MessageEnd>,
    last_delta: Option<String>,
    repair_count: usize,
}

#[derive(Clone)]
enum State {
    ExpectStart,
    Header { origin: Origin, buffer: HeaderBuffer },
    Content { header: MessageHeader, text: String, utf8: Utf8Stream },
}

/// What an id means to the parser.
enum Token<'a> {
    Start,
    Message,
    Marker(Piece),
    End(MessageEnd, &'static str),
    Text(&'a [u8]),
    Unknown,
}

impl StreamParser {
    /// A parser that has seen nothing.
    pub fn new(encoding: &HarmonyEncoding, options: ParseOptions) -> Self {
        let state = match options.role {
            Some(role) => {
                State::Header { origin: Origin::Prompt(role), buffer: HeaderBuffer::default() }
            }
            None => State::ExpectStart,
        };
        Self {
            encoding: encoding.clone(),
            tools: options.tools,
            state,
            messages: Vec::new(),
            last_end: None,
            last_delta: None,
            repair_count: 0,
        }
    }

    /// What the next id makes known; takes any id whatever.
    pub fn push(&mut self, id: TokenId) -> Vec<ParseEvent> {
        self.last_delta = None;
        let mut events = Vec::new();
        let encoding = self.encoding.clone();
        match (token(&encoding, id), std::mem::replace(&mut self.state, State::ExpectStart)) {
            (Token::Unknown, state) => {
                self.state = state;
                events.push(ParseEvent::Repaired(Repair::UnknownToken { id }));
            }
            (token, State::ExpectStart) => self.between(token, &mut events),
            (token, State::Header { origin, buffer }) => {
                self.in_header(token, origin, buffer, &mut events);
            }
            (token, State::Content { header, text, utf8 }) => {
                self.in_content(token, header, (text, utf8), &mut events);
            }
        }
        self.count(events)
    }

    /// What is known at the end of the ids; `end` says why there are no more. A message that has
    /// begun ends here; a header alone is none. Afterwards a next message may be pushed.
    pub fn finish(&mut self, end: MessageEnd) -> Vec<ParseEvent> {
        self.last_delta = None;
        let mut events = Vec::new();
        match std::mem::replace(&mut self.state, State::ExpectStart) {
            State::ExpectStart => {}
            State::Header { origin, buffer } => {
                self.end_in_header(origin, &buffer, Ending::Finish(end), &mut events);
            }
            State::Content { header, text, utf8 } => {
                self.end_message(header, (text, utf8), end, &mut events);
            }
        }
        self.count(events)
    }

    /// Where the parser stands.
    pub fn state(&self) -> ParseState {
        match self.state {
            State::ExpectStart => ParseState::ExpectStart,
            State::Header { .. } => ParseState::Header,
            State::Content { .. } => ParseState::Content,
        }
    }

    /// The header of the message whose text is being read.
    pub fn header(&self) -> Option<&MessageHeader> {
        match &self.state {
            State::Content { header, .. } => Some(header),
            State::ExpectStart | State::Header { .. } => None,
        }
    }

    /// The role of the message that is being read, as far as it is known.
    pub fn role(&self) -> Option<Role> {
        match &self.state {
            State::Content { header, .. } => Some(header.role),
            State::Header { origin: Origin::Prompt(role), .. } => Some(*role),
            State::ExpectStart | State::Header { .. } => None,
        }
    }

    /// The text that the last id added to the current message.
    pub fn last_delta(&self) -> Option<&str> {
        self.last_delta.as_deref()
    }

    /// The complete messages so far.
    pub fn messages(&self) -> &[Message] {
        &self.messages
    }

    /// The complete messages.
    pub fn into_messages(self) -> Vec<Message> {
        self.messages
    }

    /// How many deviations were repaired so far.
    pub fn repair_count(&self) -> usize {
        self.repair_count
    }

    /// A token between messages.
    fn between(&mut self, token: Token, events: &mut Vec<ParseEvent>) {
        match token {
            Token::Start => {
                self.state =
                    State::Header { origin: Origin::Start, buffer: HeaderBuffer::default() };
            }
            // Serving programs append `<|endoftext|>` as padding, so it is no deviation here.
            Token::End(end, name) => {
                if end != MessageEnd::Eos {
                    events.push(ParseEvent::Repaired(Repair::ExtraEnd { token: name }));
                }
                events.extend(stop(end));
            }
            token => self.in_header(token, Origin::Implicit, HeaderBuffer::default(), events),
        }
    }

    fn in_header(
        &mut self,
        token: Token,
        origin: Origin,
        mut buffer: HeaderBuffer,
        events: &mut Vec<ParseEvent>,
    ) {
        match token {
            Token::Message => {
                let (header, repairs) = self.read_header(buffer.pieces(), origin);
                events.extend(repairs.into_iter().map(ParseEvent::Repaired));
                self.begin_message(header, &[], events);
                return;
            }
            Token::Start => {
                self.end_in_header(origin, &buffer, Ending::NextStart, events);
                return self.between(Token::Start, events);
            }
            Token::End(end, _) => {
                self.end_in_header(origin, &buffer, Ending::Token(end), events);
                return events.extend(stop(end));
            }
            Token::Marker(marker) => buffer.push_marker(marker),
            Token::Text(bytes) => buffer.push_text(bytes),
            Token::Unknown => {}
        }
        if buffer.tokens() > HEADER_TOKENS_MAX {
            self.give_up_header(origin, &buffer, events);
        } else {
            self.state = State::Header { origin, buffer };
        }
    }

    fn in_content(
        &mut self,
        token: Token,
        header: MessageHeader,
        (mut text, mut utf8): (String, Utf8Stream),
        events: &mut Vec<ParseEvent>,
    ) {
        let bytes = match token {
            Token::Start => {
                events.push(ParseEvent::Repaired(Repair::StartInContent));
                self.end_message(header, (text, utf8), MessageEnd::NextStart, events);
                return self.between(Token::Start, events);
            }
            Token::End(end, _) => {
                if end == MessageEnd::Eos {
                    events.push(ParseEvent::Repaired(Repair::EndOfTextInContent));
                }
                self.end_message(header, (text, utf8), end, events);
                return events.extend(stop(end));
            }
            // Other special tokens are text here, as openai-harmony reads them.
            Token::Message => b"<|message|>".to_vec(),
            Token::Marker(marker) => flatten(&[marker]),
            Token::Text(bytes) => bytes.to_vec(),
            Token::Unknown => Vec::new(),
        };
        let delta = utf8.push(&bytes);
        text += &delta;
        self.state = State::Content { header, text, utf8 };
        self.push_delta(delta, events);
    }

    /// A message whose text begins with `bytes`.
    fn begin_message(&mut self, header: MessageHeader, bytes: &[u8], events: &mut Vec<ParseEvent>) {
        events.push(ParseEvent::MessageStart(header.clone()));
        let mut utf8 = Utf8Stream::new();
        let text = utf8.push(bytes);
        self.state = State::Content { header, text: text.clone(), utf8 };
        self.push_delta(text, events);
    }

    fn push_delta(&mut self, delta: String, events: &mut Vec<ParseEvent>) {
        if !delta.is_empty() {
            self.last_delta = Some(delta.clone());
            events.push(ParseEvent::TextDelta(delta));
        }
    }

    fn end_message(
        &mut self,
        header: MessageHeader,
        (mut text, mut utf8): (String, Utf8Stream),
        end: MessageEnd,
        events: &mut Vec<ParseEvent>,
    ) {
        let rest = utf8.finish();
        text += &rest;
        if !rest.is_empty() {
            events.push(ParseEvent::TextDelta(rest));
        }
        let message = header.into_message(text);
        self.messages.push(message.clone());
        self.last_end = Some(end);
        events.push(ParseEvent::MessageEnd { message, end });
        self.state = State::ExpectStart;
    }

    /// A header that ended before `<|message|>`: a message if there is something to say.
    fn end_in_header(
        &mut self,
        origin: Origin,
        buffer: &HeaderBuffer,
        ending: Ending,
        events: &mut Vec<ParseEvent>,
    ) {
        let all = String::from_utf8_lossy(&flatten(buffer.pieces())).into_owned();
        if all.trim().is_empty() {
            let repair = match (all.is_empty(), ending) {
                (false, _) => Repair::StrayWhitespace { text: all },
                (true, Ending::Finish(_)) => return,
                (true, _) => Repair::EmptyHeader,
            };
            return events.push(ParseEvent::Repaired(repair));
        }
        let split = split(buffer.pieces(), origin);
        let (header, repairs) = self.read_header(&split.header, origin);
        let says_nothing = match ending {
            Ending::Token(_) => header.channel.is_none() && header.recipient.is_none(),
            Ending::NextStart => true,
            Ending::Finish(_) if split.may_be_header => {
                return events.push(ParseEvent::Repaired(Repair::HeaderCut { header: all }));
            }
            Ending::Finish(_) => true,
        };
        if split.text.is_empty() && says_nothing {
            return events.push(ParseEvent::Repaired(Repair::HeaderCut { header: all }));
        }
        events.extend(repairs.into_iter().map(ParseEvent::Repaired));
        let header = self.headerless(header, Repair::MissingMessage, Some(ending), events);
        self.begin_message(header, &split.text, events);
        if let State::Content { header, text, utf8 } =
            std::mem::replace(&mut self.state, State::ExpectStart)
        {
            self.end_message(header, (text, utf8), ending.message_end(), events);
        }
    }

    /// A header that is too long to be one.
    fn give_up_header(
        &mut self,
        origin: Origin,
        buffer: &HeaderBuffer,
        events: &mut Vec<ParseEvent>,
    ) {
        let split = split(buffer.pieces(), origin);
        let (header, repairs) = self.read_header(&split.header, origin);
        events.extend(repairs.into_iter().map(ParseEvent::Repaired));
        let repair = Repair::HeaderTooLong { tokens: HEADER_TOKENS_MAX };
        let header = self.headerless(header, repair, None, events);
        self.begin_message(header, &split.text, events);
    }

    /// The header of a text without `<|message|>`: the assistant's text without a channel is an
    /// answer, unless it stands between pieces of reasoning.
    fn headerless(
        &self,
        mut header: MessageHeader,
        repair: Repair,
        ending: Option<Ending>,
        events: &mut Vec<ParseEvent>,
    ) -> MessageHeader {
        let is_bare = header.role == Role::Assistant
            && header.channel.is_none()
            && header.recipient.is_none();
        if is_bare {
            let channel = if self.in_reasoning(ending) { "analysis" } else { "final" };
            header.channel = Some(channel.to_owned());
            events.push(ParseEvent::Repaired(Repair::BareText { channel }));
        }
        if !is_bare || repair != Repair::MissingMessage {
            events.push(ParseEvent::Repaired(repair));
        }
        header
    }

    /// Whether text without a header belongs to the reasoning before it: something follows, or
    /// it was torn off by `<|start|>`. An answer is what generation stops after.
    fn in_reasoning(&self, ending: Option<Ending>) -> bool {
        let last_channel = self.messages.last().and_then(|last| last.channel.as_deref());
        let goes_on = [Ending::NextStart, Ending::Token(MessageEnd::End)];
        let is_between = ending.is_some_and(|ending| goes_on.contains(&ending));
        last_channel == Some("analysis")
            && (is_between || self.last_end == Some(MessageEnd::NextStart))
    }

    fn read_header(&self, pieces: &[Piece], origin: Origin) -> (MessageHeader, Vec<Repair>) {
        read_header(pieces, origin, self.tools.as_deref())
    }

    fn count(&mut self, events: Vec<ParseEvent>) -> Vec<ParseEvent> {
        let repairs = events.iter().filter(|event| matches!(event, ParseEvent::Repaired(_)));
        self.repair_count += repairs.count();
        events
    }
}

/// What came in place of `<|message|>`.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Ending {
    /// A token that ends messages.
    Token(MessageEnd),
    /// `<|start|>`.
    NextStart,
    /// Nothing more.
    Finish(MessageEnd),
}

impl Ending {
    fn message_end(self) -> MessageEnd {
        match self {
            Self::Token(end) | Self::Finish(end) => end,
            Self::NextStart => MessageEnd::NextStart,
        }
    }
}

fn token(encoding: &HarmonyEncoding, id: TokenId) -> Token<'_> {
    let special = encoding.special();
    if id == special.start {
        Token::Start
    } else if id == special.message {
        Token::Message
    } else if id == special.channel {
        Token::Marker(Piece::Channel)
    } else if id == special.constrain {
        Token::Marker(Piece::Constrain)
    } else if id == special.end {
        Token::End(MessageEnd::End, "<|end|>")
    } else if id == special.return_ {
        Token::End(MessageEnd::Return, "<|return|>")
    } else if id == special.call {
        Token::End(MessageEnd::Call, "<|call|>")
    } else if Some(id) == special.end_of_text {
        Token::End(MessageEnd::Eos, "<|endoftext|>")
    } else {
        encoding.tokenizer().token_bytes(id).map_or(Token::Unknown, Token::Text)
    }
}

fn stop(end: MessageEnd) -> Option<ParseEvent> {
    match end {
        MessageEnd::Return => Some(ParseEvent::Stop(StopReason::Return)),
        MessageEnd::Call => Some(ParseEvent::Stop(StopReason::Call)),
        MessageEnd::Eos => Some(ParseEvent::Stop(StopReason::EndOfText)),
        _ => None,
    }
}
