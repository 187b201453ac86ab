//! Behind a fault, finds the next object that is an event of its own. What a broken record or envelope holds is none;
//! where the two cannot be told apart, in a list on one line, what looks like an event is taken for a neighbour.
//!
//! The work is linear in the input. An object that was open where a scan failed fails there as well and is not scanned
//! again, and scans of objects within others that are whole are paid from an allowance that grows with the input.

use crate::event::Key;
use crate::frame::LONGEST;
use crate::json::{self, Fault};
use crate::members::{Mark, Members, Scanned};

/// When an object is longer than [`LONGEST`], what began within it this close to the end may still be a whole event.
const LONGEST_EVENT: usize = 1 << 20;

/// Why a value that the data ends in cannot be scanned.
pub(crate) const CUT_OFF: &str = "the data ends in the middle of a JSON value: it is cut off";

/// What the search remembers about the stream.
#[derive(Debug)]
pub(crate) struct Search {
    /// Where objects begin that were open at a fault, as offsets in the stream, ascending.
    doomed: Vec<u64>,
    fault: Doom,
    /// Bytes that may still be scanned more than once.
    allowance: usize,
    members: Members,
}

/// Where and why the doomed objects are broken.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Doom {
    pub(crate) at: u64,
    pub(crate) why: &'static str,
}

/// Bytes that are being given up: all of the buffer before `next` has been looked at.
#[derive(Debug)]
pub(crate) struct Lost {
    pub(crate) fault: u64,
    pub(crate) reason: String,
    /// Index in the buffer from which the next object is looked for.
    pub(crate) next: usize,
    /// Inside the `detail` of an envelope that is broken there.
    pub(crate) in_detail: bool,
    /// The buffer's length at which the search starved; it goes on when that has doubled.
    pub(crate) stuck_at: usize,
}

/// What the search came to.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// An event begins at this index.
    Event(usize),
    /// A CloudTrail file begins at this index.
    File(usize),
    /// Nothing without further bytes; everything before this index may be given up.
    Nothing(usize),
    /// An object that begins at this index is not complete yet.
    Unfinished,
}

impl Search {
    pub(crate) fn new() -> Search {
        let fault = Doom { at: 0, why: "" };
        Search { doomed: Vec::new(), fault, allowance: LONGEST, members: Members::new() }
    }

    /// Grants the work that `bytes` more bytes are worth.
    pub(crate) fn grant(&mut self, bytes: usize) {
        self.allowance = self.allowance.saturating_add(4 * bytes);
    }

    /// The fault of the object at this offset, if it is known to be broken.
    pub(crate) fn doom(&self, offset: u64) -> Option<Doom> {
        self.doomed.binary_search(&offset).is_ok().then_some(self.fault)
    }

    /// Looks for the next event or file in `b`, whose first byte has the offset `base`. `last` says that no bytes follow.
    pub(crate) fn find(&mut self, b: &[u8], base: u64, lost: &mut Lost, last: bool) -> Found {
        loop {
            let rest = b.get(lost.next..).unwrap_or_default();
            let Some(at) = memchr::memchr(b'{', rest).map(|i| i + lost.next) else {
                return Found::Nothing(b.len());
            };
            lost.next = at;
            let place = Place::of(b, at);
            lost.in_detail |= begins_findings(&b[..at]);
            match may_begin(b, at) {
                Begins::Unknown if !last => return Found::Nothing(at),
                Begins::Yes => {}
                _ if place == Place::Detail => {}
                _ => {
                    lost.next = at + 1;
                    continue;
                }
            }
            if self.doom(base + at as u64).is_some() {
                lost.in_detail |= place == Place::Detail;
                lost.next = at + 1;
                continue;
            }
            match self.try_at(b, at, place, lost, last) {
                Try::Found(found) => return found,
                Try::GoOn(next) => lost.next = next,
                Try::Failed(why) => {
                    lost.in_detail |= place == Place::Detail;
                    self.doom_at(b, base, at, why, last);
                    lost.next = at + 1;
                }
            }
        }
    }

    fn try_at(&mut self, b: &[u8], at: usize, place: Place, lost: &mut Lost, last: bool) -> Try {
        match self.members.scan(&b[at..], true) {
            Ok(Scanned::Records(_)) if place != Place::Detail => Try::Found(Found::File(at)),
            Ok(Scanned::Records(_)) => Try::GoOn(at + 1),
            Ok(Scanned::Object(length)) => {
                let end = at + length;
                let kept = match place {
                    Place::Detail => return Try::GoOn(end),
                    Place::Line => is_event(&self.members),
                    Place::Value => false,
                    Place::Inside if lost.in_detail => is_envelope(&self.members),
                    Place::Inside => is_event(&self.members),
                };
                if kept {
                    return Try::Found(Found::Event(at));
                }
                // A neighbour may lie within, if the end is not this object's own.
                let paid = self.allowance >= length;
                self.allowance = self.allowance.saturating_sub(length);
                Try::GoOn(if paid && !is_event(&self.members) { at + 1 } else { end })
            }
            Err(Fault::TooDeep { end, .. }) => Try::GoOn(at + end),
            Err(Fault::Incomplete) if !last && (b.len() < LONGEST || b.len() - at <= LONGEST_EVENT) => {
                Try::Found(Found::Unfinished)
            }
            Err(Fault::Incomplete) => Try::Failed(CUT_OFF),
            Err(Fault::Invalid { why, .. }) => Try::Failed(why),
        }
    }

