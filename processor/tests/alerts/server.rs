//! An HTTP server that is well, or not, as its schedule says: it fails, hangs, drops connections, asks for a pause, or answers
//! nonsense.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::Instant;

use crate::destination::{Destination, Said};
use crate::support::planted::Dice;

/// How a destination is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Mood {
    Fine,
    /// 500.
    Failing,
    /// 429 with `Retry-After: 1`.
    Busy,
    /// 413.
    TooSmall,
    /// Something that is no answer.
    Garbage,
    /// No answer, for as long as anybody waits.
    Hanging,
    /// The connection is closed without an answer; every second time after the message was taken.
    Dropping,
}

/// All ways of not being well.
pub(crate) const BAD: [Mood; 6] =
    [Mood::Failing, Mood::Busy, Mood::TooSmall, Mood::Garbage, Mood::Hanging, Mood::Dropping];

/// Which mood from when to when. After the last stretch all is well.
#[derive(Debug, Clone)]
pub(crate) struct Schedule(Vec<(Duration, Mood)>);

impl Schedule {
    pub(crate) fn always(mood: Mood) -> Schedule {
        Schedule(vec![(Duration::MAX, mood)])
    }

    /// Stretches of one to six seconds for so long: one in three is fine, the bad ones come in an order of their own, so that
    /// each comes before any comes again.
    pub(crate) fn stormy(dice: &mut Dice, lasts: Duration) -> Schedule {
        let (mut stretches, mut end, mut bag) = (Vec::new(), Duration::ZERO, Vec::new());
        while end < lasts {
            if bag.is_empty() {
                bag = BAD.to_vec();
            }
            let mood = if dice.below(3) == 0 { Mood::Fine } else { bag.swap_remove(dice.below(bag.len())) };
            end += Duration::from_millis(1_000 + dice.below(5_000) as u64);
            stretches.push((end, mood));
        }
        Schedule(stretches)
    }

    fn mood(&self, since: Duration) -> Mood {
        self.0.iter().find(|(end, _)| since < *end).map_or(Mood::Fine, |(_, mood)| *mood)
    }
}

/// A request, whole.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) method: String,
    pub(crate) path: String,
    /// By their names in small letters.
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: Vec<u8>,
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) content_type: String,
    pub(crate) body: Vec<u8>,
}

impl Reply {
    pub(crate) fn new(status: u16, body: impl Into<Vec<u8>>) -> Reply {
        Reply { status, content_type: "application/json".to_owned(), body: body.into() }
    }

    fn bytes(&self, more: &str) -> Vec<u8> {
        let Reply { status, content_type, body } = self;
        let head = format!(
            "HTTP/1.1 {status} Said\r\nContent-Type: {content_type}\r\nContent-Length: {}\r\n{more}Connection: close\r\n\r\n",
            body.len()
        );
        [head.as_bytes(), body].concat()
    }
}

/// One attempt to deliver a message.
#[derive(Debug, Clone)]
pub(crate) struct Attempt {
    pub(crate) at: Instant,
    pub(crate) said: Said,
    pub(crate) mood: Mood,
    /// The destination has it.
    pub(crate) accepted: bool,
    /// Whoever sent it was told so.
    pub(crate) answered: bool,
}

/// A destination on this machine.
#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) port: u16,
    destination: Destination,
    /// With the time at which it begins.
    schedule: Mutex<(Instant, Schedule)>,
    journal: Mutex<Vec<Attempt>>,
    /// Connections that were dropped so far.
    dropped: Mutex<usize>,
    /// Those that hang now, and the most that did at a time.
    hanging: Mutex<(usize, usize)>,
}

