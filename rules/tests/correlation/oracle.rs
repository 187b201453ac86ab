//! rsigma-eval's correlation engine as a second opinion, on what both do alike: events in order of time, one at a time,
//! each once, without lists and without missing fields. It fires at the same events for the same groups.
//!
//! Where it differs, by its design or ours:
//! - it depends on the order of arrival, and forgets what lies before the newest event;
//! - `temporal` without a condition is satisfied by one rule; here, as in the specification, by all of them;
//! - `temporal_ordered` also fires at matches of earlier rules, as long as the window still holds a chain; an event that
//!   satisfies two rules may stand twice in a chain; equal times are not told;
//! - copies of one event are counted each; a list is no value to group by, and what lacks the field is a group of its own;
//! - `value_count` is looked at again at events that have no value.

use std::collections::{BTreeMap, BTreeSet};

use dial_rules::correlation::Windows;
use dial_rules::event::parse_rfc3339;
use proptest::prelude::*;
use rsigma_eval::{CorrelationConfig, CorrelationEngine, JsonEvent};
use rsigma_parser::parse_sigma_yaml;

use crate::scenario::{ACTOR, Kind, Scenario, filed, scenario};

/// When and for which group a correlation fires: its id, the time in seconds, the values of the group.
type Fired = BTreeSet<(String, i64, Vec<String>)>;

/// The scenario without what the two do differently on purpose.
fn in_order(mut scenario: Scenario) -> Scenario {
    scenario.specs.truncate(2);
    for spec in &mut scenario.specs {
        spec.group_by.retain(|name| *name != ACTOR);
        let mut seen = BTreeSet::new();
        spec.parts.retain(|part| seen.insert(part.clone()));
        if spec.kind == Kind::FirstAndAny && spec.parts.len() == 1 {
            spec.kind = Kind::All;
        }
    }
    scenario.events.sort_by_key(|event| event.time);
    let (mut time, mut kept) = (0, Vec::new());
    for (at, mut event) in scenario.events.into_iter().enumerate() {
        time = event.time.max(time + 1);
        let first = |list: &[usize]| vec![list.first().copied().unwrap_or_default()];
        (event.time, event.id, event.shared) = (time, at, None);
        (event.rules, event.users, event.values) = (first(&event.rules), first(&event.users), first(&event.values));
        event.address.get_or_insert(0);
        kept.push(event);
    }
    scenario.events = kept;
    scenario
}

fn ours(scenario: &Scenario) -> Fired {
    let rules = scenario.rules();
    let mut windows = Windows::default();
    let all = scenario.happened();
    windows.file(rules.correlations(), all.iter().flat_map(|(event, lineage)| filed(&rules, event, lineage)));
    let mut fired = Fired::new();
    for correlation in rules.correlations().iter() {
        for evaluated in windows.evaluated(correlation) {
            let group: Vec<String> = evaluated.finding.group.values().cloned().collect();
            let at = |time: i64| (correlation.id.clone(), time / 1000, group.clone());
            fired.extend(evaluated.completing.iter().map(|seen| at(seen.event_time)));
        }
    }
    fired
}

fn theirs(scenario: &Scenario) -> Fired {
    let mut text = scenario.texts().join("---\n");
    for spec in scenario.specs.iter().filter(|spec| matches!(spec.kind, Kind::All | Kind::Ordered)) {
        let all = format!(
            "id: {}\nname: {0}\nlevel: high\ncorrelation:\n    condition: {{gte: {}}}",
            spec.id,
            spec.parts.len()
        );
        text = text.replace(&format!("id: {}\nname: {0}\nlevel: high\ncorrelation:", spec.id), &all);
    }
    let mut engine = CorrelationEngine::new(CorrelationConfig::default());
    engine.add_collection(&parse_sigma_yaml(&text).unwrap().into_result().unwrap()).unwrap();
    let last_part: BTreeMap<&str, &String> = scenario
        .specs
        .iter()
        .filter(|spec| spec.kind == Kind::Ordered)
        .map(|spec| (spec.id.as_str(), spec.parts.last().unwrap()))
        .collect();
    let mut fired = Fired::new();
    for event in &scenario.events {
        let json = event.json();
        let seconds = parse_rfc3339(json["eventTime"].as_str().unwrap()).unwrap() / 1000;
        for result in engine.process_event_at(&JsonEvent::borrow(&json), seconds) {
            let Some(correlation) = result.as_correlation() else { continue };
            let id = result.header.rule_id.clone().unwrap();
            // A chain is complete at its last rule's match.
            if last_part.get(id.as_str()).is_none_or(|part| **part == format!("r{}", event.rules[0])) {
                let group: BTreeMap<_, _> = correlation.group_key.iter().cloned().collect();
                fired.insert((id, seconds, group.into_values().collect()));
            }
        }
    }
    fired
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn in_order_rsigma_fires_for_the_same_groups(scenario in scenario()) {
        let scenario = in_order(scenario);
        prop_assert_eq!(ours(&scenario), theirs(&scenario));
    }
}

#[test]
fn both_have_something_to_fire_at() {
    let fired: usize = crate::scenarios(100).map(|scenario| ours(&in_order(scenario)).len()).sum();
    assert!(fired > 200, "{fired}");
}
