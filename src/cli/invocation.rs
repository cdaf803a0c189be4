//! One run of `mq`: reads the command line, runs the command, prints an error if there is one, returns the exit code.

use std::ffi::OsString;
use std::io;
use std::time::Duration;

use clap::FromArgMatches;
use clap::error::ErrorKind;
use tokio::runtime::Builder;

use super::command_line::Cli;
use super::global::GlobalOptions;
use super::{local, rabbitmqctl, tips};
use crate::commands::serve::config::{self, Unread};
use crate::commands::{self, Answer, Command, CommandError, Context, Interrupt};
use crate::engine::{Engine, Target};
use crate::exit::Code;
use crate::render::{Format, Output, OutputSettings, Problem};

/// The time that closing the connection to the broker may take after Ctrl-C.
const GOODBYE_AFTER_INTERRUPT: Duration = Duration::from_secs(1);
/// The time that a command may take to end in order after Ctrl-C, closing its connection included.
const END_AFTER_INTERRUPT: Duration = Duration::from_secs(2);

/// After how many turns of busy connections the sockets of the others are looked at.
const TURNS_BETWEEN_EVENTS: u32 = 4;

/// A command line that is right.
#[derive(Debug)]
pub struct Invocation {
    cli: Cli,
    /// rabbitmqctl's `-n`, which is ignored.
    names_node: bool,
}

/// A command line that ends the program before a command runs: help, a version, or a mistake.
#[derive(Debug)]
pub struct Stopped {
    error: clap::Error,
    wants_json: bool,
}

impl Invocation {
    /// Reads the command line, the program's name first.
    pub fn read(arguments: impl IntoIterator<Item = OsString>) -> Result<Self, Stopped> {
        let arguments: Vec<OsString> = arguments.into_iter().collect();
        let mut definition = Cli::definition_for(&arguments);
        let stopped = |error| Stopped { error, wants_json: wants_json(&arguments) };
        let read = local::joined(arguments.clone(), &definition)
            .map_err(Unread::Usage)
            .and_then(|all| config::read(&mut definition, all, environment))
            .and_then(|(matches, applied)| {
                let mut cli = Cli::from_arg_matches(&matches).map_err(Unread::Usage)?.with(applied);
                let names_node = rabbitmqctl::taken_over(&mut cli.global, &matches);
                Ok(Self { cli, names_node })
            });
        read.map_err(|unread| match unread {
            Unread::Usage(error) => {
                stopped(tips::shown(error.format(&mut definition), &definition))
            }
            Unread::Setting(wrong) => {
                stopped(clap::Error::raw(ErrorKind::InvalidValue, format!("{wrong}\n")))
            }
        })
    }

    /// Runs the command; prints its error, if any.
    pub fn run(self) -> u8 {
        let mut settings = self.cli.global.settings();
        if let Command::Serve(args) = &self.cli.command
            && args.logs_json()
        {
            // An error of the start is a line of the log like any other.
            settings.format = Some(Format::Json);
        }
        let mut out = Output::of_process(settings);
        if self.names_node {
            // If nobody can read it, the command works all the same.
            let _ = out.note("note: --node is ignored: --url names the broker");
        }
        let ended = run(self.cli, out);
        out = ended.1;
        let answer = ended.0.and_then(|answer| {
            out.flush()?;
            Ok(answer)
        });
        match answer {
            Ok(Answer::Yes) => Code::Done.number(),
            Ok(Answer::No) => Code::No.number(),
            Ok(Answer::Exit(code)) => code,
            // Who asked has stopped reading: `mq list-queues | head -1`.
            Err(CommandError::Output(error)) if error.kind() == io::ErrorKind::BrokenPipe => {
                Code::Done.number()
            }
            Err(error) => {
                let code = error.code();
                // What was answered before the error is still an answer, if anybody reads it.
                let _ = out.flush();
                let (reason, so_far) = error.parts();
                if code != Code::Interrupted {
                    let problem = Problem::of(reason, reason.hint(), code.number());
                    let _ = problem.after(so_far).print(&mut out);
                } else if let Some(so_far) = so_far {
                    let _ = out.note(&format!("so far: {so_far}"));
                }
                code.number()
            }
        }
    }
}

