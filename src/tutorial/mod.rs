//! The classic lessons, on a real broker: told, shown, run live, and checked.
//!
//! A [`Lesson`] is data: its story, and for each step the `mq` command, the Python, and what happens ([`Act`]). The
//! one runner is [`run`]; what happens is done by [`Stage`], through the same engine as every command. Names are
//! made unique, so that a broker others work with is not disturbed, and taken away at the end.
//!
//! Reading order: [`lessons`] (begin with `hello`), [`run`], [`Stage`].

mod act;
mod error;
mod lessons;
mod own_broker;
mod stage;

use std::io;

use serde::Serialize;

pub use act::{Act, Delivery, Lesson, ReplyBy, Step};
pub use error::Error;
pub use own_broker::OwnBroker;
pub use stage::Stage;

use crate::render::{Format, Output, Paint};

/// The options for telling lessons.
#[derive(Clone, Copy, Debug, Default)]
pub struct Telling {
    /// Wait for Enter after each step.
    pub is_stepwise: bool,
    /// Print verdicts only.
    pub is_check: bool,
}

/// One thing that was checked.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct CheckResult {
    lesson: u8,
    check: String,
    passed: bool,
}

/// The lessons that `name` means: a number, a name, or `all`.
///
/// # Errors
///
/// When there is no such lesson.
pub fn chosen(name: &str) -> Result<Vec<&'static Lesson>, Error> {
    if name == "all" {
        return Ok(lessons::ALL.to_vec());
    }
    let is_meant = |lesson: &&&Lesson| lesson.name == name || lesson.number.to_string() == name;
    let lesson = lessons::ALL.iter().find(is_meant);
    lesson.map(|lesson| vec![*lesson]).ok_or_else(|| Error::Unknown { name: name.to_owned() })
}

/// The lessons there are, as lines of a list.
pub fn contents() -> impl Iterator<Item = String> {
    lessons::ALL.iter().map(|lesson| format!("{} {}: {}", lesson.number, lesson.name, lesson.title))
}

/// Runs lessons; returns whether every check passed.
pub async fn run(
    lessons: &[&'static Lesson],
    telling: Telling,
    stage: &mut Stage,
    out: &mut Output,
) -> Result<bool, Error> {
    let mut all_passed = true;
    for lesson in lessons {
        if !telling.is_check {
            tell_lesson(lesson, out)?;
        }
        for step in lesson.steps {
            if !telling.is_check {
                tell_step(step, out)?;
            }
            for act in step.acts {
                let seen = stage.play(act).await?;
                for line in &seen.lines {
                    if !telling.is_check {
                        let who = out.paint(line.paint, &format!("[{}]", line.who));
                        out.painted_line(&format!("  {who} {}", line.what))?;
                    }
                }
                if let Some((check, passed)) = seen.verdict {
                    all_passed &= passed;
                    tell_verdict(&CheckResult { lesson: lesson.number, check, passed }, out)?;
                }
                out.flush()?;
            }
            if telling.is_stepwise {
                out.wait_for_enter("  Enter goes on ")?;
            }
        }
        stage.clean().await;
    }
    Ok(all_passed)
}

fn tell_lesson(lesson: &Lesson, out: &mut Output) -> io::Result<()> {
    let title = format!("Lesson {}: {}", lesson.number, lesson.title);
    out.painted_line(&out.paint(Paint::Bold, &title))?;
    out.painted_line("")?;
    out.painted_line(lesson.story)?;
    out.painted_line("")
}

fn tell_step(step: &Step, out: &mut Output) -> io::Result<()> {
    out.painted_line(&out.paint(Paint::Bold, step.title))?;
    for (mark, text) in [("$ ", step.command), (">>> ", step.python)] {
        for line in text.lines() {
            out.painted_line(&format!("    {}", out.paint(Paint::Dim, &format!("{mark}{line}"))))?;
        }
    }
    Ok(())
}

fn tell_verdict(verdict: &CheckResult, out: &mut Output) -> io::Result<()> {
    if let Some(Format::Json | Format::Jsonl) = out.format() {
        return out.json_line(verdict);
    }
    let (paint, mark) = if verdict.passed { (Paint::Green, "ok  ") } else { (Paint::Red, "FAIL") };
    let mark = out.paint(paint, mark);
    out.painted_line(&format!("{mark} {}: {}", verdict.lesson, verdict.check))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lessons_are_chosen_by_number_and_by_name() {
        for lesson in lessons::ALL {
            for name in [lesson.name.to_owned(), lesson.number.to_string()] {
                assert_eq!(chosen(&name).unwrap()[0].number, lesson.number, "{name}");
            }
        }
        assert_eq!(chosen("all").unwrap().len(), lessons::ALL.len());
        assert!(matches!(chosen("9"), Err(Error::Unknown { .. })));
    }

    /// A step that shows something must show both ways of doing it.
    #[test]
    fn every_step_has_its_command_and_its_python() {
        for lesson in lessons::ALL {
            for step in lesson.steps {
                assert!(step.command.contains("mq "), "{}: {}", lesson.name, step.title);
                assert!(!step.python.is_empty(), "{}: {}", lesson.name, step.title);
                assert!(!step.acts.is_empty(), "{}: {}", lesson.name, step.title);
            }
        }
    }
}
