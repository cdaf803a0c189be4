//! The outputs of a command: stdout for data, stderr for notes, progress and errors.
//!
//! Everything a command prints passes through one [`Output`]. Data is buffered, and flushed when the command is done or
//! asks for it; notes are written at once. A write that fails with a broken pipe is an `io::Error` like any other here;
//! the caller makes a success of it.

use std::borrow::Cow;
use std::io::{self, BufWriter, IsTerminal, Write};
use std::os::fd::AsFd;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::termios::tcgetwinsize;
use serde::Serialize;
use serde_json::Value;

use super::format::Format;
use super::paint::{Paint, painted};
use super::progress::Progress;
use super::table::TableStyle;
use super::visible::{visible, visible_bytes};
use super::{ask, table, text};

/// Bytes of data collected before they are written: a pipe's capacity on Linux.
const STDOUT_BUFFER_BYTES: usize = 64 * 1024;

/// The user's options for the output.
#[derive(Clone, Copy, Debug, Default)]
pub struct OutputSettings {
    /// `--format`, when given.
    pub format: Option<Format>,
    /// `--quiet`: no talk.
    pub is_quiet: bool,
    /// No header line above rows.
    pub is_headless: bool,
}

/// The two streams of a command, and what may be done on them.
pub struct Output {
    settings: OutputSettings,
    stdout: Box<dyn Write + Send>,
    stderr: Box<dyn Write + Send>,
    paints: Paints,
    is_stdout_terminal: bool,
    is_stderr_terminal: bool,
}

/// On which stream colour is welcome.
struct Paints {
    stdout: bool,
    stderr: bool,
}

impl Output {
    /// The process's own stdout and stderr.
    pub fn of_process(settings: OutputSettings) -> Self {
        let is_stdout_terminal = io::stdout().is_terminal();
        let is_stderr_terminal = io::stderr().is_terminal();
        let welcome = is_colour_welcome();
        Self {
            settings,
            // A raw descriptor under our own buffer: std's stdout would flush at every line.
            stdout: Box::new(BufWriter::with_capacity(STDOUT_BUFFER_BYTES, unbuffered_stdout())),
            stderr: Box::new(io::stderr()),
            paints: Paints {
                stdout: is_stdout_terminal && welcome,
                stderr: is_stderr_terminal && welcome,
            },
            is_stdout_terminal,
            is_stderr_terminal,
        }
    }

    /// Two buffers in place of the streams, as in a pipe.
    pub fn to_writers(
        settings: OutputSettings,
        stdout: Box<dyn Write + Send>,
        stderr: Box<dyn Write + Send>,
    ) -> Self {
        Self {
            settings,
            stdout,
            stderr,
            paints: Paints { stdout: false, stderr: false },
            is_stdout_terminal: false,
            is_stderr_terminal: false,
        }
    }

    /// The format the user asked for.
    pub fn format(&self) -> Option<Format> {
        self.settings.format
    }

    /// The format of a list: what was asked for, else a table on a terminal and `tsv` in a pipe.
    pub fn list_format(&self) -> Format {
        match (self.settings.format, self.is_stdout_terminal) {
            (Some(format), _) => format,
            (None, true) => Format::Table,
            (None, false) => Format::Tsv,
        }
    }

    /// True if stdout is a terminal.
    pub fn is_terminal(&self) -> bool {
        self.is_stdout_terminal
    }

    /// True if stdout shows colour.
    pub fn is_painted(&self) -> bool {
        self.paints.stdout
    }

    /// Text in colour where stdout shows colour.
    pub fn paint(&self, paint: Paint, text: &str) -> String {
        if self.paints.stdout { painted(paint, text) } else { text.to_owned() }
    }

    /// True if rows have no header line.
    pub fn is_headless(&self) -> bool {
        self.settings.is_headless
    }

    /// Writes bytes of data as they are.
    pub fn bytes(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stdout.write_all(bytes)
    }

    /// Writes bytes of other people, which a terminal must not obey.
    pub fn foreign(&mut self, bytes: &[u8]) -> io::Result<()> {
        if self.is_stdout_terminal {
            return self.stdout.write_all(&visible_bytes(bytes));
        }
        self.stdout.write_all(bytes)
    }

