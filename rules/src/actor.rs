//! Who is behind an event, said as a person would.

use crate::event::{Event, EventKind};

/// The name of whoever made the call: a user's name, `role Admin as alice@example.com`, `root`, a service's name.
/// `None` where the event does not say. From CloudTrail's `userIdentity` element.
pub fn actor(event: &Event) -> Option<String> {
    match event.kind() {
        EventKind::CloudTrail => identity(event),
        EventKind::GuardDuty => guardduty(event),
        EventKind::SecurityHub => None,
    }
}

fn identity(event: &Event) -> Option<String> {
    let text = |path: &[&str]| event.text_at(path).filter(|text| !text.is_empty()).map(|text| text.into_owned());
    let user_name = || text(&["userIdentity", "userName"]);
    let arn = || text(&["userIdentity", "arn"]);
    let kind = text(&["userIdentity", "type"]);
    match kind.as_deref() {
        Some("Root") => Some("root".to_owned()),
        Some("IAMUser") => user_name().or_else(arn),
        Some("AssumedRole") => arn().and_then(|arn| assumed_role(&arn)).or_else(arn),
        Some("AWSService") => text(&["userIdentity", "invokedBy"]),
        Some("AWSAccount") => text(&["userIdentity", "accountId"])
            .map(|account| format!("account {account}"))
            .or_else(|| text(&["userIdentity", "invokedBy"])),
        Some("FederatedUser") => arn().map(|arn| format!("federated user {}", last(&arn))),
        _ => user_name().or_else(arn).or_else(|| text(&["userIdentity", "principalId"])),
    }
    .or_else(|| text(&["userIdentity", "invokedBy"]))
}

/// `arn:aws:sts::111122223333:assumed-role/Admin/alice` → `role Admin as alice`.
fn assumed_role(arn: &str) -> Option<String> {
    let (_, rest) = arn.split_once(":assumed-role/")?;
    let (role, session) = rest.split_once('/')?;
    Some(format!("role {role} as {session}"))
}

fn last(arn: &str) -> &str {
    arn.rsplit('/').next().unwrap_or(arn)
}

fn guardduty(event: &Event) -> Option<String> {
    let details = |name| event.text_at(&["resource", "accessKeyDetails", name]);
    match details("userType").as_deref() {
        Some("Root") => Some("root".to_owned()),
        Some("AssumedRole") => details("userName").map(|role| format!("role {role}")),
        _ => details("userName").map(|name| name.into_owned()),
    }
}

/// The address that the call came from, or the name of the AWS service that made it, as the event has it: CloudTrail
/// promises neither a form nor that it is an address.
pub fn source_ip(event: &Event) -> Option<String> {
    let path: &[&[&str]] = match event.kind() {
        EventKind::CloudTrail => &[&["sourceIPAddress"]],
        EventKind::GuardDuty => &[
            &["service", "action", "awsApiCallAction", "remoteIpDetails", "ipAddressV4"],
            &["service", "action", "networkConnectionAction", "remoteIpDetails", "ipAddressV4"],
            &["service", "action", "kubernetesApiCallAction", "remoteIpDetails", "ipAddressV4"],
        ],
        EventKind::SecurityHub => &[],
    };
    path.iter().find_map(|path| event.text_at(path)).map(|text| text.into_owned())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use super::*;
    use crate::event::tests::event;
    use serde_json::json;

    #[test]
    fn actors_read_like_people_say_them() {
        let table = [
            (json!({"type": "IAMUser", "userName": "alice"}), Some("alice")),
            (json!({"type": "Root", "arn": "arn:aws:iam::111122223333:root"}), Some("root")),
            (
                json!({"type": "AssumedRole", "arn": "arn:aws:sts::111122223333:assumed-role/Admin/alice@example.com"}),
                Some("role Admin as alice@example.com"),
            ),
            (json!({"type": "AWSService", "invokedBy": "ec2.amazonaws.com"}), Some("ec2.amazonaws.com")),
            (json!({"type": "AWSAccount", "accountId": "444455556666"}), Some("account 444455556666")),
            (json!({"type": "SAMLUser", "userName": "bob"}), Some("bob")),
            (
                json!({"type": "FederatedUser", "arn": "arn:aws:sts::111122223333:federated-user/carol"}),
                Some("federated user carol"),
            ),
            (json!({"type": "Unknown", "principalId": "x:y"}), Some("x:y")),
            (json!({"invokedBy": "s3.amazonaws.com"}), Some("s3.amazonaws.com")),
            (json!({}), None),
        ];
        for (identity, expected) in table {
            let event = event(json!({ "userIdentity": identity }));
            assert_eq!(actor(&event).as_deref(), expected, "{identity}");
        }
    }
}
