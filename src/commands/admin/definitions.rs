//! Definitions: export and import.

use std::fs;
use std::io::{self, Read as _};

use serde_json::Value;

use super::given::Given;
use super::row::{AdminRow, AdminWork, Operand, Switch};
use super::show;
use crate::commands::{Answer, CommandError, Context};
use crate::engine::Call;
use crate::json_text;

pub(super) const ROWS: &[AdminRow] = &[
    AdminRow {
        name: "export-definitions",
        about: "Write the definitions of the broker to a file: users, vhosts, queues and so on",
        operands: &[Operand::one("file", "The file; - is stdout")],
        switches: &[Switch::flag("only-vhost", "Export the definitions of the virtual host only")],
        examples: &["mq export-definitions definitions.json", "mq export_definitions - > all.json"],
        work: AdminWork::Run(|given, cx| Box::pin(export(given, cx))),
        ..AdminRow::PLAIN
    },
    AdminRow {
        name: "import-definitions",
        about: "Create what a file of definitions names",
        operands: &[Operand::optional("file", "The file [default: stdin, as -]")],
        switches: &[Switch::flag("only-vhost", "Import them into the virtual host only")],
        examples: &["mq import-definitions definitions.json", "mq import_definitions < all.json"],
        work: AdminWork::Run(|given, cx| Box::pin(import(given, cx))),
        ..AdminRow::PLAIN
    },
];

fn path(given: &Given) -> String {
    given.path(if given.is_set("only-vhost") { "definitions/{vhost}" } else { "definitions" })
}

async fn export(given: &Given, cx: &mut Context) -> Result<Answer, CommandError> {
    let file = given.text("file");
    let definitions = cx.engine.inspect().get("export definitions", &path(given)).await?;
    let text = format!("{definitions:#}\n");
    if file == "-" {
        cx.out.bytes(text.as_bytes())?;
        return Ok(Answer::Yes);
    }
    let failed = |source| CommandError::File { doing: format!("write '{file}'"), source };
    fs::write(file, text).map_err(failed)?;
    show::done(&format!("exported definitions to '{file}'"), cx)
}

async fn import(given: &Given, cx: &mut Context) -> Result<Answer, CommandError> {
    let file = given.optional("file").unwrap_or("-");
    let (doing, read) = match file {
        "-" => {
            let mut bytes = Vec::new();
            let read = io::stdin().lock().read_to_end(&mut bytes).map(|_| bytes);
            ("read stdin".to_owned(), read)
        }
        file => (format!("read '{file}'"), fs::read(file)),
    };
    let bytes = read.map_err(|source| CommandError::File { doing, source })?;
    let definitions: Value = json_text::read(&bytes).map_err(|error| CommandError::Usage {
        problem: format!("the definitions are not JSON: {error}"),
        hint: Some("use a file that `mq export-definitions` or RabbitMQ has written; its Erlang format is not read".into()),
    })?;
    cx.engine.inspect().send("import definitions", &Call::post(path(given), definitions)).await?;
    show::done("imported the definitions", cx)
}
