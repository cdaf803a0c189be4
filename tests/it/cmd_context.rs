//! `mq context` and `.mq.toml`: brokers with names, as a person uses them.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use rustix::process::geteuid;
use tempfile::TempDir;

use crate::broker::Broker;
use crate::support::cli::{answer, program};

/// A user of the operating system that is neither root nor the one who tests.
const SOMEBODY: u32 = 12_345;

/// A home with a configuration directory and a project in it.
struct Home(TempDir);

impl Home {
    fn new() -> Self {
        let home = Self(TempDir::new().unwrap());
        fs::create_dir_all(home.path("project/deep")).unwrap();
        home
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn file(&self) -> PathBuf {
        self.path("config/mq/contexts.toml")
    }

    /// `mq` deep in the project.
    fn mq(&self, words: &[&str]) -> Command {
        let mut command = program();
        command.env("XDG_CONFIG_HOME", self.path("config")).current_dir(self.path("project/deep"));
        command.args(words).stdin(Stdio::null());
        command
    }

    /// Runs it; it must succeed.
    fn run(&self, words: &[&str]) -> String {
        let run = self.mq(words).output().unwrap();
        assert_eq!(run.status.code(), Some(0), "{words:?}: {}", said(&run));
        said(&run)
    }

    /// Runs it; it must fail with this code.
    fn fail(&self, words: &[&str], code: i32) -> String {
        let run = self.mq(words).output().unwrap();
        assert_eq!(run.status.code(), Some(code), "{words:?}: {}", said(&run));
        said(&run)
    }

    /// The same with a line on stdin.
    fn type_in(&self, words: &[&str], line: &str) -> Output {
        let mut command = assert_cmd::Command::from_std(self.mq(words));
        command.write_stdin(line).output().unwrap()
    }

    fn write_project(&self, text: &str) {
        fs::write(self.path("project/.mq.toml"), text).unwrap();
    }
}

fn said(run: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&run.stdout), String::from_utf8_lossy(&run.stderr))
}

fn mode(path: PathBuf) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn contexts_are_added_listed_chosen_shown_and_removed() {
    let home = Home::new();
    assert_eq!(home.run(&["context", "list"]), "name\tin_use\turl\tvhost\tpassword\n");
    let prod = ["context", "add", "prod", "--url", "amqps://app@h/orders", "--tls-ca", "ca.pem"];
    let added = home.run(&[&prod[..], &["--password-command", "pass show mq"]].concat());
    assert_eq!(added, "added context 'prod'; `mq context use prod` chooses it\n");
    let test = ["context", "add", "test", "--url", "amqp://h", "--vhost", "v", "--use"];
    assert_eq!(
        home.run(&[&test[..], &["--http-url", "http://h:15672"]].concat()),
        "added context 'test'\n"
    );
    assert_eq!(
        home.run(&["context", "list"]),
        "name\tin_use\turl\tvhost\tpassword\n\
         prod\tfalse\tamqps://app@h/orders\torders\tcommand\n\
         test\ttrue\tamqp://h\tv\tnone\n"
    );
    assert_eq!(
        home.run(&["context", "show"]),
        "name: test\nin_use: true\nurl: amqp://h\nvhost: v\npassword: none\n\
         http_url: http://h:15672\nnamed_by: `mq context use`\n"
    );
    assert_eq!(home.run(&["context", "use", "prod"]), "using context 'prod'\n");
    let ca = home.path("project/deep/ca.pem");
    assert_eq!(
        home.run(&["context", "show", "prod", "-o", "json"]),
        format!(
            "{{\"name\":\"prod\",\"in_use\":true,\"url\":\"amqps://app@h/orders\",\"vhost\":\"orders\",\
             \"password\":\"command\",\"tls_ca\":\"{}\",\"password_command\":\"pass show mq\"}}\n",
            ca.display()
        )
    );
    assert_eq!(
        home.fail(&["context", "remove", "prod"], 64),
        "error: this cannot be undone, and there is no terminal to ask on\n\
         hint: add --yes to do it without confirmation\n"
    );
    let missing = home.fail(&["context", "remove", "prod", "tset", "--yes"], 64);
    assert_eq!(missing, "error: there is no context 'tset'\nhint: did you mean 'test'?\n");
    assert_eq!(home.run(&["context", "remove", "prod", "-y"]), "removed context 'prod'\n");
    assert_eq!(home.fail(&["context", "show"], 1), "commands work with no context here\n");
    assert_eq!(home.run(&["context", "use", "test"]), "using context 'test'\n");
    assert_eq!(home.run(&["context", "use", "--none"]), "using no context\n");
    assert_eq!(
        home.run(&["context", "list", "name", "in_use", "-o", "json"]),
        "[\n{\"name\":\"test\",\"in_use\":false}\n]\n"
    );
    assert_eq!((mode(home.file()), mode(home.path("config/mq"))), (0o600, 0o700));
}

