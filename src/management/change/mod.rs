//! The writing half of the management API: `PUT`, `POST` and `DELETE`.
//!
//! A change is a function of a request ([`ChangeRequest`](super::change_request::ChangeRequest)). Its row in `routes`
//! says who may make it; it looks at the body, then has the broker do it. Status codes and reasons are RabbitMQ's.

pub(super) mod backup;
pub(super) mod connections;
pub(super) mod limits;
pub(super) mod messages;
pub(super) mod parameters;
pub(super) mod permissions;
pub(super) mod policies;
pub(super) mod process;
pub(super) mod replicas;
pub(super) mod topology;
pub(super) mod users;
pub(super) mod vhosts;

pub(super) use self::parameters::read as read_parameter;
pub(super) use self::permissions::{read as read_permission, read_topic};
pub(super) use self::policies::read as read_policy;
pub(super) use self::topology::{read_binding, read_exchange, read_queue};
pub(super) use self::users::read as read_user;
pub(super) use self::vhosts::read_defined as read_vhost;
