//! A server on a port of its own, and a client that speaks plain HTTP/1.1 to it.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;
use std::time::Duration;

use gptoss_engine::{BatchOptions, Batcher, Engine, Scheduler};
use gptoss_server::config::Settings;
use gptoss_server::scripted::{self, Script, Scripted};
use gptoss_server::{Keys, Parts, Server, constrain};
use serde_json::{Value, json};

/// Longest wait for an answer: a test that waits longer has failed.
const PATIENCE: Duration = Duration::from_secs(60);

/// A running server; it is ended with the test.
pub struct Running {
    pub address: SocketAddr,
    end: Option<tokio::sync::oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// An answer.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: BTreeMap<String, String>,
    pub body: String,
}

/// An event of a stream.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    pub name: Option<String>,
    pub data: String,
}

/// A script that answers everything with these turns.
pub fn turns(texts: &[&str]) -> Script {
    serde_json::from_value(json!({"default": texts})).unwrap()
}

/// What a server is made of, for a script.
pub fn scripted_parts(script: Script, change: impl FnOnce(&mut Settings)) -> Parts {
    let engine = scripted::engine().unwrap();
    let batcher = Arc::new(Scripted::new(&engine, script).unwrap());
    parts(engine, batcher, change)
}

fn parts(engine: Engine, batcher: Arc<dyn Batcher>, change: impl FnOnce(&mut Settings)) -> Parts {
    let mut settings = Settings::default();
    settings.server.port = 0;
    settings.server.shutdown_seconds = 10;
    settings.model.name = "gpt-oss-20b".to_owned();
    change(&mut settings);
    let constraints = Some(scripted::unconstrained());
    Parts { engine, batcher, constraints, settings, keys: Keys::default() }
}

impl Running {
    /// A server that replays a script.
    pub fn scripted(script: Script) -> Running {
        Running::start(scripted_parts(script, |_| {}))
    }

    /// A server that answers everything with these turns.
    pub fn turns(texts: &[&str]) -> Running {
        Running::scripted(turns(texts))
    }

    /// A server of the built-in model.
    pub fn nano() -> Running {
        Running::of_engine(Engine::load("nano").unwrap())
    }

    /// A server of this model.
    pub fn of_engine(engine: Engine) -> Running {
        let batcher = Arc::new(Scheduler::start(&engine, BatchOptions::new(1024)).unwrap());
        let mut parts = parts(engine, batcher, |settings| {
            settings.model.name = "nano".to_owned();
        });
        parts.constraints = parts.engine.chat_format().ok().map(constrain::grammars);
        Running::start(parts)
    }

    pub fn start(parts: Parts) -> Running {
        let server = Server::new(parts).unwrap();
        let (ready, address) = mpsc::channel();
        let (end, ended) = tokio::sync::oneshot::channel();
        let thread = std::thread::spawn(move || {
            let end = async {
                let _ = ended.await;
            };
            gptoss_server::run(&server, |address| ready.send(address).unwrap(), end).unwrap();
        });
        let address = address.recv_timeout(PATIENCE).unwrap();
        Running { address, end: Some(end), thread: Some(thread) }
    }

    /// Ends the server, and waits for it.
    pub fn end(mut self) {
        self.stop();
        self.thread.take().unwrap().join().unwrap();
    }

    /// Tells the server to end.
    pub fn stop(&mut self) {
        if let Some(end) = self.end.take() {
            let _ = end.send(());
        }
    }

    /// A connection on which a request was sent; headers are lines.
    pub fn send(&self, method: &str, path: &str, headers: &[&str], body: &[u8]) -> TcpStream {
        let mut stream = self.connect();
        let host = format!("Host: localhost:{}", self.address.port());
        let has_host = headers.iter().any(|line| line.starts_with("Host:"));
        let mut head = format!("{method} {path} HTTP/1.1\r\nConnection: close\r\n");
        for line in headers.iter().copied().chain((!has_host).then_some(host.as_str())) {
            head += &format!("{line}\r\n");
        }
        head += &format!("Content-Length: {}\r\n\r\n", body.len());
        stream.write_all(head.as_bytes()).unwrap();
        // A server that refuses a body may close before it has all of it.
        let _ = stream.write_all(body);
        stream
    }

