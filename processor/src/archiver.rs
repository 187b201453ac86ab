//! The archive role: records → Parquet files, exactly once. What a file will hold is declared in the lease before it is
//! written and committed afterwards; whoever finds an open declaration carries it out again, and gets the same files.

pub(crate) mod meter;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use dial_analytics::archive;
use dial_analytics::batch::{ArchiveBatch, FlushPolicy};
use dial_analytics::position::Position;
use dial_analytics::recovery::{Recovery, Step};
use dial_analytics::sealed::Sealed;
use dial_analytics::shard::Shard;
use dial_analytics::store::ObjectStore;
use dial_ingest::{
    Batch, Checkpointer, ProcessError, ProcessorFactory, Record, SequenceNumber, ShardProcessor, ShardStart,
};
use dial_rules::decode::Decoder;
use dial_rules::event::Millis;
use dial_rules::tables::Tables;
use tokio::sync::watch;

use self::meter::Meter;
use crate::in_place::in_place;
use crate::{clock, settings};

/// What every shard's archiver shares.
#[derive(Clone)]
pub(crate) struct Archive {
    store: Arc<dyn ObjectStore>,
    raw: bool,
    policy: FlushPolicy,
    records: Arc<AtomicU64>,
    clamped: Arc<AtomicU64>,
    meter: Meter,
    /// What files are told of accounts and addresses, as of their writing.
    tables: watch::Receiver<Arc<Tables>>,
    clock: Arc<dyn Fn() -> Millis + Send + Sync>,
}

impl Archive {
    pub(crate) fn new(
        store: Arc<dyn ObjectStore>,
        settings: &settings::Archive,
        tables: watch::Receiver<Arc<Tables>>,
    ) -> Archive {
        Archive {
            store,
            raw: settings.raw,
            policy: policy(settings),
            records: Arc::default(),
            clamped: Arc::default(),
            meter: Meter::default(),
            tables,
            clock: Arc::new(clock::now),
        }
    }

    /// The same, which counts here the rows that it keeps on another day than their event says.
    pub(crate) fn counting(self, clamped: Arc<AtomicU64>) -> Archive {
        Archive { clamped, ..self }
    }

    /// The same, written when `policy` says by another clock.
    #[cfg(test)]
    pub(crate) fn timed(self, policy: FlushPolicy, clock: impl Fn() -> Millis + Send + Sync + 'static) -> Archive {
        Archive { policy, clock: Arc::new(clock), ..self }
    }

    /// How many records have been taken in since the start.
    pub(crate) fn records(&self) -> Arc<AtomicU64> {
        self.records.clone()
    }

    /// That a shard waits, and why.
    fn waits(&self, shard: &Shard, why: &str) -> ProcessError {
        self.meter.stuck(shard.id());
        ProcessError::retry(why)
    }

    /// What was written, and what waits.
    pub(crate) fn meter(&self) -> Meter {
        self.meter.clone()
    }
}

/// When a batch is written.
fn policy(settings: &settings::Archive) -> FlushPolicy {
    FlushPolicy {
        bytes: usize::try_from(settings.flush_mib << 20).unwrap_or(usize::MAX),
        age: Millis::try_from(settings.flush_seconds.saturating_mul(1000)).unwrap_or(Millis::MAX),
        ..FlushPolicy::default()
    }
}

impl ProcessorFactory for Archive {
    fn start(&self, start: &ShardStart) -> Box<dyn ShardProcessor> {
        tracing::info!(shard = %start.shard_id, checkpoint = %start.checkpoint, "archiving");
        let shard = Shard::new(&start.shard_id);
        let state = match &start.open_declaration {
            None => State::Collecting(ArchiveBatch::new(shard.clone(), self.raw)),
            Some(declaration) => match Recovery::new(shard.clone(), &declaration.state) {
                Ok(recovery) => State::Recovering(Box::new(recovery)),
                Err(error) => State::Stuck(format!("the shard's open declaration cannot be carried out: {error}")),
            },
        };
        Box::new(Archiver { shared: self.clone(), shard, state })
    }
}

