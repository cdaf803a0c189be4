//! Somebody else's round trip, again and again: what stalls the broker shows here.

use std::net::SocketAddr;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use mq::wire::method::queue;

use crate::client::{Client, name};

/// How long after an answer the next question follows.
const EVERY: Duration = Duration::from_millis(10);

/// A thread that asks for a queue of its own: the lock of the vhost and that of a queue.
#[derive(Debug)]
pub(crate) struct Pinger {
    longest: Arc<Mutex<Duration>>,
    /// Held while a question is under way.
    asking: Arc<Mutex<()>>,
    /// Dropped to stop the thread.
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Pinger {
    pub(crate) fn start(address: SocketAddr) -> Self {
        let (longest, asking) = (Arc::default(), Arc::default());
        let (stop, stopped) = channel();
        let (tell, hold) = (Arc::clone(&longest), Arc::clone(&asking));
        let thread = Some(std::thread::spawn(move || run(address, &stopped, &tell, &hold)));
        Self { longest, asking, stop: Some(stop), thread }
    }

    /// Waits for the answer to a question that is under way.
    pub(crate) fn settle(&self) {
        drop(self.asking.lock());
    }

    /// The longest round trip since this was asked last.
    pub(crate) fn longest(&self) -> Duration {
        std::mem::take(&mut *self.longest.lock().expect("nobody panicked"))
    }
}

impl Drop for Pinger {
    fn drop(&mut self) {
        self.stop = None;
        let ended = self.thread.take().map(JoinHandle::join);
        if !std::thread::panicking() {
            assert!(matches!(ended, Some(Ok(()))), "the pinger got its answers");
        }
    }
}

fn run(address: SocketAddr, stopped: &Receiver<()>, longest: &Mutex<Duration>, asking: &Mutex<()>) {
    let mut client = Client::connect(address);
    let ping = queue::Declare { queue: name("ping"), exclusive: true, ..Default::default() };
    while stopped.recv_timeout(EVERY) == Err(RecvTimeoutError::Timeout) {
        let _asking = asking.lock();
        let begin = Instant::now();
        client.ask(1, ping.clone());
        let took = begin.elapsed();
        let mut longest = longest.lock().expect("nobody panicked");
        *longest = took.max(*longest);
    }
}
