//! The client that speaks a script: a raw connection for each letter, every frame it hears written down.
//!
//! After a step its channel is asked `channel.flow`, which changes nothing: when the answer is there, so is everything
//! the channel said to the step. What comes from elsewhere (deliveries, confirms) is waited for until as much has come
//! as is expected, or, where nothing is known yet, until the broker has been silent for [`QUIET`].

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use mq::wire::constants::{FRAME_METHOD, PROTOCOL_HEADER};
use mq::wire::method::{channel as channels, connection};
use mq::wire::{LongStr, Method, Reader, ShortStr, frame, shortstr};

use super::script::{Action, Kind, Opening, Step};
use super::transcript;

/// Longest wait for what is expected; both brokers delay some answers for three seconds.
pub(crate) const ANSWER_MAX: Duration = Duration::from_secs(8);
/// The same for ours where nothing is delayed: an answer that does not come by then will not come.
pub(crate) const PROMPT_MAX: Duration = Duration::from_secs(2);
/// A broker that has said nothing for so long has said everything.
const QUIET: Duration = Duration::from_millis(100);
/// The same behind bytes that need not be answered, with room for the delayed answers.
const QUIET_AFTER_RAW: Duration = Duration::from_millis(3600);

/// Where a script is spoken.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    pub(crate) amqp_port: u16,
    pub(crate) http_port: u16,
    pub(crate) vhost: String,
    /// How long an answer may take that nothing delays.
    pub(crate) answers_within: Duration,
    /// Whether headers are written down by the order of their names, not in that of the broker.
    pub(crate) sorts_headers: bool,
}

/// How the end of a step is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wait {
    /// So many lines of answer are expected.
    For(usize),
    /// Nobody knows what will come.
    Quiet,
    /// Only what stands before the answer to the question behind the step.
    Barrier,
}

/// What a connection hears.
#[derive(Debug)]
enum Heard {
    Frame {
        kind: u8,
        channel: u16,
        payload: Vec<u8>,
    },
    /// Eight bytes that are no frame: a broker that speaks another protocol.
    Header(Vec<u8>),
    HungUp,
}

#[derive(Debug)]
struct Line {
    stream: TcpStream,
    is_logged_in: bool,
    open_channels: BTreeSet<u16>,
}

/// The client.
#[derive(Debug)]
pub(crate) struct Speaker {
    place: Place,
    lines: BTreeMap<char, Line>,
    told: Receiver<(char, u64, Heard)>,
    tell: Sender<(char, u64, Heard)>,
    /// Counts connections: what an older one of the same letter still says is nobody's answer.
    generation: BTreeMap<char, u64>,
}

/// What came in answer to a step, by connection and channel.
type Answers = BTreeMap<(char, u16), Vec<String>>;

impl Speaker {
    pub(crate) fn new(place: Place) -> Self {
        let (tell, told) = channel();
        Self { place, lines: BTreeMap::new(), told, tell, generation: BTreeMap::new() }
    }

