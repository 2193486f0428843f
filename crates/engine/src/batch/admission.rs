//! Who is computed next: turns, room in the cache, and waiting for a beginning that another
//! sequence is computing.
//!
//! A sequence gets in when there are pages for all that is known of it, one more token, and a page
//! for each that runs already. What it generates is not reserved: requests that may generate as
//! much as the context holds seldom do. When the pages are used up, what is kept of earlier
//! sequences goes first, then the youngest sequence gives up its pages and is computed again later,
//! to the same bits. The oldest is never disturbed, and alone has room for any request, so all end.

use gptoss_harmony::TokenId;

use super::prefix::Match;
use super::request::{BatchEvent, BatchRequest};
use super::sequence::Sequence;
use super::worker::Worker;
use crate::kv_cache::{KvCache, PAGE};
use crate::session::common;

/// A beginning that is shorter than this is not worth waiting for, nor a place to go on.
const SHARED_MIN: usize = 16;

impl Worker {
    /// Lets in whoever has room, as long as there is room.
    pub(super) fn admit(&mut self) {
        while self.running.len() < self.options.sequences_max {
            // Who had begun already comes first.
            if let Some(sequence) = self.preempted.pop_front() {
                let all = self.find(sequence.tokens(), sequence.needs_all());
                if !self.has_room(sequence.tokens().len(), &all) {
                    self.preempted.push_front(sequence);
                    return;
                }
                self.begin(sequence, all);
                continue;
            }
            let Some((request, all)) = self.next_request() else { return };
            let cache = self.spare.pop();
            let cache =
                cache.unwrap_or_else(|| KvCache::in_pool(&self.pool, self.options.context_length));
            self.number += 1;
            let cached_tokens = all.found.as_ref().map_or(0, |found| found.positions);
            self.counters.prompt_tokens += request.prompt.len() as u64;
            self.counters.cached_tokens += cached_tokens as u64;
            self.begin(Sequence::new(request, cache, self.number), all);
            self.report();
            if let Some(sequence) = self.running.last_mut() {
                sequence.tell(BatchEvent::Started { cached_tokens });
            }
        }
    }

    /// The request whose turn it is, if there is room for it and nothing that it should wait for.
    fn next_request(&mut self) -> Option<(BatchRequest, Match)> {
        let mut queue = std::mem::replace(&mut self.queue, super::queue::Queue::new());
        let (mut matched, mut is_full) = (None, false);
        let request = queue.take(&mut |request: &BatchRequest| {
            // Who needs much room is not overtaken by those who need less.
            if is_full {
                return false;
            }
            let needs_all = request.embed || request.prompt_logprobs.is_some();
            let all = self.find(&request.prompt, needs_all);
            if !needs_all && self.waits(&request.prompt, &all) {
                return false;
            }
            is_full = !self.has_room(request.prompt.len(), &all);
            matched = Some(all);
            !is_full
        });
        self.queue = queue;
        request.zip(matched)
    }

    /// What is kept of the beginning of `tokens`. The last one is computed again for its logits,
    /// and all of them if something is to be told of each.
    fn find(&mut self, tokens: &[TokenId], needs_all: bool) -> Match {
        let all = self.index.find(tokens, tokens.len() - 1);
        Match { found: all.found.filter(|_| !needs_all), ..all }
    }

    /// Whether a sequence that runs is about to compute more of the beginning of `prompt` than is
    /// kept. It then will keep a snapshot there.
    fn waits(&mut self, prompt: &[TokenId], all: &Match) -> bool {
        if self.options.snapshots_max == 0 {
            return false;
        }
        let kept = all.found.as_ref().map_or(0, |found| found.positions);
        let shared = |running: &Sequence| {
            // The last token is not shared: its logits are wanted.
            let common = common(prompt, running.prompt()).min(prompt.len() - 1);
            let is_ahead = common > running.cache().positions();
            if is_ahead && running.ended.is_none() { common } else { 0 }
        };
        let best = self.running.iter_mut().max_by_key(|running| shared(running));
        let Some(best) = best else { return false };
        let common = shared(best);
        if common < kept + SHARED_MIN {
            return false;
        }
        best.mark(common);
        true
    }

    /// Makes room for a sequence of `tokens` tokens, of which some were found; tells whether there
    /// is.
    fn has_room(&mut self, tokens: usize, all: &Match) -> bool {
        if self.running.is_empty() {
            return true;
        }
        let shared = all.found.as_ref().map_or(0, |found| found.positions / PAGE);
        let missing = |sequence: &Sequence| sequence.pages_missing() + 1;
        let wanted =
            (tokens + 1).div_ceil(PAGE) - shared + self.running.iter().map(missing).sum::<usize>();
        let held: usize = self.running.iter().map(|s| s.cache().pages().len()).sum();
        let is_free = |worker: &Worker| worker.pool.pages_used() + wanted <= worker.pool.pages();
        if !is_free(self) && held + shared + wanted > self.pool.pages() {
            return false;
        }
        while !is_free(self) {
            if !self.index.evict_pages() {
                return false;
            }
        }
        true
    }

    fn begin(&mut self, mut sequence: Sequence, all: Match) {
        let kept = all.found.as_ref().map_or(0, |found| found.positions);
        // Where earlier sequences part from this one, a third may want to go on.
        let branch = if all.common >= kept + SHARED_MIN { all.common } else { 0 };
        sequence.begin(all.found, branch, self.options.snapshot_every);
        self.running.push(sequence);
    }
}
