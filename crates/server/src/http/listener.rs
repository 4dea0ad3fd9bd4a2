//! Accepting HTTP connections, and what they may cost: how many there are, how long each may be silent, and how long a stop
//! waits for them. What a request means is the router's.

use std::{
    io,
    net::SocketAddr,
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use axum::{
    Extension, Router,
    body::{Body, to_bytes},
    extract::{ConnectInfo, Request, State},
    middleware::{Next, from_fn_with_state},
    response::{IntoResponse, Response},
};
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore, watch},
    task::JoinSet,
    time::{Sleep, sleep, timeout},
};

use super::refusal::Refusal;
use crate::stop::stopped;

/// After a failed accept (out of file descriptors, mostly) the listener rests this long.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// The largest body of a request; all that there are name a few things.
const BODY_BYTES_MAX: usize = 2 << 20;

/// Bounds of a listener.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// Connections at a time; further ones wait for one to end.
    pub(super) connections_max: usize,
    /// How long a connection may have no request, a request may take to come in, and an answer may stay where it is.
    pub(super) silence_max: Duration,
    /// How long a stop waits for requests in flight.
    pub(super) stop_grace: Duration,
}

/// Accepts until stopped, then returns when every connection has ended.
pub(super) async fn run(
    listener: TcpListener,
    router: Router,
    limits: Limits,
    mut stop: watch::Receiver<bool>,
) {
    let router = router.layer(from_fn_with_state(limits.silence_max, whole_body));
    let room = Arc::new(Semaphore::new(limits.connections_max));
    let (mut connections, stopping) = (JoinSet::new(), stop.clone());
    loop {
        tokio::select! {
            accepted = accept(&listener, &room) => match accepted {
                Ok((stream, peer, place)) => {
                    let conversation = converse(stream, peer, router.clone(), limits, stopping.clone());
                    connections.spawn(async move {
                        conversation.await;
                        drop(place);
                    });
                }
                Err(error) => {
                    tracing::warn!(%error, "cannot accept HTTP connections");
                    sleep(ACCEPT_PAUSE).await;
                }
            },
            Some(ended) = connections.join_next(), if !connections.is_empty() => {
                if let Err(panicked) = ended {
                    tracing::error!(%panicked, "an HTTP connection ended by a panic");
                }
            }
            () = stopped(&mut stop) => break,
        }
    }
    drop(listener);
    while connections.join_next().await.is_some() {}
}

/// The next connection, once there is a place for it; until then it waits in the system's queue.
async fn accept(
    listener: &TcpListener,
    room: &Arc<Semaphore>,
) -> io::Result<(TcpStream, SocketAddr, OwnedSemaphorePermit)> {
    let place = room.clone().acquire_owned().await.map_err(io::Error::other)?;
    let (stream, peer) = listener.accept().await?;
    Ok((stream, peer, place))
}

async fn converse(
    stream: TcpStream,
    peer: SocketAddr,
    router: Router,
    limits: Limits,
    mut stop: watch::Receiver<bool>,
) {
    let service = TowerToHyperService::new(router.layer(Extension(ConnectInfo(peer))));
    let stream = Impatient { stream, silence_max: limits.silence_max, stalled: None };
    // The time for a header begins when the request before is answered: it bounds idle connections as well.
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.silence_max)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = pin!(connection);
    tokio::select! {
        // How a client ends a connection is no news.
        _ = connection.as_mut() => return,
        () = stopped(&mut stop) => connection.as_mut().graceful_shutdown(),
    }
    drop(timeout(limits.stop_grace, connection).await);
}

/// Has the body come in whole before anything works on the request: nothing else bounds how slowly it may come.
async fn whole_body(State(silence_max): State<Duration>, request: Request, next: Next) -> Response {
    let (parts, body) = request.into_parts();
    match timeout(silence_max, to_bytes(body, BODY_BYTES_MAX)).await {
        Ok(Ok(bytes)) => next.run(Request::from_parts(parts, Body::from(bytes))).await,
        Ok(Err(error)) => Refusal::bad(format!("the body cannot be read: {error}")).into_response(),
        Err(_) => Refusal::bad("the body took too long").into_response(),
    }
}

/// A stream that fails if nobody takes what is written.
struct Impatient {
    stream: TcpStream,
    silence_max: Duration,
    /// Runs while the socket takes nothing.
    stalled: Option<Pin<Box<Sleep>>>,
}

impl Impatient {
    fn judge<T>(&mut self, written: Poll<io::Result<T>>, context: &mut Context<'_>) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.stalled = None;
            return written;
        }
        let silence_max = self.silence_max;
        let stalled = self.stalled.get_or_insert_with(|| Box::pin(sleep(silence_max)));
        stalled.as_mut().poll(context).map(|()| Err(io::ErrorKind::TimedOut.into()))
    }
}

impl AsyncRead for Impatient {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, into)
    }
}

impl AsyncWrite for Impatient {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.judge(written, context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, pieces);
        self.judge(written, context)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use axum::routing::get;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    const LIMITS: Limits = Limits {
        connections_max: 2,
        silence_max: Duration::from_millis(100),
        stop_grace: Duration::from_secs(5),
    };
    /// More than the buffers of both ends take.
    const LARGE: usize = 64 << 20;

    #[tokio::test]
    async fn whoever_is_silent_loses_the_place_to_those_who_ask() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = Router::new()
            .route("/", get(async || "here").post(async |text: String| text))
            .route("/large", get(async || vec![0_u8; LARGE]));
        let (stop, stopped) = watch::channel(false);
        let serving = tokio::spawn(run(listener, router, LIMITS, stopped));
        let beginnings = [
            "",
            "GET / HT",
            "GET / HTTP/1.1\r\nhost: x\r\n",
            // Answered, and then silent.
            "GET / HTTP/1.1\r\nhost: x\r\n\r\n",
            "POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\n\r\nabc",
            // Not taken.
            "GET /large HTTP/1.1\r\nhost: x\r\n\r\n",
        ];
        let mut silent = Vec::new();
        for beginning in beginnings {
            let mut client = TcpStream::connect(address).await.unwrap();
            client.write_all(beginning.as_bytes()).await.unwrap();
            silent.push(client);
        }
        let mut client = TcpStream::connect(address).await.unwrap();
        client.write_all(b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await.unwrap();
        let mut answer = String::new();
        let read = timeout(Duration::from_secs(120), client.read_to_string(&mut answer)).await;
        assert!(read.is_ok() && answer.starts_with("HTTP/1.1 200") && answer.ends_with("here"), "{answer}");
        stop.send_replace(true);
        serving.await.unwrap();
    }
}
