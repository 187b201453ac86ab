//! Cuts a stream of bytes into the JSON objects that may be events: the elements of `{"Records": […]}` and of arrays,
//! JSON lines, or objects one after another. It is fed chunk by chunk and holds no more than one object and one chunk,
//! so a file's length does not matter. Where the bytes are broken it says from where to where, and goes on with the
//! next object that looks like an event.

use bytes::{Buf, Bytes, BytesMut};

use crate::json::{self, Fault};

/// The longest object that is waited for, in bytes. Kinesis' records end at 10 MiB, CloudTrail's events at 256 KB.
pub(crate) const LONGEST: usize = 16 << 20;

/// What [`Framer::next`] found.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Frame {
    /// One JSON object, and the offset in the stream of its first byte.
    Object { offset: u64, bytes: Bytes },
    /// Bytes that belong to no object: where they begin, what they are, which byte of the stream is at fault, and why.
    Broken { offset: u64, bytes: Bytes, fault: u64, reason: String },
    /// Nothing more without further bytes.
    Starved,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Between documents.
    Top,
    /// Inside an array; `records` when it is the one of a CloudTrail file.
    Array { records: bool },
    /// Behind the `Records` array, inside its object.
    Tail,
}

/// Bytes that are being given up: all of the buffer before `next` has been looked at.
#[derive(Debug)]
struct Lost {
    fault: u64,
    reason: String,
    /// Index in the buffer from which the next object is looked for.
    next: usize,
    /// Bytes that may still be scanned in the search, which bounds the work on hostile input.
    budget: usize,
}

/// See the module's description. Feed it with [`Framer::push`], then call [`Framer::next`] until it starves.
#[derive(Debug)]
pub(crate) struct Framer {
    buffer: BytesMut,
    /// Offset in the stream of the buffer's first byte.
    offset: u64,
    state: State,
    /// Separators left over by an earlier fault are passed over in silence.
    loose: bool,
    lost: Option<Lost>,
    /// The buffer was found incomplete at this length; scanning again pays once it has doubled.
    stuck_at: usize,
}

impl Framer {
    pub(crate) fn new() -> Self {
        Framer { buffer: BytesMut::new(), offset: 0, state: State::Top, loose: false, lost: None, stuck_at: 0 }
    }

    /// Appends bytes of the stream.
    pub(crate) fn push(&mut self, chunk: &[u8]) {
        self.buffer.extend_from_slice(chunk);
    }

    /// The next object or fault. `last` says that no bytes will follow those pushed so far.
    pub(crate) fn next(&mut self, last: bool) -> Frame {
        if self.offset == 0 && self.buffer.starts_with(b"\xef\xbb\xbf") {
            self.consume(3); // a byte order mark
        }
        loop {
            if let Some(lost) = self.lost.take() {
                match self.resume(lost, last) {
                    Some(frame) => return frame,
                    None => continue,
                }
            }
            self.pass_space();
            let Some(&byte) = self.buffer.first() else {
                return self.end(last);
            };
            match (self.state, byte) {
                (State::Top, b'[') => self.enter(State::Array { records: false }),
                (State::Array { records }, b']') => {
                    self.enter(if records { State::Tail } else { State::Top });
                }
                (State::Array { .. }, b',') => self.consume(1),
                (State::Top, b',' | b']' | b'}') if self.loose => self.consume(1),
                (State::Tail, b'}') => self.enter(State::Top),
                (State::Tail, b',') => {
                    if let Some(frame) = self.skip_member(last) {
                        return frame;
                    }
                }
                (State::Top | State::Array { .. }, b'{') => {
                    if let Some(frame) = self.object(last) {
                        return frame;
                    }
                }
                // A string here is more likely what is left of a broken record, and may hold the start of the next.
                (State::Array { .. }, b'"') => self.lose(0, "an element of the array is not an object"),
                (State::Array { .. }, _) => return self.element(last),
                (State::Top, _) => {
                    self.lose(0, "neither JSON nor gzip: an object, an array or JSON lines were expected")
                }
                (State::Tail, _) => self.lose(0, "`,` or `}` was expected after the `Records` array"),
            }
        }
    }

