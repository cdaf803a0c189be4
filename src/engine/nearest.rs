//! Names that are close to one that is not there, for the error that says so.

use std::time::Duration;

use crate::client;
use crate::engine::context::Context;
use crate::engine::error::Error;
use crate::engine::listing::{ApiList, Fields, list};

/// Longest time an error waits for names that are close to the one that is not there.
const NEAREST_WAIT_MAX: Duration = Duration::from_millis(300);
/// Most names offered instead of one that is not there.
const NEAREST_MAX: usize = 3;
/// The least likeness of two names, from 0 to 1, for one to be offered instead of the other.
const NEAREST_LIKENESS: f64 = 0.6;

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

fn most_alike<'a>(wanted: &str, names: impl Iterator<Item = &'a str>) -> Vec<String> {
    let mut ranked: Vec<(f64, &str)> = names
        .map(|name| (strsim::normalized_damerau_levenshtein(wanted, name), name))
        .filter(|(likeness, name)| *likeness >= NEAREST_LIKENESS && *name != wanted)
        .collect();
    ranked.sort_by(|one, other| other.0.total_cmp(&one.0));
    ranked.into_iter().take(NEAREST_MAX).map(|(_, name)| name.to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_names_are_offered_best_first() {
        let names = ["orders", "order", "payments", "ordres.dead", ""];
        assert_eq!(most_alike("ordres", names.into_iter()), ["orders", "order"]);
        assert!(most_alike("x", names.into_iter()).is_empty());
    }

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
