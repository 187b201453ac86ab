#![allow(clippy::unwrap_used, clippy::panic)]

use std::collections::BTreeSet;

use serde_json::json;

use super::*;
use crate::event::tests::event;
use crate::lineage::Lineage;
use crate::ruleset::tests::rules;
use crate::ruleset::{Loaded, RuleFile, RuleSet};
use crate::tables::Tables;

const BASE: &str = "title: A\nid: a\nname: rule_a\ntags: [attack.t1098.001, attack.persistence]\n\
    logsource: {product: aws}\ndetection: {s: {eventName: A}, condition: s}\n---\n\
    title: B\nid: b\nname: rule_b\ntags: [attack.t1078]\n\
    logsource: {product: aws}\ndetection: {s: {eventName: B}, condition: s}\n---\n";

fn load(text: &str) -> Loaded {
    RuleSet::load(&[RuleFile { name: "a.yml".into(), text: format!("{BASE}{text}") }])
}

/// The one problem of a correlation whose section holds these lines; lines count from that of `title`.
fn problem(section: &str) -> (usize, String) {
    let loaded = load(&format!("title: C\nid: c\ncorrelation:\n{section}"));
    assert_eq!(loaded.problems.len(), 1, "{section}: {:?}", loaded.problems);
    assert!(loaded.rules.correlations().is_empty());
    (loaded.problems[0].line - BASE.lines().count(), loaded.problems[0].message.clone())
}

#[test]
fn what_cannot_be_evaluated_is_refused_with_line_and_reason() {
    let count = |condition: &str| {
        format!("    type: event_count\n    rules: [a]\n    timespan: 5m\n    condition: {condition}")
    };
    let kind = |kind: &str, rest: &str| format!("    type: {kind}\n    rules: [a, rule_b]\n    timespan: 5m\n{rest}");
    for (section, line, words) in [
        (count("{lt: 3}"), 7, "`lt` can become false again"),
        (count("{gte: 1, lte: 3}"), 7, "`lte` can become false again"),
        (count("{eq: 3}"), 7, "`eq` can become false"),
        (count("{neq: 3}"), 7, "`neq` can become false"),
        (count("{gte: 0}"), 7, "at least 1"),
        (count("{gte: -1}"), 7, "positive"),
        (count("{gte: 2, field: userName}"), 7, "value_count"),
        (count("{gtee: 2, gte: 1}"), 3, "did you mean `gte`"),
        (count("{gte: 2, percentile: 3}"), 7, "percentile"),
        (kind("value_count", "    condition: {gte: 2}"), 7, "needs a field"),
        (
            kind("value_count", "    condition: {gte: 2, field: dial.polcy.admin}"),
            7,
            "did you mean `dial.policy.admin`",
        ),
        (kind("value_avg", "    condition: {gte: 2, field: x}"), 7, "`type: value_avg` is not evaluated"),
        (kind("value_sum", "    condition: {gte: 2, field: x}"), 7, "arrive late"),
        (kind("temporal", "    condition: {gte: 1}"), 7, "asks for all its rules"),
        (kind("temporal", "    condition: {lt: 1}"), 7, "`lt` can become false"),
        (kind("temporal", "    condition: rule_b and not a"), 7, "`not` can become false"),
        (kind("temporal", "    condition: rule_b and rule_c"), 7, "names rule_c"),
        (kind("temporal", "    condition: 3 of them"), 7, "lists 2 of them"),
        (kind("temporal_ordered", "    condition: a and rule_b"), 7, "leave the condition out"),
        (kind("temporal", "    groupby: [x]"), 3, "did you mean `group-by`"),
        (kind("temporal", "    group-by: [1]"), 3, "`group-by` is neither"),
        (kind("temporal", "    group-by:\n        - dial.actors"), 7, "did you mean `dial.actor`"),
        (kind("temporal", "    window: tumbling"), 7, "`window` is always `sliding`"),
        (kind("temporal", "    timeframe: 3m"), 3, "the same"),
        (kind("temporal", "    group-by: [u]\n    aliases: {u: {a: x}}"), 8, "says no field for the rule `rule_b`"),
        (
            kind("temporal", "    group-by: [u]\n    aliases: {u: {a: x, rule_b: x, rule_x: y}}"),
            8,
            "did you mean `rule_b`",
        ),
        (kind("temporal", "    aliases: [a]"), 3, "`aliases` maps"),
        (
            "    type: temporal\n    timespan: 5m\n    rules:\n        - a\n        - p".into(),
            8,
            "no rule has the id or name `p`",
        ),
        ("    type: temporal\n    rules: [a, rule_c]\n    timespan: 5m".into(), 5, "did you mean `rule_a`"),
        ("    type: temporal\n    rules: [a, rule_bb]\n    timespan: 5m".into(), 5, "did you mean `rule_b`"),
        ("    type: temporal\n    rules: [a, c]\n    timespan: 5m".into(), 5, "refers to itself: \"C\" → \"C\""),
        ("    type: temporal\n    rules: []\n    timespan: 5m".into(), 5, "`rules` is empty"),
        ("    type: temporal\n    rules: [a]\n    timespan: 0s".into(), 6, "not between 1s and 1y"),
        ("    type: temporal\n    rules: [a]\n    timespan: 3y".into(), 6, "not between 1s and 1y"),
        ("    type: temporal_ordered\n    rules: [a, b, a, b, a, b, a, b, a]\n    timespan: 5m".into(), 3, "at most 8"),
        (kind("temporal", "dial: {remedy: x}"), 7, "remedy"),
    ] {
        let (at, message) = problem(&section);
        assert!(message.contains(words), "{section}: {message}");
        assert_eq!(at, line, "{section}: {message}");
    }
}

