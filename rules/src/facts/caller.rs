//! Who made a call, in what session, and how it ended.
//!
//! From the CloudTrail User Guide, "CloudTrail userIdentity element" and "AWS Management Console sign-in events".

use crate::event::{EventKind, Key};

use super::Facts;
use super::node::Node;

/// The caller of an event.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Caller {
    pub(crate) actor: Option<String>,
    pub(crate) kind: Option<&'static str>,
    pub(crate) account: Option<String>,
    pub(crate) outside: Option<bool>,
    pub(crate) aws_service: Option<bool>,
    pub(crate) person: Option<bool>,
    pub(crate) role: Option<String>,
    pub(crate) session: Option<String>,
    pub(crate) user: Option<String>,
    pub(crate) arn: Option<String>,
    pub(crate) mfa: Option<bool>,
    pub(crate) federated: Option<bool>,
    pub(crate) console: Option<bool>,
}

impl Caller {
    pub(crate) fn of(facts: &Facts<'_>) -> Caller {
        let event = facts.event;
        let mut caller = Caller { actor: crate::actor::actor(event), ..Caller::default() };
        if event.kind() != EventKind::CloudTrail {
            return caller;
        }
        let identity = event.value(Key::UserIdentity).map_or(Node(b"{}"), Node);
        let text = |name| identity.scalar_of(name).map(|text| text.into_owned()).filter(|text| !text.is_empty());
        let event_type = event.text(Key::EventType).unwrap_or_default();
        let is_event_of_service = event_type == "AwsServiceEvent";
        caller.kind = Some(kind(text("type").as_deref(), is_event_of_service || text("invokedBy").is_some()));
        caller.arn = text("arn");
        caller.account = text("accountId");
        caller.user = text("userName").filter(|_| caller.kind == Some("user"));
        caller.outside = caller.account.as_deref().map(|account| facts.is_outside(account));
        caller.look_at_role(identity);
        caller.aws_service = Some(caller.kind == Some("service") || is_service_linked(identity));
        if caller.aws_service == Some(false) {
            caller.mfa = mfa(facts, identity, caller.kind);
            caller.federated = Some(is_federated(facts, identity, &caller));
        }
        caller.console = Some(is_console(facts, identity, &event_type));
        caller.person = Some(is_person(&caller));
        caller
    }

    fn look_at_role(&mut self, identity: Node<'_>) {
        if self.kind != Some("role") {
            return;
        }
        let assumed = self.arn.as_deref().and_then(|arn| arn.split_once(":assumed-role/")).map(|(_, rest)| rest);
        if let Some((role, session)) = assumed.and_then(|rest| rest.split_once('/')) {
            (self.role, self.session) = (Some(role.to_owned()), Some(session.to_owned()));
        }
        let issuer = identity.at(&["sessionContext", "sessionIssuer", "userName"]);
        let of_arn =
            || self.arn.as_deref()?.split_once(":role/").map(|(_, name)| name.rsplit('/').next().unwrap_or(name));
        let other =
            || issuer.and_then(Node::scalar).map(|name| name.into_owned()).or_else(|| of_arn().map(str::to_owned));
        self.role = self.role.take().or_else(other);
    }
}

fn kind(kind: Option<&str>, by_service: bool) -> &'static str {
    match kind {
        Some("Root") => "root",
        Some("IAMUser") => "user",
        Some("AssumedRole" | "Role") => "role",
        Some("FederatedUser" | "SAMLUser" | "WebIdentityUser" | "IdentityCenterUser" | "Directory") => "federated",
        Some("AWSService") => "service",
        Some("AWSAccount") => "account",
        None if by_service => "service",
        _ => "unknown",
    }
}

/// Whether the caller is a service-linked role, which nobody but its service can assume.
fn is_service_linked(identity: Node<'_>) -> bool {
    let issuer = identity.at(&["sessionContext", "sessionIssuer", "arn"]).and_then(Node::scalar);
    issuer.is_some_and(|arn| arn.contains(":role/aws-service-role/"))
}

