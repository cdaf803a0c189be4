//! Settings as arguments of `mq serve`.

use std::ffi::OsString;
use std::net::Ipv6Addr;
use std::path::{Path, PathBuf};

use clap::error::{ContextKind, ContextValue};
use clap::parser::ValueSource;
use clap::{ArgMatches, Command};

use super::keys::{self, Does, Form};
use super::settings::{AllSettings, SetBy, Setting, Wrong};
use crate::commands::options::size::Size;
use crate::engine::{Watermark, machine_bytes};

/// RabbitMQ listens on all addresses, unless a key names one.
const EVERYWHERE: &str = "*";

/// The variable of `--as-rabbitmq-server`, which says where the configuration is.
const AS_SERVER: &str = "MQ_AS_RABBITMQ_SERVER";

/// Options of which only one may be given.
const EXCLUSIVE: [[&str; 2]; 2] = [["data-dir", "memory"], ["log-level", "log-level-file"]];

/// An option that a setting gives.
#[derive(Clone, Debug)]
struct GivenOption {
    option: &'static str,
    /// `None` for a flag.
    value: Option<String>,
    key: String,
    source: SetBy,
}

/// The settings that count, for the log and for `--print-config`.
#[derive(Clone, Debug, Default)]
pub struct AppliedSettings {
    given: Vec<GivenOption>,
    on_command_line: Vec<String>,
    pub(in crate::commands::serve) warnings: Vec<String>,
    command_line: Option<CommandLine>,
}

/// A command line that is read again when its files may have changed.
#[derive(Clone, Debug)]
struct CommandLine {
    definition: Command,
    arguments: Vec<OsString>,
    environment: Vec<(String, String)>,
}

impl AppliedSettings {
    /// The place that the value of an option comes from.
    pub(in crate::commands::serve) fn source(&self, option: &str) -> SetBy {
        if self.on_command_line.iter().any(|given| given == option) {
            return SetBy::CommandLine;
        }
        let given = self.given.iter().rfind(|given| given.option == option);
        given.map_or(SetBy::Default, |given| given.source.clone())
    }

    /// Reads the command line and its files again.
    ///
    /// # Errors
    ///
    /// Says what cannot be obeyed.
    pub(in crate::commands::serve) fn again(&self) -> Result<(ArgMatches, Self), String> {
        let Some(CommandLine { definition, arguments, environment }) = self.command_line.clone()
        else {
            return Err("there is no command line".to_owned());
        };
        let mut definition = definition;
        let read = read(&mut definition, arguments, || environment);
        read.map_err(|unread| match unread {
            Unread::Usage(error) => error.to_string().trim_end().to_owned(),
            Unread::Setting(wrong) => wrong,
        })
    }
}

/// A command line that cannot be obeyed.
#[derive(Debug)]
pub enum Unread {
    /// The command line itself is wrong.
    Usage(clap::Error),
    /// A file or a variable is wrong; the text names it and what is wrong with it.
    Setting(String),
}

/// Reads a command line. Those of `serve` that it leaves open come from files and variables.
///
/// # Errors
///
/// [`Unread`]
pub fn read(
    definition: &mut Command,
    arguments: Vec<OsString>,
    environment: impl FnOnce() -> Vec<(String, String)>,
) -> Result<(ArgMatches, AppliedSettings), Unread> {
    let matches = definition.try_get_matches_from_mut(&arguments).map_err(Unread::Usage)?;
    let Some(("serve", serve)) = matches.subcommand() else {
        return Ok((matches, AppliedSettings::default()));
    };
    let config = serve.get_one::<PathBuf>("config").map(PathBuf::as_path);
    let wrong = |wrong: Wrong| Unread::Setting(wrong.to_string());
    let environment = environment();
    let mut applied = applied(config, serve, &environment).map_err(wrong)?;
    let all = with_settings(arguments.clone(), &applied.given);
    applied.command_line =
        Some(CommandLine { definition: definition.clone(), arguments, environment });
    if applied.given.is_empty() {
        return Ok((matches, applied));
    }
    match definition.try_get_matches_from_mut(all) {
        Ok(matches) => Ok((matches, applied)),
        Err(error) => Err(blamed(&error, &applied.given).map_or(Unread::Usage(error), wrong)),
    }
}

