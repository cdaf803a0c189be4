//! `wire` loses nothing and accepts nothing it cannot write: properties over generated values and bytes.
//!
//! Values are made here, byte by byte from the field types of `METHODS`, not by the encoder under test. Start at
//! [`methods_survive_a_round_trip`].

use mq::wire::codec::DecodeError;
use mq::wire::constants::{FRAME_BODY, FRAME_HEADER, FRAME_HEARTBEAT, FRAME_METHOD};
use mq::wire::content::ContentHeader;
use mq::wire::method::METHODS;
use mq::wire::properties::Encoded;
use mq::wire::raw::check_table;
use mq::wire::{FieldTable, FieldValue, Method, Properties, Reader, ShortStr, Writer, frame};
use proptest::collection::vec;
use proptest::prelude::*;

fn short_str() -> impl Strategy<Value = ShortStr> {
    prop_oneof![
        4 => "[a-zé.#*-]{0,20}",
        1 => Just("x".repeat(255)),
    ]
    .prop_map(|text| ShortStr::try_from(text.as_str()).unwrap())
}

/// A value of any type, tables and arrays nested a few levels.
fn field_value() -> impl Strategy<Value = FieldValue> {
    let leaf = prop_oneof![
        any::<bool>().prop_map(FieldValue::Bool),
        any::<i8>().prop_map(FieldValue::I8),
        any::<u8>().prop_map(FieldValue::U8),
        any::<i16>().prop_map(FieldValue::I16),
        any::<u16>().prop_map(FieldValue::U16),
        any::<i32>().prop_map(FieldValue::I32),
        any::<u32>().prop_map(FieldValue::U32),
        any::<i64>().prop_map(FieldValue::I64),
        any::<f32>().prop_map(FieldValue::F32),
        any::<f64>().prop_map(FieldValue::F64),
        (any::<u8>(), any::<i32>()).prop_map(|(scale, value)| FieldValue::Decimal { scale, value }),
        vec(any::<u8>(), 0..40).prop_map(|bytes| FieldValue::LongStr(bytes.into())),
        vec(any::<u8>(), 0..40).prop_map(|bytes| FieldValue::Bytes(bytes.into())),
        any::<u64>().prop_map(FieldValue::Timestamp),
        Just(FieldValue::Void),
    ];
    leaf.prop_recursive(5, 64, 6, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..6).prop_map(FieldValue::Array),
            vec((short_str(), inner), 0..6)
                .prop_map(|entries| FieldValue::Table(entries.into_iter().collect())),
        ]
    })
}

fn table() -> impl Strategy<Value = FieldTable> {
    vec((short_str(), field_value()), 0..8).prop_map(|entries| entries.into_iter().collect())
}

fn table_bytes(table: &FieldTable) -> Vec<u8> {
    let mut bytes = Vec::new();
    table.encode(&mut Writer::new(&mut bytes));
    bytes
}

fn properties() -> impl Strategy<Value = Properties> {
    let text = || proptest::option::of(short_str());
    let texts = (text(), text(), text(), text(), text(), text(), text());
    let more = (text(), text(), text(), proptest::option::of(table()));
    let numbers = (any::<Option<u8>>(), any::<Option<u8>>(), any::<Option<u64>>());
    (texts, more, numbers).prop_map(|(texts, more, numbers)| Properties {
        content_type: texts.0,
        content_encoding: texts.1,
        correlation_id: texts.2,
        reply_to: texts.3,
        expiration: texts.4,
        message_id: texts.5,
        kind: texts.6,
        user_id: more.0,
        app_id: more.1,
        cluster_id: more.2,
        headers: more.3,
        delivery_mode: numbers.0,
        priority: numbers.1,
        timestamp: numbers.2,
    })
}

