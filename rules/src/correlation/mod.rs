//! Correlation: several matches, by group and event time, that together are a finding.
//!
//! A [`Correlation`] is compiled from a Sigma 2.1 correlation document. Each match of a rule that it lists becomes a
//! [`CorrelationMatch`] in the windows of its [`GroupKey`]s, and [`evaluate()`] says what the matches of one window come
//! to: findings, and completions, which are the matches of an outer correlation. Nothing here depends on the order in
//! which matches are seen: the same set gives the same findings, and more matches only ever add to them.
//!
//! `docs/CORRELATION.md` is the exact description, `rules/golden/correlation.json` its test vectors.

mod compile;
mod condition;
mod evaluate;
mod family;
mod formula;
mod group;
mod matched;
mod names;
mod ordered;
mod refile;
mod resolve;
mod rows;
mod seen;
mod set;
mod shape;
mod tally;
mod values;
mod windows;

use crate::event::Millis;
use crate::severity::Severity;

pub use self::condition::{Condition, Formula};
pub use self::evaluate::{Evaluated, affected, bucket_of, evaluate, range_of};
pub use self::group::{GroupKey, Groups, MOST_GROUPS, group_keys};
pub use self::matched::CorrelationMatch;
pub use self::seen::Seen;
pub use self::set::{Correlations, Filed, Filing};
pub use self::values::{LONGEST_VALUE, MOST_VALUES};
pub use self::windows::Windows;

pub(crate) use self::compile::Draft;
pub(crate) use self::resolve::{Known, resolve};

/// The field that stands for everybody who is behind a credential, in `group-by` and `condition.field`.
pub const ACTOR: &str = "dial.actor";

/// A rule, or another correlation, that a correlation lists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// The rule's id.
    pub id: String,
    /// How the correlation's file refers to it: by id or by name.
    pub written: String,
    /// Whether it is a correlation itself, whose completions are the matches.
    pub is_correlation: bool,
    /// Where `group-by` and `condition.field` find their values in its matches: the field for each name.
    pub(crate) fields: Vec<(String, String)>,
}

impl Part {
    /// The field of this rule's events that `name` of the correlation stands for: an alias' target, or `name` itself.
    pub fn field<'p>(&'p self, name: &'p str) -> &'p str {
        self.fields.iter().find(|(alias, _)| alias == name).map_or(name, |(_, field)| field)
    }
}

/// A Sigma correlation, ready to be evaluated.
#[derive(Debug, Clone)]
pub struct Correlation {
    /// Its `id`; of one without, a hash of its title.
    pub id: String,
    /// Whether the file gives an id.
    pub has_own_id: bool,
    /// `name`, by which other correlations may refer to it.
    pub name: Option<String>,
    /// `title`.
    pub title: String,
    /// `description`, empty when there is none.
    pub description: String,
    /// `level`; medium where the file gives none.
    pub severity: Severity,
    /// Whether the file gives a level.
    pub has_own_level: bool,
    /// `status`, if the file gives one.
    pub status: Option<String>,
    /// `tags`, all of them as the file has them.
    pub tags: Vec<String>,
    /// ATT&CK techniques of the tags and of all parts, sorted.
    pub techniques: Vec<String>,
    /// ATT&CK tactics of the tags and of all parts, sorted.
    pub tactics: Vec<String>,
    /// `falsepositives`.
    pub false_positives: Vec<String>,
    /// `references`.
    pub references: Vec<String>,
    /// What to do first: `dial.remediation`.
    pub remediation: Option<String>,
    /// The file it came from, as it was named to the loader.
    pub file: String,
    /// The line of that file on which its document begins, from 1.
    pub line: usize,
    /// The rules it lists. For `temporal_ordered` in their order, where one may stand several times; otherwise each once.
    pub parts: Vec<Part>,
    /// The names that matches are grouped by, aliases among them; sorted, each once.
    pub group_by: Vec<String>,
    /// The length of the window, in milliseconds; always positive.
    pub timespan: Millis,
    /// When a window is complete.
    pub condition: Condition,
    /// Sigma's `generate`: whether the rules it lists make findings of their own, too.
    pub generate: bool,
}

impl Correlation {
    /// The Sigma type: `event_count`, `value_count`, `temporal` or `temporal_ordered`.
    pub fn kind(&self) -> &'static str {
        match self.condition {
            Condition::EventCount { .. } => "event_count",
            Condition::ValueCount { .. } => "value_count",
            Condition::Temporal(_) => "temporal",
            Condition::TemporalOrdered => "temporal_ordered",
        }
    }

    /// The part that matches of this rule belong to.
    pub fn part(&self, rule_id: &str) -> Option<&Part> {
        self.parts.iter().find(|part| part.id == rule_id)
    }
}

#[cfg(test)]
mod tests;
