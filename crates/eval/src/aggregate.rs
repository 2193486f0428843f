//! Scores of tasks and groups: means and standard errors.
//!
//! Source: lm-evaluation-harness 0.4.13 `api/metrics.py` (`mean`, `mean_stderr`,
//! `aggregate_subtask_metrics`, `pooled_sample_stderr`), `api/group.py`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::python::float::{mean, sum};
use crate::task::TaskGroup;

/// A mean with its standard error.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Score {
    /// Name of the metric.
    pub metric: String,
    /// Name of the filter, `none` if there is no choice.
    pub filter: String,
    /// The mean.
    pub value: f64,
    /// Its standard error; nothing for a single document.
    pub stderr: Option<f64>,
}

/// The scores of a task or a group.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TaskScores {
    /// Its name.
    pub name: String,
    /// Its name in tables.
    pub alias: String,
    /// Version of the task.
    pub version: f64,
    /// Number of examples; nothing for a group.
    pub shots: Option<usize>,
    /// Documents that were scored.
    pub samples: usize,
    /// Whether it is a group.
    pub is_group: bool,
    /// How deep it lies in groups.
    pub depth: usize,
    /// One for each metric and filter.
    pub scores: Vec<Score>,
}

/// Standard error of a mean: √(Σ(x − mean)² / (n − 1)) / √n. Nothing for fewer than two values.
pub fn stderr(values: &[f64]) -> Option<f64> {
    if values.len() < 2 {
        return None;
    }
    let centre = mean(values)?;
    let squares: Vec<f64> = values.iter().map(|x| (x - centre) * (x - centre)).collect();
    let deviation = (sum(&squares) / (values.len() - 1) as f64).sqrt();
    Some(deviation / (values.len() as f64).sqrt())
}

/// Mean and error of the values of all documents of a task, in their order.
pub fn score(metric: &str, filter: &str, values: &[f64]) -> Option<Score> {
    Some(Score {
        metric: metric.into(),
        filter: filter.into(),
        value: mean(values)?,
        stderr: stderr(values),
    })
}

/// The mean of tasks by size, and its error: √(Σ(nᵢ − 1)·seᵢ²·nᵢ / (Σn − k) / Σn).
///
/// Tasks are summed in the order of the group. A task that was not run is left out; nothing if
/// none was.
pub fn group_score(
    group: &TaskGroup,
    tasks: &BTreeMap<String, TaskScores>,
    metric: &str,
    filter: &str,
) -> Option<Score> {
    let is_wanted = |score: &&Score| score.metric == metric && score.filter == filter;
    let mut parts: Vec<(f64, f64, Option<f64>)> = Vec::new();
    for name in &group.tasks {
        let Some(task) = tasks.get(name) else { continue };
        if let Some(score) = task.scores.iter().find(is_wanted) {
            parts.push((task.samples as f64, score.value, score.stderr));
        }
    }
    let sizes: Vec<f64> = parts.iter().map(|(size, ..)| *size).collect();
    let total = sum(&sizes);
    if parts.is_empty() || total == 0.0 {
        return None;
    }
    let weighted: Vec<f64> = parts.iter().map(|(size, value, _)| value * size).collect();
    let errors: Option<Vec<f64>> = parts.iter().map(|(.., stderr)| *stderr).collect();
    let stderr = errors.map(|errors| {
        let variance = |(size, error): (&f64, &f64)| (size - 1.0) * (error * error) * size;
        let variances: Vec<f64> = sizes.iter().zip(&errors).map(variance).collect();
        (sum(&variances) / (total - parts.len() as f64) / total).sqrt()
    });
    let value = sum(&weighted) / total;
    Some(Score { metric: metric.into(), filter: filter.into(), value, stderr })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn task(name: &str, values: &[f64]) -> (String, TaskScores) {
        let scores = TaskScores {
            name: name.into(),
            alias: name.into(),
            version: 1.0,
            shots: Some(0),
            samples: values.len(),
            is_group: false,
            depth: 0,
            scores: score("acc", "none", values).into_iter().collect(),
        };
        (name.into(), scores)
    }

    #[test]
    fn one_document_has_no_error() {
        let alone = score("acc", "none", &[1.0]).unwrap();
        assert_eq!((alone.value, alone.stderr), (1.0, None));
        assert_eq!(score("acc", "none", &[]), None);
        let four = score("acc", "none", &[1.0, 0.0, 0.0, 1.0]).unwrap();
        assert_eq!(four.stderr, Some(0.28867513459481287));
    }

    #[test]
    fn groups_are_weighted_by_size() {
        let tasks: BTreeMap<String, TaskScores> =
            [task("a", &[1.0, 0.0]), task("b", &[1.0, 1.0, 0.0, 1.0]), task("c", &[1.0])].into();
        let group = |tasks: &[&str]| TaskGroup {
            name: "g".into(),
            alias: "g".into(),
            tasks: tasks.iter().map(|name| name.to_string()).collect(),
        };
        let found = group_score(&group(&["a", "b", "absent"]), &tasks, "acc", "none").unwrap();
        assert_eq!(found.value, 4.0 / 6.0);
        // numpy: sqrt(((1 * 0.5**2 * 2) + (3 * 0.25**2 * 4)) / (6 - 2) / 6).
        assert_eq!(found.stderr, Some(0.22821773229381923));
        // An error that one of them lacks is not made up.
        let found = group_score(&group(&["a", "c"]), &tasks, "acc", "none").unwrap();
        assert_eq!((found.value, found.stderr), (2.0 / 3.0, None));
        assert_eq!(group_score(&group(&["absent"]), &tasks, "acc", "none"), None);
    }
}
