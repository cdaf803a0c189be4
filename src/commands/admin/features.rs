//! Feature flags and deprecated features.

use serde_json::json;

use super::given::Given;
use super::row::{AdminRow, AdminWork, CTL_DIAGNOSTICS, List, Operand, RowsFrom, Switch};
use super::{lists, show};
use crate::commands::{Answer, CommandError, Context};
use crate::engine::{Call, escape};
use crate::render::Column;

pub(super) const ROWS: &[AdminRow] = &[
    AdminRow {
        name: "list-feature-flags",
        programs: CTL_DIAGNOSTICS,
        about: "List the feature flags",
        examples: &["mq list-feature-flags", "mq list_feature_flags name state stability"],
        work: AdminWork::List(List {
            source: RowsFrom::At("feature-flags"),
            columns: &[
                Column::plain("name"),
                Column::plain("state"),
                Column::plain("stability"),
                Column::plain("provided_by"),
                Column::plain("desc"),
                Column::plain("doc_url"),
            ],
            usual: 2,
            arrange: None,
        }),
        ..AdminRow::PLAIN
    },
    AdminRow {
        name: "enable-feature-flag",
        about: "Enable a feature flag, for good",
        operands: &[Operand::one("feature_flag", "The flag; all enables each that is stable")],
        switches: &[
            Switch::flag("opt-in", "Enable it although it is experimental"),
            Switch::flag("experimental", "The older name of --opt-in"),
        ],
        examples: &["mq enable-feature-flag all", "mq enable_feature_flag quorum_queue"],
        work: AdminWork::Run(|given, cx| Box::pin(enable(given, cx))),
        ..AdminRow::PLAIN
    },
    AdminRow {
        name: "list-deprecated-features",
        programs: CTL_DIAGNOSTICS,
        about: "List the features that RabbitMQ has deprecated",
        switches: &[Switch::flag("used", "List those that are in use only")],
        examples: &["mq list-deprecated-features", "mq list-deprecated-features --used"],
        work: AdminWork::List(List {
            source: RowsFrom::Chosen(|given| {
                if given.is_set("used") {
                    "deprecated-features/used"
                } else {
                    "deprecated-features"
                }
            }),
            columns: &[
                Column::plain("name"),
                Column::plain("deprecation_phase"),
                Column::plain("state"),
                Column::plain("provided_by"),
                Column::plain("desc"),
                Column::plain("doc_url"),
            ],
            usual: 3,
            arrange: None,
        }),
        ..AdminRow::PLAIN
    },
    AdminRow {
        name: "check-if-any-deprecated-features-are-used",
        programs: CTL_DIAGNOSTICS,
        about: "Check that no deprecated feature is used; exit code 1 if one is",
        examples: &["mq check-if-any-deprecated-features-are-used"],
        work: AdminWork::Run(|given, cx| Box::pin(check_deprecated(given, cx))),
        ..AdminRow::PLAIN
    },
];

async fn enable(given: &Given, cx: &mut Context) -> Result<Answer, CommandError> {
    let name = given.text("feature_flag");
    if name != "all" {
        enable_one(name, cx).await?;
        return show::done(&format!("enabled feature flag '{name}'"), cx);
    }
    let flags = cx.engine.inspect().rows("list feature flags", "feature-flags").await?;
    let is_due =
        |flag: &&serde_json::Value| flag["state"] == "disabled" && flag["stability"] == "stable";
    let due: Vec<&str> =
        flags.iter().filter(is_due).filter_map(|flag| flag["name"].as_str()).collect();
    for flag in &due {
        enable_one(flag, cx).await?;
    }
    let count = lists::counted(due.len(), "feature flag", "feature flags");
    show::done(&format!("enabled {count}; all that are stable are enabled"), cx)
}

async fn enable_one(name: &str, cx: &Context) -> Result<(), CommandError> {
    let call = Call::put(format!("feature-flags/{}/enable", escape(name)), json!({"name": name}));
    cx.engine.inspect().send(&format!("enable feature flag '{name}'"), &call).await?;
    Ok(())
}

async fn check_deprecated(_: &Given, cx: &mut Context) -> Result<Answer, CommandError> {
    let used =
        cx.engine.inspect().rows("list deprecated features", "deprecated-features/used").await?;
    let names: Vec<&str> = used.iter().filter_map(|feature| feature["name"].as_str()).collect();
    if names.is_empty() {
        return show::text("no deprecated feature is used", cx);
    }
    Err(show::failed(format!("deprecated features are used: {}", names.join(", "))))
}
