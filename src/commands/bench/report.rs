//! The answer of a bench: a table for people, rows for shells, one JSON object for programs.
//!
//! The names of the JSON fields are a promise.

use serde_json::{Map, Value, json};

use super::figure::{
    Figure, LatencyStage, STATISTICS, Statistic, Times, Unit, VerifyFault, rounded,
};
use crate::engine::bench::{Acknowledge, BenchDurability, BenchOutcome, Plan, Second, Speed};
use crate::render::{Format, Output, words};

/// The outcome at one broker.
#[derive(Debug)]
pub(super) struct Side {
    /// The broker, its password masked
    pub(super) target: String,
    pub(super) outcome: BenchOutcome,
}

/// The result of a run, or of a comparison.
#[derive(Debug)]
pub(super) struct Report<'a> {
    pub(super) plan: &'a Plan,
    pub(super) first: &'a Side,
    /// The broker of `--against`
    pub(super) second: Option<&'a Side>,
    pub(super) failures: &'a [String],
}

const RATES: [Figure; 3] = [
    Figure::Rate(LatencyStage::Published),
    Figure::Rate(LatencyStage::Confirmed),
    Figure::Rate(LatencyStage::Delivered),
];

const COUNTS: [Figure; 8] = [
    Figure::Count(LatencyStage::Published),
    Figure::Count(LatencyStage::Confirmed),
    Figure::Count(LatencyStage::Delivered),
    Figure::Refused,
    Figure::VerifyFault(VerifyFault::Lost),
    Figure::VerifyFault(VerifyFault::Duplicates),
    Figure::VerifyFault(VerifyFault::Misordered),
    Figure::VerifyFault(VerifyFault::Corrupt),
];

const TIMES: [Times; 3] = [Times::Delivery, Times::Confirm, Times::Lag];

impl Report<'_> {
    /// Prints it in the format that was asked for.
    pub(super) fn print(&self, out: &mut Output) -> std::io::Result<()> {
        match out.list_format() {
            Format::Json | Format::Jsonl => out.json_line(&self.to_json()),
            format => self.print_rows(format, out),
        }
    }

    fn figures(&self) -> impl Iterator<Item = Figure> {
        let times = TIMES.into_iter().flat_map(|times| {
            STATISTICS.map(|statistic: Statistic| Figure::Time(times, statistic))
        });
        let plan = self.plan;
        RATES.into_iter().chain(COUNTS).chain(times).filter(|figure| figure.missing(plan).is_none())
    }

    fn print_rows(&self, format: Format, out: &mut Output) -> std::io::Result<()> {
        let mut columns = vec!["figure".to_owned(), self.first.target.clone()];
        if let Some(second) = self.second {
            // Two vhosts of one broker may have the same name; a column needs one of its own.
            let is_same = second.target == self.first.target;
            columns.push(if is_same { "the same again".to_owned() } else { second.target.clone() });
            columns.push("ratio".to_owned());
        }
        let rows: Vec<Value> =
            self.figures().map(|figure| self.row(figure, format, &columns)).collect();
        out.rows(format, &columns, &rows, true)
    }

    fn row(&self, figure: Figure, format: Format, columns: &[String]) -> Value {
        let cell = |value: Option<f64>| match (value, format) {
            (None, _) => Value::Null,
            (Some(value), Format::Table) => figure.unit().words(value).into(),
            (Some(value), _) => exact(figure.unit(), value),
        };
        let [first, second] = [Some(self.first), self.second]
            .map(|side| side.and_then(|side| figure.of(&side.outcome)));
        let ratio = match ratio(first, second) {
            Some(ratio) if format == Format::Table => format!("{ratio:.2}").into(),
            Some(ratio) => json!(ratio),
            None => Value::Null,
        };
        let name = match (format, figure.unit()) {
            (Format::Table, _) | (_, Unit::PerSecond | Unit::Messages) => figure.to_string(),
            (_, Unit::Seconds) => format!("{figure}_us"),
        };
        let cells = [Value::from(name), cell(first), cell(second), ratio];
        Value::Object(columns.iter().cloned().zip(cells).collect())
    }

    fn to_json(&self) -> Value {
        let mut report = side_json(self.plan, self.first);
        let mut more = Map::new();
        more.insert("shape".into(), shape_json(self.plan));
        if let Some(second) = self.second {
            more.insert("against".into(), Value::Object(side_json(self.plan, second)));
            let ratios = self.figures().filter_map(|figure| {
                let [first, second] = [self.first, second].map(|side| figure.of(&side.outcome));
                Some((figure.to_string(), json!(ratio(first, second)?)))
            });
            more.insert("ratio".into(), Value::Object(ratios.collect()));
        }
        more.insert("failed".into(), json!(self.failures));
        report.extend(more);
        Value::Object(report)
    }
}

/// A number with the digits that mean something: whole messages, messages a second, and nanoseconds of a microsecond.
fn exact(unit: Unit, value: f64) -> Value {
    match unit {
        Unit::Messages => json!(rounded(value)),
        Unit::PerSecond => json!((value * 10.0).round() / 10.0),
        Unit::Seconds => json!((value * 1e9).round() / 1e3),
    }
}

