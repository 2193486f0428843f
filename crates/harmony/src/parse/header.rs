//! A header to its fields, with every deviation read as the nearest thing that makes sense.

use crate::conversation::Role;
use crate::encoding::CONSTRAIN;
use crate::parse::channel::{CHANNELS, nearest_channel};
use crate::parse::event::MessageHeader;
use crate::parse::header_buffer::{Part, Piece, Word, parts};
use crate::parse::repair::Repair;

/// How the header began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// The prompt ended with `<|start|>` and this role.
    Prompt(Role),
    /// After `<|start|>`.
    Start,
    /// Without `<|start|>`.
    Implicit,
}

/// Reads the pieces before `<|message|>`; `tools` are the declared ones, if they are known.
pub(crate) fn read_header(
    pieces: &[Piece],
    origin: Origin,
    tools: Option<&[String]>,
) -> (MessageHeader, Vec<Repair>) {
    let mut parts = parts(pieces);
    let mut reader = Reader {
        header: MessageHeader::of(Role::Assistant),
        repairs: Vec::new(),
        tools,
        has_channel: parts.len() > 1,
    };
    if origin == Origin::Implicit {
        reader.repairs.push(Repair::ImplicitStart);
    }
    reader.read_role(&mut parts, origin);
    reader.read_channel(&mut parts);
    reader.read_words(parts);
    reader.check_recipient();
    (reader.header, reader.repairs)
}

struct Reader<'a> {
    header: MessageHeader,
    repairs: Vec<Repair>,
    tools: Option<&'a [String]>,
    has_channel: bool,
}

