//! [`Correlations`]: those of a rule set, and where each match goes.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use rsigma_eval::Event as _;
use serde::{Deserialize, Serialize};

use super::group::group_keys;
use super::{ACTOR, Condition, Correlation, CorrelationMatch, GroupKey, MOST_VALUES, Part, values};
use crate::fields::Fields;
use crate::finding::Finding;
use crate::lineage::Lineage;
use crate::rule::Rule;
use crate::ruleset::Match;
use crate::tables::Tables;

/// The correlations of a rule set.
#[derive(Debug, Default)]
pub struct Correlations {
    list: Vec<Arc<Correlation>>,
    /// Indexes into the list, inner correlations before outer ones.
    order: Vec<usize>,
    /// By a part's id, who lists it.
    by_part: HashMap<String, Vec<usize>>,
    /// Ids of rules and correlations that make no findings of their own.
    silent: HashSet<String>,
}

/// A match on its way to a window.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Filed {
    /// Id of the correlation.
    pub correlation: String,
    /// Which of its windows.
    pub group: GroupKey,
    /// What the window keeps.
    pub matched: CorrelationMatch,
}

/// Where one match goes, and where it does not.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filing {
    /// One entry for each correlation and group.
    pub filed: Vec<Filed>,
    /// How many correlations it takes no part in because its event lacks a field to group by, or to count values of.
    pub missing: u64,
    /// How many groups were left out beyond [`super::MOST_GROUPS`].
    pub left_out: u64,
}

impl Correlations {
    /// `done` by the order of the files, `order` with inner ones first.
    pub(super) fn new(done: &BTreeMap<usize, Arc<Correlation>>, order: &[usize], rules: &[Arc<Rule>]) -> Correlations {
        let position: BTreeMap<usize, usize> = done.keys().enumerate().map(|(at, draft)| (*draft, at)).collect();
        let list: Vec<_> = done.values().map(Arc::clone).collect();
        let mut correlations = Correlations {
            order: order.iter().filter_map(|draft| position.get(draft).copied()).collect(),
            silent: HashSet::new(),
            by_part: by_part(&list),
            list,
        };
        let own: Vec<(&str, &str)> = rules.iter().map(|rule| (rule.id.as_str(), rule.file.as_str())).collect();
        correlations.silent = correlations.silenced(&own);
        correlations
    }

    /// Sigma lets the rules that a correlation lists make no findings of their own unless it says `generate: true`. That
    /// holds here for those of its own file, which are written for it; what other files have made is not silenced by
    /// somebody else's correlation.
    fn silenced(&self, rules: &[(&str, &str)]) -> HashSet<String> {
        let inner = self.list.iter().map(|correlation| (correlation.id.as_str(), correlation.file.as_str()));
        let silent = |(id, file): &(&str, &str)| {
            let listing = || self.listing(id);
            listing().any(|outer| outer.file == *file) && !listing().any(|outer| outer.generate)
        };
        rules.iter().copied().chain(inner).filter(silent).map(|(id, _)| id.to_owned()).collect()
    }

    /// The same without those with these ids. What they silenced stays silent: whoever switches a correlation off does
    /// not ask for a finding of each of its parts.
    pub(crate) fn without(self, ids: &BTreeSet<String>) -> Correlations {
        let order: Vec<_> = self.order.iter().map(|at| Arc::clone(&self.list[*at])).collect();
        let list: Vec<_> = self.list.into_iter().filter(|correlation| !ids.contains(&correlation.id)).collect();
        let at = |wanted: &Arc<Correlation>| list.iter().position(|correlation| correlation.id == wanted.id);
        let order = order.iter().filter_map(at).collect();
        Correlations { order, by_part: by_part(&list), silent: self.silent, list }
    }

