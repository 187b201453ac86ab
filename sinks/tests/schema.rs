//! What DIAL writes is what the published schemas in docs/schema/ say, key by key.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use dial_rules::assessment::Assessment;
use dial_rules::policy::{Disposition, Entry, Status};
use dial_rules::severity::Severity;
use dial_sinks::outbox::alert::Group;
use dial_sinks::samples::{SampleKind, sample};
use dial_sinks::wire::wire;
use jsonschema::Validator;
use serde_json::{Value, json};

const FINDING: &str = include_str!("../../docs/schema/finding.v1.json");
const ALERT: &str = include_str!("../../docs/schema/alert.v1.json");

/// The schema of findings.
fn finding() -> Value {
    serde_json::from_str(FINDING).unwrap()
}

/// The schema of alerts, with the one that it refers to inside.
fn alert() -> Value {
    let mut schema: Value = serde_json::from_str(ALERT).unwrap();
    assert_eq!(schema["$defs"]["finding"]["$ref"], finding()["$id"]);
    schema["$defs"]["embedded"] = finding();
    schema
}

/// As published: keys may be added.
fn open(schema: &Value) -> Validator {
    jsonschema::options().should_validate_formats(true).build(schema).unwrap()
}

/// With no key that the schema does not name, to see that it names all.
fn closed(schema: &Value) -> Validator {
    fn close(schema: &mut Value) {
        if let Some(object) = schema.as_object_mut() {
            if object.contains_key("properties") && !object.contains_key("additionalProperties") {
                object.insert("additionalProperties".to_owned(), Value::Bool(false));
            }
            object.values_mut().for_each(close);
        } else if let Some(list) = schema.as_array_mut() {
            list.iter_mut().for_each(close);
        }
    }
    let mut schema = schema.clone();
    close(&mut schema);
    open(&schema)
}

fn check(schema: &Validator, value: &Value) {
    let errors: Vec<String> =
        schema.iter_errors(value).map(|error| format!("{}: {error}", error.instance_path())).collect();
    assert!(errors.is_empty(), "{errors:#?}\n{value:#}");
}

/// A finding that says everything that one can say.
fn full() -> Assessment {
    let text = |text: &str| Some(text.to_owned());
    let mut full = sample(SampleKind::Correlated).lead;
    full.finding.order_ambiguous = true;
    full.finding.subject.origin.persons.insert("arn:aws:iam::111122223333:root".to_owned());
    let account = full.context.account.as_mut().unwrap();
    account.ou = text("/Workloads");
    account.tags.insert("team".to_owned(), "payments".to_owned());
    let address = full.context.address.as_mut().unwrap();
    (address.city, address.aws_service, address.aws_region) = (text("Amsterdam"), text("EC2"), text("eu-west-1"));
    address.lists.push("office".to_owned());
    full.context.reputation.as_mut().unwrap().isp = text("Example Hosting");
    full.context.lineage.credentials.insert("ASIAIOSFODNN7EXAMPLE".to_owned());
    full.context.chain.push("arn:aws:sts::111122223333:assumed-role/Admin/alice".to_owned());
    let part = dial_rules::context::Missing { part: "accounts", reason: "no answer".to_owned() };
    full.context.missing.push(part);
    let by = Entry {
        entry: "policy.suppress",
        about: text("account payments"),
        owner: text("ops"),
        reason: text("migration"),
        expires: text("2030-01-01"),
    };
    full.disposition = Disposition {
        severity: Severity::Low,
        status: Status::Suppressed,
        by: Some(by),
        adjusted: vec!["from critical to low: payments".to_owned()],
    };
    full
}

/// A finding that says as little as one can.
fn bare() -> Assessment {
    let mut bare = sample(SampleKind::Single).lead;
    let subject = &mut bare.finding.subject;
    (subject.account_id, subject.region, subject.actor, subject.source_ip) = (None, None, None, None);
    (subject.actor_arn, subject.origin) = (None, Default::default());
    subject.techniques.clear();
    bare.context = Default::default();
    bare
}

fn alerts() -> Vec<Value> {
    let mut all: Vec<Value> = SampleKind::ALL.map(|kind| wire(&sample(kind))).to_vec();
    let mut message = sample(SampleKind::Incident);
    (message.lead, message.others) = (full(), vec![bare()]);
    message.links.list = Some("dial findings list".to_owned());
    all.push(wire(&message));
    message.group = Group::Repeats { rule_id: "r".to_owned(), of: [("actor".to_owned(), "alice".to_owned())].into() };
    message.advice = Default::default();
    message.links.console = None;
    message.links.list = None;
    all.push(wire(&message));
    let mut truncated = wire(&message);
    truncated["truncated"] = json!(["findings", "texts"]);
    all.push(truncated);
    all
}

