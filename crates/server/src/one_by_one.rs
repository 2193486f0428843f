//! A batcher that computes one request after the other, on a thread of its own.

use std::collections::VecDeque;
use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use gptoss_engine::{
    BatchDone, BatchEvent, BatchRequest, BatchStatus, BatchStop, Batcher, Engine, EngineError,
    History, Observer, Refused, Session, Step, TokenLogprobs, log_probabilities, sample,
};
use gptoss_harmony::TokenId;

/// Tokens whose logits are held at once for log-probabilities of a prompt.
const CHUNK: usize = 64;

/// Computes requests in the order of their arrival.
pub struct OneByOne {
    shared: Arc<Shared>,
    context_length: usize,
    vocab_size: usize,
}

struct Shared {
    state: Mutex<State>,
    changed: Condvar,
    queue: usize,
}

#[derive(Default)]
struct State {
    waiting: VecDeque<BatchRequest>,
    is_closed: bool,
    is_dropped: bool,
    status: BatchStatus,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl OneByOne {
    /// A batcher whose requests have `context_length` tokens, of which `queue` may wait.
    ///
    /// # Errors
    /// As [`Engine::session`].
    pub fn new(
        engine: &Engine,
        context_length: usize,
        queue: usize,
    ) -> Result<OneByOne, EngineError> {
        let session = engine.session(context_length)?;
        let (state, changed) = (Mutex::default(), Condvar::new());
        let shared = Arc::new(Shared { state, changed, queue });
        let worker = Worker { shared: shared.clone(), engine: engine.clone(), session };
        std::thread::spawn(move || worker.run());
        Ok(OneByOne { shared, context_length, vocab_size: engine.config().vocab_size })
    }
}

impl Batcher for OneByOne {
    fn submit(&self, request: BatchRequest) -> Result<(), Refused> {
        let (tokens, context_length) = (request.prompt.len(), self.context_length);
        if tokens + usize::from(request.max_tokens > 0) > context_length {
            return Err(EngineError::ContextFull { tokens, context_length }.into());
        }
        let vocab_size = self.vocab_size;
        if let Some(id) = request.prompt.iter().find(|id| **id as usize >= vocab_size) {
            return Err(EngineError::TokenId { id: *id, vocab_size }.into());
        }
        let mut state = self.shared.state();
        if state.is_closed {
            return Err(Refused::ShuttingDown);
        }
        let waiting = state.waiting.len();
        if waiting >= self.shared.queue {
            return Err(Refused::QueueFull { waiting, retry_after: 1 + waiting as u64 / 4 });
        }
        state.waiting.push_back(request);
        self.shared.changed.notify_one();
        Ok(())
    }

    fn status(&self) -> BatchStatus {
        let state = self.shared.state();
        BatchStatus { waiting: state.waiting.len(), ..state.status }
    }

    fn context_length(&self) -> usize {
        self.context_length
    }

    fn close(&self) {
        self.shared.state().is_closed = true;
    }
}

impl Drop for OneByOne {
    fn drop(&mut self) {
        let mut state = self.shared.state();
        state.is_closed = true;
        state.is_dropped = true;
        self.shared.changed.notify_one();
    }
}

struct Worker {
    shared: Arc<Shared>,
    engine: Engine,
    session: Session,
}

impl Worker {
    fn run(mut self) {
        while let Some(mut request) = self.next() {
            let done = catch_unwind(AssertUnwindSafe(|| self.compute(&mut request)));
            let failed = |message: &str| BatchStop::Failed(message.to_owned());
            let done = match done {
                Ok(ControlFlow::Break(())) => None,
                Ok(ControlFlow::Continue(done)) => Some(done),
                Err(_) => Some(BatchDone { stop: failed("the request failed"), generated: 0 }),
            };
            self.shared.state().status.running = 0;
            if let Some(done) = done {
                let event = AssertUnwindSafe(|| request.sink.event(BatchEvent::Done(done)));
                let _ = catch_unwind(event);
            }
        }
    }

