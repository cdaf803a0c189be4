//! The broker and the clients that the runs were recorded with.

use std::process::{Command, Stdio};

use lapin::options::{
    BasicConsumeOptions, BasicPublishOptions, BasicQosOptions, ConfirmSelectOptions,
    ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions,
};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{BasicProperties, Channel, Connection, ConnectionProperties, Consumer, ExchangeKind};
use tempfile::TempDir;

use super::sample::{EndedRun, RecordedRun};
use crate::serve::MqServe;

/// The file with the broker's process id, as it is in the recording.
const PID_FILE: &str = "/var/lib/rabbitmq/rabbit@localhost.pid";

/// What the broker of 3.10's recording had from the start.
const BEFORE_3_10: [&str; 9] = [
    "add_vhost vh1",
    "add_vhost vh2",
    "set_permissions -p vh1 guest .* .* .*",
    "set_permissions -p vh2 guest .* .* .*",
    "add_user alt3 x",
    "add_user alt-user-without-tags x",
    "set_topic_permissions guest amq.topic .* .*",
    "set_vhost_limits {}",
    "set_cluster_name rabbit@vm",
];

/// A broker, links to `mq`, and clients where the recording had them.
pub(super) struct Scene {
    broker: MqServe,
    links: TempDir,
    clients: tokio::runtime::Runtime,
    connection: Option<(Connection, Vec<Consumer>)>,
    replaced: Vec<(String, String)>,
    is_3_10: bool,
}

impl Scene {
    pub(super) fn start(arguments: &[&str]) -> Self {
        let node = ["--node-name", "rabbit@localhost"];
        let broker = MqServe::start_with(&[&node, arguments].concat());
        let links = tempfile::tempdir().unwrap();
        let installed = Command::new(env!("CARGO_BIN_EXE_mq"))
            .arg("install-links")
            .arg(links.path())
            .output()
            .unwrap();
        assert!(installed.status.success(), "{installed:?}");
        let clients = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let http =
            broker.management_url().trim_end_matches('/').rsplit(':').next().unwrap().to_owned();
        let replaced = vec![
            (broker.address().port().to_string(), "5672".to_owned()),
            (http, "15672".to_owned()),
        ];
        Self { broker, links, clients, connection: None, replaced, is_3_10: false }
    }

    /// A broker as RabbitMQ 3.10, with what the one of the recording had.
    pub(super) fn start_3_10() -> Self {
        let mut scene = Self::start(&["--compat", "3.10"]);
        scene.is_3_10 = true;
        for words in BEFORE_3_10 {
            scene.said("rabbitmqctl", &words.split(' ').collect::<Vec<_>>());
        }
        scene.clients.block_on(first_of_3_10(scene.broker.url()));
        scene
    }

    /// A command line of the recording, for this broker.
    fn here(&self, word: &str) -> String {
        let mut word = word.to_owned();
        if word == "5672" {
            word.clone_from(&self.replaced[0].0);
        }
        let folder = self.links.path().display();
        for (here, there) in self.replaced.iter().filter(|(_, there)| there.starts_with('<')) {
            word = word.replace(there, here);
        }
        if word == PID_FILE {
            word = format!("{folder}/pid");
            std::fs::write(&word, format!("{}\n", self.broker.process_id())).unwrap();
        }
        word.replace("/tmp/defs", &format!("{folder}/defs"))
    }

    /// A text of this broker, as the recorded one would have said it.
    fn there(&self, text: &[u8]) -> String {
        let mut text = String::from_utf8(text.to_vec()).unwrap();
        for (here, there) in &self.replaced {
            text = text.replace(here, there);
        }
        let folder = self.links.path().display();
        let text = text.replace(&format!("{folder}/pid"), PID_FILE);
        let text = text.replace(&format!("'{}'", self.broker.process_id()), "'10734'");
        let text =
            text.replace(&format!("pid is {}\n", self.broker.process_id()), "pid is 10734\n");
        text.replace(&self.links.path().display().to_string(), "/tmp")
    }

    pub(super) fn run(&self, run: &RecordedRun) -> EndedRun {
        let mut command = Command::new(self.links.path().join(run.program()));
        let words: Vec<String> = run.arguments().iter().map(|word| self.here(word)).collect();
        command.args(words).env_clear().env("MQ_HTTP_URL", self.broker.management_url());
        command.env("RABBITMQ_NODENAME", "rabbit@localhost");
        if self.is_3_10 {
            command.env("MQ_COMPAT", "3.10");
        }
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        // A command that needs no words does not read them.
        let _ = std::io::Write::write_all(&mut child.stdin.take().unwrap(), run.stdin.as_bytes());
        let output = child.wait_with_output().unwrap();
        EndedRun {
            stdout: self.there(&output.stdout),
            stderr: self.there(&output.stderr),
            code: output.status.code().unwrap(),
        }
    }

    /// Does what was done before this run when it was recorded.
    pub(super) fn prepare(&mut self, run: &RecordedRun) {
        if self.is_3_10 {
            if run.command == "rabbitmqctl list_bindings" {
                self.clients.block_on(aliveness_of_3_10(self.broker.url()));
            }
            if run.command == "rabbitmqctl list_queues name messages arguments policy type" {
                self.connection = Some(self.clients.block_on(queues_of_3_10(self.broker.url())));
            }
            return;
        }
        if self.connection.is_none()
            && run.command == "rabbitmqctl list_queues name messages arguments policy type"
        {
            self.connection = Some(self.clients.block_on(queues_and_consumers(self.broker.url())));
        }
        if run.command.contains("close_connection <") {
            let pid = self.said("rabbitmqctl", &["-s", "list_connections", "pid"]);
            let recorded = run.arguments()[1].clone();
            self.replaced.push((pid.trim().to_owned(), recorded));
        }
        if run.command.starts_with("rabbitmqctl set_policy pl ") {
            // RabbitMQ 4 refuses it.
            self.said("rabbitmqctl", &["clear_policy", "ph"]);
        }
        if run.command == "rabbitmqctl list_channel_interceptors" {
            self.connection = None;
            self.clients.block_on(later_queues(self.broker.url()));
            self.said(
                "rabbitmqctl",
                &["set_policy", "pq", "^q", "{\"max-length\":5}", "--apply-to", "queues"],
            );
        }
    }

