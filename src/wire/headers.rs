//! An encoded header table, walked without reading its values: for messages that only pass through.
//!
//! A table stands here without the four bytes of its length. What cannot be walked is left as it is; reading it as a
//! [`super::FieldTable`] tells what is wrong with it.

use super::codec::{DecodeError, Reader};
use super::raw::skip;

/// An entry of a table, as it stands there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct HeaderEntry<'a> {
    name: &'a [u8],
    /// Name, type and value.
    bytes: &'a [u8],
}

/// Reads the next entry.
fn next<'a>(from: &mut Reader<'a>) -> Result<HeaderEntry<'a>, DecodeError> {
    let start = from.rest();
    let name = from.short_bytes()?;
    skip(from)?;
    Ok(HeaderEntry { name, bytes: &start[..start.len() - from.rest().len()] })
}

/// All entries.
fn entries(table: &[u8]) -> Result<Vec<HeaderEntry<'_>>, DecodeError> {
    let mut from = Reader::new(table);
    let mut entries = Vec::new();
    while !from.is_empty() {
        entries.push(next(&mut from)?);
    }
    Ok(entries)
}

/// True if the entries stand in the order of their names, each name once; also if the table cannot be walked.
///
/// Cost: one step and one comparison for each entry; values are passed over.
pub fn is_in_order(table: &[u8]) -> bool {
    let mut from = Reader::new(table);
    let mut last: Option<&[u8]> = None;
    while !from.is_empty() {
        let Ok(HeaderEntry { name, .. }) = next(&mut from) else { return true };
        if last.is_some_and(|last| last >= name) {
            return false;
        }
        last = Some(name);
    }
    true
}

/// The entries in the order of their names; of those with one name the last (RabbitMQ 4: `mc_amqpl`, which keeps headers
/// as a map).
pub fn in_order(table: &[u8]) -> Vec<u8> {
    let Ok(mut entries) = entries(table) else { return table.to_vec() };
    // Stable: of those with one name, the last stays the last.
    entries.sort_by_key(|entry| entry.name);
    let is_last = |at: usize| entries.get(at + 1).is_none_or(|next| next.name != entries[at].name);
    let kept = (0..entries.len()).filter(|at| is_last(*at));
    kept.flat_map(|at| entries[at].bytes).copied().collect()
}

/// Returns the range of an entry of this name in a table that is in order: behind all that come before it, in the place
/// of one of its name. If that cannot be known, it is at the end.
pub fn place_of(table: &[u8], name: &str) -> std::ops::Range<usize> {
    let mut from = Reader::new(table);
    while !from.is_empty() {
        let at = table.len() - from.rest().len();
        match next(&mut from) {
            Ok(entry) if entry.name < name.as_bytes() => {}
            Ok(entry) if entry.name == name.as_bytes() => return at..at + entry.bytes.len(),
            Ok(_) => return at..at,
            Err(_) => break,
        }
    }
    table.len()..table.len()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::shortstr::literal;
    use crate::wire::{FieldTable, FieldValue, Writer};

    fn encoded(table: &FieldTable) -> Vec<u8> {
        let mut bytes = Vec::new();
        table.encode(&mut Writer::new(&mut bytes));
        bytes.split_off(4)
    }

    /// A table with these names, each value another type.
    fn table(names: &[&'static str]) -> FieldTable {
        let values = [
            FieldValue::Void,
            FieldValue::Bool(true),
            FieldValue::I8(1),
            FieldValue::U8(1),
            FieldValue::I16(1),
            FieldValue::U16(1),
            FieldValue::I32(1),
            FieldValue::U32(1),
            FieldValue::I64(1),
            FieldValue::F32(1.0),
            FieldValue::F64(1.0),
            FieldValue::Decimal { scale: 1, value: 1 },
            FieldValue::Timestamp(1),
            "text".into(),
            FieldValue::Bytes("bytes".into()),
            FieldValue::Array(vec!["z".into(), "a".into()]),
            FieldValue::Table(FieldTable::new().with("z", "1").with("a", "2")),
        ];
        let entries = names.iter().map(|name| literal(name)).zip(values);
        FieldTable::from_entries(entries.collect())
    }

    #[test]
    fn entries_of_every_type_are_put_in_order() {
        let names =
            ["q", "p", "o", "n", "m", "l", "k", "j", "i", "h", "g", "f", "e", "d", "c", "b", "a"];
        let turned = table(&names);
        let sorted = encoded(&turned.sorted());
        assert!(!is_in_order(&encoded(&turned)));
        assert_eq!(in_order(&encoded(&turned)), sorted);
        assert!(is_in_order(&sorted));
    }

    #[test]
    fn of_those_with_one_name_the_last_stays() {
        let twice = table(&["b", "a", "b", "B", "a"]);
        assert!(!is_in_order(&encoded(&table(&["a", "a"]))));
        let kept: FieldTable = twice.iter().cloned().collect();
        assert_eq!(in_order(&encoded(&twice)), encoded(&kept.sorted()));
        assert!(is_in_order(&[]) && in_order(&[]).is_empty());
    }

    #[test]
    fn a_new_entry_has_its_place_among_the_others() {
        let known = table(&["a", "c", "e"]);
        let bytes = encoded(&known);
        for (name, before, is_there) in
            [("a", "", true), ("b", "a", false), ("c", "a", true), ("f", "ace", false)]
        {
            let len = encoded(&table(&["a", "c", "e"][..before.len()])).len();
            let place = place_of(&bytes, name);
            assert_eq!((place.start, !place.is_empty()), (len, is_there), "{name}");
        }
    }

    #[test]
    fn what_cannot_be_walked_stays_as_it_is() {
        for broken in [&b"\x01b?\x01aV"[..], b"\x01bI\0", b"\x05b", b"\x01bS\0\0\0\x09x"] {
            assert!(is_in_order(broken));
            assert_eq!(in_order(broken), broken);
            assert_eq!(place_of(broken, "z"), broken.len()..broken.len());
        }
    }
}
