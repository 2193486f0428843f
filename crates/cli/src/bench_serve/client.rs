//! One request: sent, and its stream read with a clock.

use std::io::{BufRead, BufReader};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use clap::ValueEnum;
use serde_json::Value;

/// Longest line of a stream that is read.
const LINE_BYTES_MAX: u64 = 16 << 20;
/// Bytes of an error's body that are read.
const ERROR_BYTES_MAX: u64 = 1 << 16;

/// An interface of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Api {
    /// /v1/chat/completions
    Chat,
    /// /v1/completions
    Completions,
}

impl Api {
    fn path(self) -> &'static str {
        match self {
            Api::Chat => "/v1/chat/completions",
            Api::Completions => "/v1/completions",
        }
    }
}

/// What became of a request; times are from when it was sent.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Outcome {
    /// HTTP status, 0 without an answer.
    pub status: u16,
    /// Why it failed.
    pub error: Option<String>,
    /// When each piece of text came.
    pub pieces: Vec<Duration>,
    /// When the stream ended.
    pub total: Duration,
    /// As the server counted them; without, pieces are counted.
    pub prompt_tokens: Option<u64>,
    /// As the server counted them.
    pub completion_tokens: Option<u64>,
    /// How much later than planned it was sent.
    pub late: Duration,
}

impl Outcome {
    /// Tokens of the answer.
    pub fn tokens(&self) -> u64 {
        self.completion_tokens.unwrap_or(self.pieces.len() as u64)
    }
}

/// Asks one server.
pub struct Client {
    agent: ureq::Agent,
    base: String,
    key: Option<String>,
}

impl Client {
    /// A client of the server at `url`, with or without `/v1`.
    pub fn new(url: &str, key: Option<String>, patience: Duration) -> Client {
        let base = url.trim_end_matches('/').trim_end_matches("/v1").to_owned();
        let agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .max_idle_connections(64)
            .max_idle_connections_per_host(64)
            .timeout_connect(Some(Duration::from_secs(10)))
            .timeout_per_read(Some(patience))
            .build()
            .new_agent();
        Client { agent, base, key }
    }

    /// The first model that the server lists.
    ///
    /// # Errors
    /// If it does not answer, or has none.
    pub fn first_model(&self) -> anyhow::Result<String> {
        let mut request = self.agent.get(format!("{}/v1/models", self.base));
        if let Some(key) = &self.key {
            request = request.header("authorization", format!("Bearer {key}"));
        }
        let mut answer = request.call()?;
        let status = answer.status().as_u16();
        let body = answer.body_mut().with_config().limit(LINE_BYTES_MAX).read_to_string()?;
        if status != 200 {
            bail!("/v1/models answered {status}: {}", error_text(&body));
        }
        let value: Value = serde_json::from_str(&body).context("/v1/models answered no JSON")?;
        let id = value["data"][0]["id"].as_str();
        Ok(id.context("the server lists no model; choose one with --model")?.to_owned())
    }

    /// Sends a request and reads its stream to the end.
    pub fn stream(&self, api: Api, body: &Value) -> Outcome {
        let start = Instant::now();
        let mut outcome = Outcome::default();
        if let Err(error) = self.try_stream(api, body, start, &mut outcome) {
            outcome.error = Some(format!("{error:#}"));
        }
        outcome.total = start.elapsed();
        outcome
    }

    fn try_stream(
        &self,
        api: Api,
        body: &Value,
        start: Instant,
        outcome: &mut Outcome,
    ) -> anyhow::Result<()> {
        let mut request = self
            .agent
            .post(format!("{}{}", self.base, api.path()))
            .header("content-type", "application/json")
            .header("accept", "text/event-stream");
        if let Some(key) = &self.key {
            request = request.header("authorization", format!("Bearer {key}"));
        }
        let mut answer = request.send(body.to_string())?;
        outcome.status = answer.status().as_u16();
        if outcome.status != 200 {
            let body = answer.body_mut().with_config().limit(ERROR_BYTES_MAX).read_to_string();
            bail!("status {}: {}", outcome.status, error_text(&body.unwrap_or_default()));
        }
        let reader = answer.body_mut().with_config().limit(u64::MAX).reader();
        read_events(BufReader::new(reader), outcome, || start.elapsed())
    }
}

