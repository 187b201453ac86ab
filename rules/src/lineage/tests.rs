use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::decode::{Decoded, Decoder};
use crate::event::Event;
use crate::event::tests::event;

const ALICE: &str = "arn:aws:iam::111122223333:user/ops/alice";
const KEY: &str = "AKIAIOSFODNN7EXAMPLE";

fn set(members: &[&str]) -> BTreeSet<String> {
    members.iter().map(|member| (*member).to_owned()).collect()
}

fn lineage(credentials: &[&str], persons: &[&str]) -> Lineage {
    Lineage { credentials: set(credentials), persons: set(persons) }
}

/// A temporary access key id that ends in `n`.
fn temporary(n: usize) -> String {
    format!("ASIA{n:016}")
}

#[test]
fn events_name_their_credential_and_person() {
    let session = |identity: Value| {
        let mut role = json!({ "type": "AssumedRole", "principalId": "AROAEXAMPLEEXAMPLE12:build",
            "arn": "arn:aws:sts::111122223333:assumed-role/Deploy/build", "accessKeyId": temporary(1),
            "sessionContext": { "sessionIssuer": { "type": "Role", "arn": "arn:aws:iam::111122223333:role/Deploy" } } });
        role.as_object_mut().unwrap().extend(identity.as_object().unwrap().clone());
        role
    };
    let root = "arn:aws:iam::111122223333:root";
    let federated = |issuer: Value| {
        json!({ "type": "FederatedUser", "arn": "arn:aws:sts::111122223333:federated-user/bob",
        "principalId": "111122223333:bob", "accessKeyId": temporary(1), "sessionContext": { "sessionIssuer": issuer } })
    };
    let one = temporary(1);
    let one = one.as_str();
    let table: Vec<(Value, Lineage)> = vec![
        (json!({ "type": "IAMUser", "arn": ALICE, "accessKeyId": KEY }), lineage(&[KEY], &[ALICE])),
        // With a key of GetSessionToken, and in the console.
        (json!({ "type": "IAMUser", "arn": ALICE, "accessKeyId": one }), lineage(&[one], &[ALICE])),
        (json!({ "type": "IAMUser", "arn": ALICE, "accessKeyId": "" }), lineage(&[], &[ALICE])),
        (
            json!({ "type": "IAMUser", "principalId": "AIDACKCEVSQ6C2EXAMPLE", "userName": "alice" }),
            lineage(&[], &["AIDACKCEVSQ6C2EXAMPLE"]),
        ),
        (json!({ "type": "Root", "arn": root, "accessKeyId": one }), lineage(&[one], &[root])),
        (
            json!({ "type": "Root", "arn": root, "accessKeyId": one, "sessionContext": { "assumedRoot": "true" } }),
            lineage(&[one], &[]),
        ),
        (
            json!({ "type": "Root", "arn": root, "sessionContext": { "attributes": { "assumedRoot": true } } }),
            lineage(&[], &[]),
        ),
        // Never the role, the account or the session's name.
        (session(json!({})), lineage(&[one], &[])),
        (
            session(json!({ "onBehalfOf": { "userId": "544894e8-80c1-707f-60e3-3ba6510dfac1",
            "identityStoreArn": "arn:aws:identitystore::111122223333:identitystore/d-9067642ac7" } })),
            lineage(&[one], &["identity-center:d-9067642ac7/544894e8-80c1-707f-60e3-3ba6510dfac1"]),
        ),
        (
            session(json!({ "sessionContext": { "sourceIdentity": "alice@example.com" } })),
            lineage(&[one], &["source-identity:alice@example.com"]),
        ),
        (
            json!({ "type": "AWSAccount", "accountId": "111122223333", "principalId": "AIDACKCEVSQ6C2EXAMPLE" }),
            lineage(&[], &["AIDACKCEVSQ6C2EXAMPLE"]),
        ),
        (
            json!({ "type": "AWSAccount", "accountId": "111122223333", "principalId": "AROACKCEVSQ6C2EXAMPLE:build" }),
            lineage(&[], &[]),
        ),
        (json!({ "type": "AWSAccount", "principalId": "", "accountId": "ANONYMOUS_PRINCIPAL" }), lineage(&[], &[])),
        (
            json!({ "type": "SAMLUser", "principalId": "Hash+/=:alice@example.com", "userName": "alice@example.com", "identityProvider": "Hash+/=" }),
            lineage(&[], &["saml:Hash+/=:alice@example.com"]),
        ),
        (
            json!({ "type": "WebIdentityUser", "userName": "repo:example/app:ref:refs/heads/main",
            "identityProvider": "arn:aws:iam::111122223333:oidc-provider/token.actions.githubusercontent.com" }),
            lineage(&[], &["web:token.actions.githubusercontent.com:repo:example/app:ref:refs/heads/main"]),
        ),
        (
            federated(json!({ "type": "IAMUser", "arn": ALICE, "principalId": "AIDACKCEVSQ6C2EXAMPLE" })),
            lineage(&[one], &[ALICE]),
        ),
        (federated(json!({ "type": "Root", "arn": root })), lineage(&[one], &[root])),
        (federated(json!({ "type": "Role", "arn": "arn:aws:iam::111122223333:role/Deploy" })), lineage(&[one], &[])),
        (json!({ "type": "AWSService", "invokedBy": "ec2.amazonaws.com", "accessKeyId": one }), lineage(&[], &[])),
        // What is no id and no ARN is nobody's.
        (
            json!({ "type": "IAMUser", "arn": "arn:aws:iam::111122223333:role/alice", "accessKeyId": "GeneratedFindingAccessKeyId" }),
            lineage(&[], &[]),
        ),
        (
            json!({ "type": "IAMUser", "arn": format!("arn:aws:iam::111122223333:user/{}", "a".repeat(2000)), "accessKeyId": "A".repeat(200) }),
            lineage(&[], &[]),
        ),
        (json!({ "type": "IAMUser", "arn": "arn:aws:iam::111122223333:user/a\nb" }), lineage(&[], &[])),
        (json!({ "type": "SAMLUser", "userName": "x".repeat(2000), "identityProvider": "p" }), lineage(&[], &[])),
        (json!({}), lineage(&[], &[])),
    ];
    for (identity, expected) in table {
        assert_eq!(origin(&event(json!({ "userIdentity": identity.clone() }))), expected, "{identity}");
    }
}

