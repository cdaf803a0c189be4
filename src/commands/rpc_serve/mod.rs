//! `mq rpc-serve`: answer the RPC requests in a queue, by a program or a built-in function.
//!
//! A request is acknowledged after the broker has its reply, so that one whose server dies is answered by another.

mod builtin;
mod coprocess;

use std::time::Duration;

use bytes::Bytes;
use tokio::sync::watch;
use tokio::task::JoinSet;

use self::builtin::Builtin;
use self::coprocess::Coprocess;
use super::declare::{Declare, DeclareOptions};
use super::examples::examples;
use super::failing::{FailingOptions, NextStep};
use super::handler::{Ended, Handler, Stdout};
use super::options::name;
use super::{Answer, CommandError, Context, Interrupt};
use crate::engine::consume::Requeue;
use crate::engine::{Delivery, FieldTable, Properties, Replier, RpcServer, ShortStr};
use crate::render::{Output, words};

/// Answer the RPC requests in a queue
///
/// Each reply goes to the request's reply-to queue, with the request's correlation id; then the request is
/// acknowledged. To handle messages that want no reply, use `mq consume --exec`.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = examples(&[
    "mq rpc-serve --queue fib --builtin fib",
    "mq rpc-serve --queue upper --exec 'tr a-z A-Z' --jobs 4",
]))]
pub struct Args {
    /// Answer the requests in this queue; it is declared if it does not exist
    #[arg(long, value_name = "QUEUE", value_parser = name::queue)]
    queue: ShortStr,
    #[command(flatten)]
    declare: DeclareOptions,
    #[command(flatten)]
    by: AnswerOptions,
    /// Stop after this many requests [default: no limit]
    #[arg(long, short = 'n', value_name = "REQUESTS", value_parser = clap::value_parser!(u64).range(1..))]
    count: Option<u64>,
    /// Run at most this many commands at a time with --exec [default: 1]
    #[arg(
        long,
        short = 'j',
        value_name = "HANDLERS",
        requires = "exec",
        default_value_t = 1,
        hide_default_value = true,
        value_parser = clap::value_parser!(u16).range(1..)
    )]
    jobs: u16,
    #[command(flatten)]
    failing: FailingOptions,
}

#[derive(Clone, Debug, clap::Args)]
#[group(required = true, multiple = false)]
struct AnswerOptions {
    /// Run this shell command for each request: it reads the body from stdin and writes the reply to stdout
    #[arg(long, value_name = "COMMAND")]
    exec: Option<String>,
    /// Start this shell command once: it reads each request as a line of stdin and writes each reply as a line of
    /// stdout
    #[arg(long, value_name = "COMMAND")]
    coprocess: Option<String>,
    /// Answer with a built-in function: a Fibonacci number, the request itself, or its text in capitals
    #[arg(long, value_name = "NAME", value_enum)]
    builtin: Option<Builtin>,
}

/// The answering side: a program or a built-in answer, ready to work.
enum Answerer {
    Exec(Handler),
    Coprocess(Box<Coprocess>),
    Builtin(Builtin),
}

/// A request, how often it was tried, and how its program ended the last time.
struct Executed {
    handler: Handler,
    request: Delivery,
    attempts: u32,
    /// `None` when it was not tried again, because the command ends.
    ended: Option<Result<Ended, CommandError>>,
}

pub async fn run(args: Args, cx: &mut Context) -> Result<Answer, CommandError> {
    let mut interrupt = Interrupt::listen()?;
    let by = args.by.start()?;
    let mut queue = args.queue.clone();
    if let Some(durability) = args.declare.or(Declare::Durable) {
        // The broker may have changed the name.
        queue = cx.engine.ensure_queue(&queue, durability, FieldTable::new()).await?.name;
    }
    let requests = cx.engine.rpc_server(&queue, args.jobs).await?;
    cx.out.note(&format!("answering the requests in queue '{queue}'; press Ctrl-C to stop"))?;
    let mut replies = Answers {
        replier: requests.replier(),
        queue,
        failing: args.failing,
        running: JoinSet::new(),
        failed: 0,
        ending: watch::Sender::new(false),
    };
    let come = replies.serve(requests, by, &args, &mut interrupt, &mut cx.out).await?;
    if replies.failed == 0 {
        return Ok(Answer::Yes);
    }
    let come = words::counted(come, "request");
    cx.out.note(&format!("{} of {come} failed", words::grouped(replies.failed)))?;
    Ok(Answer::No)
}

