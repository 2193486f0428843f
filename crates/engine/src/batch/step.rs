//! One step: which tokens, the forward pass, and what comes of it.

use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Instant;

use super::pace::StepLoad;
use super::request::BatchStop;
use super::sequence::{End, Sequence, panic_message};
use super::worker::{Worker, keep};
use crate::forward::{LogitRows, Segment, forward_batch};
use crate::generate::{Step, TokenLogprobs};
use crate::observer::Observer;

/// What a sequence gets from a forward pass.
struct Share {
    /// Index among those that run.
    sequence: usize,
    /// The first token's position, and how many they are.
    from: usize,
    tokens: usize,
    rows: LogitRows,
    /// Whether its hidden states are wanted.
    hidden: bool,
}

/// Keeps the last hidden states of some tokens of a step.
struct LastHidden {
    stage: usize,
    width: usize,
    /// Tokens of the step.
    wanted: Vec<Range<usize>>,
    rows: Vec<f32>,
}

impl Observer for LastHidden {
    fn hidden(&mut self, stage: usize, rows: &[f32]) {
        if stage == self.stage {
            for tokens in &self.wanted {
                let rows = &rows[tokens.start * self.width..tokens.end * self.width];
                self.rows.extend_from_slice(rows);
            }
        }
    }
}

/// A sequence, its logits, and what is made of them on any thread.
struct Row<'a> {
    sequence: &'a mut Sequence,
    logits: &'a [f32],
    chosen: Option<Result<Step, String>>,
}

impl Worker {
    /// Computes some tokens of those that run.
    pub(super) fn step(&mut self) {
        if self.running.is_empty() {
            return;
        }
        let (sizes, load) = match self.oldest_suspect() {
            Some(suspect) => self.alone(suspect),
            None => self.sizes(),
        };
        let numbers: Vec<u64> = self.running.iter().map(|sequence| sequence.number).collect();
        let mut planned: Vec<(u64, usize)> = numbers.into_iter().zip(sizes).collect();
        self.reserve(&mut planned);
        let shares = self.shares(&planned);
        if shares.is_empty() {
            return;
        }
        let start = Instant::now();
        let engine = self.engine.clone();
        let _awake = engine.forward_model().compute.awake();
        let Some((logits, hidden)) = self.forward(&shares) else { return };
        self.give(&shares, &logits, &hidden);
        self.pace.learn(load, start.elapsed().as_secs_f64());
    }

    fn oldest_suspect(&self) -> Option<usize> {
        let suspects = (0..self.running.len()).filter(|i| self.running[*i].is_suspect);
        suspects.min_by_key(|i| self.running[*i].number)
    }

    /// Tokens of each sequence if only one gets any.
    fn alone(&self, sequence: usize) -> (Vec<usize>, StepLoad) {
        let mut sizes = vec![0; self.running.len()];
        sizes[sequence] = self.running[sequence].piece_max().min(self.options.step_tokens_max);
        let load = StepLoad { decoding: 0, prompt_tokens: sizes[sequence], was_limited: false };
        (sizes, load)
    }

    /// Tokens of each sequence that are to be computed. Those that generate get theirs; what
    /// prompts get is shared evenly, and what a short one leaves goes to the longer ones; if it is
    /// less than a token for each, the oldest get it.
    fn sizes(&mut self) -> (Vec<usize>, StepLoad) {
        let is_prompt = |sequence: &Sequence| sequence.remaining() > 1;
        let decoding = self.running.iter().filter(|sequence| !is_prompt(sequence)).count();
        let max = self.options.step_tokens_max.saturating_sub(decoding).max(1);
        let mut prompts: Vec<usize> =
            (0..self.running.len()).filter(|i| is_prompt(&self.running[*i])).collect();
        let mut sizes = vec![1; self.running.len()];
        let budget = if prompts.is_empty() { 0 } else { self.pace.budget(decoding, max) };
        let is_scarce = budget < prompts.len();
        prompts.sort_by_key(|i| {
            let sequence = &self.running[*i];
            (if is_scarce { 0 } else { sequence.piece_max() }, sequence.number)
        });
        let (mut left, mut was_limited) = (budget, false);
        for (i, sequence) in prompts.iter().enumerate() {
            let share = left.div_ceil(prompts.len() - i);
            let piece = self.running[*sequence].piece_max();
            sizes[*sequence] = piece.min(share);
            was_limited |= piece > share;
            left -= sizes[*sequence];
        }
        (sizes, StepLoad { decoding, prompt_tokens: budget - left, was_limited })
    }

    /// Makes room for what is planned, oldest first; who loses its pages is left out.
    fn reserve(&mut self, planned: &mut Vec<(u64, usize)>) {
        planned.retain(|(_, tokens)| *tokens > 0);
        planned.sort_unstable();
        for (number, tokens) in planned.iter() {
            while let Some(at) = self.running.iter().position(|s| s.number == *number) {
                if self.running[at].cache_mut().reserve(*tokens) {
                    break;
                }
                if !self.index.evict_pages() {
                    self.preempt();
                }
            }
        }
    }

    /// Takes the pages of the youngest sequence; it goes on later.
    fn preempt(&mut self) {
        let youngest = (0..self.running.len()).max_by_key(|i| self.running[*i].number);
        // They lose their pages youngest first, so that the order stays.
        if let Some(youngest) = youngest {
            self.put_back(youngest);
        }
    }

    /// Puts a sequence that runs before those that wait to go on; it is computed again.
    fn put_back(&mut self, at: usize) {
        let mut sequence = self.running.remove(at);
        sequence.release();
        self.preempted.push_front(sequence);
    }