fn guardduty(details: Value) -> Event {
    let finding = json!({ "schemaVersion": "2.0", "accountId": "111122223333", "region": "eu-central-1", "partition": "aws-cn",
        "id": "0123456789abcdef", "arn": "arn:aws:guardduty:x", "type": "Stealth:IAMUser/X", "severity": 2,
        "createdAt": "2024-05-01T12:00:00Z", "updatedAt": "2024-05-01T12:00:00Z", "service": { "serviceName": "guardduty" },
        "resource": { "resourceType": "AccessKey", "accessKeyDetails": details } });
    let envelope = json!({ "version": "0", "id": "1", "detail-type": "GuardDuty Finding", "source": "aws.guardduty",
        "account": "111122223333", "time": "2024-05-01T12:00:00Z", "region": "eu-central-1", "resources": [], "detail": finding });
    let decoded = Decoder::record(envelope.to_string().as_bytes()).next();
    let Some(Decoded::Event(event)) = decoded else { panic!("{decoded:?}") };
    *event
}

#[test]
fn guardduty_names_the_key() {
    let user = json!({ "userType": "IAMUser", "userName": "alice", "principalId": "AIDACKCEVSQ6C2EXAMPLE", "accessKeyId": KEY });
    assert_eq!(origin(&guardduty(user)), lineage(&[KEY], &["AIDACKCEVSQ6C2EXAMPLE"]));
    let root =
        json!({ "userType": "Root", "userName": "Root", "principalId": "111122223333", "accessKeyId": temporary(1) });
    assert_eq!(origin(&guardduty(root)), lineage(&[&temporary(1)], &["arn:aws-cn:iam::111122223333:root"]));
    let role = json!({ "userType": "AssumedRole", "userName": "Deploy", "principalId": "AROACKCEVSQ6C2EXAMPLE:x", "accessKeyId": temporary(1) });
    assert_eq!(origin(&guardduty(role)), lineage(&[&temporary(1)], &[]));
}

/// A call of STS by Alice that grants the temporary key 7.
fn granting(name: &str, members: Value) -> Event {
    let mut record = json!({ "eventSource": "sts.amazonaws.com", "eventName": name,
        "userIdentity": { "type": "IAMUser", "arn": ALICE, "accessKeyId": KEY },
        "responseElements": { "credentials": { "accessKeyId": temporary(7), "sessionToken": "x" } } });
    record.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
    event(record)
}

