//! Hints for refusals: one sentence for each reason that a broker gives, found by the words of the refusal.
//!
//! RabbitMQ's texts are its API, and ours are the same; what the words do not tell apart the reply code does. The first
//! row that fits is taken.

/// A reply code, words of the text, and the hint.
const HINTS: &[(u16, &str, &str)] = &[
    (
        403,
        "ogin",
        "check the user and the password in --url; 'guest' may log in from the broker's own machine only",
    ),
    (403, "Not ", "the user of --url needs this tag: `mq set-user-tags` gives it"),
    (
        403,
        "in exclusive use",
        "another consumer has exclusive use of the queue until it is cancelled",
    ),
    (403, "reserved prefix", "choose a name that does not begin with 'amq.'"),
    (
        403,
        "default exchange",
        "every queue is bound to the default exchange by its own name; name another exchange",
    ),
    (
        403,
        "internal exchange",
        "publish to an exchange that is bound to it: see `mq list-bindings`",
    ),
    (403, "system exchange", "exchanges that begin with 'amq.' belong to the broker"),
    (
        403,
        "refused for user",
        "an administrator of the broker can grant the missing permission: configure, write or read",
    ),
    (404, "no exchange", "see what exists with `mq list-exchanges`"),
    (404, "no queue", "see what exists with `mq list-queues` and `mq list-exchanges`"),
    (404, "vhost", "see what exists with `mq list-vhosts`"),
    (404, "Not Found", "check the name, and the vhost if it is in one (--vhost)"),
    (404, "", "see what exists with `mq list-queues` and `mq list-exchanges`"),
    (405, "basic.get", "receive its messages with `mq consume`"),
    (405, "", "another connection owns the queue, which is deleted when that connection ends"),
    (
        406,
        "inequivalent arg",
        "it exists with other settings: declare it with the same ones, or delete it first",
    ),
    (406, "of queue type", "this type of queue has no such argument; --queue-type chooses another"),
    (406, "invalid arg", "see what each argument may be with `mq declare-queue --help`"),
    (
        406,
        "exchange type",
        "see the types with `mq declare-exchange --help`; on RabbitMQ those that begin with 'x-' may need their plugin",
    ),
    (406, "prefetch count is not set", "set one with --prefetch"),
    (
        406,
        "max size",
        "split the message, or raise the broker's limit (`mq serve --max-message-size`)",
    ),
    (406, "user_id", "leave out --user-id, or log in as that user"),
    (406, "queue limit", "delete queues that are not needed, or raise the limit"),
    (
        503,
        "exchange type",
        "see the types with `mq declare-exchange --help`; RabbitMQ has some as plugins",
    ),
    (530, "limit", "close other connections first, or raise the broker's limit"),
    (530, "vhost", "name the vhost with --vhost, or at the end of the URL (%2F is the vhost '/')"),
    (540, "basic.get", "read a stream with `mq consume --offset first`"),
    (
        540,
        "queue.purge",
        "a stream drops messages by age and size: set --max-age or --max-length-bytes",
    ),
    (540, "queue.delete", "leave out --if-unused and --if-empty"),
    (540, "", "this broker does not implement it"),
    (
        541,
        "transient_nonexcl_queues",
        "RabbitMQ 4.3 refuses transient queues that several connections use: declare it durable, without --transient",
    ),
    (
        541,
        "is deprecated",
        "this release of RabbitMQ refuses it unless its configuration permits it: leave the argument out",
    ),
    (541, "", "the broker had an internal error; its log says why"),
    (312, "", "no queue is bound for such a message: `mq route` explains why"),
];

/// Says what the user can do about a refusal with this code and text.
pub(super) fn for_refusal(code: u16, text: &str) -> Option<&'static str> {
    let code = if code == 401 { 403 } else { code };
    let fits = |row: &&(u16, &str, &str)| row.0 == code && text.contains(row.1);
    HINTS.iter().find(fits).map(|(.., hint)| *hint)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_of_a_refusal_choose_the_hint() {
        #[rustfmt::skip]
        let cases = [
            (403, "ACCESS_REFUSED - Login was refused using authentication mechanism PLAIN.", Some("check the user")),
            (401, "Login failed", Some("check the user")),
            (403, "ACCESS_REFUSED - queue 'q' in vhost '/' in exclusive use", Some("another consumer")),
            (401, "Not administrator user", Some("the user of --url needs")),
            (404, "Not Found", Some("check the name")),
            (404, "NOT_FOUND - no queue 'no exchange' in vhost '/'", Some("see what exists with `mq list-exchanges`")),
            (404, "NOT_FOUND - no queue 'q' in vhost '/'", Some("see what exists with `mq list-queues`")),
            (404, "NOT_FOUND - vhost '/' is down", Some("see what exists with `mq list-vhosts`")),
            (406, "PRECONDITION_FAILED - invalid arg 'x-max-priority' for queue 'q' in vhost '/' of queue type \
                   rabbit_quorum_queue", Some("this type of queue")),
            (406, "PRECONDITION_FAILED - unknown delivery tag 9", None),
            (540, "NOT_IMPLEMENTED - basic.get not supported by stream queues queue 's' in vhost '/'", Some("read a stream")),
            (540, "NOT_IMPLEMENTED - something new", Some("this broker does not implement it")),
            (541, "INTERNAL_ERROR - Feature `transient_nonexcl_queues` is deprecated.", Some("RabbitMQ 4.3 refuses")),
            (541, "INTERNAL_ERROR - Feature `queue_master_locator` is deprecated.", Some("this release")),
            (541, "INTERNAL_ERROR", Some("the broker had an internal error")),
        ];
        for (code, text, begins) in cases {
            let found = for_refusal(code, text);
            match begins {
                None => assert_eq!(found, None, "{text}"),
                Some(words) => {
                    assert!(found.is_some_and(|hint| hint.starts_with(words)), "{text}: {found:?}");
                }
            }
        }
    }
}
