//! [`DeadLetter`]: bytes that could not be processed, kept with where they were and why.

use bytes::Bytes;

/// Bytes of an input that became no event. Its position within the input is in bytes from 0, of the decompressed data
/// where that was gzipped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadLetter {
    /// Where the bytes begin.
    pub offset: u64,
    /// The byte at which the fault showed.
    pub fault: u64,
    /// What is wrong, for people.
    pub reason: String,
    /// The bytes themselves, at most 16 MiB; empty where there are none to keep.
    pub bytes: Bytes,
}
