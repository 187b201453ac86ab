//! [`FindingFilter`]: which findings to list, and [`FindingPage`]: the answer.

use std::cmp::Reverse;
use std::fmt;
use std::str::FromStr;

use dial_rules::event::Millis;
use dial_rules::finding::{Finding, FindingKind};
use dial_rules::severity::Severity;
use thiserror::Error;

/// Findings on a page when nothing else is said.
pub const DEFAULT_LIMIT: usize = 100;
/// Most findings on a page.
pub const MAX_LIMIT: usize = 1_000;

/// Which findings to list. All conditions hold at once; the default lets every finding through.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FindingFilter {
    /// Last seen at this time or later.
    pub from: Option<Millis>,
    /// Last seen before this time.
    pub to: Option<Millis>,
    /// This severity or a worse one.
    pub min_severity: Option<Severity>,
    /// Of this rule.
    pub rule_id: Option<String>,
    /// Of this kind.
    pub kind: Option<FindingKind>,
    /// Most findings on the page, from 1 to [`MAX_LIMIT`]; numbers beyond that count as the nearest.
    pub limit: usize,
    /// Where the page before ended.
    pub cursor: Option<Cursor>,
}

impl Default for FindingFilter {
    fn default() -> Self {
        Self { from: None, to: None, min_severity: None, rule_id: None, kind: None, limit: DEFAULT_LIMIT, cursor: None }
    }
}

impl FindingFilter {
    /// Whether a finding passes, `limit` and `cursor` aside.
    pub fn accepts(&self, finding: &Finding) -> bool {
        self.from.is_none_or(|from| finding.last_seen >= from)
            && self.to.is_none_or(|to| finding.last_seen < to)
            && self.min_severity.is_none_or(|least| finding.subject.severity >= least)
            && self.rule_id.as_ref().is_none_or(|id| finding.rule_id == *id)
            && self.kind.is_none_or(|kind| finding.kind == kind)
    }

    /// `limit` within its bounds.
    pub(crate) fn page_size(&self) -> usize {
        self.limit.clamp(1, MAX_LIMIT)
    }
}

/// One page of findings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FindingPage {
    /// The findings, the one with the latest activity first; of two with the same time the greater id first.
    pub findings: Vec<Finding>,
    /// Where the next page begins; `None` when this is the last.
    pub next: Option<Cursor>,
}

impl FindingPage {
    /// A page of the first `size` of `rows`, which are in listing order and hold one more where there is another page.
    pub(crate) fn first(size: usize, rows: Vec<(Cursor, Finding)>) -> Self {
        let (rows, next) = cut(size, rows);
        Self { findings: rows.into_iter().map(|(_, finding)| finding).collect(), next }
    }
}

/// The first `size` of `rows`, and where the next page begins if there are more.
pub(crate) fn cut<T>(size: usize, mut rows: Vec<(Cursor, T)>) -> (Vec<(Cursor, T)>, Option<Cursor>) {
    let more = rows.len() > size;
    rows.truncate(size);
    let next = rows.last().filter(|_| more).map(|(position, _)| position.clone());
    (rows, next)
}

/// A finding's place in a listing. As text, for a command line: `1714564800000.0f1e2d…`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cursor {
    pub(crate) last_seen: Millis,
    pub(crate) finding_id: String,
}

impl Cursor {
    pub(crate) fn of(finding: &Finding) -> Self {
        Self { last_seen: finding.last_seen, finding_id: finding.finding_id.clone() }
    }

    /// Sorts as listings are sorted: backwards in time.
    pub(crate) fn listing_order(&self) -> Reverse<&Self> {
        Reverse(self)
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.last_seen, self.finding_id)
    }
}

/// A text that no listing has printed as its cursor.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{0:?} is no cursor; pass the one that the page before ended with, unchanged")]
pub struct InvalidCursor(String);

impl FromStr for Cursor {
    type Err = InvalidCursor;

    fn from_str(text: &str) -> Result<Self, InvalidCursor> {
        let parts = text.split_once('.');
        let parsed = parts.and_then(|(time, id)| Some((time.parse().ok()?, id)));
        let (last_seen, id) = parsed.filter(|(_, id)| !id.is_empty()).ok_or_else(|| InvalidCursor(text.to_owned()))?;
        Ok(Self { last_seen, finding_id: id.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_cursor_survives_its_text() {
        for last_seen in [Millis::MIN, -1, 0, 1_714_564_800_123, Millis::MAX] {
            let cursor = Cursor { last_seen, finding_id: "0f.1e".to_owned() };
            assert_eq!(cursor.to_string().parse::<Cursor>().unwrap(), cursor);
        }
    }

    #[test]
    fn other_texts_are_refused() {
        for text in ["", ".", "12", "12.", "x.abc", "99999999999999999999.abc"] {
            let error = text.parse::<Cursor>().unwrap_err();
            assert!(error.to_string().contains("is no cursor"), "{text}");
        }
    }
}
