//! Connections: accepted up to a number, with limits on how long each side may be silent, and
//! brought to their end when the server is to stop.

use std::future::Future;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tower_service::Service as _;

use crate::app::router;
use crate::gate::Peer;
use crate::server::{Server, ServerError};
use crate::timed_io::TimedStream;

/// Threads for connections: they mostly wait, and the cores are for the model.
const THREADS: usize = 2;
/// Pause after a connection could not be accepted, such as for want of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Serves until `end` is done and what runs then has finished or run out of time. `ready` is told
/// the address as soon as clients can connect.
///
/// # Errors
/// If the address cannot be listened on.
pub fn run(
    server: &Arc<Server>,
    ready: impl FnOnce(SocketAddr),
    end: impl Future<Output = ()>,
) -> Result<(), ServerError> {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    let runtime = builder.worker_threads(THREADS).enable_all().build();
    let runtime = runtime.map_err(ServerError::Runtime)?;
    runtime.block_on(listen(server, ready, end))?;
    // Blocking work that is left is not waited for: its request is gone.
    runtime.shutdown_background();
    Ok(())
}

/// Done at the first SIGINT or SIGTERM; `at_once` is called at the second.
pub async fn process_signals(at_once: fn()) {
    signal().await;
    tokio::spawn(async move {
        signal().await;
        at_once();
    });
}

#[cfg(unix)]
async fn signal() {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate()).ok();
    let terminated = async {
        match &mut terminate {
            Some(signal) => drop(signal.recv().await),
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        () = terminated => {}
    }
}

#[cfg(not(unix))]
async fn signal() {
    let _ = tokio::signal::ctrl_c().await;
}

async fn listen(
    server: &Arc<Server>,
    ready: impl FnOnce(SocketAddr),
    end: impl Future<Output = ()>,
) -> Result<(), ServerError> {
    let address = SocketAddr::new(server.settings.server.host, server.settings.server.port);
    let failed = |source| ServerError::Listen { address: address.to_string(), source };
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    ready(listener.local_addr().map_err(failed)?);
    let (drain, drained) = watch::channel(());
    let mut connections = JoinSet::new();
    accept(server, listener, end, &mut connections, &drained).await;
    server.close();
    tracing::info!(connections = connections.len(), "shutting down");
    let _ = drain.send(());
    let finished = async {
        while connections.join_next().await.is_some() {}
        server.background.finished().await;
    };
    let limit = Duration::from_secs(server.settings.server.shutdown_seconds);
    if tokio::time::timeout(limit, finished).await.is_err() {
        tracing::warn!("some requests did not finish in time");
        server.background.cancel_all();
        connections.shutdown().await;
    }
    Ok(())
}

/// Accepts connections until `end` is done; then nobody can connect any more.
async fn accept(
    server: &Arc<Server>,
    listener: TcpListener,
    end: impl Future<Output = ()>,
    connections: &mut JoinSet<()>,
    drained: &watch::Receiver<()>,
) {
    let router = router(server.clone());
    let permits = Arc::new(Semaphore::new(server.settings.limits.connections));
    let mut end = pin!(end);
    loop {
        let next = async {
            let permit = permits.clone().acquire_owned().await;
            (permit.expect("the semaphore is never closed"), listener.accept().await)
        };
        tokio::select! {
            () = &mut end => return,
            Some(_) = connections.join_next() => {}
            (permit, accepted) = next => match accepted {
                Ok((stream, peer)) => {
                    let connection = Connection { stream, peer, router: router.clone() };
                    let (server, drained) = (server.clone(), drained.clone());
                    connections.spawn(async move {
                        connection.serve(&server, drained).await;
                        drop(permit);
                    });
                }
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be accepted");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }
}

/// One connection.
struct Connection {
    stream: TcpStream,
    peer: SocketAddr,
    router: Router,
}

impl Connection {
    /// Answers requests until the client closes, or until the one that runs is answered once
    /// `drained` has changed.
    async fn serve(self, server: &Server, mut drained: watch::Receiver<()>) {
        let Connection { stream, peer, router } = self;
        let limits = &server.settings.limits;
        // Tokens are sent one by one; waiting to fill a packet would make them stutter.
        let _ = stream.set_nodelay(true);
        let stream = TimedStream::new(stream, Duration::from_secs(limits.write_seconds));
        let service = hyper::service::service_fn(move |mut request: Request<Incoming>| {
            request.extensions_mut().insert(Peer(peer));
            let mut router = router.clone();
            async move { router.call(request).await }
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(Duration::from_secs(limits.header_seconds))
            .serve_connection(TokioIo::new(stream), service);
        let mut connection = pin!(connection);
        let result = tokio::select! {
            result = connection.as_mut() => result,
            _ = drained.changed() => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        };
        if let Err(error) = result {
            tracing::debug!(%error, "a connection ended");
        }
    }
}
