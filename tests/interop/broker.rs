//! The broker a scenario runs on: ours or RabbitMQ, with nothing in it and nobody else on it.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::rabbitmq::{RabbitMq, Release};
use crate::serve::MqServe;

/// Where a scenario connects to.
#[derive(Debug)]
pub(crate) struct Broker {
    host: Host,
    vhost: String,
    port: u16,
}

#[derive(Debug)]
enum Host {
    /// A process of the scenario's own.
    Mq(MqServe),
    /// A vhost of the scenario's own on the node that all share.
    RabbitMq(&'static RabbitMq),
}

/// A fresh `mq serve`.
#[expect(clippy::unnecessary_wraps, reason = "as the others, which may not be there")]
pub(crate) fn on_mq() -> Option<Broker> {
    Some(Broker::mq())
}

/// An empty vhost on RabbitMQ 3.10, or `None` where it cannot be had.
pub(crate) fn on_rabbitmq() -> Option<Broker> {
    Broker::rabbitmq()
}

/// The same on RabbitMQ 4.3.
pub(crate) fn on_rabbitmq_4_3() -> Option<Broker> {
    Broker::on(Release::V4_3)
}

/// The same on a RabbitMQ 4.3 that refuses transient queues which are not exclusive.
pub(crate) fn on_strict_rabbitmq_4_3() -> Option<Broker> {
    Broker::on(Release::V4_3Strict)
}

impl Broker {
    /// A fresh `mq serve`.
    pub(crate) fn mq() -> Self {
        let server = MqServe::start();
        let port = port_of(server.url());
        Self { host: Host::Mq(server), vhost: "/".to_owned(), port }
    }

    /// An empty vhost on RabbitMQ 3.10, or `None` where RabbitMQ cannot be had.
    pub(crate) fn rabbitmq() -> Option<Self> {
        Self::on(Release::V3_10)
    }

    fn on(release: Release) -> Option<Self> {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let node = RabbitMq::shared(release)?;
        let vhost = format!("scenario-{}", COUNT.fetch_add(1, Ordering::Relaxed));
        let broker = Self { host: Host::RabbitMq(node), port: port_of(&node.url()), vhost };
        broker.administer("PUT", &format!("vhosts/{}", broker.vhost), "{}");
        broker.administer(
            "PUT",
            &format!("permissions/{}/guest", broker.vhost),
            r#"{"configure": ".*", "write": ".*", "read": ".*"}"#,
        );
        Some(broker)
    }

    /// Whether it is ours.
    pub(crate) fn is_mq(&self) -> bool {
        matches!(self.host, Host::Mq(_))
    }

    /// The loopback port that speaks AMQP.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// The vhost that belongs to this scenario.
    pub(crate) fn vhost(&self) -> &str {
        &self.vhost
    }

    /// The vhost as part of a URL.
    pub(crate) fn url(&self) -> String {
        let vhost = self.vhost.replace('/', "%2F");
        format!("amqp://guest:guest@127.0.0.1:{}/{vhost}", self.port)
    }

    /// The base of the management API.
    pub(crate) fn management_url(&self) -> String {
        match &self.host {
            Host::Mq(server) => server.management_url().to_owned(),
            Host::RabbitMq(node) => node.management_url(),
        }
    }

    /// Asks RabbitMQ's management API for a change.
    fn administer(&self, method: &str, path: &str, body: &str) {
        let Host::RabbitMq(node) = &self.host else { return };
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port_of(&node.management_url())))
            .expect("the management API listens");
        let request = format!(
            "{method} /api/{path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Basic Z3Vlc3Q6Z3Vlc3Q=\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
            body.len()
        );
        stream.write_all(request.as_bytes()).expect("the management API reads");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("the management API answers");
        assert!(answer.starts_with("HTTP/1.1 20"), "{method} {path}: {answer}");
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        // After a failed test the vhost stays for whoever looks; the node goes with this process.
        if matches!(self.host, Host::RabbitMq(_)) && !std::thread::panicking() {
            self.administer("DELETE", &format!("vhosts/{}", self.vhost), "");
        }
    }
}

/// The port of `scheme://user@host:port/`.
pub(crate) fn port_of(url: &str) -> u16 {
    let authority = url.trim_end_matches('/').rsplit('/').next().expect("a URL has an authority");
    let (_, port) = authority.rsplit_once(':').unwrap_or_else(|| panic!("no port in '{url}'"));
    port.parse().unwrap_or_else(|_| panic!("no port in '{url}'"))
}
