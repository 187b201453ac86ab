//! What to do about a day. Pure: from what is there, and the time, to a list of steps in the order in which they are
//! safe to take.

use std::collections::{HashMap, HashSet};

use dial_rules::event::Millis;
use sha2::{Digest, Sha256};

use crate::compaction::footer::Footer;
use crate::folders::{Folders, Kind};
use crate::layout::Day;
use crate::shard::hex;
use crate::store::Listed;
use crate::switch::Switch;
use crate::visibility::Visibility;

/// Milliseconds of a day.
const DAY: Millis = 86_400_000;

/// The times and sizes that compaction goes by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    /// A day is compacted once it ended so many milliseconds ago: what arrives for it later makes another generation.
    pub closed_after: Millis,
    /// What no longer counts is deleted so many milliseconds after that came to be so. Longer than the longest query
    /// takes, and than a put can be on its way.
    pub grace: Millis,
    /// A switch takes effect so many milliseconds after it is made. More than the clocks of two machines differ: of
    /// that which compacts and that which begins a query.
    pub margin: Millis,
    /// Files are made from so many bytes of rows, as they lie in memory, at most. Those with half of it or more are
    /// left as they are.
    pub budget: u64,
}

impl Default for Policy {
    /// A day, a day, a minute, 256 MiB.
    fn default() -> Self {
        Policy { closed_after: DAY, grace: DAY, margin: 60_000, budget: 256 << 20 }
    }
}

/// What there is of a day, as it was listed: the switches first.
#[derive(Debug, Clone)]
pub struct DayFiles {
    folders: Folders,
    day: Day,
    switches: Vec<Switch>,
    files: Vec<(Kind, Listed)>,
    /// When switches came to be there, where that is known.
    put: HashMap<u64, Millis>,
}

/// Whether a day may be compacted now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It may.
    Closed,
    /// Not before this time: it ended too short a time ago, or not yet.
    Open(Millis),
    /// Not before this time: that is when its last switch takes effect.
    Switching(Millis),
}

/// A file that others are to be merged with, and what it holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// Its key.
    pub key: String,
    /// Its length in bytes.
    pub size: u64,
    /// What its footer says.
    pub footer: Footer,
}

/// Why a file is deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// It has not counted since this time.
    Hidden(Millis),
    /// It was made for a switch that another one was put in place of, so that it never counts.
    Orphan,
}

/// A step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Make one file of several, unless it is there; either way see that it has all their rows.
    Merge {
        /// The files, in the order in which rows of equal time and id are kept.
        sources: Vec<Source>,
        /// The key of the file to make: a function of the sources and the generation.
        target: String,
        /// How many rows it has.
        rows: u64,
    },
    /// Put the switch of this generation, to take effect later than now. From then on the targets count and the
    /// sources do not.
    Switch {
        /// Its number.
        generation: u64,
        /// The sources.
        hide: Vec<String>,
        /// The targets.
        show: Vec<String>,
    },
    /// Delete a file.
    Remove {
        /// Its key.
        key: String,
        /// Its length in bytes.
        size: u64,
        /// Why that is right.
        why: Why,
    },
}

impl DayFiles {
    /// The day with all its switches, and those of these objects that are its files.
    #[must_use]
    pub fn new(folders: Folders, day: Day, mut switches: Vec<Switch>, objects: Vec<Listed>) -> DayFiles {
        switches.sort_by_key(|switch| switch.generation);
        let file = |object: Listed| {
            let place = folders.place(&object.key).filter(|(of, _)| *of == day);
            place.map(|(_, kind)| (kind, object))
        };
        let files = objects.into_iter().filter_map(file).collect();
        DayFiles { folders, day, switches, files, put: HashMap::new() }
    }

    /// The day.
    #[must_use]
    pub fn day(&self) -> Day {
        self.day
    }

    /// Its last switch.
    #[must_use]
    pub fn last_switch(&self) -> Option<&Switch> {
        self.switches.last()
    }

    /// The switches by which files that are still there are hidden.
    pub fn hiding(&self) -> impl Iterator<Item = &Switch> {
        let there: HashSet<&str> = self.files.iter().map(|(_, file)| file.key.as_str()).collect();
        self.switches.iter().filter(move |switch| switch.hide.iter().any(|key| there.contains(key.as_str())))
    }

    /// The same, knowing when the switch of this generation came to be there: what it hides is kept for the grace
    /// period from then on, should that be later than its effect.
    #[must_use]
    pub fn put_at(mut self, generation: u64, time: Millis) -> DayFiles {
        self.put.insert(generation, time);
        self
    }

    /// Whether a file of this key was there.
    #[must_use]
    pub fn has(&self, key: &str) -> bool {
        self.files.iter().any(|(_, file)| file.key == key)
    }

    /// Whether the day may be compacted now.
    #[must_use]
    pub fn standing(&self, now: Millis, policy: &Policy) -> Standing {
        let closes = self.day.end().saturating_add(policy.closed_after);
        match self.last_switch().map(|switch| switch.effective_from) {
            _ if now < closes => Standing::Open(closes),
            Some(effective) if now < effective => Standing::Switching(effective),
            _ => Standing::Closed,
        }
    }

