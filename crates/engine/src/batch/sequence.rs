//! One request that is computed.

use std::ops::{ControlFlow, Range};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Instant;

use gptoss_harmony::TokenId;

use super::prefix::Found;
use super::request::{BatchDone, BatchEvent, BatchRequest, BatchStop};
use crate::forward::LogitRows;
use crate::generate::{Step, TokenLogprobs, logprobs};
use crate::kv_cache::{KvCache, PAGE};
use crate::sampler::{History, sample};

/// Tokens of a prompt that are computed together when the logits of all of them are wanted: with
/// a vocabulary of 201,088 they are 26 MB.
const LOGPROB_ROWS: usize = 32;

/// A request, its tokens, and how far it is.
pub(super) struct Sequence {
    request: BatchRequest,
    /// The prompt and what was generated.
    tokens: Vec<TokenId>,
    prompt_len: usize,
    cache: KvCache,
    history: History,
    generated: usize,
    /// Positions where a snapshot is to be kept, in order.
    marks: Vec<usize>,
    /// Sum of the prompt's last hidden states, in order of tokens, and how many they are.
    hidden: (Vec<f64>, usize),
    /// Tokens of the prompt whose log-probability was told; the first has none.
    told: usize,
    /// Larger for those that began later.
    pub(super) number: u64,
    pub(super) since: Instant,
    /// Set when nothing more is to be computed.
    pub(super) ended: Option<End>,
}

/// How a sequence ends.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum End {
    /// It is told so.
    Told(BatchStop),
    /// Nobody wants to hear of it.
    Unwanted,
}

/// See [`Sequence::prompt_scores`].
pub(super) struct PromptScores<'a> {
    prompt: &'a [TokenId],
    /// How many of the most likely tokens are wanted.
    top: usize,
}

impl PromptScores<'_> {
    /// Of the token behind `position`, whose logits these are.
    pub(super) fn logprobs(&self, position: usize, logits: &[f32]) -> TokenLogprobs {
        logprobs(logits, self.prompt[position + 1], self.top)
    }
}

/// What a panic said.
pub(super) fn panic_message(payload: &(dyn std::any::Any + Send)) -> String {
    let text = payload.downcast_ref::<&str>().map(|text| (*text).to_owned());
    let text = text.or_else(|| payload.downcast_ref::<String>().cloned());
    text.unwrap_or_else(|| "no message".to_owned())
}

impl Sequence {
    /// A request that nothing was computed of.
    pub(super) fn new(mut request: BatchRequest, cache: KvCache, number: u64) -> Sequence {
        let tokens = std::mem::take(&mut request.prompt);
        Sequence {
            prompt_len: tokens.len(),
            history: History::new(&tokens),
            request,
            tokens,
            cache,
            generated: 0,
            marks: Vec::new(),
            hidden: (Vec::new(), 0),
            told: 1,
            number,
            since: Instant::now(),
            ended: None,
        }
    }

    /// Begins, or begins again after [`Sequence::release`], where `found` is.
    ///
    /// Snapshots will be kept at `branch`, if it lies ahead, every `every` positions and at the
    /// prompt's end.
    pub(super) fn begin(&mut self, found: Option<Found>, branch: usize, every: usize) {
        self.hidden = (Vec::new(), 0);
        if let Some(Found { positions, pages, snapshot }) = found {
            self.cache.resume(pages, &snapshot, positions);
        }
        let positions = self.cache.positions();
        self.marks = (1..).map(|i| i * every).take_while(|at| *at < self.prompt_len).collect();
        self.marks.extend([branch, self.prompt_len]);
        self.marks.retain(|at| (positions + 1..=self.prompt_len).contains(at));
        self.marks.sort_unstable();
        self.marks.dedup();
    }

    /// Keeps a snapshot also at `position`.
    pub(super) fn mark(&mut self, position: usize) {
        if let Err(place) = self.marks.binary_search(&position) {
            self.marks.insert(place, position);
        }
    }

    /// Gives the pages back; what was computed will be computed again.
    pub(super) fn release(&mut self) {
        self.cache.release();
    }

    /// Forgets all but the cache, which another request can use; `None` if what it was told to
    /// panics even when it is forgotten.
    pub(super) fn into_cache(mut self) -> Option<KvCache> {
        self.cache.release();
        let forget = AssertUnwindSafe(move || {
            let Sequence { cache, request, .. } = self;
            drop(request);
            cache
        });
        catch_unwind(forget).ok()
    }

