//! Fuzzes the decoder: whatever decodes must encode to bytes that decode to the same.
//!
//! ```text
//! cargo install cargo-fuzz
//! cargo +nightly fuzz run --fuzz-dir tests/fuzz decode tests/fuzz/seeds/decode -- -max_total_time=600
//! ```
//!
//! The input is a stream of frames, as a peer would send it. Values are compared by their encoded form, because a
//! float that is not a number equals nothing, not even itself.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mq::wire::codec::DecodeError;
use mq::wire::constants::{FRAME_HEADER, FRAME_MAX_DEFAULT, FRAME_METHOD};
use mq::wire::content::ContentHeader;
use mq::wire::frame::{self, Frame};
use mq::wire::properties::Encoded;
use mq::wire::{FieldTable, Method, Properties, Reader, Writer};

fuzz_target!(|stream: &[u8]| {
    let mut rest = stream;
    loop {
        match frame::parse(rest, FRAME_MAX_DEFAULT) {
            Ok(Some(frame)) => {
                rest = &rest[frame.encoded_len()..];
                on_frame(frame);
            }
            Ok(None) => return,
            Err(fault) => {
                assert!(fault.reply_text().len() <= 255);
                return;
            }
        }
    }
});

fn on_frame(frame: Frame<'_>) {
    let mut again = Vec::new();
    frame::write_with(&mut again, frame.kind, frame.channel, |to| to.bytes(frame.payload));
    assert_eq!(frame::parse(&again, 0), Ok(Some(frame)));
    match frame.kind {
        FRAME_METHOD => on_method(frame.payload),
        FRAME_HEADER => on_header(frame.payload),
        _ => on_table(frame.payload),
    }
}

fn on_method(payload: &[u8]) {
    let Some((&[class_high, class_low, method_high, method_low], arguments)) =
        payload.split_first_chunk::<4>()
    else {
        return;
    };
    let class = u16::from_be_bytes([class_high, class_low]);
    let method = u16::from_be_bytes([method_high, method_low]);
    let decoded = match Method::decode(class, method, arguments) {
        Ok(decoded) => decoded,
        Err(error) => {
            let fault = mq::wire::Fault::undecodable(error, class, method, arguments);
            assert!(fault.reply_text().len() <= 255);
            return;
        }
    };
    let first = encoded(|to| decoded.encode(to));
    let again = Method::decode(class, method, &first[4..]).expect("what we wrote decodes");
    assert_eq!(encoded(|to| again.encode(to)), first);
}

fn on_header(payload: &[u8]) {
    let Ok(header) = ContentHeader::decode(payload) else { return };
    let scan = Encoded::scan(header.properties);
    match Properties::decode(header.properties) {
        Ok(properties) => {
            let found = scan.expect("what decodes is scanned");
            let headers = found.headers().expect("headers that decoded decode alone");
            let wanted = properties.headers.clone().unwrap_or_default();
            assert_eq!(encoded(|to| headers.encode(to)), encoded(|to| wanted.encode(to)));
            assert_eq!(found.delivery_mode, properties.delivery_mode);
            assert_eq!(
                found.expiration,
                properties.expiration.as_ref().map(|text| text.as_bytes())
            );
            let first = properties.to_bytes();
            let again = Properties::decode(&first).expect("what we wrote decodes");
            assert_eq!(again.to_bytes(), first);
        }
        Err(DecodeError::BadUtf8) => {}
        Err(error) => {
            // The scan does not look into headers.
            if let Ok(found) = scan {
                assert_eq!(found.headers().expect_err("the decoder found something"), error);
            }
        }
    }
}

fn on_table(payload: &[u8]) {
    let Ok(table) = FieldTable::decode(&mut Reader::new(payload)) else { return };
    let first = encoded(|to| table.encode(to));
    let again = FieldTable::decode(&mut Reader::new(&first)).expect("what we wrote decodes");
    assert_eq!(encoded(|to| again.encode(to)), first);
}

fn encoded(write: impl FnOnce(&mut Writer<'_>)) -> Vec<u8> {
    let mut bytes = Vec::new();
    write(&mut Writer::new(&mut bytes));
    bytes
}
