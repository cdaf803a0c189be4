//! HTTP in front of a broker: RabbitMQ's management API.
//!
//! Every answer is a pure function of the broker: `View` in, JSON out, one file for a family of objects. Shapes
//! and texts are RabbitMQ's, so that its clients (`rabbitmq_http_client`, exporters, our own commands) read ours.
//! Fields whose number is not known here are absent or null, never invented; objects that cannot exist here yet
//! are empty lists; paths that are not there yet answer 501.
//!
//! Names only the broker and wire values. Listeners are made by others (see [`serve`]); what there is to know of
//! them comes as [`Facts`].
//!
//! Reading order: [`Management`], [`router`] with the table of paths, `view`, then any family; `change` for what is put
//! and deleted, `import` for definitions.

mod arguments;
mod auth;
mod bindings;
mod change;
mod channels;
mod connections;
mod consumers;
mod definitions;
mod exchanges;
mod features;
mod health;
mod import;
mod json;
mod listing;
mod message_stats;
mod nodes;
mod overview;
mod policies;
mod queues;
mod rates;
mod refusal;
mod sampling;
mod serving;
mod users;
mod vhosts;
mod view;

use std::collections::HashMap;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use axum::extract::{Extension, Path, Query, Request, State};
use axum::http::Uri;
use axum::middleware::{from_fn, from_fn_with_state, map_request};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, any, get};
use axum::{Json, Router};
use serde_json::Value;

pub use self::import::{ImportError, import_definitions};
pub use self::serving::serve;

use self::listing::Selection;
use self::rates::Sampler;
use self::refusal::Refusal;
use self::view::{Names, View};
use crate::broker::Broker;
use crate::broker::auth::User;

/// Our name where RabbitMQ says "RabbitMQ".
const PRODUCT: &str = "mq";

/// What must be known of the process around the broker.
#[derive(Clone, Debug)]
pub struct Facts {
    /// When the broker's clock stood at 0.
    pub started: Instant,
    /// The same moment on the wall.
    pub started_at: SystemTime,
    /// The TCP ports that are open.
    pub listeners: Vec<Listener>,
    pub data_directory: Option<PathBuf>,
}

/// A TCP port that is open.
#[derive(Clone, Debug)]
pub struct Listener {
    /// RabbitMQ's name: `amqp`, `amqp/ssl`, `http`.
    pub protocol: &'static str,
    pub address: IpAddr,
    pub port: u16,
}

/// The management of one broker.
#[derive(Debug)]
pub struct Management {
    broker: Arc<Broker>,
    facts: Facts,
    sampler: Sampler,
}

impl Management {
    pub fn new(broker: Arc<Broker>, facts: Facts) -> Arc<Self> {
        let sampler = Sampler::new();
        Arc::new(Self { broker, facts, sampler })
    }

    /// Keeps rates fresh for as long as it is polled; may be dropped at any time.
    ///
    /// Without it rates are taken over the time between requests.
    pub async fn keep_sampling(&self) {
        let mut tick = tokio::time::interval(rates::SAMPLE_EVERY);
        loop {
            tick.tick().await;
            self.sample_when_due(self.facts.since_start());
        }
    }

    /// Reads all counters when the newest sample has become old.
    fn sample_when_due(&self, now: Duration) {
        if self.sampler.is_due(now) {
            self.sampler.add(sampling::sample(&self.broker, now));
        }
    }
}

impl Facts {
    /// How long the broker runs: the one clock of this layer, for uptime and rates.
    fn since_start(&self) -> Duration {
        self.started.elapsed()
    }
}

type Routes = Router<Arc<Management>>;
type Handler = MethodRouter<Arc<Management>>;

/// RabbitMQ's management API below `/api`, for [`serve`] or any other server.
pub fn router(management: Arc<Management>) -> Router {
    let all = monitored()
        .route_layer(from_fn(auth::monitor))
        .merge(administered().route_layer(from_fn(auth::administrator)))
        .merge(managed())
        .merge(change::routes())
        .merge(not_there_yet())
        .route_layer(from_fn_with_state(Arc::clone(&management), auth::log_in));
    let missing = async || Refusal::NotFound;
    let known = Router::new().nest("/api", all).fallback(missing).with_state(management);
    // Around the router: a layer within it would come after the choice of the route.
    Router::new()
        .fallback_service(known)
        .layer(map_request(async |request: Request| without_last_slash(request)))
}

