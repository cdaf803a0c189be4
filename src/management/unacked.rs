//! `GET /queues/:vhost/:queue/unacked`: the unacknowledged messages of a queue. RabbitMQ has no such list.

use std::future::poll_fn;
use std::time::Duration;

use serde_json::{Value, json};

use super::consumers::{KnownConnections, channel_details, known_connections};
use super::listing::Selection;
use super::queues;
use super::refusal::Refusal;
use super::view::{Names, View};
use crate::broker::message::Message;
use crate::broker::unacked::{QueueKey, UnackedDelivery, UnackedSurvey};

/// The time that the connections of a queue have to answer.
const ANSWER_MAX: Duration = Duration::from_secs(5);
/// Rows of one answer.
const ROWS_MAX: usize = 100_000;

/// Asks the connections for the deliveries of the queue in the path.
pub(super) fn ask(view: &View<'_>, names: &Names) -> Result<UnackedSurvey, Refusal> {
    let vhost = view.vhost(names.vhost()?)?;
    let queue = queues::find(&vhost, names)?;
    Ok(view.broker.registry.survey_unacked(vhost.name(), QueueKey::of(&queue)))
}

/// Waits for the answers.
pub(super) async fn answers(survey: UnackedSurvey) -> Result<Vec<UnackedDelivery>, Refusal> {
    let answered = tokio::time::timeout(ANSWER_MAX, poll_fn(|cx| survey.poll(cx))).await;
    let reason = "a connection with deliveries of the queue did not answer in time";
    answered.map_err(|_| Refusal::Unavailable { reason })
}

/// The rows that are wanted, the oldest delivery first.
pub(super) fn list(
    view: &View<'_>,
    names: &Names,
    selection: &Selection,
    deliveries: Vec<UnackedDelivery>,
) -> Result<Value, Refusal> {
    let count = deliveries.len();
    if count > ROWS_MAX && !selection.is_page() {
        return Err(Refusal::bad_request(format!(
            "the queue has {count} unacknowledged messages, more than the {ROWS_MAX} of one answer; \
             ask for a page"
        )));
    }
    let known = known_connections(view);
    // They have no names to filter by.
    selection.of_things(deliveries, |_| "", |delivery, _| row(view, names, &known, delivery))
}

fn row(
    view: &View<'_>,
    names: &Names,
    known: &KnownConnections,
    delivery: &UnackedDelivery,
) -> Value {
    let state = match delivery.sent {
        None => "waiting",
        Some(sent) if sent.is_uncommitted => "uncommitted",
        Some(_) => "delivered",
    };
    let is_get = delivery.consumer_tag.is_none();
    let message = delivery.message.as_ref();
    let to = message.map(Message::exchange_and_key);
    json!({
        "delivery_tag": delivery.sent.map(|sent| sent.tag),
        "state": state,
        "age_ms": delivery.sent.map(|sent| view.uptime_ms.saturating_sub(sent.at)),
        "delivered_by": if is_get { "basic.get" } else { "basic.deliver" },
        "consumer_tag": delivery.consumer_tag.as_deref(),
        "channel_details": channel_details(view, known, &delivery.connection, delivery.channel),
        "queue": {"name": names.0.get("queue"), "vhost": names.0.get("vhost")},
        "redelivered": delivery.redelivered,
        "payload_bytes": delivery.body_len,
        // A message that only the disk has is not read for this.
        "properties_bytes": message.map(|message| message.properties().len()),
        "exchange": to.map(|(exchange, _)| exchange),
        "routing_key": to.map(|(_, key)| key),
    })
}
