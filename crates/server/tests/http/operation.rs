//! Who may ask, how much, and what happens when things go wrong.

use std::io::{Read, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use gptoss_server::config::Settings;
use gptoss_server::scripted::Script;
use gptoss_server::{Keys, Server, ServerError};
use serde_json::{Value, json};

use crate::client::{Running, chat, read_answer, scripted_parts, turns, with};

const CHAT: &str = "/v1/chat/completions";
const SHORT: &str = "<|channel|>final<|message|>Hi.<|return|>";

/// A script that takes its time: `tokens` words, a millisecond each.
fn slow(tokens: usize) -> Script {
    let mut script =
        turns(&[&format!("<|channel|>final<|message|>{}<|return|>", "word ".repeat(tokens))]);
    script.delay_ms = 1;
    script
}

fn server(script: Script, change: impl FnOnce(&mut Settings)) -> Running {
    Running::start(scripted_parts(script, change))
}

/// Waits until a line of the metrics is this.
fn until_metric(server: &Running, expected: &str) {
    let begun = Instant::now();
    while !server.get("/metrics").body.lines().any(|line| line == expected) {
        assert!(begun.elapsed().as_secs() < 30, "{expected}:\n{}", server.get("/metrics").body);
        std::thread::yield_now();
    }
}

const IDLE: &str = "vllm:num_requests_running{model_name=\"gpt-oss-20b\"} 0";

#[test]
fn a_key_is_needed_where_keys_are_set() {
    let mut parts = scripted_parts(turns(&[SHORT]), |_| {});
    parts.keys = Keys::load(std::path::Path::new(""), "secret,other").unwrap();
    let server = Running::start(parts);
    let ask =
        |headers: &[&str]| server.ask("POST", CHAT, headers, chat("x").to_string().as_bytes());
    for headers in [&[][..], &["Authorization: Bearer wrong"], &["Authorization: secret"]] {
        let answer = ask(headers);
        assert_eq!(answer.status, 401);
        assert_eq!(answer.error()["code"], "invalid_api_key");
    }
    assert_eq!(ask(&["Authorization: Bearer secret"]).status, 200);
    for path in ["/health", "/ready", "/metrics"] {
        assert_eq!(server.get(path).status, 200, "{path}");
    }
    // One key's responses are not another's.
    let body = json!({"input": "x"}).to_string();
    let own = ["Authorization: Bearer secret"];
    let made = server.ask("POST", "/v1/responses", &own, body.as_bytes()).json();
    let path = format!("/v1/responses/{}", made["id"].as_str().unwrap());
    assert_eq!(server.ask("GET", &path, &own, b"").status, 200);
    assert_eq!(server.ask("GET", &path, &["Authorization: Bearer other"], b"").status, 404);
}

#[test]
fn a_public_address_needs_keys_or_a_word() {
    let public = |settings: &mut Settings| settings.server.host = "0.0.0.0".parse().unwrap();
    let result = Server::new(scripted_parts(turns(&[SHORT]), public));
    let Err(ServerError::Config(error)) = result else { panic!("it started") };
    assert!(error.to_string().contains("API keys"), "{error}");
    let mut parts = scripted_parts(turns(&[SHORT]), public);
    parts.keys = Keys::load(std::path::Path::new(""), "secret").unwrap();
    assert!(Server::new(parts).is_ok());
    let parts = scripted_parts(turns(&[SHORT]), |settings| {
        public(settings);
        settings.access.allow_unauthenticated = true;
    });
    assert!(Server::new(parts).is_ok());
}

#[test]
fn strangers_names_and_pages_are_refused() {
    let server = Running::turns(&[SHORT]);
    let ask = |headers: &[&str]| server.ask("GET", "/v1/models", headers, b"").status;
    assert_eq!(ask(&["Host: evil.example"]), 403);
    assert_eq!(ask(&["Origin: https://evil.example"]), 403);
    assert_eq!(ask(&["Host: localhost"]), 200);
    let allowed = |settings: &mut Settings| {
        settings.access.origins = vec!["https://good.example".to_owned()];
    };
    let server = self::server(turns(&[SHORT]), allowed);
    let good = ["Origin: https://good.example"];
    let answer = server.ask("GET", "/v1/models", &good, b"");
    assert_eq!(answer.headers["access-control-allow-origin"], "https://good.example");
    let before = [good[0], "Access-Control-Request-Method: POST"];
    let answer = server.ask("OPTIONS", CHAT, &before, b"");
    assert_eq!(answer.status, 204);
    assert!(answer.headers["access-control-allow-methods"].contains("POST"));
}

#[test]
fn requests_have_ids() {
    let server = Running::turns(&[SHORT]);
    let answer = server.ask("GET", "/health", &["X-Request-Id: mine-1"], b"");
    assert_eq!(answer.headers["x-request-id"], "mine-1");
    let answer = server.get("/health");
    assert!(answer.headers["x-request-id"].starts_with("req_"));
    let long = format!("X-Request-Id: {}", "x".repeat(500));
    let answer = server.ask("GET", "/health", &[&long], b"");
    assert!(answer.headers["x-request-id"].starts_with("req_"));
}

#[test]
fn bodies_are_bounded_in_size_and_time() {
    let server = server(turns(&[SHORT]), |settings| {
        settings.limits.body_bytes = 1000;
        settings.limits.body_seconds = 1;
        settings.limits.header_seconds = 1;
    });
    let answer = server.post(CHAT, &chat(&"x".repeat(2000)));
    assert_eq!(answer.status, 413);
    answer.error();
    let mut stream = server.connect();
    let head = "POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\
                Content-Length: 100\r\n\r\n{\"mess";
    stream.write_all(head.as_bytes()).unwrap();
    assert_eq!(read_answer(stream).status, 408);
    // Who never ends the headers is cut off.
    let mut stream = server.connect();
    stream.write_all(b"GET /health HTTP/1.1\r\nHost: loc").unwrap();
    let mut rest = Vec::new();
    let _ = stream.read_to_end(&mut rest);
    assert!(!rest.starts_with(b"HTTP/1.1 200"), "{rest:?}");
}

#[test]
fn a_client_that_goes_away_ends_its_work() {
    let server = server(slow(5000), |_| {});
    for streaming in [true, false] {
        let body = with(chat("x"), json!({"stream": streaming})).to_string();
        let mut stream = server.send("POST", CHAT, &[], body.as_bytes());
        if streaming {
            let mut first = [0; 64];
            stream.read_exact(&mut first).unwrap();
        } else {
            until_metric(&server, &IDLE.replace("} 0", "} 1"));
        }
        drop(stream);
        until_metric(&server, IDLE);
    }
    let metrics = server.get("/metrics").body;
    assert!(metrics.contains("finished_reason=\"abort\"} 2"), "{metrics}");
}

#[test]
fn a_client_that_does_not_read_is_dropped() {
    // More than the buffers of a connection take.
    let mut script = slow(60_000);
    script.delay_ms = 0;
    let server = server(script, |settings| settings.limits.write_seconds = 1);
    let fields = json!({"stream": true, "logprobs": true, "top_logprobs": 20});
    let body = with(chat("x"), fields).to_string();
    let stream = server.send("POST", CHAT, &[], body.as_bytes());
    let gone = "vllm:request_success_total{model_name=\"gpt-oss-20b\",finished_reason=\"abort\"} 1";
    until_metric(&server, gone);
    until_metric(&server, IDLE);
    drop(stream);
}

#[test]
fn a_full_queue_says_when_to_come_again() {
    let mut script = slow(5000);
    script.at_once = 1;
    let server = server(script, |_| {});
    let body = with(chat("x"), json!({"stream": true})).to_string();
    let mut first = server.send("POST", CHAT, &[], body.as_bytes());
    first.read_exact(&mut [0; 64]).unwrap();
    let answer = server.post(CHAT, &chat("y"));
    assert_eq!(answer.status, 429);
    assert_eq!(answer.error()["code"], "rate_limit_exceeded");
    assert_eq!(answer.headers["retry-after"], "1");
    // A request of several parts waits for its own.
    drop(first);
    until_metric(&server, IDLE);
    let fields = json!({"prompt": ["a", "b", "c"], "max_tokens": 1});
    let answer = server.ok("/v1/completions", &fields);
    assert_eq!(answer["choices"].as_array().unwrap().len(), 3);
}

#[test]
fn one_client_has_a_number_of_requests() {
    let server = server(slow(5000), |settings| settings.limits.concurrent_requests = 1);
    let body = with(chat("x"), json!({"stream": true})).to_string();
    let mut first = server.send("POST", CHAT, &[], body.as_bytes());
    first.read_exact(&mut [0; 64]).unwrap();
    let answer = server.post(CHAT, &chat("y"));
    assert_eq!(answer.status, 429);
    assert_eq!(server.get("/health").status, 200);
}

#[test]
fn a_request_may_not_take_for_ever() {
    let server = server(slow(5000), |settings| settings.limits.request_seconds = 1);
    let error = server.refused(CHAT, &chat("x"), 504);
    assert_eq!(error["code"], "request_timeout");
    let events = server.events(CHAT, &with(chat("x"), json!({"stream": true})));
    let [.., error, done] = &events[..] else { panic!("{events:?}") };
    assert_eq!(error.json()["error"]["code"], "request_timeout");
    assert_eq!(done.data, "[DONE]");
}

#[test]
fn a_panic_fails_its_request_alone() {
    let panics = Arc::new(AtomicBool::new(true));
    let switch = panics.clone();
    let mut parts = scripted_parts(turns(&[SHORT]), |_| {});
    let free = parts.constraints.take().unwrap();
    parts.constraints = Some(Arc::new(move |spec| {
        assert!(!switch.load(Ordering::Relaxed), "a panic for the test");
        free(spec)
    }));
    let server = Running::start(parts);
    let request = with(chat("x"), json!({"response_format": {"type": "json_object"}}));
    assert_eq!(server.refused(CHAT, &request, 500)["type"], "server_error");
    panics.store(false, Ordering::Relaxed);
    server.ok(CHAT, &request);
}

#[test]
fn the_end_lets_what_runs_finish_and_takes_no_more() {
    let mut server = server(slow(300), |_| {});
    let body = with(chat("x"), json!({"stream": true})).to_string();
    let mut first = server.send("POST", CHAT, &[], body.as_bytes());
    first.read_exact(&mut [0; 64]).unwrap();
    server.stop();
    let mut rest = String::new();
    first.read_to_string(&mut rest).unwrap();
    assert!(rest.contains("[DONE]"), "{rest}");
    let address = server.address;
    server.end();
    assert!(std::net::TcpStream::connect(address).is_err());
}

#[test]
fn the_end_does_not_wait_for_ever() {
    let server = server(slow(100_000), |settings| settings.server.shutdown_seconds = 1);
    let body = with(chat("x"), json!({"stream": true})).to_string();
    let mut first = server.send("POST", CHAT, &[], body.as_bytes());
    first.read_exact(&mut [0; 64]).unwrap();
    let begun = Instant::now();
    server.end();
    assert!(begun.elapsed().as_secs() < 20);
}

#[test]
fn stored_responses_are_there_after_the_end() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("responses.sqlite");
    let start = || server(turns(&[SHORT]), |settings| settings.store.path = path.clone());
    let first = start();
    let made = first.ok("/v1/responses", &json!({"input": "x"}));
    first.end();
    let again = start();
    let path = format!("/v1/responses/{}", made["id"].as_str().unwrap());
    assert_eq!(again.get(&path).json(), made);
    let next = json!({"input": "y", "previous_response_id": made["id"]});
    again.ok("/v1/responses", &next);
}

