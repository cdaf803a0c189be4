//! An error as the user sees it: what failed, why, and what to do.

use std::io;

use serde_json::{Value, json};

use super::format::Format;
use super::output::Output;
use super::paint::Paint;

/// The parts of an error, ready to be printed once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Says what could not be done, and to what.
    pub error: String,
    /// The causes, outermost first.
    pub causes: Vec<String>,
    /// Says what had been done before it.
    pub so_far: Option<String>,
    /// Says what the user can do about it.
    pub hint: Option<String>,
    /// The exit code that goes with it.
    pub code: u8,
}

impl Problem {
    /// Collects an error's text and the texts of its sources.
    pub fn of(error: &dyn std::error::Error, hint: Option<String>, code: u8) -> Self {
        let mut causes = Vec::new();
        let mut source = error.source();
        while let Some(cause) = source {
            causes.push(cause.to_string());
            source = cause.source();
        }
        Self { error: error.to_string(), causes, so_far: None, hint, code }
    }

    /// The same, with what had been done before it.
    #[must_use]
    pub fn after(self, so_far: Option<&str>) -> Self {
        Self { so_far: so_far.map(str::to_owned), ..self }
    }

    /// Prints it on stderr: labelled lines, or one JSON object when the format is JSON.
    pub fn print(&self, out: &mut Output) -> io::Result<()> {
        if let Some(Format::Json | Format::Jsonl) = out.format() {
            return out.say(&self.to_json().to_string());
        }
        let labelled = |out: &mut Output, paint, label: &str, text: &str| {
            let label = out.paint_talk(paint, label);
            let line = format!("{label} {}", out.shown(text));
            out.say(&line)
        };
        labelled(out, Paint::Red, "error:", &self.error)?;
        for cause in &self.causes {
            labelled(out, Paint::Yellow, "cause:", cause)?;
        }
        if let Some(so_far) = &self.so_far {
            labelled(out, Paint::Yellow, "so far:", so_far)?;
        }
        match &self.hint {
            Some(hint) => labelled(out, Paint::Cyan, "hint:", hint),
            None => Ok(()),
        }
    }

    fn to_json(&self) -> Value {
        let mut json = json!({
            "error": self.error,
            "cause": (!self.causes.is_empty()).then(|| self.causes.join(": ")),
            "hint": self.hint,
            "exit_code": self.code,
        });
        if let Some(so_far) = &self.so_far {
            json["so_far"] = so_far.as_str().into();
        }
        json
    }
}
