//! Calls of RabbitMQ's management API, which `mq serve` has as well.
//!
//! Rows are the API's own JSON objects, because their field names are a promise of `mq`.

use serde_json::Value;

use crate::engine::context::Context;
use crate::engine::error::Error;
use crate::engine::handle::Engine;
use crate::engine::listing::{ApiList, Fields, list, rows};
use crate::engine::management::{Call, escape};

/// Calls of the management API.
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
    pub async fn list(&self, listing: ApiList, fields: Fields<'_>) -> Result<Vec<Value>, Error> {
        list(self.cx.api().await?, &self.cx.target, listing, fields).await
    }

    /// One queue, as `GET /api/queues/VHOST/NAME` has it.
    pub async fn queue(&self, name: &str) -> Result<Value, Error> {
        let path = format!("queues/{}/{}", escape(self.vhost()), escape(name));
        self.cx.api().await?.get(&format!("look at queue '{name}'"), &path).await
    }

    /// The number of messages of a queue that are delivered and not acknowledged; 0 if there is no such queue.
    ///
    /// RabbitMQ counts them at once in such a list, and every 5 s in what it says of one queue.
    pub async fn unacknowledged(&self, name: &str) -> Result<u64, Error> {
        let pattern = format!("^{}$", fancy_regex::escape(name));
        let path = format!(
            "queues/{}?page=1&page_size=500&use_regex=true&name={}&disable_stats=true&enable_queue_totals=true",
            escape(self.vhost()),
            escape(&pattern)
        );
        let page = self.cx.api().await?.get(&format!("look at queue '{name}'"), &path).await?;
        // The pattern meets names in any case.
        let mut rows = page["items"].as_array().into_iter().flatten();
        let row = rows.find(|row| row["name"] == name);
        Ok(row.and_then(|row| row["messages_unacknowledged"].as_u64()).unwrap_or(0))
    }

    /// The whole broker at a glance, as `GET /api/overview` has it.
    pub async fn overview(&self) -> Result<Value, Error> {
        self.cx.api().await?.get("look at the overview", "overview").await
    }

    /// The resources that a node is short of, each with the name of the node.
    ///
    /// # Errors
    ///
    /// [`Error::Refused`] to users without the tag `monitoring`.
    pub async fn alarms(&self) -> Result<Vec<(String, &'static str)>, Error> {
        let nodes = self.rows("list alarms", "nodes").await?;
        let of_node = |node: &Value| {
            let name = node["name"].as_str().unwrap_or_default().to_owned();
            let kinds = [("mem_alarm", "memory"), ("disk_free_alarm", "disk space")];
            let on = kinds.into_iter().filter(|(field, _)| node[*field] == true);
            on.map(|(_, resource)| (name.clone(), resource)).collect::<Vec<_>>()
        };
        Ok(nodes.iter().flat_map(of_node).collect())
    }

    /// Any other question: a path below `/api`, its parts escaped.
    pub async fn get(&self, doing: &str, path: &str) -> Result<Value, Error> {
        self.cx.api().await?.get(doing, path).await
    }

    /// The same for an answer that may not be JSON.
    pub async fn text(&self, doing: &str, path: &str) -> Result<String, Error> {
        self.cx.api().await?.text(doing, path).await
    }

    /// Any call, for a change: see [`Call`].
    pub async fn send(&self, doing: &str, call: &Call) -> Result<Value, Error> {
        self.cx.api().await?.send(doing, call).await
    }

    /// `GET /api/whoami`, asked by another user.
    pub async fn whoami(&self, user: &str, password: &str) -> Result<Value, Error> {
        let doing = format!("authenticate user '{user}'");
        self.cx.api().await?.as_user(user, password).get(&doing, "whoami").await
    }

    /// The rows of a list at any path below `/api`, its parts escaped.
    pub async fn rows(&self, doing: &str, path: &str) -> Result<Vec<Value>, Error> {
        rows(self.cx.api().await?, doing, path).await
    }

    /// The virtual host that is asked about.
    pub fn vhost(&self) -> &str {
        self.cx.target.vhost()
    }
}
