//! HTTP over any listener: the only code of this layer that waits.
//!
//! The caller provides the listeners, and says where each client comes from: a Unix socket is always this machine, a
//! TCP peer may not be. A caller that sends half a request, or takes no answer, is given up (`idle_timeout`), and there
//! are only so many at a time: so clients of the API cannot use up the broker's memory or descriptors.

use std::future::Future;
use std::net::IpAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::ConnectInfo;
use axum::http::Extensions;
use axum::serve::Listener;
use axum::{Extension, Router};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;

use super::idle_timeout::IdleTimeout;
use crate::broker::auth::Origin;

/// The time that requests under way may take once the end has been asked for.
const LAST_ANSWERS: Duration = Duration::from_millis(500);
/// The time that the head of a request may take, the wait for it included (RabbitMQ: cowboy's `request_timeout`).
const HEAD_MAX: Duration = Duration::from_secs(5);

/// The other end of an HTTP connection.
#[derive(Clone, Copy, Debug)]
pub struct Caller {
    pub(super) origin: Origin,
    /// None of a Unix socket
    pub(super) address: Option<IpAddr>,
}

impl Caller {
    /// The caller of a request; one that is not known is a stranger.
    pub(super) fn of(extensions: &Extensions) -> Self {
        let known = extensions.get::<ConnectInfo<Self>>();
        known.map_or_else(|| Origin::Remote.into(), |ConnectInfo(caller)| *caller)
    }
}

impl From<Origin> for Caller {
    fn from(origin: Origin) -> Self {
        Self { origin, address: None }
    }
}

impl From<IpAddr> for Caller {
    fn from(address: IpAddr) -> Self {
        Self { origin: address.into(), address: Some(address) }
    }
}

/// Answers HTTP requests on `listener` until `shutdown` is done, and then those that are under way.
///
/// `caller_of` says who the peer with that address is. For TCP: `|address| address.ip()`; for a Unix socket:
/// `|_| Origin::Local`. Each connection has one of `slots`; without one it waits to be served.
///
/// Returns the listener, which answers nobody any more: whoever connects waits until it is dropped.
pub async fn serve<L, F, C>(
    mut listener: L,
    caller_of: F,
    router: Router,
    slots: Arc<Semaphore>,
    shutdown: impl Future<Output = ()> + Send,
) -> L
where
    L: Listener,
    F: Fn(&L::Addr) -> C + Send,
    C: Into<Caller>,
{
    let mut shutdown = pin!(shutdown);
    let (ending, ended) = watch::channel(false);
    let mut connections = JoinSet::new();
    let mut has_warned = false;
    loop {
        let (stream, address) = tokio::select! {
            // Cancel-safe: a dropped accept has taken no connection.
            accepted = listener.accept() => accepted,
            () = &mut shutdown => break,
        };
        while connections.try_join_next().is_some() {}
        let slot = if let Ok(slot) = Arc::clone(&slots).try_acquire_owned() {
            has_warned = false;
            slot
        } else {
            if !has_warned {
                has_warned = true;
                tracing::warn!(
                    "too many connections to the management API: new ones wait until others close"
                );
            }
            tokio::select! {
                // Cancel-safe, and the connection ends with the broker.
                slot = Arc::clone(&slots).acquire_owned() => slot.expect("the semaphore is never closed"),
                () = &mut shutdown => break,
            }
        };
        connections.spawn(answer(
            stream,
            caller_of(&address).into(),
            router.clone(),
            slot,
            ended.clone(),
        ));
    }
    ending.send_replace(true);
    // What has not ended by then is dropped with the set: a connection holds nothing that must be kept.
    let _ = tokio::time::timeout(LAST_ANSWERS, async {
        while connections.join_next().await.is_some() {}
    })
    .await;
    listener
}

/// Serves one connection; once `ended` says so, up to the answer that is under way.
async fn answer(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    caller: Caller,
    router: Router,
    _slot: OwnedSemaphorePermit,
    ended: watch::Receiver<bool>,
) {
    let service = TowerToHyperService::new(router.layer(Extension(ConnectInfo(caller))));
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(HEAD_MAX);
    let mut connection =
        pin!(http.serve_connection(TokioIo::new(IdleTimeout::new(stream)), service));
    let served: Option<Result<(), hyper::Error>> = tokio::select! {
        // Both may be dropped: the connection is polled on below.
        served = connection.as_mut() => Some(served),
        () = until_ended(ended) => None,
    };
    let served = if let Some(served) = served {
        served
    } else {
        connection.as_mut().graceful_shutdown();
        connection.await
    };
    if let Err(error) = served {
        tracing::debug!(%error, "an HTTP connection ended");
    }
}

async fn until_ended(mut ended: watch::Receiver<bool>) {
    // A sender that is gone has ended too.
    let _ = ended.wait_for(|has_ended| *has_ended).await;
}
