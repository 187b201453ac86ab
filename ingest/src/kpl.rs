//! Records that the Kinesis Producer Library packed into one: many user records in one record of the stream.
//!
//! By the library's "KPL Aggregated Record Format": the magic number `F3 89 9A C2`, a Protocol Buffers message
//! `AggregatedRecord`, and the MD5 of that message. A user record's place is the sequence number of the whole and its
//! index inside, the sub-sequence number, which counts every user record, also those that are left out.
//!
//! Nothing here trusts the bytes. What is not exactly an aggregated record is handed over whole, as the plain record
//! that it is, never in part. User records are taken out one at a time and share the aggregate's memory, since a
//! hostile aggregate of 10 MiB holds millions of them.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use md5::{Digest, Md5};

use crate::record::Record;
use crate::stream::{HashRange, StreamRecord};
use crate::wire::{Damaged, Fields, Value, put_bytes, put_number};

/// What an aggregated record begins with.
pub const MAGIC: [u8; 4] = [0xF3, 0x89, 0x9A, 0xC2];
/// The bytes of the MD5 at its end.
const CHECKSUM: usize = 16;
/// The most bytes of a partition key: 256 characters (`PutRecord`).
const LONGEST_KEY: usize = 1_024;

/// `AggregatedRecord.partition_key_table`
const KEY_TABLE: u64 = 1;
/// `AggregatedRecord.explicit_hash_key_table`
const HASH_KEY_TABLE: u64 = 2;
/// `AggregatedRecord.records`
const RECORDS: u64 = 3;
/// `Record.partition_key_index`
const KEY: u64 = 1;
/// `Record.explicit_hash_key_index`
const HASH_KEY: u64 = 2;
/// `Record.data`
const DATA: u64 = 3;

/// The shard that Kinesis puts a record of this partition key into: that whose range holds this number, the MD5 of
/// the key as a big-endian integer (`PutRecord`).
#[must_use]
pub fn hash_key(partition_key: &str) -> u128 {
    u128::from_be_bytes(Md5::digest(partition_key.as_bytes()).into())
}

/// A record before it is packed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserRecord {
    /// Its partition key, at most 256 characters.
    pub partition_key: String,
    /// The hash key that its producer chose in place of the partition key's.
    pub explicit_hash_key: Option<u128>,
    /// Its bytes.
    pub data: Bytes,
}

/// Packs user records into the data of one record, as the Kinesis Producer Library does.
///
/// All of them should belong into one shard: a consumer leaves out those that do not, as their producer sends them
/// again.
#[must_use]
pub fn aggregate(records: &[UserRecord]) -> Bytes {
    let mut keys: Vec<&str> = Vec::new();
    let mut hash_keys: Vec<u128> = Vec::new();
    let mut packed = Vec::new();
    for record in records {
        let mut one = Vec::new();
        put_number(&mut one, KEY, index_in(&mut keys, &record.partition_key));
        if let Some(hash_key) = record.explicit_hash_key {
            put_number(&mut one, HASH_KEY, index_in(&mut hash_keys, hash_key));
        }
        put_bytes(&mut one, DATA, &record.data);
        put_bytes(&mut packed, RECORDS, &one);
    }
    let mut out = MAGIC.to_vec();
    keys.iter().for_each(|key| put_bytes(&mut out, KEY_TABLE, key.as_bytes()));
    hash_keys.iter().for_each(|key| put_bytes(&mut out, HASH_KEY_TABLE, key.to_string().as_bytes()));
    out.extend_from_slice(&packed);
    seal(out)
}

/// Appends the checksum.
fn seal(mut out: Vec<u8>) -> Bytes {
    let checksum = Md5::digest(&out[MAGIC.len()..]);
    out.extend_from_slice(&checksum);
    out.into()
}

fn index_in<T: PartialEq>(table: &mut Vec<T>, entry: T) -> u64 {
    let index = table.iter().position(|known| *known == entry).unwrap_or_else(|| {
        table.push(entry);
        table.len() - 1
    });
    index as u64
}

/// The user records of one record of the stream, in their order: of an aggregated one those inside, else itself.
#[derive(Debug)]
pub struct UserRecords {
    shard_id: Arc<str>,
    record: StreamRecord,
    left: Left,
}

#[derive(Debug)]
enum Left {
    Nothing,
    /// The record itself.
    Plain,
    Inside(Box<Aggregate>),
}

/// What is inside an aggregated record of which every part was found sound.
#[derive(Debug)]
struct Aggregate {
    tables: Tables,
    /// The hash keys of the shard that it was read from, unless that is all of them.
    range: Option<HashRange>,
    fields: Fields,
    index: u64,
}

#[derive(Debug, Default)]
struct Tables {
    keys: Vec<Range<usize>>,
    hash_keys: Vec<u128>,
}

/// One `Record` of an `AggregatedRecord`.
struct Packed {
    key: usize,
    hash_key: Option<usize>,
    data: Range<usize>,
}

/// Takes a record apart.
///
/// User records whose hash key lies outside `range`, that of the shard they were read from, are left out: such an
/// aggregate was made for a shard that was split meanwhile, and its producer sends again what ended up in the wrong
/// one. `None` keeps all.
#[must_use]
pub fn deaggregate(shard_id: &Arc<str>, record: StreamRecord, range: Option<HashRange>) -> UserRecords {
    let left = match Aggregate::open(&record.data, range) {
        Some(aggregate) => Left::Inside(Box::new(aggregate)),
        None => Left::Plain,
    };
    UserRecords { shard_id: shard_id.clone(), record, left }
}

