//! Who was given what: the account that the whole run is judged by.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use dial_emulators::{KclStep, read_journal};
use dial_ingest::Position;

use crate::items::Items;

/// What a record processor saw, of ours or of the Kinesis Client Library.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Seen {
    /// It was given a shard, to go on after this checkpoint.
    Start { sequence: String, sub: u64 },
    /// It was given a record.
    Record { sequence: String, sub: u64, data: String },
}

impl Seen {
    /// The data of a record that lies after a checkpoint.
    fn after(&self, checkpoint: &Position) -> Option<String> {
        let Self::Record { sequence, sub, data } = self else { return None };
        let position = Position::new(sequence.parse().expect("a sequence number"), *sub);
        (position > *checkpoint).then(|| data.clone())
    }
}

/// What each worker's processors saw, by worker and shard, in order.
#[derive(Clone, Debug, Default)]
pub struct Account {
    seen: BTreeMap<(String, String), Vec<Seen>>,
}

impl Account {
    /// Adds what a worker's processor saw.
    pub fn note(&mut self, worker: &str, shard: &str, seen: Seen) {
        self.seen.entry((worker.into(), shard.into())).or_default().push(seen);
    }

    /// What the processors of one worker of the Kinesis Client Library wrote down so far.
    pub fn of_journal(worker: &str, journal: &Path) -> Self {
        let mut account = Self::default();
        for event in read_journal(journal) {
            match event.step {
                KclStep::Start { sequence, sub } => account.note(worker, &event.shard, Seen::Start { sequence, sub }),
                KclStep::Record { sequence, sub, data } => {
                    account.note(worker, &event.shard, Seen::Record { sequence, sub, data });
                }
                KclStep::Checkpoint(_) | KclStep::Ended | KclStep::Shutdown | KclStep::Lost => {}
            }
        }
        account
    }

    /// Takes in another one.
    pub fn add(&mut self, other: Self) {
        for (who, seen) in other.seen {
            self.seen.entry(who).or_default().extend(seen);
        }
    }

    /// How often each record, by its data, was processed.
    pub fn records(&self) -> BTreeMap<&str, usize> {
        let mut records = BTreeMap::new();
        for seen in self.seen.values().flatten() {
            if let Seen::Record { data, .. } = seen {
                *records.entry(data.as_str()).or_default() += 1;
            }
        }
        records
    }

    /// The last record that a worker was given of a shard.
    pub fn last_of(&self, worker: &str, shard: &str) -> Option<Position> {
        let seen = self.seen.get(&(worker.to_owned(), shard.to_owned()))?;
        seen.iter().rev().find_map(|seen| match seen {
            Seen::Record { sequence, sub, .. } => Some(Position::new(sequence.parse().ok()?, *sub)),
            Seen::Start { .. } => None,
        })
    }

    /// Where a worker first began in each shard that it was given.
    pub fn starts(&self, worker: &str) -> BTreeMap<&str, (&str, u64)> {
        let mine = self.seen.iter().filter(|((who, _), _)| who == worker);
        mine.filter_map(|((_, shard), seen)| match seen.first()? {
            Seen::Start { sequence, sub } => Some((shard.as_str(), (sequence.as_str(), *sub))),
            Seen::Record { .. } => None,
        })
        .collect()
    }

    /// The records that a worker was given of a shard after a checkpoint.
    pub fn after(&self, worker: &str, shard: &str, (sequence, sub): (&str, u64)) -> BTreeSet<String> {
        let checkpoint = Position::new(sequence.parse().expect("a checkpoint that we understand"), sub);
        let seen = self.seen.get(&(worker.to_owned(), shard.to_owned()));
        seen.into_iter().flatten().filter_map(|seen| seen.after(&checkpoint)).collect()
    }

    /// The records that were processed and lie after the checkpoints of `items`: what a crash at that moment leaves
    /// to be processed once more.
    pub fn not_checkpointed(&self, items: &Items) -> BTreeSet<String> {
        let mut open = BTreeSet::new();
        for ((_, shard), seen) in &self.seen {
            let (sequence, sub) = items.checkpoint(shard);
            let checkpoint = Position::new(sequence.parse().expect("a checkpoint that we understand"), sub);
            open.extend(seen.iter().filter_map(|seen| seen.after(&checkpoint)));
        }
        open
    }

    /// Asks that each time a processor was started, its records came in the shard's order.
    pub fn assert_ordered(&self) {
        for (who, seen) in &self.seen {
            let mut last = None;
            for seen in seen {
                last = match seen {
                    Seen::Start { .. } => None,
                    Seen::Record { sequence, sub, .. } => {
                        let position = Position::new(sequence.parse().expect("a sequence number"), *sub);
                        assert!(
                            last.as_ref().is_none_or(|last| *last < position),
                            "{who:?}: {position} after {last:?}"
                        );
                        Some(position)
                    }
                };
            }
        }
    }
}

/// Asks that no checkpoint of a worker of the Kinesis Client Library failed, but of shards that it lost.
pub fn assert_checkpointed(worker: &str, journal: &Path) {
    let events = read_journal(journal);
    let lost: BTreeSet<&str> =
        events.iter().filter(|event| event.step == KclStep::Lost).map(|event| event.shard.as_str()).collect();
    for event in &events {
        if let KclStep::Checkpoint(Some(error)) = &event.step {
            assert!(lost.contains(event.shard.as_str()), "a checkpoint of {worker} in {} failed: {error}", event.shard);
        }
    }
}
