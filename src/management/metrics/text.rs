//! Metrics as text, in Prometheus' format 0.0.4 or in `OpenMetrics` 1.0.
//!
//! Written by hand: the libraries for it name, type and order families themselves, and ours are RabbitMQ's.

use std::fmt::{self, Display, Write as _};

use super::highest::Highest;

/// A format of metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum MetricsFormat {
    Prometheus,
    OpenMetrics,
}

impl MetricsFormat {
    /// Chooses what a client accepts most: Prometheus' format if it has no preference, as RabbitMQ sends no other;
    /// none if it accepts neither.
    pub(super) fn of(accept: Option<&str>) -> Option<Self> {
        let Some(accept) = accept else { return Some(Self::Prometheus) };
        let weight = |format: Self| {
            let ranges = accept.split(',').map(Range::new);
            ranges
                .filter(|range| range.covers(format))
                .map(|range| range.weight)
                .fold(0.0, f64::max)
        };
        let (plain, open) = (weight(Self::Prometheus), weight(Self::OpenMetrics));
        match () {
            () if open > plain => Some(Self::OpenMetrics),
            () if plain > 0.0 => Some(Self::Prometheus),
            () => None,
        }
    }

    pub(super) fn content_type(self) -> &'static str {
        match self {
            Self::Prometheus => "text/plain; version=0.0.4",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }
}

/// A media range of an `Accept` header.
struct Range<'a> {
    media_type: &'a str,
    version: Option<&'a str>,
    weight: f64,
}

impl<'a> Range<'a> {
    fn new(text: &'a str) -> Self {
        let mut parts = text.split(';').map(str::trim);
        let media_type = parts.next().unwrap_or_default();
        let mut range = Self { media_type, version: None, weight: 1.0 };
        for (name, value) in parts.filter_map(|part| part.split_once('=')) {
            match name {
                "version" => range.version = Some(value),
                "q" => range.weight = value.parse().unwrap_or(0.0),
                _ => {}
            }
        }
        range
    }

    fn covers(&self, format: MetricsFormat) -> bool {
        let is = |media_type: &str| self.media_type.eq_ignore_ascii_case(media_type);
        match format {
            MetricsFormat::Prometheus => is("text/plain") || is("text/*") || is("*/*"),
            MetricsFormat::OpenMetrics => {
                is("application/openmetrics-text")
                    && self.version.is_none_or(|version| version == "1.0.0")
            }
        }
    }
}

/// The type of a family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum MetricKind {
    Counter,
    Gauge,
    Histogram,
    Summary,
    Untyped,
}

/// The value of a sample.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Number {
    Whole(u64),
    Real(f64),
}

impl From<u64> for Number {
    fn from(value: u64) -> Self {
        Self::Whole(value)
    }
}

impl From<usize> for Number {
    fn from(value: usize) -> Self {
        Self::Whole(value as u64)
    }
}

impl From<bool> for Number {
    fn from(value: bool) -> Self {
        Self::Whole(u64::from(value))
    }
}

impl From<f64> for Number {
    fn from(value: f64) -> Self {
        Self::Real(value)
    }
}

impl Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Whole(value) => value.fmt(f),
            Self::Real(value) => value.fmt(f),
        }
    }
}

/// Labels as they stand between the braces.
pub(super) fn labels(pairs: &[(&str, &str)]) -> String {
    let mut text = String::new();
    for (name, value) in pairs {
        if !text.is_empty() {
            text.push(',');
        }
        text.push_str(name);
        text.push_str("=\"");
        for c in value.chars() {
            match c {
                '\\' => text.push_str("\\\\"),
                '"' => text.push_str("\\\""),
                '\n' => text.push_str("\\n"),
                c => text.push(c),
            }
        }
        text.push('"');
    }
    text
}

/// Families under way to a client.
#[derive(Debug)]
pub(super) struct Text<'a> {
    format: MetricsFormat,
    /// The values that sums were sent with before; none where each object has a sample of its own.
    highest: Option<&'a Highest>,
    /// The first part of each name.
    prefix: &'static str,
    /// The family's name, with its prefix.
    name: String,
    kind: MetricKind,
    written: String,
}

impl<'a> Text<'a> {
    pub(super) fn new(
        format: MetricsFormat,
        prefix: &'static str,
        highest: Option<&'a Highest>,
    ) -> Self {
        let (name, kind, written) = (String::new(), MetricKind::Untyped, String::new());
        Self { format, highest, prefix, name, kind, written }
    }

