//! Definitions as rows: AMQP's own encoding, so that a table's values of every type come back as they were.
//!
//! A value begins with its version. A release reads all versions up to the one it writes; another one is an error,
//! as is every byte too many or too few.

use crate::broker::arguments::{QueueArguments, exchange_noun, queue_noun};
use crate::broker::auth::BadPattern;
use crate::broker::compat::Compat;
use crate::broker::exchange::binding::{Binding, BindingKey, DestinationKind, DestinationName};
use crate::broker::exchange::{ExchangeKind, ExchangeSettings};
use crate::broker::queue::Settings;
use crate::store::QueueId;
use crate::store::definitions::{Change, Row, Table};
use crate::wire::codec::Wire;
use crate::wire::{DecodeError, Fault, FieldTable, Reader, ShortStr, Writer};

/// The version of most kinds of rows.
const VERSION: u8 = 1;

/// The version of the row of a queue whose user is known.
const WITH_USER: u8 = 2;

/// Bytes of salt and hash of a password, when there was one kind of hash.
pub(super) const OLD_HASH_BYTES: usize = 36;

/// The fault of a row.
#[derive(Debug, thiserror::Error)]
pub(in crate::broker) enum RowProblem {
    #[error("{0}")]
    Undecodable(#[from] DecodeError),
    #[error("its version {0} is not one that this release reads")]
    Version(u8),
    #[error("a binding's destination is a queue or an exchange, not of kind {0}")]
    Kind(u8),
    #[error("a password's hash has {OLD_HASH_BYTES} bytes, this one {0}")]
    Hash(usize),
    #[error("the password hash algorithm '{0}' is unknown")]
    Hashing(String),
    #[error("{0}")]
    Pattern(#[from] BadPattern),
    /// The row is whole, but asks for something that is not there.
    #[error("{}", .0.text)]
    Refused(Fault),
    #[error("there is no {0}")]
    Missing(String),
}

/// A kind of definition: the table that has its rows, and the way to read one. The functions that write such a row and
/// remove it stand beside it.
#[derive(Debug)]
pub(in crate::broker) struct RowKind<T> {
    pub(super) table: Table,
    pub(super) read: fn(&Row) -> Result<T, RowProblem>,
    /// Names what the row with this key describes.
    pub(super) noun: fn(&[u8]) -> Result<String, RowProblem>,
}

/// The durable exchanges.
pub(in crate::broker) const EXCHANGES: RowKind<InVhost<ExchangeSettings>> = RowKind {
    table: Table::Exchanges,
    read: read_exchange,
    noun: |key| read_name_in(key).map(|name| exchange_noun(&name.row, &name.vhost)),
};

/// The durable queues.
pub(in crate::broker) const QUEUES: RowKind<Settings> = RowKind {
    table: Table::Queues,
    read: read_queue,
    noun: |key| read_name_in(key).map(|name| queue_noun(&name.row, &name.vhost)),
};

/// The bindings between durable things.
pub(in crate::broker) const BINDINGS: RowKind<InVhost<Binding>> =
    RowKind { table: Table::Bindings, read: read_binding, noun: |_| Ok("binding".to_owned()) };

/// A row of a vhost, read.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::broker) struct InVhost<T> {
    pub(in crate::broker) vhost: ShortStr,
    pub(in crate::broker) row: T,
}

pub(super) fn written(write: impl FnOnce(&mut Writer<'_>)) -> Vec<u8> {
    let mut bytes = Vec::new();
    write(&mut Writer::new(&mut bytes));
    bytes
}

pub(super) fn value(write: impl FnOnce(&mut Writer<'_>)) -> Vec<u8> {
    written(|to| {
        to.u8(VERSION);
        write(to);
    })
}

/// Reads all of a value, version first.
pub(super) fn read_value<T>(
    bytes: &[u8],
    read: impl FnOnce(&mut Reader<'_>) -> Result<T, RowProblem>,
) -> Result<T, RowProblem> {
    read_versions(bytes, &[VERSION], |_, from| read(from))
}

/// The same of a value of one of these versions.
fn read_versions<T>(
    bytes: &[u8],
    versions: &[u8],
    read: impl FnOnce(u8, &mut Reader<'_>) -> Result<T, RowProblem>,
) -> Result<T, RowProblem> {
    let mut from = Reader::new(bytes);
    let version = from.u8()?;
    if !versions.contains(&version) {
        return Err(RowProblem::Version(version));
    }
    let made = read(version, &mut from)?;
    from.finish()?;
    Ok(made)
}

/// The key of a vhost or a user, and the beginning of the keys of everything in a vhost.
pub(super) fn name_key(name: &ShortStr) -> Vec<u8> {
    written(|to| to.short(name))
}

/// The name of a vhost or a user.
pub(super) fn read_name(key: &[u8]) -> Result<ShortStr, RowProblem> {
    let mut from = Reader::new(key);
    let name = ShortStr::read(&mut from)?;
    from.finish()?;
    Ok(name)
}

/// The key of an exchange or a queue, or of a user's permission in a vhost.
pub(super) fn key_in(vhost: &ShortStr, name: &ShortStr) -> Vec<u8> {
    written(|to| {
        to.short(vhost);
        to.short(name);
    })
}

/// The name of an exchange or a queue, or of the user who has a permission.
pub(super) fn read_name_in(key: &[u8]) -> Result<InVhost<ShortStr>, RowProblem> {
    let mut from = Reader::new(key);
    let (vhost, row) = (ShortStr::read(&mut from)?, ShortStr::read(&mut from)?);
    from.finish()?;
    Ok(InVhost { vhost, row })
}

pub(super) fn of_exchange(vhost: &ShortStr, settings: &ExchangeSettings) -> Row {
    let value = value(|to| {
        to.short(&ShortStr::truncated(settings.kind.name()));
        to.bit(settings.is_auto_delete);
        to.bit(settings.is_internal);
        settings.arguments.encode(to);
    });
    Row { key: key_in(vhost, &settings.name), value }
}

fn read_exchange(row: &Row) -> Result<InVhost<ExchangeSettings>, RowProblem> {
    let InVhost { vhost, row: name } = read_name_in(&row.key)?;
    let exchange = read_value(&row.value, |from| {
        let kind = ExchangeKind::from_name(from.short_text()?, Compat::default())
            .map_err(RowProblem::Refused)?;
        let (is_auto_delete, is_internal) = (from.bit()?, from.bit()?);
        let arguments = FieldTable::decode(from)?;
        Ok(ExchangeSettings {
            name,
            kind,
            is_durable: true,
            is_auto_delete,
            is_internal,
            arguments,
        })
    })?;
    Ok(InVhost { vhost, row: exchange })
}

/// A queue's row, of its settings but for the id.
pub(super) fn of_queue(settings: &Settings, id: QueueId) -> Row {
    let value = written(|to| {
        to.u8(if settings.declared_by.is_some() { WITH_USER } else { VERSION });
        to.u32(id.0);
        to.bit(settings.is_auto_delete);
        settings.arguments.encode(to);
        settings.declared_by.iter().for_each(|user| to.short(user));
    });
    Row { key: key_in(&settings.vhost, &settings.name), value }
}

fn read_queue(row: &Row) -> Result<Settings, RowProblem> {
    let InVhost { vhost, row: name } = read_name_in(&row.key)?;
    read_versions(&row.value, &[VERSION, WITH_USER], |version, from| {
        let (id, is_auto_delete) = (QueueId(from.u32()?), from.bit()?);
        let arguments = FieldTable::decode(from)?;
        let declared_by = (version == WITH_USER).then(|| ShortStr::read(from)).transpose()?;
        let wanted = QueueArguments::read(&arguments);
        Ok(Settings {
            id: Some(id),
            name,
            vhost,
            is_durable: true,
            is_auto_delete,
            exclusive_owner: None,
            declared_by,
            arguments,
            kind: wanted.kind,
            wanted: wanted.shared(),
        })
    })
}

pub(super) fn binding_key(vhost: &ShortStr, source: &ShortStr, key: &BindingKey) -> Vec<u8> {
    written(|to| {
        to.short(vhost);
        to.short(source);
        to.u8(match key.destination().kind {
            DestinationKind::Queue => 0,
            DestinationKind::Exchange => 1,
        });
        to.short(&key.destination().name);
        to.short(key.routing_key());
        to.bytes(key.arguments());
    })
}

/// A binding's row. Its arguments are in the key in one order for all, and in the value as they were given.
pub(super) fn of_binding(vhost: &ShortStr, binding: &Binding) -> Row {
    let key = binding_key(vhost, &binding.source, &binding.key());
    Row { key, value: value(|to| binding.arguments.encode(to)) }
}

fn read_binding(row: &Row) -> Result<InVhost<Binding>, RowProblem> {
    let mut from = Reader::new(&row.key);
    let (vhost, source) = (ShortStr::read(&mut from)?, ShortStr::read(&mut from)?);
    let kind = match from.u8()? {
        0 => DestinationKind::Queue,
        1 => DestinationKind::Exchange,
        other => return Err(RowProblem::Kind(other)),
    };
    let destination = DestinationName { kind, name: ShortStr::read(&mut from)? };
    let routing_key = ShortStr::read(&mut from)?;
    let arguments = read_value(&row.value, |from| Ok(FieldTable::decode(from)?))?;
    Ok(InVhost { vhost, row: Binding { source, destination, routing_key, arguments } })
}

/// The change that writes a durable exchange down.
pub(in crate::broker) fn put_exchange(vhost: &ShortStr, settings: &ExchangeSettings) -> Change {
    Change::Put(Table::Exchanges, of_exchange(vhost, settings))
}

/// The change that writes a durable queue down.
pub(in crate::broker) fn put_queue(settings: &Settings, id: QueueId) -> Change {
    Change::Put(Table::Queues, of_queue(settings, id))
}

/// The change that writes a binding between durable things down.
pub(in crate::broker) fn put_binding(vhost: &ShortStr, binding: &Binding) -> Change {
    Change::Put(Table::Bindings, of_binding(vhost, binding))
}

/// A binding as texts name it.
pub(in crate::broker) fn binding_noun(binding: &Binding, vhost: &str) -> String {
    let destination = &binding.destination.name;
    let destination = match binding.destination.kind {
        DestinationKind::Queue => format!("queue '{destination}'"),
        DestinationKind::Exchange => format!("exchange '{destination}'"),
    };
    format!("binding of {destination} to {}", exchange_noun(&binding.source, vhost))
}
