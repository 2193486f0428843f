//! Events of the engine to pieces of an answer.
//!
//! Nothing that a model writes is an error here: the parser repairs, the reader counts. Text for
//! nobody we know of, such as a call although no tool was offered, is shown to the user rather than
//! lost; reasoning never is.

use std::collections::VecDeque;
use std::sync::Arc;

use gptoss_engine::{BatchEvent, Step, StopStrings, TextKind};
use gptoss_harmony::parse::{AnswerParser, MessageEnd, MessageHeader, ParseEvent, ParseState};
use gptoss_harmony::{ChatFormat, Role, Tokenizer};

use crate::conversation::names;
use crate::conversation::prompt::Prompt;
use crate::error::ApiError;
use crate::output::logprobs::TokenLogprob;
use crate::output::piece::{Finish, Kind, Outcome, Piece};
use crate::output::usage::Counts;

/// How an answer is read.
#[derive(Clone, Debug)]
pub(crate) struct Reading {
    /// The answer ends before the first of these.
    pub(crate) stop: Vec<String>,
    /// Whether several calls may come in one answer.
    pub(crate) parallel_calls: bool,
    /// Whether a tool was offered.
    pub(crate) has_tools: bool,
}

/// Reads one answer.
pub(crate) struct Reader {
    parser: AnswerParser,
    tokenizer: Arc<Tokenizer>,
    reading: Reading,
    stop: StopStrings,
    /// What the message is that has begun; `None` between messages and for other roles.
    kind: Option<Kind>,
    /// Whether [`Piece::Begin`] was given out for it.
    has_begun: bool,
    logprobs: PendingLogprobs,
    calls: usize,
    /// Set when the answer is complete although the model has not said so.
    is_done: bool,
    counts: Counts,
    repairs: Vec<&'static str>,
    outcome: Option<Outcome>,
}

/// Tokens of the message whose text was not given out yet.
#[derive(Default)]
struct PendingLogprobs {
    /// With the byte of the message's text at which each begins.
    tokens: VecDeque<(usize, TokenLogprob)>,
    bytes: usize,
    shown_bytes: usize,
}

impl PendingLogprobs {
    fn push(&mut self, token: TokenLogprob) {
        let bytes = token.bytes.len();
        self.tokens.push_back((self.bytes, token));
        self.bytes += bytes;
    }

    /// The tokens that begin within `text`, which is shown next.
    fn take(&mut self, text: &str) -> Vec<TokenLogprob> {
        self.shown_bytes += text.len();
        let shown = self.tokens.partition_point(|(start, _)| *start < self.shown_bytes);
        self.tokens.drain(..shown).map(|(_, token)| token).collect()
    }
}

impl Reader {
    /// A reader of the answer to `prompt`.
    pub(crate) fn new(format: &ChatFormat, prompt: &Prompt, reading: Reading) -> Reader {
        let (parser, events) = AnswerParser::begin(format, prompt.tools.clone(), &prompt.prefill);
        let mut reader = Reader {
            parser,
            tokenizer: format.tokenizer().clone(),
            stop: StopStrings::new(reading.stop.clone()),
            reading,
            kind: None,
            has_begun: false,
            logprobs: PendingLogprobs::default(),
            calls: 0,
            is_done: false,
            counts: Counts { prompt: prompt.ids.len(), ..Counts::default() },
            repairs: Vec::new(),
            outcome: None,
        };
        for event in events {
            reader.translate(event, &mut Vec::new());
        }
        reader
    }

    /// What an event brings. After [`Reader::outcome`] is set nothing more is read.
    ///
    /// # Errors
    /// If the engine failed or is going to end.
    pub(crate) fn push(&mut self, event: BatchEvent) -> Result<Vec<Piece>, ApiError> {
        let mut pieces = Vec::new();
        if self.outcome.is_some() {
            return Ok(pieces);
        }
        match event {
            BatchEvent::Started { cached_tokens } => self.counts.cached = cached_tokens,
            BatchEvent::Token(step) => self.token(&step, &mut pieces),
            BatchEvent::Done(done) => {
                let reason = Finish::of(done.stop)?;
                self.finish(reason, &mut pieces);
            }
            BatchEvent::PromptLogprobs(_) | BatchEvent::Embedding(_) => {}
        }
        Ok(pieces)
    }

    /// How the answer ended; `None` while it goes on.
    pub(crate) fn outcome(&self) -> Option<Outcome> {
        self.outcome
    }

    /// Tokens so far.
    pub(crate) fn counts(&self) -> Counts {
        self.counts
    }

