//! A foreign program as a child process: what it prints is awaited, never guessed at with a pause.
//!
//! Every wait has a deadline, and a wait that fails shows everything the program said.

use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crate::broker::Broker;

/// Long enough for an interpreter on a machine that does everything at once.
const WAIT_MAX: Duration = Duration::from_mins(1);

/// A running program; dropping it kills it and what it started.
#[derive(Debug)]
pub(crate) struct Program {
    name: String,
    process: Child,
    heard: Arc<Heard>,
}

/// What a program has said so far.
#[derive(Debug, Default)]
struct Heard {
    transcript: Mutex<Transcript>,
    grew: Condvar,
}

#[derive(Debug, Default)]
struct Transcript {
    stdout: Vec<String>,
    stderr: Vec<String>,
    /// How many of the two streams have ended.
    ended: usize,
}

impl Program {
    /// Starts `command` with the broker's address in its environment.
    pub(crate) fn start(name: &str, command: &mut Command, broker: &Broker) -> Self {
        command
            .env("MQ_TEST_PORT", broker.port().to_string())
            .env("MQ_TEST_VHOST", broker.vhost())
            .env("MQ_TEST_URL", broker.url())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        #[cfg(unix)]
        std::os::unix::process::CommandExt::process_group(command, 0);
        let mut process =
            command.spawn().unwrap_or_else(|error| panic!("cannot start {name}: {error}"));
        let heard = Arc::new(Heard::default());
        let stdout = process.stdout.take().expect("stdout is piped");
        let stderr = process.stderr.take().expect("stderr is piped");
        listen(stdout, Arc::clone(&heard), |transcript| &mut transcript.stdout);
        listen(stderr, Arc::clone(&heard), |transcript| &mut transcript.stderr);
        Self { name: name.to_owned(), process, heard }
    }

    /// Waits for `count` lines of stdout that begin with `prefix` and returns what follows it.
    ///
    /// # Panics
    ///
    /// Panics with the transcript when the program ends or the deadline passes before.
    pub(crate) fn await_lines(&self, prefix: &str, count: usize) -> Vec<String> {
        let heard = self.await_that(&format!("{count} lines '{prefix}...'"), |transcript| {
            transcript.after(prefix).len() >= count || transcript.ended == 2
        });
        let lines = heard.after(prefix);
        assert!(lines.len() >= count, "{} ended: {}", self.name, heard.shown());
        lines
    }

    /// Waits until it has said something, on stdout or stderr.
    ///
    /// # Panics
    ///
    /// Panics with the transcript when the program ends or the deadline passes before.
    pub(crate) fn await_words(&self, words: &str) {
        let has_said = |transcript: &Transcript| {
            transcript.stdout.iter().chain(&transcript.stderr).any(|line| line.contains(words))
        };
        let heard =
            self.await_that(words, |transcript| has_said(transcript) || transcript.ended == 2);
        assert!(has_said(&heard), "{} ended: {}", self.name, heard.shown());
    }

    /// The lines of stdout so far that begin with `prefix`, without it.
    pub(crate) fn lines(&self, prefix: &str) -> Vec<String> {
        self.heard.lock().after(prefix)
    }

    /// Writes a line to the program's standard input: the piece of work it is at is done.
    pub(crate) fn release(&mut self) {
        let stdin = self.process.stdin.as_mut().expect("stdin is piped");
        stdin.write_all(b"\n").expect("the program still reads");
    }

    /// Ends the program at once, as a crash would, together with what it started.
    pub(crate) fn kill(&mut self) {
        #[cfg(unix)]
        if let Some(group) =
            i32::try_from(self.process.id()).ok().and_then(rustix::process::Pid::from_raw)
        {
            let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
        }
        let _ = self.process.kill();
        let _ = self.process.wait();
    }

    /// Waits for the program's own end and returns its stdout.
    ///
    /// # Panics
    ///
    /// Panics with the transcript when it does not end in time or ends with another code than 0.
    pub(crate) fn finish(mut self) -> Vec<String> {
        let stdout = self.await_that("its end", |transcript| transcript.ended == 2).stdout.clone();
        let status = self.process.wait().expect("a child can be waited for");
        assert!(status.success(), "{} failed, {status}: {}", self.name, self.heard.lock().shown());
        stdout
    }

    fn await_that(
        &self,
        what: &str,
        mut is_true: impl FnMut(&Transcript) -> bool,
    ) -> MutexGuard<'_, Transcript> {
        let deadline = Instant::now() + WAIT_MAX;
        let mut transcript = self.heard.lock();
        while !is_true(&transcript) {
            let left = deadline.saturating_duration_since(Instant::now());
            assert!(
                !left.is_zero(),
                "{}: waited {WAIT_MAX:?} for {what}: {}",
                self.name,
                transcript.shown()
            );
            transcript = self
                .heard
                .grew
                .wait_timeout(transcript, left)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
        transcript
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        self.kill();
    }
}

impl Heard {
    fn lock(&self) -> MutexGuard<'_, Transcript> {
        // A wait that failed panicked with the lock held; what was heard is whole all the same.
        self.transcript.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Transcript {
    fn after(&self, prefix: &str) -> Vec<String> {
        self.stdout.iter().filter_map(|line| line.strip_prefix(prefix)).map(str::to_owned).collect()
    }

    fn shown(&self) -> String {
        format!("\n--- stdout\n{}\n--- stderr\n{}", self.stdout.join("\n"), self.stderr.join("\n"))
    }
}

/// A command that runs a Python file of this folder with the interpreter of one environment.
pub(crate) fn python(interpreter: &Path, file: &str) -> Command {
    let here = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/interop");
    let mut command = Command::new(interpreter);
    command
        .arg("-u")
        .arg(here.join(file))
        .env("PYTHONPATH", here.join("python_path"))
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .env("PYTHONUTF8", "1");
    command
}

/// Keeps the lines of one stream until it ends.
fn listen(
    stream: impl Read + Send + 'static,
    heard: Arc<Heard>,
    kept: fn(&mut Transcript) -> &mut Vec<String>,
) {
    thread::spawn(move || {
        for line in BufReader::new(stream).lines().map_while(Result::ok) {
            kept(&mut heard.lock()).push(line);
            heard.grew.notify_all();
        }
        heard.lock().ended += 1;
        heard.grew.notify_all();
    });
}