#[test]
fn every_way_to_a_temporary_key_teaches() {
    for name in ["AssumeRole", "AssumeRoot", "GetFederationToken", "GetSessionToken"] {
        let event = granting(name, json!({}));
        assert!(teaches(&event));
        let expected = Link { credential: temporary(7), from: lineage(&[KEY], &[ALICE]), session: None };
        assert_eq!(links(&event), [expected], "{name}");
    }
    let saml = json!({ "type": "SAMLUser", "userName": "alice@example.com", "identityProvider": "P" });
    let learned = links(&granting("AssumeRoleWithSAML", json!({ "userIdentity": saml })));
    assert_eq!(learned[0].from, lineage(&[], &["saml:P:alice@example.com"]));
    let web = json!({ "type": "WebIdentityUser", "userName": "7", "identityProvider": "accounts.google.com" });
    let learned = links(&granting("AssumeRoleWithWebIdentity", json!({ "userIdentity": web })));
    assert_eq!(learned[0].from, lineage(&[], &["web:accounts.google.com:7"]));
    let cognito = json!({ "eventSource": "cognito-identity.amazonaws.com", "userIdentity": { "type": "Unknown" },
        "responseElements": { "identityId": "us-east-1:1cf6", "credentials": { "accessKeyId": temporary(7) } } });
    let learned = links(&granting("GetCredentialsForIdentity", cognito));
    assert_eq!(learned[0].from, lineage(&[], &["web:cognito-identity.amazonaws.com:us-east-1:1cf6"]));
    let granted = json!({ "credentials": { "accessKeyId": temporary(7) }, "sourceIdentity": "CN=build.example.com",
        "assumedRoleUser": { "arn": "arn:aws:sts::111122223333:assumed-role/Deploy/00b1" } });
    let anywhere = json!({ "eventSource": "rolesanywhere.amazonaws.com", "userIdentity": { "type": "Unknown", "accessKeyId": "" },
        "responseElements": { "credentialSet": [granted] } });
    let learned = links(&granting("CreateSession", anywhere));
    assert_eq!(learned[0].from, lineage(&[], &["source-identity:CN=build.example.com"]));
    assert_eq!(learned[0].session.as_deref(), Some("arn:aws:sts::111122223333:assumed-role/Deploy/00b1"));
}

#[test]
fn sessions_and_source_identities_come_with_a_link() {
    let response = json!({ "credentials": { "accessKeyId": temporary(7) }, "sourceIdentity": "alice",
        "assumedRoleUser": { "arn": "arn:aws:sts::444455556666:assumed-role/Deploy/build" } });
    let link = &links(&granting("AssumeRole", json!({ "responseElements": response })))[0];
    assert_eq!(link.from, lineage(&[KEY], &[ALICE, "source-identity:alice"]));
    assert_eq!(link.session.as_deref(), Some("arn:aws:sts::444455556666:assumed-role/Deploy/build"));
    for target in ["444455556666", "arn:aws:iam::444455556666:root"] {
        let link = &links(&granting("AssumeRoot", json!({ "requestParameters": { "targetPrincipal": target } })))[0];
        assert_eq!(link.session.as_deref(), Some("arn:aws:iam::444455556666:root"));
    }
}

#[test]
fn nothing_is_learned_where_there_is_nothing() {
    let credentials = |id: &str| json!({ "responseElements": { "credentials": { "accessKeyId": id } } });
    for members in [
        json!({ "errorCode": "AccessDenied" }),
        json!({ "errorMessage": "no" }),
        json!({ "responseElements": null }),
        // A service takes up a role; a stranger's role does, without its key.
        json!({ "userIdentity": { "type": "AWSService", "invokedBy": "ec2.amazonaws.com" } }),
        json!({ "userIdentity": { "type": "AWSAccount", "principalId": "AROACKCEVSQ6C2EXAMPLE:x", "accountId": "111122223333" } }),
        json!({ "eventSource": "iam.amazonaws.com" }),
        json!({ "eventName": "GetCallerIdentity" }),
        // No temporary key.
        credentials(KEY),
        credentials("ASIA"),
        credentials("ASIA' OR 1=1 --_____"),
        // The new credential is its own only ancestor.
        json!({ "userIdentity": { "type": "AssumedRole", "accessKeyId": temporary(7) } }),
    ] {
        assert_eq!(links(&granting("AssumeRole", members.clone())), [], "{members}");
    }
    let many: Vec<Value> = (0..100).map(|n| json!({ "credentials": { "accessKeyId": temporary(n) } })).collect();
    let event = granting(
        "CreateSession",
        json!({ "eventSource": "rolesanywhere.amazonaws.com", "responseElements": { "credentialSet": many } }),
    );
    assert_eq!(links(&event).len(), 8);
}