/// The archiver of one shard.
struct Archiver {
    shared: Archive,
    shard: Shard,
    state: State,
}

enum State {
    /// Rows gather.
    Collecting(ArchiveBatch),
    /// Records are read again for what the owner before declared.
    Recovering(Box<Recovery>),
    /// A sealed batch is on its way: declared or not, written or not, not committed. Nothing else happens before it is.
    Settling { sealed: Arc<Sealed>, next: ArchiveBatch },
    /// What is declared cannot be carried out by this build. The shard waits for one that can, or for somebody who looks at
    /// the lease; detection and other shards go on.
    Stuck(String),
}

#[async_trait]
impl ShardProcessor for Archiver {
    async fn process(&mut self, batch: &Batch, checkpointer: &Checkpointer) -> Result<(), ProcessError> {
        self.settle(checkpointer).await?;
        for record in &batch.records {
            // A record that comes again after a failure is known by its position.
            while !self.push(record)? {
                self.settle(checkpointer).await?;
            }
            self.shared.records.fetch_add(1, Ordering::Relaxed);
            self.settle(checkpointer).await?;
        }
        Ok(())
    }

    async fn idle(&mut self, checkpointer: &Checkpointer) -> Result<(), ProcessError> {
        self.seal_if_due();
        self.settle(checkpointer).await
    }

    async fn shard_ended(&mut self, checkpointer: &Checkpointer) -> Result<(), ProcessError> {
        match &mut self.state {
            State::Recovering(recovery) => {
                recovery.shard_ended();
                self.end_recovery()?;
            }
            // Its end must not be behind the checkpoint while what is declared is not.
            State::Stuck(why) => return Err(self.shared.waits(&self.shard, why)),
            State::Collecting(_) | State::Settling { .. } => {}
        }
        self.flush(checkpointer).await
    }

    async fn shutdown(&mut self, checkpointer: &Checkpointer) -> Result<(), ProcessError> {
        self.flush(checkpointer).await
    }
}

impl Archiver {
    /// Takes one record in. `false` when it has to be offered again once what is sealed has been settled.
    fn push(&mut self, record: &Record) -> Result<bool, ProcessError> {
        let (position, now) = (position(record)?, (self.shared.clock)());
        let decoded = Decoder::record(&record.data);
        match &mut self.state {
            State::Collecting(batch) => {
                in_place(|| batch.push(&position, Some(record.arrival), decoded, now));
                self.seal_if_due();
                Ok(true)
            }
            State::Recovering(recovery) => {
                match in_place(|| recovery.push(&position, Some(record.arrival), decoded, now)) {
                    Step::More => Ok(true),
                    Step::Complete => self.end_recovery().map(|()| true),
                    Step::Beyond => self.end_recovery().map(|()| false),
                }
            }
            State::Settling { .. } => Ok(false),
            State::Stuck(why) => Err(self.shared.waits(&self.shard, why)),
        }
    }

    fn seal_if_due(&mut self) {
        if let State::Collecting(batch) = &mut self.state
            && batch.flush_due(&self.shared.policy, (self.shared.clock)()).is_some()
        {
            self.seal();
        }
    }

    fn seal(&mut self) {
        if let State::Collecting(batch) = &mut self.state
            && let Some(sealed) = batch.seal()
        {
            let next = std::mem::replace(batch, ArchiveBatch::new(self.shard.clone(), self.shared.raw));
            self.state = State::Settling { sealed: Arc::new(sealed), next };
        }
    }

    fn end_recovery(&mut self) -> Result<(), ProcessError> {
        let collecting = State::Collecting(ArchiveBatch::new(self.shard.clone(), self.shared.raw));
        let State::Recovering(recovery) = std::mem::replace(&mut self.state, collecting) else {
            return Ok(());
        };
        let recovered = match recovery.finish() {
            Ok(recovered) => recovered,
            Err(error) => {
                let why = error.to_string();
                let waits = self.shared.waits(&self.shard, &why);
                self.state = State::Stuck(why);
                return Err(waits);
            }
        };
        if recovered.gap {
            tracing::error!(
                shard = self.shard.id(),
                "records that were to be archived have left the stream: their file lacks them"
            );
        }
        let next = ArchiveBatch::new(self.shard.clone(), self.shared.raw).after(recovered.sealed.last().clone());
        self.state = State::Settling { sealed: Arc::new(recovered.sealed), next };
        Ok(())
    }

