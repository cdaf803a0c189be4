//! The built `mq` as a broker of its own for one test: on free ports, in memory, gone on drop.
//!
//! Self-contained, so that several test binaries can include it. Start at [`MqServe::start`].

use std::io::{self, BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::process::{Child, ChildStderr, ChildStdout, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

/// Ready means milliseconds; this is for a machine that is busy with everything else.
const START_MAX: Duration = Duration::from_secs(30);
/// The longest wait for a line of the log: some tell of what takes half a minute.
const LINE_MAX: Duration = Duration::from_mins(2);

/// A running `mq serve`.
#[derive(Debug)]
pub(crate) struct MqServe {
    process: Child,
    url: String,
    management_url: String,
    /// What the broker said since; shown when the test that owns it fails.
    log: mpsc::Receiver<Said>,
}

/// A line of stdout, or one of stderr.
type Said = Result<String, String>;

impl MqServe {
    /// Starts a broker and waits for the two lines that say where it listens.
    ///
    /// # Panics
    ///
    /// Panics with what the broker said when it does not come up.
    pub(crate) fn start() -> Self {
        Self::start_with(&[])
    }

    /// The same with more arguments.
    pub(crate) fn start_with(arguments: &[&str]) -> Self {
        let mut process = Command::new(env!("CARGO_BIN_EXE_mq"))
            .args(["serve", "--memory", "--print-url"])
            .args(["--listen", "127.0.0.1:0", "--http", "127.0.0.1:0"])
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the built mq can be started");
        let stdout = process.stdout.take().expect("stdout is piped");
        let stderr = process.stderr.take().expect("stderr is piped");
        let log = lines_of(stdout, stderr);
        match announced(&log) {
            Ok([url, management_url]) => Self { process, url, management_url, log },
            Err(said) => {
                let _ = process.kill();
                let _ = process.wait();
                panic!("mq serve did not announce its URLs; it said:\n{said}");
            }
        }
    }

    /// The URL of the default vhost.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// Where AMQP is spoken.
    pub(crate) fn address(&self) -> SocketAddr {
        let (_, rest) = self.url.split_once("://").expect("a URL has a scheme");
        let authority = rest.split('/').next().unwrap_or(rest);
        let address = authority.rsplit('@').next().unwrap_or(authority);
        address.parse().expect("it listens on an address")
    }

    /// The process, for a look at what it uses.
    pub(crate) fn process_id(&self) -> u32 {
        self.process.id()
    }

    /// Waits for a line with these words; answers with it. What was said before it is not seen again.
    pub(crate) fn wait_for(&self, words: &str) -> String {
        loop {
            match self.log.recv_timeout(LINE_MAX) {
                Ok(Ok(line) | Err(line)) if line.contains(words) => return line,
                Ok(_) => {}
                Err(error) => panic!("mq serve never said '{words}': {error}"),
            }
        }
    }

    /// The lines the broker said since this was asked last.
    pub(crate) fn said(&self) -> Vec<String> {
        self.log.try_iter().map(|line| line.unwrap_or_else(|line| line)).collect()
    }

    /// The base of the management API, with a slash at the end.
    pub(crate) fn management_url(&self) -> &str {
        &self.management_url
    }
}

impl Drop for MqServe {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        if thread::panicking() {
            let said: Vec<_> =
                self.log.iter().map(|line| line.unwrap_or_else(|line| line)).collect();
            let _ = writeln!(io::stderr(), "--- mq serve said\n{}", said.join("\n"));
        }
    }
}

/// Reads both streams to their end on threads, or a talkative broker would fill its pipe and stop.
fn lines_of(stdout: ChildStdout, stderr: ChildStderr) -> mpsc::Receiver<Said> {
    let (tell, told) = mpsc::channel();
    let errors = tell.clone();
    thread::spawn(move || {
        for line in BufReader::new(stdout).lines().map_while(Result::ok) {
            let _ = tell.send(Ok(line));
        }
    });
    thread::spawn(move || {
        for line in BufReader::new(stderr).lines().map_while(Result::ok) {
            let _ = errors.send(Err(line));
        }
    });
    told
}

/// Takes the first two lines of stdout, or gives back everything that was said instead.
fn announced(log: &mpsc::Receiver<Said>) -> Result<[String; 2], String> {
    let (mut urls, mut said) = (Vec::new(), String::new());
    while urls.len() < 2 {
        match log.recv_timeout(START_MAX) {
            Ok(Ok(line)) => urls.push(line),
            Ok(Err(line)) => said = said + &line + "\n",
            Err(_) => return Err(urls.join("\n") + "\n" + &said),
        }
    }
    Ok(<[String; 2]>::try_from(urls).expect("two lines were read"))
}
