//! What is done at random: each operation a line of a script, made from a seed.
//!
//! What both brokers decide alike is kept apart from what RabbitMQ's processes decide by who is faster: a channel consumes
//! from one queue only, a queue has one other that its dead letters go to by name, what is settled in one go came from
//! one queue, and a time to live is much shorter than the wait behind each step. A quorum queue never drops several
//! messages for one, whose letters RabbitMQ writes from the last to the first. All else may meet.
//!
//! With 4.3 some things more are left out, because ours answers them otherwise and `known-differences.rabbitmq-4.3.txt`
//! says why: no queue goes between a publish in a transaction and its commit, and no quorum queue's letters go to another
//! quorum queue.

use std::fmt::Write as _;

use crate::differential::brokers::Referee;

/// A small generator (SplitMix64): the same seed, the same sequence, everywhere.
#[derive(Debug)]
pub(super) struct Chance(u64);

impl Chance {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^= mixed >> 31;
        usize::try_from(mixed % bound as u64).expect("below the bound")
    }

    fn of<'a>(&mut self, words: &[&'a str]) -> &'a str {
        words[self.below(words.len())]
    }

    /// `true` in so many of a hundred cases.
    fn percent(&mut self, cases: usize) -> bool {
        self.below(100) < cases
    }

    /// The word in so many of a hundred cases, with a blank before it.
    fn maybe(&mut self, cases: usize, word: &str) -> String {
        if self.percent(cases) { format!(" {word}") } else { String::new() }
    }
}

/// The queues; the last two are quorum queues. Each has channels of its own number.
pub(super) const QUEUES: [&str; 6] = ["q1", "q2", "q3", "q4", "q5", "q6"];
/// Where the dead letters of each go, when they go to a queue by name.
const LETTERS_TO: [&str; 6] = ["q2", "q3", "q4", "q1", "q1", "q5"];
/// Where those of a quorum queue go when they must not go to another quorum queue.
const CLASSIC_LETTERS_TO: &str = "q1";
/// The first of the quorum queues.
pub(super) const FIRST_QUORUM: usize = 4;
const EXCHANGES: [&str; 5] = ["e1", "e2", "e3", "e4", "e5"];
const KINDS: [&str; 5] = ["direct", "topic", "fanout", "headers", "direct"];
const BUILT_IN: [&str; 4] = ["amq.direct", "amq.topic", "amq.fanout", "amq.headers"];
const KEYS: [&str; 6] = ["k", "k.a", "k.a.b", "", "q1", "q3"];
const PATTERNS: [&str; 8] = ["k", "k.a", "k.*", "#", "*", "k.#", "", "q1"];

/// What every sequence begins with.
pub(super) const BEGIN: [&str; 8] = [
    "a9 confirm.select",
    "b9 confirm.select",
    "a8 tx.select",
    "a7 exchange.declare exchange=e1 kind=direct",
    "a7 exchange.declare exchange=e2 kind=topic",
    "a7 exchange.declare exchange=e3 kind=fanout",
    "a7 queue.declare queue=q1",
    "a7 queue.declare queue=q5 durable x-queue-type=quorum",
];

/// A delivery that has not been settled, as far as is known.
#[derive(Clone, Debug)]
struct Held {
    channel: String,
    tag: u64,
    queue: String,
}

/// Makes the operations of one sequence.
#[derive(Debug)]
pub(super) struct Operations {
    referee: Referee,
    chance: Chance,
    /// Messages may expire: every step is followed by a wait.
    pub(super) is_timed: bool,
    published: usize,
    held: Vec<Held>,
    /// The queue that was asked for a message last.
    asked: String,
    /// Messages may have been published that the transaction has not committed.
    is_uncommitted: bool,
}

impl Operations {
    pub(super) fn new(referee: Referee, seed: u64) -> Self {
        let mut chance = Chance(seed);
        let is_timed = chance.percent(15);
        Self {
            referee,
            chance,
            is_timed,
            published: 0,
            held: Vec::new(),
            asked: String::new(),
            is_uncommitted: false,
        }
    }

