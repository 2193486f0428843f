//! Who is refused, whose turn it is, who is cancelled, and who fails alone.

use std::ops::ControlFlow;
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};

use gptoss_engine::{
    BatchDone, BatchEvent, BatchOptions, BatchRequest, BatchStop, Batcher, Constraint, EngineError,
    Refused, SamplingParams, Scheduler, Sink, Trace,
};

use crate::asking::{Asked, engine, few, gate, got, greedy, ids};

const T64: &str = "testdata/models/t64/mxfp4";

fn refused(scheduler: &Scheduler, asked: &Asked) -> Refused {
    scheduler.submit(asked.request(channel().0)).unwrap_err()
}

#[test]
fn what_can_never_be_computed_is_refused_at_once() {
    let engine = engine(T64);
    let scheduler = Scheduler::start(&engine, few(100)).unwrap();
    let message = |asked: &Asked| match refused(&scheduler, asked) {
        Refused::Invalid(why) => why.to_string(),
        other => panic!("{other}"),
    };
    let fits = greedy(ids(&engine, 100, 1), 1);
    assert_eq!(
        message(&greedy(ids(&engine, 101, 1), 1)),
        "the sequence of 101 tokens does not fit into the context of 100"
    );
    assert_eq!(message(&greedy(Vec::new(), 1)), "the prompt has no tokens");
    assert_eq!(message(&greedy(vec![512], 1)), "token id 512 is not in the vocabulary of 512");
    let sampling = SamplingParams { top_p: 0.0, ..SamplingParams::default() };
    assert!(message(&Asked { sampling, ..fits.clone() }).starts_with("top_p"));
    assert_eq!(got(&fits.of(&scheduler)).steps, fits.alone(&engine, 100).steps);
}

#[test]
fn bounds_without_room_for_a_request_are_refused() {
    let engine = engine(T64);
    let error = |options| Scheduler::start(&engine, options).err().unwrap().to_string();
    let few = few(100);
    assert_eq!(
        error(BatchOptions { cache_positions: 99, ..few.clone() }),
        "cache_positions: expected 100 or more, found 99"
    );
    assert_eq!(
        error(BatchOptions { sequences_max: 0, ..few.clone() }),
        "sequences_max: expected 1 or more, found 0"
    );
    let huge = BatchOptions { cache_positions: usize::MAX, ..few.clone() };
    assert!(matches!(Scheduler::start(&engine, huge), Err(EngineError::BatchMemory { .. })));
    assert!(error(BatchOptions { context_length: 513, ..few }).starts_with("context length 513"));
}

#[test]
fn a_full_queue_refuses_and_says_when_to_come_again() {
    let engine = engine(T64);
    let options = BatchOptions { waiting_max: 2, sequences_max: 1, ..few(100) };
    let scheduler = Scheduler::start(&engine, options).unwrap();
    let open = gate(&scheduler);
    let asked = greedy(ids(&engine, 20, 1), 5);
    let waiting = [asked.of(&scheduler), asked.of(&scheduler)];
    assert_eq!(scheduler.status().waiting, 2);
    match refused(&scheduler, &asked) {
        Refused::QueueFull { waiting: 2, retry_after } => assert!((1..=600).contains(&retry_after)),
        other => panic!("{other}"),
    }
    drop(open);
    for receiver in waiting {
        assert_eq!(got(&receiver).steps.len(), 5);
    }
    assert_eq!(got(&asked.of(&scheduler)).steps.len(), 5);
}

#[test]
fn clients_take_turns() {
    let engine = engine(T64);
    let options = BatchOptions { sequences_max: 1, ..few(100) };
    let scheduler = Scheduler::start(&engine, options).unwrap();
    let open = gate(&scheduler);
    let order = Arc::new(Mutex::new(Vec::new()));
    let (sender, ended) = channel::<()>();
    for (i, client) in ["a", "a", "a", "b", "b", "c"].into_iter().enumerate() {
        let asked = Asked { client, ..greedy(ids(&engine, 10, i as u32), 2) };
        let (order, sender) = (order.clone(), sender.clone());
        let sink = move |event: BatchEvent| {
            if let BatchEvent::Started { .. } = event {
                order.lock().unwrap().push(client);
            }
            // Dropped with the sink when the request has ended.
            let _held = &sender;
            ControlFlow::Continue(())
        };
        scheduler.submit(asked.request_to(sink)).unwrap();
    }
    drop((open, sender));
    assert_eq!(ended.iter().count(), 0);
    assert_eq!(*order.lock().unwrap(), ["a", "b", "c", "a", "b", "a"]);
}

