//! Plugins: those that `mq` has built in are enabled for good, the others of RabbitMQ do not exist here.

use serde_json::{Value, json};

use super::asked::Asked;
use super::failure::{DATA, Failure, UNAVAILABLE};
use super::reached::Reached;
use super::shown::Shown;
use super::work::{ANY, Banner, CommandWork, WorkKind};

/// Plugins of RabbitMQ whose work `mq serve` does by itself.
const BUILT_IN: &[&str] = &[
    "rabbitmq_consistent_hash_exchange",
    "rabbitmq_delayed_message_exchange",
    "rabbitmq_management",
    "rabbitmq_management_agent",
    "rabbitmq_prometheus",
    "rabbitmq_random_exchange",
    "rabbitmq_recent_history_exchange",
    "rabbitmq_web_dispatch",
];
/// Those among them that come with another.
const IMPLIED: &[&str] = &["rabbitmq_management_agent", "rabbitmq_web_dispatch"];

pub(super) const WORKS: &[CommandWork] = &[
    CommandWork {
        name: "list",
        words: (0, 1),
        banner: Banner::Made(|asked, _| {
            let pattern = asked.words.first().map_or(".*", String::as_str);
            format!("Listing plugins with pattern \"{pattern}\" ...")
        }),
        work: WorkKind::Run(|asked, reached| Box::pin(list(asked, reached))),
        ..CommandWork::PLAIN
    },
    CommandWork {
        name: "is_enabled",
        words: (1, ANY),
        banner: Banner::Made(|asked, node| match asked.words.as_slice() {
            [one] => format!("Asking node {node} if plugin {one} is enabled..."),
            all => format!("Asking node {node} if plugins {} are enabled...", all.join(", ")),
        }),
        work: WorkKind::Run(|asked, reached| Box::pin(is_enabled(asked, reached))),
        ..CommandWork::PLAIN
    },
    CommandWork {
        name: "enable",
        words: (0, ANY),
        banner: Banner::Made(|asked, node| changing("Enabling", asked, node)),
        work: WorkKind::Run(|asked, reached| Box::pin(enable(asked, reached))),
        ..CommandWork::PLAIN
    },
    CommandWork {
        name: "set",
        words: (0, ANY),
        banner: Banner::Made(|asked, node| changing("Enabling", asked, node)),
        work: WorkKind::Run(|asked, reached| Box::pin(enable(asked, reached))),
        ..CommandWork::PLAIN
    },
    CommandWork {
        name: "disable",
        words: (0, ANY),
        banner: Banner::Made(|asked, node| changing("Disabling", asked, node)),
        work: WorkKind::Run(|asked, reached| Box::pin(disable(asked, reached))),
        ..CommandWork::PLAIN
    },
];

fn changing(what: &str, asked: &Asked, node: &str) -> String {
    if asked.is_set("all") {
        return format!("{what} ALL plugins on node {node}");
    }
    format!("{what} plugins on node {node}:\n{}", asked.words.join("\n"))
}

/// The names of the plugins that are enabled.
async fn enabled(asked: &Asked, reached: &Reached) -> Result<Vec<String>, Failure> {
    let node =
        reached.node_row().await.map_err(|error| Failure::of(error, asked, &reached.node))?;
    let told = node["enabled_plugins"].as_array().into_iter().flatten().filter_map(Value::as_str);
    let own = BUILT_IN.iter().copied().filter(|_| reached.is_ours());
    let mut all: Vec<String> = told.chain(own).map(str::to_owned).collect();
    all.sort_unstable();
    all.dedup();
    Ok(all)
}

