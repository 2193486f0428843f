//! Events of one sequence to a text with its log-probabilities.

use std::collections::VecDeque;
use std::sync::Arc;

use gptoss_engine::{BatchEvent, Step, StopStrings, TokenLogprobs};
use gptoss_harmony::{TokenId, Tokenizer, Utf8Stream};

use crate::completions::logprobs::{CompletionLogprobs, Entry};
use crate::error::ApiError;
use crate::output::piece::{Finish, Outcome};
use crate::output::usage::Counts;

/// What is known of a text before it is generated.
#[derive(Clone)]
pub(crate) struct TextPlan {
    pub(crate) prompt: Arc<[TokenId]>,
    /// How many tokens at its beginning are no part of the text.
    pub(crate) added: usize,
    pub(crate) stop: Vec<String>,
    pub(crate) stop_tokens: Vec<TokenId>,
    /// Whether the prompt is part of the text.
    pub(crate) echo: bool,
    pub(crate) logprobs: bool,
}

/// More of a text.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct TextPiece {
    pub(crate) text: String,
    pub(crate) logprobs: CompletionLogprobs,
}

/// Reads one sequence.
pub(crate) struct TextReader {
    tokenizer: Arc<Tokenizer>,
    plan: TextPlan,
    utf8: Utf8Stream,
    stop: StopStrings,
    /// Of the prompt's tokens from the second on.
    prompt_logprobs: Vec<TokenLogprobs>,
    is_echoed: bool,
    /// Entries that are not given out yet, with the byte of the generated text where they begin.
    entries: VecDeque<(usize, Entry)>,
    /// Characters of the whole text before the next token, and bytes of the generated text.
    offset: usize,
    bytes: usize,
    shown_bytes: usize,
    counts: Counts,
    outcome: Option<Outcome>,
}

impl TextReader {
    pub(crate) fn new(tokenizer: &Arc<Tokenizer>, plan: TextPlan) -> TextReader {
        let counts = Counts { prompt: plan.prompt.len(), ..Counts::default() };
        TextReader {
            tokenizer: tokenizer.clone(),
            utf8: Utf8Stream::new(),
            stop: StopStrings::new(plan.stop.clone()),
            plan,
            prompt_logprobs: Vec::new(),
            is_echoed: false,
            entries: VecDeque::new(),
            offset: 0,
            bytes: 0,
            shown_bytes: 0,
            counts,
            outcome: None,
        }
    }

    /// What an event brings.
    ///
    /// # Errors
    /// If the engine failed or is going to end.
    pub(crate) fn push(&mut self, event: BatchEvent) -> Result<TextPiece, ApiError> {
        let mut piece = TextPiece::default();
        if self.outcome.is_some() {
            return Ok(piece);
        }
        match event {
            BatchEvent::Started { cached_tokens } => self.counts.cached = cached_tokens,
            BatchEvent::PromptLogprobs(logprobs) => self.prompt_logprobs.extend(logprobs),
            BatchEvent::Embedding(_) => {}
            BatchEvent::Token(step) => {
                self.echo(&mut piece);
                self.token(&step, &mut piece);
            }
            BatchEvent::Done(done) => {
                self.echo(&mut piece);
                self.finish(Finish::of(done.stop)?, &mut piece);
            }
        }
        Ok(piece)
    }

    /// How the text ended; `None` while it goes on.
    pub(crate) fn outcome(&self) -> Option<Outcome> {
        self.outcome
    }

    /// Tokens so far.
    pub(crate) fn counts(&self) -> Counts {
        self.counts
    }

    /// Puts the prompt before the first token, once.
    fn echo(&mut self, piece: &mut TextPiece) {
        if !self.plan.echo || std::mem::replace(&mut self.is_echoed, true) {
            return;
        }
        let mut utf8 = Utf8Stream::new();
        let tokenizer = self.tokenizer.clone();
        let prompt = self.plan.prompt.clone();
        for (i, id) in prompt.iter().enumerate() {
            if self.plan.logprobs {
                let logprobs = i.checked_sub(1).and_then(|i| self.prompt_logprobs.get(i));
                piece.logprobs.push(Entry::new(&tokenizer, *id, logprobs, self.offset));
            }
            if i < self.plan.added {
                continue;
            }
            let text = utf8.push(tokenizer.token_bytes(*id).unwrap_or_default());
            self.offset += text.chars().count();
            piece.text += &text;
        }
        let rest = utf8.finish();
        self.offset += rest.chars().count();
        piece.text += &rest;
    }

    fn token(&mut self, step: &Step, piece: &mut TextPiece) {
        self.counts.completion += 1;
        if let Some(logprobs) = step.logprobs.as_ref().filter(|_| self.plan.logprobs) {
            let entry = Entry::new(&self.tokenizer, step.token, Some(logprobs), self.offset);
            self.entries.push_back((self.bytes, entry));
        }
        // The token that ends the text has its entry, but is no text.
        if self.plan.stop_tokens.contains(&step.token) {
            return;
        }
        let bytes = self.tokenizer.token_bytes(step.token).unwrap_or_default();
        self.bytes += bytes.len();
        let text = self.utf8.push(bytes);
        self.offset += text.chars().count();
        let text = self.stop.push(&text);
        self.show(text, piece);
        if self.stop.found() {
            self.end(Finish::Stop);
        }
    }

    /// Gives out text with the entries of the tokens that begin in it.
    fn show(&mut self, text: String, piece: &mut TextPiece) {
        self.shown_bytes += text.len();
        piece.text += &text;
        while let Some((start, _)) = self.entries.front()
            && *start < self.shown_bytes
            && let Some((_, entry)) = self.entries.pop_front()
        {
            piece.logprobs.push(entry);
        }
    }

    fn finish(&mut self, reason: Finish, piece: &mut TextPiece) {
        let rest = self.utf8.finish();
        let mut text = self.stop.push(&rest);
        let found = self.stop.found();
        text += &self.stop.finish();
        self.show(text, piece);
        if !found {
            self.entries.drain(..).for_each(|(_, entry)| piece.logprobs.push(entry));
        }
        self.end(if found { Finish::Stop } else { reason });
    }

    fn end(&mut self, reason: Finish) {
        self.outcome = Some(Outcome { reason, counts: self.counts });
    }
}
