//! The source of a consumer: a queue, or an exchange through a queue made for it.

use crate::commands::bind::{Match, arguments};
use crate::commands::declare::{Declare, DeclareOptions};
use crate::commands::options::argument::{self, Argument};
use crate::commands::options::name;
use crate::commands::options::queue_type::QueueType;
use crate::commands::{CommandError, Context};
use crate::engine::{BindingSpec, Destination, QueueSpec, ShortStr, literal};
use crate::render::words;

#[derive(Clone, Debug, clap::Args)]
pub(super) struct SourceOptions {
    /// Consume from this queue; it is declared if it does not exist
    #[arg(
        long,
        value_name = "QUEUE",
        value_parser = name::queue,
        required_unless_present = "exchange",
        conflicts_with = "exchange"
    )]
    queue: Option<ShortStr>,
    #[command(flatten)]
    declare: DeclareOptions,
    /// Consume the messages that are published to this exchange from now on, through a queue that is deleted at the end
    #[arg(long, short = 'e', value_name = "EXCHANGE", value_parser = name::exchange)]
    exchange: Option<ShortStr>,
    /// Declare the exchange first, with this type: direct, fanout, topic, headers or another
    #[arg(long = "type", value_name = "TYPE", requires = "exchange")]
    kind: Option<ShortStr>,
    /// Bind with this routing key or pattern; may be given several times [default: # for topic, else empty]
    #[arg(long = "key", short = 'k', value_name = "KEY", requires = "exchange")]
    keys: Vec<ShortStr>,
    /// Bind with this header, as NAME=VALUE or NAME:TYPE=VALUE; for headers exchanges
    #[arg(long = "header", short = 'H', value_name = "NAME=VALUE", requires = "exchange")]
    headers: Vec<Argument>,
    /// Match messages that have all headers, or any of them (x-match)
    #[arg(long = "match", value_name = "RULE", value_enum, requires = "headers")]
    rule: Option<Match>,
    /// Declare the queue with this type if it does not exist [default: the virtual host's default type; stream with
    /// --offset or --filter]
    #[arg(long, value_name = "TYPE", value_enum, requires = "queue")]
    queue_type: Option<QueueType>,
}

impl SourceOptions {
    /// Refuses options that do not fit together, before the broker is asked.
    pub(super) fn check(&self) -> Result<(), CommandError> {
        let usage = |problem: &str, hint: &str| {
            Err(CommandError::Usage { problem: problem.into(), hint: Some(hint.into()) })
        };
        if self.declare.is_wanted() && self.queue.is_none() && self.kind.is_none() {
            return usage(
                "--declare has nothing to declare",
                "name the exchange's type with --type",
            );
        }
        if self.declare.given() == Some(Declare::No) && self.queue_type.is_some() {
            return usage(
                "--queue-type is for a declaration, which --declare no forbids",
                "leave out one of them",
            );
        }
        Ok(())
    }

    /// Makes sure that there is a queue to consume from, of the type `usual` unless another is named; returns its name.
    pub(super) async fn prepare(
        &self,
        usual: Option<QueueType>,
        cx: &Context,
    ) -> Result<ShortStr, CommandError> {
        if let Some(exchange) = &self.exchange {
            return self.bound_queue(exchange, cx).await;
        }
        let queue = self.queue.clone().unwrap_or_default();
        let Some(durability) = self.declare.or(Declare::Durable) else { return Ok(queue) };
        let arguments = QueueType::arguments(self.queue_type.or(usual));
        // The broker may have changed the name.
        Ok(cx.engine.ensure_queue(&queue, durability, arguments).await?.name)
    }

    async fn bound_queue(
        &self,
        exchange: &ShortStr,
        cx: &Context,
    ) -> Result<ShortStr, CommandError> {
        if let (Some(kind), Some(durability)) = (&self.kind, self.declare.or(Declare::Durable)) {
            cx.engine.ensure_exchange(exchange, kind, durability).await?;
        }
        let queue = QueueSpec { exclusive: true, auto_delete: true, ..QueueSpec::default() };
        let queue = cx.engine.declare_queue(&queue).await?.name;
        let arguments = argument::table(&arguments(&self.headers, self.rule));
        for routing_key in self.keys() {
            let binding = BindingSpec {
                source: exchange.clone(),
                destination: Destination::Queue(queue.clone()),
                routing_key,
                arguments: arguments.clone(),
            };
            cx.engine.bind(&binding).await?;
        }
        Ok(queue)
    }

    fn keys(&self) -> Vec<ShortStr> {
        match (self.keys.is_empty(), &self.kind) {
            (false, _) => self.keys.clone(),
            (true, Some(kind)) if kind == "topic" => vec![literal("#")],
            (true, _) => vec![ShortStr::default()],
        }
    }

    /// The source in words.
    pub(super) fn words(&self, queue: &str) -> String {
        match &self.exchange {
            None => format!("queue '{queue}'"),
            Some(exchange) if self.keys.is_empty() => format!("exchange '{exchange}'"),
            Some(exchange) => {
                let keys = words::listed(self.keys.iter().map(|key| &**key));
                format!("exchange '{exchange}' by {keys}")
            }
        }
    }
}
