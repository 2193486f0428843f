//! What every request passes before it reaches its handler, and every answer on its way out.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderName, HeaderValue, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http_body::{Frame, SizeHint};
use tracing::Instrument as _;

use crate::catch::CatchPanic;
use crate::error::ApiError;
use crate::guests::Pass;
use crate::ids;
use crate::server::Server;

/// The header that names a request, in and out.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// A longer id of a client is replaced.
const ID_BYTES_MAX: usize = 128;
/// Paths for those who watch the server: no key, no limits.
const OPEN: [&str; 3] = ["/health", "/ready", "/metrics"];

/// Where a connection comes from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Peer(pub(crate) std::net::SocketAddr);

/// Names the request, logs it, and keeps its panic to itself.
pub(crate) async fn watch(
    State(server): State<Arc<Server>>,
    request: Request,
    next: Next,
) -> Response {
    let started = Instant::now();
    let id = request_id(&request);
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let span = tracing::info_span!("request", id = id.to_str().unwrap_or_default());
    let answer = async {
        let answer = CatchPanic::new(admit(&server, request, next)).await;
        let mut response =
            answer.unwrap_or_else(|_| ApiError::internal("the request failed").into_response());
        response.headers_mut().insert(REQUEST_ID, id);
        let status = response.status().as_u16();
        server.metrics.answered(status);
        let seconds = started.elapsed().as_secs_f64();
        let path: String = path.chars().take(200).collect();
        tracing::info!(%method, path, status, seconds, "answered");
        response
    };
    answer.instrument(span).await
}

/// The client's id for the request if it can be one, else a fresh one.
fn request_id(request: &Request) -> HeaderValue {
    let is_id = |id: &&HeaderValue| {
        !id.is_empty() && id.len() <= ID_BYTES_MAX && id.as_bytes().iter().all(u8::is_ascii_graphic)
    };
    let given = request.headers().get(REQUEST_ID).filter(is_id).cloned();
    let fresh = || HeaderValue::from_str(&ids::fresh("req_")).expect("letters and digits");
    given.unwrap_or_else(fresh)
}

/// Lets a request in if host, origin, key and limits allow it.
async fn admit(server: &Arc<Server>, mut request: Request, next: Next) -> Response {
    if let Err(error) = server.hosts.check(request.uri(), request.headers()) {
        return error.into_response();
    }
    let origin = request.headers().get(header::ORIGIN).cloned();
    let mut response = match server.hosts.preflight(request.method(), request.headers()) {
        Some(response) => response,
        None => match enter(server, &mut request) {
            Ok(pass) => guarded(next.run(request).await, pass),
            Err(error) => error.into_response(),
        },
    };
    server.hosts.allow(origin.as_ref(), &mut response);
    response
}

/// Finds out who asks, and whether they may.
fn enter(server: &Arc<Server>, request: &mut Request) -> Result<Option<Pass>, ApiError> {
    let address = request.extensions().get::<Peer>().map(|peer| peer.0.ip().to_string());
    let address = address.unwrap_or_default();
    if OPEN.contains(&request.uri().path()) {
        return Ok(None);
    }
    let client = server.keys.client(request.headers(), &address)?;
    if server.is_closing() {
        return Err(ApiError::shutting_down());
    }
    let pass = server.guests.enter(&client.name)?;
    request.extensions_mut().insert(client);
    Ok(Some(pass))
}

/// An answer that holds its pass until its body has been sent.
fn guarded(response: Response, pass: Option<Pass>) -> Response {
    match pass {
        None => response,
        Some(pass) => response.map(|body| Body::new(Guarded { body, _pass: pass })),
    }
}

/// A body with the pass of its request.
struct Guarded {
    body: Body,
    _pass: Pass,
}

impl http_body::Body for Guarded {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