fn applied(
    config: Option<&Path>,
    serve: &ArgMatches,
    environment: &[(String, String)],
) -> Result<AppliedSettings, Wrong> {
    let is_server = serve.get_flag("as_rabbitmq_server")
        || environment.iter().any(|(name, value)| name == AS_SERVER && value == "true");
    let settings = AllSettings::read(config, environment, is_server)?;
    let on_command_line: Vec<String> = serve
        .ids()
        .filter(|id| serve.value_source(id.as_str()) == Some(ValueSource::CommandLine))
        .map(|id| id.as_str().replace('_', "-"))
        .collect();
    let mut given = given(&settings)?;
    let is_there = |option: &str| on_command_line.iter().any(|there| there == option);
    given.retain(|given| {
        let excluded = EXCLUSIVE
            .iter()
            .any(|pair| pair.contains(&given.option) && pair.iter().any(|one| is_there(one)));
        !is_there(given.option) && !excluded
    });
    let besides: Vec<_> = without_effect(&settings).collect();
    let warnings = [settings.warnings, besides].concat();
    Ok(AppliedSettings { given, on_command_line, warnings, command_line: None })
}

/// The options that settings give. Of several keys of one option the last that was set counts; of several listeners
/// each does.
fn given(settings: &AllSettings) -> Result<Vec<GivenOption>, Wrong> {
    let mut all: Vec<GivenOption> = Vec::new();
    for (key, setting) in settings.in_order() {
        let Some(Does::Sets { option, form }) = keys::find(key).map(|row| row.does) else {
            continue;
        };
        let value = value_of(form, key, setting, settings).map_err(|why| Wrong::Value {
            at: setting.source.clone(),
            key: key.to_owned(),
            value: shown(key, &setting.value),
            why,
        })?;
        let value = match value {
            AsOption::None => continue,
            AsOption::Flag => None,
            AsOption::Value(value) => Some(value),
        };
        if !matches!(
            form,
            Form::Listener | Form::Each | Form::Assigned { .. } | Form::Category | Form::Header(_)
        ) {
            all.retain(|known| known.option != option);
        }
        let source = setting.source.clone();
        all.push(GivenOption { option, value, key: key.to_owned(), source });
    }
    Ok(all)
}

/// A value as errors show it.
fn shown(key: &str, value: &str) -> String {
    let is_secret = matches!(key, "default_pass" | "anonymous_login_pass")
        || (key.starts_with("default_users.") && key.ends_with(".password"));
    if is_secret { "***".to_owned() } else { value.to_owned() }
}

/// A setting as an option.
enum AsOption {
    /// It gives none.
    None,
    Flag,
    Value(String),
}

/// The option that a setting gives.
fn value_of(
    form: Form,
    key: &str,
    setting: &Setting,
    settings: &AllSettings,
) -> Result<AsOption, String> {
    let text = setting.value.as_str();
    let option = match form {
        Form::Unless(special) if settings.get(special).is_some() => return Ok(AsOption::None),
        Form::Beside(file) if !names_file(file, settings) => return Ok(AsOption::None),
        Form::Same | Form::Each | Form::Unless(_) | Form::Beside(_) => text.to_owned(),
        Form::Assigned { prefix } => format!("{}={text}", key.trim_start_matches(prefix)),
        Form::Header(name) => format!("{name}: {text}"),
        Form::Listener if text == "none" => match key {
            "listeners.tcp" => text.to_owned(),
            _ => return Ok(AsOption::None),
        },
        Form::Listener => listener(text)?,
        Form::Seconds => format!("{}s", number(text)?),
        Form::MillisecondsOrInfinity if text == "infinity" => "none".to_owned(),
        Form::Milliseconds | Form::MillisecondsOrInfinity => format!("{}ms", number(text)?),
        Form::Size => size(text)?.to_string(),
        Form::PartOfMemory => part_of_memory(text, settings)?.to_string(),
        Form::Number if text == "infinity" => return Ok(AsOption::None),
        Form::Number => number(text)?.to_string(),
        Form::Names { prefix } => names(prefix, key, text, settings)?,
        Form::Values { prefix } => {
            let values: Vec<_> = settings.below(prefix).map(|(_, value)| value).collect();
            values.join(",")
        }
        Form::OffAs(off) => match text {
            "false" => off.to_owned(),
            "true" => return Ok(AsOption::None),
            _ => return Err("it must be true or false".to_owned()),
        },
        Form::InFolder(folder) => match in_folder(folder, settings) {
            Some(path) => path,
            None => return Ok(AsOption::None),
        },
        Form::Category => {
            let category = key.split('.').nth(1).unwrap_or_default();
            format!("{category}={text}")
        }
        Form::LogFormat => match text {
            "plaintext" => "text".to_owned(),
            "json" => text.to_owned(),
            _ => return Err("it must be plaintext or json".to_owned()),
        },
        Form::Verify { prefix } => verify(settings, prefix)?.to_owned(),
        Form::AddressPart { keys, port } => address(settings, keys, port),
        Form::Flag => match text {
            "true" => return Ok(AsOption::Flag),
            "false" => return Ok(AsOption::None),
            _ => return Err("it must be true or false".to_owned()),
        },
        Form::Only(wanted) => return only(wanted, text).map(|()| AsOption::None),
    };
    Ok(AsOption::Value(option))
}