impl Server {
    /// Starts it; it is well.
    pub(crate) async fn start(destination: Destination) -> Arc<Server> {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let server = Arc::new(Server {
            port,
            destination,
            schedule: Mutex::new((Instant::now(), Schedule::always(Mood::Fine))),
            journal: Mutex::default(),
            dropped: Mutex::default(),
            hanging: Mutex::default(),
        });
        let serving = server.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let server = serving.clone();
                // Whoever goes away in the middle is none of our business.
                tokio::spawn(async move { server.serve(stream).await.ok() });
            }
        });
        server
    }

    pub(crate) fn address(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    pub(crate) fn journal(&self) -> Vec<Attempt> {
        self.journal.lock().unwrap().clone()
    }

    /// From now on it is as the schedule says.
    pub(crate) fn follows(&self, schedule: Schedule) {
        *self.schedule.lock().unwrap() = (Instant::now(), schedule);
    }

    /// From now on it is like this.
    pub(crate) fn becomes(&self, mood: Mood) {
        self.follows(Schedule::always(mood));
    }

    fn mood(&self, at: Instant) -> Mood {
        let schedule = self.schedule.lock().unwrap();
        schedule.1.mood(at.saturating_duration_since(schedule.0))
    }

    /// How many messages it has taken.
    pub(crate) fn taken(&self) -> usize {
        self.journal.lock().unwrap().iter().filter(|attempt| attempt.accepted).count()
    }

    /// The most connections that hung at a time.
    pub(crate) fn most_hanging(&self) -> usize {
        self.hanging.lock().unwrap().1
    }

    async fn serve(&self, mut stream: TcpStream) -> std::io::Result<()> {
        let Some(request) = read(&mut stream).await? else { return Ok(()) };
        let at = Instant::now();
        let mood = self.mood(at);
        let said = self.destination.said(&request);
        let note = |accepted, answered| {
            let Some(said) = said.clone() else { return };
            self.journal.lock().unwrap().push(Attempt { at, said, mood, accepted, answered });
        };
        let html =
            || Reply { content_type: "text/html".to_owned(), ..Reply::new(200, "<html><h1>Welcome</h1></html>") };
        let bytes = match mood {
            Mood::Fine => {
                let (reply, accepted) = self.destination.take(&request).await;
                note(accepted, true);
                return stream.write_all(&reply.bytes("")).await;
            }
            Mood::Dropping => {
                let takes = {
                    let mut dropped = self.dropped.lock().unwrap();
                    *dropped += 1;
                    dropped.is_multiple_of(2)
                };
                let accepted = takes && self.destination.take(&request).await.1;
                note(accepted, false);
                return Ok(());
            }
            Mood::Hanging => {
                note(false, false);
                {
                    let mut hanging = self.hanging.lock().unwrap();
                    *hanging = (hanging.0 + 1, hanging.1.max(hanging.0 + 1));
                }
                // Until nobody waits any longer.
                let left = stream.read(&mut [0]).await;
                self.hanging.lock().unwrap().0 -= 1;
                return left.map(drop);
            }
            Mood::Failing => Reply::new(500, "{}").bytes(""),
            Mood::Busy => Reply::new(429, "{}").bytes("Retry-After: 1\r\n"),
            Mood::TooSmall => Reply::new(413, "too large").bytes(""),
            // A webhook takes any answer of 200 for a yes.
            Mood::Garbage if self.destination.takes_any_answer() => b"\0\x01 garbage \xff\r\n\r\n".to_vec(),
            Mood::Garbage => html().bytes(""),
        };
        note(false, true);
        stream.write_all(&bytes).await
    }
}

/// The first request of a connection; `None` when there is none.
async fn read(stream: &mut TcpStream) -> std::io::Result<Option<Request>> {
    let (mut bytes, mut piece) = (Vec::new(), vec![0; 64 * 1024]);
    let head = loop {
        if let Some(at) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            break at;
        }
        match stream.read(&mut piece).await? {
            0 => return Ok(None),
            count => bytes.extend_from_slice(&piece[..count]),
        }
    };
    let text = String::from_utf8(bytes[..head].to_vec()).unwrap();
    let mut lines = text.split("\r\n");
    let mut first = lines.next().unwrap().split(' ');
    let (method, path) = (first.next().unwrap().to_owned(), first.next().unwrap().to_owned());
    let headers: BTreeMap<String, String> = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_lowercase(), value.trim().to_owned()))
        .collect();
    let length: usize = headers.get("content-length").map_or(0, |length| length.parse().unwrap());
    assert!(!headers.contains_key("transfer-encoding"), "this server reads no chunks");
    let mut body = bytes.split_off(head + 4);
    while body.len() < length {
        match stream.read(&mut piece).await? {
            0 => return Ok(None),
            count => body.extend_from_slice(&piece[..count]),
        }
    }
    Ok(Some(Request { method, path, headers, body }))
}