/// Divides the first figure by the second, to a thousandth; `None` if that is no number.
fn ratio(first: Option<f64>, second: Option<f64>) -> Option<f64> {
    let ratio = first? / second?;
    ratio.is_finite().then(|| (ratio * 1000.0).round() / 1000.0)
}

fn side_json(plan: &Plan, side: &Side) -> Map<String, Value> {
    let outcome = &side.outcome;
    let mut fields = Map::new();
    fields.insert("target".into(), json!(side.target));
    fields.insert("seconds".into(), json!(outcome.elapsed.as_secs_f64()));
    for figure in RATES.into_iter().chain(COUNTS) {
        let is_fault = matches!(figure, Figure::VerifyFault(_));
        if let (false, None, Some(value)) = (is_fault, figure.missing(plan), figure.of(outcome)) {
            let name = figure.to_string().replace('-', "_");
            fields.insert(name, exact(figure.unit(), value));
        }
    }
    for (name, times) in [
        ("latency_us", Times::Delivery),
        ("confirm_latency_us", Times::Confirm),
        ("lag_us", Times::Lag),
    ] {
        let statistics = STATISTICS.into_iter().filter_map(|statistic| {
            let figure = Figure::Time(times, statistic);
            let value = figure.of(outcome).filter(|_| figure.missing(plan).is_none())?;
            Some((statistic.to_string(), exact(Unit::Seconds, value)))
        });
        let statistics: Map<String, Value> = statistics.collect();
        if !statistics.is_empty() {
            fields.insert(name.into(), Value::Object(statistics));
        }
    }
    if let Some(verdict) = outcome.verdict {
        let verdict = json!({
            "lost": verdict.lost,
            "duplicates": verdict.duplicates,
            "misordered": verdict.misordered,
            "corrupt": verdict.corrupt,
        });
        fields.insert("verify".into(), verdict);
    }
    fields.insert("blocked_seconds".into(), json!(outcome.blocked.as_secs_f64()));
    fields.insert("interrupted".into(), json!(outcome.is_interrupted));
    let seconds = (1..).zip(&outcome.seconds).map(|(number, second)| second_json(number, second));
    fields.insert("per_second".into(), Value::Array(seconds.collect()));
    fields
}

/// Makes an object of the figures of one second.
pub(super) fn second_json(number: usize, second: &Second) -> Value {
    let RateFigures { published, confirmed, delivered } = RateFigures::of(second);
    let mut fields = json!({
        "second": number,
        "publish_rate": published,
        "confirm_rate": confirmed,
        "deliver_rate": delivered,
    });
    if let (Some(fields), Some(times)) = (fields.as_object_mut(), second.latency) {
        for (name, time) in ["p50_us", "p99_us", "max_us"].into_iter().zip(times) {
            fields.insert(name.into(), exact(Unit::Seconds, time.as_secs_f64()));
        }
    }
    fields
}

/// The same in words.
pub(super) fn second_words(plan: &Plan, second: &Second) -> String {
    let RateFigures { published, confirmed, delivered } = RateFigures::of(second);
    let mut parts = vec![format!("published {}/s", words::grouped(published))];
    if plan.unconfirmed_max > 0 {
        parts.push(format!("confirmed {}/s", words::grouped(confirmed)));
    }
    if plan.consumers > 0 {
        parts.push(format!("delivered {}/s", words::grouped(delivered)));
    }
    if let Some([median, p99, max]) = second.latency.map(|times| times.map(words::time)) {
        parts.push(format!("p50 {median}, p99 {p99}, max {max}"));
    }
    parts.join(", ")
}

/// Messages a second.
struct RateFigures {
    published: u64,
    confirmed: u64,
    delivered: u64,
}

impl RateFigures {
    fn of(second: &Second) -> Self {
        #[expect(clippy::cast_precision_loss, reason = "a rate to look at")]
        let rate = |count: u64| rounded(count as f64 / second.elapsed.as_secs_f64().max(1e-9));
        Self {
            published: rate(second.published),
            confirmed: rate(second.confirmed),
            delivered: rate(second.delivered),
        }
    }
}

fn shape_json(plan: &Plan) -> Value {
    let (ack, is_persistent) = match plan.acknowledge {
        Acknowledge::Automatically => (0, plan.durability == BenchDurability::Messages),
        Acknowledge::Every(count) => (count, plan.durability == BenchDurability::Messages),
    };
    let rate = match plan.speed {
        Speed::PerSecond(rate) => json!(rate),
        Speed::Flat { .. } => Value::Null,
    };
    json!({
        "publishers": plan.publishers,
        "consumers": plan.consumers,
        "queues": plan.queues,
        "bindings": plan.bindings,
        "exchange_type": plan.exchange_kind.as_deref(),
        "size_bytes": plan.body_bytes,
        "durable": plan.durability != BenchDurability::Queues,
        "persistent": is_persistent,
        "confirm": plan.unconfirmed_max,
        "ack": ack,
        "prefetch": plan.prefetch,
        "rate": rate,
        "warmup_seconds": plan.warmup.as_secs_f64(),
    })
}