    /// What each sequence that still runs gets.
    fn shares(&self, planned: &[(u64, usize)]) -> Vec<Share> {
        let share = |(sequence, running): (usize, &Sequence)| {
            let (_, tokens) = planned.iter().find(|(number, _)| *number == running.number)?;
            Some(Share {
                sequence,
                from: running.cache().positions(),
                tokens: *tokens,
                rows: running.rows(*tokens),
                hidden: running.wants_hidden(),
            })
        };
        self.running.iter().enumerate().filter_map(share).collect()
    }

    /// The forward pass: logits of the wanted rows, and hidden states of the wanted tokens. If it
    /// panics, who took part in it alone fails, and several go on one by one.
    fn forward(&mut self, shares: &[Share]) -> Option<(Vec<f32>, Vec<f32>)> {
        let mut first = 0;
        let mut wanted = Vec::new();
        for share in shares {
            if share.hidden {
                wanted.push(first..first + share.tokens);
            }
            first += share.tokens;
        }
        let config = self.engine.config();
        let (stage, width) = (config.num_hidden_layers + 1, config.hidden_size);
        let mut hidden = LastHidden { stage, width, wanted, rows: Vec::new() };
        let mut shared = shares.iter().peekable();
        let mut segments = Vec::with_capacity(shares.len());
        for (i, sequence) in self.running.iter_mut().enumerate() {
            if let Some(share) = shared.next_if(|share| share.sequence == i) {
                let (cache, tokens) = sequence.cache_and_tokens(share.tokens);
                segments.push(Segment { cache, tokens, rows: share.rows });
            }
        }
        let model = self.engine.forward_model();
        let pass = AssertUnwindSafe(|| forward_batch(model, &mut segments, &mut hidden));
        let result = catch_unwind(pass);
        drop(segments);
        match result {
            Ok(logits) => Some((logits, hidden.rows)),
            Err(payload) => {
                self.blame(shares, &format!("internal error: {}", panic_message(&*payload)));
                None
            }
        }
    }

    /// Ends the sequence that a step panicked with, or puts several back to find out which it was.
    fn blame(&mut self, shares: &[Share], why: &str) {
        if let [share] = shares {
            let sequence = &mut self.running[share.sequence];
            // What is half written is not kept.
            sequence.release();
            sequence.ended.get_or_insert(End::Told(BatchStop::Failed(why.to_owned())));
            return;
        }
        // From the last to the first, so that indices stay and the oldest comes to the front.
        for share in shares.iter().rev() {
            self.running[share.sequence].is_suspect = true;
            self.put_back(share.sequence);
        }
    }

    /// Gives each sequence what was computed for it.
    fn give(&mut self, shares: &[Share], logits: &[f32], hidden: &[f32]) {
        let config = self.engine.config();
        let (vocab_size, width) = (config.vocab_size, config.hidden_size);
        let (mut rest, mut hidden) = (logits, hidden);
        let mut last = vec![None; self.running.len()];
        for share in shares {
            let rows = match share.rows {
                LogitRows::None => 0,
                LogitRows::Last => 1,
                LogitRows::All => share.tokens,
            };
            let own = rest.split_off(..rows * vocab_size).expect("a row for each that is wanted");
            let prompt_logprobs = match share.rows {
                LogitRows::All => self.prompt_logprobs(share, own),
                LogitRows::None | LogitRows::Last => Vec::new(),
            };
            let sequence = &mut self.running[share.sequence];
            if share.hidden {
                let own = hidden.split_off(..share.tokens * width);
                sequence.add_hidden(own.expect("a row for each that is wanted"), width);
            }
            sequence.computed(prompt_logprobs);
            if sequence.remaining() == 0 {
                sequence.is_suspect = false;
                sequence.end_without_tokens();
                last[share.sequence] = own.rchunks(vocab_size).next();
            }
            if sequence.takes_mark() {
                keep(&mut self.index, &self.running[share.sequence]);
            }
        }
        self.choose(&last);
    }

    /// The log-probabilities of those tokens of a prompt that these logits (`[tokens, V]`) are
    /// about.
    fn prompt_logprobs(&self, share: &Share, logits: &[f32]) -> Vec<TokenLogprobs> {
        let sequence = &self.running[share.sequence];
        let vocab_size = self.engine.config().vocab_size;
        let positions = sequence.prompt_rows(share.from, share.tokens);
        let mut all: Vec<Option<TokenLogprobs>> = vec![None; positions.len()];
        let model = self.engine.forward_model();
        let prompt = sequence.prompt_scores();
        model.compute.pool.chunks_mut(&mut all, 1, &|i, out| {
            let position = positions.start + i;
            let row = &logits[(position - share.from) * vocab_size..][..vocab_size];
            out[0] = Some(prompt.logprobs(position, row));
        });
        all.into_iter().flatten().collect()
    }

    /// Chooses the next token of every sequence whose last logits are there, on all threads, and
    /// tells them.
    fn choose(&mut self, logits: &[Option<&[f32]>]) {
        let mut rows: Vec<Row<'_>> = self
            .running
            .iter_mut()
            .zip(logits)
            .filter_map(|(sequence, logits)| {
                let is_running = sequence.ended.is_none();
                let logits = logits.filter(|_| is_running)?;
                Some(Row { sequence, logits, chosen: None })
            })
            .collect();
        let model = self.engine.forward_model();
        model.compute.pool.chunks_mut(&mut rows, 1, &|_, row| {
            let Row { sequence, logits, chosen } = &mut row[0];
            *chosen = Some(sequence.choose(logits));
        });
        for row in rows {
            if let Some(chosen) = row.chosen {
                self.counters.generated_tokens += u64::from(chosen.is_ok());
                row.sequence.take(chosen);
            }
        }
    }
}
