//! The sequences of one request: some at a time, in order, until all have ended.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use gptoss_engine::{BatchEvent, BatchRequest, Refused, SamplingParams};
use gptoss_harmony::TokenId;
use tokio::time::Instant;

use crate::constrain::{ConstraintSpec, constraint};
use crate::error::ApiError;
use crate::generation::sink::{ChannelSink, Events, Tagged};
use crate::server::Server;

/// Sequences of one request that are with the engine at once.
const AT_ONCE: usize = 32;
/// Pause before a sequence is offered again that the engine had no room for.
const RETRY_PAUSE: Duration = Duration::from_millis(50);

/// One sequence to be computed.
#[derive(Clone)]
pub(crate) struct Order {
    pub(crate) prompt: Vec<TokenId>,
    pub(crate) sampling: SamplingParams,
    pub(crate) stop_tokens: Vec<TokenId>,
    pub(crate) max_tokens: usize,
    pub(crate) top_logprobs: Option<usize>,
    pub(crate) prompt_logprobs: Option<usize>,
    pub(crate) embed: bool,
    pub(crate) spec: ConstraintSpec,
}

/// The sequences of one request. Dropping it cancels what is not finished.
pub(crate) struct Run {
    server: Arc<Server>,
    client: String,
    waiting: VecDeque<(usize, Order)>,
    events: Events,
    /// What was offered to the engine, in the order of the offers.
    offers: Vec<Offer>,
    running: usize,
    /// Whether the engine took a sequence, so that the rest is worth waiting for.
    has_begun: bool,
    deadline: Instant,
}

/// A sequence that was offered to the engine.
struct Offer {
    index: usize,
    cancelled: Arc<AtomicBool>,
    /// Taken, and neither done nor cancelled.
    is_live: bool,
}

impl Run {
    /// Gives the first sequences to the engine.
    ///
    /// # Errors
    /// If it refuses the first one: then nothing is computed.
    pub(crate) fn start(
        server: &Arc<Server>,
        client: &str,
        orders: Vec<Order>,
    ) -> Result<Run, ApiError> {
        let limit = Duration::from_secs(server.settings.limits.request_seconds);
        let mut run = Run {
            server: server.clone(),
            client: client.to_owned(),
            waiting: orders.into_iter().enumerate().collect(),
            events: Events::new(),
            offers: Vec::new(),
            running: 0,
            has_begun: false,
            deadline: Instant::now() + limit,
        };
        run.fill()?;
        Ok(run)
    }

    /// Offers sequences while there is room.
    fn fill(&mut self) -> Result<(), ApiError> {
        while self.running < AT_ONCE
            && let Some((index, order)) = self.waiting.pop_front()
        {
            let (sink, cancelled) = self.events.sink(self.offers.len(), &self.server.metrics);
            let request = self.request(order.clone(), sink)?;
            let answer = self.server.batcher.submit(request);
            self.offers.push(Offer { index, cancelled, is_live: answer.is_ok() });
            match answer {
                Ok(()) => {
                    self.running += 1;
                    self.has_begun = true;
                }
                Err(Refused::QueueFull { .. }) if self.has_begun => {
                    self.waiting.push_front((index, order));
                    break;
                }
                Err(refused) => return Err(refused.into()),
            }
        }
        Ok(())
    }

    fn request(&self, order: Order, sink: ChannelSink) -> Result<BatchRequest, ApiError> {
        Ok(BatchRequest {
            constraint: constraint(self.server.constraints.as_ref(), &order.spec)?,
            prompt: order.prompt,
            sampling: order.sampling,
            stop_tokens: order.stop_tokens,
            max_tokens: order.max_tokens,
            top_logprobs: order.top_logprobs,
            prompt_logprobs: order.prompt_logprobs,
            embed: order.embed,
            client: self.client.clone(),
            sink: Box::new(sink),
        })
    }

    /// The next event of any sequence; `None` when all have ended.
    ///
    /// # Errors
    /// If a sequence is refused, or the request takes too long.
    pub(crate) async fn next(&mut self) -> Result<Option<Tagged>, ApiError> {
        loop {
            if self.running == 0 && self.waiting.is_empty() {
                return Ok(None);
            }
            let wait = match self.waiting.is_empty() || self.running >= AT_ONCE {
                true => self.deadline,
                false => self.deadline.min(Instant::now() + RETRY_PAUSE),
            };
            let Ok((ticket, event)) = tokio::time::timeout_at(wait, self.events.next()).await
            else {
                if Instant::now() >= self.deadline {
                    return Err(ApiError::time_limit(self.server.settings.limits.request_seconds));
                }
                self.fill()?;
                continue;
            };
            // What a refused or cancelled offer still says is of no interest.
            let offer = &mut self.offers[ticket];
            if !offer.is_live {
                continue;
            }
            let index = offer.index;
            if matches!(event, BatchEvent::Done(_)) {
                offer.is_live = false;
                self.running -= 1;
                self.fill()?;
            }
            return Ok(Some((index, event)));
        }
    }

    /// Ends one sequence; nothing more comes of it.
    pub(crate) fn cancel(&mut self, index: usize) {
        for offer in self.offers.iter_mut().filter(|offer| offer.index == index && offer.is_live) {
            offer.cancelled.store(true, Ordering::Relaxed);
            offer.is_live = false;
            self.running -= 1;
        }
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        for offer in &self.offers {
            offer.cancelled.store(true, Ordering::Relaxed);
        }
    }
}
