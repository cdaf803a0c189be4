//! All administration commands.

use super::row::AdminGroup;
use super::{
    backup, connections, definitions, end, facts, features, health, lists, never, node, operation,
    parameters, permissions, plugins, policies, queues, users, vhosts,
};

/// The groups, in the order of the help.
#[rustfmt::skip]
pub(super) const TABLE: &[AdminGroup] = &[
    AdminGroup { heading: None,                                rows: lists::ROWS },
    AdminGroup { heading: Some("Users"),                       rows: users::ROWS },
    AdminGroup { heading: Some("Permissions"),                 rows: permissions::ROWS },
    AdminGroup { heading: Some("Virtual hosts"),               rows: vhosts::ROWS },
    AdminGroup { heading: Some("Policies"),                    rows: policies::ROWS },
    AdminGroup { heading: Some("Parameters"),                  rows: parameters::ROWS },
    AdminGroup { heading: Some("Definitions"),                 rows: definitions::ROWS },
    AdminGroup { heading: Some("Connections"),                 rows: connections::ROWS },
    AdminGroup { heading: Some("Features"),        rows: features::ROWS },
    AdminGroup { heading: Some("Plugins"),                     rows: plugins::ROWS },
    AdminGroup { heading: Some("Health"),                      rows: health::ROWS },
    AdminGroup { heading: Some("The node"),                    rows: node::ROWS },
    AdminGroup { heading: Some("A running node"),              rows: operation::ROWS },
    AdminGroup { heading: Some("The process of a node"),       rows: facts::ROWS },
    AdminGroup { heading: Some("The end of a node"),           rows: end::ROWS },
    AdminGroup { heading: Some("Backup"),                      rows: backup::ROWS },
    AdminGroup { heading: Some("Quorum queues and streams"),   rows: queues::ROWS },
    AdminGroup { heading: Some("In RabbitMQ only"),            rows: never::ROWS },
];