/// The encoded form of one argument; a run of bits is one "argument" of several.
fn argument(kind: &'static str) -> BoxedStrategy<Vec<u8>> {
    match kind {
        "u8" => vec(any::<u8>(), 1).boxed(),
        "u16" => vec(any::<u8>(), 2).boxed(),
        "u32" => vec(any::<u8>(), 4).boxed(),
        "u64" => vec(any::<u8>(), 8).boxed(),
        "ShortStr" => short_str()
            .prop_map(|text| [&[u8::try_from(text.len()).unwrap()], text.as_bytes()].concat())
            .boxed(),
        "LongStr" => vec(any::<u8>(), 0..300)
            .prop_map(|bytes| {
                [&u32::try_from(bytes.len()).unwrap().to_be_bytes()[..], &bytes].concat()
            })
            .boxed(),
        "FieldTable" => table().prop_map(|table| table_bytes(&table)).boxed(),
        other => panic!("a method has a field of type {other}"),
    }
}

/// Class, method and encoded arguments of any method.
fn encoded_method() -> impl Strategy<Value = (u16, u16, Vec<u8>)> {
    (0..METHODS.len()).prop_flat_map(|at| {
        let layout = METHODS[at];
        let kinds: Vec<&str> = layout.fields.iter().map(|(_, kind)| *kind).collect();
        let arguments: Vec<BoxedStrategy<Vec<u8>>> = kinds
            .chunk_by(|a, b| a == b && *a == "bool")
            .map(|run| match run[0] {
                "bool" => (0..1_u8 << run.len()).prop_map(|bits| vec![bits]).boxed(),
                kind => argument(kind),
            })
            .collect();
        arguments.prop_map(move |parts| (layout.class_id, layout.method_id, parts.concat()))
    })
}