    fn end(&mut self, last: bool) -> Frame {
        let open = match self.state {
            State::Top => return Frame::Starved,
            State::Array { records: true } | State::Tail => "the `Records` object is not closed: the file is cut off",
            State::Array { records: false } => "the array is not closed: the file is cut off",
        };
        if !last {
            return Frame::Starved;
        }
        self.state = State::Top;
        let offset = self.offset;
        Frame::Broken { offset, bytes: Bytes::new(), fault: offset, reason: open.to_owned() }
    }

    /// Takes the object at the buffer's start. `None` when it turned out to be a CloudTrail file's outer one, which was
    /// entered, or to be broken.
    fn object(&mut self, last: bool) -> Option<Frame> {
        if self.buffer.len() < self.stuck_at * 2 && !last && self.buffer.len() < LONGEST {
            return Some(Frame::Starved);
        }
        let scanned = match self.state {
            State::Top => scan_top(&self.buffer),
            _ => json::skip_value(&self.buffer, 0).map(Top::Object),
        };
        match scanned {
            Ok(Top::Object(end)) => {
                let offset = self.offset;
                Some(Frame::Object { offset, bytes: self.take(end) })
            }
            Ok(Top::Records(at)) => {
                self.consume(at);
                self.state = State::Array { records: true };
                None
            }
            Err(fault) => self.fault(fault, last),
        }
    }

    /// An element of an array that is not an object.
    fn element(&mut self, last: bool) -> Frame {
        match json::skip_value(&self.buffer, 0) {
            Ok(end) if end < self.buffer.len() || last => {
                let offset = self.offset;
                let reason = "an element of the array is not an object".to_owned();
                Frame::Broken { offset, bytes: self.take(end), fault: offset, reason }
            }
            Ok(_) => Frame::Starved,
            Err(fault) => self.fault(fault, last).unwrap_or_else(|| self.next(last)),
        }
    }

    /// Passes a member that follows the `Records` array.
    fn skip_member(&mut self, last: bool) -> Option<Frame> {
        let key = json::skip_space(&self.buffer, 1);
        match json::skip_key(&self.buffer, key).and_then(|value| json::skip_value(&self.buffer, value)) {
            Ok(end) => {
                self.consume(end);
                None
            }
            Err(fault) => self.fault(fault, last),
        }
    }

    fn fault(&mut self, fault: Fault, last: bool) -> Option<Frame> {
        match fault {
            Fault::Incomplete if last => {
                let at = self.buffer.len();
                self.lose(at, "the data ends in the middle of a JSON value: it is cut off");
            }
            Fault::Incomplete if self.buffer.len() >= LONGEST => {
                self.lose(0, "a JSON value longer than 16 MiB");
            }
            Fault::Incomplete => {
                self.stuck_at = self.buffer.len();
                return Some(Frame::Starved);
            }
            Fault::Invalid { at, why } => self.lose(at, why),
            Fault::TooDeep { at, end } => {
                // Its end is known, so what it contains is not searched: it could imitate events.
                let (offset, fault) = (self.offset, self.offset + at as u64);
                let reason = format!("nested deeper than {} levels", json::MAX_DEPTH);
                return Some(Frame::Broken { offset, bytes: self.take(end), fault, reason });
            }
        }
        None
    }

    fn lose(&mut self, at: usize, why: &str) {
        let fault = self.offset + at as u64;
        self.lost = Some(Lost { fault, reason: why.to_owned(), next: 1, budget: 4 * LONGEST });
    }

    /// Looks for the next object that looks like an event, and gives up what lies before it. `None` when nothing does.
    fn resume(&mut self, mut lost: Lost, last: bool) -> Option<Frame> {
        let found = search(&self.buffer, &mut lost, last);
        if found.is_none() && !last && self.buffer.len() < LONGEST {
            self.lost = Some(lost);
            return Some(Frame::Starved);
        }
        self.loose = true;
        let (offset, Lost { fault, reason, .. }) = (self.offset, lost);
        match found {
            Some((at, own_document)) => {
                if own_document || self.state == State::Tail {
                    self.state = State::Top;
                }
                let bytes = self.take(at);
                (at > 0).then_some(Frame::Broken { offset, bytes, fault, reason })
            }
            None => {
                let bytes = self.take(self.buffer.len());
                if last {
                    self.state = State::Top; // that the array is not closed either need not be said
                } else {
                    self.lost = Some(Lost { fault: self.offset, reason: reason.clone(), next: 0, budget: 4 * LONGEST });
                }
                (!bytes.is_empty()).then_some(Frame::Broken { offset, bytes, fault, reason })
            }
        }
    }

