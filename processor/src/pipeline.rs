//! The straight line's pure part: an event goes in, findings come out, and what is to be followed up.

use std::sync::atomic::Ordering;

use dial_rules::dead_letter::DeadLetter;
use dial_rules::decode::{Decoded, Decoder};
use dial_rules::event::{Event, Millis};
use dial_rules::finding::Finding;
use dial_rules::lineage;
use dial_rules::ruleset::{Match, RuleSet};
use dial_rules::tables::Tables;

use crate::correlator::{FollowUp, Meter};

/// Rules, and what their conditions ask, as a batch sees them.
#[derive(Clone, Copy)]
pub(crate) struct Detection<'r> {
    pub(crate) rules: &'r RuleSet,
    pub(crate) tables: &'r Tables,
    /// How long after its event a record may arrive for the event to be correlated.
    pub(crate) allowed_lateness: Millis,
}

/// What a record, or a batch of them, came to.
#[derive(Debug, Default)]
pub(crate) struct Detected {
    pub(crate) events: u64,
    pub(crate) findings: Vec<Finding>,
    pub(crate) follow_up: FollowUp,
    pub(crate) uncorrelated: Uncorrelated,
    pub(crate) dead_letters: Vec<DeadLetter>,
}

/// Matches that correlations do not see.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Uncorrelated {
    /// Their event lacks a field to group by, or to count values of; counted for each correlation.
    pub(crate) missing: u64,
    /// Groups beyond those that one match is put in.
    pub(crate) left_out: u64,
    /// Their event came too late.
    pub(crate) late: u64,
}

impl Uncorrelated {
    /// Adds to what was counted.
    pub(crate) fn count(&self, filed: usize, meter: &Meter) {
        let Uncorrelated { missing, left_out, late } = *self;
        for (count, more) in
            [(&meter.missing, missing), (&meter.left_out, left_out), (&meter.late, late), (&meter.filed, filed as u64)]
        {
            count.fetch_add(more, Ordering::Relaxed);
        }
    }
}

impl Detection<'_> {
    /// Evaluates the rules on an event. `arrival` is its record's, if it came by a stream. Rules that are only parts of
    /// correlations make no findings.
    pub(crate) fn event(&self, event: &Event, arrival: Option<Millis>, detected: &mut Detected) {
        detected.events += 1;
        let correlations = self.rules.correlations();
        for found in self.rules.evaluate_with(event, self.tables) {
            let tells = correlations.makes_findings(&found.rule.id);
            let listed = correlations.listing(&found.rule.id).next().is_some();
            if !tells && !listed {
                continue;
            }
            let finding = Finding::single(&found);
            if listed {
                self.file(&found, &finding, arrival, detected);
            }
            if tells {
                detected.findings.push(finding);
            }
        }
        detected.follow_up.links.extend(lineage::links(event));
    }

    fn file(&self, found: &Match<'_>, finding: &Finding, arrival: Option<Millis>, detected: &mut Detected) {
        if arrival.is_some_and(|arrival| arrival.saturating_sub(found.event.time()) > self.allowed_lateness) {
            detected.uncorrelated.late += 1;
            return;
        }
        let filing = self.rules.correlations().file_single(finding, found, self.tables, &finding.subject.origin);
        detected.uncorrelated.missing += filing.missing;
        detected.uncorrelated.left_out += filing.left_out;
        detected.follow_up.filed.extend(filing.filed);
    }

    /// Decodes one record's bytes and adds what is in it.
    pub(crate) fn record(&self, data: &[u8], arrival: Millis, detected: &mut Detected) {
        for decoded in Decoder::record(data) {
            match decoded {
                Decoded::Event(event) => self.event(&event, Some(arrival), detected),
                Decoded::DeadLetter(letter) => detected.dead_letters.push(letter),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::correlator::tests::scene::{by_alice, chained};
    use dial_rules::event::parse_rfc3339;

    #[test]
    fn a_late_event_makes_its_own_finding_takes_no_part_in_correlations_and_is_counted() {
        let (rules, tables) = (chained(), Tables::default());
        let allowed_lateness = 60_000;
        let detection = Detection { rules: &rules, tables: &tables, allowed_lateness };
        let event = by_alice("a", 7, "First");
        let time = parse_rfc3339(event["eventTime"].as_str().unwrap()).unwrap();
        for (arrival, late) in
            [(time - 5, 0), (time, 0), (time + allowed_lateness, 0), (time + allowed_lateness + 1, 1), (Millis::MAX, 1)]
        {
            let mut detected = Detected::default();
            detection.record(event.to_string().as_bytes(), arrival, &mut detected);
            assert_eq!(detected.findings.len(), 1, "{arrival}");
            assert_eq!(detected.uncorrelated, Uncorrelated { late, ..Uncorrelated::default() }, "{arrival}");
            assert_eq!(detected.follow_up.filed.len() as u64, 1 - late, "{arrival}");
            let meter = Meter::default();
            detected.uncorrelated.count(detected.follow_up.filed.len(), &meter);
            let counted = meter.read();
            assert_eq!((counted.late, counted.filed), (late, 1 - late));
        }
    }
}