    /// Takes note of what ours answered, so that deliveries can be settled.
    pub(super) fn learn(&mut self, answers: &[String]) {
        for answer in answers {
            let Some((channel, rest)) = answer.split_once(' ') else { continue };
            let field = |name: &str| rest.split(' ').find_map(|word| word.strip_prefix(name));
            let tag = field("tag=").and_then(|tag| tag.parse().ok());
            let queue = match rest.split(' ').next() {
                Some("basic.get-ok") => Some(self.asked.clone()),
                // Consumers are called after their queues.
                Some("basic.deliver") => {
                    let tag = field("consumer=").unwrap_or_default();
                    tag.split('.').next().map(str::to_owned)
                }
                Some("channel.close") => {
                    self.held.retain(|held| held.channel != channel);
                    None
                }
                Some("hangs") => {
                    self.held.retain(|held| held.channel[..1] != channel[..1]);
                    None
                }
                _ => None,
            };
            if let (Some(queue), Some(tag)) = (queue, tag) {
                self.held.push(Held { channel: channel.to_owned(), tag, queue });
            }
        }
    }

    /// The next step.
    pub(super) fn next(&mut self) -> String {
        let at = self.chance.below(QUEUES.len());
        if self.is_uncommitted && self.is_4_3() {
            return match self.chance.below(4) {
                0 => self.publish(at),
                1 => self.settle().unwrap_or_else(|| self.get(at)),
                _ => self.transaction(),
            };
        }
        match self.chance.below(100) {
            0..=9 => self.declare(at),
            10..=17 => self.bind(at),
            18..=20 => self.exchange(),
            21..=23 => self.bind_exchanges(),
            24..=49 => self.publish(at),
            50..=58 => self.get(at),
            59..=74 => self.settle().unwrap_or_else(|| self.get(at)),
            75..=83 => self.consume(at),
            84..=86 => self.cancel(at),
            87 => self.qos(at),
            88..=89 => format!("{} basic.recover requeue", self.channel(at)),
            90..=91 => format!("b7 queue.purge queue={}", QUEUES[at]),
            92..=93 => {
                let condition = self.chance.of(&["", " if_unused", " if_empty"]);
                format!("b7 queue.delete queue={}{condition}", QUEUES[at])
            }
            94..=96 => self.transaction(),
            97 => format!("{} confirm.select", self.chance.of(&["a9", "b9"])),
            98 => format!("{} channel.close reply_code=200", self.channel(at)),
            _ => match self.chance.of(&["a0", "b0"]) {
                name if self.chance.percent(50) => format!("{name} hangup"),
                name => format!("{name} connection.close reply_code=200"),
            },
        }
    }

    fn is_4_3(&self) -> bool {
        self.referee == Referee::V4_3
    }

    /// A channel of this queue.
    fn channel(&mut self, at: usize) -> String {
        format!("{}{}", self.chance.of(&["a", "b"]), at + 1)
    }

    fn declare(&mut self, at: usize) -> String {
        let name = QUEUES[at];
        let from = self.chance.of(&["a7", "b7"]);
        if self.chance.percent(8) {
            return format!("{from} queue.declare passive queue={name}");
        }
        let mut line = format!("{from} queue.declare queue={name}");
        if at < FIRST_QUORUM {
            line += &self.chance.maybe(50, "durable");
            line += &self.chance.maybe(8, "exclusive");
            line += &self.chance.maybe(8, "auto_delete");
            line += &self.chance.maybe(15, "x-queue-mode=lazy");
            line += &self.chance.maybe(12, "x-max-priority=4");
            let overflow = self.chance.of(&["reject-publish", "reject-publish-dlx", "drop-head"]);
            line += &self.chance.maybe(30, &format!("x-overflow={overflow}"));
        } else {
            line += " durable x-queue-type=quorum";
            let limit = self.chance.below(3);
            line += &self.chance.maybe(50, &format!("x-delivery-limit={limit}"));
        }
        line += &self.chance.maybe(10, "x-single-active-consumer=true");
        let length = self.chance.below(4);
        line += &self.chance.maybe(35, &format!("x-max-length={length}"));
        if at < FIRST_QUORUM {
            let bytes = 2 + self.chance.below(16);
            line += &self.chance.maybe(15, &format!("x-max-length-bytes={bytes}"));
        }
        if self.chance.percent(45) {
            line += &self.dead_letters(at);
        }
        if self.is_timed {
            line += &self.chance.maybe(30, "x-message-ttl=50");
            line += &self.chance.maybe(6, "x-expires=50");
        }
        line += &self.chance.maybe(6, "x-message-ttl=600000");
        let wrong = self.chance.of(&[
            "x-max-length=-1",
            "x-message-ttl=abc",
            "x-expires=0",
            "x-overflow=bogus",
            "x-max-age=1D",
            "x-unknown=1",
        ]);
        line + &self.chance.maybe(4, wrong)
    }