    /// Writes a line of data.
    pub fn line(&mut self, line: &str) -> io::Result<()> {
        self.foreign(line.as_bytes())?;
        self.stdout.write_all(b"\n")
    }

    /// Writes a line with the codes of [`Self::paint`] in it, and nothing of other people.
    pub fn painted_line(&mut self, line: &str) -> io::Result<()> {
        self.stdout.write_all(line.as_bytes())?;
        self.stdout.write_all(b"\n")
    }

    /// Writes a value as one line of JSON.
    pub fn json_line(&mut self, value: &impl Serialize) -> io::Result<()> {
        self.line(&serde_json::to_string(value)?)
    }

    /// Writes rows in a format, with or without a header line.
    pub fn rows(
        &mut self,
        format: Format,
        columns: &[String],
        rows: &[Value],
        has_header: bool,
    ) -> io::Result<()> {
        if format == Format::Table {
            return self.table(columns, text::cells(columns, rows), &[], has_header);
        }
        if !self.is_stdout_terminal {
            return text::write_rows(&mut self.stdout, format, columns, rows, has_header);
        }
        let mut written = Vec::new();
        text::write_rows(&mut written, format, columns, rows, has_header)?;
        self.foreign(&written)
    }

    /// Writes a table; the columns whose place is in `right` are numbers.
    pub(super) fn table(
        &mut self,
        headers: &[String],
        cells: Vec<Vec<String>>,
        right: &[usize],
        has_header: bool,
    ) -> io::Result<()> {
        let paper = TableStyle {
            width: self.width(),
            is_painted: self.paints.stdout,
            is_headless: !has_header,
        };
        table::write(&mut self.stdout, paper, headers, cells, right)
    }

    /// Columns of the terminal that stdout is, if it is one and knows.
    fn width(&self) -> Option<u16> {
        if self.is_stdout_terminal { terminal_width(io::stdout()) } else { None }
    }

    /// True if the output is a pipe whose reader has gone.
    pub fn is_abandoned(&self) -> bool {
        let stdout = io::stdout();
        let mut pipe = [PollFd::new(&stdout, PollFlags::empty())];
        let at_once = Timespec { tv_sec: 0, tv_nsec: 0 };
        let gone = PollFlags::ERR | PollFlags::HUP;
        poll(&mut pipe, Some(&at_once)).is_ok() && pipe[0].revents().intersects(gone)
    }

    /// Hands all data written so far to the operating system.
    pub fn flush(&mut self) -> io::Result<()> {
        self.stdout.flush()
    }

    /// Tells the result of a command that changes something: a note, or one row of data when a format was asked for.
    pub fn done(&mut self, words: &str, row: &impl Serialize) -> io::Result<()> {
        match self.settings.format {
            None => self.note(words),
            Some(Format::Json | Format::Jsonl) => self.json_line(row),
            Some(format @ (Format::Table | Format::Csv | Format::Tsv | Format::Raw)) => {
                let row = serde_json::to_value(row)?;
                let columns = text::keys(&row);
                self.rows(format, &columns, &[row], true)
            }
        }
    }

    /// Tells an object, which is the result: a line for each field, or as the format says.
    pub fn object(&mut self, object: &Value) -> io::Result<()> {
        if !matches!(self.settings.format, None | Some(Format::Raw)) {
            return self.done("", object);
        }
        object.as_object().into_iter().flatten().try_for_each(|(name, value)| {
            let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            self.line(&format!("{name}: {value}"))
        })
    }

    /// Says something beside the data; `--quiet` silences it.
    pub fn note(&mut self, words: &str) -> io::Result<()> {
        if self.settings.is_quiet {
            return Ok(());
        }
        // Data that was written before must be seen before what is said about it.
        self.stdout.flush()?;
        self.say(&self.shown(words))
    }

