//! The commands: one file each, with its arguments, what it does, and the rows it prints.
//!
//! A command reads its arguments, makes one or a few calls of [`crate::engine`], and hands the result to
//! [`crate::render`]. It opens no socket, sees no frame and prints nothing by itself; a command that needs an
//! `if` about the protocol is asking for an engine method.
//!
//! To add a command, write its file, and in this one its module, its variant of [`Command`] and the line that runs it.
//! A list, or a command of administration, is a row of [`admin`].
//!
//! Reading order: [`purge_queue`] (the shortest), [`Context`], [`CommandError`], [`publish`], [`consume`].

mod context;
mod declare;
mod error;
mod examples;
mod failing;
mod handler;
mod input;
mod options;
mod signals;
mod template;
mod typed_password;

pub mod admin;
pub mod bench;
pub mod bind;
pub mod completions;
pub mod consume;
pub mod contexts;
pub mod declare_exchange;
pub mod declare_queue;
pub mod delete_exchange;
pub mod delete_queue;
pub mod expect;
pub mod get;
pub mod help;
pub mod install_links;
mod list;
pub mod man;
pub mod ping;
pub mod publish;
pub mod purge_queue;
pub mod rabbitmq;
pub mod rabbitmqadmin;
pub mod restore;
pub mod route;
pub mod rpc_call;
pub mod rpc_serve;
pub mod run;
pub mod serve;
pub mod smoke;
pub mod status;
pub mod store;
pub mod tutorial;
pub mod unbind;
pub mod wait;

pub use context::{Answer, Context, Interrupt};
pub use error::CommandError;

use clap::Subcommand;

/// Every command; its help and its options are with its code.
#[derive(Debug, Subcommand)]
#[command(disable_help_subcommand = true)]
pub enum Command {
    Serve(Box<serve::Args>),
    Run(run::Args),
    Publish(publish::Args),
    Consume(consume::Args),
    Get(get::Args),
    RpcCall(rpc_call::Args),
    RpcServe(rpc_serve::Args),
    DeclareExchange(declare_exchange::Args),
    DeclareQueue(declare_queue::Args),
    Bind(bind::Args),
    Unbind(unbind::Args),
    Route(route::Args),
    DeleteExchange(delete_exchange::Args),
    DeleteQueue(delete_queue::Args),
    PurgeQueue(purge_queue::Args),
    #[command(flatten)]
    Admin(admin::AdminCommand),
    Status(status::Args),
    Store(store::Args),
    Restore(restore::Args),
    Ping(ping::Args),
    Wait(wait::Args),
    Smoke(smoke::Args),
    Expect(Box<expect::Args>),
    Bench(bench::Args),
    Tutorial(tutorial::Args),
    Context(contexts::Args),
    InstallLinks(install_links::Args),
    Completions(completions::Args),
    Man(man::Args),
    Help(help::Args),
}

impl Command {
    /// Runs a command that works with a broker, which is open; the others are run before.
    pub async fn run(self, cx: &mut Context) -> Result<Answer, CommandError> {
        match self {
            Self::Publish(args) => publish::run(args, cx).await,
            Self::Consume(args) => consume::run(args, cx).await,
            Self::Get(args) => get::run(args, cx).await,
            Self::RpcCall(args) => rpc_call::run(args, cx).await,
            Self::RpcServe(args) => rpc_serve::run(args, cx).await,
            Self::DeclareExchange(args) => declare_exchange::run(args, cx).await,
            Self::DeclareQueue(args) => declare_queue::run(args, cx).await,
            Self::Bind(args) => bind::run(args, cx).await,
            Self::Unbind(args) => unbind::run(args, cx).await,
            Self::Route(args) => route::run(args, cx).await,
            Self::DeleteExchange(args) => delete_exchange::run(args, cx).await,
            Self::DeleteQueue(args) => delete_queue::run(args, cx).await,
            Self::PurgeQueue(args) => purge_queue::run(args, cx).await,
            Self::Admin(command) => admin::run(command, cx).await,
            Self::Status(args) => status::run(args, cx).await,
            Self::Ping(args) => ping::run(args, cx).await,
            Self::Smoke(args) => smoke::run(args, cx).await,
            Self::Expect(args) => expect::run(*args, cx).await,
            Self::Bench(args) => bench::run(args, cx).await,
            Self::Serve(_)
            | Self::Run(_)
            | Self::Tutorial(_)
            | Self::Wait(_)
            | Self::Context(_)
            | Self::Store(_)
            | Self::Restore(_)
            | Self::InstallLinks(_)
            | Self::Completions(_)
            | Self::Help(_)
            | Self::Man(_) => {
                unreachable!("run without an engine")
            }
        }
    }
}
