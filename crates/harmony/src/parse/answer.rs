//! The parser of an answer, whatever the format of the model.

use crate::chat_format::ChatFormat;
use crate::parse::event::{MessageEnd, MessageHeader, ParseEvent, ParseState};
use crate::parse::plain::PlainParser;
use crate::parse::{ParseOptions, StreamParser};
use crate::tokenizer::TokenId;

/// Reads one answer: a harmony stream, or plain text.
#[derive(Clone)]
pub enum AnswerParser {
    /// Of a model that speaks harmony.
    Harmony(Box<StreamParser>),
    /// Of one with a chat template.
    Plain(PlainParser),
}

impl AnswerParser {
    /// A parser of the answer to a prompt that ended with `prefill`, which belongs to the answer's
    /// header, and declared `tools`; and what is known of the answer before its first id.
    pub fn begin(
        format: &ChatFormat,
        tools: Vec<String>,
        prefill: &[TokenId],
    ) -> (AnswerParser, Vec<ParseEvent>) {
        match format {
            ChatFormat::Harmony(harmony) => {
                let mut parser = StreamParser::new(harmony, ParseOptions::completion(tools));
                let events = prefill.iter().flat_map(|id| parser.push(*id)).collect();
                (AnswerParser::Harmony(Box::new(parser)), events)
            }
            ChatFormat::Template(template) => {
                let tokenizer = template.tokenizer().clone();
                let mut parser = PlainParser::new(tokenizer, format.stop_tokens());
                let events = parser.begin();
                (AnswerParser::Plain(parser), events)
            }
        }
    }

    /// What the next id makes known.
    pub fn push(&mut self, id: TokenId) -> Vec<ParseEvent> {
        match self {
            AnswerParser::Harmony(parser) => parser.push(id),
            AnswerParser::Plain(parser) => parser.push(id),
        }
    }

    /// What the end of the ids makes known.
    pub fn finish(&mut self, end: MessageEnd) -> Vec<ParseEvent> {
        match self {
            AnswerParser::Harmony(parser) => parser.finish(end),
            AnswerParser::Plain(parser) => parser.finish(end),
        }
    }

    /// Where in a message it stands.
    pub fn state(&self) -> ParseState {
        match self {
            AnswerParser::Harmony(parser) => parser.state(),
            AnswerParser::Plain(parser) => parser.state(),
        }
    }

    /// The header of the message whose text comes now; `None` elsewhere.
    pub fn header(&self) -> Option<&MessageHeader> {
        match self {
            AnswerParser::Harmony(parser) => parser.header(),
            AnswerParser::Plain(parser) => parser.header(),
        }
    }
}