fn mfa(facts: &Facts<'_>, identity: Node<'_>, kind: Option<&str>) -> Option<bool> {
    let used = facts.event.value(Key::AdditionalEventData).and_then(|data| Node(data).scalar_of("MFAUsed"));
    if let Some(used) = used {
        return Some(used.eq_ignore_ascii_case("Yes"));
    }
    if let Some(seen) = identity.at(&["sessionContext", "attributes"]).and_then(|of| of.flag_of("mfaAuthenticated")) {
        return Some(seen);
    }
    // Keys of a user or of root have no session, and saw no second factor.
    let by_key = identity.scalar_of("accessKeyId").is_some_and(|key| !key.is_empty());
    (by_key && matches!(kind, Some("user" | "root" | "role" | "federated"))).then_some(false)
}

fn is_federated(facts: &Facts<'_>, identity: Node<'_>, caller: &Caller) -> bool {
    let provider = identity.at(&["sessionContext", "webIdFederationData", "federatedProvider"]).and_then(Node::scalar);
    let data = facts.event.value(Key::AdditionalEventData).map(Node);
    // Only people whom an identity provider knows reach the console's sign-in page with a role.
    let signs_in = facts.event.name() == "ConsoleLogin" && caller.kind == Some("role");
    let by_type =
        identity.scalar_of("type").is_some_and(|kind| kind != "FederatedUser") && caller.kind == Some("federated");
    provider.is_some_and(|provider| !provider.is_empty())
        || data.is_some_and(|data| data.get("SamlProviderArn").is_some())
        || caller.role.as_deref().is_some_and(|role| role.starts_with("AWSReservedSSO_"))
        || signs_in
        || by_type
}

/// Users, root, whoever comes from elsewhere, the console, roles of Identity Center and of the organisation's
/// administrators, and sessions that carry somebody's address. What is left are services and the roles of machines.
fn is_person(caller: &Caller) -> bool {
    let role = caller.role.as_deref().unwrap_or_default().to_lowercase();
    matches!(caller.kind, Some("account" | "federated" | "root" | "unknown" | "user"))
        || caller.console == Some(true)
        || ["awsreservedsso_", "organizationaccountaccessrole"].iter().any(|start| role.starts_with(start))
        || caller.session.as_deref().is_some_and(|session| session.contains('@'))
}

fn is_console(facts: &Facts<'_>, identity: Node<'_>, event_type: &str) -> bool {
    let agent = facts.event.text(Key::UserAgent).unwrap_or_default();
    let flagged = facts.event.text_at(&["sessionCredentialFromConsole"]);
    matches!(event_type, "AwsConsoleSignIn" | "AwsConsoleAction")
        || flagged.is_some_and(|flag| flag == "true")
        || matches!(agent.as_ref(), "console.amazonaws.com" | "signin.amazonaws.com" | "AWS Internal") && {
            identity.scalar_of("invokedBy").is_none_or(|by| by == "signin.amazonaws.com" || by == "AWS Internal")
        }
}

/// How the call ended: `success`, `denied` or `failed`.
pub(crate) fn outcome(facts: &Facts<'_>) -> Option<&'static str> {
    let event = facts.event;
    if event.kind() != EventKind::CloudTrail {
        return None;
    }
    let code = event.text(Key::ErrorCode).unwrap_or_default();
    let denied = ["AccessDenied", "Unauthorized", "NotAuthorized", "AuthorizationError", "Forbidden", "NoAccess"];
    if denied.iter().any(|word| code.contains(word)) {
        return Some("denied");
    }
    let name = event.name();
    let answer = facts.response().and_then(|response| response.scalar_of(&name));
    let refused = event.text(Key::EventType).is_some_and(|kind| kind == "AwsConsoleSignIn")
        && answer.is_some_and(|answer| answer.eq_ignore_ascii_case("Failure"));
    Some(if refused || !code.is_empty() || event.value(Key::ErrorMessage).is_some() { "failed" } else { "success" })
}
