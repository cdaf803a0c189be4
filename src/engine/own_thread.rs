//! The thread that answers the management API.

use tokio::runtime::{Builder, Handle, Runtime};

/// The thread of the management API. To write a list of ten thousand queues takes a while, in which a thread of the
/// connections' would hold all of them up.
pub(super) struct OwnThread(Option<Box<Runtime>>);

impl OwnThread {
    pub(super) fn start() -> Self {
        let mut builder = Builder::new_multi_thread();
        builder.worker_threads(1).thread_name("management").enable_all();
        Self(builder.build().ok().map(Box::new))
    }

    /// The runtime to spawn on: that of the connections if there is no thread.
    pub(super) fn handle(&self) -> Handle {
        self.0.as_ref().map_or_else(Handle::current, |runtime| runtime.handle().clone())
    }
}

impl Drop for OwnThread {
    fn drop(&mut self) {
        // What it does may be cut off at any time; it is not waited for.
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}