    async fn flush(&mut self, checkpointer: &Checkpointer) -> Result<(), ProcessError> {
        self.settle(checkpointer).await?;
        self.seal();
        self.settle(checkpointer).await
    }

    /// Declares, writes and commits the sealed batch, if there is one. After a failure it is still there, and doing all
    /// of it again is harmless.
    async fn settle(&mut self, checkpointer: &Checkpointer) -> Result<(), ProcessError> {
        let State::Settling { sealed, .. } = &self.state else {
            return Ok(());
        };
        let sealed = Arc::clone(sealed);
        let last = ingest_position(sealed.last())?;
        checkpointer.declare(last.clone(), sealed.intent().to_bytes()).await?;
        let tables = self.shared.tables.borrow().clone();
        let written = archive::write(self.shared.store.as_ref(), &sealed, &tables, || checkpointer.holds_lease())
            .await
            .inspect_err(|error| self.shared.meter.failed(self.shard.id(), error))
            .map_err(ProcessError::retry)?;
        checkpointer.commit(last).await?;
        self.shared.meter.wrote(self.shard.id(), &sealed, &written);
        tracing::info!(
            shard = self.shard.id(),
            rows = sealed.rows(),
            dead_letters = sealed.dead_letters(),
            files = written.created,
            bytes = written.bytes,
            "archived"
        );
        tell_clamped(self.shard.id(), sealed.clamped(), &self.shared.clamped);
        let empty = ArchiveBatch::new(self.shard.clone(), self.shared.raw);
        if let State::Settling { next, .. } = std::mem::replace(&mut self.state, State::Collecting(empty)) {
            self.state = State::Collecting(next);
        }
        Ok(())
    }
}

/// Counts and tells rows that lie on another day than their event says.
pub(crate) fn tell_clamped(of: &str, rows: usize, count: &AtomicU64) {
    if rows > 0 {
        count.fetch_add(rows as u64, Ordering::Relaxed);
        tracing::warn!(
            of,
            rows,
            "events say a day that is out of all reason: they are archived under the nearest day within it; event_time says \
             what they say"
        );
    }
}

impl Drop for Archiver {
    fn drop(&mut self) {
        self.shared.meter.let_go(self.shard.id());
    }
}

fn position(record: &Record) -> Result<Position, ProcessError> {
    Position::new(record.sequence_number.as_str(), record.sub_sequence_number).map_err(ProcessError::fatal)
}

fn ingest_position(position: &Position) -> Result<dial_ingest::Position, ProcessError> {
    let sequence: SequenceNumber = position.sequence().parse().map_err(ProcessError::fatal)?;
    Ok(dial_ingest::Position::new(sequence, position.sub_sequence()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use dial_analytics::memory::MemoryStore;

    #[test]
    fn what_cannot_be_carried_out_lets_the_shard_wait() {
        let (_, tables) = watch::channel(Arc::default());
        let shared = Archive::new(Arc::new(MemoryStore::new()), &settings::Archive::default(), tables);
        let meter = shared.meter();
        let state = State::Stuck("let the build that declared it finish".to_owned());
        let mut archiver = Archiver { shared, shard: Shard::new("shardId-000000000000"), state };
        let record = Record {
            shard_id: "shardId-000000000000".into(),
            sequence_number: "7".parse().unwrap(),
            sub_sequence_number: 0,
            partition_key: String::new(),
            arrival: 0,
            data: Default::default(),
        };
        for tried in 1..=2 {
            let error = archiver.push(&record).unwrap_err();
            assert!(matches!(error, ProcessError::Retry(_)) && error.to_string().contains("the build"), "{error}");
            assert_eq!((meter.read().failures.iter().sum::<u64>(), meter.read().waiting.len()), (tried, 1));
        }
        drop(archiver);
        assert!(meter.read().waiting.is_empty(), "it is another worker's concern");
    }
}
