//! Server-sent events: an answer that is written while it is generated.

use std::convert::Infallible;
use std::future::Future;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::{HeaderValue, header};
use axum::response::Response;
use http_body::Frame;
use serde::Serialize;
use tokio::sync::mpsc;
use tracing::Instrument as _;

use crate::catch::CatchPanic;
use crate::error::ApiError;

/// Events that wait for the connection; the generation waits behind them.
const BUFFER: usize = 64;
/// A comment is sent after this silence, which shows that the server is alive and whether the
/// client is.
const SILENCE: Duration = Duration::from_secs(15);

/// The client went away.
#[derive(Debug)]
pub(crate) struct Gone;

/// Writes events.
#[derive(Clone)]
pub(crate) struct Writer {
    sender: mpsc::Sender<Bytes>,
}

/// How a stream tells of an error: the lines to write.
pub(crate) type OnError = fn(&ApiError) -> String;

/// An answer whose events `work` writes. An error ends the stream as `on_error` says.
pub(crate) fn respond<F, W>(work: W, on_error: OnError) -> Response
where
    W: FnOnce(Writer) -> F,
    F: Future<Output = Result<(), StreamError>> + Send + 'static,
{
    let (sender, receiver) = mpsc::channel(BUFFER);
    let writer = Writer { sender };
    let work = CatchPanic::new(work(writer.clone()));
    let task = async move {
        let error = match work.await {
            Ok(Ok(()) | Err(StreamError::Gone)) => return,
            Ok(Err(StreamError::Api(error))) => error,
            Err(_) => ApiError::internal("the request failed"),
        };
        tracing::warn!(error = %error.message, "a stream ended with an error");
        let _ = writer.text(on_error(&error)).await;
    };
    tokio::spawn(task.in_current_span());
    let mut response = Response::new(Body::new(Events(receiver)));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    // Proxies that collect an answer before they pass it on are asked not to.
    headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
    response
}

/// Why a stream ends early.
#[derive(Debug)]
pub(crate) enum StreamError {
    /// The client went away.
    Gone,
    /// The client is told.
    Api(ApiError),
}

impl From<Gone> for StreamError {
    fn from(_: Gone) -> StreamError {
        StreamError::Gone
    }
}

impl From<ApiError> for StreamError {
    fn from(error: ApiError) -> StreamError {
        StreamError::Api(error)
    }
}

impl Writer {
    /// An event without a name.
    pub(crate) async fn data(&self, data: &impl Serialize) -> Result<(), Gone> {
        self.text(data_lines(data)).await
    }

    /// An event with a name.
    pub(crate) async fn event(&self, name: &str, data: &impl Serialize) -> Result<(), Gone> {
        self.text(format!("event: {name}\n{}", data_lines(data))).await
    }

    /// Text that is already in the form of events.
    pub(crate) async fn text(&self, text: String) -> Result<(), Gone> {
        self.sender.send(Bytes::from(text)).await.map_err(|_| Gone)
    }

    /// Waits for `future`, as long as the client is there.
    pub(crate) async fn while_reading<T>(
        &self,
        future: impl Future<Output = T>,
    ) -> Result<T, Gone> {
        let mut future = pin!(future);
        loop {
            tokio::select! {
                biased;
                value = &mut future => return Ok(value),
                () = self.sender.closed() => return Err(Gone),
                () = tokio::time::sleep(SILENCE) => self.text(": waiting\n\n".to_owned()).await?,
            }
        }
    }
}

/// The lines of an event's data.
pub(crate) fn data_lines(data: &impl Serialize) -> String {
    let json = serde_json::to_string(data).expect("answers are plain data");
    format!("data: {json}\n\n")
}

/// The events as the body of an answer.
struct Events(mpsc::Receiver<Bytes>);

impl http_body::Body for Events {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.0.poll_recv(context).map(|bytes| bytes.map(|bytes| Ok(Frame::data(bytes))))
    }
}
