//! `wire` is complete and right: its tables against the specification's facts, its bytes against RabbitMQ's encoder.
//!
//! `tests/data/amqp_0_9_1.txt` has the facts; `tests/data/golden_wire.txt` has bytes that RabbitMQ's own encoder
//! wrote (how: `tests/data/golden.escript`), each with the value as `Debug` prints ours. Our decoder must read the
//! value out of the bytes and our encoder must write the same bytes again.

use mq::wire::fault::FaultLevel;
use mq::wire::method::METHODS;
use mq::wire::{FieldTable, Method, Properties, Reader, ReplyCode, Writer, constants};

const FACTS: &str = include_str!("../data/amqp_0_9_1.txt");
const GOLDEN: &str = include_str!("../data/golden_wire.txt");

/// The words of every fact of one kind, without the kind.
fn facts(kind: &'static str) -> impl Iterator<Item = Vec<&'static str>> {
    FACTS.lines().filter_map(move |line| {
        let mut words = line.split_whitespace();
        (words.next() == Some(kind)).then(|| words.collect())
    })
}

/// The specification's name of a field as our source has it.
fn our_name(spec: &str) -> String {
    if spec == "type" { "kind".to_owned() } else { spec.replace('-', "_") }
}

/// The Rust type of a specification type.
fn our_type(spec: &str) -> &'static str {
    match spec {
        "bit" => "bool",
        "octet" => "u8",
        "short" => "u16",
        "long" => "u32",
        "longlong" | "timestamp" => "u64",
        "shortstr" => "ShortStr",
        "longstr" => "LongStr",
        "table" => "FieldTable",
        other => panic!("the specification has no type {other}"),
    }
}

#[test]
fn every_method_of_the_specification_is_there_with_its_fields() {
    let mut wanted: Vec<String> = facts("method")
        .map(|words| {
            let fields: Vec<_> = words[3..]
                .iter()
                .map(|field| field.split_once(':').unwrap())
                .map(|(name, kind)| format!("{}:{}", our_name(name), our_type(kind)))
                .collect();
            format!("{} {} {} {}", words[0], words[1], words[2], fields.join(" "))
        })
        .collect();
    let mut ours: Vec<String> = METHODS
        .iter()
        .map(|method| {
            let fields: Vec<_> =
                method.fields.iter().map(|(name, kind)| format!("{name}:{kind}")).collect();
            let (class_id, method_id) = (method.class_id, method.method_id);
            format!("{} {class_id} {method_id} {}", method.name, fields.join(" "))
        })
        .collect();
    wanted.sort();
    ours.sort();
    assert_eq!(ours, wanted);
    assert_eq!(wanted.len(), 66, "the facts file was cut");
}

#[test]
fn reply_codes_have_the_specifications_numbers_and_levels() {
    let mut seen = 0;
    for words in facts("constant") {
        let &[name, number, class] = words.as_slice() else { continue };
        let code = ReplyCode::from_code(number.parse().unwrap()).unwrap_or_else(|| {
            panic!("there is no reply code {number}, {name}");
        });
        assert_eq!(code.name(), name.replace('-', "_"));
        assert_eq!(code.code().to_string(), number, "{name}");
        let level =
            if class == "hard-error" { FaultLevel::Connection } else { FaultLevel::Channel };
        assert_eq!(code.level(), level, "{name}");
        seen += 1;
    }
    assert_eq!(seen, 18);
}

#[test]
fn frame_constants_are_the_specifications() {
    #[rustfmt::skip]
    let ours = [
        ("FRAME-METHOD",    u32::from(constants::FRAME_METHOD)),
        ("FRAME-HEADER",    u32::from(constants::FRAME_HEADER)),
        ("FRAME-BODY",      u32::from(constants::FRAME_BODY)),
        ("FRAME-HEARTBEAT", u32::from(constants::FRAME_HEARTBEAT)),
        ("FRAME-MIN-SIZE",  constants::FRAME_MIN_SIZE * 2), // 4096 before RabbitMQ 4.1, and ours
        ("FRAME-END",       u32::from(constants::FRAME_END)),
        ("REPLY-SUCCESS",   200), // only ever sent by clients, in connection.close
    ];
    let wanted: Vec<(&str, u32)> = facts("constant")
        .filter(|words| words.len() == 2)
        .map(|words| (words[0], words[1].parse().unwrap()))
        .collect();
    assert_eq!(ours.as_slice(), wanted);
}

/// The golden lines of one kind: what is encoded, its `Debug` text, its bytes.
fn golden(kind: &'static str) -> Vec<(&'static str, &'static str, Vec<u8>)> {
    let line = |line: &'static str| {
        let (what, rest) = line.strip_prefix(kind)?.trim_start().split_once(" | ")?;
        let (debug, hex) = rest.rsplit_once(" | ")?;
        Some((what, debug, unhex(hex)))
    };
    GOLDEN.lines().filter_map(line).collect()
}

fn unhex(text: &str) -> Vec<u8> {
    let digit = |byte: u8| u8::try_from(char::from(byte).to_digit(16).unwrap()).unwrap();
    text.as_bytes().chunks(2).map(|pair| digit(pair[0]) << 4 | digit(pair[1])).collect()
}

#[test]
fn methods_are_encoded_as_rabbitmq_encodes_them() {
    let golden = golden("method");
    for method in METHODS {
        let cases = golden.iter().filter(|(name, ..)| *name == method.name).count();
        assert_eq!(cases, 2, "golden bytes of {}", method.name);
    }
    for (name, debug, bytes) in golden {
        let class_id = u16::from_be_bytes([bytes[0], bytes[1]]);
        let method_id = u16::from_be_bytes([bytes[2], bytes[3]]);
        let method = Method::decode(class_id, method_id, &bytes[4..])
            .unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(format!("{method:?}"), debug);
        assert_eq!((method.name(), method.ids()), (name, (class_id, method_id)));
        let mut encoded = Vec::new();
        method.encode(&mut Writer::new(&mut encoded));
        assert_eq!(encoded, bytes, "{name} encoded");
    }
}

#[test]
fn properties_are_encoded_as_rabbitmq_encodes_them() {
    let golden = golden("properties");
    assert_eq!(golden.len(), 2 + facts("property").count(), "none, all, and each alone");
    for (which, debug, bytes) in golden {
        let properties = Properties::decode(&bytes).unwrap();
        assert_eq!(format!("{properties:?}"), debug);
        assert_eq!(properties.to_bytes(), bytes, "{which}");
    }
}

#[test]
fn every_type_letter_is_encoded_as_rabbitmq_encodes_it() {
    let golden = golden("table");
    assert_eq!(golden.len(), 20);
    for (kind, debug, bytes) in golden {
        let mut from = Reader::new(&bytes);
        let table = FieldTable::decode(&mut from).unwrap();
        assert_eq!(from.finish(), Ok(()), "{kind}");
        assert_eq!(format!("{table:?}"), debug);
        assert_eq!(table.get("k").unwrap().type_name(), kind);
        let mut encoded = Vec::new();
        table.encode(&mut Writer::new(&mut encoded));
        assert_eq!(encoded, bytes, "{kind} encoded");
    }
}