/// Reads a stream of server-sent events to its end.
///
/// # Errors
/// If it breaks off, is no such stream, or the server reports an error in it.
fn read_events(
    mut reader: impl BufRead,
    outcome: &mut Outcome,
    clock: impl Fn() -> Duration,
) -> anyhow::Result<()> {
    let mut line = String::new();
    loop {
        line.clear();
        let bytes = std::io::Read::take(&mut reader, LINE_BYTES_MAX).read_line(&mut line)?;
        if bytes == 0 {
            bail!("the stream ended without [DONE]");
        }
        let Some(data) = line.trim_end().strip_prefix("data:") else { continue };
        let data = data.trim_start();
        if data == "[DONE]" {
            return Ok(());
        }
        let event: Value = serde_json::from_str(data).context("an event is not JSON")?;
        if !event["error"].is_null() {
            bail!("error in the stream: {}", error_text(data));
        }
        if has_text(&event) {
            outcome.pieces.push(clock());
        }
        let usage = &event["usage"];
        outcome.prompt_tokens = usage["prompt_tokens"].as_u64().or(outcome.prompt_tokens);
        outcome.completion_tokens =
            usage["completion_tokens"].as_u64().or(outcome.completion_tokens);
    }
}

/// Whether an event brings something that was generated: text, reasoning, or part of a call.
fn has_text(event: &Value) -> bool {
    let choice = &event["choices"][0];
    let is_text = |value: &Value| value.as_str().is_some_and(|text| !text.is_empty());
    let delta = &choice["delta"];
    is_text(&choice["text"])
        || ["content", "reasoning", "reasoning_content"].iter().any(|key| is_text(&delta[*key]))
        || !delta["tool_calls"].is_null()
}

/// What a server says of an error, shortened.
fn error_text(body: &str) -> String {
    let value: Value = serde_json::from_str(body).unwrap_or_default();
    let message = value["error"]["message"].as_str().unwrap_or(body);
    message.chars().take(200).collect()
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    fn read(text: &str) -> (Outcome, anyhow::Result<()>) {
        let ticks = Cell::new(0);
        let clock = || {
            ticks.set(ticks.get() + 1);
            Duration::from_millis(ticks.get())
        };
        let mut outcome = Outcome::default();
        let result = read_events(text.as_bytes(), &mut outcome, clock);
        (outcome, result)
    }

    #[test]
    fn pieces_of_every_kind_are_counted_and_others_are_not() {
        let (outcome, result) = read(concat!(
            ": a comment\n\n",
            "data: {\"choices\":[{\"delta\":{\"role\":\"assistant\",\"content\":\"\"}}]}\n\n",
            "data: {\"choices\":[{\"delta\":{\"reasoning\":\"Hm\"}}]}\n\n",
            "data: {\"choices\":[{\"delta\":{\"content\":\"Hi\"}}]}\n\n",
            "data: {\"choices\":[{\"text\":\"Hi\"}]}\r\n\r\n",
            "data: {\"choices\":[{\"delta\":{\"tool_calls\":[{\"index\":0}]}}]}\n\n",
            "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":5,\"completion_tokens\":9}}\n\n",
            "data: [DONE]\n\n",
        ));
        result.unwrap();
        assert_eq!(outcome.pieces.len(), 4);
        assert_eq!((outcome.prompt_tokens, outcome.tokens()), (Some(5), 9));
    }

    #[test]
    fn a_stream_that_fails_or_breaks_off_is_an_error() {
        let (outcome, result) = read("data: {\"choices\":[{\"text\":\"a\"}]}\n\n");
        assert!(result.unwrap_err().to_string().contains("[DONE]"));
        assert_eq!((outcome.pieces.len(), outcome.tokens()), (1, 1));
        let (_, result) = read("data: {\"error\":{\"message\":\"too hot\"}}\n\n");
        assert!(result.unwrap_err().to_string().contains("too hot"));
        assert!(read("data: {\n\n").1.is_err());
    }
}
