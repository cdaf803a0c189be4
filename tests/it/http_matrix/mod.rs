//! The management API beside RabbitMQ 4.3.6: the same calls over the same objects, status and keys compared.
//!
//! `tests/data/http-4.3.6.tsv` has a row for each call: the call, RabbitMQ's status, and the shape of its answer (an
//! object's keys, one element of a list, `0`, `""` and `true` for any number, text and flag). [`differences`] lists what
//! may differ, with the reason; an entry that no call needs any more fails the test.
//!
//! Reading order: [`shape`], [`objects`] (the objects that the calls are about), [`differences`].

mod differences;
mod objects;
mod shape;

use std::collections::BTreeSet;
use std::fmt::Write as _;

use reqwest::header::CONTENT_TYPE;
use reqwest::{Client, Method};
use serde_json::Value;

use self::differences::DIFFERENCES;
use self::objects::Objects;
use crate::serve::MqServe;

const RECORDED: &str = include_str!("../../data/http-4.3.6.tsv");

/// A call of the record, and RabbitMQ's answer.
struct Recorded<'a> {
    call: &'a str,
    status: u16,
    /// None where the body is empty or no JSON
    shape: Option<Value>,
}

fn recorded() -> impl Iterator<Item = Recorded<'static>> {
    RECORDED.lines().map(|line| {
        let mut columns = line.split('\t');
        let mut column = || columns.next().expect("a row has three columns");
        let (call, status, shape) = (column(), column().parse().unwrap(), column());
        Recorded { call, status, shape: serde_json::from_str(shape).ok() }
    })
}

/// Sends a call as its row says: `METHOD PATH`, then nothing, a body, `FORM` or other credentials.
async fn send(http: &Client, base: &str, objects: &Objects, call: &str) -> (u16, Option<Value>) {
    let call = call.strip_suffix(" (#2)").unwrap_or(call);
    let call = objects.fill_in(call);
    let (method, rest) = call.split_once(' ').expect("a method and a path");
    let (base, rest) = match rest.strip_prefix("(root) ") {
        Some(rest) => (base.trim_end_matches('/').to_owned(), rest),
        None => (format!("{base}api"), rest),
    };
    let (path, body) = rest.split_once(' ').unwrap_or((rest, ""));
    let method: Method = method.parse().expect("a method");
    let request = http.request(method, format!("{base}{path}"));
    let (user, password) = ("guest", "guest");
    let request = match body {
        "as None" => request,
        "as ('u1', 'p1')" => request.basic_auth("u1", Some("p1")),
        "as ('guest', 'wrong')" => request.basic_auth(user, Some("wrong")),
        "FORM" => {
            let form = format!("username={user}&password={password}");
            request.header(CONTENT_TYPE, "application/x-www-form-urlencoded").body(form)
        }
        body => {
            let body = body.strip_prefix("RAW:").unwrap_or(body).to_owned();
            let request = request.basic_auth(user, Some(password));
            request.header(CONTENT_TYPE, "application/json").body(body)
        }
    };
    let response = request.send().await.expect("the broker answers");
    let status = response.status().as_u16();
    let body = response.bytes().await.unwrap();
    (status, serde_json::from_slice(&body).ok())
}

/// The differences of one answer from RabbitMQ's, each in a few words.
fn compare(recorded: &Recorded<'_>, status: u16, body: Option<&Value>, node: &str) -> Vec<String> {
    if status != recorded.status {
        return vec![format!("status {status}, not {}", recorded.status)];
    }
    let Some(expected) = &recorded.shape else { return Vec::new() };
    let Some(body) = body else { return vec!["no JSON".to_owned()] };
    let mut found = BTreeSet::new();
    shape::compare(expected, &shape::of(body, node), "", &mut found);
    found.into_iter().collect()
}

/// Answers if `pattern`, in which `*` stands for anything, is this text.
fn fits(pattern: &str, text: &str) -> bool {
    let Some((first, rest)) = pattern.split_once('*') else { return pattern == text };
    let Some(mut text) = text.strip_prefix(first) else { return false };
    let mut parts: Vec<_> = rest.split('*').collect();
    let last = parts.pop().unwrap_or_default();
    for part in parts {
        let Some(at) = text.find(part) else { return false };
        text = &text[at + part.len()..];
    }
    text.ends_with(last)
}

#[test]
fn a_star_stands_for_anything() {
    #[rustfmt::skip]
    let cases = [
        ("a",      "a",        true),
        ("a",      "ab",       false),
        ("*",      "",         true),
        ("a*c",    "abc",      true),
        ("a*c",    "abcd",     false),
        ("*b*d",   "abcd",     true),
        ("*b*b",   "ab",       false),
    ];
    for (pattern, text, expected) in cases {
        assert_eq!(fits(pattern, text), expected, "{pattern} {text}");
    }
}

#[tokio::test]
async fn every_recorded_call_is_answered_as_rabbitmq_4_3_6_answers_it() {
    let broker = MqServe::start();
    let http = Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none());
    let http = http.build().unwrap();
    let objects = Objects::make(&broker, &http).await;
    let mut needed = vec![false; DIFFERENCES.len()];
    let mut unknown = String::new();
    for recorded in recorded() {
        let call = recorded.call;
        let (status, body) = send(&http, broker.management_url(), &objects, call).await;
        for difference in compare(&recorded, status, body.as_ref(), &objects.node) {
            let known = DIFFERENCES
                .iter()
                .enumerate()
                .filter(|(_, row)| fits(row.0, call) && fits(row.1, &difference));
            let known: Vec<_> = known.map(|(at, _)| at).collect();
            if known.is_empty() {
                writeln!(unknown, "{call}: {difference}").unwrap();
            }
            for at in known {
                needed[at] = true;
            }
        }
    }
    let unneeded = DIFFERENCES.iter().zip(needed).filter(|(_, is_needed)| !is_needed);
    let unneeded: Vec<_> = unneeded.map(|(row, _)| format!("{}: {}", row.0, row.1)).collect();
    assert!(unknown.is_empty(), "differences that no entry explains:\n{unknown}");
    assert!(unneeded.is_empty(), "entries that no difference needs:\n{}", unneeded.join("\n"));
}
