//! The texts of `status` and `cluster_status`.

use std::fmt::Write as _;

use serde_json::Value;

use super::names::CtlRelease;

/// The units of sizes, with their bytes.
const UNITS: [SizeUnit; 4] = [
    SizeUnit { name: "bytes", bytes: 1.0 },
    SizeUnit { name: "mb", bytes: 1e6 },
    SizeUnit::GB,
    SizeUnit { name: "tb", bytes: 1e12 },
];

/// A unit of sizes.
#[derive(Clone, Copy, Debug)]
pub(super) struct SizeUnit {
    pub(super) name: &'static str,
    bytes: f64,
}

impl SizeUnit {
    pub(super) const GB: Self = Self { name: "gb", bytes: 1e9 };
}

pub(super) fn unit_of(name: &str) -> Option<SizeUnit> {
    UNITS.into_iter().find(|unit| name.eq_ignore_ascii_case(unit.name))
}

/// A size in a unit, with at most four places.
#[expect(clippy::cast_precision_loss, reason = "four places are shown")]
pub(super) fn in_unit(bytes: u64, unit: SizeUnit) -> String {
    let rounded = (bytes as f64 / unit.bytes * 1e4).round() / 1e4;
    if unit.bytes > 1.0 { format!("{rounded:?}") } else { bytes.to_string() }
}

/// A heading of a status text: bold in the earlier release.
fn titled(title: &str, release: CtlRelease) -> String {
    match release {
        CtlRelease::V3_10 => format!("\x1b[1m{title}\x1b[0m\n\n"),
        CtlRelease::V4_3 => format!("{title}\n\n"),
    }
}

/// Adds a heading, with an empty line above it if it is not the first.
fn heading(text: &mut String, title: &str, release: CtlRelease) {
    if !text.is_empty() {
        text.push('\n');
    }
    text.push_str(&titled(title, release));
}

fn lines(text: &mut String, lines: impl IntoIterator<Item = String>) {
    let mut is_empty = true;
    for line in lines {
        is_empty = false;
        let _ = writeln!(text, "{line}");
    }
    if is_empty {
        text.push_str("(none)\n");
    }
}

pub(super) fn number(value: &Value) -> u64 {
    value.as_u64().or_else(|| value.as_str()?.parse().ok()).unwrap_or_default()
}

/// The names in a list of names.
pub(super) fn names(value: &Value) -> Vec<String> {
    value.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
}

pub(super) fn listener_line(row: &Value) -> String {
    let text = |name: &str| row[name].as_str().unwrap_or_default().to_owned();
    format!(
        "interface: {}, port: {}, protocol: {}, purpose: {}",
        text("interface"),
        row["port"],
        text("protocol"),
        text("purpose")
    )
}

#[expect(clippy::cast_precision_loss, reason = "two places are shown")]
pub(super) fn percentage(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { (part as f64 / whole as f64 * 1e4).round() / 1e2 }
}

