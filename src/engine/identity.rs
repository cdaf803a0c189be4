//! A check that AMQP and the management API belong to one broker.
//!
//! The two have addresses of their own, so one of them may be another broker's: a second one on the same machine, or a
//! tunnel that leads elsewhere. What a broker says of itself on both sides tells: ours says one word that no other run
//! of it has, RabbitMQ the name of its cluster. Two clusters of one name are not told apart.

use std::error::Error as _;
use std::future::ready;

use serde_json::Value;

use crate::client::{Dialed, Endpoint};
use crate::engine::context::Context;
use crate::engine::error::{Cause, Error, Service};
use crate::engine::management::Api;
use crate::engine::target::{ApiSource, BrokerAddress};
use crate::wire::{FieldTable, FieldValue};

/// The names by which a broker identifies itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Identity {
    /// The name of its cluster
    cluster: Option<String>,
    node: Option<String>,
    /// Different for every run of `mq`; RabbitMQ has none.
    instance: Option<String>,
}

impl Context {
    /// The management API of the same broker. A node that is drained answers there only: if AMQP cannot be reached, an
    /// API that was named is taken for its own, and [`Self::unchecked`] says so.
    pub(super) async fn api(&self) -> Result<&Api, Error> {
        let checked = self.api.get_or_try_init(|| same_broker(self)).await;
        match checked {
            Err(error @ Error::Unreachable { what: Service::Amqp, .. })
                if self.target.api_source == ApiSource::Named =>
            {
                let api = self.target.api.clone();
                let why = error.source().map(|why| format!(" ({why})")).unwrap_or_default();
                let note = format!(
                    "{} does not answer{why}: {api} is asked alone, and may be that of another broker",
                    self.target
                );
                let _ = self.unchecked.set(note);
                Ok(self.api.get_or_init(|| ready(api)).await)
            }
            checked => checked,
        }
    }
}

/// The management API of the broker that `cx` works with.
///
/// # Errors
///
/// [`Error::OtherBroker`] when another broker answers there.
async fn same_broker(cx: &Context) -> Result<Api, Error> {
    let target = &cx.target;
    let api = target.api.clone();
    let place = match (&target.broker, target.api_source) {
        // The lock of a directory lets one process make both sockets.
        (BrokerAddress::Of(_), _) | (BrokerAddress::At(_), ApiSource::InDirectory) => {
            return Ok(api);
        }
        // The API is all that was named, and all that is used.
        (BrokerAddress::At(_), ApiSource::Named)
            if !target.is_named() && cx.connection.get().is_none() =>
        {
            return Ok(api);
        }
        (BrokerAddress::At(place), ApiSource::Named | ApiSource::Guessed) => place,
    };
    let properties = match cx.connection.get() {
        Some(connection) => connection.server_properties().clone(),
        None => properties(cx, place).await?,
    };
    let api = match (target.api_source, table(&properties, "mq")) {
        (ApiSource::Guessed, Some(ours)) => announced(api, ours, place)?,
        (ApiSource::Guessed | ApiSource::Named | ApiSource::InDirectory, _) => api,
    };
    let overview = api.get("ask the management API which broker it belongs to", "overview").await?;
    let (amqp, http) = (Identity::of_properties(&properties), Identity::of_overview(&overview));
    match differing(&amqp, &http) {
        None => Ok(api),
        Some(why) => Err(Error::OtherBroker {
            broker: target.to_string(),
            api: api.to_string(),
            source: Cause::new(why),
        }),
    }
}

async fn properties(cx: &Context, place: &Endpoint) -> Result<FieldTable, Error> {
    let options = &cx.target.options;
    let asked =
        async { Dialed::to(place, options.timeout).await?.server_properties(options).await };
    asked.await.map_err(|error| cx.failed("open a connection", error))
}

/// The API where a broker of ours says that it is.
fn announced(api: Api, ours: &FieldTable, place: &Endpoint) -> Result<Api, Error> {
    let Endpoint::Tcp { host, .. } = place else { return Ok(api) };
    match text(ours, "management").map(|address| address.parse()) {
        Some(Ok(address)) => api.announced(host, address),
        // Nothing that listens elsewhere can be this broker's.
        None | Some(Err(_)) => Err(api.unreachable(Cause::new("the broker does not report one"))),
    }
}

