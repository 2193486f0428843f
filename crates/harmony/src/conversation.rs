//! A conversation: messages, who wrote them, to whom and on which channel.
//!
//! The JSON of these types has the shape of openai-harmony's `to_dict`, so conversations move
//! between the two. Three shorter forms are read too, because they mean one thing only: a list
//! of messages instead of `{"messages": …}`, a string instead of a list of contents, and the
//! reasoning effort in lower case. A field that is not known is refused: ignoring `tool_calls`,
//! say, would change what was said.

use std::fmt;

use serde::de::{self, Deserializer};
use serde::ser::{SerializeMap, Serializer};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::instructions::{DeveloperContent, SystemContent};

/// Who wrote a message, in falling order of authority.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// The frame: identity, dates, reasoning effort, built-in tools, channels.
    System,
    /// What is elsewhere called the system prompt: instructions and function tools.
    Developer,
    /// The person.
    User,
    /// The model.
    Assistant,
    /// A tool's answer; the message is named after the tool.
    Tool,
}

impl Role {
    /// Every role, in falling order of authority.
    pub const ALL: [Self; 5] =
        [Self::System, Self::Developer, Self::User, Self::Assistant, Self::Tool];

    /// The word that stands for the role in a header.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::System => "system",
            Self::Developer => "developer",
            Self::User => "user",
            Self::Assistant => "assistant",
            Self::Tool => "tool",
        }
    }

    /// The role that `word` stands for.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.as_str() == word)
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for Role {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for Role {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let word = String::deserialize(deserializer)?;
        Self::from_word(&word).ok_or_else(|| {
            let known = Self::ALL.map(Self::as_str).join(", ");
            de::Error::custom(format!("field `role`: expected one of {known}, found `{word}`"))
        })
    }
}

/// Messages in the order in which they were said.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Conversation {
    /// The messages, oldest first.
    pub messages: Vec<Message>,
}

impl Conversation {
    /// A conversation of these messages.
    pub fn new(messages: Vec<Message>) -> Self {
        Self { messages }
    }

    /// The full names of all declared tools, as a recipient spells them: `functions.get_weather`,
    /// `browser.search`, and `python` for a namespace without tools of its own.
    pub fn tool_names(&self) -> Vec<String> {
        let mut names = Vec::new();
        for content in self.messages.iter().flat_map(|message| &message.content) {
            let namespaces = match content {
                Content::Text(_) => continue,
                Content::System(system) => &system.tools,
                Content::Developer(developer) => &developer.tools,
            };
            for namespace in namespaces.iter().flat_map(|map| map.values()) {
                if namespace.tools.is_empty() {
                    names.push(namespace.name.clone());
                }
                let tools = namespace.tools.iter();
                names.extend(tools.map(|tool| format!("{}.{}", namespace.name, tool.name)));
            }
        }
        names
    }
}

impl<'de> Deserialize<'de> for Conversation {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Fields {
            messages: Vec<Message>,
        }
        struct Visitor;
        impl<'de> de::Visitor<'de> for Visitor {
            type Value = Conversation;

            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("an object with `messages` or a list of messages")
            }
            fn visit_map<A: de::MapAccess<'de>>(self, map: A) -> Result<Conversation, A::Error> {
                let deserializer = de::value::MapAccessDeserializer::new(map);
                Ok(Conversation::new(Fields::deserialize(deserializer)?.messages))
            }
            fn visit_seq<A: de::SeqAccess<'de>>(self, seq: A) -> Result<Conversation, A::Error> {
                let deserializer = de::value::SeqAccessDeserializer::new(seq);
                Ok(Conversation::new(Vec::deserialize(deserializer)?))
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

/// One message: its header and its contents.
#[derive(Clone, Debug, PartialEq)]
pub struct Message {
    /// Who wrote it.
    pub role: Role,
    /// The tool's full name for [`Role::Tool`] (required there), else an optional user name.
    pub name: Option<String>,
    /// To whom it is addressed: a tool's full name for a call, `assistant` for a tool's answer.
    pub recipient: Option<String>,
    /// `analysis`, `commentary` or `final` for the assistant; usually absent for people.
    pub channel: Option<String>,
    /// The declared kind of the content, such as `json`, `code`, or `<|constrain|>json` where
    /// the special token stands before the word.
    pub content_type: Option<String>,
    /// What was said; the parts follow each other without a separator.
    pub content: Vec<Content>,
}

impl Message {
    /// A message of `role` that says `content`, with no other header field.
    pub fn new(role: Role, content: impl Into<Content>) -> Self {
        Self {
            role,
            name: None,
            recipient: None,
            channel: None,
            content_type: None,
            content: vec![content.into()],
        }
    }

    /// An assistant's message on `channel`.
    pub fn assistant(channel: impl Into<String>, text: impl Into<String>) -> Self {
        Self::new(Role::Assistant, text.into()).with_channel(channel)
    }

    /// The answer of the tool `name` to the assistant, on the channel of the call.
    pub fn tool_answer(
        name: impl Into<String>,
        channel: impl Into<String>,
        text: impl Into<String>,
    ) -> Self {
        Self::new(Role::Tool, text.into())
            .with_name(name)
            .with_recipient(Role::Assistant.as_str())
            .with_channel(channel)
    }