#[test]
fn what_cannot_be_a_context_is_refused() {
    let home = Home::new();
    home.run(&["context", "add", "prod", "--url", "amqp://h"]);
    let before = fs::read(home.file()).unwrap();
    #[rustfmt::skip]
    let cases: [(&[&str], &str); 11] = [
        (&["prod", "--url", "amqp://x"],                       "error: the context 'prod' exists\n"),
        (&["x"],                                               "error: no URL is given for the context\n"),
        (&["x", "--url", "http://h"],                          "is not an AMQP URL"),
        (&["x", "--url", "amqp://u:s3cret@h"],                 "error: the URL in --url holds a password\n"),
        (&["x", "--url", "amqp://h", "--http-url", "http://u:s3cret@h"], "error: the URL in --http-url holds a password\n"),
        (&["x", "--url", "amqp://h", "--tls-ca", "ca.pem"],    "the broker's URL does not use TLS"),
        (&["x", "--url", "amqp://h", "--timeout", "1s"],       "error: a context does not store --timeout\n"),
        (&["x", "--local"],                                    "error: a context does not store --local\n"),
        (&["x", "--url", "amqp://u@h"],                        "error: the password is empty\n"),
        (&["a b", "--url", "amqp://h"],                        "a name has letters, digits, and - _ . behind the first"),
        (&["x", "--url", "amqp://h", "--no-password", "--password-env", "P"], "cannot be used with"),
    ];
    for (words, part) in cases {
        let error = home.fail(&[&["context", "add"], words].concat(), 64);
        assert!(error.contains(part) && !error.contains("s3cret"), "{words:?}: {error}");
    }
    let error = home.fail(&["context", "list", "--url", "amqp://h"], 64);
    assert!(error.contains("--url has no effect"), "{error}");
    assert_eq!(fs::read(home.file()).unwrap(), before);
    home.run(&["context", "add", "prod", "--url", "amqp://x", "--replace"]);
    assert!(home.run(&["context", "show", "prod"]).contains("url: amqp://x\n"));
}

/// Nothing listens there, and the error tells which broker was meant.
fn meant(command: &mut Command) -> String {
    let run = command.output().unwrap();
    let said = said(&run);
    let (_, rest) =
        said.split_once("cannot reach a broker at ").unwrap_or_else(|| panic!("{said}"));
    rest.lines().next().unwrap().to_owned()
}

