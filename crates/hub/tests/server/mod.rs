//! A small hub on loopback, with faults to order, that remembers every request.
//!
//! It answers what huggingface.co answers to a client that downloads: the commit behind a
//! revision, listings in pages, small files itself, and large ones by a redirect to a file server
//! of another host name (`localhost` instead of `127.0.0.1`).

#![allow(dead_code, reason = "each test program uses its own part")]

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use sha2::Digest;

/// The commit that every repository of the test hub is at.
pub const COMMIT: &str = "c0ffee0123456789c0ffee0123456789c0ffee01";

/// A running hub; it stops when dropped.
pub struct TestHub {
    port: u16,
    state: Arc<State>,
}

#[derive(Default)]
struct State {
    repos: Mutex<BTreeMap<String, BTreeMap<String, RepoFile>>>,
    faults: Mutex<Vec<(String, usize, Fault)>>,
    requests: Mutex<Vec<Request>>,
    page_files: Mutex<usize>,
    stopped: AtomicBool,
}

#[derive(Clone)]
struct RepoFile {
    content: Vec<u8>,
    is_lfs: bool,
    /// What the listing says instead of the truth.
    listed_bytes: Option<u64>,
}

/// What to do wrong, once or several times.
#[derive(Clone, Debug)]
pub enum Fault {
    /// Answer with this status and these header lines.
    Status(u16, &'static str),
    /// Close the connection after so many bytes of the body.
    CutAfter(usize),
    /// Fall silent after so many bytes of the body.
    StallAfter(usize),
    /// Pause so long after every 16 KiB.
    Slow(Duration),
    /// Send the whole file whatever part was asked for.
    IgnoreRange,
    /// Send other content of the same length.
    Corrupt,
    /// Send a body without length that never ends.
    Endless,
    /// Announce the length of this body, and send it.
    Body(Vec<u8>),
    /// Send these bytes and close.
    Raw(Vec<u8>),
    /// Redirect to this address.
    Redirect(String),
    /// Serve as usual but under another ETag.
    Etag(&'static str),
}

/// A request as it arrived.
#[derive(Clone, Debug)]
pub struct Request {
    pub method: String,
    pub target: String,
    pub headers: BTreeMap<String, String>,
}

impl Request {
    /// First byte asked for, if a range was.
    pub fn range_from(&self) -> Option<u64> {
        self.headers.get("range")?.strip_prefix("bytes=")?.strip_suffix('-')?.parse().ok()
    }
}

impl TestHub {
    /// A hub without repositories, on a free port.
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let state = Arc::new(State::default());
        *state.page_files.lock().unwrap() = 1000;
        let served = Arc::clone(&state);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                if served.stopped.load(Ordering::SeqCst) {
                    break;
                }
                let Ok(stream) = stream else { continue };
                let state = Arc::clone(&served);
                // A client that goes away ends its connection, not the hub.
                std::thread::spawn(move || drop(serve(stream, &state, port)));
            }
        });
        Self { port, state }
    }

    /// What HF_ENDPOINT is set to.
    pub fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Adds a small file, kept in git itself.
    pub fn add(&self, repo: &str, path: &str, content: &[u8]) {
        self.insert(repo, path, content, false, None);
    }

    /// Adds a large file, kept in LFS and delivered by the file server.
    pub fn add_lfs(&self, repo: &str, path: &str, content: &[u8]) {
        self.insert(repo, path, content, true, None);
    }

    /// Adds a large file whose listing lies about its length.
    pub fn add_lying(&self, repo: &str, path: &str, content: &[u8], listed_bytes: u64) {
        self.insert(repo, path, content, true, Some(listed_bytes));
    }

    fn insert(&self, repo: &str, path: &str, content: &[u8], is_lfs: bool, lie: Option<u64>) {
        let file = RepoFile { content: content.to_vec(), is_lfs, listed_bytes: lie };
        let mut repos = self.state.repos.lock().unwrap();
        repos.entry(repo.to_owned()).or_default().insert(path.to_owned(), file);
    }

    /// Files on one page of a listing.
    pub fn set_page_files(&self, files: usize) {
        *self.state.page_files.lock().unwrap() = files;
    }

    /// The next `times` requests whose target contains `part` go wrong; faults queue up.
    pub fn fault(&self, part: &str, times: usize, fault: Fault) {
        self.state.faults.lock().unwrap().push((part.to_owned(), times, fault));
    }

    /// Every request so far whose target contains `part`, in order.
    pub fn requests(&self, part: &str) -> Vec<Request> {
        let requests = self.state.requests.lock().unwrap();
        requests.iter().filter(|r| r.target.contains(part)).cloned().collect()
    }

    /// Forgets the requests.
    pub fn forget_requests(&self) {
        self.state.requests.lock().unwrap().clear();
    }
}

