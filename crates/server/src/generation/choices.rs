//! The choices of one request, as pieces.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::error::ApiError;
use crate::generation::plan::Plan;
use crate::generation::run::Run;
use crate::output::piece::{Outcome, Piece};
use crate::output::reader::Reader;
use crate::output::usage::Counts;
use crate::server::Server;

/// What happens in one of the choices.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Happening {
    /// Something of the answer.
    Piece(Piece),
    /// It has ended; nothing follows.
    Ended(Outcome),
}

/// Answers to one prompt that are being generated.
pub(crate) struct Choices {
    server: Arc<Server>,
    run: Run,
    readers: Vec<Reader>,
    queue: VecDeque<(usize, Happening)>,
    /// Choices that have ended and were counted.
    ended: usize,
    is_failed: bool,
}

impl Choices {
    /// Begins to generate `n` answers.
    ///
    /// # Errors
    /// If the engine refuses the first of them.
    pub(crate) fn start(
        server: &Arc<Server>,
        client: &str,
        plan: &Plan,
        n: usize,
    ) -> Result<Choices, ApiError> {
        let readers = (0..n).map(|_| plan.reader(server)).collect::<Result<_, _>>()?;
        let run = Run::start(server, client, plan.orders(server, n)?)?;
        let server = server.clone();
        let queue = VecDeque::new();
        Ok(Choices { server, run, readers, queue, ended: 0, is_failed: false })
    }

    /// What happens next in any of them; `None` when all have ended.
    ///
    /// # Errors
    /// If the engine failed, is going to end, or takes too long.
    pub(crate) async fn next(&mut self) -> Result<Option<(usize, Happening)>, ApiError> {
        let next = self.advance().await;
        if next.is_err() {
            self.is_failed = true;
        }
        next
    }

    async fn advance(&mut self) -> Result<Option<(usize, Happening)>, ApiError> {
        loop {
            if let Some(next) = self.queue.pop_front() {
                return Ok(Some(next));
            }
            let Some((index, event)) = self.run.next().await? else { return Ok(None) };
            let reader = &mut self.readers[index];
            let pieces = reader.push(event)?;
            let pieces = pieces.into_iter().map(|piece| (index, Happening::Piece(piece)));
            self.queue.extend(pieces);
            if let Some(outcome) = reader.outcome() {
                self.run.cancel(index);
                self.ended += 1;
                self.server.metrics.finished(outcome.reason.as_str());
                self.queue.push_back((index, Happening::Ended(outcome)));
            }
        }
    }

    /// Tokens of all choices so far.
    pub(crate) fn counts(&self) -> Counts {
        let counts = self.readers.iter().map(Reader::counts);
        counts.fold(Counts::default(), Counts::with_choice)
    }
}

impl Drop for Choices {
    /// Counts what was broken off, and what was repaired.
    fn drop(&mut self) {
        let reason = if self.is_failed { "error" } else { "abort" };
        for _ in self.ended..self.readers.len() {
            self.server.metrics.finished(reason);
        }
        let kinds: Vec<&str> = self.readers.iter().flat_map(Reader::repairs).copied().collect();
        for reader in &self.readers {
            reader.repairs().iter().for_each(|kind| self.server.metrics.repaired(kind));
        }
        let Counts { prompt, cached, completion, reasoning } = self.counts();
        let repairs = kinds.join(",");
        tracing::info!(prompt, cached, completion, reasoning, repairs, "generated");
    }
}
