//! Counters for Prometheus, under vLLM's names where the meaning is the same, so that dashboards
//! and the Kubernetes inference gateway read them, and under our own.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use gptoss_engine::BatchStatus;

/// Upper bounds of the buckets of times to the first token, in seconds, as vLLM has them.
const TTFT_SECONDS: [f64; 18] = [
    0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0,
    30.0, 120.0,
];
/// Upper bounds of the buckets of times between tokens, in seconds, as vLLM has them.
const ITL_SECONDS: [f64; 16] =
    [0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0];

/// What is counted; gauges come from the batcher when they are asked for.
pub(crate) struct Metrics {
    ttft: Histogram,
    itl: Histogram,
    /// Requests that ended, by reason.
    finished: Mutex<BTreeMap<&'static str, u64>>,
    /// Repairs of harmony output, by kind.
    repaired: Mutex<BTreeMap<&'static str, u64>>,
    /// Answers by status.
    answers: Mutex<BTreeMap<u16, u64>>,
}

impl Metrics {
    pub(crate) fn new() -> Metrics {
        Metrics {
            ttft: Histogram::new(&TTFT_SECONDS),
            itl: Histogram::new(&ITL_SECONDS),
            finished: Mutex::default(),
            repaired: Mutex::default(),
            answers: Mutex::default(),
        }
    }

    /// Seconds from a request to its first token.
    pub(crate) fn first_token(&self, seconds: f64) {
        self.ttft.observe(seconds);
    }

    /// Seconds from one token to the next.
    pub(crate) fn next_token(&self, seconds: f64) {
        self.itl.observe(seconds);
    }

    /// An answer that ended: `stop`, `length`, `tool_calls`, `abort` or `error`.
    pub(crate) fn finished(&self, reason: &'static str) {
        count(&self.finished, reason);
    }

    /// A deviation from the format that was repaired.
    pub(crate) fn repaired(&self, kind: &'static str) {
        count(&self.repaired, kind);
    }

    /// An HTTP answer.
    pub(crate) fn answered(&self, status: u16) {
        count(&self.answers, status);
    }

    /// Everything as text in Prometheus's format.
    pub(crate) fn text(&self, status: &BatchStatus, model: &str) -> String {
        let model = model.replace(['\\', '"', '\n'], "_");
        let mut page = Page { text: String::new(), label: format!("model_name=\"{model}\"") };
        let used = match status.pages {
            0 => 0.0,
            pages => status.pages_used as f64 / pages as f64,
        };
        let gauges = [
            ("num_requests_waiting", "Requests that wait.", status.waiting as f64),
            ("num_requests_running", "Requests that are computed.", status.running as f64),
            ("kv_cache_usage_perc", "Share of the KV cache that is used, 0 to 1.", used),
        ];
        for (name, help, value) in gauges {
            page.both(name, "gauge", help, value);
        }
        let counters = [
            ("prompt_tokens_total", "Tokens of prompts.", status.prompt_tokens),
            ("generation_tokens_total", "Tokens generated.", status.generated_tokens),
            ("prefix_cache_queries_total", "Tokens looked up in the cache.", status.prompt_tokens),
            ("prefix_cache_hits_total", "Tokens found in the cache.", status.cached_tokens),
        ];
        for (name, help, value) in counters {
            page.both(name, "counter", help, value as f64);
        }
        let first = "Seconds from a request to its first token.";
        page.histogram("vllm:time_to_first_token_seconds", first, &self.ttft);
        page.histogram("gptoss_time_to_first_token_seconds", first, &self.ttft);
        let next = "Seconds from one token to the next.";
        for name in [
            "vllm:inter_token_latency_seconds",
            "vllm:time_per_output_token_seconds",
            "gptoss_inter_token_latency_seconds",
        ] {
            page.histogram(name, next, &self.itl);
        }
        let finished = "Answers that ended, by reason.";
        page.by_label("vllm:request_success_total", "finished_reason", finished, &self.finished);
        page.by_label("gptoss_request_success_total", "finished_reason", finished, &self.finished);
        let repaired = "Deviations from the harmony format that were repaired, by kind.";
        page.by_label("gptoss_repaired_harmony_total", "kind", repaired, &self.repaired);
        let answers = "HTTP answers by status.";
        page.by_label("gptoss_http_responses_total", "status", answers, &self.answers);
        page.config(status);
        page.text
    }
}

