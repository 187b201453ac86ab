//! The straight line's pure part: an event goes in, findings come out.

use dial_rules::dead_letter::DeadLetter;
use dial_rules::decode::{Decoded, Decoder};
use dial_rules::event::Event;
use dial_rules::finding::Finding;
use dial_rules::ruleset::{Match, RuleSet};

/// What a record, or a batch of them, came to.
#[derive(Debug, Default)]
pub(crate) struct Detected {
    pub(crate) events: u64,
    pub(crate) findings: Vec<Finding>,
    pub(crate) dead_letters: Vec<DeadLetter>,
}

/// The findings of one event. Rules that are only parts of correlations make none.
pub(crate) fn detect(rules: &RuleSet, event: &Event) -> impl Iterator<Item = Finding> {
    let own = |found: &Match<'_>| rules.correlations().makes_findings(&found.rule.id);
    rules.evaluate(event).into_iter().filter(own).map(|found| Finding::single(&found))
}

impl Detected {
    /// Decodes one record's bytes and adds what is in it.
    pub(crate) fn add(&mut self, rules: &RuleSet, data: &[u8]) {
        for decoded in Decoder::record(data) {
            match decoded {
                Decoded::Event(event) => {
                    self.events += 1;
                    self.findings.extend(detect(rules, &event));
                }
                Decoded::DeadLetter(letter) => self.dead_letters.push(letter),
            }
        }
    }
}
