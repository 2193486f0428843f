//! Requests, what they get from a scheduler, and what the same requests get alone.

use std::ops::ControlFlow;
use std::path::Path;
use std::sync::mpsc::{Receiver, Sender, channel};

use gptoss_checkpoint::Model;
use gptoss_engine::{
    BatchDone, BatchEvent, BatchOptions, BatchRequest, BatchStop, Batcher, Constraint, Engine,
    EngineOptions, GenerateParams, Generation, SamplingParams, Scheduler, Step, StopReason,
    TokenLogprobs,
};

/// A model of the repository.
pub fn engine(path: &str) -> Engine {
    engine_with(path, &EngineOptions::default())
}

/// As [`engine`], run as `options` say.
pub fn engine_with(path: &str, options: &EngineOptions) -> Engine {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(path);
    let model = Model::open(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    Engine::from_model(model, options).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// Few of everything, so that all limits are met.
pub fn few(context_length: usize) -> BatchOptions {
    BatchOptions {
        cache_positions: context_length,
        sequences_max: 4,
        step_tokens_max: 64,
        snapshots_max: 6,
        snapshot_every: 48,
        ..BatchOptions::new(context_length)
    }
}

/// What a request is made of.
#[derive(Clone, Debug, Default)]
pub struct Asked {
    pub prompt: Vec<u32>,
    pub sampling: SamplingParams,
    pub stop_tokens: Vec<u32>,
    pub max_tokens: usize,
    pub top_logprobs: Option<usize>,
    pub prompt_logprobs: Option<usize>,
    pub embed: bool,
    pub client: &'static str,
    /// Break at this token.
    pub cancel_at: Option<usize>,
}

/// What it got.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Got {
    pub cached_tokens: usize,
    pub prompt_logprobs: Vec<TokenLogprobs>,
    pub embedding: Option<Vec<f32>>,
    pub steps: Vec<Step>,
    pub done: Option<BatchDone>,
}

impl Got {
    /// The generated tokens.
    pub fn tokens(&self) -> Vec<u32> {
        self.steps.iter().map(|step| step.token).collect()
    }
}

/// A greedy continuation of `prompt`.
pub fn greedy(prompt: Vec<u32>, max_tokens: usize) -> Asked {
    Asked { prompt, max_tokens, top_logprobs: Some(2), ..Asked::default() }
}

impl Asked {
    /// The request, whose events go to `sender`.
    pub fn request(&self, sender: Sender<BatchEvent>) -> BatchRequest {
        let (cancel_at, mut tokens) = (self.cancel_at, 0);
        self.request_to(move |event: BatchEvent| {
            tokens += usize::from(matches!(event, BatchEvent::Token(_)));
            // Whoever does not listen to the end has dropped the other side.
            let is_heard = sender.send(event).is_ok();
            match is_heard && cancel_at.is_none_or(|at| tokens < at) {
                true => ControlFlow::Continue(()),
                false => ControlFlow::Break(()),
            }
        })
    }

    /// The request, with any sink.
    pub fn request_to(
        &self,
        sink: impl FnMut(BatchEvent) -> ControlFlow<()> + Send + 'static,
    ) -> BatchRequest {
        let asked = self.clone();
        BatchRequest {
            prompt: asked.prompt,
            sampling: asked.sampling,
            stop_tokens: asked.stop_tokens,
            max_tokens: asked.max_tokens,
            top_logprobs: asked.top_logprobs,
            prompt_logprobs: asked.prompt_logprobs,
            embed: asked.embed,
            client: asked.client.to_owned(),
            constraint: None,
            sink: Box::new(sink),
        }
    }

    /// Asks.
    pub fn of(&self, scheduler: &Scheduler) -> Receiver<BatchEvent> {
        let (sender, receiver) = channel();
        scheduler.submit(self.request(sender)).unwrap();
        receiver
    }

    /// Asks under a constraint.
    pub fn under(
        &self,
        constraint: impl Constraint + 'static,
        scheduler: &Scheduler,
    ) -> Receiver<BatchEvent> {
        let (sender, receiver) = channel();
        let request =
            BatchRequest { constraint: Some(Box::new(constraint)), ..self.request(sender) };
        scheduler.submit(request).unwrap();
        receiver
    }

    /// What it gets alone, in a session of its own.
    pub fn alone(&self, engine: &Engine, context_length: usize) -> Got {
        let mut session = engine.session(context_length).unwrap();
        session.sync(&self.prompt).unwrap();
        let params = GenerateParams {
            sampling: self.sampling.clone(),
            stop_tokens: self.stop_tokens.clone(),
            max_tokens: self.max_tokens,
            top_logprobs: self.top_logprobs,
        };
        let mut generation = Generation::new(&session, params);
        let mut got = Got::default();
        while let Some(step) = generation.next(&mut session).unwrap() {
            got.steps.push(step);
        }
        let stop = match generation.stopped().unwrap() {
            StopReason::StopToken(token) => BatchStop::StopToken(token),
            StopReason::MaxTokens => BatchStop::MaxTokens,
            StopReason::ContextFull => BatchStop::ContextFull,
        };
        got.done = Some(BatchDone { stop, generated: got.steps.len() });
        got
    }
}

/// Everything that came, in the order that the events have; waits for the end.
pub fn got(receiver: &Receiver<BatchEvent>) -> Got {
    let mut got = Got::default();
    let mut stage = 0;
    for event in receiver {
        assert!(got.done.is_none(), "after the end: {event:?}");
        let (next, is_once) = match event {
            BatchEvent::Started { cached_tokens } => {
                got.cached_tokens = cached_tokens;
                (0, true)
            }
            BatchEvent::PromptLogprobs(all) => {
                got.prompt_logprobs.extend(all);
                (1, false)
            }
            BatchEvent::Embedding(mean) => {
                assert_eq!(got.embedding.replace(mean), None);
                (2, true)
            }
            BatchEvent::Token(step) => {
                got.steps.push(step);
                (3, false)
            }
            BatchEvent::Done(done) => {
                got.done = Some(done);
                (4, true)
            }
        };
        assert!(stage <= next, "an event of stage {next} after one of {stage}");
        stage = next + usize::from(is_once && next > 0);
    }
    got
}

/// Ids without any meaning, the same for the same seed.
pub fn ids(engine: &Engine, len: usize, seed: u32) -> Vec<u32> {
    let vocab_size = engine.config().vocab_size as u32;
    (0..len as u32).map(|i| (i % 23 * 31 + i / 50 * (i % 3) + seed * 77) % vocab_size).collect()
}

/// Blocks the scheduler's thread until the second part is dropped; what is submitted meanwhile is
/// seen at once.
pub fn gate(scheduler: &Scheduler) -> Sender<()> {
    let (opened, wait) = channel::<()>();
    let (begun, is_begun) = channel();
    let sink = move |_| {
        begun.send(()).unwrap();
        // An error means that the other side was dropped.
        let _ = wait.recv();
        ControlFlow::Break(())
    };
    scheduler.submit(greedy(vec![1], 1).request_to(sink)).unwrap();
    is_begun.recv().unwrap();
    opened
}
