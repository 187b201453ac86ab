//! The detect role: records → findings, recorded before the checkpoint passes; and what they teach of lineage, written beside.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use dial_ingest::{Batch, Checkpointer, ProcessError, ProcessorFactory, ShardProcessor, ShardStart};
use dial_rules::finding::Finding;
use dial_rules::policy::Status;
use dial_rules::ruleset::RuleSet;
use dial_rules::tables::Tables;
use dial_sinks::store::{FindingStore, RecordOutcome, StoreError};
use tokio::runtime::{Handle, RuntimeFlavor};
use tokio::sync::{mpsc, watch};

use crate::learner::{Learner, Lessons};
use crate::pipeline::Detected;

/// What every shard's detector shares.
#[derive(Clone)]
pub(crate) struct Detect {
    pub(crate) rules: Arc<RuleSet>,
    /// The tables in force: a batch sees one state of them.
    pub(crate) tables: watch::Receiver<Arc<Tables>>,
    pub(crate) findings: Arc<dyn FindingStore>,
    pub(crate) learner: Learner,
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
    /// What events taught of who is behind credentials.
    pub(crate) links: AtomicU64,
    /// How many of them are being written.
    pub(crate) links_waiting: Arc<AtomicU64>,
}

impl Counts {
    /// Says in the log what was done.
    pub(crate) fn log(&self) {
        let [records, events, dead_letters, new_findings, links] =
            [&self.records, &self.events, &self.dead_letters, &self.new_findings, &self.links]
                .map(|count| count.load(Ordering::Relaxed));
        let hidden = self.hidden();
        tracing::info!(records, events, dead_letters, new_findings, hidden, links, "done");
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
        let lessons = Lessons::new(self.learner.clone(), shard.checkpoint.clone(), self.counts.links_waiting.clone());
        Box::new(Detector { shared: self.clone(), lessons })
    }
}

/// The detector of one shard.
struct Detector {
    shared: Detect,
    lessons: Lessons,
}

#[async_trait]
impl ShardProcessor for Detector {
    async fn process(&mut self, batch: &Batch, checkpointer: &Checkpointer) -> Result<(), ProcessError> {
        // Before anything else, since the batch comes again if there is none.
        if !self.lessons.room().await {
            self.commit(checkpointer).await?;
            let waiting = self.lessons.pending();
            return Err(ProcessError::retry(format!("{waiting} links of lineage wait for the store of actors")));
        }
        let Detect { rules, tables, findings, counts, news, .. } = &self.shared;
        let tables = tables.borrow().clone();
        let mut detected = Detected::default();
        // A full batch takes milliseconds, but a small record may decompress to very much.
        let mut decode = || batch.records.iter().for_each(|record| detected.add(rules, &tables, &record.data));
        match Handle::current().runtime_flavor() {
            RuntimeFlavor::CurrentThread => decode(), // there is no other thread to go on with
            _ => tokio::task::block_in_place(decode),
        }
        let Detected { events, findings: found, links, dead_letters } = detected;
        for letter in &dead_letters {
            // Kept by the archive role; here it is only counted.
            tracing::debug!(shard = %checkpointer.shard_id(), reason = letter.reason, "dead letter");
        }
        let outcome = record(findings.as_ref(), found, news).await.map_err(ProcessError::retry)?;
        counts.records.fetch_add(batch.records.len() as u64, Ordering::Relaxed);
        counts.events.fetch_add(events, Ordering::Relaxed);
        counts.dead_letters.fetch_add(dead_letters.len() as u64, Ordering::Relaxed);
        counts.new_findings.fetch_add(outcome.new.len() as u64, Ordering::Relaxed);
        counts.links.fetch_add(links.len() as u64, Ordering::Relaxed);
        if let Some(last) = batch.last_position() {
            self.lessons.begin(last, links);
        }
        self.commit(checkpointer).await
    }

    async fn idle(&mut self, checkpointer: &Checkpointer) -> Result<(), ProcessError> {
        self.commit(checkpointer).await
    }

    async fn shard_ended(&mut self, checkpointer: &Checkpointer) -> Result<(), ProcessError> {
        let all = self.lessons.all().await;
        self.commit(checkpointer).await?;
        match all {
            true => Ok(()),
            false => {
                Err(ProcessError::retry(format!("{} links of lineage are not written yet", self.lessons.pending())))
            }
        }
    }

    async fn lease_lost(&mut self) {
        self.lessons.stop();
    }

    async fn shutdown(&mut self, checkpointer: &Checkpointer) -> Result<(), ProcessError> {
        if !self.lessons.all().await {
            let (shard, pending) = (checkpointer.shard_id(), self.lessons.pending());
            tracing::warn!(%shard, pending, "lineage is not written; whoever has the shard next reads it again");
        }
        self.commit(checkpointer).await
    }
}

impl Detector {
    /// Moves the checkpoint over what is durable, findings and lineage.
    async fn commit(&mut self, checkpointer: &Checkpointer) -> Result<(), ProcessError> {
        let durable = self.lessons.durable();
        Ok(checkpointer.commit(durable).await?)
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
