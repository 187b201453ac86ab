//! What `scan --archive` writes: the rows of each input under a name that is a function of the input's bytes, and findings under
//! names that are functions of what they say. So doing it again adds nothing, in whichever order and company.

use std::collections::HashSet;
use std::io::{self, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use dial_analytics::archive;
use dial_analytics::batch::{ArchiveBatch, FlushPolicy};
use dial_analytics::events_schema::EVENTS;
use dial_analytics::findings::FindingRow;
use dial_analytics::findings_schema::FINDINGS;
use dial_analytics::position::Position;
use dial_analytics::shard::Shard;
use dial_analytics::store::ObjectStore;
use dial_analytics::visibility;
use dial_rules::assessment::Assessment;
use dial_rules::decode::Decoded;
use dial_rules::tables::Tables;
use sha2::{Digest, Sha256};
use tokio::runtime::Handle;

use crate::checked_store::{CheckedStore, Damaged};
use crate::clock::now;
use crate::failure::{Failure, Result};
use crate::finding_files;

/// How many findings are held before they are written: so many make a file for each of their days.
const FINDINGS_HELD: usize = 5_000;

/// Where a scan archives, and what it has. Clones share that.
#[derive(Debug, Clone)]
pub(crate) struct ScanArchive {
    store: Arc<CheckedStore>,
    tables: Arc<Tables>,
    raw: bool,
    tally: Arc<Tally>,
}

/// What was archived.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    /// Events, those of files that were there already too.
    pub(crate) rows: AtomicU64,
    pub(crate) findings: AtomicU64,
    /// Files that were not there.
    pub(crate) created: AtomicU64,
    /// Files that were there already.
    pub(crate) existed: AtomicU64,
    /// Of the events, those that lie under another day than they say.
    pub(crate) clamped: AtomicU64,
}

impl Tally {
    fn add(&self, written: archive::Written) {
        self.created.fetch_add(written.created as u64, Ordering::Relaxed);
        self.existed.fetch_add(written.existed as u64, Ordering::Relaxed);
    }
}

impl ScanArchive {
    /// An archive in this store; what was compacted in it is looked up now.
    ///
    /// # Errors
    /// When that cannot be read.
    pub(crate) async fn open(store: Arc<dyn ObjectStore>, tables: Arc<Tables>, raw: bool) -> Result<ScanArchive> {
        let mut compacted = HashSet::new();
        for table in [&EVENTS, &FINDINGS] {
            let replaced = visibility::replaced(store.as_ref(), table).await;
            compacted.extend(replaced.map_err(|error| Failure::outside("the archive", error))?);
        }
        let store = Arc::new(CheckedStore::new(store, compacted));
        Ok(ScanArchive { store, tables, raw, tally: Arc::default() })
    }

    pub(crate) fn tally(&self) -> &Tally {
        &self.tally
    }

    /// The files that were there already and are damaged.
    pub(crate) fn damaged(&self) -> Vec<Damaged> {
        self.store.damaged()
    }

    /// Begins the rows of an input whose bytes have this hash.
    pub(crate) fn begin(&self, sha256: [u8; 32]) -> InputRows {
        InputRows { archive: self.clone(), batch: ArchiveBatch::new(Shard::of_file(sha256), self.raw), ordinal: 0 }
    }

    /// Begins the scan's findings.
    pub(crate) fn findings(&self) -> FindingRows {
        FindingRows { archive: self.clone(), held: Vec::new() }
    }
}

/// The rows of one input.
#[derive(Debug)]
pub(crate) struct InputRows {
    archive: ScanArchive,
    batch: ArchiveBatch,
    ordinal: u64,
}

impl InputRows {
    /// Adds what comes next. Blocks the thread while a file is written; for threads that may, within the runtime.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub(crate) fn push(&mut self, item: Decoded) -> Result<()> {
        self.batch.push(&Position::ordinal(self.ordinal), None, [item], 0);
        self.ordinal += 1;
        match self.batch.flush_due(&FlushPolicy::OF_FILES, 0) {
            Some(_) => self.write(),
            None => Ok(()),
        }
    }

    /// The input has ended. One that was cut off must not come here: its last file would have another name each time.
    ///
    /// # Errors
    /// When the last file cannot be written.
    pub(crate) fn finish(mut self) -> Result<()> {
        self.write()
    }

    fn write(&mut self) -> Result<()> {
        let Some(sealed) = self.batch.seal().map(Arc::new) else { return Ok(()) };
        let ScanArchive { store, tables, tally, .. } = &self.archive;
        let written = Handle::current().block_on(archive::write(store.as_ref(), &sealed, tables, || true));
        tally.add(written.map_err(|error| Failure::outside("the archive", error))?);
        tally.rows.fetch_add(sealed.rows() as u64, Ordering::Relaxed);
        tally.clamped.fetch_add(sealed.clamped() as u64, Ordering::Relaxed);
        Ok(())
    }
}

/// The findings of a scan, each in its only version.
#[derive(Debug)]
pub(crate) struct FindingRows {
    archive: ScanArchive,
    held: Vec<FindingRow>,
}

impl FindingRows {
    /// Adds findings, and writes once they are many.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub(crate) async fn add(&mut self, assessments: impl Iterator<Item = Assessment>) -> Result<()> {
        let written = now();
        self.held.extend(assessments.map(|assessment| FindingRow { assessment, version: 1, written }));
        if self.held.len() >= FINDINGS_HELD { self.write().await } else { Ok(()) }
    }

    /// Writes the last of them.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub(crate) async fn finish(mut self) -> Result<()> {
        self.write().await
    }

    async fn write(&mut self) -> Result<()> {
        let rows = std::mem::take(&mut self.held);
        let count = rows.len() as u64;
        let put = finding_files::put(self.archive.store.as_ref(), rows, stem).await;
        self.archive.tally.add(put.map_err(|error| Failure::outside("the archive", error))?);
        self.archive.tally.findings.fetch_add(count, Ordering::Relaxed);
        Ok(())
    }
}

/// Names the findings of a day by what was recorded of them, whatever is thought of that now.
fn stem(rows: &[FindingRow]) -> String {
    let mut findings: Vec<String> = rows
        .iter()
        .map(|row| {
            serde_json::to_string(&row.assessment.finding).unwrap_or_else(|_| format!("{:?}", row.assessment.finding))
        })
        .collect();
    findings.sort_unstable();
    let mut hash = Sha256::new();
    for finding in findings {
        hash.update((finding.len() as u64).to_be_bytes());
        hash.update(finding);
    }
    format!("scan-{}", hex(&hash.finalize()))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The SHA-256 of all that a reader yields, and how many bytes that is; what is read is given to `also`.
///
/// # Errors
/// Of the reader, and of `also`.
pub(crate) fn hashed(
    reader: &mut dyn Read,
    mut also: impl FnMut(&[u8]) -> io::Result<()>,
) -> io::Result<([u8; 32], u64)> {
    let (mut hash, mut length) = (Sha256::new(), 0);
    let mut piece = vec![0; 64 * 1024];
    loop {
        let read = match reader.read(&mut piece) {
            Ok(0) => return Ok((hash.finalize().into(), length)),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            read => read?,
        };
        hash.update(&piece[..read]);
        also(&piece[..read])?;
        length += read as u64;
    }
}