    fn dead_letters(&mut self, at: usize) -> String {
        let is_apart = self.is_4_3() && at >= FIRST_QUORUM;
        let (exchanges, letters_to, keyed): (&[&str], _, _) = if is_apart {
            (&["", "", "nowhere"], CLASSIC_LETTERS_TO, 100)
        } else {
            (&["", "", "e2", "e3", "nowhere"], LETTERS_TO[at], 75)
        };
        let to = self.chance.of(exchanges);
        let key = if to.is_empty() { letters_to } else { self.chance.of(&KEYS) };
        let key = self.chance.maybe(keyed, &format!("x-dead-letter-routing-key={key}"));
        format!(" x-dead-letter-exchange={to}{key}")
    }

    fn exchange(&mut self) -> String {
        let at = self.chance.below(EXCHANGES.len());
        let (name, from) = (EXCHANGES[at], self.chance.of(&["a7", "b7"]));
        if self.chance.percent(25) {
            let condition = self.chance.maybe(40, "if_unused");
            return format!("{from} exchange.delete exchange={name}{condition}");
        }
        let kind = if self.chance.percent(10) { self.chance.of(&KINDS) } else { KINDS[at] };
        let mut line = format!("{from} exchange.declare exchange={name} kind={kind}");
        line += &self.chance.maybe(20, "durable");
        line += &self.chance.maybe(10, "auto_delete");
        line += &self.chance.maybe(5, "internal");
        let other = self.chance.of(&["e3", "e2", "amq.fanout", "nowhere"]);
        line + &self.chance.maybe(25, &format!("alternate-exchange={other}"))
    }

