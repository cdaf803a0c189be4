//! Lists of a broker's things, asked of RabbitMQ's management API, which `mq serve` has as well.
//!
//! Rows are the API's own JSON objects, because their field names are a promise of `mq`.

use std::time::Duration;

use serde_json::Value;

use crate::engine::error::{Cause, Error};
use crate::engine::management::{Api, escape};
use crate::engine::{Context, Engine, Target};

/// Longest time an error waits for names that are close to the one that is not there.
const NEAREST_WAIT_MAX: Duration = Duration::from_millis(300);
/// Most names offered instead of one that is not there.
const NEAREST_MAX: usize = 3;
/// The least likeness of two names, from 0 to 1, for one to be offered instead of the other.
const NEAREST_LIKENESS: f64 = 0.6;

/// The lists of the management API.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Listing {
    Queues,
    Exchanges,
    Bindings,
    Consumers,
    Connections,
    Channels,
    Vhosts,
    Nodes,
    Users,
    Permissions,
    Policies,
}

impl Listing {
    /// The list's path: what lives in a virtual host is asked for there, and connections of one that was named.
    fn path(self, target: &Target) -> String {
        let vhost = escape(target.vhost());
        match self {
            Self::Connections if target.is_vhost_named() => format!("vhosts/{vhost}/connections"),
            Self::Channels if target.is_vhost_named() => format!("vhosts/{vhost}/channels"),
            Self::Queues => format!("queues/{vhost}"),
            Self::Exchanges => format!("exchanges/{vhost}"),
            Self::Bindings => format!("bindings/{vhost}"),
            Self::Consumers => format!("consumers/{vhost}"),
            Self::Connections => "connections".into(),
            Self::Channels => "channels".into(),
            Self::Vhosts => "vhosts".into(),
            Self::Nodes => "nodes".into(),
            Self::Users => "users".into(),
            Self::Permissions => format!("vhosts/{vhost}/permissions"),
            Self::Policies => format!("policies/{vhost}"),
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Queues => "queues",
            Self::Exchanges => "exchanges",
            Self::Bindings => "bindings",
            Self::Consumers => "consumers",
            Self::Connections => "connections",
            Self::Channels => "channels",
            Self::Vhosts => "vhosts",
            Self::Nodes => "nodes",
            Self::Users => "users",
            Self::Permissions => "permissions",
            Self::Policies => "policies",
        }
    }
}

/// Questions to the management API.
#[derive(Debug)]
pub struct Inspect<'a> {
    cx: &'a Context,
}

impl Engine {
    /// The questions one may ask about the broker. The first of them also asks whether the API is that of the broker.
    pub fn inspect(&self) -> Inspect<'_> {
        Inspect { cx: &self.cx }
    }
}

impl Inspect<'_> {
    /// The rows of a list, each the JSON object RabbitMQ's API gives. What lives in a virtual host is listed for
    /// the target's one; connections and channels too, when it was named by itself. Users and nodes are all of them.
    pub async fn list(&self, listing: Listing) -> Result<Vec<Value>, Error> {
        list(self.cx.api().await?, &self.cx.target, listing).await
    }

    /// One queue, as `GET /api/queues/VHOST/NAME` has it.
    pub async fn queue(&self, name: &str) -> Result<Value, Error> {
        let path = format!("queues/{}/{}", escape(self.vhost()), escape(name));
        self.cx.api().await?.get(&format!("look at queue '{name}'"), &path).await
    }

    /// The whole broker at a glance, as `GET /api/overview` has it.
    pub async fn overview(&self) -> Result<Value, Error> {
        self.cx.api().await?.get("look at the overview", "overview").await
    }

    /// Any other question: a path below `/api`, its parts escaped.
    pub async fn get(&self, doing: &str, path: &str) -> Result<Value, Error> {
        self.cx.api().await?.get(doing, path).await
    }

    /// The virtual host that is asked about.
    pub(super) fn vhost(&self) -> &str {
        self.cx.target.vhost()
    }
}

async fn list(api: &Api, target: &Target, listing: Listing) -> Result<Vec<Value>, Error> {
    let doing = format!("list {}", listing.name());
    if let Value::Array(rows) = api.get(&doing, &listing.path(target)).await? {
        return Ok(rows);
    }
    let why = "what answers there is no management API: its list is none";
    Err(api.unreachable(Cause::new(why)))
}

/// Adds to an error about a queue or exchange that is not there the names that are close to it.
///
/// The names come from the management API, so there are none when it does not answer at once.
pub(super) async fn with_nearest(cx: &Context, mut error: Error) -> Error {
    let Error::Refused { code: 404, text, nearest, .. } = &mut error else { return error };
    let Some((listing, wanted)) = missing(text) else { return error };
    let asking = async { list(cx.api().await?, &cx.target, listing).await };
    if let Ok(Ok(rows)) = tokio::time::timeout(NEAREST_WAIT_MAX, asking).await {
        let names = rows.iter().filter_map(|row| row["name"].as_str());
        *nearest = most_alike(wanted, names);
    }
    error
}

/// Finds the kind and name of the missing thing in the text of a 404: `NOT_FOUND - no queue 'q' in vhost '/'`.
fn missing(text: &str) -> Option<(Listing, &str)> {
    let kinds = [("no queue '", Listing::Queues), ("no exchange '", Listing::Exchanges)];
    kinds.into_iter().find_map(|(before, listing)| {
        let (_, rest) = text.split_once(before)?;
        let (name, _) = rest.split_once("' in vhost")?;
        Some((listing, name))
    })
}

fn most_alike<'a>(wanted: &str, names: impl Iterator<Item = &'a str>) -> Vec<String> {
    let mut ranked: Vec<(f64, &str)> = names
        .map(|name| (strsim::normalized_damerau_levenshtein(wanted, name), name))
        .filter(|(likeness, name)| *likeness >= NEAREST_LIKENESS && *name != wanted)
        .collect();
    ranked.sort_by(|one, other| other.0.total_cmp(&one.0));
    ranked.into_iter().take(NEAREST_MAX).map(|(_, name)| name.to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_names_are_offered_best_first() {
        let names = ["orders", "order", "payments", "ordres.dead", ""];
        assert_eq!(most_alike("ordres", names.into_iter()), ["orders", "order"]);
        assert!(most_alike("x", names.into_iter()).is_empty());
    }

    #[test]
    fn a_404_says_what_is_missing() {
        let cases = [
            ("NOT_FOUND - no queue 'a b' in vhost '/'", Some((Listing::Queues, "a b"))),
            ("NOT_FOUND - no exchange 'x' in vhost 'v'", Some((Listing::Exchanges, "x"))),
            ("NOT_FOUND - vhost '/' is down", None),
        ];
        for (text, found) in cases {
            assert_eq!(missing(text), found, "{text}");
        }
    }
}
