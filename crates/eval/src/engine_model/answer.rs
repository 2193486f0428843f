//! Tokens to text: as it is, or the answer of a conversation apart from its reasoning.

use std::sync::Arc;

use gptoss_engine::{StopStrings, TextKind};
use gptoss_harmony::parse::{AnswerParser, MessageEnd, ParseEvent};
use gptoss_harmony::{ChatFormat, Role, TokenId, Tokenizer, Utf8Stream};

use crate::model::Generated;

/// Reads the tokens of one sequence.
pub(super) struct Answer {
    reading: Reading,
    /// What the message is that has begun.
    kind: Option<TextKind>,
    stop: StopStrings,
    text: String,
    reasoning: String,
    tokens: usize,
    is_complete: bool,
}

enum Reading {
    /// All is text. Special tokens are shown by name, but for those that end it.
    Plain { tokenizer: Arc<Tokenizer>, utf8: Utf8Stream, stop_tokens: Vec<TokenId> },
    /// Messages of the model's chat format.
    Chat(AnswerParser),
}

impl Answer {
    /// The continuation of a text, up to the first of `until`.
    pub(super) fn plain(
        tokenizer: &Arc<Tokenizer>,
        until: &[String],
        stop_tokens: Vec<TokenId>,
    ) -> Answer {
        let (tokenizer, utf8) = (tokenizer.clone(), Utf8Stream::new());
        Answer::new(Reading::Plain { tokenizer, utf8, stop_tokens }, until)
    }

    /// The answer in a conversation whose header begins with `prefill`, up to the first of `until`;
    /// reasoning may contain these.
    pub(super) fn chat(format: &ChatFormat, until: &[String], prefill: &[TokenId]) -> Answer {
        let (parser, _) = AnswerParser::begin(format, Vec::new(), prefill);
        let kind = parser.header().map(TextKind::of);
        Answer { kind, ..Answer::new(Reading::Chat(parser), until) }
    }

    fn new(reading: Reading, until: &[String]) -> Answer {
        Answer {
            reading,
            kind: None,
            stop: StopStrings::new(until.iter().cloned()),
            text: String::new(),
            reasoning: String::new(),
            tokens: 0,
            is_complete: false,
        }
    }

    /// Reads a token; tells whether nothing that follows would change the answer.
    pub(super) fn push(&mut self, token: TokenId) -> bool {
        self.tokens += 1;
        match &mut self.reading {
            Reading::Plain { tokenizer, utf8, stop_tokens } => {
                if !stop_tokens.contains(&token) {
                    let text = utf8.push(tokenizer.token_bytes(token).unwrap_or_default());
                    self.text += &self.stop.push(&text);
                }
            }
            Reading::Chat(parser) => {
                let events = parser.push(token);
                self.translate(events);
            }
        }
        self.stop.found() || self.is_complete
    }

    /// The whole; `truncated` if it ended because there were no tokens left.
    pub(super) fn finish(mut self, truncated: bool) -> Generated {
        let was_complete = self.is_complete;
        match &mut self.reading {
            Reading::Plain { utf8, .. } => {
                let text = utf8.finish();
                self.text += &self.stop.push(&text);
            }
            Reading::Chat(parser) => {
                let end = if truncated { MessageEnd::Length } else { MessageEnd::Eos };
                let events = parser.finish(end);
                self.translate(events);
            }
        }
        self.text += &self.stop.finish();
        let truncated = truncated && !self.stop.found() && !was_complete;
        Generated { text: self.text, reasoning: self.reasoning, tokens: self.tokens, truncated }
    }

    /// Takes what a token brought.
    fn translate(&mut self, events: Vec<ParseEvent>) {
        for event in events {
            match event {
                ParseEvent::MessageStart(header) => {
                    self.kind = Some(TextKind::of(&header));
                    // A model that begins to speak for somebody else has said what it had to say.
                    self.is_complete |= header.role != Role::Assistant;
                }
                ParseEvent::TextDelta(text) if !self.is_complete => match self.kind {
                    Some(TextKind::Answer) => self.text += &self.stop.push(&text),
                    Some(TextKind::Reasoning) => self.reasoning += &text,
                    _ => {}
                },
                // The final message is the last of an answer, even if it ends like an earlier one.
                ParseEvent::MessageEnd { message, .. } => {
                    self.kind = None;
                    self.is_complete |= message.channel.as_deref() == Some("final");
                }
                _ => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use gptoss_harmony::HarmonyEncoding;

    use super::*;

    fn read(mut answer: Answer, ids: &[TokenId], truncated: bool) -> (Generated, usize) {
        let used = ids.iter().position(|id| answer.push(*id)).map_or(ids.len(), |at| at + 1);
        (answer.finish(truncated), used)
    }

    fn plain(text: &str, until: &[&str], truncated: bool) -> Generated {
        let tokenizer = Tokenizer::o200k_harmony();
        let until: Vec<String> = until.iter().map(ToString::to_string).collect();
        let ids = tokenizer.encode_with_specials(text);
        let end = tokenizer.special("<|return|>").unwrap();
        read(Answer::plain(&tokenizer, &until, vec![end]), &ids, truncated).0
    }

    #[test]
    fn text_ends_before_the_first_stop_string() {
        let found = plain(" is 4.\n\nQuestion: more", &["Question:", "</s>"], false);
        assert_eq!((found.text.as_str(), found.truncated), (" is 4.\n\n", false));
        assert!(found.tokens < 9, "{found:?}");
        let found = plain(" née Ques", &["Question:"], true);
        assert_eq!((found.text.as_str(), found.truncated), (" née Ques", true));
        // What ends a text is no part of it; other special tokens are shown by name.
        assert_eq!(plain("a<|start|><|return|>", &[], false).text, "a<|start|>");
    }

    fn harmony(text: &str, prefill: &str, until: &[&str]) -> (Generated, usize) {
        let tokenizer = Tokenizer::o200k_harmony();
        let format = ChatFormat::Harmony(HarmonyEncoding::new(tokenizer.clone()).unwrap());
        let until: Vec<String> = until.iter().map(ToString::to_string).collect();
        let prefill = tokenizer.encode_with_specials(prefill);
        let ids = tokenizer.encode_with_specials(text);
        read(Answer::chat(&format, &until, &prefill), &ids, true)
    }

    #[test]
    fn reasoning_is_no_answer() {
        let said = "<|channel|>analysis<|message|>B? stop<|end|><|start|>assistant<|channel|>final\
                    <|message|>It is B. stop here<|return|>more";
        let (found, _) = harmony(said, "", &[]);
        assert_eq!(found.text, "It is B. stop here");
        assert_eq!((found.reasoning.as_str(), found.truncated), ("B? stop", false));
        assert_eq!(harmony(said, "", &["stop"]).0.text, "It is B. ");
        let (found, _) = harmony("C<|end|>", "<|channel|>final<|message|>", &[]);
        assert_eq!((found.text.as_str(), found.tokens), ("C", 2));
    }

    #[test]
    fn an_answer_that_is_cut_off_is_truncated() {
        let (found, _) = harmony("<|channel|>analysis<|message|>so it", "", &[]);
        assert_eq!((found.text.as_str(), found.truncated), ("", true));
        assert_eq!(found.reasoning, "so it");
        let (found, _) = harmony("<|channel|>final<|message|>so it", "", &[]);
        assert_eq!((found.text.as_str(), found.truncated), ("so it", true));
    }
}