/// Runs what needs no broker here, and the rest in an async runtime.
fn run(cli: Cli, mut out: Output) -> (Result<Answer, CommandError>, Output) {
    let Cli { global, command } = cli;
    if let (true, Some(option)) = (asks_no_broker(&command), global.broker_option()) {
        let error = CommandError::Usage {
            problem: format!("this command does not use a broker, so {option} has no effect"),
            hint: Some(format!("leave out {option}")),
        };
        return (Err(error), out);
    }
    match command {
        Command::Completions(args) => {
            (commands::completions::run(&args, &Cli::taught(), &mut out), out)
        }
        Command::Man(args) => (commands::man::run(&args, Cli::definition(), &mut out), out),
        Command::Help(args) => (commands::help::run(&args, Cli::definition(), &mut out), out),
        Command::InstallLinks(args) => (commands::install_links::run(&args, &mut out), out),
        Command::Store(args) => (commands::store::run(args, &mut out), out),
        Command::Restore(args) => (commands::restore::run(args, &mut out), out),
        Command::Admin(ref admin) if let Some(error) = admin.refusal() => (Err(error), out),
        command => {
            if !matches!(command, Command::Serve(_) | Command::Run(_)) {
                end_late_after_interrupt();
            }
            let runtime = match runtime_for(&global, &command).enable_all().build() {
                Ok(runtime) => runtime,
                Err(error) => return (Err(CommandError::Runtime(error)), out),
            };
            let ended = runtime.block_on(Box::pin(run_async(global, command, out)));
            // Threads that read stdin must not hold the program back.
            runtime.shutdown_background();
            ended
        }
    }
}

/// Commands that are a broker, or need none.
fn asks_no_broker(command: &Command) -> bool {
    match command {
        Command::Context(args) => !args.takes_broker(),
        Command::Serve(_)
        | Command::Run(_)
        | Command::Store(_)
        | Command::Restore(_)
        | Command::InstallLinks(_)
        | Command::Completions(_)
        | Command::Man(_)
        | Command::Help(_) => true,
        _ => false,
    }
}

/// A broker in this process uses several cores. A command that waits for programs or a slow reader of its output leaves
/// the connection, and its heartbeats, to a thread of their own; the rest is quicker on one.
fn runtime_for(global: &GlobalOptions, command: &Command) -> tokio::runtime::Builder {
    match command {
        Command::Serve(args) => {
            let mut builder = Builder::new_multi_thread();
            // A connection's turn is long, so the sockets are looked at after few of them.
            builder.worker_threads(args.threads()).event_interval(TURNS_BETWEEN_EVENTS);
            builder
        }
        Command::Run(_) | Command::Tutorial(_) => Builder::new_multi_thread(),
        _ if global.may_host() => Builder::new_multi_thread(),
        Command::Consume(_) | Command::RpcCall(_) | Command::RpcServe(_) => {
            let mut builder = Builder::new_multi_thread();
            builder.worker_threads(1);
            builder
        }
        _ => Builder::new_current_thread(),
    }
}

/// Sees to it that Ctrl-C ends a command that cannot notice it, because it reads the terminal or a broker hangs: the
/// second one at once, the first after a while. What was not acknowledged goes back when the connection is gone.
fn end_late_after_interrupt() {
    let watch = || {
        let Ok(runtime) = Builder::new_current_thread().enable_all().build() else { return };
        runtime.block_on(async {
            let Ok(mut interrupt) = Interrupt::listen() else { return };
            interrupt.wait().await;
            let _ = tokio::time::timeout(END_AFTER_INTERRUPT, interrupt.wait()).await;
            std::process::exit(Code::Interrupted.number().into());
        });
    };
    // Without the thread Ctrl-C still ends whatever waits in order.
    let _ = std::thread::Builder::new().name("interrupt".to_owned()).spawn(watch);
}

