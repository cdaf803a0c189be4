//! `mq rpc-serve`: answer requests of a queue, by a program or by what is built in.
//!
//! A request is acknowledged after the broker has its reply, so that one whose server dies is answered by another.

mod builtin;
mod coprocess;

use std::time::Duration;

use bytes::Bytes;
use tokio::task::JoinSet;

use self::builtin::Builtin;
use self::coprocess::Coprocess;
use super::consume::OnFailure;
use super::handler::{Handler, Stdout};
use super::{Answer, CommandError, Context, Interrupt};
use crate::engine::consume::Requeue;
use crate::engine::{Delivery, Properties, Replier, RpcServer, ShortStr};
use crate::render::{Output, words};

/// The pause before a failed request goes back to its queue and comes again.
const PAUSE_AFTER_FAILURE: Duration = Duration::from_millis(500);

/// Answer the requests of a queue
///
/// The reply goes where the request asks for it, marked as the request is; then the request is acknowledged.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// The queue to answer; it is declared, durable, when it is not there
    #[arg(long, value_name = "QUEUE")]
    queue: ShortStr,
    /// Do not declare the queue
    #[arg(long)]
    no_declare: bool,
    #[command(flatten)]
    by: By,
    /// Stop after this many requests [default: go on]
    #[arg(long, short = 'n', value_name = "REQUESTS", value_parser = clap::value_parser!(u64).range(1..))]
    count: Option<u64>,
    /// Answer at most this many requests at a time with --exec [default: 1]
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
    /// What to do with a request whose command fails
    #[arg(long, value_name = "WHAT", value_enum, requires = "exec", default_value_t = OnFailure::Requeue)]
    on_failure: OnFailure,
}

#[derive(Clone, Debug, clap::Args)]
#[group(required = true, multiple = false)]
struct By {
    /// Run this shell command for each request: the body on its stdin, the reply from its stdout
    #[arg(long, value_name = "COMMAND")]
    exec: Option<String>,
    /// Keep this shell command running: a request is a line on its stdin, the reply a line of its stdout
    #[arg(long, value_name = "COMMAND")]
    coprocess: Option<String>,
    /// Answer with what is built in: a Fibonacci number, the request itself, or its text in capitals
    #[arg(long, value_name = "NAME", value_enum)]
    builtin: Option<Builtin>,
}

/// Who answers, ready to work.
enum Answerer {
    Exec(Handler),
    Coprocess(Box<Coprocess>),
    Builtin(Builtin),
}

/// A request and its answer; none when the handler failed.
type Answered = (Delivery, Result<Option<Bytes>, CommandError>);

pub async fn run(args: Args, cx: &mut Context) -> Result<Answer, CommandError> {
    let mut interrupt = Interrupt::listen()?;
    let by = args.by.start()?;
    if !args.no_declare {
        cx.engine.ensure_queue(&args.queue).await?;
    }
    let requests = cx.engine.rpc_server(&args.queue, args.jobs).await?;
    cx.out.note(&format!("answering the requests of queue '{}'; Ctrl-C ends it", args.queue))?;
    let mut replies = Work {
        replier: requests.replier(),
        queue: args.queue.clone(),
        on_failure: args.on_failure,
        running: JoinSet::new(),
        failed: 0,
    };
    let come = replies.serve(requests, by, &args, &mut interrupt, &mut cx.out).await?;
    if replies.failed == 0 {
        return Ok(Answer::Yes);
    }
    let come = words::counted(come, "request");
    cx.out.note(&format!("{} of {come} failed", words::grouped(replies.failed)))?;
    Ok(Answer::No)
}

impl By {
    fn start(&self) -> Result<Answerer, CommandError> {
        match (&self.exec, &self.coprocess, self.builtin) {
            (Some(command), _, _) => Ok(Answerer::Exec(Handler { command: command.clone() })),
            (None, Some(command), _) => {
                Ok(Answerer::Coprocess(Box::new(Coprocess::start(command)?)))
            }
            (None, None, Some(builtin)) => Ok(Answerer::Builtin(builtin)),
            (None, None, None) => Err(CommandError::usage("nothing is named that answers")),
        }
    }
}

struct Work {
    replier: Replier,
    queue: ShortStr,
    on_failure: OnFailure,
    running: JoinSet<Answered>,
    failed: u64,
}

impl Work {
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
                    self.settle(done.expect("an answer's task neither panics nor is aborted"), out).await?;
                    continue;
                }
                () = interrupt.wait() => return Err(CommandError::Interrupted),
            };
            let Some(request) = request else {
                return Err(CommandError::Gone { queue: self.queue.to_string() });
            };
            come += 1;
            match &mut by {
                Answerer::Exec(handler) => {
                    self.running.spawn(executed(
                        handler.clone(),
                        request,
                        self.queue.clone(),
                        self.on_failure,
                    ));
                }
                Answerer::Coprocess(coprocess) => {
                    let answer = coprocess.ask(&request.body).await?;
                    self.settle((request, Ok(Some(answer))), out).await?;
                }
                Answerer::Builtin(builtin) => {
                    let answer = builtin.answer(&request.body);
                    self.settle((request, Ok(Some(answer))), out).await?;
                }
            }
        }
        while let Some(done) = self.running.join_next().await {
            self.settle(done.expect("an answer's task neither panics nor is aborted"), out).await?;
        }
        requests.close().await?;
        Ok(come)
    }

    async fn settle(
        &mut self,
        (request, answer): Answered,
        out: &mut Output,
    ) -> Result<(), CommandError> {
        if let Some(body) = answer? {
            let was_heard = self.replier.answer(&request, body, Properties::default()).await?;
            if !was_heard {
                out.note(&format!("nobody waits for the reply to request {}", request.tag))?;
            }
            return Ok(());
        }
        self.failed += 1;
        let (requeue, fate) = match self.on_failure {
            OnFailure::Requeue => (Requeue::Yes, "goes back to the queue"),
            OnFailure::Reject => (Requeue::No, "is rejected"),
        };
        out.note(&format!("handler failed: request {} {fate}", request.tag))?;
        Ok(self.replier.fail(&request, requeue)?)
    }
}

async fn executed(
    handler: Handler,
    request: Delivery,
    queue: ShortStr,
    on_failure: OnFailure,
) -> Answered {
    let ended = handler.handle(&request, &queue, Stdout::Captured).await;
    let answer = ended.map(|ended| ended.status.success().then_some(ended.answer));
    if let (Ok(None), OnFailure::Requeue) = (&answer, on_failure) {
        tokio::time::sleep(PAUSE_AFTER_FAILURE).await;
    }
    (request, answer)
}