impl Reader<'_> {
    /// Takes role and name from the words before the channel.
    fn read_role(&mut self, parts: &mut [Part], origin: Origin) {
        let addressed_to_tool = parts
            .iter()
            .flat_map(|part| &part.words)
            .any(|word| matches!(word, Word::To(recipient) if self.is_tool(recipient)));
        let addressed =
            parts.iter().flat_map(|part| &part.words).any(|word| matches!(word, Word::To(_)));
        let words = &mut parts[0].words;
        let first = match words.first() {
            Some(Word::Plain(word)) => Some(word.clone()),
            _ => None,
        };
        let written = first.as_deref().and_then(role_and_name);
        match (origin, written, first) {
            (Origin::Prompt(role), written, _) => {
                self.header.role = role;
                // The model repeats the role that the prompt has given.
                if let Some((_, name)) = written.filter(|(again, _)| *again == role) {
                    self.header.name = name;
                    words.remove(0);
                }
            }
            (_, Some((role, name)), _) => {
                self.header.role = role;
                // A tool is known by its name, so the bare word is the best name there is.
                let unnamed = (role == Role::Tool).then(|| role.as_str().to_owned());
                self.header.name = name.or(unnamed);
                words.remove(0);
            }
            // A tool answers under its own name, to the assistant.
            (Origin::Start, None, Some(word))
                if (addressed || self.is_tool(&word)) && !addressed_to_tool =>
            {
                self.set_tool(word, words);
            }
            (Origin::Implicit, None, Some(word))
                if addressed && self.is_tool(&word) && !addressed_to_tool =>
            {
                self.set_tool(word, words);
            }
            (Origin::Start, None, Some(word)) => {
                let rest = word.strip_prefix(Role::Assistant.as_str());
                if let Some(channel) = rest.filter(|rest| CHANNELS.contains(rest)) {
                    words[0] = Word::Plain(channel.to_owned());
                } else if CHANNELS.contains(&word.as_str()) {
                    self.repairs.push(Repair::MissingRole);
                } else {
                    words.remove(0);
                    self.repairs.push(Repair::UnknownRole { found: word });
                }
            }
            (Origin::Start, None, None) => self.repairs.push(Repair::MissingRole),
            (Origin::Implicit, None, _) => {}
        }
    }

    fn set_tool(&mut self, name: String, words: &mut Vec<Word>) {
        self.header.role = Role::Tool;
        self.header.name = Some(name);
        words.remove(0);
    }

    /// Takes the channel: the last one, by its nearest name if the assistant speaks.
    fn read_channel(&mut self, parts: &mut [Part]) {
        let mut found: Option<String> = None;
        for part in &mut parts[1..] {
            let Some(Word::Plain(name)) = part.words.first() else { continue };
            let mut name = name.clone();
            part.words.remove(0);
            // `commentaryto=functions.f`
            if let Some((before, recipient)) = name.clone().split_once("to=") {
                part.words.insert(0, Word::To(recipient.to_owned()));
                let used = before.to_owned();
                self.repairs.push(Repair::UnknownChannel { found: name, used: used.clone() });
                name = used;
            }
            if part.indented {
                self.repairs.push(Repair::ChannelWhitespace);
            }
            if let Some(dropped) = found.replace(name) {
                self.repairs.push(Repair::ChannelReplaced { dropped });
            }
        }
        if self.header.role != Role::Assistant {
            self.header.channel = found;
        } else if self.has_channel {
            let found = found.unwrap_or_default();
            if CHANNELS.contains(&found.as_str()) {
                self.header.channel = Some(found);
            } else {
                let used = nearest_channel(&found).to_owned();
                self.header.channel = Some(used.clone());
                self.repairs.push(Repair::UnknownChannel { found, used });
            }
        } else if let Some(Word::Plain(word)) = parts[0].words.first()
            && CHANNELS.contains(&word.as_str())
        {
            let channel = word.clone();
            parts[0].words.remove(0);
            self.repairs.push(Repair::MissingChannelMarker { channel: channel.clone() });
            self.header.channel = Some(channel);
        }
    }

    /// Takes recipient and content type from the words that are left.
    fn read_words(&mut self, parts: Vec<Part>) {
        let last_part = parts.len() - 1;
        let (mut recipients, mut types, mut plain) = (Vec::new(), Vec::new(), Vec::new());
        for (i, part) in parts.into_iter().enumerate() {
            for word in part.words {
                match word {
                    // Before a second channel, the assistant's address of itself means nothing.
                    Word::To(name)
                        if self.header.role == Role::Assistant
                            && name == Role::Assistant.as_str()
                            && (1..last_part).contains(&i) =>
                    {
                        self.repairs.push(Repair::RecipientReplaced { dropped: name });
                    }
                    Word::To(name) => recipients.push(name),
                    Word::Constrain(name) => types.push(name),
                    Word::Plain(word) => plain.push(word),
                }
            }
        }
        self.set_recipient(recipients, &mut plain);
        self.set_content_type(types, &mut plain);
        if !plain.is_empty() {
            self.repairs.push(Repair::ExtraWords { words: plain.join(" ") });
        }
    }

    fn set_recipient(&mut self, recipients: Vec<String>, plain: &mut Vec<String>) {
        for recipient in recipients {
            match self.header.recipient.replace(recipient.clone()) {
                None => {}
                Some(before) if before == recipient => {
                    self.repairs.push(Repair::RecipientTwice { recipient });
                }
                Some(dropped) => self.repairs.push(Repair::RecipientReplaced { dropped }),
            }
        }
        // Also `to= functions.f`, where the recipient so far is empty.
        if self.header.recipient.as_deref().unwrap_or_default().is_empty()
            && let Some(i) = plain.iter().position(|word| self.is_tool(word))
        {
            self.set_recipient_without_to(plain.remove(i));
        }
    }

    fn set_recipient_without_to(&mut self, recipient: String) {
        self.repairs.push(Repair::RecipientWithoutTo { recipient: recipient.clone() });
        self.header.recipient = Some(recipient);
    }

    fn set_content_type(&mut self, types: Vec<String>, plain: &mut Vec<String>) {
        let constrained = !types.is_empty();
        for name in types {
            let content_type = format!("{CONSTRAIN}{name}");
            if let Some(dropped) = self.header.content_type.replace(content_type) {
                self.repairs.push(Repair::ContentTypeReplaced { dropped });
            }
        }
        // Where no tools are declared, a word before the content type is the recipient, as
        // openai-harmony reads it; where they are, only a declared one is.
        let words_of_recipient_and_type = if constrained { 1 } else { 2 };
        if plain.len() == words_of_recipient_and_type
            && self.header.recipient.is_none()
            && self.tools.is_none()
        {
            self.set_recipient_without_to(plain.remove(0));
        }
        if !constrained && plain.len() == 1 {
            self.header.content_type = plain.pop();
        }
    }

    /// Completes a function's bare name and reports a call of a tool that nobody declared.
    fn check_recipient(&mut self) {
        let called = self.header.called_tool().map(str::to_owned);
        let (Some(tools), Some(recipient)) = (self.tools, called) else { return };
        let is_declared = |name: &String| tools.contains(name);
        let used = format!("functions.{recipient}");
        if is_declared(&recipient) {
            return;
        }
        if is_declared(&used) {
            self.header.recipient = Some(used.clone());
            self.repairs.push(Repair::MissingNamespace { found: recipient, used });
        } else {
            self.repairs.push(Repair::UndeclaredTool { recipient });
        }
    }

    /// Whether the word is a tool's full name: a declared one, or one of the form that tools have.
    fn is_tool(&self, word: &str) -> bool {
        const NAMESPACES: [&str; 4] = ["functions", "browser", "python", "container"];
        let namespace = word.split('.').next().unwrap_or_default();
        NAMESPACES.contains(&namespace)
            || self.tools.is_some_and(|tools| tools.iter().any(|tool| tool == word))
    }
}

/// `user` or `user:bob`.
fn role_and_name(word: &str) -> Option<(Role, Option<String>)> {
    match word.split_once(':') {
        None => Some((Role::from_word(word)?, None)),
        Some((role, name)) => Some((Role::from_word(role)?, Some(name.to_owned()))),
    }
}
