//! [`FindingRow`]: what one version of a finding becomes in the table `findings`. Pure.

use arrow::array::RecordBatch;
use bytes::Bytes;
use dial_rules::assessment::Assessment;
use dial_rules::event::Millis;
use dial_rules::finding::{Finding, FindingKind};
use dial_rules::policy::Status;

use crate::attack;
use crate::findings_schema::{FILLED, FINDINGS};
use crate::layout::Day;
use crate::ocsf;
use crate::writer::{WriteError, array, write_batches};

/// Rows are turned into columns so many at a time.
const CHUNK_ROWS: usize = 512;

/// One version of a finding, with what was made of it when it was written.
#[derive(Debug, Clone, PartialEq)]
pub struct FindingRow {
    /// The finding, its context and its disposition.
    pub assessment: Assessment,
    /// Its version in the store, from 1.
    pub version: u64,
    /// When the row was made.
    pub written: Millis,
}

impl FindingRow {
    /// The partition that the row belongs to: the day on which what was found began, within reason.
    ///
    /// A finding's beginning hardly ever changes, so that its versions lie together: only an event that comes out of
    /// order can put it earlier. Its end would move with every event.
    #[must_use]
    pub fn day(&self) -> Day {
        Day::of_event(self.finding().first_seen, Some(self.written))
    }

    pub(crate) fn finding(&self) -> &Finding {
        &self.assessment.finding
    }

    fn order(&self) -> (Millis, &str, u64) {
        (self.finding().first_seen, &self.finding().finding_id, self.version)
    }
}

/// Writes rows as one Parquet file of the table `findings`, sorted by time, id and version. The same rows in the same
/// order give the same bytes.
///
/// # Errors
/// See [`WriteError`].
pub fn write_findings(rows: &[FindingRow]) -> Result<Bytes, WriteError> {
    let mut sorted: Vec<&FindingRow> = rows.iter().collect();
    sorted.sort_by(|a, b| a.order().cmp(&b.order()));
    write_batches(&FINDINGS, rows.len(), sorted.chunks(CHUNK_ROWS).map(batch))
}

fn batch(rows: &[&FindingRow]) -> Result<RecordBatch, WriteError> {
    let shown = rows.iter().map(|row| Shown::of(row)).collect::<Result<Vec<_>, _>>();
    let shown = shown.map_err(|error| parquet::errors::ParquetError::External(Box::new(error)))?;
    let columns =
        FILLED.iter().map(|filled| array(filled.column.column_type, shown.iter().map(|row| (filled.cell)(row))));
    Ok(RecordBatch::try_new(FINDINGS.schema(), columns.collect())?)
}

/// A row, and the JSON of its columns.
#[derive(Debug)]
pub(crate) struct Shown<'r> {
    pub(crate) row: &'r FindingRow,
    pub(crate) evidence: String,
    pub(crate) ocsf: String,
}

impl<'r> Shown<'r> {
    fn of(row: &'r FindingRow) -> serde_json::Result<Shown<'r>> {
        let evidence = serde_json::to_string(&row.finding().evidence)?;
        let ocsf = serde_json::to_string(&ocsf::detection_finding(&row.assessment, row.version, row.written))?;
        Ok(Shown { row, evidence, ocsf })
    }

    pub(crate) fn kind(&self) -> &'static str {
        kind(self.row.finding().kind)
    }

    pub(crate) fn severity(&self) -> (i64, &'static str) {
        ocsf::severity(self.row.assessment.severity())
    }

    pub(crate) fn status(&self) -> &'static str {
        status(self.row.assessment.disposition.status)
    }

    pub(crate) fn tactics(&self) -> Vec<&'static str> {
        attack::tactics_of(&self.row.finding().subject.techniques)
    }

    /// Each id once, in the order of the evidence.
    pub(crate) fn event_ids(&self) -> Vec<&str> {
        let mut ids: Vec<&str> = Vec::new();
        for evidence in &self.row.finding().evidence {
            // At most ten a rule, and few rules.
            if !ids.contains(&evidence.event_id.as_str()) {
                ids.push(&evidence.event_id);
            }
        }
        ids
    }

    /// `policy.suppress (account payments): a test (alice, until 2030-12-31)`.
    pub(crate) fn suppressed_by(&self) -> Option<String> {
        let by = self.row.assessment.disposition.by.as_ref()?;
        let about = by.about.as_ref().map(|about| format!(" ({about})")).unwrap_or_default();
        Some(format!("{}{about}: {}", by.entry, by.words()))
    }
}

/// The word of a kind.
pub(crate) fn kind(kind: FindingKind) -> &'static str {
    match kind {
        FindingKind::Single => "single",
        FindingKind::Correlated => "correlated",
    }
}

/// The word of a status: what is open is new to whoever reads the archive.
pub(crate) fn status(status: Status) -> &'static str {
    match status {
        Status::Open => "new",
        hidden => hidden.as_str(),
    }
}