    /// Does a step and answers with what the broker said, a line each.
    pub(crate) fn take(&mut self, step: &Step, wait: Wait) -> Vec<String> {
        let mut answers = Answers::new();
        match &step.action {
            Action::Http { method, path, body } => {
                let place = &self.place;
                let path = path.replace("%vhost", &place.vhost.replace('/', "%2F"));
                let status = super::brokers::http(place.http_port, method, &path, body);
                return vec![format!("http {status}")];
            }
            Action::Wait { time } => {
                self.listen_to(&mut answers, *time);
                if let Wait::For(_) = wait {
                    // RabbitMQ looks for what has timed out now and then, later on a busy machine.
                    self.rest(&mut answers, wait, QUIET, self.place.answers_within);
                }
            }
            Action::HangUp { connection } => {
                if let Some(line) = self.lines.remove(connection) {
                    // What belonged to the connection goes a moment later.
                    let _ = line.stream.shutdown(Shutdown::Both);
                }
                *self.generation.entry(*connection).or_default() += 1;
                self.rest(&mut answers, Wait::Quiet, QUIET, QUIET);
            }
            Action::Send { connection, channel, opening, kind, bytes } => {
                let at = (*connection, *channel);
                self.open(at, *opening, &mut answers);
                self.send(*connection, bytes);
                match kind {
                    Kind::Commit => {
                        self.until(&mut answers, |answers, speaker| {
                            has_from(answers, at, "tx.commit-ok") || !speaker.is_open(at)
                        });
                        self.barrier(at, &mut answers);
                    }
                    Kind::Method if *channel != 0 => self.barrier(at, &mut answers),
                    Kind::Method | Kind::Raw => {}
                    Kind::Goodbye if *channel == 0 => {
                        self.until(&mut answers, |answers, _| {
                            has(answers, "connection.close-ok") || has(answers, "hangs up")
                        });
                        if let Some(line) = self.lines.get(connection) {
                            let _ = line.stream.shutdown(Shutdown::Both);
                        }
                        self.until(&mut answers, |answers, _| has(answers, "hangs up"));
                        // What belonged to the connection goes after its goodbye.
                        self.rest(&mut answers, Wait::Quiet, QUIET, QUIET);
                    }
                    Kind::Goodbye => {
                        self.until(&mut answers, |answers, _| has(answers, "channel.close"));
                    }
                }
                let is_raw = *kind == Kind::Raw && self.lines.contains_key(connection);
                let (mut quiet, at_most) = if is_raw {
                    (QUIET_AFTER_RAW, ANSWER_MAX)
                } else {
                    (QUIET, self.place.answers_within)
                };
                let mut wait = wait;
                if is_raw && wait == Wait::For(0) {
                    // Nothing shows that the broker is done: a moment must do.
                    (wait, quiet) = (Wait::Quiet, QUIET);
                }
                self.rest(&mut answers, wait, quiet, at_most);
            }
        }
        lines(answers)
    }

    /// Asks every open channel, so that what was on its way to it has come.
    pub(crate) fn settle(&mut self) -> Vec<String> {
        let mut answers = Answers::new();
        let open: Vec<(char, u16)> = self
            .lines
            .iter()
            .flat_map(|(name, line)| line.open_channels.iter().map(|channel| (*name, *channel)))
            .collect();
        for at in open {
            self.barrier(at, &mut answers);
        }
        lines(answers)
    }

    /// Listens for so long.
    pub(crate) fn listen(&mut self, time: Duration) -> Vec<String> {
        let mut answers = Answers::new();
        self.listen_to(&mut answers, time);
        lines(answers)
    }

    fn listen_to(&mut self, answers: &mut Answers, time: Duration) {
        let end = Instant::now() + time;
        loop {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() || !self.hear(left, answers) {
                return;
            }
        }
    }

    fn send(&mut self, connection: char, bytes: &[u8]) {
        if let Some(line) = self.lines.get_mut(&connection) {
            // A broker that has hung up already is heard of by the reader.
            let _ = line.stream.write_all(bytes);
        }
    }

    fn send_method(&mut self, (connection, channel): (char, u16), method: impl Into<Method>) {
        let mut bytes = Vec::new();
        frame::write_method(&mut bytes, channel, &method.into());
        self.send(connection, &bytes);
    }

    /// Opens connection and channel as far as they are not; what that brings is no answer.
    fn open(&mut self, (name, channel): (char, u16), opening: Opening, answers: &mut Answers) {
        if !self.lines.contains_key(&name) {
            if opening == Opening::Never {
                self.forget_handshakes();
            }
            self.connect(name);
            if opening == Opening::First {
                self.login(name);
            }
        }
        if opening == Opening::Never || channel == 0 {
            return;
        }
        if self.lines[&name].open_channels.contains(&channel) {
            return;
        }
        self.send_method((name, channel), channels::Open::default());
        self.until(answers, |answers, _| has(answers, "channel.open-ok"));
        if let Some(said) = answers.get_mut(&(name, channel)) {
            said.retain(|line| !line.ends_with("channel.open-ok"));
        }
    }

