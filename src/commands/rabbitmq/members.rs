//! Members of queues and clusters: of each there is one, on the one node.

use serde_json::{Value, json};

use super::asked::Asked;
use super::cell::Cell;
use super::failure::{DATA, Failure, UNAVAILABLE, USAGE};
use super::reached::Reached;
use super::shown::{ListedRows, RowForm, Shown};
use super::usage;
use super::work::{Banner, CommandWork, WorkKind};
use crate::engine::escape;

pub(super) const WORKS: &[CommandWork] = &[
    CommandWork {
        name: "grow",
        words: (2, 2),
        work: WorkKind::Run(|asked, reached| Box::pin(std::future::ready(grow(asked, reached)))),
        ..CommandWork::PLAIN
    },
    CommandWork {
        name: "grow_to_count",
        words: (2, 2),
        banner: Banner::Words("Growing {1} quorum queues on {0} nodes..."),
        work: WorkKind::Run(|asked, _| Box::pin(std::future::ready(grow_to_count(asked)))),
        ..CommandWork::PLAIN
    },
    CommandWork {
        name: "shrink",
        words: (1, 1),
        banner: Banner::Made(|asked, _| {
            format!("Shrinking {} on {}...", kind(asked), asked.word(0))
        }),
        work: WorkKind::Run(|asked, reached| Box::pin(shrink(asked, reached))),
        ..CommandWork::PLAIN
    },
    CommandWork {
        name: "add_member",
        words: (2, 2),
        work: WorkKind::Run(|asked, reached| {
            Box::pin(std::future::ready(add_member(asked, reached)))
        }),
        ..CommandWork::PLAIN
    },
    CommandWork {
        name: "delete_member",
        words: (2, 2),
        banner: Banner::Words("Removing a replica of queue {0} on node {1}..."),
        work: WorkKind::Run(|asked, reached| {
            let is_own = asked.word(1) == reached.node;
            let last = || Failure::error(UNAVAILABLE, "last_node");
            // A node that has no replica of it is as good as removed.
            Box::pin(std::future::ready(if is_own { Err(last()) } else { Ok(Shown::Nothing) }))
        }),
        ..CommandWork::PLAIN
    },
    CommandWork {
        name: "transfer_leadership",
        words: (2, 2),
        banner: Banner::Made(|asked, _| {
            let kind = if kind(asked) == "streams" { "stream" } else { "quorum queue" };
            format!(
                "Transferring leadership of {kind} {} to node {}...",
                asked.word(0),
                asked.word(1)
            )
        }),
        work: WorkKind::Run(|asked, reached| Box::pin(transfer(asked, reached))),
        ..CommandWork::PLAIN
    },
    CommandWork {
        name: "add_replica",
        words: (2, 2),
        banner: Banner::Words("Adding a replica for stream {0} on node {1}..."),
        work: WorkKind::Run(|asked, reached| {
            let is_own = asked.word(1) == reached.node;
            let away = || Failure::error(UNAVAILABLE, "node_not_running");
            Box::pin(std::future::ready(if is_own { Ok(Shown::Nothing) } else { Err(away()) }))
        }),
        ..CommandWork::PLAIN
    },
    CommandWork {
        name: "delete_replica",
        words: (2, 2),
        banner: Banner::Words("Removing a replica of queue {0} on node {1}..."),
        work: WorkKind::Run(|_, _| {
            let text = "Cannot delete the last member of a stream";
            Box::pin(std::future::ready(Err(Failure::error(UNAVAILABLE, text))))
        }),
        ..CommandWork::PLAIN
    },
    CommandWork {
        name: "restart_stream",
        words: (1, 1),
        banner: Banner::Words("Restarting stream {0}..."),
        work: WorkKind::Run(|asked, reached| Box::pin(restart_stream(asked, reached))),
        ..CommandWork::PLAIN
    },
    CommandWork {
        name: "forget_cluster_node",
        words: (1, 1),
        banner: Banner::Words("Removing node {0} from the cluster"),
        work: WorkKind::Run(|asked, reached| {
            Box::pin(std::future::ready(Err(forget(asked, reached))))
        }),
        ..CommandWork::PLAIN
    },
    CommandWork {
        name: "discover_peers",
        banner: Banner::Words("Discovering peers nodes ..."),
        work: WorkKind::Say("[:{node}]"),
        ..CommandWork::PLAIN
    },
    CommandWork {
        name: "federation_status",
        banner: Banner::Words("Listing federation links on node {node}..."),
        work: WorkKind::Run(|asked, reached| Box::pin(links("federation-links", asked, reached))),
        ..CommandWork::PLAIN
    },
    CommandWork {
        name: "shovel_status",
        banner: Banner::Words("Shovel status on node {node}"),
        work: WorkKind::Run(|asked, reached| Box::pin(links("shovels", asked, reached))),
        ..CommandWork::PLAIN
    },
];

/// The queues that a program is about.
fn kind(asked: &Asked) -> &'static str {
    match asked.tool {
        crate::commands::admin::Program::Streams => "streams",
        _ => "queues",
    }
}