impl Identity {
    fn of_properties(properties: &FieldTable) -> Self {
        Self {
            cluster: text(properties, "cluster_name"),
            node: None,
            instance: table(properties, "mq").and_then(|ours| text(ours, "instance")),
        }
    }

    fn of_overview(overview: &Value) -> Self {
        let text = |name: &str| overview[name].as_str().map(str::to_owned);
        Self { cluster: text("cluster_name"), node: text("node"), instance: text("instance") }
    }

    /// The name that people know it by.
    fn name(&self) -> Option<&str> {
        self.cluster.as_deref().or(self.node.as_deref())
    }
}

/// The reason why the two are not one broker; `None` if they are, as far as their answers tell.
fn differing(amqp: &Identity, http: &Identity) -> Option<String> {
    if amqp.instance.is_some() && amqp.instance == http.instance {
        return None;
    }
    let told = |identity: &Identity| match identity.name() {
        Some(name) => format!("'{name}'"),
        None => "a broker without a name".to_owned(),
    };
    let (one, other) = (told(amqp), told(http));
    match (amqp.name(), http.name()) {
        (Some(amqp), Some(http)) if amqp != http => {}
        (Some(_), None) => {}
        // Brokers of ours on one machine have one name.
        _ if amqp.instance != http.instance => {
            return Some(format!("both are {one}, but they are two processes"));
        }
        (Some(_), Some(_)) | (None, _) => return None,
    }
    Some(format!("the AMQP address belongs to {one}, and the management API to {other}"))
}

fn text(of: &FieldTable, name: &str) -> Option<String> {
    match of.get(name) {
        Some(FieldValue::LongStr(text)) => text.as_str().map(str::to_owned),
        _ => None,
    }
}

fn table<'a>(of: &'a FieldTable, name: &str) -> Option<&'a FieldTable> {
    match of.get(name) {
        Some(FieldValue::Table(table)) => Some(table),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identity(cluster: &str, node: &str, instance: &str) -> Identity {
        let told = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        Identity { cluster: told(cluster), node: told(node), instance: told(instance) }
    }

    #[test]
    fn who_answers_on_both_sides_is_compared() {
        #[rustfmt::skip]
        let cases = [
            // AMQP: cluster, instance   API: cluster, node, instance     one broker
            (("mq@h",     "1"),          ("mq@h",     "mq@h",     "1"),   true),
            (("mq@h",     "1"),          ("mq@h",     "mq@h",     "2"),   false),
            (("mq@h",     "1"),          ("renamed",  "mq@h",     "1"),   true),  // PUT /api/cluster-name
            (("mq@h",     "1"),          ("mq@h",     "mq@h",     ""),    false), // an older release of ours
            (("mq@h",     "1"),          ("rabbit@h", "rabbit@h", ""),    false),
            (("rabbit@h", ""),           ("rabbit@h", "rabbit@h", ""),    true),
            (("rabbit@h", ""),           ("rabbit@h", "rabbit@i", ""),    true),  // two nodes of a cluster
            (("rabbit@h", ""),           ("rabbit@i", "rabbit@i", ""),    false),
            (("rabbit@h", ""),           ("mq@h",     "mq@h",     "2"),   false),
            (("h",        ""),           ("",         "h",        ""),    true),  // LavinMQ names its node only
            (("h",        ""),           ("",         "",         ""),    false),
            (("",         ""),           ("h",        "h",        ""),    true),  // it does not say who it is
        ];
        for ((cluster, instance), (api_cluster, node, api_instance), is_one) in cases {
            let amqp = identity(cluster, "", instance);
            let http = identity(api_cluster, node, api_instance);
            let differing = differing(&amqp, &http);
            assert_eq!(differing.is_none(), is_one, "{amqp:?} {http:?}: {differing:?}");
        }
    }
}