#[test]
fn circles_and_what_hangs_on_them_are_refused() {
    let one = |id: &str, rules: &str| {
        format!("title: {id}\nid: {id}\ncorrelation: {{type: temporal, rules: {rules}, timespan: 1m}}\n---\n")
    };
    let loaded =
        load(&[one("c", "[a, d]"), one("d", "[e]"), one("e", "[c]"), one("f", "[c]"), one("g", "[a]")].concat());
    let messages: Vec<&str> = loaded.problems.iter().map(|problem| problem.message.as_str()).collect();
    assert_eq!(messages.len(), 4, "{messages:?}");
    assert!(messages[0].contains("\"c\" → \"d\" → \"e\" → \"c\""), "{messages:?}");
    assert!(messages[3].contains("not fine itself"), "{messages:?}");
    let fine: Vec<&str> = loaded.rules.correlations().iter().map(|correlation| correlation.id.as_str()).collect();
    assert_eq!(fine, ["g"]);
}

#[test]
fn ids_and_names_are_told_apart() {
    let twice = load("title: C\nid: a\ncorrelation: {type: temporal, rules: [b], timespan: 1m}");
    assert!(twice.problems[0].message.contains("already used"), "{:?}", twice.problems);
    let name =
        "title: Z\nid: z\nname: rule_a\nlogsource: {product: aws}\ndetection: {s: {eventName: A}, condition: s}\n---\n";
    let two = load(&format!("{name}title: C\nid: c\ncorrelation: {{type: temporal, rules: [rule_a], timespan: 1m}}"));
    assert!(two.problems[0].message.contains("2 rules are called `rule_a`"), "{:?}", two.problems);
}

#[test]
fn a_correlation_over_rules_for_others_is_left_out_with_them() {
    let text = "title: W\nid: w\nname: win\nlogsource: {product: windows}\ndetection: {s: {x: A}, condition: s}\n---\n\
        title: D\ncorrelation: {type: temporal, rules: [c], timespan: 1m}\n---\n\
        title: C\nname: c\ncorrelation: {type: temporal, rules: [a, win], timespan: 1m}\n";
    let loaded = load(text);
    assert!(loaded.problems.is_empty() && loaded.rules.correlations().is_empty());
    assert_eq!(loaded.foreign.len(), 3);
}

