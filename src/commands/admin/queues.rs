//! Quorum queues and streams: commands about their replicas, of which there is one on a single node.

use serde_json::json;

use super::given::Given;
use super::row::{
    AdminRow, AdminWork, Operand, Program, QUEUES, QUEUES_DIAGNOSTICS, STREAMS, Switch,
};
use super::show;
use crate::commands::{Answer, CommandError, Context};
use crate::engine::Call;

const QUEUE: Operand = Operand::one("queue", "The queue's name");

pub(super) const ROWS: &[AdminRow] = &[
    AdminRow {
        name: "quorum-status",
        programs: QUEUES_DIAGNOSTICS,
        about: "Print the replicas of a quorum queue",
        operands: &[QUEUE],
        examples: &["mq declare-queue paid --queue-type quorum && mq quorum-status paid"],
        work: AdminWork::Run(|given, cx| Box::pin(quorum_status(given, cx))),
        ..AdminRow::PLAIN
    },
    AdminRow {
        name: "peek",
        programs: QUEUES,
        about: "Print the message at a position of a queue and leave it there, as redelivered",
        operands: &[QUEUE, Operand::one("position", "The position; 1 is the first message")],
        examples: &["mq publish --queue bills one two && mq peek bills 2"],
        work: AdminWork::Run(|given, cx| Box::pin(peek(given, cx))),
        ..AdminRow::PLAIN
    },
    AdminRow {
        name: "stream-status",
        programs: &[Program::Streams, Program::Diagnostics, Program::Queues],
        about: "Print the replicas of a stream",
        operands: &[QUEUE],
        examples: &["mq declare-queue log --queue-type stream && mq stream-status log"],
        work: AdminWork::Run(|given, cx| Box::pin(stream_status(given, cx))),
        ..AdminRow::PLAIN
    },
    AdminRow {
        name: "rebalance",
        programs: QUEUES,
        about: "Spread the leaders of queues over the nodes",
        operands: &[Operand::one("kind", "The type of queues: all, quorum or stream")],
        examples: &["mq rebalance all"],
        work: AdminWork::Run(|given, cx| Box::pin(rebalance(given, cx))),
        ..AdminRow::PLAIN
    },
    AdminRow {
        name: "reclaim-quorum-memory",
        programs: QUEUES_DIAGNOSTICS,
        about: "Release memory of a quorum queue",
        operands: &[QUEUE],
        examples: &["mq reclaim-quorum-memory paid"],
        work: AdminWork::Nothing("a quorum queue holds no memory that it does not need"),
        ..AdminRow::PLAIN
    },
    AdminRow {
        name: "force-checkpoint",
        programs: QUEUES,
        about: "Write checkpoints of quorum queues",
        switches: &[
            Switch::text("vhost-pattern", "PATTERN", "In virtual hosts with such names"),
            Switch::text("queue-pattern", "PATTERN", "Of queues with such names"),
            Switch::flag("errors-only", "Print errors only"),
        ],
        examples: &["mq force-checkpoint"],
        work: AdminWork::Nothing("quorum queues need no checkpoints: each message is on disk once"),
        ..AdminRow::PLAIN
    },
    AdminRow {
        name: "check-if-new-quorum-queue-replicas-have-finished-initial-sync",
        programs: QUEUES_DIAGNOSTICS,
        about: "Check that no replica of a quorum queue is behind",
        examples: &["mq check-if-new-quorum-queue-replicas-have-finished-initial-sync"],
        work: AdminWork::Nothing("no replica is behind: there is one of each queue"),
        ..AdminRow::PLAIN
    },
    AdminRow {
        name: "coordinator-status",
        programs: &[Program::Streams, Program::Diagnostics],
        about: "Print the state of the coordinator of streams",
        examples: &["mq coordinator-status"],
        work: AdminWork::Nothing("streams have no coordinator here: one node has all of them"),
        ..AdminRow::PLAIN
    },
    AdminRow {
        name: "restart-stream",
        programs: STREAMS,
        about: "Elect the leader of a stream again",
        operands: &[QUEUE],
        switches: &[Switch::text("preferred-leader-node", "NODE", "Prefer this node")],
        examples: &["mq restart-stream log"],
        work: AdminWork::Nothing("the leader of a stream is the only node"),
        ..AdminRow::PLAIN
    },
];

async fn quorum_status(given: &Given, cx: &mut Context) -> Result<Answer, CommandError> {
    let doing = given.words("show the status of quorum queue '{queue}'");
    let path = given.path("queues/quorum/{vhost}/{queue}/status");
    let replicas = cx.engine.inspect().rows(&doing, &path).await?;
    let columns = [
        "Node Name",
        "Raft State",
        "Membership",
        "Last Log Index",
        "Last Written",
        "Last Applied",
        "Commit Index",
        "Snapshot Index",
        "Term",
        "Machine Version",
    ];
    show::rows(&columns, &replicas, cx)
}

/// Messages that a look at one of them may take out and put back.
const POSITION_MAX: u64 = 10_000;

async fn peek(given: &Given, cx: &mut Context) -> Result<Answer, CommandError> {
    let text = given.text("position");
    let position = text.parse().ok().filter(|position| (1..=POSITION_MAX).contains(position));
    let position: u64 = position.ok_or_else(|| {
        CommandError::usage(format!("'{text}' is not a position from 1 to {POSITION_MAX}"))
    })?;
    let doing = given.words("look into queue '{queue}'");
    let body = json!({"count": position, "ackmode": "ack_requeue_true", "encoding": "auto"});
    let call = Call::post(given.path("queues/{vhost}/{queue}/get"), body);
    let messages = cx.engine.inspect().send(&doing, &call).await?;
    let at = usize::try_from(position - 1).ok().and_then(|place| messages.get(place));
    match at {
        Some(message) => show::object(message, cx),
        None => Err(show::failed(given.words("queue '{queue}' has no message at this position"))),
    }
}

async fn stream_status(given: &Given, cx: &mut Context) -> Result<Answer, CommandError> {
    let queue = cx.engine.inspect().queue(given.text("queue")).await?;
    if queue["type"] != "stream" {
        return Err(CommandError::usage(given.words("queue '{queue}' is not a stream")));
    }
    let status = json!({
        "name": queue["name"],
        "state": queue["state"],
        "node": queue["node"],
        "leader": queue["leader"],
        "members": queue["members"],
        "messages": queue["messages"],
    });
    show::object(&status, cx)
}

async fn rebalance(given: &Given, cx: &mut Context) -> Result<Answer, CommandError> {
    let kind = given.text("kind");
    if !["all", "quorum", "stream"].contains(&kind) {
        return Err(CommandError::usage(format!("'{kind}' is not one of all, quorum, stream")));
    }
    cx.engine
        .inspect()
        .send("rebalance queues", &Call::post("rebalance/queues", json!({})))
        .await?;
    show::done("the broker spreads the leaders of queues over its nodes", cx)
}