async fn run_async(
    global: GlobalOptions,
    command: Command,
    mut out: Output,
) -> (Result<Answer, CommandError>, Output) {
    // A broker of our own has no target; TLS files are its own.
    let command = match command {
        Command::Serve(args) => {
            let (tls, is_quiet) = (global.target_options().tls, global.quiet);
            return (Box::pin(commands::serve::run(*args, tls, is_quiet, &mut out)).await, out);
        }
        Command::Run(args) => {
            return (Box::pin(commands::run::run(args, &mut out)).await, out);
        }
        command => command,
    };
    let command = match command {
        Command::Context(args) => {
            return (commands::contexts::run(args, global.target_options(), &mut out).await, out);
        }
        command => command,
    };
    let target = Target::resolve(global.target_options(), |name| std::env::var(name).ok());
    let target = match target {
        Ok(target) => target,
        Err(error) => return (Err(error.into()), out),
    };
    let command = match command {
        Command::Tutorial(args) => {
            if !target.is_named() && target.is_vhost_named() {
                let error = CommandError::usage(
                    "--vhost alone does not name a broker: add --url or --local",
                );
                return (Err(error), out);
            }
            let named = target.is_named().then_some(target);
            return (Box::pin(commands::tutorial::run(args, named, &mut out)).await, out);
        }
        Command::Wait(args) => {
            let limit = global.timeout;
            return (Box::pin(commands::wait::run(&args, target, limit, &mut out)).await, out);
        }
        command => command,
    };
    let engine = match Engine::open(target).await {
        Ok(engine) => engine,
        Err(error) => return (Err(error.into()), out),
    };
    let mut cx = Context { engine, out, timeout: global.timeout };
    let answer = until_interrupted(command, &mut cx).await;
    let Context { engine, mut out, .. } = cx;
    if let Some(note) = engine.note() {
        // What cannot be written to stderr can be told nowhere.
        let _ = out.note(note);
    }
    let closed = match answer {
        Err(ref error) if error.code() == Code::Interrupted => {
            // A broker that does not answer now must not keep the user waiting.
            let _ = tokio::time::timeout(GOODBYE_AFTER_INTERRUPT, engine.close()).await;
            Ok(())
        }
        Err(_) => engine.close().await.or(Ok(())),
        Ok(_) => engine.close().await,
    };
    (answer.and_then(|answer| closed.map(|()| answer).map_err(CommandError::from)), out)
}

/// Ctrl-C ends a command where it waits; commands that hold messages see to it themselves.
async fn until_interrupted(command: Command, cx: &mut Context) -> Result<Answer, CommandError> {
    if let Command::Bench(_) | Command::Consume(_) | Command::Publish(_) | Command::RpcServe(_) =
        &command
    {
        return Box::pin(command.run(cx)).await;
    }
    let mut interrupt = Interrupt::listen()?;
    tokio::select! {
        answer = Box::pin(command.run(cx)) => answer,
        () = interrupt.wait() => Err(CommandError::Interrupted),
    }
}

impl Stopped {
    /// Prints help to stdout and mistakes to stderr.
    pub fn print(&self) -> Code {
        let is_mistake =
            !matches!(self.error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion);
        if is_mistake && self.wants_json {
            let text = self.error.render().to_string();
            let (first, rest) = text.split_once("\n\n").unwrap_or((text.as_str(), ""));
            let problem = Problem {
                error: first.trim_start_matches("error: ").to_owned(),
                causes: Vec::new(),
                so_far: None,
                hint: (!rest.is_empty()).then(|| rest.trim().to_owned()),
                code: Code::Usage.number(),
            };
            let settings =
                OutputSettings { format: Some(Format::Json), ..OutputSettings::default() };
            let _ = problem.print(&mut Output::of_process(settings));
        } else {
            // A help page that nobody reads to its end is no error.
            let _ = self.error.print();
        }
        if is_mistake { Code::Usage } else { Code::Done }
    }
}

/// The variables of the process that are text.
fn environment() -> Vec<(String, String)> {
    let texts = |(name, value): (OsString, OsString)| {
        Some((name.into_string().ok()?, value.into_string().ok()?))
    };
    std::env::vars_os().filter_map(texts).collect()
}

/// Answers whether the answer was to be JSON, as far as a command line that was not understood shows.
fn wants_json(arguments: &[OsString]) -> bool {
    let texts: Vec<&str> = arguments.iter().filter_map(|argument| argument.to_str()).collect();
    let is_json = |value: &str| matches!(value, "json" | "jsonl");
    let names = ["--format", "-o", "--log-format"];
    texts.windows(2).any(|pair| names.contains(&pair[0]) && is_json(pair[1]))
        || texts.iter().any(|text| {
            let value = ["--format=", "-o", "--log-format="]
                .iter()
                .find_map(|name| text.strip_prefix(name));
            value.is_some_and(is_json)
        })
}