    fn enter(&mut self, state: State) {
        self.state = state;
        self.consume(1);
    }

    fn pass_space(&mut self) {
        let n = json::skip_space(&self.buffer, 0);
        self.consume(n);
    }

    fn consume(&mut self, n: usize) {
        self.offset += n as u64;
        self.stuck_at = 0;
        self.buffer.advance(n);
    }

    fn take(&mut self, n: usize) -> Bytes {
        self.offset += n as u64;
        self.stuck_at = 0;
        self.buffer.split_to(n).freeze()
    }
}

/// What an object between documents is.
enum Top {
    /// An object that ends before this index.
    Object(usize),
    /// A CloudTrail file; its `Records` array's inside begins at this index.
    Records(usize),
}

/// Scans the object at the start of `b`, and stops inside its `Records` array if it has one.
fn scan_top(b: &[u8]) -> Result<Top, Fault> {
    let mut at = json::skip_space(b, 1);
    if b.get(at) == Some(&b'}') {
        return Ok(Top::Object(at + 1));
    }
    loop {
        let value = json::skip_key(b, at)?;
        if b.get(value) == Some(&b'[') && b[at..].starts_with(b"\"Records\"") {
            return Ok(Top::Records(value + 1));
        }
        let end = match json::skip_value(b, value) {
            // The whole object is given up, not the member alone.
            Err(Fault::TooDeep { .. }) => json::skip_value(b, 0)?,
            other => other?,
        };
        at = json::skip_space(b, end);
        match b.get(at) {
            None => return Err(Fault::Incomplete),
            Some(b'}') => return Ok(Top::Object(at + 1)),
            Some(b',') => at = json::skip_space(b, at + 1),
            Some(_) => return Err(Fault::Invalid { at, why: "`,` or `}` was expected" }),
        }
    }
}

/// Finds the next event behind a fault: its index, and whether it stands on its own rather than in a list. Remembers
/// in `lost` how far it came.
fn search(b: &[u8], lost: &mut Lost, last: bool) -> Option<(usize, bool)> {
    while let Some(at) = memchr::memchr(b'{', b.get(lost.next..)?).map(|i| i + lost.next) {
        if lost.budget == 0 {
            lost.next = b.len();
            return None;
        }
        match may_begin(b, at) {
            Begins::Unknown if !last => {
                lost.next = at;
                return None;
            }
            Begins::Yes => match scan_top(&b[at..]) {
                Ok(Top::Records(_)) => return Some((at, true)),
                Ok(Top::Object(end)) if is_event(&b[at..at + end]) => return Some((at, false)),
                Ok(Top::Object(end)) | Err(Fault::TooDeep { end, .. }) => spend(lost, end),
                Err(Fault::Invalid { at: fault, .. }) => spend(lost, fault),
                Err(Fault::Incomplete) if !last && b.len() < LONGEST => {
                    spend(lost, b.len() - at);
                    lost.next = at;
                    return None;
                }
                Err(Fault::Incomplete) => spend(lost, b.len() - at),
            },
            _ => {}
        }
        lost.next = at + 1;
    }
    lost.next = b.len();
    None
}

fn spend(lost: &mut Lost, bytes: usize) {
    lost.budget = lost.budget.saturating_sub(bytes);
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

/// Whether an object has the members that only events, envelopes and findings have.
fn is_event(object: &[u8]) -> bool {
    let has = |name| json::member(object, name).is_some();
    (has("eventName") && has("eventSource"))
        || (has("detail-type") && has("detail"))
        || (has("schemaVersion") && has("accountId") && has("type"))
        || has("ProductArn")
}
