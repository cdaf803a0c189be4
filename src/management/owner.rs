//! A listener that knows the account of each client.

use std::io;

use axum::serve::Listener;

use crate::broker::auth::Origin;

/// A listener for [`serve`](super::serve) whose addresses say where its clients come from, as their streams show it.
#[derive(Debug)]
pub struct OwnerListener<L: Listener> {
    listener: L,
    origin_of: fn(&L::Io) -> Origin,
}

impl<L: Listener> OwnerListener<L> {
    pub fn new(listener: L, origin_of: fn(&L::Io) -> Origin) -> Self {
        Self { listener, origin_of }
    }
}

impl<L: Listener> Listener for OwnerListener<L> {
    type Io = L::Io;
    type Addr = Origin;

    async fn accept(&mut self) -> (L::Io, Origin) {
        let (stream, _) = self.listener.accept().await;
        let origin = (self.origin_of)(&stream);
        (stream, origin)
    }

    fn local_addr(&self) -> io::Result<Origin> {
        Ok(Origin::Local)
    }
}
