//! [`links`]: what an event teaches of who is behind a new temporary credential.
//!
//! From the STS API reference and the IAM User Guide, "Logging IAM and AWS STS API calls with AWS CloudTrail"; the Cognito
//! Developer Guide; the IAM Roles Anywhere User Guide, "CreateSession". Sign-in events teach nothing: none of them names the
//! key that the console goes on to use.

use std::borrow::Cow;

use crate::event::{Event, EventKind, Key};
use crate::json;

use super::{Lineage, arn, origin};

/// The most credentials that one event is believed to hand out; Roles Anywhere answers with a list, of one in practice.
const MOST_CREDENTIALS: usize = 8;

/// A temporary credential and who asked for it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Link {
    /// The new access key id, `ASIA…`.
    pub credential: String,
    /// Who asked for it. Never empty, never the new credential itself.
    pub from: Lineage,
    /// What the credential is a session of, for display: the ARN of an assumed role's session, a federated user, or an assumed
    /// root. No member of a lineage, since many share it.
    pub session: Option<String>,
}

/// Whether events of this source and name may teach something: a cheap test, to be made of every event.
pub fn teaches(event: &Event) -> bool {
    if event.kind() != EventKind::CloudTrail {
        return false;
    }
    let name = event.name();
    match event.source().as_ref() {
        "sts.amazonaws.com" => matches!(
            name.as_ref(),
            "AssumeRole"
                | "AssumeRoleWithSAML"
                | "AssumeRoleWithWebIdentity"
                | "AssumeRoot"
                | "GetFederationToken"
                | "GetSessionToken"
        ),
        "cognito-identity.amazonaws.com" => name == "GetCredentialsForIdentity",
        "rolesanywhere.amazonaws.com" => name == "CreateSession",
        _ => false,
    }
}

/// What the event teaches: nothing if the call failed, or if nobody is behind it, as when a service assumes a role.
pub fn links(event: &Event) -> Vec<Link> {
    // First, since this is asked of every event.
    if !teaches(event) || event.value(Key::ErrorCode).is_some() || event.value(Key::ErrorMessage).is_some() {
        return Vec::new();
    }
    let Some(response) = event.value(Key::ResponseElements) else { return Vec::new() };
    let mut from = origin(event);
    from.persons.extend(cognito_identity(event));
    let granted: Vec<&[u8]> = match json::member(response, "credentialSet") {
        Some(list) => json::elements(list).take(MOST_CREDENTIALS).collect(),
        None => vec![response],
    };
    granted.into_iter().filter_map(|granted| link(event, &from, granted)).collect()
}

/// The link of one granted credential: `credentials`, and what it is good for, lie in `granted`.
fn link(event: &Event, from: &Lineage, granted: &[u8]) -> Option<Link> {
    let credential = text(granted, &["credentials", "accessKeyId"]).filter(|id| arn::is_temporary(id))?;
    let mut from = from.clone();
    from.credentials.remove(credential.as_ref());
    let requested = || event.text_at(&["requestParameters", "sourceIdentity"]);
    let source_identity = text(granted, &["sourceIdentity"]).or_else(requested);
    from.persons.extend(source_identity.and_then(|name| origin::as_source_identity(&name)));
    if from.is_empty() {
        return None;
    }
    Some(Link { credential: credential.into_owned(), from, session: session(event, granted) })
}

fn session(event: &Event, granted: &[u8]) -> Option<String> {
    let named = text(granted, &["assumedRoleUser", "arn"]).or_else(|| text(granted, &["federatedUser", "arn"]));
    let arn = named.map(Cow::into_owned).or_else(|| assumed_root(event));
    arn.filter(|arn| arn::is_session(arn))
}

/// The root that AssumeRoot was asked for: by its account's id, or by an ARN.
fn assumed_root(event: &Event) -> Option<String> {
    let target = event.text_at(&["requestParameters", "targetPrincipal"])?;
    Some(if target.starts_with("arn:") { target.into_owned() } else { format!("arn:aws:iam::{target}:root") })
}

/// The identity of a pool that Cognito gives credentials to, in the form in which AssumeRoleWithWebIdentity names it. The call
/// itself is not signed.
fn cognito_identity(event: &Event) -> Option<String> {
    if event.source() != "cognito-identity.amazonaws.com" {
        return None;
    }
    let of = |key| event.text_at(&[key, "identityId"]).filter(|id| arn::is_name(id));
    let id = of("responseElements").or_else(|| of("requestParameters"))?;
    origin::named("web", "cognito-identity.amazonaws.com", &id)
}

fn text<'a>(object: &'a [u8], path: &[&str]) -> Option<Cow<'a, str>> {
    path.iter().try_fold(object, |value, name| json::member(value, name)).and_then(json::as_str)
}
