//! Many texts at once: the scheduler computes them together, and shares what they begin with.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::Duration;

use gptoss_engine::{
    BatchEvent, BatchOptions, BatchRequest, BatchStop, Batcher, ChatOpening, PromptSetting,
    SamplingParams, Scheduler, Sink, prompt_tokens,
};
use gptoss_harmony::{Conversation, Message, ReasoningEffort, Role, TokenId};

use super::answer::Answer;
use super::{EngineModel, failed, room};
use crate::EvalError;
use crate::model::{Done, GeneratePrompt, GenerateRequest, Generated};
use crate::tokens::Encoder;

/// How often it is looked whether the caller wants no more.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// How many times as long a step may take because of prompts: nobody watches single tokens here.
const STRETCH: f64 = 16.0;

/// A request as it is computed.
struct Order {
    prompt: Vec<TokenId>,
    answer: Answer,
    stop_tokens: Vec<TokenId>,
    max_tokens: usize,
    sampling: SamplingParams,
}

/// What came of a request.
struct Outcome {
    request: usize,
    /// Tokens of the prompt, and those of them that were not computed.
    prompt_tokens: usize,
    cached_tokens: usize,
    result: Result<Generated, EvalError>,
}

/// See [`EvalModel::generate`](crate::model::EvalModel::generate).
pub(super) fn generate(
    model: &mut EngineModel,
    requests: &[GenerateRequest],
    done: Done<'_, Generated>,
) -> Result<(), EvalError> {
    let mut orders = Vec::with_capacity(requests.len());
    for request in requests {
        model.check_stop()?;
        orders.push(model.order(request)?);
    }
    if orders.is_empty() {
        return Ok(());
    }
    let scheduler = Scheduler::start(&model.engine, model.bounds(&orders)).map_err(failed)?;
    let (sender, outcomes) = channel();
    let mut waiting = orders.into_iter().enumerate();
    let at_once = model.options.sequences_max;
    let mut running = 0;
    loop {
        while running < 2 * at_once
            && let Some((request, order)) = waiting.next()
        {
            let batched = batched(request, order, &sender, &model.options.stop);
            let refused = |error| EvalError::Model(format!("request {request}: {error}"));
            scheduler.submit(batched).map_err(refused)?;
            running += 1;
        }
        if running == 0 {
            return Ok(());
        }
        let outcome = next(model, &outcomes)?;
        running -= 1;
        model.cost.requests += 1;
        model.cost.naive_tokens += outcome.prompt_tokens;
        model.cost.computed_tokens += outcome.prompt_tokens - outcome.cached_tokens;
        done(outcome.request, outcome.result?)?;
    }
}

/// Waits for what comes of any request.
fn next(model: &EngineModel, outcomes: &Receiver<Outcome>) -> Result<Outcome, EvalError> {
    loop {
        model.check_stop()?;
        match outcomes.recv_timeout(LOOK_EVERY) {
            Ok(outcome) => return Ok(outcome),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => {
                return Err(EvalError::Model("the scheduler has ended".into()));
            }
        }
    }
}

impl EngineModel {
    fn order(&self, request: &GenerateRequest) -> Result<Order, EvalError> {
        let length = self.options.limit.max_length();
        let (prompt, answer, stop_tokens) = match &request.prompt {
            GeneratePrompt::Text(text) => {
                let stop_tokens = self.engine.text_stop_tokens();
                let tokenizer = &self.encoder.tokenizer;
                let answer = Answer::plain(tokenizer, &request.until, stop_tokens.clone());
                (self.fitted(text, request.max_tokens)?, answer, stop_tokens)
            }
            GeneratePrompt::Chat { user, effort } => {
                let format = self.engine.chat_format().map_err(failed)?;
                let (prompt, prefill) = self.chat_prompt(user, effort.as_deref())?;
                let answer = Answer::chat(format, &request.until, &prefill);
                (prompt, answer, format.stop_tokens())
            }
        };
        if prompt.len() >= length {
            let message = format!("a prompt of {} tokens does not fit into {length}", prompt.len());
            return Err(EvalError::Model(message));
        }
        Ok(Order {
            max_tokens: request.max_tokens.clamp(1, length - prompt.len()),
            prompt,
            answer,
            stop_tokens,
            sampling: SamplingParams {
                temperature: request.temperature as f32,
                top_p: request.top_p as f32,
                seed: request.seed,
                ..SamplingParams::default()
            },
        })
    }

    /// The ids of a text, cut from the left so that the answer has room behind them.
    fn fitted(&self, text: &str, max_tokens: usize) -> Result<Vec<TokenId>, EvalError> {
        let limit = self.options.limit;
        let mut ids = self.encoder.encode(text);
        let most = limit.context_len(max_tokens).ok_or_else(|| {
            let length = limit.max_length();
            let message = format!(
                "{max_tokens} tokens are to be generated, and the context has {length}: choose \
                 fewer (--max-tokens)"
            );
            EvalError::Refused(message)
        })?;
        if ids.is_empty() {
            ids.push(self.encoder.prefix());
        }
        ids.drain(..ids.len().saturating_sub(most));
        Ok(ids)
    }

