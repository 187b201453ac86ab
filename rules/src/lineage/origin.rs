//! [`origin`]: what an event itself says of who acts.
//!
//! From the CloudTrail User Guide, "CloudTrail userIdentity element", and GuardDuty's `AccessKeyDetails`.

use std::borrow::Cow;

use crate::event::{Event, EventKind, Key};

use super::{Lineage, arn};

/// The credential and the persons that the event itself names. Nobody where it names none: a service that acts for itself, a
/// role without its access key, a stranger.
pub fn origin(event: &Event) -> Lineage {
    match event.kind() {
        EventKind::CloudTrail => of_identity(event),
        EventKind::GuardDuty => of_key_details(event),
        EventKind::SecurityHub => Lineage::default(),
    }
}

fn of_identity(event: &Event) -> Lineage {
    let text = |name| event.text_at(&["userIdentity", name]);
    let kind = text("type").unwrap_or_default();
    let mut lineage = Lineage::default();
    if kind == "AWSService" || event.text(Key::EventType).is_some_and(|kind| kind == "AwsServiceEvent") {
        return lineage;
    }
    lineage.credentials.extend(text("accessKeyId").filter(|id| arn::is_access_key_id(id)).map(Cow::into_owned));
    let person = match kind.as_ref() {
        "IAMUser" => user(text("arn"), text("principalId")),
        "Root" if !is_assumed_root(event) => text("arn").filter(|arn| arn::is_root(arn)).map(Cow::into_owned),
        "AWSAccount" => text("principalId").filter(|id| arn::is_user_id(id)).map(Cow::into_owned),
        "SAMLUser" => federated("saml", event),
        "WebIdentityUser" => federated("web", event),
        "FederatedUser" => issuer(event),
        _ => None,
    };
    lineage.persons.extend(person);
    lineage.persons.extend(identity_center(event));
    lineage.persons.extend(source_identity(event));
    lineage
}

fn of_key_details(event: &Event) -> Lineage {
    let details = |name| event.text_at(&["resource", "accessKeyDetails", name]);
    let mut lineage = Lineage::default();
    lineage.credentials.extend(details("accessKeyId").filter(|id| arn::is_access_key_id(id)).map(Cow::into_owned));
    let person = match details("userType").as_deref() {
        // The name comes without its path, so the user's ARN cannot be told from it.
        Some("IAMUser") => details("principalId").filter(|id| arn::is_user_id(id)).map(Cow::into_owned),
        Some("Root") => event.account_id().and_then(|account| {
            let partition = event.text_at(&["partition"]).unwrap_or(Cow::Borrowed("aws"));
            Some(format!("arn:{partition}:iam::{account}:root")).filter(|arn| arn::is_root(arn))
        }),
        _ => None,
    };
    lineage.persons.extend(person);
    lineage
}

/// An IAM user by ARN; where there is none, as of a sign-in that failed, by unique id.
fn user(arn: Option<Cow<'_, str>>, id: Option<Cow<'_, str>>) -> Option<String> {
    let arn = arn.filter(|arn| arn::is_user(arn));
    arn.or_else(|| id.filter(|id| arn::is_user_id(id))).map(Cow::into_owned)
}

/// Whether the root was assumed (AssumeRoot) and not signed in as: then it says no more of the person than a role does.
fn is_assumed_root(event: &Event) -> bool {
    let context = event.value(Key::UserIdentity).and_then(|identity| crate::json::member(identity, "sessionContext"));
    let flag = |object: &[u8]| {
        let value = crate::json::member(object, "assumedRoot");
        matches!(value, Some(b"true" | b"\"true\""))
    };
    context.is_some_and(|context| flag(context) || crate::json::member(context, "attributes").is_some_and(flag))
}

/// `saml:PROVIDER:NAME` or `web:PROVIDER:NAME`, of a caller whom an identity provider vouches for.
fn federated(form: &str, event: &Event) -> Option<String> {
    let text = |name| event.text_at(&["userIdentity", name]).filter(|text| arn::is_name(text));
    named(form, &text("identityProvider")?, &text("userName")?)
}

/// A provider's person. The provider's own colons become slashes, so that it is clear where the name begins.
pub(super) fn named(form: &str, provider: &str, name: &str) -> Option<String> {
    // The provider of an account's own making is named by its ARN; what identifies it is the URL behind it.
    let provider = provider.split_once(":oidc-provider/").map_or(provider, |(_, url)| url);
    Some(format!("{form}:{}:{name}", provider.replace(':', "/"))).filter(|person| arn::is_name(person))
}

/// Who asked for a federation token: an IAM user or an account's root.
fn issuer(event: &Event) -> Option<String> {
    let text = |name| event.text_at(&["userIdentity", "sessionContext", "sessionIssuer", name]);
    match text("type").as_deref() {
        Some("IAMUser") => user(text("arn"), text("principalId")),
        Some("Root") => text("arn").filter(|arn| arn::is_root(arn)).map(Cow::into_owned),
        _ => None,
    }
}

/// `identity-center:STORE/USER`, of a call on behalf of a user of IAM Identity Center.
fn identity_center(event: &Event) -> Option<String> {
    let text = |name| event.text_at(&["userIdentity", "onBehalfOf", name]);
    let is_id = |id: &str| !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    let (store, user) = (text("identityStoreArn")?, text("userId")?);
    let store = store.rsplit_once(":identitystore/").map(|(_, store)| store).filter(|store| is_id(store))?;
    Some(user)
        .filter(|user| is_id(user))
        .map(|user| format!("identity-center:{store}/{user}"))
        .filter(|p| arn::is_name(p))
}

/// `source-identity:NAME`, which stays with a session and with all that follow from it.
fn source_identity(event: &Event) -> Option<String> {
    let of_session = event.text_at(&["userIdentity", "sessionContext", "sourceIdentity"]);
    as_source_identity(&of_session.or_else(|| event.text_at(&["userIdentity", "sourceIdentity"]))?)
}

/// A source identity as a person.
pub(super) fn as_source_identity(name: &str) -> Option<String> {
    (!name.is_empty()).then(|| format!("source-identity:{name}")).filter(|person| arn::is_name(person))
}
