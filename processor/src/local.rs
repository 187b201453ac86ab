//! `dial run` without a stream: standard input, the files of a folder as they appear, or what is posted, over the local
//! stores.

use std::collections::BTreeMap;
use std::fs;
use std::io::{IsTerminal, Read};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use dial_analytics::archive;
use dial_analytics::batch::{ArchiveBatch, FlushPolicy};
use dial_analytics::position::Position;
use dial_analytics::shard::Shard;
use dial_analytics::store::ObjectStore;
use dial_rules::decode::{Decoded, Decoder};
use dial_rules::event::Millis;
use dial_rules::finding::Finding;
use dial_rules::policy::routing::Routing;
use dial_rules::ruleset::RuleSet;
use dial_rules::tables::Tables;
use dial_sinks::actors::sqlite::SqliteActorStore;
use dial_sinks::sqlite::SqliteFindingStore;
use dial_sinks::store::FindingStore;
use dial_sinks::windows::sqlite::SqliteWindowStore;
use futures::future::OptionFuture;
use sha2::{Digest, Sha256};
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use crate::alerting::Alerting;
use crate::alerting::desk::AlertDesk;
use crate::archiver::tell_clamped;
use crate::assess::Assessor;
use crate::cli::{self, Role};
use crate::clock::now;
use crate::commands::run::{listener, show, wants};
use crate::correlator::{Correlator, Ports};
use crate::detector::{Counts, record};
use crate::door::Door;
use crate::door::inbox::{self, Emptier, Segment};
use crate::failure::{Failure, Outcome, Result};
use crate::in_place::in_place;
use crate::monitor::Monitor;
use crate::output::{Output, note};
use crate::pipeline::{Detected, Detection};
use crate::settings::Settings;
use crate::stores;
use crate::watched::{Watched, look};

/// How many events are processed, and archived as one file, at a time.
const CHUNK: usize = 20_000;
/// How long an event waits for others before it is processed.
const PATIENCE: Duration = Duration::from_millis(500);
/// How often a folder is looked into.
const LOOK: Duration = Duration::from_secs(1);

/// How often what was posted is tried again when it could not be processed.
const AGAIN: Duration = Duration::from_secs(5);
/// How long after a signal what was posted is still processed.
const GRACE: Duration = Duration::from_secs(8);

/// Runs until the input ends or `shutdown`. With a door, what is posted is the input, besides the folder that is followed.
pub(crate) async fn run(
    args: &cli::Run,
    door: Option<Door>,
    (rules, routing, assessor): (Arc<RuleSet>, Routing, Assessor),
    settings: &Settings,
    output: &Output,
    shutdown: CancellationToken,
) -> Result<Outcome> {
    let (news, arriving) = mpsc::unbounded_channel();
    let counts = Arc::new(Counts::default());
    let actors = Arc::new(SqliteActorStore::open(settings.data.actors_file()).await?);
    let findings = Arc::new(SqliteFindingStore::open(settings.data.findings_file()).await?);
    let assessor = assessor.with_actors(actors.clone());
    let desk = AlertDesk { assessor: assessor.clone(), routing, rules: rules.clone() };
    let alerting = Alerting::open(settings, findings.clone(), desk).await?;
    let findings = alerting.findings();
    let windows = SqliteWindowStore::open(settings.data.windows_file(), settings.correlation.retention()).await?;
    let ports = Ports { windows: Arc::new(windows), actors, findings: findings.clone(), news: news.clone() };
    let line = Line {
        correlator: Correlator::new(rules.clone(), ports, counts.correlation.clone()),
        rules,
        tables: assessor.enricher().live().watch(),
        findings,
        memory: stores::archive_folder(&settings.data.folder)?,
        objects: match wants(args, Role::Archive) {
            true => Some(stores::archive_to_write(settings).await?),
            false => None,
        },
        detects: wants(args, Role::Detect),
        raw: settings.archive.raw,
        counts: counts.clone(),
        news,
    };
    let inbox = settings.data.inbox();
    let (emptier, opened) = match door {
        None => (inbox::left(&inbox)?, None),
        Some(door) => {
            let (keep, emptier) = inbox::open(&inbox, settings.door.backlog_mib.saturating_mul(1 << 20))?;
            (Some(emptier), Some(door.serve(Arc::new(keep), shutdown.clone())))
        }
    };
    let (door, accepting) = opened.unzip();
    let is_open = door.is_some();
    let serving = match is_open {
        true => listener(args, settings).await?,
        false => None,
    };
    let sources = assessor.enricher().clone();
    let monitor = Monitor::new(settings.worker.id(), Vec::new(), counts.clone(), sources, shutdown.clone());
    let monitor = monitor.with_door(door).with_alerts(Some(alerting.offers()));
    let serving = serving.map(|listener| listener.serve(Arc::new(monitor)));
    let work = async {
        let posted = async {
            match emptier {
                Some(emptier) => or_stop(line.posted(&emptier, is_open, &shutdown).await, &shutdown),
                None => Ok(()),
            }
        };
        let read = async {
            match &args.watch {
                Some(folder) => or_stop(line.watch(folder, args.until_drained, &shutdown).await, &shutdown),
                None if is_open => Ok(()),
                None => line.standard_input(&shutdown).await,
            }
        };
        let (posted, read, _) = tokio::join!(posted, read, OptionFuture::from(accepting));
        drop(line); // which ends the showing
        posted.and(read)
    };
    let work = async { tokio::join!(work, show(arriving, &assessor, &counts, output)) };
    let (done, shown) = alerting.beside(work, &shutdown).await;
    if let Some(serving) = serving {
        serving.abort();
    }
    counts.log();
    done.and(shown).map(|()| Outcome::Fine)
}

