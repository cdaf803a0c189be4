//! A listener whose clients speak TLS.

use std::io;

use axum::serve::Listener;

use crate::server::{Https, HttpsStream};

/// A listener whose clients speak TLS, for [`serve`](super::serve).
#[derive(Debug)]
pub struct HttpsListener<L> {
    listener: L,
    https: Https,
}

impl<L: Listener> HttpsListener<L> {
    pub fn new(listener: L, https: Https) -> Self {
        Self { listener, https }
    }
}

impl<L: Listener> Listener for HttpsListener<L> {
    type Io = HttpsStream<L::Io>;
    type Addr = L::Addr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        let (stream, address) = self.listener.accept().await;
        (self.https.accept(stream), address)
    }

    fn local_addr(&self) -> io::Result<Self::Addr> {
        self.listener.local_addr()
    }
}