impl AnswerOptions {
    fn start(&self) -> Result<Answerer, CommandError> {
        match (&self.exec, &self.coprocess, self.builtin) {
            (Some(command), _, _) => Ok(Answerer::Exec(Handler { command: command.clone() })),
            (None, Some(command), _) => {
                Ok(Answerer::Coprocess(Box::new(Coprocess::start(command)?)))
            }
            (None, None, Some(builtin)) => Ok(Answerer::Builtin(builtin)),
            (None, None, None) => {
                Err(CommandError::usage("no command or built-in function is named"))
            }
        }
    }
}

struct Answers {
    replier: Replier,
    queue: ShortStr,
    failing: FailingOptions,
    running: JoinSet<Executed>,
    failed: u64,
    /// True once no more requests are taken.
    ending: watch::Sender<bool>,
}

impl Answers {
    /// Answers until enough requests have come; returns how many.
    async fn serve(
        &mut self,
        mut requests: RpcServer,
        mut by: Answerer,
        args: &Args,
        interrupt: &mut Interrupt,
        out: &mut Output,
    ) -> Result<u64, CommandError> {
        let mut come = 0;
        while args.count.is_none_or(|count| come < count) {
            // Every arm is cancel-safe: a request that has come is returned, an answer stays in the set. An
            // interrupt ends the wait, not an answer that is being given.
            let request = tokio::select! {
                request = requests.next(), if self.running.len() < usize::from(args.jobs) => request?,
                Some(done) = self.running.join_next() => {
                    let done = done.expect("an answer's task neither panics nor is aborted");
                    self.settle(done, out).await?;
                    continue;
                }
                () = interrupt.wait() => return Err(CommandError::Interrupted),
            };
            let Some(request) = request else {
                return Err(CommandError::Cancelled { queue: self.queue.to_string() });
            };
            come += 1;
            match &mut by {
                Answerer::Exec(handler) => self.start(handler, request, 1, Duration::ZERO),
                Answerer::Coprocess(coprocess) => {
                    let answer = coprocess.ask(&request.body).await?;
                    self.answer(&request, answer, out).await?;
                }
                Answerer::Builtin(builtin) => {
                    let answer = builtin.answer(&request.body);
                    self.answer(&request, answer, out).await?;
                }
            }
        }
        self.ending.send_replace(true);
        while let Some(done) = self.running.join_next().await {
            let done = done.expect("an answer's task neither panics nor is aborted");
            self.settle(done, out).await?;
        }
        requests.close().await?;
        Ok(come)
    }

    /// Runs the program for a request after a pause. A request that is tried again keeps its place among the jobs.
    fn start(&mut self, handler: &Handler, request: Delivery, attempts: u32, pause: Duration) {
        let (handler, queue, failing) = (handler.clone(), self.queue.clone(), self.failing);
        let mut ending = self.ending.subscribe();
        self.running.spawn(async move {
            let ended = if pause.is_zero() || failing.pause(pause, &mut ending).await {
                Some(handler.handle(&request, &queue, Stdout::Captured).await)
            } else {
                None
            };
            Executed { handler, request, attempts, ended }
        });
    }

    /// Answers a request by what its program wrote, or has it tried again.
    async fn settle(
        &mut self,
        Executed { handler, request, attempts, ended }: Executed,
        out: &mut Output,
    ) -> Result<(), CommandError> {
        let Some(ended) = ended else {
            self.failed += 1;
            return Ok(self.replier.fail(&request, Requeue::Yes)?);
        };
        let Ended { status, answer } = ended?;
        let fate = self.failing.fate(status, attempts, *self.ending.borrow());
        let requeue = match fate {
            NextStep::Done => return self.answer(&request, answer, out).await,
            NextStep::Stop { what, hint } => return Err(handler.hopeless(what, hint)),
            NextStep::Again(_) | NextStep::GiveBack => Requeue::Yes,
            NextStep::Reject => Requeue::No,
        };
        let told = format!("handler ended with {status}: request {} {}", request.tag, fate.words());
        out.note(&told)?;
        if let NextStep::Again(pause) = fate {
            self.start(&handler, request, attempts + 1, pause);
            return Ok(());
        }
        self.failed += 1;
        Ok(self.replier.fail(&request, requeue)?)
    }

    async fn answer(
        &self,
        request: &Delivery,
        body: Bytes,
        out: &mut Output,
    ) -> Result<(), CommandError> {
        let was_heard = self.replier.answer(request, body, Properties::default()).await?;
        if !was_heard {
            out.note(&format!("no client waits for the reply to request {}", request.tag))?;
        }
        Ok(())
    }
}
