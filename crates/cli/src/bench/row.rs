//! The result of one test.

use serde_json::{Value, json};

use super::cost::{Bound, Computing, ModelCost};
use super::plan::{Kind, Test};
use crate::machine::Rates;

/// One test, what was measured, and what the machine could do at most.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// The test.
    pub test: Test,
    /// Tokens a second of each repetition, ascending, at least one.
    rates: Vec<f64>,
    /// Tokens a second that the machine cannot exceed.
    pub limit: f64,
    /// What it would wait for then.
    pub bound: Bound,
}

impl Row {
    /// A row, or nothing if nothing was measured.
    pub fn new(test: Test, mut rates: Vec<f64>, (limit, bound): (f64, Bound)) -> Option<Row> {
        rates.sort_by(f64::total_cmp);
        (!rates.is_empty()).then_some(Row { test, rates, limit, bound })
    }

    /// Repetitions that were finished.
    pub fn repetitions(&self) -> usize {
        self.rates.len()
    }

    /// The middle rate, or the mean of the two in the middle.
    pub fn median(&self) -> f64 {
        let n = self.rates.len();
        (self.rates[(n - 1) / 2] + self.rates[n / 2]) / 2.0
    }

    /// The lowest rate.
    pub fn min(&self) -> f64 {
        self.rates[0]
    }

    /// The highest rate.
    pub fn max(&self) -> f64 {
        self.rates[self.rates.len() - 1]
    }

    /// Mean and standard deviation of the sample, as llama-bench prints them.
    pub fn mean_and_deviation(&self) -> (f64, f64) {
        let n = self.rates.len() as f64;
        let mean = self.rates.iter().sum::<f64>() / n;
        let squares: f64 = self.rates.iter().map(|rate| (rate - mean).powi(2)).sum();
        (mean, if n > 1.0 { (squares / (n - 1.0)).sqrt() } else { 0.0 })
    }

    /// The part of the limit that the median is.
    pub fn share(&self) -> f64 {
        self.median() / self.limit
    }

    /// Everything, by name.
    pub fn json(&self) -> Value {
        let Test { kind, n, depth, batch } = self.test;
        json!({
            "test": kind.name(),
            "n": n,
            "depth": depth,
            "batch": batch,
            "repetitions": self.repetitions(),
            "tokens_per_second": self.rates,
            "median": self.median(),
            "min": self.min(),
            "max": self.max(),
            "limit": self.limit,
            "bound": self.bound.name(),
            "share": self.share(),
        })
    }
}

/// The highest number of tokens a second that a machine of these rates can reach.
pub fn limit(cost: &ModelCost, test: &Test, computing: Computing, rates: &Rates) -> (f64, Bound) {
    let (work, tokens) = match test.kind {
        Kind::Prefill => (cost.prefill(test.n, computing), test.n),
        Kind::Decode => {
            // A step in the middle; its own key comes on top of those before it.
            let positions = test.depth as f64 + (test.n as f64 - 1.0) / 2.0;
            (cost.decode_step(test.batch, positions, computing), test.batch)
        }
    };
    let (seconds, bound) = work.seconds(rates);
    (tokens as f64 / seconds, bound)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_middle_of_the_rates_is_compared_with_the_limit() {
        let test = Test { kind: Kind::Decode, n: 4, depth: 0, batch: 1 };
        let row = |rates: &[f64]| Row::new(test, rates.to_vec(), (8.0, Bound::Memory));
        assert_eq!(row(&[]), None);
        let odd = row(&[4.0, 1.0, 2.0]).unwrap();
        assert_eq!((odd.median(), odd.min(), odd.max(), odd.share()), (2.0, 1.0, 4.0, 0.25));
        let even = row(&[3.0, 1.0]).unwrap();
        assert_eq!((even.median(), even.repetitions()), (2.0, 2));
        assert_eq!(even.mean_and_deviation(), (2.0, 2f64.sqrt()));
        assert_eq!(row(&[5.0]).unwrap().mean_and_deviation(), (5.0, 0.0));
    }
}