fn findings() -> Vec<Value> {
    let samples = SampleKind::ALL.map(|kind| sample(kind).lead);
    let mut all: Vec<Value> = samples.iter().map(|one| serde_json::to_value(one).unwrap()).collect();
    // As they are stored, without what is decided when they are read.
    all.extend(samples.iter().map(|one| serde_json::to_value(&one.finding).unwrap()));
    all.push(serde_json::to_value(full()).unwrap());
    all.push(serde_json::to_value(bare()).unwrap());
    let mut shown = serde_json::to_value(full()).unwrap();
    shown["incident"] = json!("0d1e2f3a4b5c6d7e8f90a1b2c3d4e5f6");
    all.push(shown);
    all
}

#[test]
fn the_schemas_are_schemas() {
    for schema in [finding(), alert()] {
        assert!(jsonschema::meta::is_valid(&schema));
    }
}

#[test]
fn findings_are_what_the_schema_says_and_no_more() {
    let (open, closed) = (open(&finding()), closed(&finding()));
    for value in findings() {
        check(&open, &value);
        check(&closed, &value);
    }
}

#[test]
fn alerts_are_what_the_schema_says_and_no_more() {
    let (open, closed) = (open(&alert()), closed(&alert()));
    for value in alerts() {
        check(&open, &value);
        check(&closed, &value);
    }
}

#[test]
fn keys_may_be_added() {
    let mut value = wire(&sample(SampleKind::Single));
    value["later"] = json!({});
    value["finding"]["later"] = json!(1);
    check(&open(&alert()), &value);
    assert!(!closed(&alert()).is_valid(&value));
}

/// Paths of all values within a value.
fn paths(value: &Value, path: &str, all: &mut Vec<String>) {
    let mut go = |key: String, value: &Value| {
        let path = format!("{path}/{}", key.replace('~', "~0").replace('/', "~1"));
        paths(value, &path, all);
        all.push(path);
    };
    match value {
        Value::Object(object) => object.iter().for_each(|(key, value)| go(key.clone(), value)),
        Value::Array(list) => list.iter().take(2).enumerate().for_each(|(at, value)| go(at.to_string(), value)),
        _ => {}
    }
}

/// Whether the keys of the object at this path are free, as those of tags are.
fn is_map(path: &str, object: &Value) -> bool {
    path.ends_with("/tags") || path.ends_with("/of") || (path.ends_with("/group") && object["by"].is_null())
}

#[test]
fn a_changed_field_is_noticed() {
    let (mut mutants, mut renamed) = (0, 0);
    for (schema, values) in [(finding(), findings()), (alert(), alerts())] {
        let (open, closed) = (open(&schema), closed(&schema));
        for value in values {
            let mut all = Vec::new();
            paths(&value, "", &mut all);
            for path in all {
                // Another type.
                let mut mutant = value.clone();
                let place = mutant.pointer_mut(&path).unwrap();
                *place = if place.is_object() { json!("text") } else { json!({ "x": 1 }) };
                assert!(!open.is_valid(&mutant), "{path} of another type is taken");
                mutants += 1;
                // Another name, unless the names are free.
                let (parent, key) = path.rsplit_once('/').unwrap();
                let mut mutant = value.clone();
                let place = mutant.pointer_mut(parent).unwrap();
                if is_map(parent, place) {
                    continue;
                }
                if let Value::Object(object) = place {
                    let moved = object.remove(key).unwrap();
                    object.insert(format!("{key}_renamed"), moved);
                    assert!(!closed.is_valid(&mutant), "{path} of another name is taken");
                    renamed += 1;
                }
            }
        }
    }
    assert!(mutants > 1_000 && renamed > 500, "{mutants} {renamed}");
}

#[test]
fn values_that_nothing_has_are_refused() {
    let open = open(&alert());
    let good = wire(&sample(SampleKind::Correlated));
    for (path, value) in [
        ("/schema", json!("dial.alert/2")),
        ("/severity", json!("grave")),
        ("/finding/severity", json!("High")),
        ("/finding/status", json!("closed")),
        ("/finding/kind", json!("double")),
        ("/finding/finding_id", json!("abc")),
        ("/finding/first_seen", json!("2026-03-03 10:00:00")),
        ("/finding/event_count", json!(0)),
        ("/finding/event_count", json!(1.5)),
        ("/finding/evidence", json!([])),
        ("/finding/context/address/kind", json!("moon")),
        ("/finding_ids", json!([])),
        ("/sequence", json!(-1)),
        ("/group/by", json!("chance")),
        ("/key", json!("")),
    ] {
        let mut mutant = good.clone();
        *mutant.pointer_mut(path).unwrap() = value;
        assert!(!open.is_valid(&mutant), "{path}");
    }
}
