//! `mq context`: brokers with names, and the one that commands work with.

use serde_json::{Value, json};

use super::examples::examples;
use super::list::{self, ListOptions};
use super::options::confirm::Confirm;
use super::{Answer, CommandError, typed_password};
use crate::engine::contexts::{self, NamedContext, PasswordSource};
use crate::engine::{Password, Target, TargetOptions, TlsFiles, chosen_context};
use crate::render::{Column, Output};

/// Most bytes of the name of a context: it is one word of a table.
const NAME_BYTES_MAX: usize = 100;

/// Give brokers names, and choose the one that commands work with
///
/// A context is a broker with a name: its URL, and if needed the URL of its management API, a virtual host, TLS files
/// and the source of its password. Contexts are stored in $XDG_CONFIG_HOME/mq/contexts.toml or
/// ~/.config/mq/contexts.toml, which only its owner can read.
///
/// A project names its broker in the file .mq.toml, in the working directory or above it. It has the keys `context`, or
/// `url` and `http-url`, and `vhost`; it cannot name a command. A file that belongs to another user is refused.
///
/// The first of these that names a broker decides, and no file is read if one of the first three names a URL or a
/// directory:
///
/// 1. the option --url, --local or --context
///
/// 2. the variable MQ_URL, MQ_LOCAL or MQ_CONTEXT
///
/// 3. the variable AMQP_URL, then RABBITMQ_URL
///
/// 4. the project's .mq.toml
///
/// 5. the context that `mq context use` chose
///
/// 6. the default, amqp://guest:guest@localhost:5672
///
/// --vhost, --http-url and the TLS options change a context for one command; MQ_HTTP_URL does too, unless --context is
/// given.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = examples(&[
    "mq context add prod --url amqps://app@mq.example.com/orders --password-command 'pass show mq/prod'",
    "mq context add test --url amqp://localhost && mq context use test && mq context show test",
    "mq context list && mq context use --none && mq context remove test --yes",
]))]
#[expect(clippy::doc_markdown, reason = "shown in a terminal, not in a browser")]
pub struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Clone, Debug, clap::Subcommand)]
enum Action {
    Add(Box<AddArgs>),
    List(ListArgs),
    Use(UseArgs),
    Show(ShowArgs),
    Remove(RemoveArgs),
}

/// Add a context for the broker that --url names
///
/// --http-url, --vhost and the TLS options are stored with it. If the URL names a user and no source of the password is
/// given, the password is asked for, or read from the first line of stdin, and stored in the file. The broker is not
/// contacted: `mq ping --context NAME` does that.
#[derive(Clone, Debug, clap::Args)]
struct AddArgs {
    /// The name of the context: letters, digits, and - _ . behind the first
    #[arg(value_parser = name)]
    name: String,
    /// Run this shell command for the password, which is the first line it prints, for example 'pass show mq'
    #[arg(long, value_name = "COMMAND", conflicts_with_all = ["password_env", "no_password"])]
    password_command: Option<String>,
    /// Take the password from this environment variable
    #[arg(long, value_name = "VARIABLE", conflicts_with = "no_password")]
    password_env: Option<String>,
    /// Store no password and do not ask for one
    #[arg(long)]
    no_password: bool,
    /// Use the context from now on, like `mq context use`
    #[arg(long = "use")]
    is_used: bool,
    /// Replace the context if there is one with this name
    #[arg(long)]
    replace: bool,
}

/// List the contexts; passwords are not shown
///
/// The column in_use is true for the one that `mq context use` chose.
#[derive(Clone, Debug, clap::Args)]
#[expect(clippy::doc_markdown, reason = "shown in a terminal, not in a browser")]
struct ListArgs {
    #[command(flatten)]
    options: ListOptions,
}

/// Use a context if nothing else names a broker
#[derive(Clone, Debug, clap::Args)]
struct UseArgs {
    /// The context
    #[arg(required_unless_present = "none", conflicts_with = "none")]
    name: Option<String>,
    /// Use none
    #[arg(long)]
    none: bool,
}

/// Show a context; its password is not shown
///
/// Without a name it shows the context that commands work with here, and where it is named. If commands work with no
/// context, it exits with code 1.
#[derive(Clone, Debug, clap::Args)]
struct ShowArgs {
    /// The context [default: the one that commands work with]
    name: Option<String>,
}

/// Remove contexts, with their stored passwords
#[derive(Clone, Debug, clap::Args)]
struct RemoveArgs {
    /// The contexts
    #[arg(value_name = "NAME", required = true)]
    names: Vec<String>,
    #[command(flatten)]
    confirm: Confirm,
}

