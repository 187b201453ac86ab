//! [`Held`]: matches in memory, by correlation. Pure.

use std::collections::{BTreeMap, HashMap};

use dial_rules::correlation::{CorrelationMatch, Filed, GroupKey};
use dial_rules::lineage::Lineage;

use super::packed::{self, Record, View};
use super::{CorrelateError, entry};

/// How many bytes of a log are in one piece, about.
const PIECE: usize = 256 * 1024;

/// Matches on their way to evaluation, in no order, and some of them maybe more than once.
#[derive(Debug, Default)]
pub(crate) struct Held {
    /// By the id of the correlation.
    logs: BTreeMap<String, Log>,
    bytes: usize,
}

/// The matches of one correlation.
#[derive(Debug, Default)]
pub(super) struct Log(Vec<Vec<u8>>);

impl Held {
    /// Adds a match as a window store would keep it.
    ///
    /// # Errors
    /// When the match cannot be written as JSON.
    pub(crate) fn add(&mut self, filed: &Filed) -> Result<(), CorrelateError> {
        let Filed { correlation, group, matched } = filed;
        if longest_json(matched) <= entry::LONGEST_MATCH {
            self.append(correlation, group, matched);
            return Ok(());
        }
        for part in entry::as_kept(matched)? {
            self.append(correlation, group, &part);
        }
        Ok(())
    }

    fn append(&mut self, correlation: &str, group: &GroupKey, matched: &CorrelationMatch) {
        let log = match self.logs.get_mut(correlation) {
            Some(log) => log,
            None => self.logs.entry(correlation.to_owned()).or_default(),
        };
        let full = |piece: &Vec<u8>| piece.len() >= PIECE;
        if log.0.last().is_none_or(full) {
            log.0.push(Vec::new());
        }
        if let Some(piece) = log.0.last_mut() {
            let before = piece.capacity();
            packed::append(piece, group, matched);
            self.bytes += piece.capacity() - before;
        }
    }

    /// Adds what others hold.
    pub(super) fn join(&mut self, other: Held) {
        for (correlation, log) in other.logs {
            self.put(correlation, log);
        }
    }

    /// Adds matches of one correlation.
    pub(super) fn put(&mut self, correlation: String, log: Log) {
        self.bytes += log.bytes();
        self.logs.entry(correlation).or_default().0.extend(log.0);
    }

    /// How much memory they take, in bytes.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// All of one correlation, which are held no longer.
    pub(super) fn take(&mut self, correlation: &str) -> Log {
        let log = self.logs.remove(correlation).unwrap_or_default();
        self.bytes -= log.bytes();
        log
    }

    /// The origins of matches of this correlation of which more may become known than the events say.
    pub(super) fn growing_origins(&self, correlation: &str) -> impl Iterator<Item = Lineage> {
        let records = self.logs.get(correlation).into_iter().flat_map(Log::records);
        records.filter_map(|record| record.growing_origin())
    }

    /// Everything, which is held no longer. The memory is given back as it is read.
    pub(super) fn drain(&mut self) -> impl Iterator<Item = Result<Filed, CorrelateError>> + Send + use<> {
        self.bytes = 0;
        std::mem::take(&mut self.logs).into_iter().flat_map(|(correlation, log)| {
            log.0.into_iter().flat_map(move |piece| {
                // Iterators cannot own what they read from.
                packed::records(&piece).map(|record| filed(&correlation, record)).collect::<Vec<_>>()
            })
        })
    }
}

impl Log {
    /// Its matches.
    pub(super) fn records(&self) -> impl Iterator<Item = Record<'_>> + Send {
        self.0.iter().flat_map(|piece| packed::records(piece))
    }

    /// Its matches by group.
    pub(super) fn groups(&self) -> Vec<(&[u8], Vec<Record<'_>>)> {
        let mut groups: HashMap<&[u8], Vec<Record<'_>>> = HashMap::new();
        for record in self.records() {
            groups.entry(record.group).or_default().push(record);
        }
        let mut groups: Vec<_> = groups.into_iter().collect();
        groups.sort_unstable_by_key(|(group, _)| *group);
        groups
    }

    fn bytes(&self) -> usize {
        self.0.iter().map(Vec::capacity).sum()
    }
}

/// What was added.
pub(super) fn filed(correlation: &str, record: Record<'_>) -> Result<Filed, CorrelateError> {
    Ok(Filed {
        correlation: correlation.to_owned(),
        group: group(correlation, record.group)?,
        matched: record.unpacked().ok_or_else(|| damaged(correlation))?,
    })
}

/// The group of records.
pub(super) fn group(correlation: &str, bytes: &[u8]) -> Result<GroupKey, CorrelateError> {
    packed::group(bytes).ok_or_else(|| damaged(correlation))
}

/// The matches of records, to be evaluated.
pub(super) fn views<'l>(correlation: &str, records: Vec<Record<'l>>) -> Result<Vec<View<'l>>, CorrelateError> {
    records.into_iter().map(|record| View::of(record).ok_or_else(|| damaged(correlation))).collect()
}

fn damaged(correlation: &str) -> CorrelateError {
    let (key, reason) = ("in memory".to_owned(), "it cannot be read again".to_owned());
    CorrelateError::Damaged { correlation: correlation.to_owned(), key, reason }
}

/// More bytes than the match has as JSON: a byte becomes six at most, and the names of all fields are 300.
fn longest_json(matched: &CorrelationMatch) -> usize {
    // All fields, so that none is forgotten.
    let CorrelationMatch {
        event_time: _,
        event_id,
        event_name,
        event_source,
        rule_id,
        account_id,
        region,
        actor,
        source_ip,
        target,
        actor_arn,
        origin: Lineage { credentials, persons },
        shared_event_id,
        values,
    } = matched;
    let whole = [event_id, event_name, event_source, rule_id].into_iter();
    let optional = [account_id, region, actor, source_ip, target, actor_arn, shared_event_id].into_iter().flatten();
    let texts = whole.chain(optional).chain(credentials).chain(persons).chain(values);
    texts.fold(512, |sum, text| sum + 4 + 6 * text.len())
}
