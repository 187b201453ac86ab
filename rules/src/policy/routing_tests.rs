use serde_json::json;

use super::super::tests::{assessed, finding};
use super::*;
use crate::context::{LINEAGE, Missing};
use crate::policy::rule_names;

fn sinks() -> BTreeSet<String> {
    ["siem", "slack-low", "slack-high"].map(str::to_owned).into()
}

fn routes(value: serde_json::Value) -> Result<Routing, Vec<Fault>> {
    let written: Vec<Route> = serde_json::from_value(value).unwrap();
    Routing::new(&written, sinks(), &rule_names::tests::names())
}

/// Where the one finding of these tests goes by one route to `siem`.
fn goes(mut route: serde_json::Value) -> bool {
    route["sinks"] = json!("siem");
    let routing = routes(json!([route])).unwrap();
    let mut assessment = assessed(finding());
    assessment.finding.subject.techniques = vec!["T1098.001".to_owned()];
    let account = assessment.context.account.as_mut().unwrap();
    account.tags = [("Team".to_owned(), "Payments".to_owned())].into();
    !routing.sinks(&assessment).is_empty()
}

#[test]
fn without_routes_everything_open_goes_everywhere() {
    let routing = routes(json!([])).unwrap();
    assert_eq!(routing.sinks(&assessed(finding())), sinks());
    let mut hidden = assessed(finding());
    hidden.disposition.status = crate::policy::Status::Muted;
    assert!(routing.sinks(&hidden).is_empty());
    assert!(routing.idle().is_empty());
}

#[test]
fn each_condition_lets_through_what_it_names_and_nothing_else() {
    for (key, fits, does_not) in [
        ("min_severity", "medium", "high"),
        ("kind", "single", "correlated"),
        ("account", "pay*", "111122223334"),
        ("region", "eu-*", "us-east-1"),
        ("ou", "/Workloads", "/Sandbox"),
        ("environment", "Production", "test"),
        ("tag", "team=payments", "team=search"),
        ("tag", "team", "owner"),
        ("actor", "role Deploy as *", "bob"),
        ("rule", "Key made", "bbbbbbbb"),
        ("technique", "T1098", "T1098.002"),
        ("technique", "t1098.001", "T109"),
    ] {
        assert!(goes(json!({key: fits})), "{key} = {fits}");
        if key != "technique" || does_not != "T109" {
            assert!(!goes(json!({key: does_not})), "{key} = {does_not}");
        }
    }
    assert!(goes(json!({"rule": ["bbbbbbbb", "Key made"], "min_severity": "low"})), "one word of each must fit");
    assert!(!goes(json!({"rule": "Key made", "min_severity": "critical"})), "all conditions must hold");
}

#[test]
fn what_is_asked_of_a_missing_part_of_the_context_holds() {
    let goes = |route: serde_json::Value, missing: Option<&'static str>| {
        let mut route = route;
        route["sinks"] = json!("siem");
        let mut assessment = assessed(finding());
        if missing == Some(ACCOUNTS) {
            assessment.context.account = None;
        }
        assessment.context.missing =
            missing.map(|part| Missing { part, reason: "slow".to_owned() }).into_iter().collect();
        !routes(json!([route])).unwrap().sinks(&assessment).is_empty()
    };
    for (key, value, part) in [
        ("ou", "/Sandbox", ACCOUNTS),
        ("environment", "test", ACCOUNTS),
        ("tag", "team=search", ACCOUNTS),
        ("account", "search", ACCOUNTS),
        ("actor", "bob", LINEAGE),
    ] {
        let route = || json!({key: value});
        assert!(!goes(route(), None), "{key} is known and another one");
        assert!(goes(route(), Some(part)), "{key} may be this one");
        let other = if part == ACCOUNTS { LINEAGE } else { ACCOUNTS };
        assert!(!goes(route(), Some(other)), "{key} is known although {other} is missing");
        assert!(!goes(json!({key: value, "min_severity": "critical"}), Some(part)), "what is known decides still");
        assert!(!goes(json!({key: value, "rule": "bbbbbbbb"}), Some(part)));
    }
}

#[test]
fn a_finding_goes_wherever_any_route_sends_it() {
    let routing = routes(json!([
        {"sinks": "siem"},
        {"sinks": "slack-*", "min_severity": "medium"},
        {"sinks": "slack-high", "min_severity": "critical"},
    ]));
    assert_eq!(routing.unwrap().sinks(&assessed(finding())), sinks());
    let routing = routes(json!([{"sinks": ["slack-low"]}])).unwrap();
    assert_eq!(routing.sinks(&assessed(finding())), BTreeSet::from(["slack-low".to_owned()]));
    assert_eq!(routing.idle(), ["siem", "slack-high"]);
}

#[test]
fn mistakes_say_where_they_are_and_what_is_meant() {
    let told = |value| {
        let faults = routes(value).unwrap_err();
        faults.iter().map(|fault| format!("{} {}", fault.path, fault.message)).collect::<Vec<_>>().join("\n")
    };
    assert!(told(json!([{}])).starts_with("[0].sinks is missing"));
    assert!(told(json!([{"sinks": ["siem", "slack-hihg"]}])).contains("[0].sinks[1] names \"slack-hihg\""));
    assert!(told(json!([{"sinks": "slack-hihg"}])).contains("did you mean \"slack-high\"?"));
    assert!(told(json!([{"sinks": "pager*"}])).contains("is no sink"));
    assert!(told(json!([{"sinks": "siem", "rule": "nothing like it"}])).starts_with("[0].rule[0]"));
    assert!(told(json!([{"sinks": "siem"}, {"sinks": "siem", "technique": "1098"}])).starts_with("[1].technique[0]"));
    assert!(told(json!([{"sinks": "siem", "account": "12345"}])).starts_with("[0].account[0]"));
}
