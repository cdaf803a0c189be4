//! All commands of RabbitMQ's programs that are carried out here.

use super::names::CtlRelease;
use super::work::CommandWork;
use super::{
    changes, facts, health, lists, members, node, operation, plugins, policies, queues, users,
    vhosts, waits,
};

/// Finds the work of a command; `None` if it does not exist here.
pub(super) fn find(command: &str) -> Option<&'static CommandWork> {
    let all = [
        lists::WORKS,
        users::WORKS,
        vhosts::WORKS,
        policies::WORKS,
        changes::WORKS,
        node::WORKS,
        operation::WORKS,
        facts::WORKS,
        health::WORKS,
        queues::WORKS,
        plugins::WORKS,
        members::WORKS,
        waits::WORKS,
    ];
    all.into_iter().flatten().find(|work| work.name == command)
}

/// The columns that a command knows.
pub(super) fn columns(command: &str, release: CtlRelease) -> Vec<&'static str> {
    lists::columns_of(command).map_or_else(Vec::new, |columns| columns.names(release))
}

/// The name of a command among those of `mq`.
pub(super) fn admin_name(command: &str) -> &str {
    match command {
        "list" => "list_plugins",
        "is_enabled" => "is_plugin_enabled",
        "enable" => "enable_plugins",
        "set" => "set_plugins",
        "disable" => "disable_plugins",
        other => other,
    }
}

/// The words about commands that are no administration in `mq`, or that have an answer under this name only.
pub(super) fn about(command: &str) -> Option<&'static str> {
    Some(match command {
        "await_startup" => "Wait until the broker answers",
        "wait" => "Wait for a file with a process id, then until the broker answers",
        "autocomplete" => "Print the names of commands that begin with a word",
        "forget_cluster_node" => "Remove a node from the cluster, which has one",
        "rename_cluster_node" => "Do nothing, as in RabbitMQ 4",
        "discover_peers" => "Print the nodes of the cluster",
        "grow" | "grow_to_count" => "Add members of queues on other nodes, of which there are none",
        "shrink" => "Remove the members of queues on a node; the last one stays",
        "add_member" | "add_replica" => "Add a member of a queue on a node; there is one node",
        "delete_member" | "delete_replica" => "Remove a member of a queue; the last one stays",
        "transfer_leadership" => "Let another node lead a queue; there is one node",
        "ping" => "Check that the broker answers",
        "status" => "Print the state of the node",
        "delete_queue" => "Delete a queue and its messages",
        "purge_queue" => "Drop all messages of a queue that are ready",
        _ => return None,
    })
}
