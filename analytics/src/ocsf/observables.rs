//! What can be looked for elsewhere: OCSF's object `observable`, each once, under the name of an attribute that has it.

use std::collections::BTreeSet;
use std::net::IpAddr;

use dial_rules::assessment::Assessment;
use serde_json::{Value, json};

/// `type_id` and caption of each kind that is used, and where its values stand in the document.
const IP: (u8, &str, &str) = (2, "IP Address", "evidences.src_endpoint.ip");
const USER_NAME: (u8, &str, &str) = (4, "User Name", "actor.user.name");
const CREDENTIAL: (u8, &str, &str) = (19, "User Credential ID", "actor.user.programmatic_credentials.uid");
const USER: (u8, &str, &str) = (31, "User Object: uid", "actor.user.uid");
const ACCOUNT: (u8, &str, &str) = (35, "Account Object: uid", "cloud.account.uid");
const RESOURCE: (u8, &str, &str) = (38, "Resource Details Object: name", "resources.name");

/// The observables of a finding, sorted.
pub(super) fn observables(assessment: &Assessment) -> Vec<Value> {
    let finding = &assessment.finding;
    let subject = &finding.subject;
    let mut all = BTreeSet::new();
    let mut add = |kind, value: Option<&str>| all.extend(value.map(|value| (kind, value.to_owned())));
    add(ACCOUNT, subject.account_id.as_deref());
    add(USER_NAME, subject.actor.as_deref());
    add(USER, subject.actor_arn.as_deref());
    for credential in &subject.origin.credentials {
        add(CREDENTIAL, Some(credential));
    }
    add(IP, subject.source_ip.as_deref().filter(|source| is_ip(source)));
    for evidence in &finding.evidence {
        add(IP, evidence.source_ip.as_deref().filter(|source| is_ip(source)));
        add(RESOURCE, evidence.target.as_deref());
    }
    let one = |((id, caption, name), value)| json!({"type_id": id, "type": caption, "name": name, "value": value});
    all.into_iter().map(one).collect()
}

fn is_ip(text: &str) -> bool {
    text.parse::<IpAddr>().is_ok()
}
