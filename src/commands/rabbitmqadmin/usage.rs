//! The help of `rabbitmqadmin`.

use std::fmt::Write as _;

use super::objects::{
    CLOSABLE, DECLARABLE, DELETABLE, GET, LISTABLE, Listable, Object, PUBLISH, PURGABLE, SHOWABLE,
};
use super::settings::{AdminSettings, option_names};

/// The version whose words are understood.
const VERSION: &str = "3.10.8";

const OPTIONS: &str = "Usage
=====
rabbitmqadmin [options] subcommand

Options
=======
--help, -h              show this help message and exit
--config=CONFIG, -c     configuration file [default: ~/.rabbitmqadmin.conf]
--node=NODE, -N         section of the configuration file
--host=HOST, -H         connect to host HOST [default: localhost]
--port=PORT, -P         connect to port PORT [default: 15672]
--path-prefix=PREFIX    prefix of the path of the management API
--vhost=VHOST, -V       work in vhost VHOST [default: all vhosts for list, '/' for declare]
--username=NAME, -u     log in as NAME [default: guest]
--password=WORD, -p     log in with WORD [default: guest]
--base-uri=URI, -U      use the management API at URI
--quiet, -q             print results only
--ssl, -s               connect with TLS
--ssl-key-file=FILE, --ssl-cert-file=FILE, --ssl-ca-cert-file=FILE
                        PEM files for TLS
--ssl-insecure, -k      do not check the server's certificate
--request-timeout=S, -t wait so many seconds for an answer [default: 120]
--format=FORMAT, -f     raw_json, pretty_json, tsv, long, table, kvp or bash [default: table]
--sort=COLUMN, -S       sort lists by COLUMN
--sort-reverse, -R      reverse the order
--depth=DEPTH, -d       show fields of objects down to DEPTH [default: 1]
--bash-completion       print a script of completions for bash and exit
--version               print the version and exit

rabbitmqadmin help subcommands  # the subcommands
rabbitmqadmin help config       # the configuration file";

const FORMATS: [&str; 7] = ["raw_json", "pretty_json", "tsv", "long", "table", "kvp", "bash"];

const CONFIG: &str = "Usage
=====
rabbitmqadmin [options] subcommand

Configuration File
==================

  [host_normal]
  hostname = localhost
  port = 15672
  username = guest
  password = guest
  declare_vhost = /
  vhost = /

  rabbitmqadmin -c FILE -N host_normal ...";

/// The help that a command line asks for, if it does.
pub(super) fn asked(settings: &AdminSettings) -> Option<String> {
    let words: Vec<&str> = settings.words.iter().map(String::as_str).collect();
    match words.as_slice() {
        _ if settings.is_set("version") => Some(format!("rabbitmqadmin {VERSION}")),
        _ if settings.is_set("bash_completion") => Some(completion()),
        _ if settings.is_set("help") => Some(OPTIONS.to_owned()),
        ["help"] => Some(OPTIONS.to_owned()),
        ["help", "subcommands"] => Some(subcommands()),
        ["help", "config"] => Some(CONFIG.to_owned()),
        _ => None,
    }
}

/// A script for bash, which completes subcommands, objects, options, files and hosts.
fn completion() -> String {
    let names = |objects: &[Object]| objects.iter().map(|one| one.name).collect::<Vec<_>>();
    let lists = |all: &[Listable]| all.iter().map(|one| one.name).collect::<Vec<_>>();
    let cases = [
        ("list", lists(LISTABLE)),
        ("show", lists(SHOWABLE)),
        ("declare", names(DECLARABLE)),
        ("delete", names(DELETABLE)),
        ("close", names(CLOSABLE)),
        ("purge", names(PURGABLE)),
        ("help", vec!["subcommands", "config"]),
        ("-f|--format", FORMATS.to_vec()),
    ];
    let mut text = "# Completions of rabbitmqadmin for bash: source this script.\n\
        _rabbitmqadmin() {\n    \
        local word=\"${COMP_WORDS[COMP_CWORD]}\" before=\"${COMP_WORDS[COMP_CWORD-1]}\"\n    \
        case \"$before\" in\n"
        .to_owned();
    let reply = |what: &str| format!("COMPREPLY=($(compgen {what} -- \"$word\"))");
    for (before, words) in cases {
        let _ =
            writeln!(text, "        {before}) {} ;;", reply(&format!("-W '{}'", words.join(" "))));
    }
    let options: Vec<String> = option_names().map(|name| format!("--{name}")).collect();
    let verbs = "list show declare delete close purge export import publish get help";
    let _ = writeln!(text, "        export|import|-c|--config) {} ;;", reply("-f"));
    let _ = writeln!(text, "        -H|--host) {} ;;", reply("-A hostname"));
    let either = format!("-W '{verbs} {}'", options.join(" "));
    let _ = writeln!(text, "        *) {} ;;", reply(&either));
    text + "    esac\n}\ncomplete -F _rabbitmqadmin rabbitmqadmin"
}

fn subcommands() -> String {
    let mut text =
        "Usage\n=====\n  rabbitmqadmin [options] subcommand\n\n  where subcommand is one of:\n"
            .to_owned();
    title(&mut text, "Display");
    for list in LISTABLE {
        let _ = writeln!(text, "  list {} [<column>...]", list.name);
    }
    for list in SHOWABLE {
        let _ = writeln!(text, "  show {} [<column>...]", list.name);
    }
    title(&mut text, "Object Manipulation");
    for (verb, objects) in
        [("declare", DECLARABLE), ("delete", DELETABLE), ("close", CLOSABLE), ("purge", PURGABLE)]
    {
        for object in objects {
            stanza(&mut text, &format!("{verb} {}", object.name), object);
        }
    }
    title(&mut text, "Broker Definitions");
    text += "  export <file>\n  import <file>\n";
    title(&mut text, "Publishing and Consuming");
    stanza(&mut text, "publish", &PUBLISH);
    stanza(&mut text, "get", &GET);
    text + "\n  * publish reads its payload from standard input unless payload is given\n\n  \
            * get writes the payload to payload_file, if that is given\n"
}

fn title(text: &mut String, words: &str) {
    let _ = write!(text, "\n{words}\n{}\n\n", "=".repeat(words.len()));
}

fn stanza(text: &mut String, words: &str, object: &Object) {
    let _ = write!(text, "  {words}");
    for name in object.mandatory {
        let _ = write!(text, " {}=...", name.replace('|', "=... OR "));
    }
    if !object.optional.is_empty() {
        let names: Vec<String> =
            object.optional.iter().map(|(name, _)| format!("{name}=...")).collect();
        let _ = write!(text, " [{}]", names.join(" "));
    }
    text.push('\n');
}