impl Args {
    /// Answers whether the command is about the broker of the global options.
    pub fn takes_broker(&self) -> bool {
        matches!(self.action, Action::Add(_))
    }
}

pub async fn run(
    args: Args,
    given: TargetOptions,
    out: &mut Output,
) -> Result<Answer, CommandError> {
    match args.action {
        Action::Add(args) => add(&args, given, out),
        Action::List(args) => {
            let rows = async |_: crate::engine::Fields<'_>| rows();
            list::show_rows(COLUMNS, USUAL, args.options, rows, out).await
        }
        Action::Use(args) => choose(&args, out),
        Action::Show(args) => show(args, &given, out),
        Action::Remove(args) => remove(&args, out),
    }
}

/// Reads a name that needs no quotes in a shell and cannot be taken for an option.
fn name(text: &str) -> Result<String, &'static str> {
    let is_plain = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '.');
    if text.len() > NAME_BYTES_MAX {
        return Err("it has more than 100 bytes");
    }
    match text.chars().next() {
        Some(first) if first.is_alphanumeric() && text.chars().all(is_plain) => Ok(text.to_owned()),
        _ => Err("a name has letters, digits, and - _ . behind the first"),
    }
}

fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

fn add(args: &AddArgs, given: TargetOptions, out: &mut Output) -> Result<Answer, CommandError> {
    let name = args.name.clone();
    let others = [
        (given.local.is_some(), "--local"),
        (given.context.is_some(), "--context"),
        (given.timeout.is_some(), "--timeout"),
    ];
    if let Some((_, option)) = others.into_iter().find(|(is_given, _)| *is_given) {
        return Err(CommandError::usage(format!("a context does not store {option}")));
    }
    let Some(url) = given.url.clone() else {
        return Err(CommandError::Usage {
            problem: "no URL is given for the context".into(),
            hint: Some(format!("mq context add {name} --url amqp://user@host/vhost")),
        });
    };
    if !args.replace && contexts::read(environment)?.contexts.get(&name).is_ok() {
        return Err(CommandError::Usage {
            problem: format!("the context '{name}' exists"),
            hint: Some("replace it with --replace, or choose another name".into()),
        });
    }
    // Everything that a command would refuse is refused now.
    Target::resolve(given.clone(), |_| None)?;
    let mut context = NamedContext {
        url,
        http_url: given.http_url,
        vhost: given.vhost,
        tls: absolute(given.tls)?,
        password: PasswordSource::None,
    };
    if let Some(option) = context.revealing_url() {
        return Err(CommandError::Usage {
            problem: format!("the URL in {option} holds a password"),
            hint: Some(
                "leave the password out: it is asked for, or comes from --password-command or --password-env".into(),
            ),
        });
    }
    context.password = password_source(args, &context, out)?;
    let row = row(&name, &context, args.is_used);
    let is_first = contexts::change(environment, |contexts| {
        contexts.put(name.clone(), context);
        if args.is_used { contexts.choose(Some(&name)) } else { Ok(()) }?;
        Ok(contexts.in_use().is_none())
    })?;
    let hint =
        if is_first { format!("; `mq context use {name}` chooses it") } else { String::new() };
    out.done(&format!("added context '{name}'{hint}"), &row)?;
    Ok(Answer::Yes)
}

/// The source that was named, else the password that is typed, if the URL needs one.
fn password_source(
    args: &AddArgs,
    context: &NamedContext,
    out: &mut Output,
) -> Result<PasswordSource, CommandError> {
    match (&args.password_command, &args.password_env) {
        (Some(command), _) => Ok(PasswordSource::Command(command.clone())),
        (None, Some(variable)) => Ok(PasswordSource::Environment(variable.clone())),
        (None, None) if args.no_password || !context.lacks_password() => Ok(PasswordSource::None),
        (None, None) => {
            let typed = typed_password::typed(&format!("password of '{}'", args.name), out)?;
            if typed.is_empty() {
                return Err(CommandError::Usage {
                    problem: "the password is empty".into(),
                    hint: Some(
                        "give it on stdin, or name its source: --password-command, --password-env or --no-password".into(),
                    ),
                });
            }
            Ok(PasswordSource::Stored(Password::new(typed)))
        }
    }
}

