//! Protocol Buffers' wire format, as far as an aggregated record needs it: the fields of a message, without copying.
//!
//! By the encoding's specification (protobuf.dev, "Encoding"). Groups, which proto2 deprecated, are not read.

use std::ops::Range;

/// A message that ends inside a field, or has a field that the format does not know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Damaged;

/// The value of one field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Value {
    /// An integer.
    Varint(u64),
    /// A string, bytes or a message: where its bytes lie, counted from the beginning of the outermost message.
    Length(Range<usize>),
    /// Eight or four bytes, which no field of an aggregated record has.
    Fixed,
}

/// Reads a message's fields one after the other, in the order in which they were written.
#[derive(Clone, Debug)]
pub(crate) struct Fields {
    at: usize,
    end: usize,
}

impl Fields {
    /// The fields of the message in `range` of the bytes that every later call is given.
    pub(crate) fn of(range: Range<usize>) -> Self {
        Self { at: range.start, end: range.end }
    }

    /// The next field's number and value; `None` after the last.
    pub(crate) fn next(&mut self, bytes: &[u8]) -> Result<Option<(u64, Value)>, Damaged> {
        if self.at >= self.end {
            return Ok(None);
        }
        let tag = self.varint(bytes)?;
        let value = match tag & 7 {
            0 => Value::Varint(self.varint(bytes)?),
            1 => self.skip(8)?,
            2 => {
                let length = usize::try_from(self.varint(bytes)?).map_err(|_| Damaged)?;
                let start = self.at;
                self.skip(length)?;
                Value::Length(start..self.at)
            }
            5 => self.skip(4)?,
            _ => return Err(Damaged),
        };
        match tag >> 3 {
            0 => Err(Damaged),
            number => Ok(Some((number, value))),
        }
    }

    fn skip(&mut self, length: usize) -> Result<Value, Damaged> {
        let end = self.at.checked_add(length).filter(|end| *end <= self.end).ok_or(Damaged)?;
        self.at = end;
        Ok(Value::Fixed)
    }

    /// Seven bits a byte, the lowest first; the highest bit says that more follow.
    fn varint(&mut self, bytes: &[u8]) -> Result<u64, Damaged> {
        let mut value = 0_u64;
        for shift in (0..64).step_by(7) {
            let byte = *bytes.get(self.at).filter(|_| self.at < self.end).ok_or(Damaged)?;
            self.at += 1;
            let bits = u64::from(byte & 0x7F);
            if shift == 63 && bits > 1 {
                return Err(Damaged);
            }
            value |= bits << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(Damaged)
    }
}

/// Appends an integer.
pub(crate) fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value.to_le_bytes()[0] | 0x80);
        value >>= 7;
    }
    out.push(value.to_le_bytes()[0]);
}

/// Appends field `number` as an integer.
pub(crate) fn put_number(out: &mut Vec<u8>, number: u64, value: u64) {
    put_varint(out, number << 3);
    put_varint(out, value);
}

/// Appends field `number` as a string, bytes or a message.
pub(crate) fn put_bytes(out: &mut Vec<u8>, number: u64, value: &[u8]) {
    put_varint(out, number << 3 | 2);
    put_varint(out, value.len() as u64);
    out.extend_from_slice(value);
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    fn read(bytes: &[u8]) -> Result<Vec<(u64, Value)>, Damaged> {
        let mut fields = Fields::of(0..bytes.len());
        let mut all = Vec::new();
        while let Some(field) = fields.next(bytes)? {
            all.push(field);
        }
        Ok(all)
    }

    #[test]
    fn the_specifications_own_examples() {
        assert_eq!(read(&[0x08, 0x96, 0x01]), Ok(vec![(1, Value::Varint(150))]));
        let testing = [0x12, 0x07, 0x74, 0x65, 0x73, 0x74, 0x69, 0x6E, 0x67];
        assert_eq!(read(&testing), Ok(vec![(2, Value::Length(2..9))]));
        assert_eq!(read(&testing[..8]), Err(Damaged));
        let largest = [&[0x08][..], &[0xFF; 9], &[0x01]].concat();
        assert_eq!(read(&largest), Ok(vec![(1, Value::Varint(u64::MAX))]));
        assert_eq!(read(&[&[0x08][..], &[0xFF; 9], &[0x02]].concat()), Err(Damaged), "more than 64 bits");
        assert_eq!(read(&[&[0x08][..], &[0x80; 11]].concat()), Err(Damaged));
        assert_eq!(read(&[0x00, 0x00]), Err(Damaged), "there is no field 0");
        assert_eq!(read(&[0x0B]), Err(Damaged), "a group");
        assert_eq!(read(&[0x0D, 1, 2, 3, 4, 0x09, 1, 2, 3, 4, 5, 6, 7, 8]).unwrap().len(), 2);
        assert_eq!(read(&[0x09, 1, 2, 3, 4, 5, 6, 7]), Err(Damaged));
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(numbers in proptest::collection::vec((1u64..1 << 29, any::<u64>()), 0..20),
                                   bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let mut out = Vec::new();
            for (number, value) in &numbers {
                put_number(&mut out, *number, *value);
            }
            put_bytes(&mut out, 3, &bytes);
            let fields = read(&out).unwrap();
            for ((number, value), field) in numbers.iter().zip(&fields) {
                prop_assert_eq!(field, &(*number, Value::Varint(*value)));
            }
            prop_assert_eq!(fields.last(), Some(&(3, Value::Length(out.len() - bytes.len()..out.len()))));
        }

        #[test]
        fn any_bytes_end(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = read(&bytes);
        }
    }
}
