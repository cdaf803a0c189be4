//! The two brokers of a comparison, each with nothing in it: `mq serve --compat 3.10` and RabbitMQ 3.10.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};

use super::speaker::{ANSWER_MAX, PROMPT_MAX, Place};
use crate::broker::port_of;
use crate::rabbitmq::RabbitMq;
use crate::serve::MqServe;

/// The vhost of the comparison on RabbitMQ: as long as `/`, so that texts are cut at the same letter.
const VHOST: &str = "v";

/// A broker of ours that answers as RabbitMQ 3.10 does.
#[derive(Debug)]
pub(crate) struct Ours {
    pub(crate) place: Place,
    _server: MqServe,
}

impl Ours {
    pub(crate) fn start() -> Self {
        let server = MqServe::start_with(&["--compat", "3.10"]);
        let place = Place {
            amqp_port: port_of(server.url()),
            http_port: port_of(server.management_url()),
            vhost: "/".to_owned(),
            answers_within: PROMPT_MAX,
        };
        Self { place, _server: server }
    }
}

/// An empty vhost on the RabbitMQ of this test binary, or `None` where RabbitMQ cannot be had.
pub(crate) fn rabbitmq() -> Option<Place> {
    let node = RabbitMq::shared()?;
    let place = Place {
        amqp_port: port_of(&node.url()),
        http_port: port_of(&node.management_url()),
        vhost: VHOST.to_owned(),
        answers_within: ANSWER_MAX,
    };
    let all = r#"{"configure": ".*", "write": ".*", "read": ".*"}"#;
    http(place.http_port, "DELETE", &format!("vhosts/{VHOST}"), "");
    http(place.http_port, "PUT", &format!("vhosts/{VHOST}"), "{}");
    http(place.http_port, "PUT", &format!("permissions/{VHOST}/guest"), all);
    Some(place)
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