    /// The ids of a conversation of one message, and those at their end that belong to the answer.
    fn chat_prompt(
        &self,
        user: &str,
        effort: Option<&str>,
    ) -> Result<(Vec<TokenId>, Vec<TokenId>), EvalError> {
        let unknown = |word: &str| {
            EvalError::Refused(format!("effort: expected low, medium or high, found `{word}`"))
        };
        let read = |word| ReasoningEffort::from_word(word).ok_or_else(|| unknown(word));
        let effort = effort.map(read).transpose()?;
        if effort.is_some()
            && let Some(why) = PromptSetting::Effort.why_not(&self.engine)
        {
            return Err(EvalError::Refused(format!("not supported: an effort; {why}")));
        }
        let mut messages = ChatOpening { effort, ..ChatOpening::default() }.messages(&self.engine);
        messages.push(Message::new(Role::User, user));
        prompt_tokens(&self.engine, &Conversation::new(messages)).map_err(failed)
    }

    /// Bounds of the scheduler: context for the longest request, and pages for as many as there
    /// is memory for.
    fn bounds(&self, orders: &[Order]) -> BatchOptions {
        let mut lengths: Vec<usize> =
            orders.iter().map(|order| order.prompt.len() + order.max_tokens).collect();
        lengths.sort_unstable_by(|a, b| b.cmp(a));
        let context_length = lengths[0];
        let at_once = self.options.sequences_max;
        let wanted: usize = lengths.iter().take(at_once).sum();
        let spare = room::spare_positions(&self.engine);
        BatchOptions {
            cache_positions: wanted.min(context_length.saturating_add(spare)),
            sequences_max: at_once,
            waiting_max: 2 * at_once,
            stretch: STRETCH,
            ..BatchOptions::new(context_length)
        }
    }
}

/// An order for the scheduler, whose outcome goes to `sender`.
fn batched(
    request: usize,
    order: Order,
    sender: &Sender<Outcome>,
    stop: &Arc<AtomicBool>,
) -> BatchRequest {
    let Order { prompt, answer, stop_tokens, max_tokens, sampling } = order;
    let collector = Collector {
        request,
        prompt_tokens: prompt.len(),
        cached_tokens: 0,
        answer: Some(answer),
        sender: sender.clone(),
        stop: stop.clone(),
    };
    BatchRequest {
        prompt,
        sampling,
        stop_tokens,
        max_tokens,
        top_logprobs: None,
        prompt_logprobs: None,
        embed: false,
        client: String::new(),
        constraint: None,
        sink: Box::new(collector),
    }
}

/// Collects one answer, and sends one outcome whatever happens.
struct Collector {
    request: usize,
    prompt_tokens: usize,
    cached_tokens: usize,
    /// Nothing once the outcome was sent.
    answer: Option<Answer>,
    sender: Sender<Outcome>,
    stop: Arc<AtomicBool>,
}

impl Collector {
    fn send(&mut self, result: impl FnOnce(Answer) -> Result<Generated, EvalError>) {
        let Some(answer) = self.answer.take() else { return };
        let Collector { request, prompt_tokens, cached_tokens, .. } = *self;
        let result = result(answer);
        // Nobody listens when the caller has given up.
        let _ = self.sender.send(Outcome { request, prompt_tokens, cached_tokens, result });
    }
}

impl Sink for Collector {
    fn event(&mut self, event: BatchEvent) -> ControlFlow<()> {
        match event {
            BatchEvent::Started { cached_tokens } => self.cached_tokens = cached_tokens,
            BatchEvent::Token(step) => {
                let is_complete = self.answer.as_mut().is_none_or(|answer| answer.push(step.token));
                if is_complete {
                    self.send(|answer| Ok(answer.finish(false)));
                    return ControlFlow::Break(());
                }
            }
            BatchEvent::Done(end) => self.send(|answer| match end.stop {
                BatchStop::StopToken(_) => Ok(answer.finish(false)),
                BatchStop::MaxTokens | BatchStop::ContextFull => Ok(answer.finish(true)),
                BatchStop::ShuttingDown => Err(EvalError::Interrupted),
                BatchStop::Failed(why) => Err(EvalError::Model(why)),
            }),
            BatchEvent::PromptLogprobs(_) | BatchEvent::Embedding(_) => {}
        }
        ControlFlow::Continue(())
    }

    fn is_wanted(&mut self) -> bool {
        !self.stop.load(Ordering::Relaxed)
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        self.send(|_| Err(EvalError::Model("a sequence was lost".into())));
    }
}