/// Has everything else stop where one part failed.
fn or_stop(done: Result<()>, shutdown: &CancellationToken) -> Result<()> {
    if done.is_err() {
        shutdown.cancel();
    }
    done
}

/// The straight line over local stores.
struct Line {
    rules: Arc<RuleSet>,
    tables: watch::Receiver<Arc<Tables>>,
    findings: Arc<dyn FindingStore>,
    correlator: Correlator,
    /// The data folder's, where processed files are remembered.
    memory: Arc<dyn ObjectStore>,
    /// Of the archive; `None` when this worker does not archive.
    objects: Option<Arc<dyn ObjectStore>>,
    detects: bool,
    raw: bool,
    counts: Arc<Counts>,
    news: mpsc::UnboundedSender<Finding>,
}

impl Line {
    async fn standard_input(&self, shutdown: &CancellationToken) -> Result<()> {
        if std::io::stdin().is_terminal() {
            note(
                "no stream is set, so standard input is read: paste events and end with Ctrl-D, or see `dial run --help`",
            );
        }
        self.process(std::io::stdin(), "standard input", Some(PATIENCE), shutdown).await.map(|_| ())
    }

    /// Decodes, detects and archives what `reader` yields. `false` when it was stopped before the end.
    ///
    /// Without `patience` what goes into one archive file depends on the input alone, so doing it again adds nothing.
    async fn process(
        &self,
        reader: impl Read + Send + 'static,
        name: &str,
        patience: Option<Duration>,
        shutdown: &CancellationToken,
    ) -> Result<bool> {
        let (sender, mut decoded) = mpsc::channel(1024);
        // A thread of its own: a read that waits for standard input must not keep the program from ending.
        std::thread::spawn(move || Decoder::new(reader).try_for_each(|item| sender.blocking_send(item)));
        loop {
            let chunk = tokio::select! {
                chunk = gather(&mut decoded, patience) => chunk,
                () = shutdown.cancelled() => return Ok(false),
            };
            if chunk.is_empty() {
                return Ok(true);
            }
            self.settle(chunk, name).await?;
        }
    }

    /// Processes what was posted, segment by segment; `patiently` where more may come, and a failure may pass. Once there is
    /// a signal, as far as the time allows: the next start begins with what is left.
    async fn posted(&self, emptier: &Emptier, patiently: bool, shutdown: &CancellationToken) -> Result<()> {
        let too_late = async {
            shutdown.cancelled().await;
            tokio::time::sleep(GRACE).await;
        };
        tokio::select! {
            done = self.empty(emptier, patiently, shutdown) => done,
            () = too_late => {
                tracing::warn!("not all that was posted is processed: the next start begins with the rest");
                Ok(())
            }
        }
    }

    async fn empty(&self, emptier: &Emptier, patiently: bool, shutdown: &CancellationToken) -> Result<()> {
        while let Some(segment) = emptier.next().await.map_err(|error| Failure::outside("the inbox", error))? {
            while let Err(error) = self.segment(&segment).await {
                if !patiently || shutdown.is_cancelled() {
                    return Err(error);
                }
                tracing::error!(%error, "what was posted cannot be processed; it is tried again");
                tokio::select! {
                    () = tokio::time::sleep(AGAIN) => {}
                    () = shutdown.cancelled() => {}
                }
            }
            if let Err(error) = emptier.done(&segment) {
                tracing::warn!(%error, "a segment of the inbox is done and stays: it is processed again at the next start");
            }
        }
        Ok(())
    }

    /// What goes into one archive file depends on the segment alone, so doing it again adds nothing.
    async fn segment(&self, segment: &Segment) -> Result<()> {
        let mut decoded = segment.bodies().flat_map(Decoder::record);
        loop {
            let chunk: Vec<Decoded> = in_place(|| decoded.by_ref().take(CHUNK).collect());
            if chunk.is_empty() {
                return Ok(());
            }
            self.settle(chunk, "what was posted").await?;
        }
    }

