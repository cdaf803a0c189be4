//! HTTP over any listener: the only code of this layer that waits.
//!
//! The listeners are made by others, who also say where a caller comes from: a Unix socket is always this
//! machine, a TCP peer may not be.

use std::future::Future;
use std::io;
use std::time::Duration;

use axum::Router;
use axum::extract::connect_info::Connected;
use axum::serve::{IncomingStream, Listener};
use tokio::sync::oneshot;

use crate::broker::auth::Origin;

/// How long requests under way may take once the end has been asked for.
const LAST_ANSWERS: Duration = Duration::from_millis(500);

/// Where the peer of an HTTP connection is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Caller(pub(super) Origin);

/// A listener whose addresses are reduced to what matters here.
struct Placed<L, F> {
    listener: L,
    origin_of: F,
}

impl<L, F> Listener for Placed<L, F>
where
    L: Listener,
    F: Fn(&L::Addr) -> Origin + Send + 'static,
{
    type Io = L::Io;
    type Addr = Origin;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        let (stream, address) = self.listener.accept().await;
        let origin = (self.origin_of)(&address);
        (stream, origin)
    }

    fn local_addr(&self) -> io::Result<Self::Addr> {
        self.listener.local_addr().map(|address| (self.origin_of)(&address))
    }
}

impl<L, F> Connected<IncomingStream<'_, Placed<L, F>>> for Caller
where
    L: Listener,
    F: Fn(&L::Addr) -> Origin + Send + 'static,
{
    fn connect_info(stream: IncomingStream<'_, Placed<L, F>>) -> Self {
        Self(*stream.remote_addr())
    }
}

/// Answers HTTP requests on `listener` until `shutdown` is done, and then those that are under way.
///
/// `origin_of` says where the peer with that address is. For TCP: `|address| address.ip().into()`; for a Unix
/// socket: `|_| Origin::Local`.
///
/// # Errors
///
/// None today: what `axum` answers is passed on.
pub async fn serve<L, F>(
    listener: L,
    origin_of: F,
    router: Router,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()>
where
    L: Listener,
    F: Fn(&L::Addr) -> Origin + Send + 'static,
{
    let (ending, ended) = oneshot::channel();
    let shutdown = async move {
        shutdown.await;
        // Nobody listens only when everything has ended already.
        let _ = ending.send(());
    };
    let service = router.into_make_service_with_connect_info::<Caller>();
    let serving =
        axum::serve(Placed { listener, origin_of }, service).with_graceful_shutdown(shutdown);
    let deadline = async {
        if ended.await.is_ok() {
            tokio::time::sleep(LAST_ANSWERS).await;
        }
    };
    // Both arms may be dropped: neither holds anything but connections that are to end.
    tokio::select! {
        served = serving => served,
        () = deadline => Ok(()),
    }
}
