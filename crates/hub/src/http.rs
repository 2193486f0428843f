//! Requests: redirects by hand, so that the token reaches the hub only, and failures by kind.

use std::io::Read;
use std::time::Duration;

use serde::de::DeserializeOwned;
use ureq::Timeout;
use ureq::http::{HeaderMap, Response};

use crate::error::HubError;
use crate::progress::{Event, Progress};
use crate::settings::{Patience, Settings, Token, parse_endpoint};
use crate::url::{Url, next_link};

/// Redirects followed for one request.
const REDIRECTS_MAX: usize = 10;
/// Largest answer of the API that is read, in bytes; a page of 1000 files takes 0.3 MB.
const API_BYTES_MAX: u64 = 16 << 20;

/// A client of one hub.
#[derive(Debug)]
pub(crate) struct Http {
    agent: ureq::Agent,
    endpoint: Url,
    token: Option<Token>,
    patience: Patience,
}

/// The start of an answer, its body unread.
pub(crate) struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    /// Where it came from after all redirects.
    pub url: Url,
    /// The hub's own name for the content, also when a file server delivers it.
    pub etag: Option<String>,
    body: ureq::Body,
}

/// Why a request brought no usable answer.
#[derive(Debug)]
pub(crate) enum Failure {
    /// No connection could be made.
    Unreachable { host: String, cause: String },
    /// Something that may pass: a broken connection, a silent or overloaded server.
    Passing { cause: String, retry_after: Option<Duration> },
    /// Another attempt would end the same.
    Final(HubError),
}

impl From<HubError> for Failure {
    fn from(error: HubError) -> Self {
        Failure::Final(error)
    }
}

/// What a request is about, for messages.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Subject<'a> {
    pub repo: &'a str,
    pub revision: &'a str,
    /// Path of the file if the request is for one.
    pub file: Option<&'a str>,
}

impl Http {
    /// A client that reads proxies from the environment (`HTTPS_PROXY`, `NO_PROXY`, …).
    pub fn new(settings: &Settings) -> Result<Self, HubError> {
        let endpoint = parse_endpoint(&settings.endpoint)?;
        let patience = settings.patience.clone();
        let config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .user_agent(concat!("gptoss/", env!("CARGO_PKG_VERSION")))
            .timeout_resolve(Some(patience.connect))
            .timeout_connect(Some(patience.connect))
            .timeout_per_read(Some(patience.silence))
            .timeout_per_write(Some(patience.silence))
            .build();
        let token = settings.token.clone();
        Ok(Self { agent: config.new_agent(), endpoint, token, patience })
    }

    /// The address of the hub.
    pub fn endpoint(&self) -> &Url {
        &self.endpoint
    }

    /// How long to wait and how often to try.
    pub fn patience(&self) -> &Patience {
        &self.patience
    }

    /// Asks for an address, from byte `from` on, and follows redirects to the answer.
    ///
    /// Answers other than 2xx and 416 become failures.
    pub fn get(
        &self,
        start: &Url,
        from: u64,
        limit: Option<Duration>,
        subject: Subject<'_>,
    ) -> Result<Answer, Failure> {
        let mut url = start.clone();
        let mut linked = None;
        for _ in 0..=REDIRECTS_MAX {
            let response = self.send(&url, from, limit)?;
            let (parts, body) = response.into_parts();
            if url.origin() == self.endpoint.origin() {
                linked = linked.or_else(|| header(&parts.headers, "x-linked-etag"));
            }
            let status = parts.status.as_u16();
            if (300..400).contains(&status) {
                url = follow(&url, &parts.headers)?;
                continue;
            }
            let headers = parts.headers;
            if !(200..300).contains(&status) && status != 416 {
                return Err(self.refusal(status, &headers, &url, subject));
            }
            let etag = linked.or_else(|| header(&headers, "etag")).map(|etag| bare_etag(&etag));
            return Ok(Answer { status, headers, url, etag, body });
        }
        Err(Failure::Final(HubError::BadAnswer {
            place: start.host().to_owned(),
            problem: format!("expected at most {REDIRECTS_MAX} redirects, found more"),
        }))
    }

    /// Asks the API, with retries; gives the value and the address of the next page.
    pub fn get_json<T: DeserializeOwned>(
        &self,
        url: &Url,
        subject: Subject<'_>,
        progress: &mut dyn Progress,
    ) -> Result<(T, Option<Url>), HubError> {
        let mut attempts = Attempts::new(&self.patience, subject.place());
        loop {
            match self.get_json_once(url, subject) {
                Ok(found) => return Ok(found),
                // Without a hub there is nothing to plan; the user sees it at once.
                Err(Failure::Unreachable { host, cause }) => {
                    return Err(HubError::Unreachable { host, cause });
                }
                Err(failure) => attempts.pause(failure, progress)?,
            }
        }
    }

