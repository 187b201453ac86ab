//! Bytes → [`Event`]s and [`DeadLetter`]s, for every shape in which CloudTrail reaches people: a CloudTrail file, an
//! array, one event, JSON lines, EventBridge envelopes, GuardDuty and Security Hub findings, each gzipped or not.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Read};

use bytes::Bytes;
use flate2::bufread::MultiGzDecoder;

use crate::dead_letter::DeadLetter;
use crate::event::{Envelope, Event, EventKind, Key, clip};
use crate::frame::{Frame, Framer};
use crate::json;
use crate::members::{self, Mark, Members, Spans};

/// How much is read at a time, in bytes.
const CHUNK: usize = 256 << 10;

/// One thing that decoding yields.
#[derive(Debug)]
pub enum Decoded {
    /// An event.
    Event(Box<Event>),
    /// Bytes that are none.
    DeadLetter(DeadLetter),
}

/// Decodes a stream of bytes of any length, holding one chunk and one object at a time. Never fails: what cannot be
/// read, including an error of the reader itself, becomes a dead letter.
pub struct Decoder<'r> {
    input: Input<'r>,
    framer: Framer,
    read: u64,
    most: u64,
    last: bool,
    /// An error of the reader that is yet to be told.
    failed: Option<DeadLetter>,
    /// What the last object held, as it may hold several events.
    pending: VecDeque<Decoded>,
}

