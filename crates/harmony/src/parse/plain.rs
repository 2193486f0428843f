//! The answer of a model without harmony: all that it generates up to a token that ends it.

use std::sync::Arc;

use crate::conversation::Role;
use crate::parse::event::{MessageEnd, MessageHeader, ParseEvent, ParseState, StopReason};
use crate::parse::repair::Repair;
use crate::tokenizer::{TokenId, Tokenizer, Utf8Stream};

/// Reads one answer, in the events of [`StreamParser`](crate::parse::StreamParser): one message on
/// `final`.
#[derive(Clone)]
pub struct PlainParser {
    tokenizer: Arc<Tokenizer>,
    stop_tokens: Vec<TokenId>,
    header: MessageHeader,
    text: String,
    utf8: Utf8Stream,
    has_begun: bool,
    has_ended: bool,
}

impl PlainParser {
    /// A parser that has seen nothing, for answers that `stop_tokens` end.
    pub fn new(tokenizer: Arc<Tokenizer>, stop_tokens: Vec<TokenId>) -> PlainParser {
        let channel = Some("final".to_owned());
        PlainParser {
            tokenizer,
            stop_tokens,
            header: MessageHeader { channel, ..MessageHeader::of(Role::Assistant) },
            text: String::new(),
            utf8: Utf8Stream::new(),
            has_begun: false,
            has_ended: false,
        }
    }

    /// The start of the message, the first time.
    pub fn begin(&mut self) -> Vec<ParseEvent> {
        match std::mem::replace(&mut self.has_begun, true) {
            true => Vec::new(),
            false => vec![ParseEvent::MessageStart(self.header.clone())],
        }
    }

    /// What the next id makes known; takes any id whatever. Special tokens that do not end the
    /// answer are no part of it, and neither are ids after its end.
    pub fn push(&mut self, id: TokenId) -> Vec<ParseEvent> {
        let mut events = self.begin();
        if self.has_ended {
            return events;
        }
        if self.stop_tokens.contains(&id) {
            events.extend(self.end(MessageEnd::Eos));
            events.push(ParseEvent::Stop(StopReason::EndOfText));
            return events;
        }
        match self.tokenizer.token_bytes(id) {
            Some(bytes) if self.tokenizer.is_special(id) => {
                let name = String::from_utf8_lossy(bytes).into_owned();
                events.push(ParseEvent::Repaired(Repair::SpecialToken { name }));
            }
            Some(bytes) => {
                let text = self.utf8.push(bytes);
                self.extend(text, &mut events);
            }
            None => events.push(ParseEvent::Repaired(Repair::UnknownToken { id })),
        }
        events
    }

    /// The end of an answer that no token has ended.
    pub fn finish(&mut self, end: MessageEnd) -> Vec<ParseEvent> {
        let mut events = self.begin();
        events.extend(self.end(end));
        events
    }

    /// Where it stands.
    pub fn state(&self) -> ParseState {
        if self.has_ended { ParseState::ExpectStart } else { ParseState::Content }
    }

    /// The header of the message whose text comes now.
    pub fn header(&self) -> Option<&MessageHeader> {
        (!self.has_ended).then_some(&self.header)
    }

    fn extend(&mut self, text: String, events: &mut Vec<ParseEvent>) {
        if !text.is_empty() {
            self.text.push_str(&text);
            events.push(ParseEvent::TextDelta(text));
        }
    }

    fn end(&mut self, end: MessageEnd) -> Vec<ParseEvent> {
        let mut events = Vec::new();
        if !std::mem::replace(&mut self.has_ended, true) {
            let rest = self.utf8.finish();
            self.extend(rest, &mut events);
            let message = self.header.clone().into_message(std::mem::take(&mut self.text));
            events.push(ParseEvent::MessageEnd { message, end });
        }
        events
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const END: TokenId = 200_007;

    fn parser() -> PlainParser {
        PlainParser::new(Tokenizer::o200k_harmony(), vec![END])
    }

    /// The kinds and texts of events.
    fn told(events: &[ParseEvent]) -> Vec<String> {
        let told = |event: &ParseEvent| match event {
            ParseEvent::MessageStart(header) => format!("start {:?}", header.channel),
            ParseEvent::TextDelta(text) => text.clone(),
            ParseEvent::MessageEnd { message, end } => {
                format!("{} {} {}", message.role, message.text(), end.as_str())
            }
            ParseEvent::Repaired(repair) => repair.kind().to_owned(),
            ParseEvent::Stop(reason) => format!("{reason:?}"),
        };
        events.iter().map(told).collect()
    }

    #[test]
    fn an_answer_is_one_message_that_a_stop_token_ends() {
        let mut parser = parser();
        let mut ids = Tokenizer::o200k_harmony().encode("Hi 😀");
        let mut events = Vec::new();
        assert!(parser.header().is_some() && parser.state() == ParseState::Content);
        // A special token in between, an id that there is none of, and one after the end.
        ids.insert(1, 200_006);
        ids.insert(2, 999_999);
        ids.extend([END, 13_225]);
        ids.into_iter().for_each(|id| events.extend(parser.push(id)));
        events.extend(parser.finish(MessageEnd::Length));
        let text = told(&events);
        assert_eq!(text[..4], ["start Some(\"final\")", "Hi", "special_token", "unknown_token"]);
        assert_eq!(text[text.len() - 2..], ["assistant Hi 😀 eos", "EndOfText"]);
        assert!(parser.header().is_none() && parser.state() == ParseState::ExpectStart);
    }

    #[test]
    fn what_is_cut_off_is_still_a_message() {
        let mut parser = parser();
        let ids = Tokenizer::o200k_harmony().encode("𓀀");
        assert_eq!(told(&parser.push(ids[0])), ["start Some(\"final\")"]);
        let ended = told(&parser.finish(MessageEnd::Length));
        assert_eq!(ended, ["\u{FFFD}", "assistant \u{FFFD} length"]);
        let mut parser = self::parser();
        assert_eq!(told(&parser.finish(MessageEnd::Eos)).len(), 2, "an empty answer is one");
    }
}
