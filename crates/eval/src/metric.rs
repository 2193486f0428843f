//! The scores of one document.
//!
//! Source: lm-evaluation-harness 0.4.13 `api/task.py` (`process_results`) and
//! `tasks/truthfulqa/utils.py` (`process_results_mc2`).

use crate::python::float::{first_max, pairwise_sum};
use crate::task::{Gold, MetricName};

/// The place of the choice that a metric takes.
pub fn pick(metric: MetricName, logprobs: &[f64], choices: &[String]) -> usize {
    let lengths: Vec<f64> = match metric {
        MetricName::AccNorm => choices.iter().map(|c| c.chars().count() as f64).collect(),
        MetricName::AccBytes => choices.iter().map(|c| c.len() as f64).collect(),
        _ => return first_max(logprobs),
    };
    let normalised: Vec<f64> = logprobs.iter().zip(&lengths).map(|(ll, len)| ll / len).collect();
    first_max(&normalised)
}

/// The score of the log-likelihoods of all choices, 0 to 1.
///
/// `acc` is 1 if the likeliest choice is the right one; `acc_norm` and `acc_bytes` divide by its
/// length first. `mc2` = Σ over true choices of exp(ll) / Σ over all.
pub fn choice_score(
    metric: MetricName,
    logprobs: &[f64],
    choices: &[String],
    gold: &Gold,
) -> Option<f64> {
    match (metric, gold) {
        (MetricName::Mc2, Gold::Truths(truths)) => Some(mass_of_truths(logprobs, truths)),
        (MetricName::Acc | MetricName::AccNorm | MetricName::AccBytes, Gold::Index(gold)) => {
            Some(f64::from(pick(metric, logprobs, choices) == *gold))
        }
        _ => None,
    }
}

fn mass_of_truths(logprobs: &[f64], truths: &[bool]) -> f64 {
    let masses: Vec<f64> = logprobs.iter().map(|ll| libm::exp(*ll)).collect();
    let total = pairwise_sum(&masses);
    let shares = masses.iter().zip(truths).filter(|(_, is_true)| **is_true);
    let shares: Vec<f64> = shares.map(|(mass, _)| mass / total).collect();
    pairwise_sum(&shares)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_code_points_or_bytes() {
        let choices = ["éé".to_string(), "abc".into()];
        let gold = Gold::Index(1);
        let score = |metric, lls: [f64; 2]| choice_score(metric, &lls, &choices, &gold).unwrap();
        // -3/2 and -4/3 by code points, -3/4 and -4/3 by bytes.
        assert_eq!(score(MetricName::Acc, [-3.0, -4.0]), 0.0);
        assert_eq!(score(MetricName::AccNorm, [-3.0, -4.0]), 1.0);
        assert_eq!(score(MetricName::AccBytes, [-3.0, -4.0]), 0.0);
        assert_eq!(score(MetricName::Acc, [-3.0, -3.0]), 0.0, "the first of equals");
        assert_eq!(choice_score(MetricName::Mc2, &[0.0; 2], &choices, &gold), None);
        assert_eq!(choice_score(MetricName::Graded, &[0.0; 2], &choices, &gold), None);
    }

    #[test]
    fn the_mass_of_truths_is_a_share() {
        // numpy 2.4.6: exp, sum and division as in process_results_mc2.
        let lls = [-1.5, -2.25, -0.75, -3.0, -10.0, -2.0, -4.5, -1.0, -6.0, -2.5];
        let truths = [1, 0, 0, 1, 1, 0, 1, 1, 0, 1].map(|truth| truth == 1);
        let found = mass_of_truths(&lls, &truths);
        assert!((found - 0.5063659112562167).abs() < 1e-15, "{found}");
    }
}
