//! Runtime parameters.

use serde_json::{Value, json};

use super::given::Given;
use super::row::{AdminRow, AdminWork, CTL_DIAGNOSTICS, ChangeCall, List, Operand, RowsFrom};
use crate::engine::Method;
use crate::render::Column;

const COMPONENT: Operand =
    Operand::one("component_name", "The part of the broker or the plugin that reads it");
const NAME: Operand = Operand::one("name", "The parameter's name");
const VALUE: Operand = Operand::one("value", "The value as JSON");

pub(super) const ROWS: &[AdminRow] = &[
    AdminRow {
        name: "set-parameter",
        about: "Set a runtime parameter of the virtual host",
        operands: &[COMPONENT, NAME, VALUE],
        examples: &[r#"mq set-parameter vhost-limits limits '{"max-queues": 1000}'"#],
        work: AdminWork::Change(ChangeCall {
            method: Method::PUT,
            path: "parameters/{component_name}/{vhost}/{name}",
            body: Some(|given| {
                Ok(json!({
                    "component": given.text("component_name"),
                    "vhost": given.vhost(),
                    "name": given.text("name"),
                    "value": given.json("value")?,
                }))
            }),
            doing: "set parameter '{name}' of '{component_name}' in vhost '{vhost}'",
            done: "set parameter '{name}' of '{component_name}' in vhost '{vhost}'",
        }),
        ..AdminRow::PLAIN
    },
    AdminRow {
        name: "list-parameters",
        programs: CTL_DIAGNOSTICS,
        about: "List the runtime parameters of the virtual host",
        examples: &["mq list-parameters"],
        work: AdminWork::List(List {
            source: RowsFrom::At("parameters"),
            columns: &[
                Column::plain("component"),
                Column::plain("name"),
                Column::plain("value"),
                Column::plain("vhost"),
            ],
            usual: 3,
            arrange: Some(of_vhost),
        }),
        ..AdminRow::PLAIN
    },
    AdminRow {
        name: "clear-parameter",
        about: "Delete a runtime parameter of the virtual host",
        operands: &[COMPONENT, NAME],
        examples: &["mq clear-parameter vhost-limits limits"],
        work: AdminWork::Change(ChangeCall {
            method: Method::DELETE,
            path: "parameters/{component_name}/{vhost}/{name}",
            body: None,
            doing: "clear parameter '{name}' of '{component_name}' in vhost '{vhost}'",
            done: "cleared parameter '{name}' of '{component_name}' in vhost '{vhost}'",
        }),
        ..AdminRow::PLAIN
    },
    AdminRow {
        name: "set-global-parameter",
        about: "Set a runtime parameter of the broker",
        operands: &[NAME, VALUE],
        examples: &[r#"mq set-global-parameter contact '{"team": "shop"}'"#],
        work: AdminWork::Change(ChangeCall {
            method: Method::PUT,
            path: "global-parameters/{name}",
            body: Some(|given| {
                Ok(json!({"name": given.text("name"), "value": given.json("value")?}))
            }),
            doing: "set global parameter '{name}'",
            done: "set global parameter '{name}'",
        }),
        ..AdminRow::PLAIN
    },
    AdminRow {
        name: "list-global-parameters",
        programs: CTL_DIAGNOSTICS,
        about: "List the runtime parameters of the broker",
        examples: &["mq list-global-parameters"],
        work: AdminWork::List(List {
            source: RowsFrom::At("global-parameters"),
            columns: &[Column::plain("name"), Column::plain("value")],
            usual: 2,
            arrange: None,
        }),
        ..AdminRow::PLAIN
    },
    AdminRow {
        name: "clear-global-parameter",
        about: "Delete a runtime parameter of the broker",
        operands: &[NAME],
        examples: &["mq clear-global-parameter contact"],
        work: AdminWork::Change(ChangeCall {
            method: Method::DELETE,
            path: "global-parameters/{name}",
            body: None,
            doing: "clear global parameter '{name}'",
            done: "cleared global parameter '{name}'",
        }),
        ..AdminRow::PLAIN
    },
];

fn of_vhost(mut rows: Vec<Value>, given: &Given) -> Vec<Value> {
    rows.retain(|row| row["vhost"] == given.vhost());
    rows
}