    pub(super) fn cache(&self) -> &KvCache {
        &self.cache
    }

    pub(super) fn cache_mut(&mut self) -> &mut KvCache {
        &mut self.cache
    }

    /// The cache, and tokens to be appended to it.
    pub(super) fn cache_and_tokens(&mut self, n: usize) -> (&mut KvCache, &[TokenId]) {
        let from = self.cache.positions();
        (&mut self.cache, &self.tokens[from..from + n])
    }

    /// The prompt and what was generated.
    pub(super) fn tokens(&self) -> &[TokenId] {
        &self.tokens
    }

    pub(super) fn prompt(&self) -> &[TokenId] {
        &self.tokens[..self.prompt_len]
    }

    /// Whether the prompt is not computed yet.
    pub(super) fn is_in_prompt(&self) -> bool {
        self.cache.positions() < self.prompt_len
    }

    /// Tokens that are there and not computed; never 0 while it goes on.
    pub(super) fn remaining(&self) -> usize {
        self.tokens.len() - self.cache.positions()
    }

    /// Tokens to be computed together at most: up to the next mark, and not too many whose logits
    /// are all wanted.
    pub(super) fn piece_max(&self) -> usize {
        let positions = self.cache.positions();
        let mark = self.marks.iter().find(|mark| **mark > positions);
        let piece = mark.map_or(self.remaining(), |mark| mark - positions);
        let rows = match self.request.prompt_logprobs.is_some() && self.told < self.prompt_len {
            // What was told before it lost its pages is computed without logits.
            true if positions + 1 < self.told => self.told - 1 - positions,
            true => LOGPROB_ROWS,
            false => usize::MAX,
        };
        piece.min(self.remaining()).min(rows)
    }

    /// Whether something of every token of the prompt is still to be told, so that none may be
    /// left out.
    pub(super) fn needs_all(&self) -> bool {
        let embeds = self.request.embed && self.generated == 0;
        embeds || self.request.prompt_logprobs.is_some() && self.told < self.prompt_len
    }

    fn wants_prompt_rows(&self) -> bool {
        self.request.prompt_logprobs.is_some()
            && self.told < self.prompt_len
            && self.cache.positions() + 1 >= self.told
    }

    /// Whether the last hidden states of the next tokens are wanted.
    pub(super) fn wants_hidden(&self) -> bool {
        self.request.embed && self.is_in_prompt() && self.generated == 0
    }

    /// Which logits of the next `n` tokens are wanted.
    pub(super) fn rows(&self, n: usize) -> LogitRows {
        match n == self.remaining() && self.generated < self.request.max_tokens {
            _ if self.wants_prompt_rows() => LogitRows::All,
            true => LogitRows::Last,
            false => LogitRows::None,
        }
    }

    /// Pages that it will need for what is there and one more token, beside those it has.
    pub(super) fn pages_missing(&self) -> usize {
        (self.tokens.len() + 1).div_ceil(PAGE).saturating_sub(self.cache.pages().len())
    }

    /// Asks whether anybody still waits for it.
    pub(super) fn check_wanted(&mut self) {
        if !is_wanted(&mut self.request) {
            self.ended.get_or_insert(End::Unwanted);
        }
    }

    /// Tells what happened. If that panics, or nobody listens any more, it ends.
    pub(super) fn tell(&mut self, event: BatchEvent) {
        if self.ended.is_some() {
            return;
        }
        let sink = &mut self.request.sink;
        let told = catch_unwind(AssertUnwindSafe(|| sink.event(event)));
        if !matches!(told, Ok(ControlFlow::Continue(()))) {
            self.ended = Some(End::Unwanted);
        }
    }

    /// Takes the last hidden states of the next tokens, `[tokens, D]`.
    pub(super) fn add_hidden(&mut self, rows: &[f32], width: usize) {
        let (sum, count) = &mut self.hidden;
        sum.resize(width, 0.0);
        for row in rows.chunks_exact(width).take(self.prompt_len - *count) {
            for (sum, x) in sum.iter_mut().zip(row) {
                *sum += f64::from(*x);
            }
            *count += 1;
        }
    }

    /// Of `rows` positions from `from` on, those whose logits are about tokens of the prompt that
    /// were not told: position `p` is about token `p + 1`.
    pub(super) fn prompt_rows(&self, from: usize, rows: usize) -> Range<usize> {
        let last = (from + rows).min(self.prompt_len.saturating_sub(1));
        self.told.saturating_sub(1).clamp(from, last.max(from))..last.max(from)
    }

