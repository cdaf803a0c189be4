//! The files of a data directory byte by byte, and why no crash loses a confirmed message. This module has no code.
//!
//! All numbers are little-endian. All checksums are CRC-32C; "seeded with s" means that the calculation goes on from s.
//!
//! # The directory
//!
//! ```text
//! DIR/
//!   mq.lock                        empty; the broker holds an exclusive `flock` on it while it runs
//!   mq.sock  mq-http.sock          Unix sockets of the running broker; nothing is kept in them
//!   format                         the number of the format of all other files
//!   format-K.damaged               copy of a `format` that could not be read, made by `mq store repair`
//!   definitions.redb               vhosts, users, permissions, parameters, policies, exchanges, queues, bindings
//!   messages/
//!     NNNNNNNN.log                 records: one for each message
//!     NNNNNNNN.marks               which slots of the records are settled, delivered or moved
//!     NNNNNNNN.index               the slots of a full file, so that a start need not read its records
//!     NNNNNNNN-NUMBER-OFFSET.damaged   copy of bytes that are not what was written
//!   spill/
//!     NNNNNNNN.log                 records that memory had no room for; a start removes them
//! ```
//!
//! `NNNNNNNN` is the name of a file, at least eight decimal digits. It stays when the file is used again. The *number*
//! of a file is in its header: a file gets another number each time it is begun, and no number is given twice. Marks,
//! indexes and places of messages name the number, so they cannot be taken for those of an earlier use.
//!
//! # `format`
//!
//! ```text
//! 0   decimal number, ASCII     "1" or "2"
//! n   newline                   its absence tells a torn file
//! ```
//!
//! It is written to `format.new`, synced, and renamed. A release reads every format up to its own, and nothing newer.
//! Format 2 added the salt, the synced mark and the first slot of a record; 1 had zeros there.
//!
//! # `NNNNNNNN.log`
//!
//! Made with all its room reserved (16 MiB, or as much as its one larger record needs), and filled with zeros.
//!
//! ```text
//!    0   header, 28 bytes            28   zeros
//! 1024   synced mark, first copy     1048   zeros
//! 2048   synced mark, second copy    2072   zeros
//! 4096   records, one behind the other, each at a multiple of 8
//! ```
//!
//! ```text
//! header (28 bytes)
//!   0  8  magic "mqstore\0"
//!   8  4  format u32
//!  12  4  kind u32             0 free, 1 log, 2 survivors (records that were the last of other files)
//!  16  4  number u32           spill files have the top bit set
//!  20  4  checksum u32         of bytes 0..20 and 24..28 (format 1: of 0..20)
//!  24  4  salt u32             a random number, never 0 (format 1: 0)
//!
//! synced mark (24 bytes)
//!   0  8  magic "mqsync\0\0"
//!   8  4  number u32           of the file
//!  12  4  end u32              all records before this offset are synced
//!  16  4  zeros
//!  20  4  checksum u32         of bytes 0..20, seeded with number XOR salt
//!
//! record (64 bytes, and what follows them)
//!   0  4  checksum u32         of bytes 4..64, seeded with number XOR salt
//!   4  4  payload checksum u32 of bytes 64..len
//!   8  4  len u32              bytes of the record, this header included, without the padding
//!  12  4  batch start u32      offset of the first record synced with this one; 0 if that is in an earlier file
//!  16  8  batch u64            grows with every sync
//!  24  8  sequence u64         grows with every message; the order of a queue
//!  32  8  published at u64     ms since 1970
//!  40  8  time to live u64     ms; all bits set: none
//!  48  4  properties len u32
//!  52  2  names len u16        exchange and routing key
//!  54  1  priority u8
//!  55  1  flags u8             1: delivered before, 2: there is a priority
//!  56  4  queues u32           number of queue ids
//!  60  1  note u8              of the broker
//!  61  3  first slot u24       modulo 2^24 (format 1: 0)
//!  64     queue ids, u32 each; names; properties; body; zeros up to a multiple of 8
//! ```
//!
//! Each queue id of a record is a *slot*. The slots of a file are counted from 0 in the order of its records. A
//! [`Place`](super::Place) is number, slot and offset of the record.
//!
//! The number in the seed is why a record left from an earlier use of a file is not taken for one of now; the salt is
//! why no client can write a body that is taken for a record where a damaged file is searched.
//!
//! # `NNNNNNNN.marks`
//!
//! Marks of 16 bytes, only ever added. Their order does not matter, because a slot that is settled stays so. A start
//! skips marks that are not whole, and those of another number.
//!
//! ```text
//! mark                                          counted mark
//!   0  4  first slot u32                          0  4  slot u32; top bit: made at a delivery, else at a return
//!   4  4  count u32; top bit: delivered,          4  2  returns u16
//!         the next: moved, neither: settled       6  2  of them failed u16
//!   8  4  number u32                              8  4  number u32
//!  12  4  checksum u32 of 0..12                  12  4  checksum u32 of 0..12, seeded with 0x6d71636e
//! ```
//!
//! # `NNNNNNNN.index`
//!
//! Written when a file is full and still needed, and at a close. A shortcut: without it, or if it is not whole, the
//! file is read.
//!
//! ```text
//! header (56 bytes)                             slot (40 bytes), one behind the other
//!   0  8  magic "mqindex\0"                       0  8  sequence u64
//!   8  4  format u32                              8  8  published at u64
//!  12  4  number u32                             16  8  time to live u64
//!  16  4  slots u32                              24  4  queue id u32
//!  20  4  end u32: records before it are         28  4  offset u32 of the record; 0: the record is damaged
//!         covered                                32  4  body len u32
//!  24  8  first sequence u64                     36  1  priority u8
//!  32  8  last sequence u64                      37  1  flags u8, as in the record
//!  40  8  last batch u64                         38  2  zeros
//!  48  4  checksum u32 of all but itself
//!  52  4  zeros
//! ```
//!
//! # `*.damaged`
//!
//! The bytes as they were, and nothing else. The name says where they stood: name, number, offset; `-2`, `-3` and so on
//! follow if other bytes of that place were copied before. A copy is never written over. `mq store repair` makes copies
//! of marks (`NNNNNNNN.marks-NUMBER-0.damaged`), and of headers and whole files that cannot be read (number 0).
//!
//! # A backup
//!
//! `mq backup` makes a directory of the same form ([`backup`](super::backup) says how), without locks, sockets, indexes
//! and spill. The files of messages end where their last record did. `format` is written last.
//!
//! # `definitions.redb`
//!
//! A database of the crate `redb`, whose own `design.md` draws its bytes. Tables `vhosts`, `users`, `exchanges`,
//! `queues`, `bindings`, `permissions`, `topic permissions` and `parameters` map bytes to bytes (`broker::durable` says
//! which); `meta` maps `next_queue_id` to a u64. Commits are in two phases, and the checksums of all pages are verified
//! when it is opened.
//!
//! # `spill/NNNNNNNN.log`
//!
//! Records as above from 4096 on, without the header, the synced marks, marks and index; never synced.
//!
//! # No crash loses a confirmed message
//!
//! A crash is a kill, or a power cut: that keeps what was synced, and of later writes any part, in any order.
//!
//! **A confirmed message is on disk.** Its confirm follows [`Outcome::Synced`](super::Outcome::Synced) of its batch,
//! and that follows the return of `fdatasync` of every file that the batch has records in (`writer`). The name and the
//! room of a file are on disk before it is written to (`Medium::create`). The header of a file is written before its
//! first record and synced with it.
//!
//! **A start finds it.** It reads every file from its index's `end` on, and takes every record whose two checksums are
//! right, wherever it stands: a record that is torn or damaged ends nothing, because those behind it are searched by
//! their checksums (`scan`). An index covers synced records only, since a full file is indexed after its last batch is
//! written and synced.
//!
//! **Nothing is written over it.** Records and marks are only added. A file is used again when no slot of it waits, and
//! after the header that says so is synced (`free_files`): so a crash finds either all its records with all its marks,
//! or a free file. Only then its marks and its index are removed.
//!
//! **It is not settled too early.** A mark is written when a settlement is told, and a settlement is told
//!
//! - by a consumer that has the message: its mark may reach the disk before the record does, and means the same then;
//! - by a transaction: its marks are written when the records of its batch are synced, and the commit waits for both;
//! - by a message that moves to another queue: not before the record in its place is synced or is settled itself
//!   (`replaced`).
//!
//! A mark names slots that may not be written yet. If the records are lost in a power cut, the next records of the file
//! would be settled by it: so a start does not append to a file that has marks of slots that it lacks
//! (`Marks::is_ahead`). Slots keep their numbers if a record is damaged, because records behind it say their first
//! slots.
//!
//! **Copying it loses nothing.** Before the original goes, its copy is synced, then the marks that the copy lacks are
//! synced, then the header "free" is synced (`reclaim`). A crash in between leaves both: a start joins their marks,
//! lets one of them count, and has that on disk before a message is delivered (`recovery`).
//!
//! **A failed sync is final.** After one, nothing more is confirmed until the next start, as no later sync tells what
//! is on the disk. A start writes again and syncs what it has read behind an index before it says that a message waits.
//!
//! **A power cut and damage look alike at one place**: the records of the last batch. There a start cannot tell whether
//! they had been confirmed. It keeps every whole one, copies what is not whole to a file of its own, and says so.
//!
//! The other direction is weaker by design: a settlement is on disk within 10 ms of its telling, and synced within a
//! second. A crash before that delivers the message again.
//!
//! `tests/sim` cuts the store at every write and sync, loses and tears any part of what was not synced, and compares
//! each start with a model of these promises.