/// Answers whether a key names a file.
fn names_file(key: &str, settings: &AllSettings) -> bool {
    settings.get(key).is_some_and(|setting| setting.value != "false")
}

/// Warnings of keys that have an effect beside others only.
fn without_effect(settings: &AllSettings) -> impl Iterator<Item = String> {
    settings.in_order().filter_map(|(key, setting)| match keys::find(key)?.does {
        Does::Sets { form: Form::Beside(file), .. } if !names_file(file, settings) => {
            let source = &setting.source;
            Some(format!("{source}: '{key}' has no effect, because no file is named by {file}"))
        }
        _ => None,
    })
}

/// The file of the log, if there is one.
fn in_folder(folder: &str, settings: &AllSettings) -> Option<String> {
    let value = |key| settings.get(key).map(|setting| setting.value.as_str());
    let file = value("log.file").filter(|_| names_file("log.file", settings))?;
    let folder = value(folder).unwrap_or_default();
    Some(Path::new(folder).join(file).display().to_string())
}

fn only(wanted: &str, text: &str) -> Result<(), String> {
    if wanted.split('|').any(|one| one == text) {
        return Ok(());
    }
    Err(format!("nothing but {} is implemented", wanted.replace('|', " or ")))
}

fn number(text: &str) -> Result<u64, String> {
    text.parse().map_err(|_| "it is not a number".to_owned())
}

/// A port on all addresses, or an address.
fn listener(text: &str) -> Result<String, String> {
    match text.parse::<u16>() {
        Ok(port) => Ok(format!("{EVERYWHERE}:{port}")),
        // RabbitMQ takes `::1:5672`.
        Err(_) if text.contains(':') => Ok(match text.rsplit_once(':') {
            Some((ip, port)) if ip.parse::<Ipv6Addr>().is_ok() => format!("[{ip}]:{port}"),
            Some(_) | None => text.to_owned(),
        }),
        Err(_) => Err("it must be a port, or an address with a port".to_owned()),
    }
}

/// The names of keys below a prefix whose value is `true`; `none` if there are none, or if the prefix itself is `none`.
fn names(prefix: &str, key: &str, text: &str, settings: &AllSettings) -> Result<String, String> {
    match (key == prefix, text) {
        (true, "none") | (false, "true" | "false") => {}
        (true, _) => return Err("it must be none".to_owned()),
        (false, _) => return Err("it must be true or false".to_owned()),
    }
    let is_none = settings.get(prefix).is_some_and(|setting| setting.value == "none");
    let wanted = settings.below(prefix).filter(|(_, value)| !is_none && *value == "true");
    let names: Vec<_> = wanted.map(|(name, _)| name).collect();
    Ok(if names.is_empty() { "none".to_owned() } else { names.join(",") })
}

fn size(text: &str) -> Result<u64, String> {
    Size::of_rabbitmq(text).map(|size| size.bytes).map_err(|error| error.to_string())
}

