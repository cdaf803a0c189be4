//! Feature flags: RabbitMQ's names for behaviour that came later, where ours is the later one.

use serde_json::{Value, json};

use super::refusal::Refusal;
use super::view::View;

/// What can be seen from outside and is so here. Flags about how a cluster stores things mean nothing for us.
const FLAGS: [(&str, &str); 3] = [
    ("drop_unroutable_metric", "Count unroutable publishes to be dropped in stats"),
    ("empty_basic_get_metric", "Count AMQP `basic.get` on empty queues in stats"),
    (
        "implicit_default_bindings",
        "Default bindings are now implicit, instead of being stored in the database",
    ),
];

/// `GET /feature-flags`.
pub(super) fn flags(_: &View<'_>) -> Vec<Value> {
    let row = |(name, description): (&str, &str)| {
        json!({
            "name": name,
            "desc": description,
            "doc_url": "",
            "state": "enabled",
            "stability": "required",
            "provided_by": super::PRODUCT,
        })
    };
    FLAGS.into_iter().map(row).collect()
}

/// `PUT /feature-flags/:name/enable`: each is on already.
pub(super) fn check_known(name: &str) -> Result<(), Refusal> {
    if FLAGS.iter().any(|(known, _)| *known == name) {
        return Ok(());
    }
    Err(Refusal::bad_request("unsupported"))
}