    fn next(&self) -> Option<BatchRequest> {
        let mut state = self.shared.state();
        loop {
            if state.is_dropped {
                return None;
            }
            if let Some(request) = state.waiting.pop_front() {
                state.status.running = 1;
                return Some(request);
            }
            let changed = self.shared.changed.wait(state);
            state = changed.unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Computes a request; to break is to say nothing more.
    fn compute(&mut self, request: &mut BatchRequest) -> ControlFlow<(), BatchDone> {
        if !request.sink.is_wanted() {
            return ControlFlow::Break(());
        }
        let cached_tokens = match self.prefill(request) {
            Ok(cached_tokens) => cached_tokens?,
            Err(error) => {
                let stop = BatchStop::Failed(error.to_string());
                return ControlFlow::Continue(BatchDone { stop, generated: 0 });
            }
        };
        {
            let status = &mut self.shared.state().status;
            status.prompt_tokens += request.prompt.len() as u64;
            status.cached_tokens += cached_tokens as u64;
        }
        self.decode(request)
    }

    /// Computes the prompt; gives how much of it was there.
    fn prefill(
        &mut self,
        request: &mut BatchRequest,
    ) -> Result<ControlFlow<(), usize>, EngineError> {
        if request.prompt_logprobs.is_none() && !request.embed {
            let sink = &mut request.sink;
            let synced = self.session.sync_with(&request.prompt, &mut |_, _| {
                if sink.is_wanted() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
            })?;
            let cached_tokens = synced.reused;
            if !synced.complete {
                // What is left of the timeline has no logits: the next request starts from it.
                return Ok(ControlFlow::Break(()));
            }
            let event = BatchEvent::Started { cached_tokens };
            if request.sink.event(event).is_break() {
                return Ok(ControlFlow::Break(()));
            }
            return Ok(ControlFlow::Continue(cached_tokens));
        }
        Ok(match self.look_at(request)? {
            ControlFlow::Break(()) => ControlFlow::Break(()),
            ControlFlow::Continue(()) => ControlFlow::Continue(0),
        })
    }

    /// Computes the prompt from its beginning, looking at every position.
    fn look_at(&mut self, request: &mut BatchRequest) -> Result<ControlFlow<()>, EngineError> {
        self.session = self.engine.session(self.session.context_length())?;
        let config = self.engine.config();
        let last_stage = config.num_hidden_layers + 1;
        let mut mean = Mean { last_stage, sums: vec![0.0; config.hidden_size] };
        let top = request.prompt_logprobs.unwrap_or(0);
        let mut logprobs = Vec::new();
        if request.sink.event(BatchEvent::Started { cached_tokens: 0 }).is_break() {
            return Ok(ControlFlow::Break(()));
        }
        for start in (0..request.prompt.len()).step_by(CHUNK) {
            if !request.sink.is_wanted() {
                return Ok(ControlFlow::Break(()));
            }
            let end = request.prompt.len().min(start + CHUNK);
            let logits = self.session.observe(&request.prompt[start..end], &mut mean)?;
            if request.prompt_logprobs.is_some() {
                let following = request.prompt[start + 1..].iter();
                let rows = logits.chunks(config.vocab_size).zip(following);
                logprobs.extend(rows.map(|(row, token)| ranked(row, *token, top)));
            }
        }
        if request.prompt_logprobs.is_some()
            && request.sink.event(BatchEvent::PromptLogprobs(logprobs)).is_break()
        {
            return Ok(ControlFlow::Break(()));
        }
        if request.embed {
            let n = request.prompt.len() as f64;
            let numbers = mean.sums.iter().map(|sum| (sum / n) as f32).collect();
            return Ok(request.sink.event(BatchEvent::Embedding(numbers)));
        }
        Ok(ControlFlow::Continue(()))
    }

    fn decode(&mut self, request: &mut BatchRequest) -> ControlFlow<(), BatchDone> {
        let mut history = History::new(&request.prompt);
        let mut generated = 0;
        let done = |stop, generated| ControlFlow::Continue(BatchDone { stop, generated });
        loop {
            if generated == request.max_tokens {
                return done(BatchStop::MaxTokens, generated);
            }
            if self.shared.state().is_dropped {
                return done(BatchStop::ShuttingDown, generated);
            }
            let mut logits = self.session.logits().to_vec();
            if let Some(constraint) = &mut request.constraint
                && let Err(message) = constraint.mask(&mut logits)
            {
                return done(BatchStop::Failed(message), generated);
            }
            let position = self.session.tokens().len();
            let token = sample(&request.sampling, &history, position, &mut logits);
            if let Some(constraint) = &mut request.constraint
                && let Err(message) = constraint.accept(token)
            {
                return done(BatchStop::Failed(message), generated);
            }
            let logprobs = request.top_logprobs.map(|n| ranked(self.session.logits(), token, n));
            history.push(token);
            generated += 1;
            self.shared.state().status.generated_tokens += 1;
            if request.sink.event(BatchEvent::Token(Step { token, logprobs })).is_break() {
                return ControlFlow::Break(());
            }
            if request.stop_tokens.contains(&token) {
                return done(BatchStop::StopToken(token), generated);
            }
            if generated == request.max_tokens {
                continue;
            }
            match self.session.push(token) {
                Ok(()) => {}
                Err(EngineError::ContextFull { .. }) => {
                    return done(BatchStop::ContextFull, generated);
                }
                Err(error) => return done(BatchStop::Failed(error.to_string()), generated),
            }
        }
    }
}

/// Adds up the last hidden states.
struct Mean {
    last_stage: usize,
    sums: Vec<f64>,
}

impl Observer for Mean {
    fn hidden(&mut self, stage: usize, rows: &[f32]) {
        if stage == self.last_stage {
            for row in rows.chunks(self.sums.len()) {
                for (sum, value) in self.sums.iter_mut().zip(row) {
                    *sum += f64::from(*value);
                }
            }
        }
    }
}

/// The log-probability of `token` and of the `n` most likely tokens.
fn ranked(logits: &[f32], token: TokenId, n: usize) -> TokenLogprobs {
    let logprob = log_probabilities(logits);
    let mut order: Vec<TokenId> = (0..logits.len() as TokenId).collect();
    let by_logit = |a: &TokenId, b: &TokenId| {
        logits[*b as usize].total_cmp(&logits[*a as usize]).then(a.cmp(b))
    };
    let n = n.min(order.len());
    if n < order.len() {
        order.select_nth_unstable_by(n, by_logit);
        order.truncate(n);
    }
    order.sort_unstable_by(by_logit);
    let top = order.into_iter().map(|id| (id, logprob(id))).collect();
    TokenLogprobs { logprob: logprob(token), top }
}