proptest! {
    #[test]
    fn methods_survive_a_round_trip((class_id, method_id, arguments) in encoded_method()) {
        let method = Method::decode(class_id, method_id, &arguments).unwrap();
        let mut encoded = Vec::new();
        method.encode(&mut Writer::new(&mut encoded));
        prop_assert_eq!(&encoded[4..], arguments.as_slice());
        prop_assert_eq!(method.ids(), (class_id, method_id));
    }

    #[test]
    fn a_method_cut_short_or_too_long_is_refused(
        (class_id, method_id, arguments) in encoded_method(),
        cut in any::<prop::sample::Index>(),
    ) {
        if !arguments.is_empty() {
            let cut = &arguments[..cut.index(arguments.len())];
            let error = Method::decode(class_id, method_id, cut).unwrap_err();
            prop_assert_eq!(error, DecodeError::Truncated);
        }
        let longer = [arguments.as_slice(), &[0]].concat();
        let error = Method::decode(class_id, method_id, &longer).unwrap_err();
        prop_assert_eq!(error, DecodeError::LeftOver { count: 1 });
    }

    #[test]
    fn tables_survive_a_round_trip(table in table()) {
        let bytes = table_bytes(&table);
        let mut from = Reader::new(&bytes);
        prop_assert_eq!(FieldTable::decode(&mut from), Ok(table));
        prop_assert_eq!(from.finish(), Ok(()));
    }

    #[test]
    fn properties_survive_a_round_trip(properties in properties()) {
        let bytes = properties.to_bytes();
        prop_assert_eq!(Properties::decode(&bytes), Ok(properties.clone()));
        let found = Encoded::scan(&bytes).unwrap();
        prop_assert_eq!(found.headers(), properties.headers.unwrap_or_default());
    }

    #[test]
    fn frames_are_found_wherever_the_stream_is_cut(
        frames in vec((any::<u8>(), any::<u16>(), vec(any::<u8>(), 0..200)), 1..8),
        cuts in vec(any::<prop::sample::Index>(), 0..6),
    ) {
        let mut stream = Vec::new();
        for (kind, channel, payload) in &frames {
            frame::write_with(&mut stream, *kind, *channel, |to| to.bytes(payload));
        }
        let mut ends: Vec<usize> = cuts.iter().map(|cut| cut.index(stream.len())).collect();
        ends.push(stream.len());
        ends.sort_unstable();
        let (mut found, mut at) = (Vec::new(), 0);
        for end in ends {
            while let Some(frame) = frame::parse(&stream[at..end], 4096).unwrap() {
                found.push((frame.kind, frame.channel, frame.payload.to_vec()));
                at += frame.encoded_len();
            }
        }
        prop_assert_eq!(found, frames);
    }

    #[test]
    fn a_content_comes_back_whole_from_its_frames(
        properties in properties(),
        body in vec(any::<u8>(), 0..20_000),
        channel in 1_u16..,
    ) {
        let properties = properties.to_bytes();
        let mut stream = Vec::new();
        frame::write_content(&mut stream, channel, &properties, &body, 4096);
        let (mut rest, mut payloads) = (stream.as_slice(), Vec::new());
        while let Some(found) = frame::parse(rest, 0).unwrap() {
            prop_assert_eq!(found.channel, channel);
            let wanted = if payloads.is_empty() { FRAME_HEADER } else { FRAME_BODY };
            prop_assert_eq!(found.kind, wanted);
            prop_assert!(wanted == FRAME_HEADER || found.encoded_len() <= 4096);
            payloads.push(found.payload);
            rest = &rest[found.encoded_len()..];
        }
        let header = ContentHeader::decode(payloads[0]).unwrap();
        prop_assert_eq!(header.properties, properties.as_slice());
        prop_assert_eq!(header.body_size, body.len() as u64);
        prop_assert_eq!(payloads[1..].concat(), body);
        prop_assert!(rest.is_empty());
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes in vec(any::<u8>(), 0..300)) {
        let _ = frame::parse(&bytes, 4096);
        let _ = FieldTable::decode(&mut Reader::new(&bytes));
        let _ = ContentHeader::decode(&bytes);
        for method in METHODS {
            let _ = Method::decode(method.class_id, method.method_id, &bytes);
        }
    }

    /// The scan looks at lengths only, so it accepts more: texts that are no UTF-8 and what is inside of headers.
    #[test]
    fn a_scan_agrees_with_a_decode_on_arbitrary_bytes(bytes in property_bytes()) {
        match (Encoded::scan(&bytes), Properties::decode(&bytes)) {
            (Ok(found), Ok(decoded)) => {
                prop_assert_eq!(found.delivery_mode, decoded.delivery_mode);
                prop_assert_eq!(found.priority, decoded.priority);
                let text = |text: &Option<ShortStr>| text.as_ref().map(|t| t.as_bytes().to_vec());
                prop_assert_eq!(found.reply_to.map(<[u8]>::to_vec), text(&decoded.reply_to));
                prop_assert_eq!(found.expiration.map(<[u8]>::to_vec), text(&decoded.expiration));
                prop_assert_eq!(found.user_id.map(<[u8]>::to_vec), text(&decoded.user_id));
                let headers = found.headers();
                let wanted = decoded.headers.unwrap_or_default();
                // As bytes, because a float that is not a number equals nothing.
                prop_assert_eq!(table_bytes(&headers), table_bytes(&wanted));
            }
            (Err(_), Err(_)) | (Ok(_), Err(DecodeError::BadUtf8)) => {}
            (Ok(found), Err(error)) => {
                let checked = check_table(found.headers.unwrap_or_default());
                prop_assert!(checked.is_err(), "{error}");
            }
            (Err(error), Ok(_)) => prop_assert!(false, "only the scan refuses: {}", error),
        }
    }
}

/// Bytes that are often nearly a property list: real ones, real ones with a byte changed, and any.
fn property_bytes() -> impl Strategy<Value = Vec<u8>> {
    let changed = (properties(), any::<prop::sample::Index>(), any::<u8>()).prop_map(
        |(properties, at, byte)| {
            let mut bytes = properties.to_bytes();
            let at = at.index(bytes.len());
            bytes[at] = byte;
            bytes
        },
    );
    prop_oneof![changed, vec(any::<u8>(), 0..60)]
}

#[test]
fn a_heartbeat_is_eight_bytes() {
    let mut bytes = Vec::new();
    frame::write_heartbeat(&mut bytes);
    assert_eq!(bytes, [FRAME_HEARTBEAT, 0, 0, 0, 0, 0, 0, 0xCE]);
    assert_ne!(FRAME_METHOD, FRAME_HEARTBEAT);
}