#[test]
fn metrics_have_the_names_that_dashboards_read() {
    let server = Running::turns(&[SHORT]);
    server.chat("x");
    let text = server.get("/metrics").body;
    for name in [
        "vllm:num_requests_waiting",
        "vllm:num_requests_running",
        "vllm:kv_cache_usage_perc",
        "vllm:time_to_first_token_seconds_count",
        "vllm:inter_token_latency_seconds_bucket",
        "vllm:time_per_output_token_seconds_sum",
        "vllm:prompt_tokens_total",
        "vllm:generation_tokens_total",
        "vllm:prefix_cache_queries_total",
        "vllm:prefix_cache_hits_total",
        "vllm:request_success_total",
        "gptoss_http_responses_total",
    ] {
        assert!(text.lines().any(|line| line.starts_with(&format!("{name}{{"))), "{name}: {text}");
    }
    let value = |name: &str| {
        let line = text.lines().find(|line| line.starts_with(name)).unwrap();
        line.rsplit(' ').next().unwrap().parse::<f64>().unwrap()
    };
    assert_eq!(value("vllm:request_success_total"), 1.0);
    assert_eq!(value("vllm:time_to_first_token_seconds_count"), 1.0);
    assert!(value("vllm:generation_tokens_total") > 3.0);
    let health: Value = server.get("/health").json();
    assert_eq!(health, json!({"status": "ok"}));
}
