//! Matches as bytes: a third of what they take otherwise, and nothing to be allocated for each. Pure.
//!
//! A log is records one after the other. A record is the lengths of its two parts, 4 bytes each, lowest first; the group;
//! and the match. A number is 7 bits a byte, lowest first, the eighth saying that more follow. A text is its length and
//! its bytes; one that may be missing its length and one more, or 0; a list its length and its texts. It is never kept
//! beyond the process.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

use dial_rules::correlation::{Correlation, CorrelationMatch, GroupKey, Seen};
use dial_rules::event::Millis;
use dial_rules::finding::{Evidence, Subject};
use dial_rules::lineage::{Lineage, is_temporary};

/// A match in a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Record<'l> {
    /// Equal where groups are.
    pub(super) group: &'l [u8],
    matched: &'l [u8],
}

/// Appends a match.
pub(super) fn append(log: &mut Vec<u8>, group: &GroupKey, matched: &CorrelationMatch) {
    let begin = log.len();
    log.extend([0; 8]);
    number(log, group.0.len());
    for (name, value) in &group.0 {
        text(log, name);
        text(log, value);
    }
    let middle = log.len();
    append_match(log, matched);
    let lengths = [middle - begin - 8, log.len() - middle].map(|length| u32::try_from(length).unwrap_or(u32::MAX));
    let lengths = (u64::from(lengths[1]) << 32 | u64::from(lengths[0])).to_le_bytes();
    log[begin..begin + 8].copy_from_slice(&lengths);
}

fn append_match(log: &mut Vec<u8>, matched: &CorrelationMatch) {
    // All fields, so that none is forgotten.
    let CorrelationMatch {
        event_time,
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
    log.extend(event_time.to_le_bytes());
    list(log, credentials);
    list(log, persons);
    for whole in [event_id, event_name, event_source, rule_id] {
        text(log, whole);
    }
    for optional in [account_id, region, actor, source_ip, target, actor_arn, shared_event_id] {
        match optional {
            None => log.push(0),
            Some(value) => {
                number(log, value.len() + 1);
                log.extend_from_slice(value.as_bytes());
            }
        }
    }
    list(log, values);
}

fn number(log: &mut Vec<u8>, mut value: usize) {
    while value > 0x7f {
        log.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    log.push(value as u8);
}

fn text(log: &mut Vec<u8>, text: &str) {
    number(log, text.len());
    log.extend_from_slice(text.as_bytes());
}

fn list(log: &mut Vec<u8>, texts: &BTreeSet<String>) {
    number(log, texts.len());
    texts.iter().for_each(|one| text(log, one));
}

/// The records of a log, as far as it is one.
pub(super) fn records(log: &[u8]) -> impl Iterator<Item = Record<'_>> {
    let mut rest = Reading(log);
    std::iter::from_fn(move || {
        let [group, matched] = [rest.length()?, rest.length()?];
        Some(Record { group: rest.bytes(group)?, matched: rest.bytes(matched)? })
    })
}

/// The group of records.
pub(super) fn group(bytes: &[u8]) -> Option<GroupKey> {
    let mut from = Reading(bytes);
    let count = from.number()?;
    let pairs: Option<BTreeMap<String, String>> = (0..count).map(|_| Some((from.text()?, from.text()?))).collect();
    pairs.map(GroupKey)
}

impl Record<'_> {
    /// The match.
    pub(super) fn unpacked(&self) -> Option<CorrelationMatch> {
        let mut from = Reading(self.matched);
        Some(CorrelationMatch {
            event_time: from.time()?,
            origin: Lineage { credentials: from.list()?, persons: from.list()? },
            event_id: from.text()?,
            event_name: from.text()?,
            event_source: from.text()?,
            rule_id: from.text()?,
            account_id: from.optional()?,
            region: from.optional()?,
            actor: from.optional()?,
            source_ip: from.optional()?,
            target: from.optional()?,
            actor_arn: from.optional()?,
            shared_event_id: from.optional()?,
            values: from.list()?,
        })
    }

    /// The credential and the persons that its event names, if the credential came from another.
    pub(super) fn growing_origin(&self) -> Option<Lineage> {
        let mut from = Reading(self.matched);
        from.time()?;
        let begin = Reading(from.0);
        let mut temporary = false;
        for _ in 0..from.number()? {
            temporary |= is_temporary(from.str()?);
        }
        let mut from = begin;
        temporary.then(|| Some(Lineage { credentials: from.list()?, persons: from.list()? }))?
    }
}