#[test]
fn the_broker_is_the_first_that_is_named() {
    let home = Home::new();
    for name in ["given", "variable", "project", "in-use"] {
        let url = format!("amqp://127.0.0.1:1/{name}");
        home.run(&["context", "add", name, "--url", &url]);
    }
    let url = |vhost: &str| format!("amqp://127.0.0.1:1/{vhost}");
    let ping = |words: &[&str], variables: &[(&str, &str)]| {
        let mut command = home.mq(&["ping"]);
        meant(command.args(words).envs(variables.iter().copied()))
    };
    // From the last to the first: each is named beside all those before.
    home.run(&["context", "use", "in-use"]);
    assert_eq!(ping(&[], &[]), url("in-use"));
    home.write_project("context = \"project\"\n");
    assert_eq!(ping(&[], &[]), url("project"));
    assert!(home.run(&["context", "show"]).contains("/project/.mq.toml'\n"));
    home.write_project("url = \"amqp://127.0.0.1:1/of-project\"\n");
    assert_eq!(ping(&[], &[]), url("of-project"));
    let (rabbitmq, amqp) = (url("rabbitmq"), url("amqp"));
    let mut variables = vec![("RABBITMQ_URL", rabbitmq.as_str())];
    assert_eq!(ping(&[], &variables), rabbitmq);
    variables.push(("AMQP_URL", &amqp));
    assert_eq!(ping(&[], &variables), amqp);
    variables.push(("MQ_CONTEXT", "variable"));
    assert_eq!(ping(&[], &variables), url("variable"));
    assert_eq!(ping(&["--context", "given"], &variables), url("given"));
    let other = url("other");
    assert_eq!(ping(&["--url", &other], &variables), other);
    variables[2] = ("MQ_URL", &other);
    assert_eq!(ping(&[], &variables), other);
    assert_eq!(ping(&["--context", "given"], &variables), url("given"));
    // Two of the same rank cannot both be meant.
    variables.push(("MQ_CONTEXT", "variable"));
    let both = home.mq(&["ping"]).envs(variables).output().unwrap();
    assert_eq!(both.status.code(), Some(64));
    assert!(said(&both).starts_with("error: more than one broker is named\n"), "{}", said(&both));
    let both = home.fail(&["ping", "--context", "given", "--url", &other], 64);
    assert!(both.contains("cannot be used with"), "{both}");
}

#[test]
fn a_context_that_does_not_exist_is_an_error_with_the_nearest_name() {
    let home = Home::new();
    home.run(&["context", "add", "prod", "--url", "amqp://127.0.0.1:1"]);
    let hint = "hint: did you mean 'prod'?\n";
    let error = home.fail(&["ping", "--context", "prdo"], 64);
    assert_eq!(error, format!("error: there is no context 'prdo'\n{hint}"));
    let run = home.mq(&["ping"]).env("MQ_CONTEXT", "prdo").output().unwrap();
    let words = format!("error: there is no context 'prdo', which is named by MQ_CONTEXT\n{hint}");
    assert_eq!((run.status.code(), said(&run)), (Some(64), words));
    home.write_project("context = \"prdo\"");
    let error = home.fail(&["ping"], 64);
    assert!(error.contains("'prdo', which is named by '/"), "{error}");
    let error = home.mq(&["ping", "--context", "x"]).env("XDG_CONFIG_HOME", "/none").output();
    assert!(said(&error.unwrap()).contains("hint: create one with `mq context add`\n"));
}

/// The URL of a broker with this user and no password.
fn url_of(broker: &Broker, user: &str) -> String {
    let url = broker.url();
    let (scheme, rest) = url.split_once("://").unwrap();
    let place = rest.rsplit_once('@').map_or(rest, |(_, place)| place);
    format!("{scheme}://{user}@{place}")
}