impl Iterator for UserRecords {
    type Item = Record;

    fn next(&mut self) -> Option<Record> {
        let record = |sub_sequence_number, partition_key, data| Record {
            shard_id: self.shard_id.clone(),
            sequence_number: self.record.sequence_number.clone(),
            sub_sequence_number,
            partition_key,
            arrival: self.record.arrival,
            data,
        };
        match &mut self.left {
            Left::Nothing => None,
            Left::Plain => {
                let (key, data) = (&mut self.record.partition_key, &mut self.record.data);
                self.left = Left::Nothing;
                Some(record(0, std::mem::take(key), std::mem::take(data)))
            }
            Left::Inside(aggregate) => {
                let (index, key, data) = aggregate.next(&self.record.data)?;
                Some(record(index, key, self.record.data.slice(data)))
            }
        }
    }
}

impl Aggregate {
    /// Reads the tables and looks at every part once. `None` unless all of it is sound.
    fn open(data: &[u8], range: Option<HashRange>) -> Option<Self> {
        // Most records are plain: the magic number is looked at before anything else.
        let end = data.strip_prefix(&MAGIC)?.len().checked_sub(CHECKSUM).filter(|length| *length > 0)? + MAGIC.len();
        let message = MAGIC.len()..end;
        if Md5::digest(data.get(message.clone())?)[..] != *data.get(end..)? {
            return None;
        }
        let tables = Tables::read(data, message.clone()).ok()?;
        tables.check_records(data, message.clone()).ok()?;
        let range = range.filter(|range| *range != HashRange { start: 0, end: u128::MAX });
        Some(Self { tables, range, fields: Fields::of(message), index: 0 })
    }

    /// The next user record's index, partition key and bytes.
    fn next(&mut self, data: &[u8]) -> Option<(u64, String, Range<usize>)> {
        // Everything was found sound before; what could fail here ends the records.
        while let Some(field) = self.fields.next(data).ok()? {
            let (RECORDS, Value::Length(range)) = field else { continue };
            let packed = Packed::read(data, range).ok()?;
            let key = std::str::from_utf8(data.get(self.tables.keys.get(packed.key)?.clone())?).ok()?;
            let index = self.index;
            self.index += 1;
            if let Some(range) = self.range {
                let explicit = packed.hash_key.and_then(|index| self.tables.hash_keys.get(index).copied());
                if !range.contains(explicit.unwrap_or_else(|| hash_key(key))) {
                    continue;
                }
            }
            return Some((index, key.to_owned(), packed.data));
        }
        None
    }
}

impl Tables {
    fn read(data: &[u8], message: Range<usize>) -> Result<Self, Damaged> {
        let mut tables = Self::default();
        let mut fields = Fields::of(message);
        while let Some(field) = fields.next(data)? {
            match field {
                (KEY_TABLE, Value::Length(range)) => {
                    let key = data.get(range.clone()).ok_or(Damaged)?;
                    if key.len() > LONGEST_KEY || std::str::from_utf8(key).is_err() {
                        return Err(Damaged);
                    }
                    tables.keys.push(range);
                }
                (HASH_KEY_TABLE, Value::Length(range)) => {
                    let digits = data.get(range).filter(|digits| digits.iter().all(u8::is_ascii_digit));
                    let digits = digits.and_then(|digits| std::str::from_utf8(digits).ok()).ok_or(Damaged)?;
                    tables.hash_keys.push(digits.parse().map_err(|_| Damaged)?);
                }
                _ => {}
            }
        }
        Ok(tables)
    }

    fn check_records(&self, data: &[u8], message: Range<usize>) -> Result<(), Damaged> {
        let mut fields = Fields::of(message);
        while let Some(field) = fields.next(data)? {
            if let (RECORDS, Value::Length(range)) = field {
                let packed = Packed::read(data, range)?;
                let hash_key_exists = packed.hash_key.is_none_or(|index| index < self.hash_keys.len());
                if packed.key >= self.keys.len() || !hash_key_exists {
                    return Err(Damaged);
                }
            }
        }
        Ok(())
    }
}

impl Packed {
    /// Of a field that is there more than once the last counts, as the wire format has it.
    fn read(data: &[u8], range: Range<usize>) -> Result<Self, Damaged> {
        let (mut key, mut hash_key, mut bytes) = (None, None, None);
        let mut fields = Fields::of(range);
        while let Some(field) = fields.next(data)? {
            match field {
                (KEY, Value::Varint(index)) => key = Some(index),
                (HASH_KEY, Value::Varint(index)) => hash_key = Some(index),
                (DATA, Value::Length(range)) => bytes = Some(range),
                _ => {}
            }
        }
        let index = |index| usize::try_from(index).map_err(|_| Damaged);
        Ok(Self {
            key: index(key.ok_or(Damaged)?)?,
            hash_key: hash_key.map(index).transpose()?,
            data: bytes.ok_or(Damaged)?,
        })
    }
}

#[cfg(test)]
#[path = "kpl_tests.rs"]
mod tests;
