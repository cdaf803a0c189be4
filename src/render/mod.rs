//! Values to text: what commands answer, as a table, tab separated, CSV, JSON or JSON lines.
//!
//! The rule kept here: stdout carries data, stderr everything else. Colour, redrawing and progress happen only on a
//! terminal, `NO_COLOR` is obeyed. This layer knows terminals and JSON values; it knows no AMQP, and nothing else in
//! the program writes to stdout or stderr.
//!
//! Reading order: [`Output`] (where text goes), [`Format`] (which shape), [`Listing`] (rows: columns, sort,
//! filter), [`Problem`] (an error as the user sees it), [`Progress`] (long work), [`words`] (numbers for people).

mod ask;
mod filter;
mod format;
mod listing;
mod output;
mod paint;
mod problem;
mod progress;
mod table;
mod text;
mod visible;
pub mod words;

pub use filter::{Filter, InvalidFilter};
pub use format::{Format, UnknownFormat};
pub use listing::{Column, Listing, ListingOptions};
pub use output::{Output, OutputSettings, terminal_width};
pub use paint::{Paint, painted};
pub use problem::Problem;
pub use progress::Progress;
