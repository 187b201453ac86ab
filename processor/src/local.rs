//! `dial run` without a stream: standard input, or the files of a folder as they appear, over the local stores.

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
use dial_rules::ruleset::RuleSet;
use dial_rules::tables::Tables;
use dial_sinks::actors::sqlite::SqliteActorStore;
use dial_sinks::sqlite::SqliteFindingStore;
use dial_sinks::windows::sqlite::SqliteWindowStore;
use sha2::{Digest, Sha256};
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use crate::assess::Assessor;
use crate::cli::{self, Role};
use crate::clock::now;
use crate::commands::run::{show, wants};
use crate::correlator::{Correlator, Ports};
use crate::detector::{Counts, record};
use crate::failure::{Failure, Outcome, Result};
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

/// Runs until the input ends or `shutdown`.
pub(crate) async fn run(
    args: &cli::Run,
    (rules, assessor): (Arc<RuleSet>, Assessor),
    settings: &Settings,
    output: &Output,
    shutdown: CancellationToken,
) -> Result<Outcome> {
    let (news, arriving) = mpsc::unbounded_channel();
    let counts = Arc::new(Counts::default());
    let actors = Arc::new(SqliteActorStore::open(settings.data.actors_file()).await?);
    let findings = Arc::new(SqliteFindingStore::open(settings.data.findings_file()).await?);
    let windows = SqliteWindowStore::open(settings.data.windows_file(), settings.correlation.retention()).await?;
    let ports =
        Ports { windows: Arc::new(windows), actors: actors.clone(), findings: findings.clone(), news: news.clone() };
    let line = Line {
        correlator: Correlator::new(rules.clone(), ports, counts.correlation.clone()),
        rules,
        tables: assessor.enricher().live().watch(),
        findings,
        memory: stores::archive_folder(&settings.data.folder)?,
        objects: match wants(args, Role::Archive) {
            true => Some(stores::archive(settings).await?),
            false => None,
        },
        detects: wants(args, Role::Detect),
        raw: settings.archive.raw,
        counts: counts.clone(),
        news,
    };
    let assessor = assessor.with_actors(actors);
    let work = async {
        let done = match &args.watch {
            Some(folder) => line.watch(folder, args.until_drained, &shutdown).await,
            None => line.standard_input(&shutdown).await,
        };
        drop(line); // which ends the showing
        done
    };
    let (done, shown) = tokio::join!(work, show(arriving, &assessor, &counts, output));
    counts.log();
    done.and(shown).map(|()| Outcome::Fine)
}

/// The straight line over local stores.
struct Line {
    rules: Arc<RuleSet>,
    tables: watch::Receiver<Arc<Tables>>,
    findings: Arc<SqliteFindingStore>,
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
                write(&mut batch, objects, &tables).await?;
            }
        }
        write(&mut batch, objects, &tables).await
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

async fn write(batch: &mut ArchiveBatch, objects: &dyn ObjectStore, tables: &Arc<Tables>) -> Result<()> {
    let Some(sealed) = batch.seal() else {
        return Ok(());
    };
    archive::write(objects, &Arc::new(sealed), tables, || true)
        .await
        .map_err(|error| Failure::outside("the archive", error))?;
    Ok(())
}