/// Where the bytes come from.
enum Input<'r> {
    /// Plain bytes that are at hand.
    Slice(&'r [u8]),
    /// Anything else, and the buffer that it is read into.
    Reader(Box<dyn Read + Send + 'r>, Vec<u8>),
}

impl<'r> Decoder<'r> {
    /// Decodes what `reader` yields; gzip is recognised by its first two bytes.
    pub fn new(reader: impl Read + Send + 'r) -> Decoder<'r> {
        let mut reader = BufReader::with_capacity(CHUNK, reader);
        // An error here shows again at the first read.
        let gzipped = reader.fill_buf().is_ok_and(is_gzip);
        let reader: Box<dyn Read + Send + 'r> =
            if gzipped { Box::new(MultiGzDecoder::new(reader)) } else { Box::new(reader) };
        Self::of(Input::Reader(reader, vec![0; CHUNK]), u64::MAX)
    }

    /// Decodes one record of a stream. At most 512 MiB of it are decompressed, so that a small record cannot hold a
    /// worker up for long; what lies beyond becomes a dead letter.
    pub fn record(data: &'r [u8]) -> Decoder<'r> {
        let input = match is_gzip(data) {
            // Events compress to a tenth or less.
            true => {
                Input::Reader(Box::new(MultiGzDecoder::new(data)), vec![0; (16 * data.len()).clamp(4 << 10, CHUNK)])
            }
            false => Input::Slice(data),
        };
        Self::of(input, 512 << 20)
    }

    fn of(input: Input<'r>, most: u64) -> Decoder<'r> {
        Decoder { input, framer: Framer::new(), read: 0, most, last: false, failed: None, pending: VecDeque::new() }
    }

    /// Bytes read so far, decompressed.
    pub fn bytes_read(&self) -> u64 {
        self.read
    }

    fn fill(&mut self) {
        let read = match &mut self.input {
            Input::Slice(data) => {
                let (chunk, rest) = data.split_at(data.len().min(CHUNK));
                self.framer.push(chunk);
                *data = rest;
                self.last = rest.is_empty();
                Ok(chunk.len())
            }
            Input::Reader(reader, chunk) => reader.read(chunk).inspect(|&n| {
                self.framer.push(&chunk[..n]);
                self.last = n == 0;
            }),
        };
        match read {
            Ok(n) => {
                self.read += n as u64;
                if self.read >= self.most {
                    self.stop(format!("decompresses to more than {} MiB", self.most >> 20));
                }
            }
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => self.stop(format!("cannot be read any further: {error}")),
        }
    }

    fn stop(&mut self, reason: String) {
        self.last = true;
        let (offset, fault, bytes) = (self.read, self.read, Bytes::new());
        self.failed = Some(DeadLetter { offset, fault, reason, bytes });
    }
}

fn is_gzip(head: &[u8]) -> bool {
    head.starts_with(&[0x1f, 0x8b])
}

impl Iterator for Decoder<'_> {
    type Item = Decoded;

    fn next(&mut self) -> Option<Decoded> {
        loop {
            if let Some(decoded) = self.pending.pop_front() {
                return Some(decoded);
            }
            match self.framer.next(self.last) {
                Frame::Object { offset, bytes } => {
                    match open(bytes, self.framer.members(), offset, &mut self.pending) {
                        Some(decoded) => return Some(decoded),
                        None => continue,
                    }
                }
                Frame::Broken { offset, bytes, fault, reason } => {
                    return Some(Decoded::DeadLetter(DeadLetter { offset, fault, reason, bytes }));
                }
                Frame::Starved if self.last => return self.failed.take().map(Decoded::DeadLetter),
                Frame::Starved => self.fill(),
            }
        }
    }
}

/// Sorts out what one object is: the event that it holds, or a dead letter for what is none. What holds several is
/// appended to `out` instead.
fn open(bytes: Bytes, members: &Members, offset: u64, out: &mut VecDeque<Decoded>) -> Option<Decoded> {
    let has = |key| members.has(key);
    let kind = if members.is_marked(Mark::DetailType) && members.is_marked(Mark::Detail) {
        return open_envelope(&bytes, members, offset, out);
    } else if has(Key::EventSource) || has(Key::EventName) || has(Key::EventId) {
        EventKind::CloudTrail
    } else if members.is_marked(Mark::SchemaVersion) && has(Key::Service) && has(Key::Type) {
        EventKind::GuardDuty
    } else if members.is_marked(Mark::ProductArn) && has(Key::AsffTypes) {
        EventKind::SecurityHub
    } else {
        let reason = "neither a CloudTrail record, nor a GuardDuty or Security Hub finding, nor an EventBridge event";
        return Some(dead(bytes, offset, reason.to_owned()));
    };
    Some(event(bytes, *members.keys(), kind, None, offset))
}

/// An EventBridge event, as <https://docs.aws.amazon.com/eventbridge/latest/ref/overiew-event-structure.html> has it.
fn open_envelope(bytes: &Bytes, members: &Members, offset: u64, out: &mut VecDeque<Decoded>) -> Option<Decoded> {
    let text = |value: &[u8]| json::as_str(value).map(|text| text.into_owned());
    let marked = |mark| text(members.marked(bytes, mark));
    let source = marked(Mark::Source).unwrap_or_default();
    let detail = members.marked(bytes, Mark::Detail);
    let envelope = Envelope {
        detail_type: marked(Mark::DetailType).unwrap_or_default(),
        account: marked(Mark::Account),
        region: text(members.value(bytes, Key::Region)),
    };
    // Anybody who may put events on a bus chooses their contents; only AWS itself may use a source that begins so.
    if !source.starts_with("aws.") {
        let reason = format!(
            "its `source` is {:?}: only events whose source begins with `aws.` are AWS's own",
            clip(&source, 60)
        );
        return Some(dead(bytes.clone(), offset, reason));
    }
    let at = |part: &[u8]| offset + (part.as_ptr() as usize - bytes.as_ptr() as usize) as u64;
    let kind = match (source.as_str(), envelope.detail_type.as_str()) {
        (_, kind) if kind.ends_with(" via CloudTrail") => EventKind::CloudTrail,
        ("aws.guardduty", "GuardDuty Finding") => EventKind::GuardDuty,
        ("aws.securityhub", kind) if kind.starts_with("Security Hub Findings") => {
            let findings = json::member(detail, "findings").unwrap_or_default();
            for finding in json::elements(findings) {
                let (bytes, spans) = (bytes.slice_ref(finding), members::index(finding));
                out.push_back(event(bytes, spans, EventKind::SecurityHub, Some(envelope.clone()), at(finding)));
            }
            let none = || dead(bytes.clone(), offset, "its `detail` lists no findings".to_owned());
            return Some(out.pop_front().unwrap_or_else(none));
        }
        (_, kind) => {
            let reason = format!("its `detail-type` is {:?}, which is not evaluated", clip(kind, 60));
            return Some(dead(bytes.clone(), offset, reason));
        }
    };
    Some(event(bytes.slice_ref(detail), members.detail(bytes), kind, Some(envelope), at(detail)))
}

fn event(bytes: Bytes, spans: Spans, kind: EventKind, envelope: Option<Envelope>, offset: u64) -> Decoded {
    match Event::new(bytes.clone(), spans, kind, envelope) {
        Ok(event) => Decoded::Event(Box::new(event)),
        Err(reason) => dead(bytes, offset, reason),
    }
}

fn dead(bytes: Bytes, offset: u64, reason: String) -> Decoded {
    Decoded::DeadLetter(DeadLetter { offset, fault: offset, reason, bytes })
}

#[cfg(test)]
#[path = "decode_tests.rs"]
mod tests;