    /// In the order of their files.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Arc<Correlation>> {
        self.list.iter()
    }

    /// Inner correlations before those that list them.
    pub fn inner_first(&self) -> impl ExactSizeIterator<Item = &Arc<Correlation>> {
        self.order.iter().map(|at| &self.list[*at])
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.list.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// The correlation with this id.
    pub fn get(&self, id: &str) -> Option<&Arc<Correlation>> {
        self.list.iter().find(|correlation| correlation.id == id)
    }

    /// The correlations that list this rule or correlation.
    pub fn listing(&self, id: &str) -> impl Iterator<Item = &Arc<Correlation>> {
        self.by_part.get(id).into_iter().flatten().map(|at| &self.list[*at])
    }

    /// Ids of the rules whose matches reach this correlation, also by way of others.
    pub fn rules_of(&self, id: &str) -> BTreeSet<String> {
        let mut rules = BTreeSet::new();
        let mut ahead: Vec<&Part> = self.get(id).into_iter().flat_map(|correlation| &correlation.parts).collect();
        // Correlations never list themselves, so this ends.
        while let Some(part) = ahead.pop() {
            match self.get(&part.id) {
                Some(inner) if part.is_correlation => ahead.extend(&inner.parts),
                _ => {
                    rules.insert(part.id.clone());
                }
            }
        }
        rules
    }

    /// Whether the rule or correlation with this id makes findings of its own: all do but those that a correlation of the
    /// same file lists, unless one that lists them says `generate: true`.
    pub fn makes_findings(&self, id: &str) -> bool {
        !self.silent.contains(id)
    }

    /// Where a match goes. `lineage` is everybody who is behind the event's credential, as far as is known; filing the
    /// match again when more is known adds the groups that are new, and changes none.
    pub fn file(&self, found: &Match<'_>, tables: &Tables, lineage: &Lineage) -> Filing {
        if !self.by_part.contains_key(&found.rule.id) {
            return Filing::default();
        }
        self.file_single(&Finding::single(found), found, tables, lineage)
    }

    /// [`Correlations::file`] where the finding of the match alone, [`Finding::single`], is there already.
    pub fn file_single(&self, finding: &Finding, found: &Match<'_>, tables: &Tables, lineage: &Lineage) -> Filing {
        let fields = Fields::new(found.event, tables);
        let read = |field: &str| match field {
            ACTOR => lineage.credentials.union(&lineage.persons).cloned().collect(),
            field => values::texts(fields.get_field(field).as_ref()),
        };
        self.file_values(CorrelationMatch::of_single(finding, found), read)
    }

    /// Where a match goes whose event has these values at each field.
    pub fn file_values(&self, kept: CorrelationMatch, read: impl Fn(&str) -> BTreeSet<String>) -> Filing {
        let mut filing = Filing::default();
        let mut windows = Vec::new();
        for correlation in self.listing(&kept.rule_id) {
            filing.find(correlation, &kept, &read, &mut windows);
        }
        filing.filed.reserve_exact(windows.len());
        let mut kept = Some(kept);
        while let Some(Window { correlation, group, counting }) = windows.pop() {
            // Most matches go to one window and need not be copied.
            let whole = || if windows.is_empty() { kept.take() } else { kept.clone() };
            let matched = counting.or_else(whole).unwrap_or_default();
            filing.filed.push(Filed { correlation: correlation.id.clone(), group, matched });
        }
        filing.filed.reverse();
        filing
    }

    /// Where a completion of `inner` in this group goes: to the correlations that list it.
    pub fn file_completion(&self, inner: &Correlation, group: &GroupKey, completing: &CorrelationMatch) -> Filing {
        if !self.by_part.contains_key(&inner.id) {
            return Filing::default(); // the usual case, and there are as many completions as matches
        }
        self.file_values(completing.completing(inner), |field| {
            group.get(field).map(str::to_owned).into_iter().collect()
        })
    }
}

/// Where a match goes.
struct Window<'c> {
    correlation: &'c Correlation,
    group: GroupKey,
    /// The match with its values, where these are counted.
    counting: Option<CorrelationMatch>,
}

impl Filing {
    fn find<'c>(
        &mut self,
        correlation: &'c Correlation,
        kept: &CorrelationMatch,
        read: &dyn Fn(&str) -> BTreeSet<String>,
        windows: &mut Vec<Window<'c>>,
    ) {
        let Some(part) = correlation.part(&kept.rule_id) else {
            return;
        };
        let groups = group_keys(correlation, |name| read(part.field(name)));
        let counting = match &correlation.condition {
            Condition::ValueCount { fields, .. } => Some(kept.clone().counting(combined(part, fields, read))),
            _ => None,
        };
        if counting.as_ref().is_some_and(|counting| counting.values.is_empty()) {
            self.missing += 1;
            return;
        }
        self.missing += u64::from(groups.missing);
        self.left_out += groups.left_out as u64;
        let window = |group| Window { correlation, group, counting: counting.clone() };
        windows.extend(groups.keys.into_iter().map(window));
    }
}

/// By a part's id, who lists it.
fn by_part(list: &[Arc<Correlation>]) -> HashMap<String, Vec<usize>> {
    let mut by_part: HashMap<String, Vec<usize>> = HashMap::new();
    for (at, correlation) in list.iter().enumerate() {
        let ids: BTreeSet<&String> = correlation.parts.iter().map(|part| &part.id).collect();
        ids.into_iter().for_each(|id| by_part.entry(id.clone()).or_default().push(at));
    }
    by_part
}

/// The values to count: of several fields every combination, as a JSON list.
fn combined(part: &Part, fields: &[String], read: &dyn Fn(&str) -> BTreeSet<String>) -> BTreeSet<String> {
    if let [field] = fields {
        return read(part.field(field));
    }
    let mut rows: Vec<Vec<String>> = vec![Vec::new()];
    for field in fields {
        let values = read(part.field(field));
        let with = |row: &Vec<String>, value: &String| row.iter().chain([value]).cloned().collect::<Vec<_>>();
        let longer = rows.iter().flat_map(|row| values.iter().map(move |value| with(row, value)));
        rows = longer.take(MOST_VALUES).collect();
    }
    rows.iter().map(|row| values::bounded(&serde_json::json!(row).to_string())).collect()
}