#[test]
fn commands_log_in_with_the_password_of_the_context() {
    let (home, broker) = (Home::new(), Broker::mq());
    answer(&broker, &["add-user", "app", "s3cret w@rd"], "");
    answer(&broker, &["set-user-tags", "app", "administrator"], "");
    answer(&broker, &["set-permissions", "app", ".*", ".*", ".*"], "");
    let url = url_of(&broker, "app");
    let add = |name: &str, more: &[&str]| {
        let http_url = broker.management_url();
        let words = ["context", "add", name, "--url", &url, "--http-url", &http_url];
        home.type_in(&[&words[..], more].concat(), "s3cret w@rd\n")
    };
    let command = "printf 's3cret w@rd\\nanother line\\n'";
    let sources: [(&str, &[&str]); 4] = [
        ("stored", &[]),
        ("command", &["--password-command", command]),
        ("environment", &["--password-env", "APP_PASSWORD"]),
        ("none", &["--no-password"]),
    ];
    for (source, options) in sources {
        let added = add(source, options);
        assert!(added.status.success(), "{source}: {}", said(&added));
        for (words, input) in [
            (&["publish", "--queue", "q", "-"][..], "a body"),
            (&["list-queues", "name"], ""),
            (&["get", "--queue", "q"], ""),
        ] {
            let mut mq = home.mq(&[words, &["--context", source]].concat());
            mq.env("APP_PASSWORD", "s3cret w@rd");
            let run = assert_cmd::Command::from_std(mq).write_stdin(input).output().unwrap();
            let code = if source == "none" { 77 } else { 0 };
            assert_eq!(run.status.code(), Some(code), "{source} {words:?}: {}", said(&run));
            assert!(!said(&run).contains("s3cret"), "{}", said(&run));
        }
    }
    let unset = home.fail(&["ping", "--context", "environment"], 64);
    assert_eq!(
        unset,
        "error: the variable APP_PASSWORD is not set\nhint: set it to the password of context 'environment'\n"
    );
    for format in ["table", "json", "jsonl", "csv", "tsv"] {
        for words in [&["context", "list"][..], &["context", "show", "stored"]] {
            let shown = home.run(&[words, &["-o", format]].concat());
            assert!(shown.contains("stored") && !shown.contains("s3cret"), "{shown}");
        }
    }
    // The options of one command change its context, and a vhost may be named by the project.
    let vhost = home.fail(&["declare-queue", "x", "--context", "stored", "--vhost", "nope"], 65);
    assert!(vhost.contains("nope"), "{vhost}");
    home.write_project("context = \"stored\"\nvhost = \"nope\"\n");
    let vhost = home.fail(&["declare-queue", "x"], 65);
    assert!(vhost.contains("nope"), "{vhost}");
    home.run(&["list-queues", "--vhost", broker.vhost()]);
}

#[test]
fn a_password_that_others_can_read_is_not_used() {
    let home = Home::new();
    let url = "amqp://app@127.0.0.1:1";
    home.type_in(&["context", "add", "stored", "--url", url], "s3cret\n");
    home.run(&["context", "add", "run", "--url", url, "--password-command", "touch ran; echo x"]);
    home.run(&["context", "add", "none", "--url", "amqp://127.0.0.1:1"]);
    let file = home.file();
    let chmod = |mode| fs::set_permissions(&file, Permissions::from_mode(mode)).unwrap();
    for open in [0o640, 0o604] {
        chmod(open);
        let error = home.fail(&["ping", "--context", "stored"], 64);
        let path = file.display();
        assert_eq!(
            error,
            format!(
                "error: the file '{path}' is not safe\ncause: other users can read the passwords in it\n\
                 hint: run: chmod 600 '{path}'\n"
            )
        );
        meant(&mut home.mq(&["ping", "--context", "none"]));
    }
    chmod(0o620);
    let error = home.fail(&["ping", "--context", "run"], 64);
    assert!(error.contains("cause: other users can change the commands in it\n"), "{error}");
    assert!(!home.path("project/deep/ran").exists());
    // Every change makes it safe.
    home.run(&["context", "use", "none"]);
    assert_eq!(mode(home.file()), 0o600);
    meant(&mut home.mq(&["ping", "--context", "run"]));
    assert!(home.path("project/deep/ran").exists());
    if geteuid().is_root() {
        fs::remove_file(home.path("project/deep/ran")).unwrap();
        chown(&file, Some(SOMEBODY), None).unwrap();
        for name in ["stored", "run"] {
            let error = home.fail(&["ping", "--context", name], 64);
            assert!(error.contains("cause: it belongs to another user\n"), "{error}");
        }
        assert!(!home.path("project/deep/ran").exists());
    }
}

