//! The straight line's pure part: an event goes in, findings come out.

use dial_rules::dead_letter::DeadLetter;
use dial_rules::decode::{Decoded, Decoder};
use dial_rules::event::Event;
use dial_rules::finding::Finding;
use dial_rules::lineage::{self, Link};
use dial_rules::ruleset::{Match, RuleSet};
use dial_rules::tables::Tables;

/// What a record, or a batch of them, came to.
#[derive(Debug, Default)]
pub(crate) struct Detected {
    pub(crate) events: u64,
    pub(crate) findings: Vec<Finding>,
    /// What it teaches of who is behind credentials.
    pub(crate) links: Vec<Link>,
    pub(crate) dead_letters: Vec<DeadLetter>,
}

/// The findings of one event, by these tables. Rules that are only parts of correlations make none.
pub(crate) fn detect(rules: &RuleSet, tables: &Tables, event: &Event) -> impl Iterator<Item = Finding> {
    let own = |found: &Match<'_>| rules.correlations().makes_findings(&found.rule.id);
    rules.evaluate_with(event, tables).into_iter().filter(own).map(|found| Finding::single(&found))
}

impl Detected {
    /// Decodes one record's bytes and adds what is in it.
    pub(crate) fn add(&mut self, rules: &RuleSet, tables: &Tables, data: &[u8]) {
        for decoded in Decoder::record(data) {
            match decoded {
                Decoded::Event(event) => {
                    self.events += 1;
                    self.findings.extend(detect(rules, tables, &event));
                    self.links.extend(lineage::links(&event));
                }
                Decoded::DeadLetter(letter) => self.dead_letters.push(letter),
            }
        }
    }
}
