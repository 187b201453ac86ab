//! [`Held`]: matches in memory, by correlation and group. Pure.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use dial_rules::correlation::{CorrelationMatch, Filed, GroupKey};
use dial_rules::lineage::{Lineage, is_temporary};

use super::{CorrelateError, entry};

/// What the allocator keeps of a text beside its bytes.
const TEXT: usize = 16;
/// What a match costs without its texts, in a list that has room for more.
const MATCH: usize = size_of::<CorrelationMatch>() * 3 / 2;

/// The matches of one correlation by group, in no order and some of them maybe more than once.
pub(super) type Groups = BTreeMap<GroupKey, Vec<CorrelationMatch>>;

/// Matches on their way to evaluation.
#[derive(Debug, Default)]
pub(super) struct Held {
    windows: HashMap<String, Groups>,
    bytes: usize,
}

impl Held {
    /// Adds a match, as a window store would keep it; says whether anything of it can be kept.
    ///
    /// # Errors
    /// When the match cannot be written as JSON.
    pub(super) fn add(&mut self, filed: Filed) -> Result<bool, CorrelateError> {
        let Filed { correlation, group, matched } = filed;
        let texts = Texts::of(&matched);
        if texts.as_json() <= entry::LONGEST_MATCH {
            self.bytes += texts.weight();
            self.window(correlation, group).push(matched);
            return Ok(true);
        }
        let parts = entry::as_kept(&matched)?;
        let kept = !parts.is_empty();
        self.bytes += parts.iter().map(weight).sum::<usize>();
        self.window(correlation, group).extend(parts);
        Ok(kept)
    }

    fn window(&mut self, correlation: String, group: GroupKey) -> &mut Vec<CorrelationMatch> {
        self.windows.entry(correlation).or_default().entry(group).or_default()
    }

    /// About how much memory they take, in bytes.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// All of one correlation, which are held no longer.
    pub(super) fn take(&mut self, correlation: &str) -> Groups {
        let groups = self.windows.remove(correlation).unwrap_or_default();
        self.bytes -= groups.values().flatten().map(weight).sum::<usize>().min(self.bytes);
        groups
    }

    /// Everything, which is held no longer. The memory is given back as it is read.
    pub(super) fn drain(&mut self) -> impl Iterator<Item = Filed> + Send + use<> {
        self.bytes = 0;
        std::mem::take(&mut self.windows).into_iter().flat_map(|(correlation, groups)| filed(correlation, groups))
    }

    /// Whose credentials came from others, of whom more may become known than the events say.
    pub(super) fn origins(&self) -> BTreeSet<&Lineage> {
        let matches = self.windows.values().flat_map(BTreeMap::values).flatten();
        let origins = matches.map(|matched| &matched.origin);
        origins.filter(|origin| origin.credentials.iter().any(|credential| is_temporary(credential))).collect()
    }
}

/// The matches of a correlation as they were filed.
pub(super) fn filed(correlation: String, groups: Groups) -> impl Iterator<Item = Filed> + Send {
    groups.into_iter().flat_map(move |(group, matches)| {
        let correlation = correlation.clone();
        let filed = move |matched| Filed { correlation: correlation.clone(), group: group.clone(), matched };
        matches.into_iter().map(filed)
    })
}

/// The texts of a match.
#[derive(Default)]
struct Texts {
    count: usize,
    bytes: usize,
}

impl Texts {
    fn of(matched: &CorrelationMatch) -> Texts {
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
        let mut texts = Texts::default();
        let mut add = |text: &String| {
            texts.count += 1;
            texts.bytes += text.len();
        };
        [event_id, event_name, event_source, rule_id].into_iter().for_each(&mut add);
        [account_id, region, actor, source_ip, target, actor_arn, shared_event_id]
            .into_iter()
            .flatten()
            .for_each(&mut add);
        credentials.iter().chain(persons).chain(values).for_each(&mut add);
        texts
    }

    /// More bytes than the match has as JSON: a byte becomes six at most, and the names of all fields are 300.
    fn as_json(&self) -> usize {
        512 + 6 * self.bytes + 4 * self.count
    }

    /// About how many bytes of memory the match takes.
    fn weight(&self) -> usize {
        MATCH + TEXT * self.count + self.bytes
    }
}

fn weight(matched: &CorrelationMatch) -> usize {
    Texts::of(matched).weight()
}
