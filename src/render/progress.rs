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

    /// A bar for work of so many seconds, with a text beside it.
    pub(super) fn of_seconds(total: u64) -> Self {
        let bar = ProgressBar::new(total).with_style(
            ProgressStyle::with_template("{bar:30.cyan/dim} {pos}/{len} s {msg}")
                .expect("the template is ours"),
        );
        Self(Some(bar))
    }

    /// Says how far the work is, and what it does now.
    pub fn show(&self, position: u64, words: &str) {
        if let Some(bar) = &self.0 {
            bar.set_message(words.to_owned());
            bar.set_position(position);
        }
    }

    /// Writes a line that stays, above the bar.
    pub fn line(&self, words: &str) {
        if let Some(bar) = &self.0 {
            bar.println(words);
        }
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