    /// The message with a name.
    #[must_use]
    pub fn with_name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// The message with a recipient.
    #[must_use]
    pub fn with_recipient(mut self, recipient: impl Into<String>) -> Self {
        self.recipient = Some(recipient.into());
        self
    }

    /// The message with a channel.
    #[must_use]
    pub fn with_channel(mut self, channel: impl Into<String>) -> Self {
        self.channel = Some(channel.into());
        self
    }

    /// The message with a content type.
    #[must_use]
    pub fn with_content_type(mut self, content_type: impl Into<String>) -> Self {
        self.content_type = Some(content_type.into());
        self
    }

    /// The full name of the tool that the message calls: the recipient of an assistant's message,
    /// unless that is everybody, a role or empty.
    pub fn called_tool(&self) -> Option<&str> {
        called_tool(self.role, self.recipient.as_deref())
    }

    /// The text of all text contents, joined; settings of system and developer are left out.
    pub fn text(&self) -> String {
        let texts = self.content.iter().filter_map(|content| match content {
            Content::Text(text) => Some(text.as_str()),
            Content::System(_) | Content::Developer(_) => None,
        });
        texts.collect()
    }
}

/// See [`Message::called_tool`].
pub(crate) fn called_tool(role: Role, recipient: Option<&str>) -> Option<&str> {
    let is_tool =
        |name: &&str| !name.is_empty() && *name != "all" && Role::from_word(name).is_none();
    recipient.filter(|_| role == Role::Assistant).filter(is_tool)
}

impl Serialize for Message {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        // `name` is written even when empty and the others are not, as openai-harmony does.
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("role", &self.role)?;
        map.serialize_entry("name", &self.name)?;
        map.serialize_entry("content", &self.content)?;
        let optional = [
            ("channel", &self.channel),
            ("recipient", &self.recipient),
            ("content_type", &self.content_type),
        ];
        for (key, value) in optional {
            if let Some(value) = value {
                map.serialize_entry(key, value)?;
            }
        }
        map.end()
    }
}

impl<'de> Deserialize<'de> for Message {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(rename = "message", deny_unknown_fields)]
        struct Fields {
            role: Role,
            name: Option<String>,
            recipient: Option<String>,
            channel: Option<String>,
            content_type: Option<String>,
            content: Contents,
        }
        let fields = Fields::deserialize(deserializer)?;
        Ok(Self {
            role: fields.role,
            name: fields.name,
            recipient: fields.recipient,
            channel: fields.channel,
            content_type: fields.content_type,
            content: fields.content.0,
        })
    }
}

/// A string, or a list of contents.
struct Contents(Vec<Content>);

impl<'de> Deserialize<'de> for Contents {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> de::Visitor<'de> for Visitor {
            type Value = Contents;

            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("field `content`: a string or a list of contents")
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Contents, E> {
                Ok(Contents(vec![Content::Text(text.to_owned())]))
            }
            fn visit_seq<A: de::SeqAccess<'de>>(self, seq: A) -> Result<Contents, A::Error> {
                let deserializer = de::value::SeqAccessDeserializer::new(seq);
                Ok(Contents(Vec::deserialize(deserializer)?))
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

/// One part of what a message says.
#[derive(Clone, Debug, PartialEq)]
pub enum Content {
    /// Plain text, taken as it is.
    Text(String),
    /// The settings of a system message; allowed there only.
    System(Box<SystemContent>),
    /// The instructions and tools of a developer message; allowed there only.
    Developer(Box<DeveloperContent>),
}

impl From<String> for Content {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<&str> for Content {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<SystemContent> for Content {
    fn from(system: SystemContent) -> Self {
        Self::System(Box::new(system))
    }
}

impl From<DeveloperContent> for Content {
    fn from(developer: DeveloperContent) -> Self {
        Self::Developer(Box::new(developer))
    }
}

impl Serialize for Content {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        #[serde(tag = "type")]
        enum Tagged<'a> {
            #[serde(rename = "text")]
            Text { text: &'a str },
            #[serde(rename = "system_content")]
            System(&'a SystemContent),
            #[serde(rename = "developer_content")]
            Developer(&'a DeveloperContent),
        }
        match self {
            Self::Text(text) => Tagged::Text { text },
            Self::System(system) => Tagged::System(system),
            Self::Developer(developer) => Tagged::Developer(developer),
        }
        .serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Content {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Text {
            text: String,
        }
        fn read<T: de::DeserializeOwned, E: de::Error>(kind: &str, value: Value) -> Result<T, E> {
            serde_json::from_value(value).map_err(|e| E::custom(format!("{kind}: {e}")))
        }
        let mut fields = serde_json::Map::deserialize(deserializer)?;
        let kind = fields.shift_remove("type");
        let fields = Value::Object(fields);
        match kind.as_ref().and_then(Value::as_str) {
            Some(kind @ "text") => Ok(Self::Text(read::<Text, _>(kind, fields)?.text)),
            Some(kind @ "system_content") => Ok(Self::System(read(kind, fields)?)),
            Some(kind @ "developer_content") => Ok(Self::Developer(read(kind, fields)?)),
            _ => Err(de::Error::custom(format!(
                "field `type` of a content: expected one of text, system_content, \
                 developer_content, found {}",
                kind.unwrap_or(Value::Null)
            ))),
        }
    }
}
