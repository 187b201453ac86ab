//! Cuts a stream of bytes into the JSON objects that may be events: the elements of `{"Records": […]}` and of arrays,
//! JSON lines, or objects one after another. It is fed chunk by chunk and holds no more than one object and one chunk,
//! so a file's length does not matter. Where the bytes are broken it says from where to where, and goes on with the
//! next object that looks like an event.

use bytes::{Buf, Bytes, BytesMut};

use crate::json::{self, Fault};
use crate::members::{Members, Scanned};
use crate::resync::{self, Found, Lost, Search};

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
    search: Search,
    /// The members of the object that was found last.
    members: Members,
    /// The buffer was found incomplete at this length; scanning again pays once it has doubled.
    stuck_at: usize,
}

impl Framer {
    pub(crate) fn new() -> Self {
        Framer {
            buffer: BytesMut::new(),
            offset: 0,
            state: State::Top,
            loose: false,
            lost: None,
            search: Search::new(),
            members: Members::new(),
            stuck_at: 0,
        }
    }

    /// Appends bytes of the stream.
    pub(crate) fn push(&mut self, chunk: &[u8]) {
        self.buffer.extend_from_slice(chunk);
        self.search.grant(chunk.len());
    }

    /// The members of the object that [`Framer::next`] returned last.
    pub(crate) fn members(&self) -> &Members {
        &self.members
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
                (State::Tail, b'{') => return self.cut_off(State::Top, 0),
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
                (State::Array { .. }, b'"') => self.lose(self.offset, "an element of the array is not an object"),
                (State::Array { .. }, _) => return self.element(last),
                (State::Top, _) => {
                    self.lose(self.offset, "neither JSON nor gzip: an object, an array or JSON lines were expected")
                }
                (State::Tail, _) => self.lose(self.offset, "`,` or `}` was expected after the `Records` array"),
            }
        }
    }

    fn end(&mut self, last: bool) -> Frame {
        if self.state == State::Top || !last {
            return Frame::Starved;
        }
        self.cut_off(State::Top, 0)
    }

    /// Leaves what is open without its end, in favour of `state`, `header` bytes further on.
    fn cut_off(&mut self, state: State, header: usize) -> Frame {
        let reason = match self.state {
            State::Array { records: false } => "the array is not closed: the file is cut off",
            _ => "the `Records` object is not closed: the file is cut off",
        };
        let offset = self.offset;
        self.state = state;
        self.consume(header);
        Frame::Broken { offset, bytes: Bytes::new(), fault: offset, reason: reason.to_owned() }
    }

    /// Takes the object at the buffer's start. `None` when it turned out to be a CloudTrail file's outer one, which was
    /// entered, or to be broken.
    fn object(&mut self, last: bool) -> Option<Frame> {
        if self.must_wait(last) {
            return Some(Frame::Starved);
        }
        if let Some(doom) = self.search.doom(self.offset) {
            self.lose(doom.at, doom.why);
            return None;
        }
        // In a list, only what begins as a file is one: the list was cut off before it.
        let files = self.state == State::Top || begins_with_records(&self.buffer);
        match self.members.scan(&self.buffer, files) {
            Ok(Scanned::Object(end)) => {
                let offset = self.offset;
                Some(Frame::Object { offset, bytes: self.take(end) })
            }
            Ok(Scanned::Records(at)) => {
                let within = State::Array { records: true };
                if self.state != State::Top {
                    self.loose = true;
                    return Some(self.cut_off(within, at));
                }
                self.consume(at);
                self.state = within;
                None
            }
            Err(fault) => self.fault(fault, last),
        }
    }

    /// Whether scanning again is put off until the buffer has doubled.
    fn must_wait(&self, last: bool) -> bool {
        self.buffer.len() < self.stuck_at * 2 && !last && self.buffer.len() < LONGEST
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

    /// Passes a member that follows the `Records` array. What is not followed by another or by the object's end is
    /// rather the file that comes after one which is cut off.
    fn skip_member(&mut self, last: bool) -> Option<Frame> {
        if self.must_wait(last) {
            return Some(Frame::Starved);
        }
        let b = &self.buffer;
        let key = json::skip_space(b, 1);
        let end = json::skip_key(b, key).and_then(|value| json::skip_member(b, value, 1));
        let next = end.map(|end| json::skip_space(b, end));
        match next.map(|next| (next, b.get(next))) {
            Ok((next, Some(b',' | b'}'))) => {
                self.consume(next);
                None
            }
            Ok((_, None)) => self.fault(Fault::Incomplete, last),
            Ok((at, Some(_))) => self.fault(Fault::Invalid { at, why: "`,` or `}` was expected" }, last),
            Err(fault) => self.fault(fault, last),
        }
    }

    fn fault(&mut self, fault: Fault, last: bool) -> Option<Frame> {
        match fault {
            Fault::Incomplete if last => {
                let (at, why) = (self.offset + self.buffer.len() as u64, resync::CUT_OFF);
                self.search.doom_at(&self.buffer, self.offset, 0, why, last);
                self.lose(at, why);
            }
            Fault::Incomplete if self.buffer.len() >= LONGEST => {
                let why = "a JSON value longer than 16 MiB";
                self.search.doom_at(&self.buffer, self.offset, 0, why, last);
                self.lose(self.offset, why);
            }
            Fault::Incomplete => {
                self.stuck_at = self.buffer.len();
                return Some(Frame::Starved);
            }
            Fault::Invalid { at, why } => {
                self.search.doom_at(&self.buffer, self.offset, 0, why, last);
                self.lose(self.offset + at as u64, why);
            }
            Fault::TooDeep { at, end } => {
                // Its end is known, so what it contains is not searched: it could imitate events.
                let (offset, fault) = (self.offset, self.offset + at as u64);
                let reason = format!("nested deeper than {} levels", json::MAX_DEPTH);
                return Some(Frame::Broken { offset, bytes: self.take(end), fault, reason });
            }
        }
        None
    }

    fn lose(&mut self, fault: u64, why: &str) {
        // A quote or a bracket at the very beginning may be what is broken, but the object there is known to be.
        let next = usize::from(self.state != State::Tail);
        self.lost = Some(Lost { fault, reason: why.to_owned(), next, in_detail: false, stuck_at: 0 });
    }

    /// Looks for the next object that looks like an event, and gives up what lies before it. `None` when nothing does.
    fn resume(&mut self, mut lost: Lost, last: bool) -> Option<Frame> {
        let may_wait = !last && self.buffer.len() < LONGEST;
        if may_wait && self.buffer.len() < lost.stuck_at * 2 {
            self.lost = Some(lost);
            return Some(Frame::Starved);
        }
        let found = self.search.find(&self.buffer, self.offset, &mut lost, last);
        let (offset, fault, reason) = (self.offset, lost.fault, lost.reason.clone());
        let at = match found {
            Found::Nothing(_) | Found::Unfinished if may_wait => {
                lost.stuck_at = if found == Found::Unfinished { self.buffer.len() } else { 0 };
                self.lost = Some(lost);
                return Some(Frame::Starved);
            }
            Found::Event(at) => {
                if self.state == State::Tail {
                    self.state = State::Top;
                }
                at
            }
            Found::File(at) => {
                self.state = State::Top;
                at
            }
            Found::Unfinished => lost.next,
            Found::Nothing(at) if last => {
                self.state = State::Top; // that the array is not closed either need not be said
                at
            }
            Found::Nothing(at) => {
                lost.fault = self.offset + at as u64;
                lost.next = 0;
                lost.stuck_at = 0;
                self.lost = Some(lost);
                at
            }
        };
        self.loose = true;
        let bytes = self.take(at);
        (!bytes.is_empty()).then_some(Frame::Broken { offset, bytes, fault, reason })
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

/// Whether the object at the start of `b` begins with a member `Records`.
fn begins_with_records(b: &[u8]) -> bool {
    b[json::skip_space(b, 1)..].starts_with(b"\"Records\"")
}