impl Drop for TestHub {
    fn drop(&mut self) {
        self.state.stopped.store(true, Ordering::SeqCst);
        // Wakes the listener, which then sees that it is to stop.
        drop(TcpStream::connect(("127.0.0.1", self.port)));
    }
}

/// Bytes that look random and are the same in every run.
pub fn noise(seed: u64, len: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 32) as u8
    };
    (0..len).map(|_| next()).collect()
}

/// The sha256 of LFS.
pub fn sha256(content: &[u8]) -> String {
    hex(&sha2::Sha256::digest(content))
}

/// The name of the content as a git blob.
pub fn git_sha1(content: &[u8]) -> String {
    let mut sha1 = sha1::Sha1::new();
    sha1.update(format!("blob {}\0", content.len()));
    sha1.update(content);
    hex(&sha1.finalize())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

/// An answer before it is written.
struct Reply {
    status: u16,
    headers: String,
    body: Vec<u8>,
}

impl Reply {
    fn status(status: u16, headers: &str) -> Self {
        Self { status, headers: headers.to_owned(), body: b"no such thing".to_vec() }
    }
}

fn serve(mut stream: TcpStream, state: &State, port: u16) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let mut words = line.split_whitespace().map(str::to_owned);
    let (Some(method), Some(target)) = (words.next(), words.next()) else { return Ok(()) };
    let mut headers = BTreeMap::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let Some((name, value)) = line.trim_end().split_once(": ") else { break };
        headers.insert(name.to_ascii_lowercase(), value.to_owned());
    }
    let request = Request { method, target, headers };
    state.requests.lock().unwrap().push(request.clone());
    let fault = take_fault(state, &request.target);
    match fault {
        Some(Fault::Status(status, headers)) => {
            write_reply(&mut stream, &request, &Reply::status(status, headers))
        }
        Some(Fault::Redirect(to)) => {
            let reply = Reply::status(302, &format!("location: {to}\r\n"));
            write_reply(&mut stream, &request, &reply)
        }
        Some(Fault::Raw(bytes)) => stream.write_all(&bytes),
        Some(Fault::Body(body)) => {
            write_reply(&mut stream, &request, &Reply { status: 200, headers: String::new(), body })
        }
        Some(Fault::Endless) => {
            stream.write_all(b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n")?;
            loop {
                stream.write_all(&[b' '; 65536])?;
            }
        }
        fault => {
            let reply = answer(state, &request, port, fault.as_ref());
            write_with_fault(&mut stream, &request, &reply, fault.as_ref(), state)
        }
    }
}

fn take_fault(state: &State, target: &str) -> Option<Fault> {
    let mut faults = state.faults.lock().unwrap();
    let found = faults.iter_mut().find(|(part, times, _)| *times > 0 && target.contains(part))?;
    found.1 -= 1;
    Some(found.2.clone())
}

fn answer(state: &State, request: &Request, port: u16, fault: Option<&Fault>) -> Reply {
    let (path, query) = request.target.split_once('?').unwrap_or((&request.target, ""));
    let repos = state.repos.lock().unwrap();
    let parts: Vec<&str> = path.trim_start_matches('/').splitn(6, '/').collect();
    match parts.as_slice() {
        ["api", "models", org, name, kind, revision] => {
            let repo = format!("{org}/{name}");
            let Some(files) = repos.get(&repo) else {
                return Reply::status(404, "x-error-code: RepoNotFound\r\n");
            };
            if !["main", "refs%2Fpr%2F1", COMMIT].contains(revision) {
                return Reply::status(404, "x-error-code: RevisionNotFound\r\n");
            }
            match *kind {
                "revision" => json(serde_json::json!({ "id": repo, "sha": COMMIT }), ""),
                _ => listing(state, files, path, query, port),
            }
        }
        ["cdn", digest] => {
            let all = || repos.values().flat_map(BTreeMap::values);
            match all().find(|file| sha256(&file.content) == *digest) {
                Some(file) => content(request, &file.content, digest, fault),
                None => Reply::status(404, ""),
            }
        }
        [org, name, "resolve", revision, _, ..] => {
            let prefix = format!("/{org}/{name}/resolve/{revision}/");
            let name = path.strip_prefix(&prefix).unwrap_or_default();
            let files = repos.get(&format!("{}/{}", parts[0], parts[1]));
            let Some(file) = files.and_then(|files| files.get(&decode(name))) else {
                return Reply::status(404, "x-error-code: EntryNotFound\r\n");
            };
            let digest = sha256(&file.content);
            if !file.is_lfs {
                return content(request, &file.content, &git_sha1(&file.content), fault);
            }
            let headers = format!(
                "location: http://localhost:{port}/cdn/{digest}?signature=s3cret\r\n\
                 x-repo-commit: {COMMIT}\r\nx-linked-etag: \"{digest}\"\r\nx-linked-size: {}\r\n",
                file.content.len()
            );
            Reply { status: 302, headers, body: Vec::new() }
        }
        _ => Reply::status(404, ""),
    }
}

