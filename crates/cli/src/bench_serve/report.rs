//! Percentiles, as a table for people and JSON for programs.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use serde_json::{Value, json};

use super::Arrival;
use super::client::Outcome;

/// Percentiles that are shown.
const PERCENTILES: [f64; 4] = [50.0, 90.0, 95.0, 99.0];

/// The results of all requests.
pub struct Report<'a> {
    pub url: &'a str,
    pub model: &'a str,
    pub arrival: Arrival,
    pub outcomes: &'a [Outcome],
    /// From the first request to the last end.
    pub seconds: f64,
}

/// Times of one kind, in milliseconds.
struct Times {
    name: &'static str,
    key: &'static str,
    sorted: Vec<f64>,
}

impl Times {
    fn new(name: &'static str, key: &'static str, mut times: Vec<f64>) -> Times {
        times.sort_by(f64::total_cmp);
        Times { name, key, sorted: times }
    }

    fn mean(&self) -> f64 {
        self.sorted.iter().sum::<f64>() / self.sorted.len() as f64
    }

    /// The smallest time that is not below `percent` of all (nearest rank).
    fn percentile(&self, percent: f64) -> f64 {
        let rank = (percent / 100.0 * self.sorted.len() as f64).ceil() as usize;
        self.sorted[rank.clamp(1, self.sorted.len()) - 1]
    }
}

