//! The parameters of `/metrics/detailed`: families, vhosts and queues (RabbitMQ: `rabbit_prometheus_handler`).

use crate::broker::auth::Pattern;

/// Bytes that a pattern for names of queues may have.
const PATTERN_BYTES_MAX: usize = 2000;

/// The part of the metrics that a client asks for.
#[derive(Debug, Default)]
pub(super) struct Filter {
    families: Vec<String>,
    /// All vhosts if there is none.
    vhosts: Option<Vec<String>>,
    queue: Option<Pattern>,
}

impl Filter {
    /// Reads the parameters; those that are not known have no effect, as in RabbitMQ.
    ///
    /// # Errors
    ///
    /// RabbitMQ's text for a pattern that cannot be used.
    pub(super) fn new(query: Vec<(String, String)>) -> Result<Self, String> {
        let mut filter = Self::default();
        let mut has_queue = false;
        for (name, value) in query {
            match name.as_str() {
                "family" => filter.families.push(value),
                "vhost" => filter.vhosts.get_or_insert_default().push(value),
                "queue" if has_queue => {
                    return Err("Only one 'queue' query parameter is allowed".to_owned());
                }
                "queue" => {
                    has_queue = true;
                    filter.queue = pattern(&value)?;
                }
                _ => {}
            }
        }
        Ok(filter)
    }

    pub(super) fn has_family(&self, name: &str) -> bool {
        self.families.iter().any(|family| family == name)
    }

    pub(super) fn has_vhost(&self, name: &str) -> bool {
        self.vhosts.as_ref().is_none_or(|vhosts| vhosts.iter().any(|vhost| vhost == name))
    }

    pub(super) fn has_queue(&self, name: &str) -> bool {
        self.queue.as_ref().is_none_or(|queue| queue.matches(name))
    }
}

fn pattern(text: &str) -> Result<Option<Pattern>, String> {
    if text.is_empty() {
        return Ok(None);
    }
    if text.len() > PATTERN_BYTES_MAX {
        return Err("'queue' regex too long".to_owned());
    }
    Pattern::new(text).map(Some).map_err(|error| {
        format!("Invalid 'queue' regex at position {}: {}", error.at(), error.what())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filter(query: &[(&str, &str)]) -> Result<Filter, String> {
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        Filter::new(query.iter().map(owned).collect())
    }

    #[test]
    fn parameters_select_families_vhosts_and_queues() {
        let all = filter(&[("other", "x")]).unwrap();
        assert!(!all.has_family("queue_metrics") && all.has_vhost("/") && all.has_queue("q"));
        let some = [("family", "a"), ("family", "b"), ("vhost", "v"), ("queue", "^q[0-9]")];
        let some = filter(&some).unwrap();
        assert!(some.has_family("a") && some.has_family("b") && !some.has_family("c"));
        assert!(some.has_vhost("v") && !some.has_vhost("/"));
        assert!(some.has_queue("q1") && !some.has_queue("Q1") && !some.has_queue("q"));
    }

    #[test]
    fn patterns_that_cannot_be_used_are_refused_in_the_words_of_rabbitmq() {
        let long = "a".repeat(2001);
        #[rustfmt::skip]
        let cases: [(&[(&str, &str)], &str); 3] = [
            (&[("queue", "(")],                  "Invalid 'queue' regex at position 1: missing )"),
            (&[("queue", "a"), ("queue", "b")],  "Only one 'queue' query parameter is allowed"),
            (&[("queue", &long)],                "'queue' regex too long"),
        ];
        for (query, expected) in cases {
            assert_eq!(filter(query).unwrap_err(), expected);
        }
    }
}
