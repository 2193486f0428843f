//! The deviations from the format that the parser reads all the same.

use std::fmt;

/// One deviation and how it was read; text that is in no message is kept here.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Repair {
    /// A message began without `<|start|>`; it was taken as the assistant's.
    ImplicitStart,
    /// `<|start|>` inside a text; it ended that message.
    StartInContent,
    /// `<|endoftext|>` inside a text; it ended the message.
    EndOfTextInContent,
    /// A token that ends a message, where no message was open; it was ignored.
    ExtraEnd {
        /// Name of the token.
        token: &'static str,
    },
    /// A header with nothing in it, ended before `<|message|>`; there is no message.
    EmptyHeader,
    /// A header that was cut off before its text began; there is no message.
    HeaderCut {
        /// The header as far as it came.
        header: String,
    },
    /// A header without `<|message|>`; what followed its fields became the text.
    MissingMessage,
    /// A header longer than any real one; what followed its fields became the text.
    HeaderTooLong {
        /// The number of tokens after which it was given up.
        tokens: usize,
    },
    /// Text without any header; it was put on this channel.
    BareText {
        /// `final`, or `analysis` where it may belong to reasoning.
        channel: &'static str,
    },
    /// White space between messages; it was ignored.
    StrayWhitespace {
        /// The white space.
        text: String,
    },
    /// A header without a role; it was taken as the assistant's.
    MissingRole,
    /// A role that is no role and no tool; it was taken as the assistant's.
    UnknownRole {
        /// The word in place of the role.
        found: String,
    },
    /// A channel without `<|channel|>` before it.
    MissingChannelMarker {
        /// The channel.
        channel: String,
    },
    /// White space between `<|channel|>` and the name; it was ignored.
    ChannelWhitespace,
    /// More than one channel; the last was taken.
    ChannelReplaced {
        /// The earlier one.
        dropped: String,
    },
    /// A channel that is none; the nearest was taken, or `analysis`.
    UnknownChannel {
        /// The name as it was written; empty if there was none.
        found: String,
        /// The channel that was taken.
        used: String,
    },
    /// The same recipient twice; it was taken once.
    RecipientTwice {
        /// The recipient.
        recipient: String,
    },
    /// Different recipients; the last was taken, and an assistant's message to itself is none.
    RecipientReplaced {
        /// The earlier one.
        dropped: String,
    },
    /// A recipient without `to=`.
    RecipientWithoutTo {
        /// The recipient.
        recipient: String,
    },
    /// A function's name without its namespace; the namespace was added.
    MissingNamespace {
        /// The name as it was written.
        found: String,
        /// The name that was taken.
        used: String,
    },
    /// A call of a tool that was not declared; it was left as it is.
    UndeclaredTool {
        /// The tool.
        recipient: String,
    },
    /// More than one content type; the last was taken.
    ContentTypeReplaced {
        /// The earlier one.
        dropped: String,
    },
    /// Words in a header that mean nothing; they were ignored.
    ExtraWords {
        /// The words, with a space between them.
        words: String,
    },
    /// A special token in an answer without harmony; it was ignored.
    SpecialToken {
        /// Its name.
        name: String,
    },
    /// An id that the vocabulary does not have; it was ignored.
    UnknownToken {
        /// The id.
        id: u32,
    },
}

impl Repair {
    /// The kind of deviation, to count by, such as `missing_message`.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::ImplicitStart => "implicit_start",
            Self::StartInContent => "start_in_content",
            Self::EndOfTextInContent => "end_of_text_in_content",
            Self::ExtraEnd { .. } => "extra_end",
            Self::EmptyHeader => "empty_header",
            Self::HeaderCut { .. } => "header_cut",
            Self::MissingMessage => "missing_message",
            Self::HeaderTooLong { .. } => "header_too_long",
            Self::BareText { .. } => "bare_text",
            Self::StrayWhitespace { .. } => "stray_whitespace",
            Self::MissingRole => "missing_role",
            Self::UnknownRole { .. } => "unknown_role",
            Self::MissingChannelMarker { .. } => "missing_channel_marker",
            Self::ChannelWhitespace => "channel_whitespace",
            Self::ChannelReplaced { .. } => "channel_replaced",
            Self::UnknownChannel { .. } => "unknown_channel",
            Self::RecipientTwice { .. } => "recipient_twice",
            Self::RecipientReplaced { .. } => "recipient_replaced",
            Self::RecipientWithoutTo { .. } => "recipient_without_to",
            Self::MissingNamespace { .. } => "missing_namespace",
            Self::UndeclaredTool { .. } => "undeclared_tool",
            Self::ContentTypeReplaced { .. } => "content_type_replaced",
            Self::ExtraWords { .. } => "extra_words",
            Self::SpecialToken { .. } => "special_token",
            Self::UnknownToken { .. } => "unknown_token",
        }
    }
}

impl fmt::Display for Repair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ImplicitStart => f.write_str("no <|start|>: read as the assistant's message"),
            Self::StartInContent => f.write_str("<|start|> inside a text: ended the message"),
            Self::EndOfTextInContent => {
                f.write_str("<|endoftext|> inside a text: ended the message")
            }
            Self::ExtraEnd { token } => write!(f, "{token} outside of a message: ignored"),
            Self::EmptyHeader => f.write_str("empty header: no message"),
            Self::HeaderCut { header } => write!(f, "header `{header}` cut off: no message"),
            Self::MissingMessage => f.write_str("no <|message|>: what followed the header is text"),
            Self::HeaderTooLong { tokens } => {
                write!(f, "no <|message|> within {tokens} tokens: what followed is text")
            }
            Self::BareText { channel } => write!(f, "text without a header: put on {channel}"),
            Self::StrayWhitespace { text } => {
                write!(f, "white space {text:?} between messages: ignored")
            }
            Self::MissingRole => f.write_str("no role: read as assistant"),
            Self::UnknownRole { found } => write!(f, "role `{found}`: read as assistant"),
            Self::MissingChannelMarker { channel } => {
                write!(f, "no <|channel|> before `{channel}`: read as the channel")
            }
            Self::ChannelWhitespace => f.write_str("white space before the channel: ignored"),
            Self::ChannelReplaced { dropped } => {
                write!(f, "channel `{dropped}` followed by another: dropped")
            }
            Self::UnknownChannel { found, used } => write!(f, "channel `{found}`: read as {used}"),
            Self::RecipientTwice { recipient } => {
                write!(f, "recipient `{recipient}` twice: taken once")
            }
            Self::RecipientReplaced { dropped } => {
                write!(f, "recipient `{dropped}` replaced: dropped")
            }
            Self::RecipientWithoutTo { recipient } => {
                write!(f, "no to= before `{recipient}`: read as the recipient")
            }
            Self::MissingNamespace { found, used } => {
                write!(f, "recipient `{found}`: read as {used}")
            }
            Self::UndeclaredTool { recipient } => {
                write!(f, "tool `{recipient}` is not declared: left as it is")
            }
            Self::ContentTypeReplaced { dropped } => {
                write!(f, "content type `{dropped}` followed by another: dropped")
            }
            Self::ExtraWords { words } => write!(f, "header words `{words}`: ignored"),
            Self::SpecialToken { name } => write!(f, "{name} inside an answer: ignored"),
            Self::UnknownToken { id } => {
                write!(f, "token id {id} is not in the vocabulary: ignored")
            }
        }
    }
}
