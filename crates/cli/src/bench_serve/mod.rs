//! `gptoss bench serve`: load on a server that speaks OpenAI's API, and how long its answers take.
//!
//! Reading order: `workload` (what is asked), `arrivals` (when), `client` (one request),
//! `run` (all of them), `report` (percentiles, table, JSON).

mod arrivals;
mod client;
mod report;
mod run;
mod workload;

use std::io::{Write as _, stdout};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, bail};
use clap::Args;
use gptoss_checkpoint::write_atomically;

use crate::terminal::say;
use client::{Api, Client};
use report::Report;
use workload::Workload;

/// Measure a running server: time to the first token, between tokens, and in total
///
/// Works with any server that speaks OpenAI's API. With --rate, requests arrive by chance
/// (a Poisson process) and do not wait for each other, as those of many people do; without,
/// --concurrency of them are always going on.
#[derive(Args)]
#[command(after_help = "\
Examples:
  gptoss bench serve --concurrency 16 --requests 64
  gptoss bench serve --url http://127.0.0.1:8000 --rate 2 --requests 200 --output load.json
  gptoss bench serve --dataset prompts.jsonl --rate 0.5

A dataset has one JSON object a line, with \"prompt\" or \"messages\", and \"max_tokens\" if wanted.
The key is read from OPENAI_API_KEY. Ctrl-C sends no more requests and shows what is finished.")]
pub struct BenchServeArgs {
    /// Address of the server
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:8080")]
    url: String,
    /// Model to ask for [default: the first that the server lists]
    #[arg(long, value_name = "NAME")]
    model: Option<String>,
    /// Which of its interfaces is asked
    #[arg(long, value_enum, default_value = "chat")]
    api: Api,
    /// Requests in all
    #[arg(short = 'n', long, value_name = "COUNT", default_value_t = 64,
        value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    requests: u32,
    /// Requests that arrive in a second on average
    #[arg(long, value_name = "PER_SECOND", conflicts_with = "concurrency")]
    rate: Option<f64>,
    /// Requests that are going on at any moment
    #[arg(long, value_name = "COUNT", default_value_t = 8,
        value_parser = clap::value_parser!(u16).range(1..=4096))]
    concurrency: u16,
    /// Words of each prompt
    #[arg(long, value_name = "WORDS", default_value_t = 128,
        value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    input_words: u32,
    /// Tokens of each answer at most
    #[arg(long, value_name = "TOKENS", default_value_t = 64,
        value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    output_tokens: u32,
    /// Share of each prompt that is the same in all of them, from 0 to 1
    #[arg(long, value_name = "SHARE", default_value_t = 0.0)]
    shared_prefix: f64,
    /// Ask what this file has instead of random words
    #[arg(long, value_name = "FILE", conflicts_with_all = ["input_words", "shared_prefix"])]
    dataset: Option<PathBuf>,
    /// Seed of words and arrivals
    #[arg(long, value_name = "NUMBER", default_value_t = 0)]
    seed: u64,
    /// Requests before the clock runs
    #[arg(long, value_name = "COUNT", default_value_t = 1)]
    warm_up: u32,
    /// Seconds after which a silent server has failed
    #[arg(long, value_name = "SECONDS", default_value_t = 300)]
    timeout: u64,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
    /// Write JSON to a file, with each request
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

/// How requests arrive.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Arrival {
    /// By chance, so many in a second.
    Rate(f64),
    /// So many at any moment.
    Concurrency(usize),
}

/// Runs the command; exit code 1 if a request failed.
pub fn run(args: &BenchServeArgs) -> anyhow::Result<ExitCode> {
    let arrival = match args.rate {
        Some(rate) if !(rate.is_finite() && rate > 0.0) => bail!("--rate {rate}: must be above 0"),
        Some(rate) => Arrival::Rate(rate),
        None => Arrival::Concurrency(usize::from(args.concurrency)),
    };
    if !(0.0..=1.0).contains(&args.shared_prefix) {
        bail!("--shared-prefix {}: must be from 0 to 1", args.shared_prefix);
    }
    let key = std::env::var("OPENAI_API_KEY").ok().filter(|key| !key.is_empty());
    let client = Client::new(&args.url, key, Duration::from_secs(args.timeout));
    let model = match &args.model {
        Some(model) => model.clone(),
        None => client.first_model().with_context(|| format!("cannot ask {}", args.url))?,
    };
    let workload = match &args.dataset {
        Some(path) => Workload::read(path, args.output_tokens)?,
        None => Workload::random(args.input_words, args.output_tokens, args.shared_prefix),
    };
    let bodies = |number: u64| workload.body(args.api, &model, args.seed, number);
    for number in 0..u64::from(args.warm_up) {
        let outcome = client.stream(args.api, &bodies(u64::MAX - number));
        outcome.error.map_or(Ok(()), |error| bail!("the request to warm up failed: {error}"))?;
    }
    let stop = crate::bench::stop_on_interrupt()?;
    let count = args.requests as usize;
    let load = run::Load { client: &client, api: args.api, bodies: &bodies, stop: &stop };
    let (outcomes, seconds) = match arrival {
        Arrival::Rate(rate) => load.open_loop(&arrivals::poisson(args.seed, rate, count)),
        Arrival::Concurrency(streams) => load.closed_loop(streams, count),
    };
    let report = Report { url: &args.url, model: &model, arrival, outcomes: &outcomes, seconds };
    let text = match args.json {
        true => format!("{:#}\n", report.to_json(false)),
        false => report.table(),
    };
    stdout().write_all(text.as_bytes())?;
    if let Some(path) = &args.output {
        let text = format!("{:#}\n", report.to_json(true));
        write_atomically(path, |out| out.write_all(text.as_bytes()))
            .with_context(|| format!("{}: cannot be written", path.display()))?;
    }
    if outcomes.len() < count {
        say("gptoss: interrupted; only requests that were sent are shown");
        return Ok(ExitCode::from(130));
    }
    Ok(ExitCode::from(u8::from(outcomes.iter().any(|outcome| outcome.error.is_some()))))
}