fn json(value: serde_json::Value, headers: &str) -> Reply {
    let headers = format!("content-type: application/json\r\n{headers}");
    Reply { status: 200, headers, body: value.to_string().into_bytes() }
}

/// One page of a listing; the cursor is the index of its first file.
fn listing(
    state: &State,
    files: &BTreeMap<String, RepoFile>,
    path: &str,
    query: &str,
    port: u16,
) -> Reply {
    let page = *state.page_files.lock().unwrap();
    let cursor = query.split('&').find_map(|q| q.strip_prefix("cursor="));
    let from: usize = cursor.and_then(|c| c.parse().ok()).unwrap_or(0);
    let entry = |(path, file): (&String, &RepoFile)| {
        let bytes = file.listed_bytes.unwrap_or(file.content.len() as u64);
        let mut entry = serde_json::json!({
            "type": "file", "path": path, "size": bytes, "oid": git_sha1(&file.content),
        });
        if file.is_lfs {
            entry["lfs"] = serde_json::json!({
                "oid": sha256(&file.content), "size": bytes, "pointerSize": 134,
            });
        }
        entry
    };
    let mut entries: Vec<_> = files.iter().skip(from).take(page).map(entry).collect();
    entries.insert(
        0,
        serde_json::json!({
            "type": "directory", "path": "original", "size": 0, "oid": git_sha1(b""),
        }),
    );
    let next = from + page;
    let link = format!(
        "link: <http://127.0.0.1:{port}{path}?recursive=true&cursor={next}>; rel=\"next\"\r\n"
    );
    json(entries.into(), if next < files.len() { &link } else { "" })
}

fn content(request: &Request, content: &[u8], etag: &str, fault: Option<&Fault>) -> Reply {
    let etag = if let Some(Fault::Etag(other)) = fault { other } else { etag };
    let headers = format!("etag: \"{etag}\"\r\nx-repo-commit: {COMMIT}\r\n");
    let mut body = content.to_vec();
    if let Some(Fault::Corrupt) = fault {
        body.iter_mut().for_each(|byte| *byte ^= 0x55);
    }
    let total = body.len();
    match request.range_from() {
        Some(from) if !matches!(fault, Some(Fault::IgnoreRange)) => {
            let from = from as usize;
            if from >= total {
                let headers = format!("{headers}content-range: bytes */{total}\r\n");
                return Reply { status: 416, headers, body: Vec::new() };
            }
            let last = total - 1;
            let headers = format!("{headers}content-range: bytes {from}-{last}/{total}\r\n");
            Reply { status: 206, headers, body: body.split_off(from) }
        }
        _ => Reply { status: 200, headers, body },
    }
}

fn write_head(stream: &mut TcpStream, reply: &Reply) -> std::io::Result<()> {
    write!(
        stream,
        "HTTP/1.1 {} X\r\n{}content-length: {}\r\nconnection: close\r\n\r\n",
        reply.status,
        reply.headers,
        reply.body.len()
    )
}

fn write_reply(stream: &mut TcpStream, request: &Request, reply: &Reply) -> std::io::Result<()> {
    write_head(stream, reply)?;
    if request.method == "HEAD" { Ok(()) } else { stream.write_all(&reply.body) }
}

fn write_with_fault(
    stream: &mut TcpStream,
    request: &Request,
    reply: &Reply,
    fault: Option<&Fault>,
    state: &State,
) -> std::io::Result<()> {
    match fault {
        Some(Fault::CutAfter(bytes)) => {
            write_head(stream, reply)?;
            stream.write_all(&reply.body[..reply.body.len().min(*bytes)])
        }
        Some(Fault::StallAfter(bytes)) => {
            write_head(stream, reply)?;
            stream.write_all(&reply.body[..reply.body.len().min(*bytes)])?;
            while !state.stopped.load(Ordering::SeqCst) {
                std::thread::sleep(Duration::from_millis(20));
            }
            Ok(())
        }
        Some(Fault::Slow(pause)) => {
            write_head(stream, reply)?;
            for chunk in reply.body.chunks(16 << 10) {
                stream.write_all(chunk)?;
                std::thread::sleep(*pause);
            }
            Ok(())
        }
        _ => write_reply(stream, request, reply),
    }
}

fn decode(text: &str) -> String {
    let mut out = Vec::new();
    let bytes = text.as_bytes();
    let mut i = 0;
    while i < bytes.len() {
        let code = (bytes[i] == b'%').then(|| text.get(i + 1..i + 3)).flatten();
        match code.and_then(|code| u8::from_str_radix(code, 16).ok()) {
            Some(byte) => {
                out.push(byte);
                i += 3;
            }
            None => {
                out.push(bytes[i]);
                i += 1;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}