    fn get_json_once<T: DeserializeOwned>(
        &self,
        url: &Url,
        subject: Subject<'_>,
    ) -> Result<(T, Option<Url>), Failure> {
        let mut answer = self.get(url, 0, Some(self.patience.api_answer), subject)?;
        let bad = |problem| HubError::BadAnswer { place: subject.place(), problem };
        let bytes = match answer.body.with_config().limit(API_BYTES_MAX).read_to_vec() {
            Ok(bytes) => bytes,
            Err(ureq::Error::BodyExceedsLimit(_)) => {
                let problem =
                    format!("expected a list of at most {API_BYTES_MAX} bytes, found more");
                return Err(bad(problem).into());
            }
            Err(error) => return Err(classify(error, &answer.url)),
        };
        let value = serde_json::from_slice(&bytes).map_err(|error| {
            bad(format!("expected a list in JSON, found an answer where {error}"))
        })?;
        let next = match header(&answer.headers, "link").as_deref().and_then(next_link) {
            None => None,
            Some(link) => Some(
                answer
                    .url
                    .join(link)
                    .ok_or_else(|| bad("the link to the next page is bad".into()))?,
            ),
        };
        Ok((value, next))
    }

    fn send(
        &self,
        url: &Url,
        from: u64,
        limit: Option<Duration>,
    ) -> Result<Response<ureq::Body>, Failure> {
        // Compressed answers have other sizes and ranges than the file.
        let mut request = self.agent.get(url.to_text()).header("accept-encoding", "identity");
        if let Some(token) = &self.token
            && url.origin() == self.endpoint.origin()
        {
            request = request.header("authorization", format!("Bearer {}", token.secret()));
        }
        if from > 0 {
            request = request.header("range", format!("bytes={from}-"));
        }
        let request = request.config().timeout_global(limit).build();
        request.call().map_err(|error| classify(error, url))
    }

    /// What a status outside 2xx means. Texts of the server are not repeated.
    fn refusal(
        &self,
        status: u16,
        headers: &HeaderMap,
        url: &Url,
        subject: Subject<'_>,
    ) -> Failure {
        let code = header(headers, "x-error-code").unwrap_or_default();
        let from_hub = url.origin() == self.endpoint.origin();
        let repo = subject.repo.to_owned();
        let denied = |problem: String| Failure::Final(HubError::Denied { repo, problem });
        match status {
            408 | 425 | 429 | 500..=599 => Failure::Passing {
                cause: format!("{} answered {status}", url.host()),
                retry_after: header(headers, "retry-after")
                    .and_then(|v| v.parse().ok())
                    .map(Duration::from_secs),
            },
            // Addresses of file servers are signed for a while; the next attempt gets a new one.
            401 | 403 | 404 if !from_hub => Failure::Passing {
                cause: format!("{} answered {status}", url.host()),
                retry_after: None,
            },
            401 | 403 if code == "GatedRepo" => denied(format!(
                "access is given on request only: ask for it at {}/{}, then set HF_TOKEN to a \
                 token of that account",
                self.endpoint.to_text().trim_end_matches('/'),
                subject.repo
            )),
            401 if self.token.is_some() => denied(
                "no such model, or the token in use is not valid or may not read it (401)".into(),
            ),
            401 => denied(
                "no such model, or a private one: check the name, or set HF_TOKEN (401)".into(),
            ),
            403 => denied("the hub refuses access; HF_TOKEN may need more rights (403)".into()),
            404 => Failure::Final(subject.not_found(&code)),
            _ => Failure::Final(HubError::BadAnswer {
                place: subject.place(),
                problem: format!("expected an answer of {}, found status {status}", url.host()),
            }),
        }
    }
}

impl Answer {
    /// The body, to be read piece by piece; errors of reading are for [`Answer::broken`].
    pub fn into_body(self) -> impl Read {
        self.body.into_reader()
    }

    /// The bytes that the server announces for this answer, if it does.
    pub fn content_length(&self) -> Option<u64> {
        header(&self.headers, "content-length")?.parse().ok()
    }

    /// First byte and total of a `Content-Range`; the total is unknown if the server says `*`.
    pub fn content_range(&self) -> Option<(u64, Option<u64>)> {
        let range = header(&self.headers, "content-range")?;
        let (span, total) = range.trim().strip_prefix("bytes ")?.split_once('/')?;
        Some((span.split_once('-')?.0.trim().parse().ok()?, total.trim().parse().ok()))
    }
}