/// The files by paths that mean the same in every directory.
fn absolute(tls: TlsFiles) -> Result<TlsFiles, CommandError> {
    let absolute = |path: Option<std::path::PathBuf>| {
        let path = path.map(std::path::absolute).transpose();
        path.map_err(|source| CommandError::File { doing: "find the TLS files".into(), source })
    };
    Ok(TlsFiles { ca: absolute(tls.ca)?, cert: absolute(tls.cert)?, key: absolute(tls.key)? })
}

/// The columns of the list; the first [`USUAL`] are shown if none is named.
const COLUMNS: &[Column] = &[
    Column::plain("name"),
    Column::plain("in_use"),
    Column::plain("url"),
    Column::plain("vhost"),
    Column::plain("password"),
    Column::plain("http_url"),
    Column::plain("tls_ca"),
    Column::plain("tls_cert"),
    Column::plain("tls_key"),
];
const USUAL: usize = 5;

fn rows() -> Result<Vec<Value>, CommandError> {
    let contexts = contexts::read(environment)?.contexts;
    let in_use = contexts.in_use();
    Ok(contexts.iter().map(|(name, context)| row(name, context, in_use == Some(name))).collect())
}

/// A context as data, without its password.
fn row(name: &str, context: &NamedContext, in_use: bool) -> Value {
    let password = match &context.password {
        PasswordSource::None => "none",
        PasswordSource::Stored(_) => "stored",
        PasswordSource::Command(_) => "command",
        PasswordSource::Environment(_) => "environment",
    };
    let mut row = json!({
        "name": name,
        "in_use": in_use,
        "url": context.url,
        "vhost": context.effective_vhost(),
        "password": password,
    });
    let TlsFiles { ca, cert, key } = &context.tls;
    let files = [("tls_ca", ca), ("tls_cert", cert), ("tls_key", key)];
    let files = files.map(|(name, file)| (name, file.as_ref().map(|file| json!(file))));
    let http_url = [("http_url", context.http_url.as_ref().map(|url| json!(url)))];
    for (name, value) in http_url.into_iter().chain(files) {
        if let Some(value) = value {
            row[name] = value;
        }
    }
    row
}

fn choose(args: &UseArgs, out: &mut Output) -> Result<Answer, CommandError> {
    contexts::change(environment, |contexts| contexts.choose(args.name.as_deref()))?;
    let words = match &args.name {
        Some(name) => format!("using context '{name}'"),
        None => "using no context".to_owned(),
    };
    out.done(&words, &json!({"in_use": args.name}))?;
    Ok(Answer::Yes)
}

fn show(args: ShowArgs, given: &TargetOptions, out: &mut Output) -> Result<Answer, CommandError> {
    let (name, by, contexts) = if let Some(name) = args.name {
        (name, None, contexts::read(environment)?.contexts)
    } else {
        let Some(chosen) = chosen_context(given, environment)? else {
            out.note("commands work with no context here")?;
            return Ok(Answer::No);
        };
        (chosen.name, Some(chosen.by), chosen.found.contexts)
    };
    let context = contexts.get(&name)?;
    let mut shown = row(&name, context, contexts.in_use() == Some(name.as_str()));
    match &context.password {
        PasswordSource::None | PasswordSource::Stored(_) => {}
        PasswordSource::Command(command) => shown["password_command"] = json!(command),
        PasswordSource::Environment(variable) => shown["password_env"] = json!(variable),
    }
    if let Some(by) = by {
        shown["named_by"] = by.into();
    }
    out.object(&shown)?;
    Ok(Answer::Yes)
}

fn remove(args: &RemoveArgs, out: &mut Output) -> Result<Answer, CommandError> {
    let names = &args.names;
    // A name that does not exist is told before the question.
    contexts::read(environment)?.contexts.remove(names)?;
    let quoted: Vec<String> = names.iter().map(|name| format!("'{name}'")).collect();
    let noun = if names.len() == 1 { "context" } else { "contexts" };
    let listed = format!("{noun} {}", quoted.join(", "));
    args.confirm.or_stop(&format!("remove {listed} and the stored passwords?"), out)?;
    contexts::change(environment, |contexts| contexts.remove(names))?;
    out.done(&format!("removed {listed}"), &json!({"removed": names}))?;
    Ok(Answer::Yes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_needs_no_quotes() {
        for good in ["prod", "eu-1.test_2", "größe", "9"] {
            assert_eq!(name(good).as_deref(), Ok(good));
        }
        for bad in ["", "-x", ".x", "a b", "a/b", "a'b", &"x".repeat(NAME_BYTES_MAX + 1)] {
            assert!(name(bad).is_err(), "{bad}");
        }
    }
}