fn part_of_memory(text: &str, settings: &AllSettings) -> Result<u64, String> {
    let part: f64 = text.parse().map_err(|_| "it is not a number".to_owned())?;
    let said = settings.get("total_memory_available_override_value");
    let said = said.map(|setting| size(&setting.value)).transpose()?;
    let limit = Watermark::Relative(part).bytes(said.or_else(machine_bytes));
    limit.ok_or_else(|| "the machine's memory is not known".to_owned())
}

/// The check of clients' certificates, from both keys below `prefix` that choose it (RabbitMQ: Erlang's `ssl`).
fn verify(settings: &AllSettings, prefix: &str) -> Result<&'static str, String> {
    let value =
        |key: &str| settings.get(&format!("{prefix}.{key}")).map(|setting| setting.value.as_str());
    match (value("verify"), value("fail_if_no_peer_cert")) {
        (_, Some(other)) if !matches!(other, "true" | "false") => {
            Err("it must be true or false".to_owned())
        }
        (Some("verify_peer"), Some("true")) => Ok("required"),
        (Some("verify_peer"), _) => Ok("optional"),
        (Some("verify_none") | None, Some("true")) => {
            Err(format!("fail_if_no_peer_cert needs {prefix}.verify = verify_peer"))
        }
        (Some("verify_none") | None, _) => Ok("none"),
        (Some(_), _) => Err("it must be verify_peer or verify_none".to_owned()),
    }
}

/// The address of an HTTP listener from its keys.
fn address(settings: &AllSettings, keys: &[&str], usual_port: &str) -> String {
    let set = |name: &str| keys.iter().find_map(|key| settings.get(&format!("{key}.{name}")));
    let value = |name, usual| set(name).map_or(usual, |setting| setting.value.as_str());
    let ip = value("ip", EVERYWHERE);
    let port = value("port", usual_port);
    if ip.contains(':') { format!("[{ip}]:{port}") } else { format!("{ip}:{port}") }
}

fn with_settings(mut arguments: Vec<OsString>, given: &[GivenOption]) -> Vec<OsString> {
    arguments.extend(given.iter().map(|given| {
        OsString::from(match &given.value {
            Some(value) => format!("--{}={value}", given.option),
            None => format!("--{}", given.option),
        })
    }));
    arguments
}

/// The setting whose value clap does not take.
fn blamed(error: &clap::Error, given: &[GivenOption]) -> Option<Wrong> {
    let text = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => Some(text.as_str()),
        _ => None,
    };
    let argument = text(ContextKind::InvalidArg)?;
    let option = argument.split(['=', ' ']).next()?.trim_start_matches("--");
    let mut of_option = given.iter().filter(|given| given.option == option);
    let first = of_option.clone().next()?;
    let value = text(ContextKind::InvalidValue);
    let blamed = of_option.find(|given| given.value.as_deref() == value).unwrap_or(first);
    let why = error.to_string();
    let why = why.lines().next().unwrap_or_default().trim_start_matches("error: ").to_owned();
    Some(Wrong::Value {
        at: blamed.source.clone(),
        key: blamed.key.clone(),
        value: shown(&blamed.key, blamed.value.as_deref().unwrap_or("true")),
        why,
    })
}

#[cfg(test)]
mod tests {
    use clap::Args as _;

    use super::*;

    /// Every option of `mq serve` has a key.
    #[test]
    fn every_option_has_a_key() {
        let command = crate::commands::serve::Args::augment_args(Command::new("serve"));
        let without = ["config", "print-config", "help"];
        for argument in command.get_arguments().filter_map(|argument| argument.get_long()) {
            let has_key = keys::KEYS
                .iter()
                .any(|row| matches!(row.does, Does::Sets { option, .. } if option == argument));
            assert!(has_key || without.contains(&argument), "--{argument} has no key");
        }
    }

    #[test]
    fn sizes_are_rabbitmqs() {
        #[rustfmt::skip]
        let cases = [
            ("1073741824", Ok(1 << 30)),
            ("2GB",        Ok(2_000_000_000)),
            ("2G",         Ok(2 << 30)),
            ("512MiB",     Ok(512 << 20)),
            ("64k",        Ok(64 << 10)),
            ("much",       Err(())),
        ];
        for (text, expected) in cases {
            assert_eq!(size(text).map_err(drop), expected, "{text}");
        }
    }
}