#[test]
fn a_correlation_says_what_it_is() {
    let text = "title: Both\nid: c\nname: both\nlevel: high\ntags: [attack.t1531]\ndescription: d\nfalsepositives: [f]\n\
        dial: {remediation: r}\ncorrelation:\n    type: temporal\n    rules: [rule_b, a, b]\n    group-by: [y, x, y]\n    \
        timespan: 2h\n    condition: rule_b and (a or 1 of rule_*)\n---\n\
        title: Outer\nid: o\ncorrelation: {type: event_count, rules: both, group-by: x, timespan: 1d, condition: {gt: 2, gte: 2}}\n";
    let loaded = load(text);
    assert_eq!(loaded.problems, []);
    let both = loaded.rules.correlations().get("c").unwrap();
    assert_eq!((both.kind(), both.timespan, both.severity), ("temporal", 7_200_000, Severity::High));
    assert_eq!(both.parts.iter().map(|part| part.id.as_str()).collect::<Vec<_>>(), ["b", "a"]);
    assert_eq!(both.group_by, ["x", "y"]);
    assert_eq!(both.techniques, ["T1078", "T1098.001", "T1531"]);
    assert_eq!((both.remediation.as_deref(), both.description.as_str()), (Some("r"), "d"));
    let outer = loaded.rules.correlations().get("o").unwrap();
    assert_eq!(outer.condition, Condition::EventCount { at_least: 3 });
    assert!(outer.parts[0].is_correlation && outer.techniques == both.techniques);
    let order: Vec<&str> = loaded.rules.correlations().inner_first().map(|inner| inner.id.as_str()).collect();
    assert_eq!(order, ["c", "o"]);
    assert_eq!(loaded.rules.correlations().rules_of("o"), BTreeSet::from(["a".to_owned(), "b".to_owned()]));
}

#[test]
fn an_outer_correlation_may_group_only_by_what_the_inner_one_knows() {
    let inner = "title: I\nid: i\ncorrelation: {type: event_count, rules: [a], group-by: [x], timespan: 1m, condition: {gte: 2}}\n---\n";
    let with = |section: &str| load(&format!("{inner}title: O\nid: o\ncorrelation: {section}"));
    let fails = with("{type: event_count, rules: [i], group-by: [y], timespan: 1h, condition: {gte: 2}}");
    assert!(fails.problems[0].message.contains("not grouped by `y`"), "{:?}", fails.problems);
    let fails = with("{type: value_count, rules: [i], timespan: 1h, condition: {gte: 2, field: z}}");
    assert!(fails.problems[0].message.contains("not grouped by `z`"), "{:?}", fails.problems);
    let fine =
        with("{type: value_count, rules: [i], timespan: 1h, condition: {gte: 2, field: w}, aliases: {w: {i: x}}}");
    assert_eq!(fine.problems, []);
}

#[test]
fn rules_of_the_same_file_are_silent_unless_told_to_generate() {
    let correlation = |id: &str, more: &str| {
        format!("title: {id}\nid: {id}\n{more}correlation: {{type: temporal, rules: [a], timespan: 1m}}\n")
    };
    let silent = load(&correlation("c", "")).rules;
    assert!(!silent.correlations().makes_findings("a") && silent.correlations().makes_findings("b"));
    assert!(silent.correlations().makes_findings("c"));
    let loud = load(&correlation("c", "generate: true\n")).rules;
    assert!(loud.correlations().makes_findings("a"));
    // Another file's correlation silences nothing, and may ask for findings.
    let two = |more: &str| {
        let other = RuleFile { name: "b.yml".into(), text: correlation("d", more) };
        RuleSet::load(&[RuleFile { name: "a.yml".into(), text: BASE.into() }, other.clone()]).rules
    };
    assert!(two("").correlations().makes_findings("a"));
    let own = RuleFile { name: "a.yml".into(), text: format!("{BASE}{}", correlation("c", "")) };
    let asking = RuleFile { name: "b.yml".into(), text: correlation("d", "generate: true\n") };
    assert!(RuleSet::load(&[own, asking]).rules.correlations().makes_findings("a"));
}

/// Groups of one event by these fields of its parameters.
fn groups(group_by: &str, parameters: serde_json::Value, lineage: &Lineage) -> Filing {
    let rules = rules(&format!(
        "{BASE}title: C\nid: c\ncorrelation: {{type: event_count, rules: [a], group-by: {group_by}, timespan: 1m, condition: {{gte: 1}}}}"
    ));
    let event = event(json!({"eventName": "A", "requestParameters": parameters}));
    let found = rules.evaluate(&event);
    rules.correlations().file(&found[0], &Tables::default(), lineage)
}

#[test]
fn a_match_is_in_the_group_of_each_combination_of_values() {
    let by = |parameters| groups("[requestParameters.x, requestParameters.y]", parameters, &Lineage::default());
    let values = |filing: &Filing| -> Vec<String> {
        filing.filed.iter().map(|filed| filed.group.0.values().cloned().collect::<Vec<_>>().join("/")).collect()
    };
    assert_eq!(
        values(&by(json!({"x": ["b", "a", "b", null, ""], "y": [1, true, 1.5]}))),
        ["a/1", "a/1.5", "a/true", "b/1", "b/1.5", "b/true"]
    );
    for missing in [
        json!({"x": "a"}),
        json!({"x": "a", "y": null}),
        json!({"x": "a", "y": ""}),
        json!({"x": "a", "y": {"z": 1}}),
        json!({"x": "a", "y": []}),
    ] {
        let filing = by(missing.clone());
        assert_eq!((filing.filed.len(), filing.missing), (0, 1), "{missing}");
    }
    assert_eq!(values(&groups("[]", json!(null), &Lineage::default())), [""]);
}

