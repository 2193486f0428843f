//! `gptoss bench serve` against a small server of the test's own.

#[allow(dead_code)] // Needs no model.
mod program;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use program::gptoss_with_input;
use serde_json::Value;

/// What the server does with a request to generate.
#[derive(Clone, Copy)]
enum Behaviour {
    /// Four pieces, and counts.
    Answers,
    /// Status 429.
    Refuses,
    /// Two pieces, then it hangs up.
    BreaksOff,
}

const PIECE: &str = "data: {\"choices\":[{\"text\":\"a \"}]}\n\n";
const USAGE: &str =
    "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":9,\"completion_tokens\":4}}\n\n";

/// Reads one request; its first line and body.
fn request(stream: &TcpStream) -> (String, String) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let (mut first, mut length) = (String::new(), 0);
    reader.read_line(&mut first).unwrap();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        let line = line.trim().to_lowercase();
        if let Some(value) = line.strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
        if line.is_empty() {
            break;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    (first, String::from_utf8(body).unwrap())
}

fn answer(mut stream: TcpStream, behaviour: Behaviour, seen: &AtomicUsize) {
    let (first, body) = request(&stream);
    let head = "Connection: close\r\n";
    let text = if first.starts_with("GET /v1/models ") {
        format!("HTTP/1.1 200 OK\r\n{head}\r\n{{\"data\":[{{\"id\":\"tiny\"}}]}}")
    } else {
        assert!(first.starts_with("POST /v1/completions "), "{first}");
        let body: Value = serde_json::from_str(&body).unwrap();
        assert_eq!((&body["model"], &body["stream"]), (&"tiny".into(), &true.into()));
        assert_eq!(body["prompt"].as_str().unwrap().split(' ').count(), 12);
        seen.fetch_add(1, Ordering::SeqCst);
        let events = format!("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n{head}\r\n");
        match behaviour {
            Behaviour::Answers => {
                format!("{events}{}{USAGE}data: [DONE]\n\n", PIECE.repeat(4))
            }
            Behaviour::Refuses => {
                let error = "{\"error\":{\"message\":\"too many\"}}";
                format!("HTTP/1.1 429 Too Many Requests\r\n{head}\r\n{error}")
            }
            Behaviour::BreaksOff => format!("{events}{}", PIECE.repeat(2)),
        }
    };
    stream.write_all(text.as_bytes()).unwrap();
}

/// A server on a port of its own; its address, and a count of requests to generate.
fn server(behaviour: Behaviour) -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let seen = Arc::new(AtomicUsize::new(0));
    let count = seen.clone();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let count = count.clone();
            thread::spawn(move || answer(stream.unwrap(), behaviour, &count));
        }
    });
    (address, seen)
}

fn bench(url: &str, more: &[&str]) -> program::Output {
    let fixed = ["bench", "serve", "--url", url, "--api", "completions", "--input-words", "12"];
    gptoss_with_input(&[&fixed[..], more].concat(), "")
}

#[test]
fn a_load_that_keeps_going_on_is_reported_as_json() {
    let (url, seen) = server(Behaviour::Answers);
    let text = bench(&url, &["-n", "10", "--concurrency", "3", "--json"]).success();
    let value: Value = serde_json::from_str(&text).unwrap();
    assert_eq!((&value["finished"], &value["sent"]), (&10.into(), &10.into()));
    assert_eq!(value["completion_tokens"], 40);
    assert_eq!(value["prompt_tokens"], 90);
    assert!(value["ttft_ms"]["p99"].as_f64().unwrap() > 0.0);
    assert_eq!(seen.load(Ordering::SeqCst), 11, "ten and one to warm up");
}

#[test]
fn requests_arrive_by_chance_and_each_is_written_to_a_file() {
    let (url, _) = server(Behaviour::Answers);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("load.json");
    let path = file.to_str().unwrap();
    let more = ["-n", "6", "--rate", "200", "--warm-up", "0", "--output", path];
    let table = bench(&url, &more).success();
    assert!(table.contains("6 sent, 6 finished") && table.contains("time to first"), "{table}");
    let value: Value = serde_json::from_str(&std::fs::read_to_string(&file).unwrap()).unwrap();
    assert_eq!(value["rate"], 200.0);
    assert_eq!(value["requests"].as_array().unwrap().len(), 6);
}

#[test]
fn failures_are_counted_and_change_the_exit_code() {
    for (behaviour, reason) in
        [(Behaviour::Refuses, "status 429: too many"), (Behaviour::BreaksOff, "[DONE]")]
    {
        let (url, _) = server(behaviour);
        let output = bench(&url, &["-n", "2", "--warm-up", "0"]);
        assert_eq!(output.code, Some(1), "{}", output.stderr);
        assert!(output.stdout.contains("failed 2 times"), "{}", output.stdout);
        assert!(output.stdout.contains(reason), "{}", output.stdout);
    }
}

#[test]
fn what_cannot_work_is_said_in_one_line() {
    let refused = bench("http://127.0.0.1:1", &[]);
    assert_eq!(refused.code, Some(2));
    assert!(refused.stderr.contains("http://127.0.0.1:1"), "{}", refused.stderr);
    let rate = bench("http://127.0.0.1:1", &["--rate", "-1"]);
    assert_eq!(rate.code, Some(2));
    let dataset =
        gptoss_with_input(&["bench", "serve", "--model", "m", "--dataset", "/no/such/file"], "");
    assert_eq!(dataset.code, Some(2));
    assert!(dataset.stderr.contains("/no/such/file"), "{}", dataset.stderr);
}