async fn list(asked: &Asked, reached: &mut Reached) -> Result<Shown, Failure> {
    let pattern = asked.words.first().map_or("", String::as_str);
    let is_meant = |name: &&String| {
        let is_implied = IMPLIED.contains(&name.as_str());
        let is_wanted = match (asked.is_set("enabled"), asked.is_set("implicitly-enabled")) {
            (true, false) => !is_implied,
            _ => true,
        };
        is_wanted && crate::engine::is_found(pattern, name)
    };
    let enabled = enabled(asked, reached).await?;
    let names: Vec<&String> = enabled.iter().filter(is_meant).collect();
    let version = reached.version();
    let state = |name: &str| if IMPLIED.contains(&name) { "implicit" } else { "enabled" };
    let is_minimal = asked.is_set("minimal");
    let row = |name: &&String| {
        if is_minimal {
            return json!({"name": name});
        }
        json!({
            "enabled": state(name),
            "name": name,
            "running": true,
            "version": version,
            "running_version": version,
        })
    };
    let json = json!({
        "status": "running",
        "format": if is_minimal { "minimal" } else { "normal" },
        "plugins": names.iter().map(row).collect::<Vec<_>>(),
    });
    let mark = |name: &str| if IMPLIED.contains(&name) { 'e' } else { 'E' };
    let width = names.iter().map(|name| name.len()).max().unwrap_or_default();
    let lines: Vec<String> = match (is_minimal, asked.is_set("verbose")) {
        (true, _) => names.iter().map(|name| (*name).clone()).collect(),
        (false, false) => names.iter().map(|name| format!("[{}*] {name:width$} {version}", mark(name))).collect(),
        (false, true) => names
            .iter()
            .map(|name| {
                format!(
                    "[{}*] {name}\n     Version:     \t{version}\n     Dependencies:\t[]\n     Description: \tBuilt in",
                    mark(name)
                )
            })
            .collect(),
    };
    let legend = format!(
        " Configured: E = explicitly enabled; e = implicitly enabled\n | Status: * = running on {}\n |/",
        reached.node
    );
    let lines: Vec<String> = if is_minimal { lines } else { [vec![legend], lines].concat() };
    if lines.is_empty() && asked.formatter() != Some("json") {
        return Ok(Shown::Nothing);
    }
    Ok(Shown::Document { text: lines.join("\n"), json })
}

async fn is_enabled(asked: &Asked, reached: &mut Reached) -> Result<Shown, Failure> {
    let enabled = enabled(asked, reached).await?;
    let missing: Vec<&str> =
        asked.words.iter().filter(|name| !enabled.contains(name)).map(String::as_str).collect();
    let node = &reached.node;
    let plugins = |names: &str, is_one: bool| {
        if is_one { format!("Plugin {names} is") } else { format!("Plugins {names} are") }
    };
    if missing.is_empty() {
        let words = plugins(&asked.words.join(", "), asked.words.len() == 1);
        return Ok(Shown::message(format!("{words} enabled on node {node}")));
    }
    let words = plugins(&missing.join(", "), missing.len() == 1);
    Err(Failure::error(
        UNAVAILABLE,
        format!(
            "{words} not enabled on node {node}. Enabled plugins and dependencies: {}",
            enabled.join(", ")
        ),
    ))
}

/// The end of a change that changes nothing.
fn unchanged(enabled: &[String], node: &str) -> Shown {
    let names = enabled.join("\n  ");
    Shown::Text(format!(
        "The following plugins have been configured:\n  {names}\nApplying plugin configuration to {node}...\n\
         Plugin configuration unchanged."
    ))
}

async fn enable(asked: &Asked, reached: &mut Reached) -> Result<Shown, Failure> {
    let enabled = enabled(asked, reached).await?;
    let unknown: Vec<&str> =
        asked.words.iter().filter(|name| !enabled.contains(name)).map(String::as_str).collect();
    if unknown.is_empty() {
        return Ok(unchanged(&enabled, &reached.node));
    }
    Err(no_such(&unknown, reached))
}

/// Plugins that cannot be enabled.
fn no_such(names: &[&str], reached: &Reached) -> Failure {
    let text = if reached.is_ours() {
        format!("mq has no plugin {}: those that it has are built in", names.join(", "))
    } else {
        "RabbitMQ's management API has no call for plugins: use the program on its own machine"
            .to_owned()
    };
    Failure::error(DATA, text)
}

async fn disable(asked: &Asked, reached: &mut Reached) -> Result<Shown, Failure> {
    let enabled = enabled(asked, reached).await?;
    let on: Vec<&str> =
        asked.words.iter().filter(|name| enabled.contains(name)).map(String::as_str).collect();
    if on.is_empty() && !asked.is_set("all") {
        return Ok(unchanged(&enabled, &reached.node));
    }
    if !reached.is_ours() {
        return Err(no_such(&on, reached));
    }
    Err(Failure::error(DATA, format!("{} cannot be disabled: it is built in", on.join(", "))))
}

/// Plugins that are enabled without a broker, as in the making of an image.
pub(super) fn offline(asked: &Asked) -> Result<Shown, Failure> {
    let unknown: Vec<&str> =
        asked.words.iter().map(String::as_str).filter(|name| !BUILT_IN.contains(name)).collect();
    if !unknown.is_empty() && asked.name.as_deref() != Some("disable") {
        let text =
            format!("mq has no plugin {}: those that it has are built in", unknown.join(", "));
        return Err(Failure::error(DATA, text));
    }
    let node = super::reached::node_asked_for(asked);
    let names: Vec<String> = BUILT_IN.iter().map(|&name| name.to_owned()).collect();
    Ok(unchanged(&names, &node))
}
