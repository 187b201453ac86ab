//! How bodies lie in a segment: a header, then entries, each with its length and a checksum of itself and its place. Pure.
//!
//! An entry's checksum covers the segment's number and the entry's offset, so that what an earlier file left on the disk is
//! never taken for an entry. A process that dies while it writes leaves a last entry without its end.

use std::ops::Range;

use sha2::{Digest, Sha256};

/// What every segment begins with.
pub(super) const HEADER: &[u8; 8] = b"DIALIN1\n";
/// Length (4 bytes, little endian) and checksum (16 bytes of SHA-256) before an entry's bytes.
const HEAD: usize = 4 + CHECKSUM;
const CHECKSUM: usize = 16;

/// Appends an entry to `out`, which will lie at `offset` of this segment.
pub(super) fn write(segment: u64, offset: u64, bytes: &[u8], out: &mut Vec<u8>) {
    let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_le_bytes();
    out.extend_from_slice(&length);
    out.extend_from_slice(&checksum(segment, offset, bytes));
    out.extend_from_slice(bytes);
}

/// What an entry of so many bytes takes in a segment.
pub(super) fn size(bytes: usize) -> usize {
    HEAD + bytes
}

fn checksum(segment: u64, offset: u64, bytes: &[u8]) -> [u8; CHECKSUM] {
    let mut hash = Sha256::new();
    hash.update(segment.to_le_bytes());
    hash.update(offset.to_le_bytes());
    hash.update(u64::try_from(bytes.len()).unwrap_or(u64::MAX).to_le_bytes());
    hash.update(bytes);
    let mut short = [0; CHECKSUM];
    short.copy_from_slice(&hash.finalize()[..CHECKSUM]);
    short
}

/// What a segment holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Scanned {
    /// Where the bytes of whole entries lie, in order.
    pub(super) entries: Vec<Range<usize>>,
    /// How it ends.
    pub(super) end: End,
}

/// How a segment ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// With its last entry.
    Whole,
    /// Within an entry, as a process leaves it that is killed. Nobody was told that this entry is kept.
    Torn,
    /// Bytes in it are not those that were written; the first at this offset.
    Damaged(usize),
}

/// Finds the whole entries of a segment. Never fails: what is no entry is passed over, as far as lengths lead on.
pub(super) fn scan(segment: u64, bytes: &[u8]) -> Scanned {
    let mut scanned = Scanned { entries: Vec::new(), end: End::Whole };
    if bytes.len() < HEADER.len() {
        scanned.end = if HEADER.starts_with(bytes) { End::Torn } else { End::Damaged(0) };
        return scanned;
    }
    if !bytes.starts_with(HEADER) {
        // Where entries begin is known all the same.
        scanned.end = End::Damaged(0);
    }
    let mut at = HEADER.len();
    while at < bytes.len() {
        let Some(entry) = extent(bytes, at) else {
            if scanned.end == End::Whole {
                scanned.end = End::Torn;
            }
            break;
        };
        let sum = &bytes[at + 4..at + HEAD];
        if checksum(segment, at as u64, &bytes[entry.clone()]) == *sum {
            scanned.entries.push(entry.clone());
        } else if scanned.end == End::Whole {
            scanned.end = End::Damaged(at);
        }
        at = entry.end;
    }
    scanned
}

