//! `mq rpc-call`: send requests, print their replies in the order of the requests.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::task::JoinHandle;

use super::consume::Printer;
use super::declare::{Declare, DeclareOptions};
use super::examples::examples;
use super::input::{Bodies, Stdin};
use super::options::name;
use super::options::properties::PropertyOptions;
use super::{Answer, CommandError, Context};
use crate::engine::{
    Delivery, Error, FieldTable, Properties, ReplyTo, RpcCaller, RpcOptions, ShortStr,
};

/// Call an RPC server: send requests, print the replies
///
/// Requests come from the arguments or from stdin; --timeout is the time for each reply [default: 30s]. To send
/// messages without waiting for replies, use `mq publish`.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = examples(&[
    "mq rpc-call --queue fib 7",
    "seq 20 | mq rpc-call --queue fib --lines --jobs 10",
]))]
pub struct Args {
    /// The bodies, one request each [default: all of stdin as one request]
    body: Vec<String>,
    /// Send requests to this queue
    #[arg(long, value_name = "QUEUE", value_parser = name::queue, required_unless_present = "exchange")]
    queue: Option<ShortStr>,
    /// Send requests through this exchange instead of a queue
    #[arg(long, short = 'e', value_name = "EXCHANGE", conflicts_with = "queue")]
    exchange: Option<ShortStr>,
    /// Send requests with this routing key
    #[arg(long, short = 'k', value_name = "KEY", requires = "exchange")]
    routing_key: Option<ShortStr>,
    /// Send each line of stdin as a request
    #[arg(long, short = 'l', conflicts_with = "body")]
    lines: bool,
    /// Wait for at most this many replies at a time [default: 1]
    #[arg(
        long,
        short = 'j',
        value_name = "REQUESTS",
        default_value_t = 1,
        hide_default_value = true,
        value_parser = clap::value_parser!(u16).range(1..)
    )]
    jobs: u16,
    /// Receive replies in an exclusive queue rather than through the broker's direct reply-to
    #[arg(long)]
    reply_queue: bool,
    #[command(flatten)]
    declare: DeclareOptions,
    #[command(flatten)]
    properties: PropertyOptions,
}

/// Replies to come, oldest request first.
type PendingReplies = VecDeque<JoinHandle<Result<Delivery, Error>>>;

pub async fn run(args: Args, cx: &mut Context) -> Result<Answer, CommandError> {
    let mut printer = Printer::new(cx.out.format(), None)?;
    let properties = args.properties.properties()?;
    let stdin = if args.lines { Stdin::Lines } else { Stdin::Whole };
    if properties.correlation_id.is_some() && args.jobs > 1 {
        let problem =
            "--correlation-id needs --jobs 1, because requests at the same time cannot share an id";
        return Err(CommandError::usage(problem));
    }
    if properties.reply_to.is_some() {
        return Err(CommandError::Usage {
            problem: "--reply-to has no effect, because mq rpc-call receives the replies itself"
                .into(),
            hint: Some("leave out --reply-to, or send the request with `mq publish`".into()),
        });
    }
    if args.declare.is_wanted() && args.queue.is_none() {
        return Err(CommandError::usage("--declare has nothing to declare without --queue"));
    }
    let mut bodies = Bodies::new(args.body, Vec::<PathBuf>::new(), stdin, &mut cx.out)?;
    let mut queue = args.queue;
    if let (Some(queue), Some(durability)) = (&mut queue, args.declare.or(Declare::No)) {
        // The broker may have changed the name.
        *queue = cx.engine.ensure_queue(queue, durability, FieldTable::new()).await?.name;
    }
    let options = RpcOptions {
        exchange: args.exchange.unwrap_or_default(),
        routing_key: queue.or(args.routing_key).unwrap_or_default(),
        reply_to: if args.reply_queue { ReplyTo::ExclusiveQueue } else { ReplyTo::Direct },
    };
    let timeout = cx.engine.target().timeout();
    let caller = Arc::new(cx.engine.rpc_caller(options).await?);
    let mut waiting = PendingReplies::new();
    while let Some(body) = bodies.next().await? {
        if waiting.len() >= usize::from(args.jobs) {
            print_oldest(&mut waiting, &mut printer, cx).await?;
        }
        waiting.push_back(call(&caller, body, &properties, timeout));
    }
    while !waiting.is_empty() {
        print_oldest(&mut waiting, &mut printer, cx).await?;
    }
    printer.finish(&mut cx.out)?;
    if let Some(caller) = Arc::into_inner(caller) {
        // Every reply is printed; a broker that has ended since then takes none of them back.
        let _ = caller.close().await;
    }
    Ok(Answer::Yes)
}

fn call(
    caller: &Arc<RpcCaller>,
    body: Bytes,
    properties: &Properties,
    timeout: Duration,
) -> JoinHandle<Result<Delivery, Error>> {
    let (caller, properties) = (Arc::clone(caller), properties.clone());
    tokio::spawn(async move { caller.call(body, properties, timeout).await })
}

async fn print_oldest(
    waiting: &mut PendingReplies,
    printer: &mut Printer,
    cx: &mut Context,
) -> Result<(), CommandError> {
    if let Some(oldest) = waiting.pop_front() {
        let reply = oldest.await.expect("a call's task neither panics nor is aborted")?;
        printer.print(&reply, "", &mut cx.out)?;
        cx.out.flush()?;
    }
    Ok(())
}
