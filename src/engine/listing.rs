//! The lists of the management API.

use serde_json::Value;

use crate::engine::error::{Cause, Error};
use crate::engine::management::{Api, escape};
use crate::engine::target::Target;

/// The lists of the management API.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ApiList {
    Queues,
    Exchanges,
    Bindings,
    Consumers,
    Connections,
    Channels,
    Vhosts,
}

impl ApiList {
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
        }
    }
}

/// The fields of the rows that are asked for: all, or those at these paths.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fields<'a> {
    All,
    At(&'a [String]),
}

/// The rows of a list.
pub(super) async fn list(
    api: &Api,
    target: &Target,
    listing: ApiList,
    fields: Fields<'_>,
) -> Result<Vec<Value>, Error> {
    let mut path = listing.path(target);
    if let Fields::At(fields) = fields {
        let fields: Vec<String> = fields.iter().map(|field| escape(field)).collect();
        path = format!("{path}?columns={}", fields.join(","));
    }
    rows(api, &format!("list {}", listing.name()), &path).await
}

/// The rows of the list at a path.
pub(super) async fn rows(api: &Api, doing: &str, path: &str) -> Result<Vec<Value>, Error> {
    if let Value::Array(rows) = api.get(doing, path).await? {
        return Ok(rows);
    }
    let why = "the server at this address is not a management API: its answer is not a list";
    Err(api.unreachable(Cause::new(why)))
}
