//! What the parser tells while ids arrive, and what it was told before.

use crate::conversation::{Message, Role, called_tool};
use crate::parse::repair::Repair;

/// One thing that a pushed id has made known.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum ParseEvent {
    /// The header of a message is complete; its text follows.
    MessageStart(MessageHeader),
    /// More text of the message that has started: whole code points, never empty.
    TextDelta(String),
    /// The message is complete; the texts since its start are its content.
    MessageEnd {
        /// The whole message, with one text content.
        message: Message,
        /// What ended it.
        end: MessageEnd,
    },
    /// The ids deviated from the format and were read like this. Stands before the start or the
    /// end that it explains.
    Repaired(Repair),
    /// An answer must not be generated further. Ids that are pushed all the same are parsed, so
    /// that a recorded conversation with several calls is read whole.
    Stop(StopReason),
}

/// What stands before the text of a message, see [`Message`] for the fields.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MessageHeader {
    /// Who wrote it.
    pub role: Role,
    /// The tool for [`Role::Tool`], else an optional user name.
    pub name: Option<String>,
    /// To whom it is addressed; a tool's name makes the message a call.
    pub recipient: Option<String>,
    /// The channel. For the assistant one of the known names, or `None` if the header names none;
    /// see [`MessageHeader::is_for_user`].
    pub channel: Option<String>,
    /// The declared kind of the content.
    pub content_type: Option<String>,
}

impl MessageHeader {
    /// The full name of the tool that the message calls, see [`Message::called_tool`].
    pub fn called_tool(&self) -> Option<&str> {
        called_tool(self.role, self.recipient.as_deref())
    }

    /// Whether the assistant says this to the user: on `final`, before a call on `commentary`, or
    /// without any channel. Reasoning and calls are not.
    pub fn is_for_user(&self) -> bool {
        self.role == Role::Assistant
            && self.called_tool().is_none()
            && matches!(self.channel.as_deref(), None | Some("final" | "commentary"))
    }

    /// A header of which only the role is known.
    pub(crate) fn of(role: Role) -> Self {
        Self { role, name: None, recipient: None, channel: None, content_type: None }
    }

    /// The message with this header and `text`.
    pub(crate) fn into_message(self, text: String) -> Message {
        Message {
            role: self.role,
            name: self.name,
            recipient: self.recipient,
            channel: self.channel,
            content_type: self.content_type,
            content: vec![text.into()],
        }
    }
}

/// What ended a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum MessageEnd {
    /// `<|end|>`.
    End,
    /// `<|call|>`.
    Call,
    /// `<|return|>`.
    Return,
    /// `<|endoftext|>`, or a stream that was over.
    Eos,
    /// `<|start|>` of the next message.
    NextStart,
    /// The limit of tokens.
    Length,
    /// Somebody stopped the generation.
    Cancelled,
}

impl MessageEnd {
    /// The name in JSON, such as `next_start`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::End => "end",
            Self::Call => "call",
            Self::Return => "return",
            Self::Eos => "eos",
            Self::NextStart => "next_start",
            Self::Length => "length",
            Self::Cancelled => "cancelled",
        }
    }
}

/// Why generation must stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum StopReason {
    /// `<|return|>`: the answer is complete.
    Return,
    /// `<|call|>`: a tool has to answer first.
    Call,
    /// `<|endoftext|>`.
    EndOfText,
}

/// Where in a message the parser stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ParseState {
    /// Between messages.
    ExpectStart,
    /// Between `<|start|>` and `<|message|>`.
    Header,
    /// After `<|message|>`.
    Content,
}

impl ParseState {
    /// The name that openai-harmony's parser uses.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ExpectStart => "ExpectStart",
            Self::Header => "Header",
            Self::Content => "Content",
        }
    }
}
