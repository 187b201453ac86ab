//! The detect role: records → findings, recorded before the checkpoint passes; and what they lead to, followed up beside.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use dial_ingest::{Batch, Checkpointer, ProcessError, ProcessorFactory, ShardProcessor, ShardStart};
use dial_rules::event::Millis;
use dial_rules::finding::Finding;
use dial_rules::policy::Status;
use dial_rules::ruleset::RuleSet;
use dial_rules::tables::Tables;
use dial_sinks::store::{FindingStore, RecordOutcome, StoreError};
use tokio::sync::{mpsc, watch};

use crate::correlator::{Correlated, Meter};
use crate::follow_ups::{FollowUps, Follower};
use crate::in_place::in_place;
use crate::pipeline::{Detected, Detection};

/// What every shard's detector shares.
#[derive(Clone)]
pub(crate) struct Detect {
    pub(crate) rules: Arc<RuleSet>,
    /// The tables in force: a batch sees one state of them.
    pub(crate) tables: watch::Receiver<Arc<Tables>>,
    pub(crate) findings: Arc<dyn FindingStore>,
    /// Correlates, and learns of lineage.
    pub(crate) follower: Follower,
    /// How long after its event a record may arrive for the event to be correlated.
    pub(crate) allowed_lateness: Millis,
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
    /// Of single events; [`Counts::new_findings`] counts the others, too.
    pub(crate) new_findings: AtomicU64,
    /// New findings by what the policy makes of them, in the order of [`Status::ALL`]; counted when they are shown.
    by_status: [AtomicU64; Status::ALL.len()],
    /// What events taught of who is behind credentials.
    pub(crate) links: AtomicU64,
    /// How much of what batches lead to is under way: links and matches to be written, windows to be evaluated.
    pub(crate) waiting: Arc<AtomicU64>,
    /// Rows that the archive keeps on another day than their event says, since that is out of all reason.
    pub(crate) clamped: Arc<AtomicU64>,
    /// What correlation has done.
    pub(crate) correlation: Arc<Meter>,
}

impl Counts {
    /// New findings, of single events and of correlations.
    pub(crate) fn new_findings(&self) -> u64 {
        self.new_findings.load(Ordering::Relaxed) + self.correlation.new_findings.load(Ordering::Relaxed)
    }

    /// Says in the log what was done.
    pub(crate) fn log(&self) {
        let [records, events, dead_letters, links] =
            [&self.records, &self.events, &self.dead_letters, &self.links].map(|count| count.load(Ordering::Relaxed));
        let new_findings = self.new_findings();
        let hidden = self.hidden();
        let Correlated { filed, evaluated, late, new_findings: correlated, .. } = self.correlation.read();
        tracing::info!(
            records,
            events,
            dead_letters,
            new_findings,
            hidden,
            links,
            filed,
            evaluated,
            late,
            correlated,
            "done"
        );
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
        let (follower, waiting) = (self.follower.clone(), self.counts.waiting.clone());
        let follow_ups = FollowUps::new(follower, shard.checkpoint.clone(), waiting);
        Box::new(Detector { shared: self.clone(), follow_ups })
    }
}

/// The detector of one shard.
struct Detector {
    shared: Detect,
    follow_ups: FollowUps,
}

#[async_trait]
impl ShardProcessor for Detector {
    async fn process(&mut self, batch: &Batch, checkpointer: &Checkpointer) -> Result<(), ProcessError> {
        // Before anything else, since the batch comes again if there is none.
        if !self.follow_ups.room().await {
            self.commit(checkpointer).await?;
            let waiting = self.follow_ups.pending();
            return Err(ProcessError::retry(format!(
                "{waiting} matches and links wait for the windows and the actors"
            )));
        }
        let Detect { rules, tables, allowed_lateness, findings, counts, news, .. } = &self.shared;
        let tables = tables.borrow().clone();
        let detection = Detection { rules, tables: &tables, allowed_lateness: *allowed_lateness };
        let mut detected = Detected::default();
        // A full batch takes milliseconds, but a small record may decompress to very much.
        in_place(|| {
            batch.records.iter().for_each(|record| detection.record(&record.data, record.arrival, &mut detected));
        });
        let Detected { events, findings: found, follow_up, uncorrelated, dead_letters } = detected;
        for letter in &dead_letters {
            // Kept by the archive role; here it is only counted.
            tracing::debug!(shard = %checkpointer.shard_id(), reason = letter.reason, "dead letter");
        }
        let outcome = record(findings.as_ref(), found, news).await.map_err(ProcessError::retry)?;
        counts.records.fetch_add(batch.records.len() as u64, Ordering::Relaxed);
        counts.events.fetch_add(events, Ordering::Relaxed);
        counts.dead_letters.fetch_add(dead_letters.len() as u64, Ordering::Relaxed);
        counts.new_findings.fetch_add(outcome.new.len() as u64, Ordering::Relaxed);
        counts.links.fetch_add(follow_up.links.len() as u64, Ordering::Relaxed);
        uncorrelated.count(follow_up.filed.len(), &counts.correlation);
        if let Some(last) = batch.last_position() {
            self.follow_ups.begin(last, follow_up);
        }
        self.follow_ups.moment().await;
        self.commit(checkpointer).await
    }

    async fn idle(&mut self, checkpointer: &Checkpointer) -> Result<(), ProcessError> {
        self.commit(checkpointer).await
    }

    async fn shard_ended(&mut self, checkpointer: &Checkpointer) -> Result<(), ProcessError> {
        let all = self.follow_ups.all().await;
        self.commit(checkpointer).await?;
        match all {
            true => Ok(()),
            false => Err(ProcessError::retry(format!(
                "{} matches and links are not followed up yet",
                self.follow_ups.pending()
            ))),
        }
    }

    async fn lease_lost(&mut self) {
        self.follow_ups.stop();
    }

    async fn shutdown(&mut self, checkpointer: &Checkpointer) -> Result<(), ProcessError> {
        if !self.follow_ups.all().await {
            let (shard, pending) = (checkpointer.shard_id(), self.follow_ups.pending());
            tracing::warn!(%shard, pending, "what was read last is not followed up; whoever has the shard next reads it again");
        }
        self.commit(checkpointer).await
    }
}

impl Detector {
    /// Moves the checkpoint over what is durable, with all that it leads to.
    async fn commit(&mut self, checkpointer: &Checkpointer) -> Result<(), ProcessError> {
        let durable = self.follow_ups.durable();
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