    async fn settle(&self, chunk: Vec<Decoded>, name: &str) -> Result<()> {
        let tables = self.tables.borrow().clone();
        // What is read from files and standard input is never late.
        let detection = Detection { rules: &self.rules, tables: &tables, allowed_lateness: Millis::MAX };
        let mut detected = Detected::default();
        for item in &chunk {
            match item {
                Decoded::Event(event) if self.detects => detection.event(event, None, &mut detected),
                Decoded::Event(_) => detected.events += 1,
                Decoded::DeadLetter(letter) => {
                    self.counts.dead_letters.fetch_add(1, Ordering::Relaxed);
                    tracing::warn!(input = name, byte = letter.fault, reason = letter.reason, "dead letter");
                }
            }
        }
        let Detected { events, findings, follow_up, uncorrelated, .. } = detected;
        self.counts.records.fetch_add(chunk.len() as u64, Ordering::Relaxed);
        self.counts.events.fetch_add(events, Ordering::Relaxed);
        self.counts.links.fetch_add(follow_up.links.len() as u64, Ordering::Relaxed);
        uncorrelated.count(follow_up.filed.len(), &self.counts.correlation);
        let outcome = record(self.findings.as_ref(), findings, &self.news).await?;
        self.counts.new_findings.fetch_add(outcome.new.len() as u64, Ordering::Relaxed);
        self.correlator.follow(&follow_up, now()).await?;
        match &self.objects {
            Some(objects) => self.archive(chunk, objects.as_ref()).await,
            None => Ok(()),
        }
    }

    /// Archives a chunk under a name that is a function of its content.
    async fn archive(&self, chunk: Vec<Decoded>, objects: &dyn ObjectStore) -> Result<()> {
        let tables = self.tables.borrow().clone();
        let mut batch = ArchiveBatch::new(Shard::of_file(digest(&chunk)), self.raw);
        for (ordinal, item) in chunk.into_iter().enumerate() {
            batch.push(&Position::ordinal(ordinal as u64), None, [item], 0);
            if batch.flush_due(&FlushPolicy::OF_FILES, 0).is_some() {
                self.write(&mut batch, objects, &tables).await?;
            }
        }
        self.write(&mut batch, objects, &tables).await
    }

    async fn write(&self, batch: &mut ArchiveBatch, objects: &dyn ObjectStore, tables: &Arc<Tables>) -> Result<()> {
        let Some(sealed) = batch.seal().map(Arc::new) else { return Ok(()) };
        let written = archive::write(objects, &sealed, tables, || true).await;
        written.map_err(|error| Failure::outside("the archive", error))?;
        tell_clamped("the input", sealed.clamped(), &self.counts.clamped);
        Ok(())
    }

    /// Processes each file of `folder` once, also over restarts; a file that grew is processed again, which adds what
    /// is new.
    async fn watch(&self, folder: &Path, until_drained: bool, shutdown: &CancellationToken) -> Result<()> {
        if !folder.is_dir() {
            return Err(Failure::Usage(format!("--watch {}: there is no such folder", folder.display())));
        }
        tracing::info!(folder = %folder.display(), "following the folder");
        let mut watched = Watched::open(self.memory.clone()).await?;
        let mut before = BTreeMap::new();
        loop {
            let now = look(folder);
            let mut waiting = false;
            for (path, version) in &now {
                if watched.has(path, *version) {
                    continue;
                }
                // A file that is still being written differs from one look to the next.
                if before.get(path) != Some(version) {
                    waiting = true;
                } else if self.file(path, shutdown).await? {
                    watched.add(path, *version).await?;
                } else {
                    return Ok(());
                }
            }
            if until_drained && !waiting {
                return Ok(());
            }
            before = now;
            tokio::select! {
                () = tokio::time::sleep(LOOK) => {}
                () = shutdown.cancelled() => return Ok(()),
            }
        }
    }

    async fn file(&self, path: &Path, shutdown: &CancellationToken) -> Result<bool> {
        let name = path.display().to_string();
        match fs::File::open(path) {
            Ok(file) => {
                tracing::info!(file = name, "reading");
                self.process(file, &name, None, shutdown).await
            }
            Err(error) => {
                tracing::warn!(file = name, %error, "cannot be read; it is tried again when it changes");
                Ok(true)
            }
        }
    }
}

/// The next items: as many as make a chunk, or fewer when the input ends or `patience` does. Empty at the end.
async fn gather(decoded: &mut mpsc::Receiver<Decoded>, patience: Option<Duration>) -> Vec<Decoded> {
    let mut chunk = Vec::new();
    let Some(first) = decoded.recv().await else {
        return chunk;
    };
    chunk.push(first);
    let fill = async {
        while chunk.len() < CHUNK
            && let Some(item) = decoded.recv().await
        {
            chunk.push(item);
        }
    };
    match patience {
        Some(patience) => drop(tokio::time::timeout(patience, fill).await), // what has come by then is a chunk
        None => fill.await,
    }
    chunk
}

/// A hash of what a chunk holds.
fn digest(chunk: &[Decoded]) -> [u8; 32] {
    let mut hash = Sha256::new();
    for item in chunk {
        let bytes = match item {
            Decoded::Event(event) => event.raw(),
            Decoded::DeadLetter(letter) => &letter.bytes,
        };
        hash.update((bytes.len() as u64).to_be_bytes());
        hash.update(bytes);
    }
    hash.finalize().into()
}
