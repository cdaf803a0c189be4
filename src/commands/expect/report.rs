//! The report of `mq expect`: for people, as JSON, as TAP, and as the XML of `JUnit`.

use std::fmt::Write as _;
use std::io;
use std::time::Duration;

use clap::ValueEnum;
use serde_json::json;

use crate::render::{Format, Output};

/// The form of a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum ReportForm {
    /// The Test Anything Protocol
    Tap,
    /// The XML that CI servers read
    Junit,
}

/// One expectation and what came of it.
#[derive(Clone, Debug)]
pub(super) struct CheckedExpectation {
    pub(super) expected: String,
    /// The reason why it is not met
    pub(super) failure: Option<String>,
    pub(super) took: Duration,
}

#[derive(Clone, Debug)]
pub(super) struct ExpectationReport {
    pub(super) outcomes: Vec<CheckedExpectation>,
}

impl ExpectationReport {
    pub(super) fn failures(&self) -> usize {
        self.outcomes.iter().filter(|outcome| outcome.failure.is_some()).count()
    }

    pub(super) fn write(&self, form: Option<ReportForm>, out: &mut Output) -> io::Result<()> {
        match (form, out.format()) {
            (Some(ReportForm::Tap), _) => out.bytes(self.tap().as_bytes()),
            (Some(ReportForm::Junit), _) => out.bytes(self.junit().as_bytes()),
            (None, Some(Format::Json | Format::Jsonl)) => {
                self.outcomes.iter().try_for_each(|outcome| {
                    out.json_line(&json!({
                        "expected": outcome.expected,
                        "ok": outcome.failure.is_none(),
                        "failure": outcome.failure,
                        "us": u64::try_from(outcome.took.as_micros()).unwrap_or(u64::MAX),
                    }))
                })
            }
            (None, _) => self.outcomes.iter().try_for_each(|outcome| match &outcome.failure {
                None => out.line(&format!("ok: {}", outcome.expected)),
                Some(failure) => out.line(&format!("not ok: {}: {failure}", outcome.expected)),
            }),
        }
    }

    /// TAP, version 13; what follows a `#` would be a directive, so it is escaped.
    fn tap(&self) -> String {
        let escaped =
            |text: &str| text.replace('\\', "\\\\").replace('#', "\\#").replace('\n', " ");
        let mut text = format!("TAP version 13\n1..{}\n", self.outcomes.len());
        for (number, outcome) in (1..).zip(&self.outcomes) {
            let (word, failure) = match &outcome.failure {
                None => ("ok", String::new()),
                Some(failure) => ("not ok", format!(": {}", escaped(failure))),
            };
            // Writing to a string cannot fail.
            let _ = writeln!(text, "{word} {number} - {}{failure}", escaped(&outcome.expected));
        }
        text
    }

    fn junit(&self) -> String {
        let (count, failures) = (self.outcomes.len(), self.failures());
        let seconds = |time: Duration| format!("{:.6}", time.as_secs_f64());
        let total = seconds(self.outcomes.iter().map(|outcome| outcome.took).sum());
        let mut text = format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
             <testsuites>\n  <testsuite name=\"mq expect\" tests=\"{count}\" failures=\"{failures}\" \
             errors=\"0\" skipped=\"0\" time=\"{total}\">\n"
        );
        for outcome in &self.outcomes {
            let (name, time) = (in_xml(&outcome.expected), seconds(outcome.took));
            let _ = write!(
                text,
                "    <testcase name=\"{name}\" classname=\"mq.expect\" time=\"{time}\""
            );
            let _ = match &outcome.failure {
                None => writeln!(text, "/>"),
                Some(failure) => {
                    let failure = in_xml(failure);
                    writeln!(text, ">\n      <failure message=\"{failure}\"/>\n    </testcase>")
                }
            };
        }
        text.push_str("  </testsuite>\n</testsuites>\n");
        text
    }
}

/// Text for an attribute of XML, which cannot have control characters.
fn in_xml(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\n' | '\r' | '\t' => escaped.push(' '),
            '\u{0}'..='\u{1f}' | '\u{fffe}' | '\u{ffff}' => escaped.push('\u{fffd}'),
            other => escaped.push(other),
        }
    }
    escaped
}
