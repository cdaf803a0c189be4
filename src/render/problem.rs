//! An error as the user sees it: what failed, why, and what to do.

use std::io;

use serde_json::{Value, json};

use super::{Format, Output, Paint};

/// The parts of an error, ready to be printed once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// What could not be done, to what.
    pub error: String,
    /// Why, outermost first.
    pub causes: Vec<String>,
    /// What the user can do about it.
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
        Self { error: error.to_string(), causes, hint, code }
    }

    /// Prints it on stderr: labelled lines, or one JSON object when the format is JSON.
    pub fn print(&self, out: &mut Output) -> io::Result<()> {
        if let Some(Format::Json | Format::Jsonl) = out.format() {
            return out.say(&self.to_json().to_string());
        }
        let labelled = |out: &mut Output, paint, label: &str, text: &str| {
            let label = out.paint_talk(paint, label);
            out.say(&format!("{label} {text}"))
        };
        labelled(out, Paint::Red, "error:", &self.error)?;
        for cause in &self.causes {
            labelled(out, Paint::Yellow, "cause:", cause)?;
        }
        match &self.hint {
            Some(hint) => labelled(out, Paint::Cyan, "hint:", hint),
            None => Ok(()),
        }
    }

    fn to_json(&self) -> Value {
        json!({
            "error": self.error,
            "cause": (!self.causes.is_empty()).then(|| self.causes.join(": ")),
            "hint": self.hint,
            "exit_code": self.code,
        })
    }
}
