//! The broker that a command of RabbitMQ's programs works with.

use serde_json::Value;

use super::asked::Asked;
use super::failure::{Failure, refusal};
use super::names::CtlRelease;
use super::shown::Shown;
use crate::commands::{CommandError, Context, admin};
use crate::engine::{Call, Engine, Error, Target, TargetOptions, TlsFiles, escape};
use crate::render::Output;

/// The management API where nothing names another.
const DEFAULT_API: &str = "http://127.0.0.1:15672";

/// Variables that name another broker than the one on this machine.
const ELSEWHERE: [&str; 4] = ["MQ_URL", "MQ_LOCAL", "MQ_CONTEXT", "MQ_HTTP_URL"];

/// The end of a command, and the output that it has written to.
pub(super) type EndedWork = (Result<Shown, Failure>, Output);

/// A broker that answers.
pub(super) struct Reached {
    pub(super) cx: Context,
    /// The name of its node
    pub(super) node: String,
    pub(super) overview: Value,
    pub(super) release: CtlRelease,
}

impl Reached {
    /// Asks the broker who it is.
    pub(super) async fn open(asked: &Asked, out: Output) -> Result<Self, (Failure, Output)> {
        let node = node_asked_for(asked);
        let failed = |error: Error| Failure::of(error.into(), asked, &node);
        let target = match target(asked) {
            Ok(target) => target,
            Err(error) => return Err((failed(error), out)),
        };
        let engine = match Engine::open(target).await {
            Ok(engine) => engine,
            Err(error) => return Err((failed(error), out)),
        };
        let overview = match engine.inspect().overview().await {
            Ok(overview) => overview,
            Err(error) => return Err((failed(error), out)),
        };
        let node = overview["node"].as_str().unwrap_or(&node).to_owned();
        let release = CtlRelease::of(overview["rabbitmq_version"].as_str().unwrap_or_default());
        Ok(Self { cx: Context { engine, out, timeout: asked.timeout() }, node, overview, release })
    }

    /// Answers whether the broker is `mq serve`.
    pub(super) fn is_ours(&self) -> bool {
        self.overview["instance"].is_string()
    }

    pub(super) fn version(&self) -> &str {
        self.overview["rabbitmq_version"].as_str().unwrap_or_default()
    }

    /// The answer to a question about a path of the management API.
    pub(super) async fn get(&self, path: &str) -> Result<Value, CommandError> {
        Ok(self.cx.engine.inspect().get("answer", path).await?)
    }

    /// The rows of a list.
    pub(super) async fn rows(&self, path: &str) -> Result<Vec<Value>, CommandError> {
        Ok(self.cx.engine.inspect().rows("answer", path).await?)
    }

    pub(super) async fn send(&self, call: Call) -> Result<Value, CommandError> {
        Ok(self.cx.engine.inspect().send("do this", &call).await?)
    }

    /// Runs a command of the table of administration.
    pub(super) async fn perform(
        &mut self,
        command: &str,
        arguments: Vec<String>,
    ) -> Result<(), CommandError> {
        admin::perform(command, arguments, &mut self.cx).await.map(drop)
    }

    pub(super) async fn has(&self, path: &str) -> bool {
        self.get(path).await.is_ok()
    }

    pub(super) async fn has_vhost(&self, name: &str) -> bool {
        self.has(&format!("vhosts/{}", escape(name))).await
    }

    pub(super) async fn has_user(&self, name: &str) -> bool {
        self.has(&format!("users/{}", escape(name))).await
    }

    /// The row of a node in the list of nodes.
    pub(super) async fn node_row(&self) -> Result<Value, CommandError> {
        let nodes = self.rows("nodes").await?;
        let own = nodes.iter().position(|row| row["name"] == self.node.as_str());
        Ok(own.map_or(Value::Null, |place| nodes[place].clone()))
    }
}

/// Finds the reason of a refused change in a virtual host: there is none of this name, or something else is wrong.
pub(super) async fn in_vhost(error: CommandError, asked: &Asked, reached: &Reached) -> Failure {
    if matches!(refusal(&error), Some((404 | 400, _))) && !reached.has_vhost(asked.vhost()).await {
        return Failure::no_vhost(asked.vhost());
    }
    Failure::of(error, asked, &reached.node)
}

/// The node that errors name when no broker has told its name.
pub(super) fn node_asked_for(asked: &Asked) -> String {
    let named = asked.optional("node").map(str::to_owned);
    let variable = || std::env::var("RABBITMQ_NODENAME").ok().filter(|name| !name.is_empty());
    let host = || std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    named.or_else(variable).unwrap_or_else(|| format!("rabbit@{}", host().trim()))
}

/// The broker: from `--http-url` and `--url`, else from `MQ_` variables, else the one on this machine, with the user
/// of the image's variables.
fn target(asked: &Asked) -> Result<Target, Error> {
    let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let path = |switch: &str| asked.optional(switch).map(Into::into);
    let url = asked.optional("url").map(str::to_owned);
    let is_elsewhere = url.is_some() || ELSEWHERE.iter().any(|name| variable(name).is_some());
    let usual = || on_this_machine(variable);
    let named = asked.optional("http-url").map(str::to_owned);
    let options = TargetOptions {
        http_url: named.or_else(|| (!is_elsewhere).then(usual)),
        url,
        local: None,
        context: None,
        vhost: Some(asked.vhost().to_owned()),
        timeout: asked.timeout(),
        tls: TlsFiles { ca: path("tls-ca"), cert: path("tls-cert"), key: path("tls-key") },
        // RabbitMQ's programs work with the broker of this machine, not with the context in use.
        work_directory: None,
    };
    Target::resolve(options, variable)
}

/// The management API of this machine, with the user that the variables of the image have made: `guest` where one of
/// them is not set.
fn on_this_machine(variable: impl Fn(&str) -> Option<String>) -> String {
    let login = (variable("RABBITMQ_DEFAULT_USER"), variable("RABBITMQ_DEFAULT_PASS"));
    if login == (None, None) {
        return DEFAULT_API.to_owned();
    }
    let or_guest = |text: Option<String>| escape(text.as_deref().unwrap_or("guest"));
    let place = DEFAULT_API.trim_start_matches("http://");
    format!("http://{}:{}@{place}", or_guest(login.0), or_guest(login.1))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Testcontainers for Java sets a password, and leaves the user as it is.
    #[test]
    fn the_user_of_the_image_is_known_by_its_variables() {
        #[rustfmt::skip]
        let cases = [
            // user         password         API
            (None,          None,            "http://127.0.0.1:15672"),
            (None,          Some("s3cret"),  "http://guest:s3cret@127.0.0.1:15672"),
            (Some("app"),   None,            "http://app:guest@127.0.0.1:15672"),
            (Some("a:b"),   Some("p@ss"),    "http://a%3Ab:p%40ss@127.0.0.1:15672"),
        ];
        for (user, password, expected) in cases {
            let variable = |name: &str| match name {
                "RABBITMQ_DEFAULT_USER" => user.map(str::to_owned),
                _ => password.map(str::to_owned),
            };
            assert_eq!(on_this_machine(variable), expected);
        }
    }
}
