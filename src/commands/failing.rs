//! The fate of a message whose program fails.
//!
//! A program decides by its exit code, as `sysexits.h` has them: 65 (bad data) rejects the message, 75 (try again later)
//! keeps it. Any other failure is one or the other by `--on-failure`. A message that is tried again stays with us: given
//! back to its queue it would come again at once, and a broker that counts deliveries would drop it before its time.

use std::process::ExitStatus;
use std::time::Duration;

use tokio::sync::watch;

/// The pause before the second attempt; every further one is twice as long.
const PAUSE_FIRST: Duration = Duration::from_millis(500);
/// The longest pause.
const PAUSE_MAX: Duration = Duration::from_secs(30);
/// Most attempts: with all pauses the message is held for 20 minutes, and RabbitMQ ends a consumer after 30
/// (`consumer_timeout`).
const ATTEMPTS_MAX: i64 = 40;
/// Attempts in one go without `--max-attempts`, for the same reason; then the message goes back to its queue.
const ATTEMPTS_IN_ONE_GO: u32 = 40;

/// The exit code for data that is wrong (`EX_DATAERR`).
const DATA_ERROR: i32 = 65;
/// The exit code for a failure that passes (`EX_TEMPFAIL`).
const TEMPORARY_FAILURE: i32 = 75;
/// The exit code of a shell that may not run the command it was given.
const NOT_EXECUTABLE: i32 = 126;
/// The exit code of a shell that does not find the command.
const NOT_FOUND: i32 = 127;

#[derive(Clone, Copy, Debug, clap::Args)]
pub(super) struct FailingOptions {
    /// Requeue or reject a message if its command fails; exit code 75 always tries again, 65 always rejects
    #[arg(long, value_name = "ACTION", value_enum, requires = "exec", default_value_t = OnFailure::Requeue)]
    on_failure: OnFailure,
    /// Reject a message if its command has failed this many times, at most 40 [default: no limit, with pauses of 0.5 to
    /// 30 s]
    #[arg(
        long,
        value_name = "ATTEMPTS",
        requires = "exec",
        value_parser = clap::value_parser!(u32).range(1..=ATTEMPTS_MAX)
    )]
    max_attempts: Option<u32>,
}

/// The fate of a message whose program failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum OnFailure {
    /// Try again after a growing pause; if mq ends first, the message returns to the queue
    Requeue,
    /// Drop the message, or dead-letter it if the queue has a dead-letter exchange
    Reject,
}

/// The next step for a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum NextStep {
    Done,
    Reject,
    Again(Duration),
    /// Back to its queue.
    GiveBack,
    /// No message will fare better: what is wrong, and what to do about it.
    Stop {
        what: &'static str,
        hint: &'static str,
    },
}

impl FailingOptions {
    /// Decides the fate of a message after so many attempts. Nothing is tried for much longer if `is_ending`.
    pub(super) fn fate(self, status: ExitStatus, attempts: u32, is_ending: bool) -> NextStep {
        let again = match (status.code(), self.on_failure) {
            (Some(0), _) => return NextStep::Done,
            (Some(DATA_ERROR), _) => return NextStep::Reject,
            (Some(NOT_FOUND), _) => {
                return NextStep::Stop {
                    what: "was not found by the shell (exit status 127)",
                    hint: "check the command's name and PATH; /bin/sh runs it",
                };
            }
            (Some(NOT_EXECUTABLE), _) => {
                return NextStep::Stop {
                    what: "may not be run (exit status 126)",
                    hint: "make the file executable with `chmod +x`",
                };
            }
            (Some(TEMPORARY_FAILURE), _) | (_, OnFailure::Requeue) => true,
            (_, OnFailure::Reject) => false,
        };
        match self.max_attempts {
            _ if !again => NextStep::Reject,
            Some(most) if attempts >= most => NextStep::Reject,
            None if is_ending || attempts >= ATTEMPTS_IN_ONE_GO => NextStep::GiveBack,
            Some(_) | None => NextStep::Again(pause(attempts)),
        }
    }

    /// Waits before another attempt. False when the command ends first and the message is to go back to its queue.
    pub(super) async fn pause(self, pause: Duration, ending: &mut watch::Receiver<bool>) -> bool {
        // What is tried so and so often is tried that often; the rest must not hold up the end. Both arms are
        // cancel-safe.
        tokio::select! {
            () = tokio::time::sleep(pause) => true,
            Ok(_) = ending.wait_for(|is_ending| *is_ending), if self.max_attempts.is_none() => false,
        }
    }
}

impl NextStep {
    /// The fate in words, for a note.
    pub(super) fn words(&self) -> String {
        match self {
            Self::Done => "is done".into(),
            Self::Reject => "is rejected".into(),
            Self::Again(pause) => {
                format!("is tried again in {}", humantime::format_duration(*pause))
            }
            Self::GiveBack => "goes back to the queue".into(),
            Self::Stop { what, .. } => (*what).into(),
        }
    }
}

/// The pause after so many attempts.
fn pause(attempts: u32) -> Duration {
    let doublings = attempts.saturating_sub(1).min(16);
    PAUSE_FIRST.saturating_mul(1 << doublings).min(PAUSE_MAX)
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt;

    use super::*;

    fn fate(wait_status: i32, options: FailingOptions, attempts: u32, is_ending: bool) -> String {
        options.fate(ExitStatus::from_raw(wait_status), attempts, is_ending).words()
    }

    #[test]
    fn the_exit_code_decides() {
        let requeue = FailingOptions { on_failure: OnFailure::Requeue, max_attempts: None };
        let reject = FailingOptions { on_failure: OnFailure::Reject, ..requeue };
        let twice = FailingOptions { max_attempts: Some(2), ..requeue };
        #[rustfmt::skip]
        let cases = [
            // code, options, attempts, is ending
            (0,      requeue, 1,        false, "is done"),
            (65,     requeue, 1,        false, "is rejected"),
            (75,     reject,  1,        false, "is tried again in 500ms"),
            (1,      reject,  1,        false, "is rejected"),
            (1,      requeue, 1,        false, "is tried again in 500ms"),
            (1,      requeue, 2,        false, "is tried again in 1s"),
            (1,      requeue, 7,        false, "is tried again in 30s"),
            (1,      requeue, 39,       false, "is tried again in 30s"),
            (1,      requeue, 40,       false, "goes back to the queue"),
            (1,      requeue, 1,        true,  "goes back to the queue"),
            (1,      twice,   1,        true,  "is tried again in 500ms"),
            (1,      twice,   2,        true,  "is rejected"),
            (127,    reject,  1,        false, "was not found by the shell (exit status 127)"),
        ];
        for (code, options, attempts, is_ending, words) in cases {
            let told = fate(code << 8, options, attempts, is_ending);
            assert_eq!(told, words, "{code} after {attempts}: {options:?}");
        }
        // Killed by a signal is a failure like any other.
        assert_eq!(fate(9, requeue, 1, false), "is tried again in 500ms");
    }
}