/// A path may end in one slash, which means nothing (RabbitMQ: `cowboy_router`).
fn without_last_slash(mut request: Request) -> Request {
    let uri = request.uri();
    if let Some(path) = uri.path().strip_suffix('/')
        && !path.is_empty()
        && !path.ends_with('/')
    {
        let query = uri.query().map_or_else(String::new, |query| format!("?{query}"));
        let mut parts = uri.clone().into_parts();
        parts.path_and_query = format!("{path}{query}").parse().ok();
        if let Ok(shorter) = Uri::from_parts(parts) {
            *request.uri_mut() = shorter;
        }
    }
    request
}

/// What every user of the API may read.
fn managed() -> Routes {
    Router::new()
        .route("/overview", always(overview::overview))
        .route("/cluster-name", always(policies::cluster_name))
        .route("/version", always(overview::version))
        .route("/whoami", always(users::whoami))
        .route("/extensions", list(overview::none))
        .route("/feature-flags", always_list(features::flags))
        .route("/deprecated-features", list(overview::none))
        .route("/deprecated-features/used", list(overview::none))
        .route("/vhosts", list(vhosts::list))
        .route("/vhosts/{vhost}", one(vhosts::one))
        .route("/vhosts/{vhost}/connections", list(connections::list))
        .route("/vhosts/{vhost}/channels", list(channels::list))
        .route("/queues", answering(queues::list))
        .route("/queues/detailed", answering(queues::list))
        .route("/queues/{vhost}", answering(queues::list))
        .route("/queues/{vhost}/{queue}", one(queues::one))
        .route("/queues/{vhost}/{queue}/bindings", list(queues::bindings))
        .route("/exchanges", list(exchanges::list))
        .route("/exchanges/{vhost}", list(exchanges::list))
        .route("/exchanges/{vhost}/{exchange}", one(exchanges::one))
        .route("/exchanges/{vhost}/{exchange}/bindings/source", list(exchanges::bindings_from))
        .route("/exchanges/{vhost}/{exchange}/bindings/destination", list(exchanges::bindings_to))
        .merge(managed_bindings())
        .route("/consumers", list(consumers::list))
        .route("/consumers/{vhost}", list(consumers::list))
        .route("/connections", list(connections::list))
        .route("/connections/{connection}", one(connections::one))
        .route("/connections/{connection}/channels", list(connections::channels))
        .route("/connections/username/{user}", list(connections::of_user))
        .route("/channels", list(channels::list))
        .route("/channels/{channel}", one(channels::one))
        .route("/policies", list(policies::list))
        .route("/policies/{vhost}", list(policies::list))
        .route("/operator-policies", list(policies::list_operators))
        .route("/operator-policies/{vhost}", list(policies::list_operators))
        .route("/policies/{vhost}/{name}", one(policies::one))
        .route("/operator-policies/{vhost}/{name}", one(policies::one_operators))
        .route("/parameters", list(policies::parameters))
        .route("/parameters/{component}", list(policies::parameters))
        .route("/parameters/{component}/{vhost}", list(policies::parameters))
        .route("/parameters/{component}/{vhost}/{name}", one(policies::parameter))
        .route("/global-parameters", always_list(policies::global_parameters))
        .route("/global-parameters/{name}", one(policies::global_parameter))
        .route("/vhost-limits", list(policies::vhost_limits))
        .route("/vhost-limits/{vhost}", list(policies::vhost_limits))
        .merge(health_checks())
}

fn managed_bindings() -> Routes {
    const TO_QUEUE: &str = "/bindings/{vhost}/e/{exchange}/q/{queue}";
    const TO_EXCHANGE: &str = "/bindings/{vhost}/e/{exchange}/e/{destination}";
    let with_key = |path: &str| format!("{path}/{{properties_key}}");
    Router::new()
        .route("/bindings", list(bindings::list))
        .route("/bindings/{vhost}", list(bindings::list))
        .route(TO_QUEUE, list(bindings::between_exchange_and_queue))
        .route(&with_key(TO_QUEUE), one(bindings::one_to_queue))
        .route(TO_EXCHANGE, list(bindings::between_exchanges))
        .route(&with_key(TO_EXCHANGE), one(bindings::one_to_exchange))
}