#[test]
fn a_prompt_without_tokens_to_generate_is_computed_and_kept() {
    let engine = engine(T64);
    let scheduler = Scheduler::start(&engine, BatchOptions::new(300)).unwrap();
    let found = got(&greedy(ids(&engine, 200, 1), 0).of(&scheduler));
    assert_eq!(found.done, Some(BatchDone { stop: BatchStop::MaxTokens, generated: 0 }));
    assert!(found.steps.is_empty());
    let found = got(&greedy(ids(&engine, 200, 1), 1).of(&scheduler));
    assert_eq!(found.cached_tokens, 199);
}

#[test]
fn an_embedding_is_the_mean_of_the_last_hidden_states() {
    let engine = engine(T64);
    let config = engine.config();
    for len in [1, 90] {
        let prompt = ids(&engine, len, 3);
        let mut trace = Trace::new(config);
        engine.session(200).unwrap().observe(&prompt, &mut trace).unwrap();
        let last = trace.hidden.last().unwrap();
        let mean = |d: usize| {
            let rows = last.chunks(config.hidden_size);
            (rows.map(|row| f64::from(row[d])).sum::<f64>() / len as f64) as f32
        };
        let expected: Vec<f32> = (0..config.hidden_size).map(mean).collect();
        let scheduler = Scheduler::start(&engine, few(200)).unwrap();
        // Others beside it, whose rows are not its own.
        let open = gate(&scheduler);
        let others = [1, 2].map(|seed| greedy(ids(&engine, 40, seed), 3).of(&scheduler));
        let receiver = Asked { embed: true, ..greedy(prompt.clone(), 0) }.of(&scheduler);
        drop(open);
        assert_eq!(got(&receiver).embedding, Some(expected));
        assert!(others.iter().all(|other| got(other).steps.len() == 3));
    }
}

/// Allows some tokens only; fails at the token `fails_at`, or panics there.
struct Only {
    allowed: Vec<u32>,
    seen: usize,
    fails_at: usize,
    panics: bool,
}

impl Constraint for Only {
    fn mask(&mut self, logits: &mut [f32]) -> Result<(), String> {
        if self.seen == self.fails_at {
            assert!(!self.panics, "a constraint that panics");
            return Err("nothing may come".to_owned());
        }
        for (id, logit) in logits.iter_mut().enumerate() {
            if !self.allowed.contains(&(id as u32)) {
                *logit = f32::NEG_INFINITY;
            }
        }
        Ok(())
    }

    fn accept(&mut self, token: u32) -> Result<(), String> {
        self.seen += 1;
        self.allowed.contains(&token).then_some(()).ok_or_else(|| format!("token {token}"))
    }
}

#[test]
fn a_constraint_chooses_among_the_models_own_probabilities() {
    let engine = engine(T64);
    let scheduler = Scheduler::start(&engine, few(100)).unwrap();
    let asked = greedy(ids(&engine, 20, 1), 12);
    let allowed = vec![3, 40, 500];
    let only = Only { allowed: allowed.clone(), seen: 0, fails_at: 99, panics: false };
    let found = got(&asked.under(only, &scheduler));
    assert!(found.tokens().iter().all(|token| allowed.contains(token)), "{:?}", found.tokens());
    assert_eq!(found.steps.len(), 12);
    // The first token's rivals are those of the same prompt without a constraint.
    let free = &asked.alone(&engine, 100).steps[0];
    let (first, free) = (found.steps[0].logprobs.as_ref(), free.logprobs.as_ref());
    assert_eq!(first.unwrap().top, free.unwrap().top);
}