    /// Kinds of deviations from the format that were repaired.
    pub(crate) fn repairs(&self) -> &[&'static str] {
        &self.repairs
    }

    fn token(&mut self, step: &Step, pieces: &mut Vec<Piece>) {
        self.counts.completion += 1;
        let in_text = self.parser.state() == ParseState::Content;
        if in_text && self.kind == Some(Kind::Reasoning) {
            self.counts.reasoning += 1;
        }
        let events = self.parser.push(step.token);
        let is_text = in_text && self.parser.state() == ParseState::Content;
        if is_text
            && self.is_visible()
            && let Some(token) = TokenLogprob::of(step, &self.tokenizer)
        {
            self.logprobs.push(token);
        }
        for event in events {
            self.translate(event, pieces);
        }
        if self.stop.found() || self.is_done {
            self.finish(Finish::Stop, pieces);
        }
    }

    /// Ends the answer; what is complete but for the model's word counts as a stop.
    fn finish(&mut self, reason: Finish, pieces: &mut Vec<Piece>) {
        let end = match reason {
            Finish::Length => MessageEnd::Length,
            Finish::Stop | Finish::ToolCalls => MessageEnd::Eos,
        };
        for event in self.parser.finish(end) {
            self.translate(event, pieces);
        }
        let reason = match reason {
            Finish::Stop if self.calls > 0 => Finish::ToolCalls,
            reason => reason,
        };
        self.outcome = Some(Outcome { reason, counts: self.counts });
    }

    fn translate(&mut self, event: ParseEvent, pieces: &mut Vec<Piece>) {
        match event {
            ParseEvent::MessageStart(header) => self.start(&header, pieces),
            ParseEvent::TextDelta(text) => self.text(text, pieces),
            ParseEvent::MessageEnd { message, end } => {
                self.end(end, pieces);
                // The final message is the last of an answer, even if it ends like an earlier one.
                let is_final = message.channel.as_deref() == Some("final");
                self.is_done |= is_final && message.role == Role::Assistant;
            }
            ParseEvent::Repaired(repair) => self.repairs.push(repair.kind()),
            _ => {}
        }
    }

    fn start(&mut self, header: &MessageHeader, pieces: &mut Vec<Piece>) {
        self.has_begun = false;
        self.logprobs = PendingLogprobs::default();
        if header.role != Role::Assistant {
            // A model that begins to speak for somebody else has said what it had to say.
            self.is_done = true;
            self.kind = None;
            return;
        }
        let kind = match (TextKind::of(header), header.called_tool()) {
            (TextKind::ToolCall, Some(tool)) if self.reading.has_tools => {
                Kind::Call(names::tool(tool))
            }
            (TextKind::ToolCall | TextKind::Preamble, _) => Kind::Preamble,
            (TextKind::Answer, _) => Kind::Answer,
            (TextKind::Reasoning, _) => Kind::Reasoning,
        };
        self.kind = Some(kind);
        if matches!(self.kind, Some(Kind::Call(_))) {
            self.begin(pieces);
        }
    }

    fn begin(&mut self, pieces: &mut Vec<Piece>) {
        if let Some(kind) = self.kind.clone().filter(|_| !self.has_begun) {
            self.has_begun = true;
            pieces.push(Piece::Begin(kind));
        }
    }

    fn is_visible(&self) -> bool {
        matches!(self.kind, Some(Kind::Answer | Kind::Preamble))
    }

    fn text(&mut self, text: String, pieces: &mut Vec<Piece>) {
        if self.kind.is_none() {
            return;
        }
        let text = if self.is_visible() { self.stop.push(&text) } else { text };
        self.show(text, pieces);
    }

    fn show(&mut self, text: String, pieces: &mut Vec<Piece>) {
        if text.is_empty() {
            return;
        }
        self.begin(pieces);
        let tokens = self.logprobs.take(&text);
        pieces.push(Piece::Text { text, tokens });
    }

    fn end(&mut self, end: MessageEnd, pieces: &mut Vec<Piece>) {
        if self.is_visible() {
            let held = self.stop.finish();
            self.show(held, pieces);
        }
        match &self.kind {
            Some(Kind::Answer) => self.begin(pieces),
            Some(Kind::Call(_)) if end != MessageEnd::Length => {
                self.calls += 1;
                self.is_done |= !self.reading.parallel_calls;
            }
            _ => {}
        }
        if self.has_begun {
            pieces.push(Piece::End { is_complete: end != MessageEnd::Length });
        }
        self.kind = None;
        self.has_begun = false;
    }
}