/// The failure of a node that is not in the cluster.
fn no_member(node: &str, asked: &Asked) -> Failure {
    let usage = asked.command.map(|command| usage::usage_block(asked, command)).unwrap_or_default();
    let text = format!(
        "Error: node {node} is not a member of the cluster\nArguments given:\n\t{}\n\n{usage}",
        asked.typed()
    );
    Failure::plain(USAGE, text)
}

/// A line about the work ahead, for work that is announced only if it can be done.
fn announced(words: &str, asked: &Asked) -> String {
    if asked.is_quiet() { String::new() } else { format!("{words}\n") }
}

/// Every queue has its member on the one node already.
fn grow(asked: &Asked, reached: &Reached) -> Result<Shown, Failure> {
    let node = asked.word(0);
    if node != reached.node {
        return Err(no_member(node, asked));
    }
    let words = format!("Growing {} {} on {node}...", asked.word(1), kind(asked));
    Ok(Shown::Text(announced(&words, asked)))
}

fn grow_to_count(asked: &Asked) -> Result<Shown, Failure> {
    match asked.word(0).parse::<u32>() {
        Ok(1) => Ok(Shown::Text(String::new())),
        _ => Err(Failure::error(UNAVAILABLE, "the cluster has one node")),
    }
}

async fn shrink(asked: &Asked, reached: &mut Reached) -> Result<Shown, Failure> {
    let node = asked.word(0);
    if node != reached.node {
        return Err(Failure::error(UNAVAILABLE, format!("{{:node_not_running, :{node}}}")));
    }
    if kind(asked) == "streams" {
        return Ok(Shown::Text(String::new()));
    }
    let queues = reached.rows("queues").await;
    let queues = queues.map_err(|error| Failure::of(error, asked, &reached.node))?;
    let result = || Cell::text("error: the last node cannot be removed");
    let row = |row: &Value| {
        vec![
            Cell::plain(&row["vhost"]),
            Cell::plain(&row["name"]),
            Cell::plain(&json!(1)),
            result(),
        ]
    };
    let rows = queues.iter().filter(|queue| queue["type"] == "quorum").map(row).collect();
    Ok(Shown::Rows(ListedRows::new(&["vhost", "name", "size", "result"], rows, RowForm::Table)))
}

fn add_member(asked: &Asked, reached: &Reached) -> Result<Shown, Failure> {
    let node = asked.word(1);
    if node != reached.node {
        return Err(no_member(node, asked));
    }
    let words = format!("Adding a member for queue {} on node {node}...", asked.word(0));
    Ok(Shown::Raw(announced(&words, asked)))
}

fn queue_path(asked: &Asked) -> String {
    format!("queues/{}/{}", escape(asked.vhost()), escape(asked.word(0)))
}

async fn transfer(asked: &Asked, reached: &mut Reached) -> Result<Shown, Failure> {
    if !reached.has(&queue_path(asked)).await {
        let text =
            format!("queue '{}' was not found in virtual host '{}'", asked.word(0), asked.vhost());
        return Err(Failure::plain(DATA, text));
    }
    let text = if asked.word(1) == reached.node {
        "The target node is already the leader of this queue"
    } else {
        "unknown_member"
    };
    Err(Failure::error(UNAVAILABLE, text))
}

async fn restart_stream(asked: &Asked, reached: &mut Reached) -> Result<Shown, Failure> {
    match reached.get(&queue_path(asked)).await {
        Ok(queue) if queue["type"] == "stream" => Ok(Shown::message(reached.node.clone())),
        _ => Err(Failure::no_object()),
    }
}

fn forget(asked: &Asked, reached: &Reached) -> Failure {
    let text = if asked.word(0) == reached.node {
        "the node is the only one of its cluster"
    } else {
        "{:not_a_cluster_node, ~c\"The node selected is not in the cluster.\"}"
    };
    Failure::error(UNAVAILABLE, text)
}

/// Links of federation or shovels. A broker of ours that has no call for them has none of them.
async fn links(path: &str, asked: &Asked, reached: &mut Reached) -> Result<Shown, Failure> {
    let rows =
        match reached.rows(path).await {
            Ok(rows) => rows,
            Err(crate::commands::CommandError::Engine(crate::engine::Error::NotOffered {
                ..
            })) if reached.is_ours() => Vec::new(),
            Err(error) => return Err(Failure::of(error, asked, &reached.node)),
        };
    if rows.is_empty() && path == "federation-links" {
        return Ok(Shown::Document { text: "[]".to_owned(), json: json!([]) });
    }
    let columns: &[&str] = match path {
        "shovels" => &[
            "name",
            "pending",
            "type",
            "state",
            "source",
            "destination",
            "vhost",
            "last_changed",
            "termination_reason",
            "destination_protocol",
            "source_protocol",
            "source_queue",
            "destination_queue",
            "remaining",
            "remaining_unacked",
            "forwarded",
        ],
        _ => {
            &["upstream", "type", "exchange", "queue", "vhost", "status", "id", "uri", "timestamp"]
        }
    };
    Ok(Shown::Rows(ListedRows::plain(columns, &rows, RowForm::Table)))
}