    /// Text of other people as it may stand on stderr.
    pub(super) fn shown<'a>(&self, text: &'a str) -> Cow<'a, str> {
        if self.is_stderr_terminal { visible(text) } else { Cow::Borrowed(text) }
    }

    /// Says something that `--quiet` does not silence: an error.
    pub(super) fn say(&mut self, words: &str) -> io::Result<()> {
        writeln!(self.stderr, "{words}")
    }

    /// Text in colour where stderr shows colour.
    pub(super) fn paint_talk(&self, paint: Paint, text: &str) -> String {
        if self.paints.stderr { painted(paint, text) } else { text.to_owned() }
    }

    /// Says what went wrong, in the words of another program.
    pub fn complain(&mut self, words: &str) -> io::Result<()> {
        let words = self.shown(words).into_owned();
        self.say(&words)
    }

    /// A progress bar of `total` steps; shown only on a terminal that is not told to be quiet.
    pub fn progress(&self, total: Option<u64>, noun: &str) -> Progress {
        if self.is_stderr_terminal && !self.settings.is_quiet && !self.is_stdout_terminal_busy() {
            Progress::shown(total, noun)
        } else {
            Progress::hidden()
        }
    }

    /// A progress bar of work that takes so many seconds; shown where [`Self::progress`] is.
    pub fn progress_of_seconds(&self, total: u64) -> Progress {
        if self.is_stderr_terminal && !self.settings.is_quiet {
            Progress::of_seconds(total)
        } else {
            Progress::hidden()
        }
    }

    /// Asks a yes-or-no question; `None` when there is nobody to ask.
    pub fn ask(&mut self, question: &str) -> io::Result<Option<bool>> {
        if !(self.is_stderr_terminal && io::stdin().is_terminal()) {
            return Ok(None);
        }
        write!(self.stderr, "{question} [y/N] ")?;
        self.stderr.flush()?;
        ask::answer(&mut io::stdin().lock()).map(Some)
    }

    /// Asks for a word that the terminal does not show; `Interrupted` when Ctrl-C is pressed.
    pub fn ask_secretly(&mut self, question: &str) -> io::Result<String> {
        let question = format!("{}: ", self.shown(question));
        let answer = ask::secret(&io::stdin(), || {
            self.stderr.write_all(question.as_bytes())?;
            self.stderr.flush()
        });
        writeln!(self.stderr)?;
        answer
    }

    /// Waits until Enter is pressed; returns at once at the end of input.
    pub fn wait_for_enter(&mut self, words: &str) -> io::Result<()> {
        self.flush()?;
        write!(self.stderr, "{words}")?;
        self.stderr.flush()?;
        io::stdin().read_line(&mut String::new()).map(drop)
    }

    /// Empties the screen before a list is drawn again; a pipe gets an empty line instead.
    pub fn redraw(&mut self) -> io::Result<()> {
        let clear: &[u8] = if self.is_stdout_terminal { b"\x1b[2J\x1b[H" } else { b"\n" };
        self.bytes(clear)
    }

    /// A bar would be drawn into data that goes to the same screen in raw form.
    fn is_stdout_terminal_busy(&self) -> bool {
        self.is_stdout_terminal && self.settings.format == Some(Format::Raw)
    }
}

/// True if the environment allows colour on terminals (`NO_COLOR`, `TERM=dumb`).
fn is_colour_welcome() -> bool {
    std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
        && std::env::var_os("TERM").is_none_or(|value| value != "dumb")
}

/// Fewest columns a terminal has; with less it does not know, and lines are not broken.
const TERMINAL_WIDTH_MIN: u16 = 20;

/// Columns of a terminal; `None` when it has no size, as on a serial line or in a container without a screen.
pub fn terminal_width(terminal: impl AsFd) -> Option<u16> {
    let size = tcgetwinsize(terminal).ok()?;
    (size.ws_col >= TERMINAL_WIDTH_MIN).then_some(size.ws_col)
}

/// A second handle on descriptor 1, without std's line buffer.
fn unbuffered_stdout() -> Box<dyn Write + Send> {
    match io::stdout().as_fd().try_clone_to_owned() {
        Ok(descriptor) => Box::new(std::fs::File::from(descriptor)),
        // A closed stdout: std's own handle swallows what is written to it.
        Err(_) => Box::new(io::stdout()),
    }
}
