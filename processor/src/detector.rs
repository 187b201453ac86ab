//! The detect role: records → findings, recorded before the checkpoint passes.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use dial_ingest::{Batch, Checkpointer, Position, ProcessError, ProcessorFactory, ShardProcessor, ShardStart};
use dial_rules::finding::Finding;
use dial_rules::policy::Status;
use dial_rules::ruleset::RuleSet;
use dial_rules::tables::Tables;
use dial_sinks::store::{FindingStore, RecordOutcome, StoreError};
use tokio::sync::{mpsc, watch};

use crate::pipeline::Detected;

/// What every shard's detector shares.
#[derive(Clone)]
pub(crate) struct Detect {
    pub(crate) rules: Arc<RuleSet>,
    /// The tables in force: a batch sees one state of them.
    pub(crate) tables: watch::Receiver<Arc<Tables>>,
    pub(crate) findings: Arc<dyn FindingStore>,
    pub(crate) counts: Arc<Counts>,
    /// New findings, for whoever shows them. It may be slow or gone: showing is not delivering.
    pub(crate) news: mpsc::UnboundedSender<Finding>,
}

/// What the detect role has done since it started.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    pub(crate) records: AtomicU64,
    pub(crate) events: AtomicU64,
    pub(crate) dead_letters: AtomicU64,
    pub(crate) new_findings: AtomicU64,
    /// New findings by what the policy makes of them, in the order of [`Status::ALL`]; counted when they are shown.
    by_status: [AtomicU64; Status::ALL.len()],
}

impl Counts {
    /// Says in the log what was done.
    pub(crate) fn log(&self) {
        let [records, events, dead_letters, new_findings] =
            [&self.records, &self.events, &self.dead_letters, &self.new_findings]
                .map(|count| count.load(Ordering::Relaxed));
        let hidden = self.hidden();
        tracing::info!(records, events, dead_letters, new_findings, hidden, "done");
    }

    /// Counts a new finding of this status.
    pub(crate) fn add_status(&self, status: Status) {
        self.by_status[status as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// New findings by status, in the order of [`Status::ALL`].
    pub(crate) fn by_status(&self) -> [u64; Status::ALL.len()] {
        self.by_status.each_ref().map(|count| count.load(Ordering::Relaxed))
    }

    /// New findings that the policy hides.
    pub(crate) fn hidden(&self) -> u64 {
        self.by_status()[1..].iter().sum()
    }
}

impl ProcessorFactory for Detect {
    fn start(&self, shard: &ShardStart) -> Box<dyn ShardProcessor> {
        tracing::info!(shard = %shard.shard_id, checkpoint = %shard.checkpoint, "detecting");
        Box::new(Detector { shared: self.clone(), done: shard.checkpoint.clone() })
    }
}

/// The detector of one shard.
struct Detector {
    shared: Detect,
    /// Everything up to here is recorded.
    done: Position,
}

#[async_trait]
impl ShardProcessor for Detector {
    async fn process(&mut self, batch: &Batch, checkpointer: &Checkpointer) -> Result<(), ProcessError> {
        let Detect { rules, tables, findings, counts, news } = &self.shared;
        let tables = tables.borrow().clone();
        let mut detected = Detected::default();
        // A full batch takes milliseconds, but a small record may decompress to very much.
        tokio::task::block_in_place(|| {
            batch.records.iter().for_each(|record| detected.add(rules, &tables, &record.data));
        });
        let Detected { events, findings: found, dead_letters } = detected;
        for letter in &dead_letters {
            // Kept by the archive role; here it is only counted.
            tracing::debug!(shard = %checkpointer.shard_id(), reason = letter.reason, "dead letter");
        }
        let outcome = record(findings.as_ref(), found, news).await.map_err(ProcessError::retry)?;
        counts.records.fetch_add(batch.records.len() as u64, Ordering::Relaxed);
        counts.events.fetch_add(events, Ordering::Relaxed);
        counts.dead_letters.fetch_add(dead_letters.len() as u64, Ordering::Relaxed);
        counts.new_findings.fetch_add(outcome.new.len() as u64, Ordering::Relaxed);
        if let Some(last) = batch.last_position() {
            self.done = last;
        }
        checkpointer.commit(self.done.clone()).await?;
        Ok(())
    }

    async fn shard_ended(&mut self, _: &Checkpointer) -> Result<(), ProcessError> {
        Ok(()) // every batch is durable when it is done
    }

    async fn shutdown(&mut self, checkpointer: &Checkpointer) -> Result<(), ProcessError> {
        checkpointer.commit(self.done.clone()).await?;
        Ok(())
    }
}

/// Records findings and passes the new ones on to be shown.
pub(crate) async fn record(
    store: &dyn FindingStore,
    found: Vec<Finding>,
    news: &mpsc::UnboundedSender<Finding>,
) -> Result<RecordOutcome, StoreError> {
    if found.is_empty() {
        return Ok(RecordOutcome::default());
    }
    let mut unseen: HashMap<String, Finding> =
        found.iter().map(|finding| (finding.finding_id.clone(), finding.clone())).collect();
    let outcome = store.record(found).await?;
    let mut new: Vec<Finding> = outcome.new.iter().filter_map(|id| unseen.remove(id)).collect();
    new.sort_by_key(|finding| finding.first_seen);
    for finding in new {
        let _ = news.send(finding); // nobody may be looking
    }
    Ok(outcome)
}
