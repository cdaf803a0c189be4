//! Names that are close to one that is not there, for the error that says so.

use std::time::Duration;

use crate::client;
use crate::engine::alike::most_alike;
use crate::engine::context::Context;
use crate::engine::error::Error;
use crate::engine::listing::{ApiList, Fields, list};

/// Longest time an error waits for names that are close to the one that is not there.
const NEAREST_WAIT_MAX: Duration = Duration::from_millis(300);

impl Context {
    /// An error of the client in the user's words, with the names that are close to one that is not there.
    pub(super) async fn explained(&self, doing: &str, error: client::Error) -> Error {
        let error = self.failed(doing, error);
        with_nearest(self, error).await
    }
}

/// Adds to an error about a queue or exchange that is not there the names that are close to it.
///
/// The names come from the management API, so there are none when it does not answer at once.
pub(super) async fn with_nearest(cx: &Context, mut error: Error) -> Error {
    let Error::Refused { code: 404, text, nearest, .. } = &mut error else { return error };
    let Some((listing, wanted)) = missing(text) else { return error };
    let names = ["name".to_owned()];
    let asking = async { list(cx.api().await?, &cx.target, listing, Fields::At(&names)).await };
    if let Ok(Ok(rows)) = tokio::time::timeout(NEAREST_WAIT_MAX, asking).await {
        let names = rows.iter().filter_map(|row| row["name"].as_str());
        *nearest = most_alike(wanted, names);
    }
    error
}

/// Finds the kind and name of the missing thing in the text of a 404: `NOT_FOUND - no queue 'q' in vhost '/'`.
fn missing(text: &str) -> Option<(ApiList, &str)> {
    let kinds = [("no queue '", ApiList::Queues), ("no exchange '", ApiList::Exchanges)];
    kinds.into_iter().find_map(|(before, listing)| {
        let (_, rest) = text.split_once(before)?;
        let (name, _) = rest.split_once("' in vhost")?;
        Some((listing, name))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_404_says_what_is_missing() {
        let cases = [
            ("NOT_FOUND - no queue 'a b' in vhost '/'", Some((ApiList::Queues, "a b"))),
            ("NOT_FOUND - no exchange 'x' in vhost 'v'", Some((ApiList::Exchanges, "x"))),
            ("NOT_FOUND - vhost '/' is down", None),
        ];
        for (text, found) in cases {
            assert_eq!(missing(text), found, "{text}");
        }
    }
}