/// A match that is read as far as it is evaluated.
#[derive(Debug)]
pub(super) struct View<'l> {
    time: Millis,
    event_id: &'l str,
    rule_id: &'l str,
    shared_event_id: Option<&'l str>,
    values: Vec<&'l str>,
    record: Record<'l>,
}

impl<'l> View<'l> {
    /// Of a record, all of whose parts are there.
    pub(super) fn of(record: Record<'l>) -> Option<View<'l>> {
        let mut from = Reading(record.matched);
        let time = from.time()?;
        from.skip_lists(2)?;
        let event_id = from.str()?;
        from.skip_texts(2)?;
        let rule_id = from.str()?;
        from.skip_optional(6)?;
        let shared_event_id = from.optional_str()?;
        let count = from.number()?;
        let values = (0..count).map(|_| from.str()).collect::<Option<Vec<_>>>()?;
        Some(View { time, event_id, rule_id, shared_event_id, values, record })
    }

    /// All of it.
    pub(super) fn whole(&self) -> CorrelationMatch {
        // It is there, and what was a text is one.
        self.record.unpacked().unwrap_or_default()
    }
}

impl Seen for View<'_> {
    fn time(&self) -> Millis {
        self.time
    }

    fn rule_id(&self) -> &str {
        self.rule_id
    }

    fn distinct_id(&self) -> &str {
        self.shared_event_id.unwrap_or(self.event_id)
    }

    fn values(&self) -> impl Iterator<Item = &str> {
        self.values.iter().copied()
    }

    fn evidence(&self) -> Evidence {
        self.whole().evidence()
    }

    fn subject(&self, correlation: &Correlation) -> Subject {
        self.whole().subject(correlation)
    }
}

impl Ord for View<'_> {
    fn cmp(&self, other: &Self) -> Ordering {
        let first = self.time.cmp(&other.time).then_with(|| self.event_id.cmp(other.event_id));
        first.then_with(|| match self == other {
            true => Ordering::Equal,
            false => self.whole().cmp(&other.whole()),
        })
    }
}

impl PartialOrd for View<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for View<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.record.matched == other.record.matched
    }
}

impl Eq for View<'_> {}

/// What is still to be read.
struct Reading<'l>(&'l [u8]);

impl<'l> Reading<'l> {
    fn bytes(&mut self, count: usize) -> Option<&'l [u8]> {
        let (bytes, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(bytes)
    }

    fn length(&mut self) -> Option<usize> {
        usize::try_from(u32::from_le_bytes(self.bytes(4)?.try_into().ok()?)).ok()
    }

    fn time(&mut self) -> Option<Millis> {
        Some(Millis::from_le_bytes(self.bytes(8)?.try_into().ok()?))
    }

    fn number(&mut self) -> Option<usize> {
        let mut value = 0;
        for shift in (0..usize::BITS).step_by(7) {
            let (byte, rest) = self.0.split_first()?;
            self.0 = rest;
            value |= usize::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some(value);
            }
        }
        None
    }

    fn str(&mut self) -> Option<&'l str> {
        let length = self.number()?;
        str::from_utf8(self.bytes(length)?).ok()
    }

    fn text(&mut self) -> Option<String> {
        self.str().map(str::to_owned)
    }

    fn optional_str(&mut self) -> Option<Option<&'l str>> {
        match self.number()? {
            0 => Some(None),
            length => str::from_utf8(self.bytes(length - 1)?).ok().map(Some),
        }
    }

    fn optional(&mut self) -> Option<Option<String>> {
        self.optional_str().map(|text| text.map(str::to_owned))
    }

    fn skip_texts(&mut self, count: usize) -> Option<()> {
        for _ in 0..count {
            let length = self.number()?;
            self.bytes(length)?;
        }
        Some(())
    }

    fn skip_optional(&mut self, count: usize) -> Option<()> {
        for _ in 0..count {
            let length = self.number()?;
            self.bytes(length.saturating_sub(1))?;
        }
        Some(())
    }

    fn skip_lists(&mut self, count: usize) -> Option<()> {
        for _ in 0..count {
            let texts = self.number()?;
            self.skip_texts(texts)?;
        }
        Some(())
    }

    fn list(&mut self) -> Option<BTreeSet<String>> {
        let count = self.number()?;
        let mut list = BTreeSet::new();
        for _ in 0..count {
            list.insert(self.text()?);
        }
        Some(list)
    }
}

#[cfg(test)]
mod tests;