#[test]
fn a_password_command_that_fails_says_so() {
    let home = Home::new();
    let cases = [
        ("echo why >&2; exit 3", "why\n", "exit status: 3"),
        ("true", "", "it printed nothing"),
        ("printf '\\377'", "", "it printed what is not UTF-8"),
    ];
    for (command, before, cause) in cases {
        let words = ["context", "add", "c", "--url", "amqp://u@127.0.0.1:1", "--replace"];
        home.run(&[&words[..], &["--password-command", command]].concat());
        assert_eq!(
            home.fail(&["ping", "--context", "c"], 64),
            format!(
                "{before}error: the password command of context 'c' failed\ncause: {cause}\n\
                 hint: `mq context show c` shows the command\n"
            )
        );
    }
}

/// A shared folder must not let one user choose the broker of another, nor run a command.
#[test]
fn a_project_file_of_another_user_is_refused_and_none_names_a_command() {
    let home = Home::new();
    home.write_project("url = \"amqp://h\"\npassword-command = \"touch ran\"\n");
    let error = home.fail(&["ping"], 64);
    assert!(error.contains("cause: line 2: unknown field `password-command`"), "{error}");
    if !geteuid().is_root() {
        // Only root can give a file away.
        return;
    }
    let command = ["--password-command", "touch ran; echo x"];
    let add = ["context", "add", "run", "--url", "amqp://u@127.0.0.1:1"];
    home.run(&[&add[..], &command[..]].concat());
    home.write_project("context = \"run\"\n");
    for foreign in ["project/.mq.toml", "project"] {
        chown(home.path(foreign), Some(SOMEBODY), None).unwrap();
        let error = home.fail(&["ping"], 64);
        assert!(error.contains("cause: it or its directory belongs to another user\n"), "{error}");
        assert!(!home.path("project/deep/ran").exists());
        meant(&mut home.mq(&["ping", "--url", "amqp://127.0.0.1:1"]));
        chown(home.path(foreign), Some(0), None).unwrap();
    }
    meant(&mut home.mq(&["ping"]));
    assert!(home.path("project/deep/ran").exists());
}

#[test]
fn a_broken_file_is_an_error_with_its_line_and_without_its_text() {
    let home = Home::new();
    home.run(&["context", "add", "a", "--url", "amqp://h"]);
    #[rustfmt::skip]
    let cases = [
        ("use = \"a\"\n[context.a\n",                                       "line 2: "),
        ("\n\nuse = 7\n",                                                   "line 3: invalid type"),
        ("[context.a]\nurl = \"amqp://h\"\ncolour = 1\n",                   "line 3: unknown field `colour`"),
        ("[context.a]\nurl = \"amqp://h\"\npassword = 535353\n",            "line 3: the password is not a text in quotes"),
        ("[context.a]\nurl = \"amqp://h\"\npassword = [\"535353\"]\n",      "line 3: the password is not a text in quotes"),
        ("[context.a]\nurl = \"amqp://u:535353@h\"\n",                      "line 1: url holds a password"),
        ("[context.a]\nurl = \"h\"\n",                                      "line 1: url is not an AMQP URL: it does not begin with"),
        ("[context.a]\nurl = \"amqp://h\"\npassword = \"535353\"\npassword-env = \"V\"\n", "line 1: give only one of password,"),
        ("[context.a]\nurl = \"amqp://h\"\npassword = \"535353\n",          "line 3: "),
    ];
    for (text, cause) in cases {
        fs::write(home.file(), text).unwrap();
        let path = home.file();
        for words in [&["ping"][..], &["context", "list"], &["context", "use", "a"]] {
            let error = home.fail(words, 64);
            let begin = format!("error: cannot read the file '{}'\ncause: {cause}", path.display());
            assert!(error.starts_with(&begin), "{text}: {error}");
            assert!(!error.contains("535353"), "{text}: {error}");
        }
        assert_eq!(fs::read_to_string(home.file()).unwrap(), text);
    }
    let cases = [
        ("context = 1\n", "line 1: invalid type"),
        ("context = \"a\"\nurl = \"amqp://h\"\n", "it names both a context and a URL"),
        ("http-url = \"http://h\"\n", "http-url needs a url beside it"),
    ];
    for (text, cause) in cases {
        home.write_project(text);
        let error = home.fail(&["ping"], 64);
        assert!(error.contains("/project/.mq.toml'\ncause: "), "{error}");
        assert!(error.contains(&format!("cause: {cause}")), "{error}");
    }
}

