//! Who acted, where: OCSF's objects `actor`, `user`, `cloud` and `account`.

use std::net::IpAddr;

use dial_rules::accounts::Account;
use dial_rules::assessment::Assessment;
use dial_rules::finding::Finding;
use dial_rules::lineage::Lineage;
use serde_json::{Value, json};

/// The actor of the earliest event, if it is known who that is: a user of OCSF has a name or an id.
pub(super) fn actor(finding: &Finding, lineage: &Lineage) -> Option<Value> {
    let subject = &finding.subject;
    let credentials: Vec<Value> = subject.origin.credentials.iter().map(|id| json!({"uid": id})).collect();
    let persons = if lineage.persons.is_empty() { &subject.origin.persons } else { &lineage.persons };
    if subject.actor.is_none() && subject.actor_arn.is_none() {
        return None;
    }
    let kind = subject.actor_arn.as_deref().and_then(user_type);
    let name = subject.actor.as_ref().or(subject.actor_arn.as_ref());
    Some(json!({
        "user": {
            "name": name, "uid": subject.actor_arn, "programmatic_credentials": credentials,
            "type_id": kind.map(|(id, _)| id), "type": kind.map(|(_, caption)| caption),
            "full_name": (persons.len() == 1).then(|| persons.first()),
            "account": subject.actor_arn.as_deref().and_then(account_of).map(|id| account(id, None)),
        },
    }))
}

/// Somebody who is known by name only.
pub(super) fn named(name: &str) -> Value {
    json!({"user": {"name": name}})
}

/// `type_id` and caption of a user, by its ARN.
fn user_type(arn: &str) -> Option<(u8, &'static str)> {
    let resource = arn.splitn(6, ':').nth(5)?;
    match resource.split('/').next()? {
        "root" => Some((2, "Admin")),
        "user" | "federated-user" => Some((1, "User")),
        "assumed-role" | "role" => Some((99, "AssumedRole")),
        _ => None,
    }
}

/// The account in an ARN.
fn account_of(arn: &str) -> Option<&str> {
    arn.split(':').nth(4).filter(|id| id.len() == 12 && id.bytes().all(|b| b.is_ascii_digit()))
}

fn account(id: &str, known: Option<&Account>) -> Value {
    let tags = known.iter().flat_map(|account| &account.tags);
    let tags: Vec<Value> = tags.map(|(name, value)| json!({"name": name, "value": value})).collect();
    // OCSF's organization must have a name or an id, which nobody told: the unit stands with the account.
    let label = |name: &str, value: Option<&String>| value.map(|value| format!("{name}:{value}"));
    let environment = label("environment", known.and_then(|account| account.environment.as_ref()));
    let unit = label("ou", known.and_then(|account| account.ou.as_ref()));
    let labels: Vec<String> = environment.into_iter().chain(unit).collect();
    let name = known.and_then(|account| account.name.as_deref());
    json!({"uid": id, "name": name, "type_id": 10, "type": "AWS Account", "labels": labels, "tags": tags})
}

/// Where it happened.
pub(super) fn cloud(assessment: &Assessment) -> Value {
    let Assessment { finding, context, .. } = assessment;
    let partition = finding.subject.actor_arn.as_deref().and_then(|arn| arn.split(':').nth(1));
    json!({
        "provider": "AWS",
        "region": finding.subject.region,
        "cloud_partition": partition.filter(|partition| partition.starts_with("aws")),
        "account": finding.subject.account_id.as_deref().map(|id| account(id, context.account.as_ref())),
    })
}

/// Where a call came from: an address, or the name of an AWS service.
pub(super) fn endpoint(source: &str) -> Value {
    match source.parse::<IpAddr>() {
        Ok(address) => json!({"ip": address.to_string()}),
        Err(_) => json!({"svc_name": source}),
    }
}
