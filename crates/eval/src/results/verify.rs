//! Running a part of a file again: which documents, and what differs.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::sample::{Answer, Key, Sample, SampleLog};
use super::store::Stored;
use crate::EvalError;
use crate::python::random::Random;

/// A document that came out otherwise.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Difference {
    /// The task.
    pub task: String,
    /// The document.
    pub doc: usize,
    /// Which answer to it.
    pub repeat: usize,
    /// What differs, stored value first.
    pub message: String,
}

/// What a verification found.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Verification {
    /// Documents that were run again.
    pub compared: usize,
    /// Of them, documents with the same bits.
    pub identical: usize,
    /// The largest distance of two log-likelihoods.
    pub logprob_distance_max: f64,
    /// Documents that differ by more than the tolerance.
    pub differences: Vec<Difference>,
}

/// Documents that are run again, in memory.
#[derive(Debug, Default)]
pub struct Rerun {
    /// Documents that are wanted and not there.
    wanted: BTreeSet<Key>,
    /// Documents that are there.
    pub samples: Vec<Sample>,
}

impl Rerun {
    /// Wants these documents.
    pub fn new(wanted: impl IntoIterator<Item = Key>) -> Rerun {
        Rerun { wanted: wanted.into_iter().collect(), samples: Vec::new() }
    }
}

impl SampleLog for Rerun {
    fn is_done(&self, key: &Key) -> bool {
        !self.wanted.contains(key)
    }

    fn append(&mut self, sample: &Sample) -> Result<(), EvalError> {
        let key = sample.key();
        if !self.wanted.remove(&key) {
            let message = format!("document {} of `{}` was not asked for", key.doc, key.task);
            return Err(EvalError::Refused(message));
        }
        self.samples.push(sample.clone());
        Ok(())
    }
}

/// A random part of the finished documents, in their order; all of them if there are fewer.
pub fn choose(stored: &Stored, count: usize, seed: u64) -> Vec<Key> {
    let keys: Vec<&Key> = stored.samples.keys().collect();
    let population = u32::try_from(keys.len()).unwrap_or(u32::MAX);
    let count = u32::try_from(count).unwrap_or(u32::MAX).min(population);
    let mut places = Random::new(seed).sample(population, count).unwrap_or_default();
    places.sort_unstable();
    places.into_iter().map(|place| keys[place as usize].clone()).collect()
}

/// Compares documents that were run again with what is stored. `tolerance` is the distance of two
/// log-likelihoods that is no difference: 0 for the same program.
pub fn compare(stored: &Stored, again: &[Sample], tolerance: f64) -> Verification {
    let mut found = Verification::default();
    for sample in again {
        found.compared += 1;
        let message = match stored.samples.get(&sample.key()) {
            None => Some("not in the file".into()),
            Some(before) => {
                found.identical += usize::from(before == sample);
                difference(before, sample, tolerance, &mut found.logprob_distance_max)
            }
        };
        if let Some(message) = message {
            let Key { task, doc, repeat } = sample.key();
            found.differences.push(Difference { task, doc, repeat, message });
        }
    }
    found
}

fn difference(
    before: &Sample,
    after: &Sample,
    tolerance: f64,
    largest: &mut f64,
) -> Option<String> {
    if before.prompt_sha256 != after.prompt_sha256 {
        let (before, after) = (&before.prompt_sha256, &after.prompt_sha256);
        return Some(format!("prompt {before} became {after}"));
    }
    match (&before.answer, &after.answer) {
        (Answer::Choices { logprobs: a, .. }, Answer::Choices { logprobs: b, .. })
            if a.len() == b.len() =>
        {
            let mut message = None;
            for (i, (a, b)) in a.iter().zip(b).enumerate() {
                let distance = if a == b { 0.0 } else { (a - b).abs() };
                *largest = largest.max(distance);
                // A distance that is no number is a difference too.
                if (distance > tolerance || distance.is_nan()) && message.is_none() {
                    message = Some(format!("choice {i}: log-likelihood {a} became {b}"));
                }
            }
            if message.is_none() && before.scores != after.scores {
                message = Some(format!("scores {:?} became {:?}", before.scores, after.scores));
            }
            message
        }
        (Answer::Text { text: a, .. }, Answer::Text { text: b, .. }) => {
            let at = a.bytes().zip(b.bytes()).take_while(|(a, b)| a == b).count();
            (a != b).then(|| format!("the text differs from byte {at} on"))
        }
        _ => Some("another kind of answer".into()),
    }
}