/// Its broker is the one that programs inside it work with.
#[test]
fn a_program_of_mq_run_works_with_the_broker_of_mq_run() {
    let home = Home::new();
    home.run(&["context", "add", "other", "--url", "amqp://127.0.0.1:1", "--use"]);
    home.write_project("context = \"other\"");
    let mq = env!("CARGO_BIN_EXE_mq");
    for variable in ["MQ_CONTEXT", "MQ_LOCAL"] {
        let mut run = home.mq(&["run", "--", mq, "ping"]);
        let run = run.env(variable, "other").output().unwrap();
        assert!(run.status.success(), "{variable}: {}", said(&run));
    }
}

/// The files cost nothing, and break nothing, where the broker is named.
#[test]
fn no_file_is_read_if_an_option_or_a_variable_names_the_broker() {
    let (home, broker) = (Home::new(), Broker::mq());
    home.write_project("broken");
    fs::create_dir_all(home.path("config/mq")).unwrap();
    fs::write(home.file(), "broken").unwrap();
    home.run(&["ping", "--url", &broker.url()]);
    for variable in ["MQ_URL", "AMQP_URL", "RABBITMQ_URL"] {
        let run = home.mq(&["ping"]).env(variable, broker.url()).output().unwrap();
        assert!(run.status.success(), "{variable}: {}", said(&run));
    }
    let directory = home.path("data");
    home.run(&["ping", &format!("--local={}", directory.display())]);
    let run = home.mq(&["ping"]).env("MQ_LOCAL", directory).output().unwrap();
    assert!(run.status.success(), "{}", said(&run));
    assert!(home.fail(&["ping"], 64).contains("/project/.mq.toml'"));
}

#[test]
fn contexts_that_are_added_at_once_are_all_kept() {
    let home = Home::new();
    let names: Vec<String> = (0..8).map(|number| format!("c{number}")).collect();
    let add = |name: &String| {
        home.mq(&["context", "add", name, "--url", "amqp://h", "-q"]).spawn().unwrap()
    };
    let processes: Vec<_> = names.iter().map(add).collect();
    for mut process in processes {
        assert!(process.wait().unwrap().success());
    }
    let listed = home.run(&["context", "list", "name", "--no-headers"]);
    assert_eq!(listed.lines().collect::<Vec<_>>(), names);
}

/// Dotfiles are often links into a repository.
#[test]
fn a_link_to_the_file_stays_a_link() {
    let home = Home::new();
    home.run(&["context", "add", "a", "--url", "amqp://h"]);
    fs::rename(home.file(), home.path("contexts.toml")).unwrap();
    std::os::unix::fs::symlink(home.path("contexts.toml"), home.file()).unwrap();
    home.run(&["context", "use", "a"]);
    assert!(home.file().is_symlink());
    let text = fs::read_to_string(home.path("contexts.toml")).unwrap();
    assert_eq!(
        text,
        "# Written by `mq context`, which does not keep comments.\n\nuse = \"a\"\n\n[context.a]\nurl = \"amqp://h\"\n"
    );
}