    /// Has names begin with `prefix` from now on; answers how they began before.
    pub(super) fn set_prefix(&mut self, prefix: &'static str) -> &'static str {
        std::mem::replace(&mut self.prefix, prefix)
    }

    /// Begins a family; its samples follow.
    pub(super) fn family(&mut self, name: &str, kind: MetricKind, help: &str) {
        self.name.clear();
        self.name.push_str(self.prefix);
        self.name.push_str(name);
        self.kind = kind;
        let (name, kind) = self.described(kind);
        let line = format!("# TYPE {name} {kind}\n# HELP {name} {help}\n");
        self.written.push_str(&line);
    }

    /// Name and type of the family in this format: in `OpenMetrics` each sample of a counter ends in `_total`, and
    /// the family does not.
    fn described(&self, kind: MetricKind) -> (&str, &'static str) {
        let name = self.name.as_str();
        match (self.format, kind) {
            (MetricsFormat::OpenMetrics, MetricKind::Counter) => {
                match name.strip_suffix("_total") {
                    Some(name) => (name, "counter"),
                    None => (name, "unknown"),
                }
            }
            (MetricsFormat::OpenMetrics, MetricKind::Untyped) => (name, "unknown"),
            (MetricsFormat::Prometheus, MetricKind::Untyped) => (name, "untyped"),
            (MetricsFormat::Prometheus, MetricKind::Counter) => (name, "counter"),
            (_, MetricKind::Gauge) => (name, "gauge"),
            (_, MetricKind::Histogram) => (name, "histogram"),
            (_, MetricKind::Summary) => (name, "summary"),
        }
    }

    /// A sample of the family that was begun last.
    pub(super) fn sample(&mut self, labels: &str, value: impl Into<Number>) {
        self.sample_of("", labels, value);
    }

    /// The same for one of the samples that a histogram or a summary has, for example `_sum`.
    pub(super) fn sample_of(&mut self, suffix: &str, labels: &str, value: impl Into<Number>) {
        let value = self.unfallen(suffix, labels, value.into());
        let name = &self.name;
        let written = if labels.is_empty() {
            writeln!(self.written, "{name}{suffix} {value}")
        } else {
            writeln!(self.written, "{name}{suffix}{{{labels}}} {value}")
        };
        written.expect("a string takes all");
    }

    /// The value of a sum that only grows: no lower than it was sent before.
    fn unfallen(&self, suffix: &str, labels: &str, value: Number) -> Number {
        match (self.highest, self.kind, value) {
            (Some(highest), MetricKind::Counter | MetricKind::Histogram, Number::Whole(value)) => {
                let counter = format!("{}{suffix}{{{labels}}}", self.name);
                highest.raise(counter, value).into()
            }
            _ => value,
        }
    }

    /// The bound of a bucket as this format writes it: `OpenMetrics` as a float, as RabbitMQ's dashboards do.
    pub(super) fn bound(&self, bound: u64) -> String {
        if self.format == MetricsFormat::Prometheus {
            return bound.to_string();
        }
        if bound < 1_000_000 {
            return format!("{bound}.0");
        }
        let exponent = bound.ilog10();
        format!("{}e+{exponent:02}", bound / 10_u64.pow(exponent))
    }

    /// Everything that was written.
    pub(super) fn finish(mut self) -> String {
        self.written.push_str(match self.format {
            MetricsFormat::Prometheus => "",
            MetricsFormat::OpenMetrics => "# EOF\n",
        });
        self.written
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_format_is_what_the_client_accepts_most() {
        let prometheus_2_42 = "application/openmetrics-text;version=1.0.0,\
            application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1";
        let (plain, open) = (Some(MetricsFormat::Prometheus), Some(MetricsFormat::OpenMetrics));
        #[rustfmt::skip]
        let cases = [
            (None,                                                      plain),
            (Some("*/*"),                                               plain),
            (Some("text/plain"),                                        plain),
            (Some("text/*;q=0.1"),                                      plain),
            (Some("Application/OpenMetrics-Text; version=1.0.0"),       open),
            (Some("application/openmetrics-text;version=0.0.1"),        None),
            (Some("application/openmetrics-text;q=0.3,text/plain;q=0.3"), plain),
            (Some(prometheus_2_42),                                     open),
            (Some("application/json"),                                  None),
            (Some(""),                                                  None),
        ];
        for (accept, expected) in cases {
            assert_eq!(MetricsFormat::of(accept), expected, "{accept:?}");
        }
    }

    fn written(format: MetricsFormat) -> String {
        let mut text = Text::new(format, "rabbitmq_", None);
        text.family("queues_created_total", MetricKind::Counter, "Queues created");
        text.sample("", 3_u64);
        text.family("alarms", MetricKind::Untyped, "On or off");
        text.sample(&labels(&[("vhost", "a\"b\\c\nd"), ("queue", "q")]), true);
        text.family("capacity", MetricKind::Gauge, "Part");
        text.sample("", 0.25);
        text.finish()
    }

    #[test]
    fn bounds_are_written_as_dashboards_ask_for_them() {
        let bounds = [100, 100_000, 1_000_000, 50_000_000];
        let plain = Text::new(MetricsFormat::Prometheus, "", None);
        assert_eq!(bounds.map(|at| plain.bound(at)), ["100", "100000", "1000000", "50000000"]);
        let open = Text::new(MetricsFormat::OpenMetrics, "", None);
        assert_eq!(bounds.map(|at| open.bound(at)), ["100.0", "100000.0", "1e+06", "5e+07"]);
    }

    #[test]
    fn both_formats_have_the_same_samples() {
        let samples = "rabbitmq_queues_created_total 3\n\
            rabbitmq_alarms{vhost=\"a\\\"b\\\\c\\nd\",queue=\"q\"} 1\n\
            rabbitmq_capacity 0.25\n";
        let heads = |text: &str| -> (String, String) {
            let (heads, samples): (Vec<_>, Vec<_>) =
                text.split_inclusive('\n').partition(|line| line.starts_with('#'));
            (heads.concat(), samples.concat())
        };
        let (plain, found) = heads(&written(MetricsFormat::Prometheus));
        assert_eq!(found, samples);
        assert!(plain.starts_with("# TYPE rabbitmq_queues_created_total counter\n"), "{plain}");
        assert!(plain.contains("# TYPE rabbitmq_alarms untyped\n"), "{plain}");
        let (open, found) = heads(&written(MetricsFormat::OpenMetrics));
        assert_eq!(found, samples);
        assert!(open.starts_with("# TYPE rabbitmq_queues_created counter\n"), "{open}");
        assert!(open.contains("# TYPE rabbitmq_alarms unknown\n"), "{open}");
        assert!(open.ends_with("# EOF\n"), "{open}");
    }
}
