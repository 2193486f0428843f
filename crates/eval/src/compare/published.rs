//! Scores that others have published, with where they stand.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

/// A published score.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PublishedScore {
    /// The task or family of this crate that comes closest.
    pub task: String,
    /// The model.
    pub model: String,
    /// Number of examples, metric, effort.
    pub setting: String,
    /// 0 to 1.
    pub value: f64,
    /// Where it stands.
    pub source: String,
}

/// The published scores of these tasks.
pub fn published(tasks: &BTreeSet<String>) -> Vec<PublishedScore> {
    let all: Vec<PublishedScore> = serde_json::from_str(include_str!("../../tasks/published.json"))
        .expect("the file is compiled in and read by a test");
    all.into_iter().filter(|score| tasks.contains(&score.task)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::task::{builtin_sources, find};

    #[test]
    fn every_published_score_is_of_a_task() {
        let names: BTreeSet<String> =
            builtin_sources().iter().map(|(name, _)| name.to_string()).collect();
        let found = published(&names);
        assert!(found.len() >= 30, "{}", found.len());
        for score in found {
            assert!(find(&score.task).is_ok());
            assert!((0.0..=1.0).contains(&score.value) && !score.source.is_empty(), "{score:?}");
        }
        assert!(published(&BTreeSet::new()).is_empty());
    }
}