fn count<K: Ord>(counters: &Mutex<BTreeMap<K, u64>>, key: K) {
    *lock(counters).entry(key).or_default() += 1;
}

/// A counter is never in a bad state, whoever panicked while holding it.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// Counts of values by upper bound.
struct Histogram {
    bounds: &'static [f64],
    /// One for each bound and one for what is above.
    buckets: Vec<AtomicU64>,
    sum_micros: AtomicU64,
}

impl Histogram {
    fn new(bounds: &'static [f64]) -> Histogram {
        let buckets = (0..=bounds.len()).map(|_| AtomicU64::new(0)).collect();
        Histogram { bounds, buckets, sum_micros: AtomicU64::new(0) }
    }

    fn observe(&self, seconds: f64) {
        let bucket = self.bounds.partition_point(|bound| *bound < seconds);
        self.buckets[bucket].fetch_add(1, Ordering::Relaxed);
        self.sum_micros.fetch_add((seconds * 1e6) as u64, Ordering::Relaxed);
    }
}

/// A page of metrics that is being written; writing to a string cannot fail.
struct Page {
    text: String,
    label: String,
}

impl Page {
    /// The same value under vLLM's name and ours.
    fn both(&mut self, name: &str, kind: &str, help: &str, value: f64) {
        for prefix in ["vllm:", "gptoss_"] {
            self.head(&format!("{prefix}{name}"), kind, help);
            let label = self.label.clone();
            let _ = writeln!(self.text, "{prefix}{name}{{{label}}} {value}");
        }
    }

    fn head(&mut self, name: &str, kind: &str, help: &str) {
        let _ = writeln!(self.text, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    fn histogram(&mut self, name: &str, help: &str, histogram: &Histogram) {
        self.head(name, "histogram", help);
        let label = self.label.clone();
        let mut total = 0;
        let bounds = histogram.bounds.iter().map(f64::to_string).chain(["+Inf".to_owned()]);
        for (bound, bucket) in bounds.zip(&histogram.buckets) {
            total += bucket.load(Ordering::Relaxed);
            let _ = writeln!(self.text, "{name}_bucket{{{label},le=\"{bound}\"}} {total}");
        }
        let sum = histogram.sum_micros.load(Ordering::Relaxed) as f64 / 1e6;
        let _ = writeln!(self.text, "{name}_sum{{{label}}} {sum}");
        let _ = writeln!(self.text, "{name}_count{{{label}}} {total}");
    }

    fn by_label<K: Ord + std::fmt::Display>(
        &mut self,
        name: &str,
        key: &str,
        help: &str,
        counters: &Mutex<BTreeMap<K, u64>>,
    ) {
        self.head(name, "counter", help);
        let label = self.label.clone();
        for (value, count) in &*lock(counters) {
            let _ = writeln!(self.text, "{name}{{{label},{key}=\"{value}\"}} {count}");
        }
    }

    /// What the inference gateway reads the size of the cache from.
    fn config(&mut self, status: &BatchStatus) {
        let name = "vllm:cache_config_info";
        self.head(name, "gauge", "Size of the KV cache.");
        let (pages, positions) = (status.pages, status.page_positions);
        let sizes = format!("block_size=\"{positions}\",num_gpu_blocks=\"{pages}\"");
        let label = self.label.clone();
        let _ = writeln!(self.text, "{name}{{{label},{sizes}}} 1");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_add_up() {
        let metrics = Metrics::new();
        for seconds in [0.0005, 0.3, 500.0] {
            metrics.first_token(seconds);
        }
        let text = metrics.text(&BatchStatus::default(), "m\"");
        let name = "vllm:time_to_first_token_seconds";
        for line in [
            format!("{name}_bucket{{model_name=\"m_\",le=\"0.001\"}} 1"),
            format!("{name}_bucket{{model_name=\"m_\",le=\"0.5\"}} 2"),
            format!("{name}_bucket{{model_name=\"m_\",le=\"+Inf\"}} 3"),
            format!("{name}_count{{model_name=\"m_\"}} 3"),
        ] {
            assert!(text.lines().any(|found| found == line), "{line} in {text}");
        }
    }
}