    pub fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream
    }

    pub fn ask(&self, method: &str, path: &str, headers: &[&str], body: &[u8]) -> Answer {
        read_answer(self.send(method, path, headers, body))
    }

    pub fn get(&self, path: &str) -> Answer {
        self.ask("GET", path, &[], b"")
    }

    pub fn post(&self, path: &str, body: &Value) -> Answer {
        self.ask("POST", path, &["Content-Type: application/json"], body.to_string().as_bytes())
    }

    /// The JSON of an answer that must have succeeded.
    pub fn ok(&self, path: &str, body: &Value) -> Value {
        let answer = self.post(path, body);
        assert_eq!(answer.status, 200, "{path} {body}: {}", answer.body);
        answer.json()
    }

    /// The error of an answer that must have this status.
    pub fn refused(&self, path: &str, body: &Value, status: u16) -> Value {
        let answer = self.post(path, body);
        assert_eq!(answer.status, status, "{path} {body}: {}", answer.body);
        answer.error()
    }

    /// The events of a stream.
    pub fn events(&self, path: &str, body: &Value) -> Vec<Event> {
        let answer = self.post(path, body);
        assert_eq!(answer.status, 200, "{path} {body}: {}", answer.body);
        assert_eq!(answer.headers["content-type"], "text/event-stream");
        events(&answer.body)
    }

    /// The answer to one message of the user.
    pub fn chat(&self, text: &str) -> Value {
        self.ok("/v1/chat/completions", &chat(text))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop();
        if let Some(thread) = self.thread.take() {
            let result = thread.join();
            if !std::thread::panicking() {
                result.unwrap();
            }
        }
    }
}

/// A request with one message of the user.
pub fn chat(text: &str) -> Value {
    json!({"messages": [{"role": "user", "content": text}]})
}

/// `base` with the fields of `more`.
pub fn with(mut base: Value, more: Value) -> Value {
    for (key, value) in more.as_object().unwrap() {
        base[key] = value.clone();
    }
    base
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|e| panic!("{e}: {}", self.body))
    }

    /// The error, whose shape is checked.
    pub fn error(&self) -> Value {
        let error = self.json()["error"].clone();
        for key in ["message", "type"] {
            assert!(error[key].as_str().is_some_and(|text| !text.is_empty()), "{}", self.body);
        }
        for key in ["param", "code"] {
            assert!(error.get(key).is_some(), "{}", self.body);
        }
        error
    }
}

/// Reads an answer to its end.
pub fn read_answer(mut stream: TcpStream) -> Answer {
    let mut bytes = Vec::new();
    // A connection that is cut after the answer has still given it.
    let _ = stream.read_to_end(&mut bytes);
    parse(&bytes)
}

fn parse(bytes: &[u8]) -> Answer {
    let end = bytes.windows(4).position(|window| window == b"\r\n\r\n").unwrap_or_else(|| {
        panic!("no head: {:?}", String::from_utf8_lossy(bytes));
    });
    let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
    let mut lines = head.lines();
    let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
    let header = |line: &str| {
        let (name, value) = line.split_once(':').unwrap();
        (name.to_ascii_lowercase(), value.trim().to_owned())
    };
    let headers: BTreeMap<String, String> = lines.map(header).collect();
    let is_chunked = headers.get("transfer-encoding").is_some_and(|value| value == "chunked");
    let body = &bytes[end + 4..];
    let body = if is_chunked { unchunked(body) } else { body.to_vec() };
    Answer { status, headers, body: String::from_utf8(body).unwrap() }
}

fn unchunked(mut bytes: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    while let Some(end) = bytes.windows(2).position(|window| window == b"\r\n") {
        let size = std::str::from_utf8(&bytes[..end]).unwrap();
        let size = usize::from_str_radix(size, 16).unwrap();
        if size == 0 {
            break;
        }
        body.extend_from_slice(&bytes[end + 2..end + 2 + size]);
        bytes = &bytes[end + 4 + size..];
    }
    body
}

/// The events of a stream.
pub fn events(body: &str) -> Vec<Event> {
    assert!(body.ends_with("\n\n"), "{body}");
    let blocks = body.split("\n\n").filter(|block| !block.is_empty() && !block.starts_with(':'));
    let event = |block: &str| {
        let mut event = Event { name: None, data: String::new() };
        for line in block.lines() {
            match line.split_once(": ").unwrap() {
                ("event", name) => event.name = Some(name.to_owned()),
                ("data", data) => event.data = data.to_owned(),
                _ => panic!("{line}"),
            }
        }
        event
    };
    blocks.map(event).collect()
}

impl Event {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.data).unwrap_or_else(|e| panic!("{e}: {}", self.data))
    }
}

/// The value with what differs from run to run replaced: ids by their prefix, times by 0.
pub fn normal(mut value: Value) -> Value {
    normalise(&mut value);
    value
}

fn normalise(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            for (key, value) in fields {
                match (key.as_str(), &*value) {
                    ("created" | "created_at", _) => *value = json!(0),
                    (_, Value::String(text)) if is_id(text) => {
                        let end = text.rfind(['-', '_']).unwrap();
                        *value = json!(format!("{}*", &text[..=end]));
                    }
                    _ => normalise(value),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(normalise),
        _ => {}
    }
}

fn is_id(text: &str) -> bool {
    let digits = text.rsplit(['-', '_']).next().unwrap();
    digits.len() == 32 && digits != text && digits.chars().all(|c| c.is_ascii_hexdigit())
}