    /// Hangs up where no login came to its end: what is still said there is no answer to what follows.
    fn forget_handshakes(&mut self) {
        for (name, line) in self.lines.extract_if(.., |_, line| !line.is_logged_in) {
            let _ = line.stream.shutdown(Shutdown::Both);
            *self.generation.entry(name).or_default() += 1;
        }
    }

    fn connect(&mut self, name: char) {
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.place.amqp_port)).unwrap();
        stream.set_nodelay(true).unwrap();
        let generation = self.generation.entry(name).or_default();
        *generation += 1;
        let (generation, tell) = (*generation, self.tell.clone());
        let reader = stream.try_clone().unwrap();
        thread::spawn(move || listen(reader, |heard| tell.send((name, generation, heard)).is_ok()));
        self.lines
            .insert(name, Line { stream, is_logged_in: false, open_channels: BTreeSet::new() });
    }

    fn login(&mut self, name: char) {
        let vhost = ShortStr::try_from(self.place.vhost.as_str()).unwrap();
        self.send(name, &PROTOCOL_HEADER);
        let mut unheard = Answers::new();
        self.until(&mut unheard, |answers, _| has(answers, "connection.start"));
        self.send_method((name, 0), start_ok());
        self.until(&mut unheard, |answers, _| has(answers, "connection.tune"));
        let tune = connection::TuneOk { channel_max: 2047, frame_max: 131_072, heartbeat: 0 };
        self.send_method((name, 0), tune);
        let open = connection::Open { virtual_host: vhost, ..Default::default() };
        self.send_method((name, 0), open);
        self.until(&mut unheard, |answers, _| has(answers, "connection.open-ok"));
        if let Some(line) = self.lines.get_mut(&name) {
            line.is_logged_in = true;
        }
    }

    fn is_open(&self, (connection, channel): (char, u16)) -> bool {
        self.lines.get(&connection).is_some_and(|line| line.open_channels.contains(&channel))
    }

    /// Asks the channel and waits for its answer, or for its end.
    fn barrier(&mut self, at: (char, u16), answers: &mut Answers) {
        if !self.is_open(at) {
            return;
        }
        self.send_method(at, channels::Flow { active: true });
        self.until(answers, |answers, speaker| {
            has_from(answers, at, "channel.flow-ok") || !speaker.is_open(at)
        });
        if let Some(said) = answers.get_mut(&at)
            && let Some(found) = said.iter().rposition(|line| line.contains("channel.flow-ok"))
        {
            said.remove(found);
        }
    }

    /// Listens until the broker said what is waited for, at most [`ANSWER_MAX`].
    fn until(&mut self, answers: &mut Answers, done: impl Fn(&Answers, &Self) -> bool) {
        let deadline = Instant::now() + ANSWER_MAX;
        while !done(answers, self) {
            let left = deadline.saturating_duration_since(Instant::now());
            if !self.hear(left, answers) {
                answers.entry(('?', 0)).or_default().push("? silence".to_owned());
                return;
            }
        }
    }

    /// Listens for what nobody asked for.
    fn rest(&mut self, answers: &mut Answers, wait: Wait, quiet: Duration, at_most: Duration) {
        match wait {
            Wait::Barrier => {}
            Wait::Quiet => {
                // Only the first word may be delayed; a handshake must not take long as a whole.
                let mut quiet = quiet;
                while self.hear(quiet, answers) && !has(answers, "hangs up") {
                    quiet = QUIET;
                }
            }
            Wait::For(count) => {
                let deadline = Instant::now() + at_most;
                while answers.values().map(Vec::len).sum::<usize>() < count {
                    let left = deadline.saturating_duration_since(Instant::now());
                    if !self.hear(left, answers) {
                        return;
                    }
                }
            }
        }
    }

    /// Hears one thing; `false` when nothing came in time.
    fn hear(&mut self, within: Duration, answers: &mut Answers) -> bool {
        let Ok((name, generation, heard)) = self.told.recv_timeout(within) else { return false };
        if self.generation.get(&name) != Some(&generation) {
            return true;
        }
        let mut note = |channel: u16, what: &str| {
            answers.entry((name, channel)).or_default().push(format!("{name}{channel} {what}"));
        };
        match heard {
            Heard::HungUp => {
                if self.lines.remove(&name).is_some() {
                    note(0, "hangs up");
                }
            }
            Heard::Header(bytes) => note(0, &format!("header {}", super::values::shown(&bytes))),
            Heard::Frame { kind, channel, payload } => {
                note(channel, &transcript::shown(kind, &payload, &self.place));
                if kind == FRAME_METHOD {
                    self.on_method((name, channel), &payload, answers);
                }
            }
        }
        true
    }

    /// Keeps book of what is open, and says yes to goodbyes.
    fn on_method(&mut self, (name, channel): (char, u16), payload: &[u8], answers: &mut Answers) {
        let Some(line) = self.lines.get_mut(&name) else { return };
        match decoded(payload) {
            Some(Method::ChannelOpenOk(_)) => {
                line.open_channels.insert(channel);
            }
            Some(Method::ChannelClose(_)) => {
                line.open_channels.remove(&channel);
                self.send_method((name, channel), channels::CloseOk {});
            }
            Some(Method::ChannelCloseOk(_)) => {
                line.open_channels.remove(&channel);
            }
            Some(Method::ConnectionClose(_)) => {
                line.open_channels.clear();
                self.send_method((name, 0), connection::CloseOk {});
                self.until(answers, |_, speaker| !speaker.lines.contains_key(&name));
            }
            _ => {}
        }
    }
}