/// Where the bytes of the entry at `at` lie, if all of them are there.
fn extent(bytes: &[u8], at: usize) -> Option<Range<usize>> {
    let length = bytes.get(at..at + 4)?.try_into().ok().map(u32::from_le_bytes)?;
    let begin = at + HEAD;
    let end = begin.checked_add(usize::try_from(length).ok()?)?;
    (end <= bytes.len()).then_some(begin..end)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A segment with these entries, and where each begins.
    fn segment(number: u64, bodies: &[Vec<u8>]) -> (Vec<u8>, Vec<usize>) {
        let (mut bytes, mut begins) = (HEADER.to_vec(), Vec::new());
        for body in bodies {
            begins.push(bytes.len());
            write(number, bytes.len() as u64, body, &mut bytes);
        }
        (bytes, begins)
    }

    fn read(number: u64, bytes: &[u8]) -> Vec<Vec<u8>> {
        scan(number, bytes).entries.into_iter().map(|entry| bytes[entry].to_vec()).collect()
    }

    fn bodies() -> impl Strategy<Value = Vec<Vec<u8>>> {
        prop::collection::vec(prop::collection::vec(any::<u8>(), 0..60), 0..12)
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(number in any::<u64>(), bodies in bodies()) {
            let (bytes, _) = segment(number, &bodies);
            prop_assert_eq!(scan(number, &bytes).end, End::Whole);
            prop_assert_eq!(read(number, &bytes), bodies);
        }

        /// Cut anywhere, all entries before the cut are there and nothing else is.
        #[test]
        fn a_cut_loses_nothing_before_it(bodies in bodies(), cut in any::<prop::sample::Index>()) {
            let (bytes, begins) = segment(7, &bodies);
            let cut = cut.index(bytes.len() + 1);
            let whole = begins.iter().skip(1).chain([&bytes.len()]).take(begins.len()).filter(|end| **end <= cut).count();
            let scanned = scan(7, &bytes[..cut]);
            prop_assert_eq!(read(7, &bytes[..cut]), &bodies[..whole]);
            prop_assert!(!matches!(scanned.end, End::Damaged(_)), "a cut is no damage");
            let at_an_end = cut == HEADER.len() || cut == bytes.len() || begins.contains(&cut);
            prop_assert_eq!(scanned.end == End::Whole, at_an_end && cut >= HEADER.len());
        }

        /// Overwritten from anywhere on with anything, all entries before that are there, and no other bytes are taken for
        /// an entry.
        #[test]
        fn rubbish_loses_nothing_before_it(
            bodies in bodies(),
            from in any::<prop::sample::Index>(),
            rubbish in prop::collection::vec(any::<u8>(), 0..200),
        ) {
            let (bytes, begins) = segment(7, &bodies);
            let from = from.index(bytes.len() + 1).max(HEADER.len());
            let broken = [&bytes[..from], &rubbish].concat();
            let whole = begins.iter().skip(1).chain([&bytes.len()]).take(begins.len()).filter(|end| **end <= from).count();
            let found = read(7, &broken);
            prop_assert_eq!(&found[..whole.min(found.len())], &bodies[..whole]);
            prop_assert!(found.iter().all(|entry| bodies.contains(entry)));
        }

        /// One entry that went bad is noticed, and costs no other.
        #[test]
        fn a_flipped_bit_costs_one_entry(bodies in bodies(), which in any::<prop::sample::Index>(), bit in 0_u8..8) {
            let (mut bytes, begins) = segment(7, &bodies);
            prop_assume!(bodies.iter().any(|body| !body.is_empty()));
            let full: Vec<usize> = (0..bodies.len()).filter(|at| !bodies[*at].is_empty()).collect();
            let bad = full[which.index(full.len())];
            bytes[begins[bad] + HEAD] ^= 1 << bit;
            let mut left = bodies.clone();
            left.remove(bad);
            prop_assert_eq!(scan(7, &bytes).end, End::Damaged(begins[bad]));
            prop_assert_eq!(read(7, &bytes), left);
        }

        #[test]
        fn rubbish_is_no_entry(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
            prop_assert!(scan(1, &bytes).entries.is_empty());
        }
    }

    #[test]
    fn an_entry_of_another_segment_or_place_is_none() {
        let bodies = [b"one".to_vec(), b"two".to_vec()];
        let (bytes, begins) = segment(1, &bodies);
        assert_eq!(read(2, &bytes), Vec::<Vec<u8>>::new());
        let moved = [&bytes[..HEADER.len()], &bytes[begins[1]..]].concat();
        assert_eq!(read(1, &moved), Vec::<Vec<u8>>::new());
    }
}