#[test]
fn people_are_shown_by_their_best_name() {
    let table: &[(&[&str], Option<&str>)] = &[
        (&[ALICE], Some("alice (111122223333)")),
        (&["arn:aws:iam::111122223333:root"], Some("root (111122223333)")),
        (&["AIDACKCEVSQ6C2EXAMPLE", ALICE, "saml:P:a@example.com"], Some("alice (111122223333)")),
        (&["saml:P/x=:a@example.com", "source-identity:x"], Some("a@example.com")),
        (&["web:token.example.com:repo:example/app"], Some("repo:example/app")),
        (&["identity-center:d-1/u-2"], Some("Identity Center user u-2 (d-1)")),
        (&["source-identity:x", "AIDACKCEVSQ6C2EXAMPLE"], Some("x (source identity)")),
        (&["AIDACKCEVSQ6C2EXAMPLE"], Some("user AIDACKCEVSQ6C2EXAMPLE")),
        (&[ALICE, "arn:aws:iam::444455556666:user/bob"], Some("alice (111122223333) and 1 other")),
        (&[], None),
    ];
    for (persons, shown) in table {
        assert_eq!(lineage(&[], persons).person().as_deref(), *shown, "{persons:?}");
    }
}

fn session(role: &str, account: &str) -> String {
    format!("arn:aws:sts::{account}:assumed-role/{role}/fix")
}

#[test]
fn a_chain_is_told_from_the_person_on() {
    let link = |n, from: Lineage, session| Link { credential: temporary(n), from, session };
    let second = link(2, lineage(&[&temporary(1)], &[]), Some(session("Admin", "777788889999")));
    let known = ancestries([link(1, lineage(&[KEY], &[ALICE]), Some(session("Deploy", "444455556666"))), second]);
    let found =
        |origin: &Lineage, known: &BTreeMap<String, Ancestry>| resolve(origin.clone(), |id| known.get(id).cloned());
    let origin = lineage(&[&temporary(2)], &[]);
    let told = found(&origin, &known).told();
    let expected = "alice (111122223333) → role Deploy (444455556666) as fix → role Admin (777788889999) as fix";
    assert_eq!(told.as_deref(), Some(expected));
    let mut known = known;
    known.remove(&temporary(1));
    assert_eq!(found(&origin, &known).told().as_deref(), Some("role Admin (777788889999) as fix"));
    let fork = ancestries([link(
        2,
        lineage(&[&temporary(3), &temporary(4)], &[ALICE]),
        Some(session("Admin", "777788889999")),
    )]);
    assert_eq!(found(&origin, &fork).told().as_deref(), Some("alice (111122223333)"));
    assert_eq!(found(&Lineage::default(), &known).told(), None);
}

#[test]
fn walks_are_bounded_and_say_so() {
    let chain = |length: usize| {
        let link =
            |n: usize| Link { credential: temporary(n), from: lineage(&[&temporary(n + 1)], &[]), session: None };
        ancestries((0..length).map(link))
    };
    let walk = |known: BTreeMap<String, Ancestry>| resolve(lineage(&[&temporary(0)], &[]), |id| known.get(id).cloned());
    let whole = walk(chain(MOST_HOPS - 1));
    assert_eq!((whole.lineage.credentials.len(), whole.cut), (MOST_HOPS, false));
    let long = walk(chain(1000));
    assert_eq!((long.lineage.credentials.len(), long.cut), (MOST_HOPS + 1, true));
    // As many as there are ancestors of one, and of each of these.
    let wide = (0..20).flat_map(|n| (0..20).map(move |m| (n, 20 * n + m + 1)));
    let wide = wide.map(|(n, m)| Link {
        credential: temporary(n),
        from: lineage(&[&temporary(m)], &[&format!("person {m:03}")]),
        session: None,
    });
    let wide = walk(ancestries(wide));
    assert_eq!(
        (wide.lineage.credentials.len(), wide.lineage.persons.len(), wide.cut),
        (MOST_MEMBERS, MOST_MEMBERS, true)
    );
}