#[test]
fn who_fails_fails_alone() {
    let engine = engine(T64);
    let scheduler = Scheduler::start(&engine, few(100)).unwrap();
    let open = gate(&scheduler);
    let good = greedy(ids(&engine, 20, 1), 30);
    let receiver = good.of(&scheduler);
    let asked = greedy(ids(&engine, 20, 2), 30);
    let only = |panics| Only { allowed: vec![1, 2], seen: 0, fails_at: 4, panics };
    let (fails, panics) =
        (asked.under(only(false), &scheduler), asked.under(only(true), &scheduler));
    let mut tokens = 0;
    let panicking = asked.request_to(move |event| {
        tokens += usize::from(matches!(event, BatchEvent::Token(_)));
        assert!(tokens < 3, "a sink that panics");
        ControlFlow::Continue(())
    });
    scheduler.submit(panicking).unwrap();
    drop(open);
    let failed = |why: &str| Some(BatchDone { stop: BatchStop::Failed(why.into()), generated: 4 });
    assert_eq!(got(&fails).done, failed("nothing may come"));
    assert_eq!(got(&panics).done, failed("a constraint that panics"));
    assert_eq!(got(&receiver).steps, good.alone(&engine, 100).steps);
    assert_eq!(got(&good.of(&scheduler)).steps, good.alone(&engine, 100).steps);
}

#[test]
fn a_sink_that_breaks_frees_its_place_within_a_step() {
    let engine = engine(T64);
    let options = BatchOptions { snapshots_max: 0, sequences_max: 2, ..few(400) };
    let scheduler = Scheduler::start(&engine, options).unwrap();
    let cancelled = Asked { cancel_at: Some(3), ..greedy(ids(&engine, 300, 1), 90) };
    let found = got(&cancelled.of(&scheduler));
    assert_eq!((found.steps.len(), found.done), (3, None));
    assert_eq!(got(&greedy(vec![1], 1).of(&scheduler)).steps.len(), 1);
    let status = scheduler.status();
    assert_eq!((status.running, status.waiting, status.pages_used), (0, 0, 0));
}

/// Nobody waits for it after the first question.
struct Gone {
    asked: usize,
    events: std::sync::mpsc::Sender<BatchEvent>,
}

impl Sink for Gone {
    fn event(&mut self, event: BatchEvent) -> ControlFlow<()> {
        self.events.send(event).unwrap();
        ControlFlow::Continue(())
    }

    fn is_wanted(&mut self) -> bool {
        self.asked += 1;
        self.asked < 3
    }
}

#[test]
fn a_prompt_that_nobody_waits_for_is_not_computed_to_its_end() {
    let engine = engine(T64);
    let options = BatchOptions { step_tokens_max: 20, ..few(400) };
    let scheduler = Scheduler::start(&engine, options).unwrap();
    let (events, all) = channel();
    let asked = greedy(ids(&engine, 300, 1), 90);
    let request = BatchRequest {
        sink: Box::new(Gone { asked: 0, events }),
        ..asked.request_to(|_| ControlFlow::Continue(()))
    };
    scheduler.submit(request).unwrap();
    assert_eq!(all.iter().collect::<Vec<_>>(), [BatchEvent::Started { cached_tokens: 0 }]);
    // What was computed until then is kept.
    let found = got(&asked.of(&scheduler));
    assert!((20..=60).contains(&found.cached_tokens), "{} tokens", found.cached_tokens);
    assert_eq!(found.steps, asked.alone(&engine, 400).steps);
}

#[test]
fn a_closed_batch_finishes_and_a_dropped_one_ends() {
    let engine = engine(T64);
    let scheduler = Scheduler::start(&engine, few(100)).unwrap();
    let open = gate(&scheduler);
    let asked = greedy(ids(&engine, 20, 1), 10);
    let receiver = asked.of(&scheduler);
    scheduler.close();
    assert!(matches!(refused(&scheduler, &asked), Refused::ShuttingDown));
    drop(open);
    assert_eq!(got(&receiver).steps, asked.alone(&engine, 100).steps);

    let scheduler = Scheduler::start(&engine, few(100)).unwrap();
    let open = gate(&scheduler);
    let receivers: Vec<_> = (0..9).map(|_| asked.of(&scheduler)).collect();
    let dropping = std::thread::spawn(move || drop(scheduler));
    // Ends are told although somebody else still runs.
    drop(open);
    dropping.join().unwrap();
    for receiver in receivers {
        let found = got(&receiver);
        let stop = found.done.unwrap().stop;
        assert!([BatchStop::ShuttingDown, BatchStop::MaxTokens].contains(&stop), "{stop:?}");
    }
}