    /// The files whose footers are needed to [`plan`]: none where nothing is to be made of them.
    #[must_use]
    pub fn candidates(&self, now: Millis, policy: &Policy) -> Vec<Listed> {
        if self.standing(now, policy) != Standing::Closed {
            return Vec::new();
        }
        let visibility = Visibility::at(&self.switches, now);
        // Rows take more room in memory than in a file.
        let small = |(kind, file): &&(Kind, Listed)| visibility.sees(&file.key, *kind) && file.size < policy.budget;
        let small: Vec<&(Kind, Listed)> = self.files.iter().filter(small).collect();
        // Compacted files among themselves are as few as they can be.
        let written = small.iter().any(|(kind, _)| *kind == Kind::Written);
        let some = if written && small.len() > 1 { small } else { Vec::new() };
        some.into_iter().map(|(_, file)| file.clone()).collect()
    }

    /// Whether nothing is to be done about the day now; where files' footers would have to be looked at, there is.
    #[must_use]
    pub fn is_settled(&self, now: Millis, policy: &Policy) -> bool {
        self.candidates(now, policy).is_empty() && self.removals(now, policy).is_empty()
    }

    /// The number of the next switch.
    fn next(&self) -> u64 {
        self.last_switch().map_or(0, |switch| switch.generation).saturating_add(1)
    }

    fn removals(&self, now: Millis, policy: &Policy) -> Vec<Action> {
        let mut hidden: HashMap<&String, Millis> = HashMap::new();
        for switch in &self.switches {
            let since = self.put.get(&switch.generation).copied().unwrap_or(Millis::MIN).max(switch.effective_from);
            for key in &switch.hide {
                hidden.entry(key).or_insert(since);
            }
        }
        let shown: HashSet<&String> = self.switches.iter().flat_map(|switch| &switch.show).collect();
        let why = |kind: &Kind, key: &String| match (kind, hidden.get(key)) {
            (_, Some(since)) => (since.saturating_add(policy.grace) <= now).then_some(Why::Hidden(*since)),
            // A switch of its number is there and does not show it; there never is another of that number.
            (Kind::Compacted(of), None) if *of < self.next() && !shown.contains(key) => Some(Why::Orphan),
            _ => None,
        };
        let remove = |(kind, file): &(Kind, Listed)| {
            let why = why(kind, &file.key)?;
            Some(Action::Remove { key: file.key.clone(), size: file.size, why })
        };
        self.files.iter().filter_map(remove).collect()
    }
}

/// What to do about a day, in order. `sources` are the [`candidates`](DayFiles::candidates) with their footers.
///
/// 1. Files with less than half the budget of rows are merged, neighbours in time together. Files are named after what
///    they are made of and the generation of the switch that shall show them. Whoever does this again finds those of
///    an earlier attempt; and once another switch has that number, they are known to be nobody's.
/// 2. One switch for all of them: the only step that changes what readers see, and one that either is taken or not.
/// 3. What has not counted for the grace period is deleted.
///
/// Steps may be taken again, and broken off anywhere. Of several who do so at once, one puts the switch; the others
/// then plan again.
#[must_use]
pub fn plan(files: &DayFiles, sources: Vec<Source>, now: Millis, policy: &Policy) -> Vec<Action> {
    let mut actions = Vec::new();
    if files.standing(now, policy) == Standing::Closed {
        let (generation, mut hide, mut show) = (files.next(), Vec::new(), Vec::new());
        for sources in runs(sources, policy.budget) {
            let target = files.folders.target_key(files.day, generation, &digest(&sources));
            hide.extend(sources.iter().map(|source| source.key.clone()));
            show.push(target.clone());
            let rows = sources.iter().map(|source| source.footer.rows).sum();
            actions.push(Action::Merge { sources, target, rows });
        }
        if !show.is_empty() {
            actions.push(Action::Switch { generation, hide, show });
        }
    }
    actions.extend(files.removals(now, policy));
    actions
}

/// When a switch that is made now takes effect: after everything that it shows became durable, for every clock; and
/// after the one before it.
#[must_use]
pub fn effective_from(now: Millis, last: Option<&Switch>, policy: &Policy) -> Millis {
    // Clocks are read in whole milliseconds: the next one has not begun when the targets became durable.
    let next = now.saturating_add(1).saturating_add(policy.margin);
    last.map_or(next, |last| next.max(last.effective_from.saturating_add(1)))
}

/// Small files by time, as many together as the budget holds; each run has two at least.
fn runs(mut sources: Vec<Source>, budget: u64) -> Vec<Vec<Source>> {
    sources.retain(|source| source.footer.memory < budget / 2);
    sources.sort_by(|a, b| (a.footer.earliest, &a.key).cmp(&(b.footer.earliest, &b.key)));
    let mut runs: Vec<Vec<Source>> = Vec::new();
    let mut held = 0;
    for source in sources {
        held += source.footer.memory;
        match runs.last_mut() {
            Some(run) if held <= budget => run.push(source),
            _ => {
                held = source.footer.memory;
                runs.push(vec![source]);
            }
        }
    }
    runs.retain(|run| run.len() > 1);
    runs
}

/// What names the file that is made of these.
fn digest(sources: &[Source]) -> String {
    let mut hash = Sha256::new();
    for source in sources {
        hash.update(source.key.as_bytes());
        hash.update(b"\n");
    }
    hex(&hash.finalize())[..32].to_owned()
}

#[cfg(test)]
#[path = "plan_tests.rs"]
mod tests;