    /// What a program prints that must succeed.
    fn said(&self, program: &str, words: &[&str]) -> String {
        let mut command = Command::new(self.links.path().join(program));
        command.args(words).env("MQ_HTTP_URL", self.broker.management_url());
        let output = command.output().unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    }
}

fn table(fields: &[(&str, AMQPValue)]) -> FieldTable {
    let mut table = FieldTable::default();
    for (name, value) in fields {
        table.insert((*name).into(), value.clone());
    }
    table
}

fn text(text: &str) -> AMQPValue {
    AMQPValue::LongString(text.into())
}

async fn open(url: &str) -> (Connection, Channel) {
    let connection = Connection::connect(url, ConnectionProperties::default()).await.unwrap();
    let channel = connection.create_channel().await.unwrap();
    channel.confirm_select(ConfirmSelectOptions::default()).await.unwrap();
    (connection, channel)
}

async fn declare(channel: &Channel, name: &str, kind: &str, more: &[(&str, AMQPValue)]) {
    let arguments = table(&[more, &[("x-queue-type", text(kind))]].concat());
    let options = QueueDeclareOptions { durable: true, ..Default::default() };
    channel.queue_declare(name.into(), options, arguments).await.unwrap();
}

async fn publish(channel: &Channel, queue: &str) {
    let options = BasicPublishOptions::default();
    let properties = BasicProperties::default().with_delivery_mode(2);
    let sent =
        channel.basic_publish("".into(), queue.into(), options, b"x", properties).await.unwrap();
    sent.await.unwrap();
}

/// The queues of the recording's second part, with a consumer of two of them.
async fn queues_and_consumers(url: &str) -> (Connection, Vec<Consumer>) {
    let (connection, channel) = open(url).await;
    let limits = [("x-dead-letter-exchange", text("d")), ("x-max-length", AMQPValue::LongInt(5))];
    declare(&channel, "qa", "classic", &limits).await;
    declare(&channel, "st", "stream", &[]).await;
    declare(&channel, "qq", "quorum", &[]).await;
    declare(&channel, "q b,\"c\"", "classic", &[]).await;
    topic(&channel, "x1").await;
    let arguments = table(&[("k", AMQPValue::LongInt(1))]);
    let options = QueueBindOptions::default();
    channel.queue_bind("qa".into(), "x1".into(), "a.#".into(), options, arguments).await.unwrap();
    for queue in ["qa", "qa", "st", "qq"] {
        publish(&channel, queue).await;
    }
    channel.basic_qos(1, BasicQosOptions::default()).await.unwrap();
    let priority = table(&[("x-priority", AMQPValue::LongInt(2))]);
    // A consumer that is dropped is cancelled.
    let mut consumers = Vec::new();
    for (queue, tag, arguments) in [("qa", "t1", priority), ("qq", "t2", FieldTable::default())] {
        let options = BasicConsumeOptions::default();
        let consumer = channel.basic_consume(queue.into(), tag.into(), options, arguments).await;
        consumers.push(consumer.unwrap());
    }
    (connection, consumers)
}

/// The queues of the recording's last parts.
async fn later_queues(url: &str) {
    let (connection, channel) = open(url).await;
    for queue in ["a", "b", "q1"] {
        declare(&channel, queue, "classic", &[]).await;
    }
    let transient = QueueDeclareOptions::default();
    for queue in ["tq", "tamqp"] {
        channel.queue_declare(queue.into(), transient, FieldTable::default()).await.unwrap();
    }
    publish(&channel, "qq").await;
    connection.close(200, "done".into()).await.unwrap();
}

async fn topic(channel: &Channel, name: &str) {
    let options = ExchangeDeclareOptions { durable: true, ..Default::default() };
    let declared =
        channel.exchange_declare(name.into(), ExchangeKind::Topic, options, FieldTable::default());
    declared.await.unwrap();
}

async fn first_of_3_10(url: &str) {
    let (connection, channel) = open(url).await;
    topic(&channel, "exchangeA").await;
    topic(&channel, "exchangeB").await;
    connection.close(200, "done".into()).await.unwrap();
}

async fn aliveness_of_3_10(url: &str) {
    let (connection, channel) = open(url).await;
    let durable = QueueDeclareOptions { durable: true, ..Default::default() };
    let name = "aliveness-test";
    channel.queue_declare(name.into(), durable, FieldTable::default()).await.unwrap();
    connection.close(200, "done".into()).await.unwrap();
}

/// The queues of the second part of 3.10's recording, and a connection without a channel.
async fn queues_of_3_10(url: &str) -> (Connection, Vec<Consumer>) {
    let (connection, channel) = open(url).await;
    let durable = QueueDeclareOptions { durable: true, ..Default::default() };
    let limits = [("x-dead-letter-exchange", text("d")), ("x-max-length", AMQPValue::LongInt(5))];
    channel.queue_declare("qa".into(), durable, table(&limits)).await.unwrap();
    let name = "q b,\"c\"";
    channel.queue_declare(name.into(), durable, FieldTable::default()).await.unwrap();
    publish(&channel, "qa").await;
    channel.close(200, "done".into()).await.unwrap();
    (connection, Vec::new())
}