pub(super) fn status_text(
    status: &Value,
    parts: &[(String, u64)],
    unit: SizeUnit,
    release: CtlRelease,
    node: &str,
) -> String {
    let mut text = String::new();
    let plain = |name: &str| match &status[name] {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let support = match release {
        CtlRelease::V3_10 => "supported",
        CtlRelease::V4_3 => "see https://www.rabbitmq.com/release-information",
    };
    heading(&mut text, "Runtime", release);
    lines(
        &mut text,
        [
            format!("OS PID: {}", plain("pid")),
            format!("OS: {}", plain("os")),
            format!("Uptime (seconds): {}", plain("uptime")),
            format!("Is under maintenance?: {}", plain("is_under_maintenance")),
            format!("RabbitMQ version: {}", plain("rabbitmq_version")),
            format!("RabbitMQ release series support status: {support}"),
            format!("Node name: {node}"),
            format!("Erlang configuration: {}", plain("erlang_version")),
            "Crypto library: rustls".to_owned(),
            format!(
                "Erlang processes: {} used, {} limit",
                status["processes"]["used"], status["processes"]["limit"]
            ),
            format!("Scheduler run queue: {}", plain("run_queue")),
            format!("Cluster heartbeat timeout (net_ticktime): {}", plain("net_ticktime")),
        ],
    );
    heading(&mut text, "Plugins", release);
    let _ =
        writeln!(text, "Enabled plugin file: {}\nEnabled plugins:\n", plain("enabled_plugin_file"));
    lines(&mut text, names(&status["active_plugins"]).iter().map(|name| format!(" * {name}")));
    heading(&mut text, "Data directory", release);
    let _ = writeln!(text, "Node data directory: {}", plain("data_directory"));
    let _ = writeln!(text, "Raft data directory: {}", plain("raft_data_directory"));
    for (title, name) in [("Config files", "config_files"), ("Log file(s)", "log_files")] {
        heading(&mut text, title, release);
        lines(&mut text, names(&status[name]).iter().map(|name| format!(" * {name}")));
    }
    heading(&mut text, "Alarms", release);
    lines(&mut text, names(&status["alarms"]));
    if release == CtlRelease::V4_3 {
        heading(&mut text, "Tags", release);
        lines(&mut text, []);
    }
    text += &resources_text(status, parts, unit, release);
    text.trim_end().to_owned()
}

/// The second half of a status: memory, disk, totals and listeners.
fn resources_text(
    status: &Value,
    parts: &[(String, u64)],
    unit: SizeUnit,
    release: CtlRelease,
) -> String {
    let mut text = "\n".to_owned();
    let sized = |value: &Value| format!("{} {}", in_unit(number(value), unit), unit.name);
    text.push_str(&titled("Memory", release));
    let limit = sized(&status["vm_memory_high_watermark_limit"]);
    let _ = writeln!(
        text,
        "Total memory used: {}\nCalculation strategy: rss\nMemory high watermark setting: {limit}\n",
        sized(&status["memory"]["total"]["rss"])
    );
    let whole = parts.iter().map(|(_, bytes)| bytes).sum();
    lines(
        &mut text,
        parts.iter().map(|(name, bytes)| {
            format!(
                "{name}: {} {} ({:?} %)",
                in_unit(*bytes, unit),
                unit.name,
                percentage(*bytes, whole)
            )
        }),
    );
    heading(&mut text, "Free Disk Space", release);
    let _ = writeln!(text, "Low free disk space watermark: {}", sized(&status["disk_free_limit"]));
    let _ = writeln!(text, "Free disk space: {}", sized(&status["disk_free"]));
    heading(&mut text, "Totals", release);
    let totals = &status["totals"];
    let _ = writeln!(text, "Connection count: {}", totals["connection_count"]);
    let _ = writeln!(text, "Queue count: {}", totals["queue_count"]);
    let _ = writeln!(text, "Virtual host count: {}", totals["virtual_host_count"]);
    heading(&mut text, "Listeners", release);
    let listeners = status["listeners"].as_array().into_iter().flatten();
    lines(&mut text, listeners.map(|row| format!("I{}", &listener_line(row)[1..])));
    text
}

pub(super) fn cluster_text(status: &Value, release: CtlRelease) -> String {
    let is_4 = release == CtlRelease::V4_3;
    let mut text = String::new();
    let of_nodes = |name: &str| status[name].as_object().into_iter().flatten();
    heading(&mut text, "Basics", release);
    let _ = writeln!(text, "Cluster name: {}", status["cluster_name"].as_str().unwrap_or_default());
    if is_4 {
        let cores: u64 = of_nodes("cpu_cores").map(|(_, cores)| number(cores)).sum();
        let _ = writeln!(text, "Total CPU cores available cluster-wide: {cores}");
        heading(&mut text, "Cluster Tags", release);
        lines(&mut text, []);
    }
    heading(&mut text, "Disk Nodes", release);
    lines(&mut text, names(&status["disk_nodes"]));
    heading(&mut text, "Running Nodes", release);
    lines(&mut text, names(&status["running_nodes"]));
    heading(&mut text, "Versions", release);
    lines(
        &mut text,
        of_nodes("versions").map(|(node, version)| {
            let erlang = version["erlang_version"].as_str().filter(|erlang| !erlang.is_empty());
            let erlang = erlang.map_or_else(String::new, |erlang| format!(" on Erlang {erlang}"));
            format!(
                "{node}: RabbitMQ {}{erlang}",
                version["rabbitmq_version"].as_str().unwrap_or_default()
            )
        }),
    );
    if is_4 {
        heading(&mut text, "CPU Cores", release);
        lines(
            &mut text,
            of_nodes("cpu_cores")
                .map(|(node, cores)| format!("Node: {node}, available CPU cores: {cores}")),
        );
    }
    heading(&mut text, "Maintenance status", release);
    lines(
        &mut text,
        of_nodes("maintenance_status").map(|(node, state)| {
            format!("Node: {node}, status: {}", state.as_str().unwrap_or_default())
        }),
    );
    heading(&mut text, "Alarms", release);
    lines(&mut text, names(&status["alarms"]));
    heading(&mut text, "Network Partitions", release);
    lines(&mut text, []);
    heading(&mut text, "Listeners", release);
    lines(
        &mut text,
        of_nodes("listeners").flat_map(|(node, rows)| {
            rows.as_array()
                .into_iter()
                .flatten()
                .map(move |row| format!("Node: {node}, {}", listener_line(row)))
        }),
    );
    heading(&mut text, "Feature flags", release);
    let flags = status["feature_flags"].as_array().into_iter().flatten();
    let field = |flag: &Value, name: &str| flag[name].as_str().unwrap_or_default().to_owned();
    lines(
        &mut text,
        flags.map(|flag| format!("Flag: {}, state: {}", field(flag, "name"), field(flag, "state"))),
    );
    text.trim_end().to_owned()
}
