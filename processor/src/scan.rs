//! Reads inputs on several threads and collects what is found, in flat memory.

use std::io::{self, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use dial_rules::dead_letter::DeadLetter;
use dial_rules::decode::{Decoded, Decoder};
use dial_rules::event::{Event, Millis};
use dial_rules::finding::Finding;
use dial_rules::lineage::Link;
use dial_rules::ruleset::RuleSet;
use dial_rules::tables::Tables;
use tokio::sync::mpsc;

use crate::correlator::{CorrelateError, FollowUp, Held};
use crate::failure::Failure;
use crate::hashed_input::HashedInput;
use crate::inputs::Input;
use crate::patient::StopFlag;
use crate::pipeline::{Detected, Detection};
use crate::scan_archive::{InputRows, ScanArchive};
use crate::scratch::Scratch;

/// How many findings travel together from a reading thread to whoever collects them.
const BATCH: usize = 256;
/// How many bytes of matches do.
const FILED: usize = 1024 * 1024;

/// What the reading threads report.
#[derive(Debug)]
pub(crate) enum Report {
    /// Findings, not merged yet.
    Findings(Vec<Finding>),
    /// What events teach of who is behind credentials.
    Links(Vec<Link>),
    /// Matches on their way to windows, as far as their events say themselves who acts.
    Filed(Held),
    /// Matches that could not be filed.
    Unfiled(CorrelateError),
    /// Bytes of an input that are no event.
    DeadLetter { input: String, letter: DeadLetter },
    /// An input that could not be opened.
    Unreadable(String),
    /// Rows that could not be archived.
    Unarchived(Failure),
}

/// Counters that may be read while the scan runs.
#[derive(Debug, Default)]
pub(crate) struct Progress {
    /// Bytes read of the inputs as they are stored.
    pub(crate) bytes: AtomicU64,
    pub(crate) events: AtomicU64,
    pub(crate) inputs: AtomicU64,
    /// How many findings each rule made, before merging; for the progress bar.
    pub(crate) matches: AtomicU64,
    /// Set to make the threads stop at the next event, or at once where none comes.
    pub(crate) stop: StopFlag,
}

/// A scan that is under way.
pub(crate) struct Scan {
    /// What is found, as it is found; it ends when everything is read.
    pub(crate) reports: mpsc::Receiver<Report>,
    pub(crate) progress: Arc<Progress>,
    /// Where inputs are laid down that can be read only once; removed with this.
    _scratch: Arc<Scratch>,
}

impl Scan {
    /// Starts reading `inputs` on `threads` threads, and archiving what is read where that is wanted. The threads wait when
    /// reports are not fetched.
    pub(crate) fn start(
        rules: Arc<RuleSet>,
        tables: &Arc<Tables>,
        inputs: Vec<Input>,
        threads: usize,
        archive: Option<ScanArchive>,
    ) -> Scan {
        let (sender, reports) = mpsc::channel(64);
        let progress = Arc::new(Progress::default());
        let inputs: Arc<[Input]> = inputs.into();
        let next = Arc::new(AtomicUsize::new(0));
        let scratch = Arc::new(Scratch::new("inputs"));
        for _ in 0..threads.min(inputs.len()).max(1) {
            let reader = Reader {
                rules: rules.clone(),
                tables: tables.clone(),
                sender: sender.clone(),
                progress: progress.clone(),
                held: Detected::default(),
                filed: Held::default(),
                archive: archive.clone(),
                scratch: scratch.clone(),
            };
            let (inputs, next) = (inputs.clone(), next.clone());
            tokio::task::spawn_blocking(move || reader.run(&inputs, &next));
        }
        Scan { reports, progress, _scratch: scratch }
    }
}

/// One reading thread.
struct Reader {
    rules: Arc<RuleSet>,
    /// As they were when the scan began.
    tables: Arc<Tables>,
    sender: mpsc::Sender<Report>,
    progress: Arc<Progress>,
    held: Detected,
    /// Packed here: what many threads allocate and another frees is dear.
    filed: Held,
    archive: Option<ScanArchive>,
    scratch: Arc<Scratch>,
}

/// Whoever collects the reports is gone, or wants no more.
struct Stopped;

impl Reader {
    fn run(mut self, inputs: &[Input], next: &AtomicUsize) {
        while let Some(input) = inputs.get(next.fetch_add(1, Ordering::Relaxed)) {
            if self.read(input).is_err() {
                return;
            }
            self.progress.inputs.fetch_add(1, Ordering::Relaxed);
        }
        let _ = self.flush(); // nobody is left to tell
    }

    fn read(&mut self, input: &Input) -> Result<(), Stopped> {
        let (source, mut rows) = match self.open(input) {
            Ok(opened) => opened,
            Err(error) => return self.send(Report::Unreadable(format!("{}: {error}", input.name))),
        };
        let mut counted = Counted { inner: source, progress: self.progress.clone() };
        for decoded in Decoder::new(&mut counted) {
            // Before anything else: an input that was cut off by this ends in a dead letter that is none.
            if self.stopped() {
                return self.flush().and(Err(Stopped));
            }
            match decoded {
                Decoded::Event(event) => {
                    self.progress.events.fetch_add(1, Ordering::Relaxed);
                    let found = self.detect(&event);
                    if found > 0 {
                        self.progress.matches.fetch_add(found, Ordering::Relaxed);
                    }
                    self.pack()?;
                    let Detected { findings, follow_up, .. } = &self.held;
                    if findings.len().max(follow_up.len()) >= BATCH || self.filed.bytes() >= FILED {
                        self.flush()?;
                    }
                    self.archived(rows.as_mut().map(|rows| rows.push(Decoded::Event(event))))?;
                }
                Decoded::DeadLetter(letter) => {
                    self.send(Report::DeadLetter { input: input.name.clone(), letter: letter.clone() })?;
                    self.archived(rows.as_mut().map(|rows| rows.push(Decoded::DeadLetter(letter))))?;
                }
            }
        }
        if self.stopped() {
            return self.flush().and(Err(Stopped));
        }
        if !counted.inner.is_whole() {
            let why =
                "it changed while it was read, or breaks off; scan it again, or what it holds is not archived whole";
            return self.send(Report::Unreadable(format!("{}: {why}", input.name)));
        }
        self.archived(rows.map(InputRows::finish))
    }

    /// Opens an input, and begins its rows where they are archived.
    fn open(&self, input: &Input) -> io::Result<(Source, Option<InputRows>)> {
        let stop = self.progress.stop.clone();
        let Some(archive) = &self.archive else { return Ok((Source::Any(input.open(stop)?), None)) };
        let source = input.open_hashed(stop, self.scratch.folder())?;
        let rows = archive.begin(source.sha256());
        Ok((Source::Hashed(source), Some(rows)))
    }

    /// Reports rows that could not be archived, which ends the scan.
    fn archived(&self, done: Option<Result<(), Failure>>) -> Result<(), Stopped> {
        match done {
            Some(Err(failure)) => self.send(Report::Unarchived(failure)).and(Err(Stopped)),
            _ => Ok(()),
        }
    }

    /// How many findings the event makes.
    fn detect(&mut self, event: &Event) -> u64 {
        // What is read from files is never late.
        let detection = Detection { rules: &self.rules, tables: &self.tables, allowed_lateness: Millis::MAX };
        let before = self.held.findings.len();
        detection.event(event, None, &mut self.held);
        (self.held.findings.len() - before) as u64
    }

    fn pack(&mut self) -> Result<(), Stopped> {
        for one in self.held.follow_up.filed.drain(..) {
            if let Err(error) = self.filed.add(&one) {
                return self.sender.blocking_send(Report::Unfiled(error)).map_err(|_| Stopped);
            }
        }
        Ok(())
    }

    fn stopped(&self) -> bool {
        self.progress.stop.load(Ordering::Relaxed)
    }

    fn flush(&mut self) -> Result<(), Stopped> {
        let Detected { findings, follow_up, .. } = std::mem::take(&mut self.held);
        let FollowUp { links, .. } = follow_up;
        let filed = std::mem::take(&mut self.filed);
        if !links.is_empty() {
            self.send(Report::Links(links))?;
        }
        if filed.bytes() > 0 {
            self.send(Report::Filed(filed))?;
        }
        if findings.is_empty() { Ok(()) } else { self.send(Report::Findings(findings)) }
    }

    fn send(&self, report: Report) -> Result<(), Stopped> {
        self.sender.blocking_send(report).map_err(|_| Stopped)
    }
}

/// What an input is read from.
enum Source {
    Any(Box<dyn Read + Send>),
    /// Whose rows are archived.
    Hashed(HashedInput),
}

impl Source {
    /// Whether its rows, if they are archived, are those of what they are named after.
    fn is_whole(&mut self) -> bool {
        match self {
            Source::Any(_) => true,
            Source::Hashed(source) => source.is_whole(),
        }
    }
}

impl Read for Source {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        match self {
            Source::Any(source) => source.read(out),
            Source::Hashed(source) => source.read(out),
        }
    }
}

/// Counts what is read, for the progress bar.
struct Counted {
    inner: Source,
    progress: Arc<Progress>,
}

impl Read for Counted {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(out)?;
        self.progress.bytes.fetch_add(n as u64, Ordering::Relaxed);
        Ok(n)
    }
}