    /// Remembers which objects are open where the one at `at` is broken.
    pub(crate) fn doom_at(&mut self, b: &[u8], base: u64, at: usize, why: &'static str, last: bool) {
        let mut open = Vec::new();
        let fault = match json::walk(b, at, 0, &mut open) {
            Err(Fault::Invalid { at, .. }) => at,
            _ => b.len(),
        };
        if !last && fault == b.len() {
            // The last of them may be events that only lack their end.
            let from = b.len().saturating_sub(LONGEST_EVENT);
            open.retain(|&begin| begin < from);
        }
        self.fault = Doom { at: base + fault as u64, why };
        self.doomed.clear();
        self.doomed.extend(open.into_iter().map(|begin| base + begin as u64));
    }
}

enum Try {
    Found(Found),
    GoOn(usize),
    Failed(&'static str),
}

/// How an object stands to what is before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// At the beginning of a line, not indented: a document of its own.
    Line,
    /// The value of the member `detail`.
    Detail,
    /// The value of another member.
    Value,
    /// Anywhere else.
    Inside,
}

impl Place {
    fn of(b: &[u8], at: usize) -> Place {
        let before = &b[..at];
        if before.ends_with(b"\n") {
            return Place::Line;
        }
        let space = before.len() - before.trim_ascii_end().len();
        let before = before.trim_ascii_end();
        // The fault may lie between the key and its value.
        let name = before.iter().rposition(|byte| !matches!(byte, b'"' | b':' | b'}' | 0..=b' '));
        json::looked_at(space + before.len() - name.unwrap_or(0));
        if name.is_some_and(|last| before[..=last].ends_with(b"detail")) {
            Place::Detail
        } else if before.ends_with(b":") {
            Place::Value
        } else {
            Place::Inside
        }
    }
}

/// Whether what follows `before` is the first of the findings that a Security Hub envelope's `detail` lists.
fn begins_findings(before: &[u8]) -> bool {
    let key = before.trim_ascii_end().strip_suffix(b"[").and_then(|list| list.trim_ascii_end().strip_suffix(b":"));
    key.is_some_and(|key| key.trim_ascii_end().ends_with(b"\"findings\""))
}

enum Begins {
    Yes,
    No,
    Unknown,
}

/// Whether the `{` at `at` may open an event: its first key is one that events or files have. Cheap, and wrong only in
/// being too generous.
fn may_begin(b: &[u8], at: usize) -> Begins {
    let key = json::skip_space(b, at + 1);
    let Some(&quote) = b.get(key) else {
        return Begins::Unknown;
    };
    if quote != b'"' {
        return Begins::No;
    }
    let rest = &b[key + 1..];
    let Some(length) = memchr::memchr(b'"', &rest[..rest.len().min(32)]) else {
        return if rest.len() < 32 { Begins::Unknown } else { Begins::No };
    };
    if FIRST_KEYS.contains(&&rest[..length]) { Begins::Yes } else { Begins::No }
}

/// Keys that an event, an envelope, a finding or a file may begin with.
const FIRST_KEYS: &[&[u8]] = &[
    b"Records",
    b"additionalEventData",
    b"account",
    b"accountId",
    b"apiVersion",
    b"arn",
    b"awsRegion",
    b"detail",
    b"detail-type",
    b"errorCode",
    b"errorMessage",
    b"eventCategory",
    b"eventID",
    b"eventName",
    b"eventSource",
    b"eventTime",
    b"eventType",
    b"eventVersion",
    b"id",
    b"managementEvent",
    b"readOnly",
    b"recipientAccountId",
    b"region",
    b"requestID",
    b"requestParameters",
    b"resources",
    b"responseElements",
    b"schemaVersion",
    b"sharedEventID",
    b"source",
    b"sourceIPAddress",
    b"time",
    b"tlsDetails",
    b"userAgent",
    b"userIdentity",
    b"version",
    b"SchemaVersion",
    b"AwsAccountId",
    b"Id",
    b"ProductArn",
];

fn is_envelope(members: &Members) -> bool {
    members.is_marked(Mark::DetailType) && members.is_marked(Mark::Detail)
}

/// Whether an object has the members that only events, envelopes and findings have.
fn is_event(members: &Members) -> bool {
    (members.has(Key::EventName) && members.has(Key::EventSource))
        || is_envelope(members)
        || (members.is_marked(Mark::SchemaVersion) && members.has(Key::AccountId) && members.has(Key::Type))
        || members.is_marked(Mark::ProductArn)
}
