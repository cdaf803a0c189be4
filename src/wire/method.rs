//! Every class and method of AMQP 0-9-1 with RabbitMQ's extensions, as one table.
//!
//! The table gives each method its numbers, its name and its fields in wire order; the macro above it makes a
//! struct for each (`basic::Publish`), one enum over all ([`Method`]), and the code that reads and writes them.
//! Source: RabbitMQ's `amqp-rabbitmq-0.9.1.json`; `exchange.unbind-ok` really is 51.

use super::codec::{DecodeError, Reader, Wire, Writer};
use super::field::FieldTable;
use super::shortstr::{LongStr, ShortStr};

/// The name, ids and fields of one method: for tests and tools that go through all of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MethodLayout {
    /// The name as the specification writes it: `basic.publish`.
    pub name: &'static str,
    pub class_id: u16,
    pub method_id: u16,
    /// Name and type of each field, as our source writes them, in wire order.
    pub fields: &'static [(&'static str, &'static str)],
}

macro_rules! methods {
    ($(
        $class:ident $class_id:literal {
            $($id:literal $name:ident $variant:ident $text:literal { $($field:ident: $type:ty),* $(,)? })*
        }
    )*) => {
        $(
            #[doc = concat!("Class ", stringify!($class), ", number ", stringify!($class_id), ".")]
            pub mod $class {
                use super::*;

                /// The class's number.
                pub const CLASS_ID: u16 = $class_id;

                $(
                    #[doc = concat!("`", $text, "`, method ", stringify!($id), " of its class.")]
                    #[derive(Clone, Debug, Default, PartialEq)]
                    #[allow(clippy::struct_excessive_bools, reason = "the specification's bits")]
                    pub struct $name { $(pub $field: $type,)* }

                    impl $name {
                        /// The method's number within its class.
                        pub const METHOD_ID: u16 = $id;

                        /// Reads the arguments, behind the class and method numbers.
                        #[allow(unused_variables, reason = "a method without arguments reads nothing")]
                        #[inline]
                        pub fn read(from: &mut Reader<'_>) -> Result<Self, DecodeError> {
                            Ok(Self { $($field: <$type as Wire>::read(from)?,)* })
                        }

                        /// Writes class number, method number and arguments.
                        #[inline]
                        pub fn write(&self, to: &mut Writer<'_>) {
                            to.u16($class_id);
                            to.u16($id);
                            $(self.$field.write(to);)*
                        }
                    }

                    impl From<$name> for Method {
                        fn from(method: $name) -> Self {
                            Self::$variant(method)
                        }
                    }
                )*
            }
        )*

        /// Any method.
        #[derive(Clone, Debug, PartialEq)]
        pub enum Method {
            $($(#[doc = concat!("`", $text, "`")] $variant($class::$name),)*)*
        }

        impl Method {
            /// Class and method number.
            pub fn ids(&self) -> (u16, u16) {
                match self { $($(Self::$variant(_) => ($class_id, $id),)*)* }
            }

            /// The name as the specification writes it: `basic.publish`.
            pub fn name(&self) -> &'static str {
                match self { $($(Self::$variant(_) => $text,)*)* }
            }

            /// Reads the arguments of the method with these numbers; all of `arguments` must be used.
            pub fn decode(class: u16, method: u16, arguments: &[u8]) -> Result<Self, DecodeError> {
                let mut from = Reader::new(arguments);
                let decoded = match (class, method) {
                    $($(($class_id, $id) => Self::$variant($class::$name::read(&mut from)?),)*)*
                    _ => return Err(DecodeError::UnknownMethod { class, method }),
                };
                from.finish()?;
                Ok(decoded)
            }

            /// Writes class number, method number and arguments.
            pub fn encode(&self, to: &mut Writer<'_>) {
                match self { $($(Self::$variant(method) => method.write(to),)*)* }
            }
        }

        /// Every method, in the order of the table.
        pub const METHODS: &[MethodLayout] = &[$($(MethodLayout {
            name: $text,
            class_id: $class_id,
            method_id: $id,
            fields: &[$((stringify!($field), stringify!($type)),)*],
        },)*)*];
    };
}

methods! {
connection 10 {
    10 Start ConnectionStart "connection.start" {
        version_major: u8, version_minor: u8, server_properties: FieldTable,
        mechanisms: LongStr, locales: LongStr,
    }
    11 StartOk ConnectionStartOk "connection.start-ok" {
        client_properties: FieldTable, mechanism: ShortStr, response: LongStr,
        locale: ShortStr,
    }
    20 Secure ConnectionSecure "connection.secure" { challenge: LongStr }
    21 SecureOk ConnectionSecureOk "connection.secure-ok" { response: LongStr }
    30 Tune ConnectionTune "connection.tune" {
        channel_max: u16, frame_max: u32, heartbeat: u16,
    }
    31 TuneOk ConnectionTuneOk "connection.tune-ok" {
        channel_max: u16, frame_max: u32, heartbeat: u16,
    }
    40 Open ConnectionOpen "connection.open" {
        virtual_host: ShortStr, capabilities: ShortStr, insist: bool,
    }
    41 OpenOk ConnectionOpenOk "connection.open-ok" { known_hosts: ShortStr }
    50 Close ConnectionClose "connection.close" {
        reply_code: u16, reply_text: ShortStr, class_id: u16, method_id: u16,
    }
    51 CloseOk ConnectionCloseOk "connection.close-ok" {}
    60 Blocked ConnectionBlocked "connection.blocked" { reason: ShortStr }
    61 Unblocked ConnectionUnblocked "connection.unblocked" {}
    70 UpdateSecret ConnectionUpdateSecret "connection.update-secret" {
        new_secret: LongStr, reason: ShortStr,
    }
    71 UpdateSecretOk ConnectionUpdateSecretOk "connection.update-secret-ok" {}
}
channel 20 {
    10 Open ChannelOpen "channel.open" { out_of_band: ShortStr }
    11 OpenOk ChannelOpenOk "channel.open-ok" { channel_id: LongStr }
    20 Flow ChannelFlow "channel.flow" { active: bool }
    21 FlowOk ChannelFlowOk "channel.flow-ok" { active: bool }
    40 Close ChannelClose "channel.close" {
        reply_code: u16, reply_text: ShortStr, class_id: u16, method_id: u16,
    }
    41 CloseOk ChannelCloseOk "channel.close-ok" {}
}
access 30 {
    10 Request AccessRequest "access.request" {
        realm: ShortStr, exclusive: bool, passive: bool, active: bool, write: bool, read: bool,
    }
    11 RequestOk AccessRequestOk "access.request-ok" { ticket: u16 }
}
exchange 40 {
    10 Declare ExchangeDeclare "exchange.declare" {
        ticket: u16, exchange: ShortStr, kind: ShortStr, passive: bool, durable: bool,
        auto_delete: bool, internal: bool, nowait: bool, arguments: FieldTable,
    }
    11 DeclareOk ExchangeDeclareOk "exchange.declare-ok" {}
    20 Delete ExchangeDelete "exchange.delete" {
        ticket: u16, exchange: ShortStr, if_unused: bool, nowait: bool,
    }
    21 DeleteOk ExchangeDeleteOk "exchange.delete-ok" {}
    30 Bind ExchangeBind "exchange.bind" {
        ticket: u16, destination: ShortStr, source: ShortStr, routing_key: ShortStr,
        nowait: bool, arguments: FieldTable,
    }
    31 BindOk ExchangeBindOk "exchange.bind-ok" {}
    40 Unbind ExchangeUnbind "exchange.unbind" {
        ticket: u16, destination: ShortStr, source: ShortStr, routing_key: ShortStr,
        nowait: bool, arguments: FieldTable,
    }
    51 UnbindOk ExchangeUnbindOk "exchange.unbind-ok" {}
}
queue 50 {
    10 Declare QueueDeclare "queue.declare" {
        ticket: u16, queue: ShortStr, passive: bool, durable: bool, exclusive: bool,
        auto_delete: bool, nowait: bool, arguments: FieldTable,
    }
    11 DeclareOk QueueDeclareOk "queue.declare-ok" {
        queue: ShortStr, message_count: u32, consumer_count: u32,
    }
    20 Bind QueueBind "queue.bind" {
        ticket: u16, queue: ShortStr, exchange: ShortStr, routing_key: ShortStr, nowait: bool,
        arguments: FieldTable,
    }
    21 BindOk QueueBindOk "queue.bind-ok" {}
    30 Purge QueuePurge "queue.purge" { ticket: u16, queue: ShortStr, nowait: bool }
    31 PurgeOk QueuePurgeOk "queue.purge-ok" { message_count: u32 }
    40 Delete QueueDelete "queue.delete" {
        ticket: u16, queue: ShortStr, if_unused: bool, if_empty: bool, nowait: bool,
    }
    41 DeleteOk QueueDeleteOk "queue.delete-ok" { message_count: u32 }
    50 Unbind QueueUnbind "queue.unbind" {
        ticket: u16, queue: ShortStr, exchange: ShortStr, routing_key: ShortStr,
        arguments: FieldTable,
    }
    51 UnbindOk QueueUnbindOk "queue.unbind-ok" {}
}
basic 60 {
    10 Qos BasicQos "basic.qos" { prefetch_size: u32, prefetch_count: u16, global: bool }
    11 QosOk BasicQosOk "basic.qos-ok" {}
    20 Consume BasicConsume "basic.consume" {
        ticket: u16, queue: ShortStr, consumer_tag: ShortStr, no_local: bool, no_ack: bool,
        exclusive: bool, nowait: bool, arguments: FieldTable,
    }
    21 ConsumeOk BasicConsumeOk "basic.consume-ok" { consumer_tag: ShortStr }
    30 Cancel BasicCancel "basic.cancel" { consumer_tag: ShortStr, nowait: bool }
    31 CancelOk BasicCancelOk "basic.cancel-ok" { consumer_tag: ShortStr }
    40 Publish BasicPublish "basic.publish" {
        ticket: u16, exchange: ShortStr, routing_key: ShortStr, mandatory: bool,
        immediate: bool,
    }
    50 Return BasicReturn "basic.return" {
        reply_code: u16, reply_text: ShortStr, exchange: ShortStr, routing_key: ShortStr,
    }
    60 Deliver BasicDeliver "basic.deliver" {
        consumer_tag: ShortStr, delivery_tag: u64, redelivered: bool, exchange: ShortStr,
        routing_key: ShortStr,
    }
    70 Get BasicGet "basic.get" { ticket: u16, queue: ShortStr, no_ack: bool }
    71 GetOk BasicGetOk "basic.get-ok" {
        delivery_tag: u64, redelivered: bool, exchange: ShortStr, routing_key: ShortStr,
        message_count: u32,
    }
    72 GetEmpty BasicGetEmpty "basic.get-empty" { cluster_id: ShortStr }
    80 Ack BasicAck "basic.ack" { delivery_tag: u64, multiple: bool }
    90 Reject BasicReject "basic.reject" { delivery_tag: u64, requeue: bool }
    100 RecoverAsync BasicRecoverAsync "basic.recover-async" { requeue: bool }
    110 Recover BasicRecover "basic.recover" { requeue: bool }
    111 RecoverOk BasicRecoverOk "basic.recover-ok" {}
    120 Nack BasicNack "basic.nack" { delivery_tag: u64, multiple: bool, requeue: bool }
}
confirm 85 {
    10 Select ConfirmSelect "confirm.select" { nowait: bool }
    11 SelectOk ConfirmSelectOk "confirm.select-ok" {}
}
tx 90 {
    10 Select TxSelect "tx.select" {}
    11 SelectOk TxSelectOk "tx.select-ok" {}
    20 Commit TxCommit "tx.commit" {}
    21 CommitOk TxCommitOk "tx.commit-ok" {}
    30 Rollback TxRollback "tx.rollback" {}
    31 RollbackOk TxRollbackOk "tx.rollback-ok" {}
}}
