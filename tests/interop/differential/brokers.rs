//! The brokers of a comparison, each with nothing in it: `mq serve` in each of its modes, and RabbitMQ.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};

use super::speaker::{ANSWER_MAX, PROMPT_MAX, Place};
use crate::broker::port_of;
use crate::rabbitmq::{RabbitMq, Release};
use crate::serve::MqServe;

/// The vhost of the comparison on RabbitMQ: as long as `/`, so that texts are cut at the same letter.
const VHOST: &str = "v";

/// A RabbitMQ that ours is compared with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Referee {
    V3_10,
    V4_3,
}

impl Referee {
    /// The end of the names of its records and of what is known to differ from it.
    pub(crate) fn suffix(self) -> &'static str {
        match self {
            Self::V3_10 => "3.10",
            Self::V4_3 => "4.3",
        }
    }

    /// An empty vhost on the RabbitMQ of this test binary, or `None` where RabbitMQ cannot be had.
    pub(crate) fn place(self) -> Option<Place> {
        let node = RabbitMq::shared(match self {
            Self::V3_10 => Release::V3_10,
            Self::V4_3 => Release::V4_3Strict,
        })?;
        let place = Place {
            amqp_port: port_of(&node.url()),
            http_port: port_of(&node.management_url()),
            vhost: VHOST.to_owned(),
            answers_within: ANSWER_MAX,
            sorts_headers: self.sorts_headers(),
        };
        let all = r#"{"configure": ".*", "write": ".*", "read": ".*"}"#;
        http(place.http_port, "DELETE", &format!("vhosts/{VHOST}"), "");
        http(place.http_port, "PUT", &format!("vhosts/{VHOST}"), "{}");
        http(place.http_port, "PUT", &format!("permissions/{VHOST}/guest"), all);
        Some(place)
    }

    /// RabbitMQ 4 delivers headers by the order of their names, which says nothing: neither side's order is compared.
    fn sorts_headers(self) -> bool {
        self == Self::V4_3
    }
}

/// How ours is asked to answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    Compat(Referee),
    /// Without `--compat`: as 4.3 except for what 4.3 refuses.
    Default,
}

impl Mode {
    pub(crate) fn referee(self) -> Referee {
        match self {
            Self::Compat(referee) => referee,
            Self::Default => Referee::V4_3,
        }
    }

    /// What it is called in the lists of known differences.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Compat(Referee::V3_10) => "--compat 3.10",
            Self::Compat(Referee::V4_3) => "--compat 4.3",
            Self::Default => "default",
        }
    }
}

/// A broker of ours.
#[derive(Debug)]
pub(crate) struct Ours {
    pub(crate) place: Place,
    _server: MqServe,
}

impl Ours {
    pub(crate) fn start(mode: Mode) -> Self {
        let server = MqServe::start_with(match mode {
            Mode::Compat(Referee::V3_10) => &["--compat", "3.10"],
            Mode::Compat(Referee::V4_3) => &["--compat", "4.3"],
            Mode::Default => &[],
        });
        let place = Place {
            amqp_port: port_of(server.url()),
            http_port: port_of(server.management_url()),
            vhost: "/".to_owned(),
            answers_within: PROMPT_MAX,
            sorts_headers: mode.referee().sorts_headers(),
        };
        Self { place, _server: server }
    }
}

/// Asks a management API for a change and answers with the status.
pub(crate) fn http(port: u16, method: &str, path: &str, body: &str) -> String {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).expect("the API listens");
    let request = format!(
        "{method} /api/{path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Basic Z3Vlc3Q6Z3Vlc3Q=\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).expect("the API reads");
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).expect("the API answers");
    let answer = String::from_utf8_lossy(&answer);
    answer.split_whitespace().nth(1).unwrap_or_default().to_owned()
}