    /// What the log-probabilities of the prompt are computed with, on any thread.
    pub(super) fn prompt_scores(&self) -> PromptScores<'_> {
        let top = self.request.prompt_logprobs.unwrap_or_default();
        PromptScores { prompt: self.prompt(), top }
    }

    /// Counts tokens as computed, and tells what is known of the prompt by that.
    pub(super) fn computed(&mut self, prompt_logprobs: Vec<TokenLogprobs>) {
        if !prompt_logprobs.is_empty() {
            self.told += prompt_logprobs.len();
            self.tell(BatchEvent::PromptLogprobs(prompt_logprobs));
        }
        if self.hidden.1 == self.prompt_len {
            let (sum, count) = std::mem::take(&mut self.hidden);
            let mean = sum.iter().map(|sum| (sum / count as f64) as f32).collect();
            self.tell(BatchEvent::Embedding(mean));
        }
    }

    /// Whether a snapshot is to be kept where it stands.
    pub(super) fn takes_mark(&mut self) -> bool {
        let positions = self.cache.positions();
        let is_mark = self.marks.contains(&positions);
        self.marks.retain(|mark| *mark > positions);
        is_mark
    }

    /// Ends if its prompt was computed and nothing is to be generated.
    pub(super) fn end_without_tokens(&mut self) {
        if self.generated >= self.request.max_tokens {
            self.ended.get_or_insert(End::Told(BatchStop::MaxTokens));
        }
    }

    /// Chooses the next token from the logits (`[V]`) of the last one.
    ///
    /// # Errors
    /// What a constraint says; a panic of it is an error as well.
    pub(super) fn choose(&mut self, logits: &[f32]) -> Result<Step, String> {
        let position = self.tokens.len();
        let BatchRequest { sampling, constraint, top_logprobs, .. } = &mut self.request;
        let history = &self.history;
        let choose = AssertUnwindSafe(|| -> Result<Step, String> {
            let mut masked = logits.to_vec();
            if let Some(constraint) = constraint {
                constraint.mask(&mut masked)?;
            }
            let token = sample(sampling, history, position, &mut masked);
            if let Some(constraint) = constraint {
                constraint.accept(token)?;
            }
            let logprobs = top_logprobs.map(|n| logprobs(logits, token, n));
            Ok(Step { token, logprobs })
        });
        catch_unwind(choose).unwrap_or_else(|payload| Err(panic_message(&*payload)))
    }

    /// Takes a chosen token: tells it, and appends it unless it is the last.
    pub(super) fn take(&mut self, chosen: Result<Step, String>) {
        let step = match chosen {
            Ok(step) => step,
            Err(why) => {
                self.ended.get_or_insert(End::Told(BatchStop::Failed(why)));
                return;
            }
        };
        let token = step.token;
        self.history.push(token);
        self.generated += 1;
        self.tell(BatchEvent::Token(step));
        let stop = if self.request.stop_tokens.contains(&token) {
            BatchStop::StopToken(token)
        } else if self.generated >= self.request.max_tokens {
            BatchStop::MaxTokens
        } else if self.tokens.len() >= self.cache.context_length() {
            BatchStop::ContextFull
        } else {
            self.tokens.push(token);
            return;
        };
        self.ended.get_or_insert(End::Told(stop));
    }

    /// Tells how it ended, if anybody wants to know.
    pub(super) fn tell_end(&mut self) {
        let generated = self.generated;
        if let Some(End::Told(stop)) = self.ended.take() {
            self.tell(BatchEvent::Done(BatchDone { stop, generated }));
        }
        self.ended = Some(End::Unwanted);
    }
}

/// Whether anybody still waits for a request; who panics when asked does not.
pub(super) fn is_wanted(request: &mut BatchRequest) -> bool {
    let sink = &mut request.sink;
    catch_unwind(AssertUnwindSafe(|| sink.is_wanted())).unwrap_or(false)
}

/// Tells a request that was not begun how it ended; its sink may panic.
pub(super) fn tell_unbegun(mut request: BatchRequest, stop: BatchStop) {
    let done = BatchEvent::Done(BatchDone { stop, generated: 0 });
    let tell = AssertUnwindSafe(move || {
        let _ = request.sink.event(done);
        drop(request);
    });
    // A sink that panics has nobody to be told.
    let _ = catch_unwind(tell);
}