#[test]
fn a_hostile_event_is_in_a_bounded_number_of_groups() {
    let many: Vec<String> = (0..3_000).map(|at| format!("{at:05}")).collect();
    let by = "[requestParameters.x, requestParameters.y, requestParameters.z]";
    let filing = groups(by, json!({"x": many, "y": many, "z": many}), &Lineage::default());
    assert_eq!((filing.filed.len(), filing.left_out), (MOST_GROUPS, 27_000_000_000 - MOST_GROUPS as u64));
    assert_eq!(filing.filed[MOST_GROUPS - 1].group.get("requestParameters.z"), Some("00099"));
    let long = groups("[requestParameters.x]", json!({"x": ["é".repeat(4000), "é".repeat(4001)]}), &Lineage::default());
    let values: BTreeSet<&str> = long.filed.iter().filter_map(|filed| filed.group.get("requestParameters.x")).collect();
    assert!(values.len() == 2 && values.iter().all(|value| value.len() <= LONGEST_VALUE), "{values:?}");
}

#[test]
fn the_actor_is_everybody_behind_the_credential() {
    let lineage = |persons: &[&str]| Lineage {
        persons: persons.iter().map(|p| (*p).to_owned()).collect(),
        credentials: ["ASIA".to_owned()].into(),
    };
    let members = |filing: &Filing| -> Vec<String> {
        filing.filed.iter().filter_map(|filed| filed.group.get(ACTOR).map(str::to_owned)).collect()
    };
    assert_eq!(members(&groups("[dial.actor]", json!(null), &lineage(&["p", "q"]))), ["ASIA", "p", "q"]);
    assert_eq!(groups("[dial.actor]", json!(null), &Lineage::default()).missing, 1);
    // No member is lost when lists alone would fill all groups.
    let many: Vec<usize> = (0..500).collect();
    let filing = groups("[dial.actor, requestParameters.x]", json!({"x": many}), &lineage(&["p"]));
    assert_eq!((filing.filed.len(), filing.left_out), (2 * MOST_GROUPS, 400));
    assert_eq!(members(&filing).iter().filter(|member| *member == "p").count(), MOST_GROUPS);
}

#[test]
fn a_kept_match_survives_json() {
    let rules = rules(BASE);
    let event = event(json!({"eventName": "A", "sharedEventID": "s", "sourceIPAddress": "192.0.2.1"}));
    let kept = CorrelationMatch::of(&rules.evaluate(&event)[0]).counting(["v".to_owned()]);
    let text = serde_json::to_string(&kept).unwrap();
    assert_eq!(serde_json::from_str::<CorrelationMatch>(&text).unwrap(), kept);
    assert_eq!(kept.distinct_id(), "s");
}

#[test]
fn counting_ends_at_ten_thousand() {
    let rules = rules(&format!(
        "{BASE}title: C\nid: c\ncorrelation: {{type: event_count, rules: [a], timespan: 1d, condition: {{gte: 2}}}}"
    ));
    let correlation = rules.correlations().get("c").unwrap();
    let of = |count: usize| {
        let seen = |at: usize| CorrelationMatch {
            event_id: format!("e{at:05}"),
            rule_id: "a".into(),
            event_time: at as i64,
            ..CorrelationMatch::default()
        };
        let all: Vec<CorrelationMatch> = (0..count).map(seen).collect();
        evaluate(correlation, &GroupKey::default(), &all, [0]).remove(0).finding
    };
    let (few, many) = (of(9_999), of(10_050));
    assert_eq!((few.event_count, few.event_count_text()), (9_999, "9999".to_owned()));
    assert_eq!((many.event_count, many.event_count_text()), (10_000, "10,000+".to_owned()));
    assert_eq!((many.last_seen, many.evidence.len(), many.completed_by.len()), (10_049, 10, 10));
    assert_eq!(few.clone().merge(many.clone()), many.clone().merge(few));
}