impl Subject<'_> {
    /// Model and file, or model and revision.
    pub fn place(&self) -> String {
        match self.file {
            Some(file) => format!("{}: {file}", self.repo),
            None => format!("{} at {}", self.repo, self.revision),
        }
    }

    fn not_found(&self, code: &str) -> HubError {
        let (place, problem) = match (code, self.file) {
            ("RevisionNotFound", _) => {
                (format!("{} at {}", self.repo, self.revision), "the hub has no such revision")
            }
            (_, Some(_)) => (self.place(), "the hub has no such file at this revision"),
            _ => (self.repo.to_owned(), "the hub has no such model (404)"),
        };
        HubError::NotFound { place, problem: problem.to_owned() }
    }
}

/// Counts attempts that brought nothing and decides how long to wait.
pub(crate) struct Attempts<'a> {
    patience: &'a Patience,
    place: String,
    made: u32,
}

impl<'a> Attempts<'a> {
    /// No attempt made yet; `place` is named in messages.
    pub fn new(patience: &'a Patience, place: String) -> Self {
        Self { patience, place, made: 0 }
    }

    /// Something new arrived: earlier failures no longer count.
    pub fn succeeded(&mut self) {
        self.made = 0;
    }

    /// Waits before the next attempt, or gives up with the error to report.
    pub fn pause(&mut self, failure: Failure, progress: &mut dyn Progress) -> Result<(), HubError> {
        let (cause, asked) = match failure {
            Failure::Final(error) => return Err(error),
            Failure::Unreachable { host, cause } => (format!("cannot reach {host}: {cause}"), None),
            Failure::Passing { cause, retry_after } => (cause, retry_after),
        };
        self.made += 1;
        let place = self.place.clone();
        if self.made >= self.patience.attempts {
            return Err(HubError::GaveUp { place, cause, attempts: self.made });
        }
        let own = self.patience.first_pause.saturating_mul(4u32.saturating_pow(self.made - 1));
        let pause = asked.unwrap_or(own);
        if pause > self.patience.retry_after_max {
            let cause = format!("{cause} and asks to wait {} seconds", pause.as_secs());
            return Err(HubError::GaveUp { place, cause, attempts: self.made });
        }
        progress.event(Event::Retrying { place: &self.place, cause: &cause, pause });
        std::thread::sleep(pause);
        Ok(())
    }
}

/// Where a redirect leads; never from an encrypted to an open connection.
fn follow(url: &Url, headers: &HeaderMap) -> Result<Url, Failure> {
    let bad = |problem: &str| {
        Failure::Final(HubError::BadAnswer {
            place: url.host().to_owned(),
            problem: problem.to_owned(),
        })
    };
    let location = header(headers, "location")
        .ok_or_else(|| bad("expected a redirect with a Location, found none"))?;
    let next = url
        .join(&location)
        .ok_or_else(|| bad("expected a redirect to an http(s) address, found something else"))?;
    if url.scheme() == "https" && next.scheme() == "http" {
        return Err(bad("expected a redirect to https, found one to http"));
    }
    Ok(next)
}

/// A broken read of a body, by kind.
pub(crate) fn broken_read(error: std::io::Error, url: &Url) -> Failure {
    classify(ureq::Error::from(error), url)
}

/// Whether trying again may help.
fn classify(error: ureq::Error, url: &Url) -> Failure {
    use std::io::ErrorKind as Kind;
    let host = url.host().to_owned();
    let passing = |cause: String| Failure::Passing { cause, retry_after: None };
    match error {
        ureq::Error::Timeout(Timeout::Connect | Timeout::Resolve) => {
            Failure::Unreachable { host, cause: "no answer in time".into() }
        }
        ureq::Error::Timeout(_) => passing(format!("{host} fell silent")),
        ureq::Error::HostNotFound => {
            Failure::Unreachable { host, cause: "no such host, or no network".into() }
        }
        ureq::Error::Io(error) => match error.kind() {
            Kind::UnexpectedEof
            | Kind::ConnectionReset
            | Kind::ConnectionAborted
            | Kind::NotConnected
            | Kind::BrokenPipe => passing(format!("the connection to {host} was cut")),
            Kind::TimedOut | Kind::WouldBlock | Kind::Interrupted => {
                passing(format!("{host}: {error}"))
            }
            // Names that do not resolve, ports that are closed, certificates that are bad: most
            // have no kind of their own.
            _ => Failure::Unreachable { host, cause: error.to_string() },
        },
        ureq::Error::Protocol(_) | ureq::Error::LargeResponseHeader(..) => {
            Failure::Final(HubError::BadAnswer {
                place: host,
                problem: format!("expected an answer in HTTP/1.1, found: {error}"),
            })
        }
        // The rest happens before a request is sent: names, proxies, TLS.
        other => Failure::Unreachable { host, cause: other.to_string() },
    }
}

fn header(headers: &HeaderMap, name: &str) -> Option<String> {
    headers.get(name)?.to_str().ok().map(str::to_owned)
}

/// An entity tag without weakness mark and quotes.
fn bare_etag(etag: &str) -> String {
    etag.trim_start_matches("W/").trim_matches('"').to_owned()
}