fn health_checks() -> Routes {
    let check = |name: &str| format!("/health/checks/{name}");
    let up = ["virtual-hosts", "ready-to-serve-clients", "is-in-service"];
    let routes = up.iter().fold(Router::new(), |routes: Routes, name| {
        routes.route(&check(name), always(health::is_up))
    });
    routes
        .route(&check("alarms"), one(health::alarms))
        .route(&check("local-alarms"), one(health::local_alarms))
        .route(&check("below-node-connection-limit"), one(health::connections))
        .route(&check("node-is-quorum-critical"), always(health::single_node))
        .route(&check("node-is-mirror-sync-critical"), always(health::single_node))
        .route(&check("port-listener/{port}"), one(health::port_listener))
        .route(&check("protocol-listener/{protocol}"), one(health::protocol_listener))
        .route(&check("certificate-expiration/{within}/{unit}"), one(health::certificates))
        .route("/aliveness-test/{vhost}", one(health::aliveness))
        .route("/healthchecks/node", always(health::is_up))
        .route("/healthchecks/node/{node}", one(health::node))
}

/// What shows the whole node.
fn monitored() -> Routes {
    Router::new().route("/nodes", always_list(nodes::list)).route("/nodes/{node}", one(nodes::one))
}

/// What shows users and passwords.
fn administered() -> Routes {
    Router::new()
        .route("/users", always_list(users::list))
        .route("/users/{user}", one(users::one))
        .route("/users/{user}/permissions", list(users::permissions))
        .route("/users/{user}/topic-permissions", list(users::topic_permissions))
        .route("/users/without-permissions", always_list(users::without_permissions))
        .route("/user-limits", list(users::limits))
        .route("/user-limits/{user}", list(users::limits))
        .route("/permissions", list(users::permissions))
        .route("/permissions/{vhost}/{user}", one(users::permission_of))
        .route("/topic-permissions", list(users::topic_permissions))
        .route("/topic-permissions/{vhost}/{user}", list(users::topic_permissions_of))
        .route("/topic-permissions/{vhost}/{user}/{exchange}", list(users::topic_permissions_of))
        .route("/vhosts/{vhost}/permissions", list(users::permissions))
        .route("/vhosts/{vhost}/topic-permissions", list(users::topic_permissions))
        .route("/definitions", one(definitions::of_broker))
        .route("/definitions/{vhost}", one(definitions::of_vhost))
}

/// Paths RabbitMQ has, with its plugins, and we do not have yet.
fn not_there_yet() -> Routes {
    let paths = [
        "/nodes/{node}/memory",
        "/nodes/{node}/memory/relative",
        "/auth",
        "/auth/{*rest}",
        "/login",
        "/rebalance/queues",
        "/reset",
        "/reset/{node}",
        "/vhosts/{vhost}/start/{node}",
        "/vhosts/{vhost}/deletion/protection",
        "/queues/quorum/{vhost}/{queue}/status",
        "/queues/quorum/{vhost}/{queue}/replicas/{action}",
        "/shovels",
        "/shovels/{*rest}",
        "/federation-links",
        "/federation-links/{*rest}",
        "/traces",
        "/traces/{*rest}",
        "/trace-files",
        "/trace-files/{*rest}",
        "/stream/{*rest}",
        "/top/{*rest}",
    ];
    let answer = async || Refusal::NotThereYet;
    paths.into_iter().fold(Router::new(), |routes, path| routes.route(path, any(answer)))
}

/// Answers with one object that is always there.
fn always(answer: fn(&View<'_>) -> Value) -> Handler {
    answering(move |view, _, selection| Ok(selection.of_object(answer(view))))
}

/// Answers with one object.
fn one(answer: fn(&View<'_>, &Names) -> Result<Value, Refusal>) -> Handler {
    answering(move |view, names, selection| Ok(selection.of_object(answer(view, names)?)))
}

/// Answers with a list that is always there, as far as it is wanted.
fn always_list(answer: fn(&View<'_>) -> Vec<Value>) -> Handler {
    answering(move |view, _, selection| selection.of_list(answer(view)))
}

/// Answers with a list, as far as it is wanted.
fn list(answer: fn(&View<'_>, &Names) -> Result<Vec<Value>, Refusal>) -> Handler {
    answering(move |view, names, selection| selection.of_list(answer(view, names)?))
}

fn answering<F>(answer: F) -> Handler
where
    F: Fn(&View<'_>, &Names, &Selection) -> Result<Value, Refusal>,
    F: Clone + Send + Sync + 'static,
{
    get(
        async move |State(management): State<Arc<Management>>,
                    Extension(user): Extension<User>,
                    Path(names): Path<HashMap<String, String>>,
                    Query(query): Query<listing::Query>|
                    -> Result<Response, Refusal> {
            let selection = Selection::new(&query)?;
            let view = View::new(&management, &user);
            let body = answer(&view, &Names(names), &selection)?;
            Ok(Json(body).into_response())
        },
    )
}
