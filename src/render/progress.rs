//! Progress of long work, drawn on stderr; nothing at all in a pipe.

use indicatif::{ProgressBar, ProgressStyle};

/// A bar, a spinner when the total is not known, or nothing.
pub struct Progress(Option<ProgressBar>);

impl Progress {
    pub(super) fn hidden() -> Self {
        Self(None)
    }

    pub(super) fn shown(total: Option<u64>, noun: &str) -> Self {
        let bar = match total {
            Some(total) => ProgressBar::new(total).with_style(
                ProgressStyle::with_template(
                    "{bar:30.cyan/dim} {human_pos}/{human_len} {msg} {per_sec} {eta}",
                )
                .expect("the template is ours"),
            ),
            None => ProgressBar::new_spinner().with_style(
                ProgressStyle::with_template("{spinner:.cyan} {human_pos} {msg} {per_sec}")
                    .expect("the template is ours"),
            ),
        };
        Self(Some(bar.with_message(noun.to_owned())))
    }

    /// Counts one more step done.
    pub fn step(&self) {
        if let Some(bar) = &self.0 {
            bar.inc(1);
        }
    }

    /// Takes the bar off the screen.
    pub fn finish(&self) {
        if let Some(bar) = &self.0 {
            bar.finish_and_clear();
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.finish();
    }
}
