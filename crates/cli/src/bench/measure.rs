//! Running one test.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use gptoss_engine::Session;
use gptoss_harmony::TokenId;

use super::engine_calls::{self, Loaded};
use super::plan::{Kind, Test};

/// Steps of decoding before the clock runs: with them a model has read most of its experts.
const WARM_UP_STEPS: usize = 16;

/// Tokens a second, one number for each repetition that was finished before `stop` was set.
///
/// # Errors
/// Those of the engine, such as no memory for the cache.
pub fn run(
    loaded: &Loaded,
    test: &Test,
    repetitions: usize,
    stop: &AtomicBool,
) -> anyhow::Result<Vec<f64>> {
    let vocab_size = loaded.engine.config().vocab_size;
    // Each repetition of decoding begins one token later, see `decode`.
    let later = if test.kind == Kind::Decode && test.depth > 0 { repetitions } else { 0 };
    let max = loaded.engine.config().max_position_embeddings;
    let context = (test.n + test.depth + later).min(max);
    let mut sequences = Vec::new();
    let mut sessions = Vec::new();
    for sequence in 0..test.batch {
        sequences.push(token_ids(sequence as u64, context, vocab_size));
        sessions.push(loaded.engine.session(context)?);
    }
    let mut rates = Vec::new();
    // The first one warms up.
    for repetition in 0..=repetitions {
        let seconds = match test.kind {
            Kind::Prefill => prefill(&mut sessions[0], &sequences[0], stop)?,
            Kind::Decode => {
                let begin =
                    (test.depth + if later > 0 { repetition } else { 0 }).min(context - test.n);
                let steps = if repetition == 0 { test.n.min(WARM_UP_STEPS) } else { test.n };
                decode(loaded, &mut sessions, &sequences, [begin, begin + steps], stop)?
            }
        };
        let Some(seconds) = seconds else { break };
        if repetition > 0 {
            rates.push((test.n * test.batch) as f64 / seconds.max(f64::MIN_POSITIVE));
        }
    }
    Ok(rates)
}

/// Seconds for a whole prompt, nothing of which is cached; `None` if it was stopped.
fn prefill(
    session: &mut Session,
    ids: &[TokenId],
    stop: &AtomicBool,
) -> anyhow::Result<Option<f64>> {
    engine_calls::sync(session, &[], stop)?;
    let start = Instant::now();
    let complete = engine_calls::sync(session, ids, stop)?;
    Ok(complete.then(|| start.elapsed().as_secs_f64()))
}

/// Seconds for the tokens `begin..end` of every sequence; `None` if it was stopped.
///
/// A session goes back to the end of its last prompt without computing anything but the last
/// token, so each repetition has a prompt that is one token longer.
fn decode(
    loaded: &Loaded,
    sessions: &mut [Session],
    sequences: &[Vec<TokenId>],
    [begin, end]: [usize; 2],
    stop: &AtomicBool,
) -> anyhow::Result<Option<f64>> {
    for (session, ids) in sessions.iter_mut().zip(sequences) {
        if !engine_calls::sync(session, &ids[..begin], stop)? {
            return Ok(None);
        }
    }
    let mut tokens = Vec::with_capacity(sequences.len());
    let start = Instant::now();
    for position in begin..end {
        if stop.load(Ordering::SeqCst) {
            return Ok(None);
        }
        tokens.clear();
        tokens.extend(sequences.iter().map(|ids| ids[position]));
        engine_calls::decode_step(&loaded.engine, sessions, &tokens)?;
    }
    Ok(Some(start.elapsed().as_secs_f64()))
}

/// A sequence of ids that is the same on every machine, evenly over the vocabulary, so that tokens
/// choose their experts about evenly, too.
///
/// Source: SplitMix64 (Steele, Lea and Flood, "Fast splittable pseudorandom number generators",
/// 2014).
fn token_ids(sequence: u64, len: usize, vocab_size: usize) -> Vec<TokenId> {
    let mut state = sequence << 32;
    let mut next = || {
        state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut x = state;
        x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        x ^ (x >> 31)
    };
    (0..len).map(|_| (next() % vocab_size as u64) as TokenId).collect()
}

#[cfg(test)]
mod tests {
    use gptoss_engine::EngineOptions;

    use super::*;
    use crate::bench::engine_calls::load;

    #[test]
    fn ids_are_the_same_everywhere_and_even() {
        // The first outputs of SplitMix64 with seed 0 are 0xe220a8397b1dcdaf, 0x6e789e6aa1b965f4.
        let expected = [0xe220_a839_7b1d_cdaf_u64 % 1000, 0x6e78_9e6a_a1b9_65f4 % 1000];
        assert_eq!(token_ids(0, 2, 1000), expected.map(|id| id as TokenId));
        let ids = token_ids(3, 4096, 16);
        let counts: Vec<usize> =
            (0..16).map(|id| ids.iter().filter(|i| **i == id).count()).collect();
        assert!(counts.iter().all(|n| (150..=360).contains(n)), "{counts:?}");
        assert_ne!(token_ids(0, 8, 4096), token_ids(1, 8, 4096));
    }

    #[test]
    fn every_repetition_gives_a_rate_until_it_is_stopped() {
        let loaded = load("nano", EngineOptions::default()).unwrap();
        let stop = AtomicBool::new(false);
        for test in [
            Test { kind: Kind::Prefill, n: 5, depth: 0, batch: 1 },
            Test { kind: Kind::Decode, n: 2, depth: 0, batch: 2 },
            Test { kind: Kind::Decode, n: 2, depth: 140, batch: 1 },
        ] {
            let rates = run(&loaded, &test, 2, &stop).unwrap();
            assert_eq!(rates.len(), 2, "{test}");
            assert!(rates.iter().all(|rate| *rate > 0.0 && rate.is_finite()), "{test}");
        }
        stop.store(true, Ordering::SeqCst);
        let test = Test { kind: Kind::Decode, n: 2, depth: 0, batch: 1 };
        assert!(run(&loaded, &test, 2, &stop).unwrap().is_empty());
    }
}