/// Everybody who can be reached, by following every link until nothing is new.
fn naive(origin: &Lineage, links: &[Link]) -> Lineage {
    let mut all = origin.clone();
    loop {
        let before = all.clone();
        for link in links {
            if all.credentials.contains(&link.credential) {
                all.extend(link.from.clone());
            }
        }
        if all == before {
            return all;
        }
    }
}

/// Links among eleven keys: cycles, forks and repetitions as they fall.
fn some_links() -> impl Strategy<Value = Vec<Link>> {
    let from = (proptest::option::of(0usize..11), proptest::option::of(0usize..4)).prop_map(|(key, person)| Lineage {
        credentials: key.map(temporary).into_iter().collect(),
        persons: person.map(|n| format!("arn:aws:iam::111122223333:user/{n}")).into_iter().collect(),
    });
    let link = (0usize..11, from).prop_map(|(n, from)| Link { credential: temporary(n), from, session: None });
    proptest::collection::vec(link, 0..30)
}

fn some_ancestry() -> impl Strategy<Value = Ancestry> {
    let members = || proptest::collection::btree_set("[a-z]{1,2}", 0..MOST_ANCESTORS + 1);
    (members(), members(), members(), any::<bool>()).prop_map(|(credentials, persons, sessions, cut)| Ancestry {
        from: Lineage { credentials, persons },
        sessions,
        cut,
    })
}

proptest! {
    #[test]
    fn ancestry_is_a_join(a in some_ancestry(), b in some_ancestry(), c in some_ancestry()) {
        prop_assert_eq!(a.clone().join(a.clone()), a.clone());
        prop_assert_eq!(a.clone().join(b.clone()), b.clone().join(a.clone()));
        prop_assert_eq!(a.clone().join(b.clone()).join(c.clone()), a.join(b.join(c)));
    }

    #[test]
    fn ancestry_says_whether_it_was_cut(members in proptest::collection::vec("[a-z]{1,2}", 0..40)) {
        let link = |person: &String| Link { credential: temporary(1), from: lineage(&[], &[person]), session: None };
        let all: BTreeSet<String> = members.iter().cloned().collect();
        let known = ancestries(members.iter().map(link)).remove(&temporary(1)).unwrap_or_default();
        prop_assert_eq!(known.cut, all.len() > MOST_ANCESTORS);
        prop_assert!(known.from.persons.iter().eq(all.iter().take(MOST_ANCESTORS)));
    }

    #[test]
    fn walks_reach_whom_the_naive_reference_reaches(links in some_links(), start in 0usize..11) {
        let origin = lineage(&[&temporary(start)], &[ALICE]);
        let known = ancestries(links.clone());
        let resolved = resolve(origin.clone(), |id| known.get(id).cloned());
        prop_assert_eq!(&resolved.lineage, &naive(&origin, &links));
        prop_assert!(!resolved.cut);
    }

    #[test]
    fn more_links_never_take_anybody_away(links in some_links(), more in some_links(), start in 0usize..11) {
        let origin = lineage(&[&temporary(start)], &[]);
        let fewer = ancestries(links.clone());
        let all = ancestries(links.into_iter().chain(more));
        let before = resolve(origin.clone(), |id| fewer.get(id).cloned()).lineage;
        prop_assert!(resolve(origin, |id| all.get(id).cloned()).lineage.contains(&before));
    }

    #[test]
    fn no_bytes_are_too_strange(text in "\\PC{0,80}", kind in "(IAMUser|Root|AWSAccount|SAMLUser|FederatedUser|AssumedRole|\\PC{0,9})") {
        let identity = json!({ "type": kind, "arn": text, "principalId": text, "userName": text, "identityProvider": text,
            "accessKeyId": text, "onBehalfOf": { "userId": text, "identityStoreArn": text },
            "sessionContext": { "sourceIdentity": text, "sessionIssuer": { "type": kind, "arn": text } } });
        let event = granting("AssumeRole", json!({ "userIdentity": identity }));
        for person in origin(&event).persons.iter() {
            prop_assert!(person.len() <= 1024 && !person.chars().any(char::is_control));
        }
        let _ = resolve(origin(&event), |_| None).told();
    }
}
