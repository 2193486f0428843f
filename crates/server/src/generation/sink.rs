//! The way of events from the thread that computes to the task that writes an answer.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Instant;

use gptoss_engine::{BatchDone, BatchEvent, BatchStop, Sink};
use tokio::sync::mpsc::{self, UnboundedReceiver, UnboundedSender};

use crate::metrics::Metrics;

/// The most events that wait for a client that does not read; then its work ends. With the
/// log-probabilities of 20 rivals each they take about 6 MB.
const WAITING_MAX: usize = 16_384;

/// An event and the number of the sink that it came through, or of the sequence that this means.
pub(crate) type Tagged = (usize, BatchEvent);

/// Events of all sequences of one request.
pub(crate) struct Events {
    receiver: UnboundedReceiver<Tagged>,
    route: Route,
}

/// Where sinks send to.
#[derive(Clone)]
pub(crate) struct Route {
    sender: UnboundedSender<Tagged>,
    waiting: Arc<AtomicUsize>,
}

/// One sequence's sink.
pub(crate) struct ChannelSink {
    index: usize,
    route: Route,
    cancelled: Arc<AtomicBool>,
    has_ended: bool,
    clock: Clock,
}

/// Measures the times of tokens.
struct Clock {
    metrics: Arc<Metrics>,
    last: Instant,
    has_token: bool,
}

impl Events {
    /// No events yet.
    pub(crate) fn new() -> Events {
        let (sender, receiver) = mpsc::unbounded_channel();
        Events { receiver, route: Route { sender, waiting: Arc::default() } }
    }

    /// A sink for sequence `index`, and the switch that cancels it.
    pub(crate) fn sink(
        &self,
        index: usize,
        metrics: &Arc<Metrics>,
    ) -> (ChannelSink, Arc<AtomicBool>) {
        let cancelled = Arc::new(AtomicBool::new(false));
        let clock = Clock { metrics: metrics.clone(), last: Instant::now(), has_token: false };
        let (route, switch) = (self.route.clone(), cancelled.clone());
        (ChannelSink { index, route, cancelled, has_ended: false, clock }, switch)
    }

    /// The next event.
    pub(crate) async fn next(&mut self) -> Tagged {
        let event = self.receiver.recv().await.expect("a sender is kept beside the receiver");
        self.route.waiting.fetch_sub(1, Ordering::Relaxed);
        event
    }
}

impl ChannelSink {
    fn is_gone(&self) -> bool {
        self.cancelled.load(Ordering::Relaxed) || self.route.sender.is_closed()
    }

    fn send(&mut self, event: BatchEvent) -> ControlFlow<()> {
        self.has_ended = matches!(event, BatchEvent::Done(_));
        self.route.waiting.fetch_add(1, Ordering::Relaxed);
        match self.route.sender.send((self.index, event)) {
            Ok(()) => ControlFlow::Continue(()),
            Err(_) => ControlFlow::Break(()),
        }
    }
}

impl Sink for ChannelSink {
    fn event(&mut self, event: BatchEvent) -> ControlFlow<()> {
        if self.is_gone() {
            return ControlFlow::Break(());
        }
        if matches!(event, BatchEvent::Token(_)) {
            self.clock.tick();
        }
        if self.route.waiting.load(Ordering::Relaxed) >= WAITING_MAX && !is_done(&event) {
            let _ = self.send(failed("the client does not read its answer"));
            return ControlFlow::Break(());
        }
        self.send(event)
    }

    fn is_wanted(&mut self) -> bool {
        !self.is_gone()
    }
}

impl Drop for ChannelSink {
    /// Nobody waits for a sequence that was dropped without a word.
    fn drop(&mut self) {
        if !self.has_ended && !self.is_gone() {
            let _ = self.send(failed("the engine dropped the request"));
        }
    }
}

fn is_done(event: &BatchEvent) -> bool {
    matches!(event, BatchEvent::Done(_))
}

fn failed(why: &str) -> BatchEvent {
    BatchEvent::Done(BatchDone { stop: BatchStop::Failed(why.to_owned()), generated: 0 })
}

impl Clock {
    fn tick(&mut self) {
        let now = Instant::now();
        let seconds = now.duration_since(self.last).as_secs_f64();
        match self.has_token {
            true => self.metrics.next_token(seconds),
            false => self.metrics.first_token(seconds),
        }
        (self.last, self.has_token) = (now, true);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gptoss_engine::Step;

    fn token() -> BatchEvent {
        BatchEvent::Token(Step { token: 1, logprobs: None })
    }

    #[test]
    fn a_client_that_does_not_read_ends_its_work() {
        let events = Events::new();
        let (mut sink, _switch) = events.sink(0, &Arc::new(Metrics::new()));
        let sent = (0..2 * WAITING_MAX).take_while(|_| sink.event(token()).is_continue()).count();
        assert_eq!(sent, WAITING_MAX);
    }

    #[test]
    fn who_went_away_or_cancelled_breaks_at_the_next_event() {
        let metrics = Arc::new(Metrics::new());
        let events = Events::new();
        let (mut sink, switch) = events.sink(0, &metrics);
        let (mut other, _switch) = events.sink(1, &metrics);
        assert!(sink.event(token()).is_continue() && sink.is_wanted());
        switch.store(true, Ordering::Relaxed);
        assert!(!sink.is_wanted() && sink.event(token()).is_break());
        assert!(other.event(token()).is_continue());
        drop(events);
        assert!(!other.is_wanted() && other.event(token()).is_break());
    }

    #[tokio::test]
    async fn a_sink_that_is_dropped_says_so() {
        let mut events = Events::new();
        drop(events.sink(3, &Arc::new(Metrics::new())));
        let (index, event) = events.next().await;
        assert_eq!(index, 3);
        assert!(matches!(event, BatchEvent::Done(BatchDone { stop: BatchStop::Failed(_), .. })));
    }
}