impl Report<'_> {
    fn finished(&self) -> impl Iterator<Item = &Outcome> {
        self.outcomes.iter().filter(|outcome| outcome.error.is_none())
    }

    /// Times of requests that did not fail: to the first piece, between pieces, for each token
    /// after the first, and in total.
    fn times(&self) -> [Times; 4] {
        let ms = |time: Duration| time.as_secs_f64() * 1e3;
        let first = self.finished().filter_map(|o| o.pieces.first()).map(|t| ms(*t)).collect();
        let gaps = self.finished().flat_map(|o| o.pieces.windows(2));
        let gaps = gaps.map(|pair| ms(pair[1] - pair[0])).collect();
        let token = self.finished().filter_map(|o| {
            let (first, last) = (o.pieces.first()?, o.pieces.last()?);
            (o.tokens() > 1).then(|| ms(*last - *first) / (o.tokens() - 1) as f64)
        });
        let total = self.finished().map(|o| ms(o.total)).collect();
        [
            Times::new("time to first token", "ttft_ms", first),
            Times::new("between pieces", "inter_token_latency_ms", gaps),
            Times::new("per token after the first", "time_per_output_token_ms", token.collect()),
            Times::new("whole request", "latency_ms", total),
        ]
    }

    /// How often each failure came.
    fn failures(&self) -> BTreeMap<&str, usize> {
        let mut failures = BTreeMap::new();
        for error in self.outcomes.iter().filter_map(|outcome| outcome.error.as_deref()) {
            *failures.entry(error).or_default() += 1;
        }
        failures
    }

    fn prompt_tokens(&self) -> u64 {
        self.finished().filter_map(|outcome| outcome.prompt_tokens).sum()
    }

    fn completion_tokens(&self) -> u64 {
        self.finished().map(Outcome::tokens).sum()
    }

    fn per_second(&self, count: u64) -> f64 {
        count as f64 / self.seconds.max(f64::MIN_POSITIVE)
    }

    /// For people.
    pub fn table(&self) -> String {
        let arrival = match self.arrival {
            Arrival::Rate(rate) => format!("{rate} a second on average"),
            Arrival::Concurrency(streams) => format!("{streams} at any moment"),
        };
        let finished = self.finished().count() as u64;
        let mut text = format!(
            "server    {}, model {}\nrequests  {} sent, {finished} finished in {:.1} s, {arrival}\n\
             rates     {:.2} requests/s, {:.1} tok/s generated, {:.1} tok/s of prompts\n",
            self.url,
            self.model,
            self.outcomes.len(),
            self.seconds,
            self.per_second(finished),
            self.per_second(self.completion_tokens()),
            self.per_second(self.prompt_tokens()),
        );
        let late = self.outcomes.iter().map(|outcome| outcome.late).max().unwrap_or_default();
        if late > Duration::from_millis(100) {
            let ms = late.as_millis();
            let _ =
                writeln!(text, "caution   a request was sent {ms} ms late: this machine is busy");
        }
        let _ = writeln!(
            text,
            "\n{:<26} {:>9} {:>9} {:>9} {:>9} {:>9} {:>9}",
            "ms", "mean", "p50", "p90", "p95", "p99", "max"
        );
        for times in self.times().iter().filter(|times| !times.sorted.is_empty()) {
            let _ = write!(text, "{:<26} {:>9.1}", times.name, times.mean());
            for percent in PERCENTILES.into_iter().chain([100.0]) {
                let _ = write!(text, " {:>9.1}", times.percentile(percent));
            }
            text.push('\n');
        }
        for (error, count) in self.failures() {
            let _ = writeln!(text, "\nfailed {count} times: {error}");
        }
        text
    }

    /// For programs; with every request if `each`.
    pub fn to_json(&self, each: bool) -> Value {
        let finished = self.finished().count() as u64;
        let (rate, concurrency) = match self.arrival {
            Arrival::Rate(rate) => (json!(rate), Value::Null),
            Arrival::Concurrency(streams) => (Value::Null, json!(streams)),
        };
        let mut value = json!({
            "url": self.url,
            "model": self.model,
            "rate": rate,
            "concurrency": concurrency,
            "sent": self.outcomes.len(),
            "finished": finished,
            "seconds": self.seconds,
            "requests_per_second": self.per_second(finished),
            "prompt_tokens": self.prompt_tokens(),
            "completion_tokens": self.completion_tokens(),
            "completion_tokens_per_second": self.per_second(self.completion_tokens()),
            "failures": self.failures(),
        });
        for times in self.times().iter().filter(|times| !times.sorted.is_empty()) {
            let mut row = json!({"mean": times.mean(), "max": times.percentile(100.0)});
            for percent in PERCENTILES {
                row[format!("p{percent}")] = json!(times.percentile(percent));
            }
            value[times.key] = row;
        }
        if each {
            let seconds = |time: &Duration| time.as_secs_f64();
            let request = |outcome: &Outcome| {
                json!({
                    "status": outcome.status,
                    "error": outcome.error,
                    "prompt_tokens": outcome.prompt_tokens,
                    "completion_tokens": outcome.completion_tokens,
                    "late_seconds": seconds(&outcome.late),
                    "total_seconds": seconds(&outcome.total),
                    "piece_seconds": outcome.pieces.iter().map(seconds).collect::<Vec<_>>(),
                })
            };
            value["requests"] = self.outcomes.iter().map(request).collect();
        }
        value
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(pieces: &[u64], total: u64) -> Outcome {
        Outcome {
            status: 200,
            pieces: pieces.iter().copied().map(Duration::from_millis).collect(),
            total: Duration::from_millis(total),
            prompt_tokens: Some(7),
            ..Outcome::default()
        }
    }

    #[test]
    fn times_are_those_of_finished_requests() {
        let failed = Outcome { error: Some("broken".into()), ..outcome(&[900], 900) };
        let outcomes = [outcome(&[10, 14, 20], 21), outcome(&[30], 31), failed];
        let arrival = Arrival::Concurrency(2);
        let report = Report { url: "u", model: "m", arrival, outcomes: &outcomes, seconds: 2.0 };
        let value = report.to_json(true);
        assert_eq!(value["finished"], 2);
        assert_eq!(value["completion_tokens"], 4);
        assert_eq!(value["completion_tokens_per_second"], 2.0);
        assert_eq!(value["ttft_ms"]["mean"], 20.0);
        assert_eq!(value["ttft_ms"]["p50"], 10.0);
        assert_eq!(value["inter_token_latency_ms"]["max"], 6.0);
        assert_eq!(value["time_per_output_token_ms"]["p99"], 5.0);
        assert_eq!(value["latency_ms"]["max"], 31.0);
        assert_eq!(value["failures"]["broken"], 1);
        assert_eq!(value["requests"].as_array().unwrap().len(), 3);
        assert!(report.table().contains("failed 1 times: broken"));
    }

    #[test]
    fn a_report_of_nothing_is_no_panic() {
        let arrival = Arrival::Rate(0.5);
        let report = Report { url: "u", model: "m", arrival, outcomes: &[], seconds: 0.0 };
        assert!(report.table().contains("0 sent"));
        assert_eq!(report.to_json(false)["finished"], 0);
    }
}