impl Drop for Speaker {
    fn drop(&mut self) {
        for line in self.lines.values() {
            let _ = line.stream.shutdown(Shutdown::Both);
        }
    }
}

fn start_ok() -> connection::StartOk {
    let capabilities = mq::wire::FieldTable::new()
        .with("authentication_failure_close", true)
        .with("consumer_cancel_notify", true)
        .with("basic.nack", true)
        .with("publisher_confirms", true)
        .with("connection.blocked", true);
    connection::StartOk {
        client_properties: mq::wire::FieldTable::new().with("capabilities", capabilities),
        mechanism: shortstr::literal("PLAIN"),
        response: LongStr::from(&b"\0guest\0guest"[..]),
        locale: shortstr::literal("en_US"),
    }
}

pub(crate) fn decoded(payload: &[u8]) -> Option<Method> {
    let mut from = Reader::new(payload);
    let (class, method) = (from.u16().ok()?, from.u16().ok()?);
    Method::decode(class, method, from.rest()).ok()
}

fn has(answers: &Answers, what: &str) -> bool {
    answers.values().flatten().any(|line| line.contains(what))
}

fn has_from(answers: &Answers, at: (char, u16), what: &str) -> bool {
    answers.get(&at).is_some_and(|said| said.iter().any(|line| line.contains(what)))
}

fn lines(answers: Answers) -> Vec<String> {
    answers.into_values().flatten().collect()
}

/// Reads frames until the broker hangs up or nobody listens any more.
fn listen(mut stream: TcpStream, tell: impl Fn(Heard) -> bool) {
    let mut inbound = Vec::new();
    let mut chunk = [0; 16 << 10];
    loop {
        while inbound.starts_with(b"AMQP") && inbound.len() >= PROTOCOL_HEADER.len() {
            let header = inbound.drain(..PROTOCOL_HEADER.len()).collect();
            if !tell(Heard::Header(header)) {
                return;
            }
        }
        while let Ok(Some(found)) = frame::parse(&inbound, 0) {
            let (kind, channel, taken) = (found.kind, found.channel, found.encoded_len());
            let payload = found.payload.to_vec();
            inbound.drain(..taken);
            if !tell(Heard::Frame { kind, channel, payload }) {
                return;
            }
        }
        match stream.read(&mut chunk) {
            Ok(count) if count > 0 => inbound.extend_from_slice(&chunk[..count]),
            Ok(_) | Err(_) => {
                tell(Heard::HungUp);
                return;
            }
        }
    }
}