    fn source(&mut self) -> &'static str {
        if self.chance.percent(50) { self.chance.of(&EXCHANGES) } else { self.chance.of(&BUILT_IN) }
    }

    /// The key and the arguments of a binding.
    fn terms(&mut self) -> String {
        let key = self.chance.of(&PATTERNS);
        let headers = self.chance.of(&[
            "x-match=all h=1",
            "x-match=any h=1 g=x",
            "h=2",
            "x-match=all",
            "x-match=all-with-x x-h=1",
        ]);
        format!("routing_key={key}{}", self.chance.maybe(25, headers))
    }

    fn bind(&mut self, at: usize) -> String {
        let verb = if self.chance.percent(20) { "unbind" } else { "bind" };
        let (source, terms) = (self.source(), self.terms());
        format!("b7 queue.{verb} queue={} exchange={source} {terms}", QUEUES[at])
    }

    fn bind_exchanges(&mut self) -> String {
        let verb = if self.chance.percent(25) { "unbind" } else { "bind" };
        let (source, destination, terms) = (self.source(), self.source(), self.terms());
        format!("b7 exchange.{verb} destination={destination} source={source} {terms}")
    }

    fn publish(&mut self, at: usize) -> String {
        self.published += 1;
        let mut from = self.chance.of(&["a9", "a9", "b9", "a8", "b7"]);
        // A queue may expire before the commit.
        if from == "a8" && self.is_4_3() && self.is_timed {
            from = "a9";
        }
        self.is_uncommitted |= from == "a8";
        let mut line = if self.chance.percent(60) {
            format!("{from} publish routing_key={}", QUEUES[at])
        } else {
            let (exchange, key) = (self.source(), self.chance.of(&KEYS));
            format!("{from} publish exchange={exchange} routing_key={key}")
        };
        line += &self.chance.maybe(30, "mandatory");
        line += &self.chance.maybe(30, "delivery_mode=2");
        let priority = self.chance.below(8);
        line += &self.chance.maybe(25, &format!("priority={priority}"));
        line += &self.chance.maybe(8, "expiration=600000");
        if self.is_timed {
            line += &self.chance.maybe(25, "expiration=50");
        }
        let header = self.chance.of(&["h=1", "h=1 g=x", "h=2", "x-h=1", "g=x"]);
        line += &self.chance.maybe(25, header);
        line += &self.chance.maybe(6, "CC=[q2,q4]");
        line += &self.chance.maybe(4, "BCC=[q3]");
        line += &self.chance.maybe(1, "CC=q2");
        line += &self.chance.maybe(1, "user_id=nobody");
        let tail = self.chance.of(&["", "", "-longer"]);
        let _ = write!(line, " body={}{tail}", self.published);
        line
    }

    fn get(&mut self, at: usize) -> String {
        // A channel without consumers may ask any queue.
        let from = self.chance.of(&["a7", "b7", "a8"]);
        QUEUES[at].clone_into(&mut self.asked);
        format!("{from} basic.get queue={}{}", QUEUES[at], self.chance.maybe(30, "no_ack"))
    }

    /// An answer to one of the deliveries, or to several of one queue.
    fn settle(&mut self) -> Option<String> {
        if self.held.is_empty() {
            return None;
        }
        let held = self.held.swap_remove(self.chance.below(self.held.len()));
        let Held { channel, tag, queue } = &held;
        let is_up_to = |other: &Held| other.channel == *channel && other.tag <= *tag;
        let of_one_queue = self.held.iter().filter(|other| is_up_to(other));
        let may_be_multiple = of_one_queue.clone().all(|other| other.queue == *queue);
        let mut multiple = "";
        if may_be_multiple && self.chance.percent(30) {
            self.held.retain(|other| !is_up_to(other));
            multiple = " multiple";
        }
        let requeue = self.chance.maybe(50, "requeue");
        Some(match self.chance.below(4) {
            0 => format!("{channel} basic.nack delivery_tag={tag}{multiple}{requeue}"),
            1 if multiple.is_empty() => {
                format!("{channel} basic.reject delivery_tag={tag}{requeue}")
            }
            _ => format!("{channel} basic.ack delivery_tag={tag}{multiple}"),
        })
    }

    fn consume(&mut self, at: usize) -> String {
        let (queue, channel, number) = (QUEUES[at], self.channel(at), self.chance.below(3));
        let mut line =
            format!("{channel} basic.consume queue={queue} consumer_tag={queue}.{number}");
        line += &self.chance.maybe(25, "no_ack");
        line += &self.chance.maybe(6, "exclusive");
        let priority = self.chance.below(3);
        line + &self.chance.maybe(25, &format!("x-priority={priority}"))
    }

    fn cancel(&mut self, at: usize) -> String {
        let (queue, channel, number) = (QUEUES[at], self.channel(at), self.chance.below(3));
        format!("{channel} basic.cancel consumer_tag={queue}.{number}")
    }

    fn qos(&mut self, at: usize) -> String {
        let (channel, count) = (self.channel(at), self.chance.below(4));
        format!("{channel} basic.qos prefetch_count={count}{}", self.chance.maybe(20, "global"))
    }

    fn transaction(&mut self) -> String {
        let verb = self.chance.of(&["select", "commit", "commit", "rollback"]);
        self.is_uncommitted &= verb == "select";
        format!("a8 tx.{verb}")
    }
}
