//! [`Judgement`]: what the policies that an event carries come to, together.

use crate::tables::is_account_id;

use super::Facts;
use super::document::{self, Document, Place, Trouble};
use super::exposure::Exposure;
use super::paths;
use super::policy::{Named, Patterns, Policy, Statement};
use super::principal::{Principal, Principals};
use super::sharing;

/// AWS's own managed policies that make an administrator, by name.
const ADMIN_POLICIES: &[&str] = &["AdministratorAccess", "IAMFullAccess"];

/// The verdicts of all documents of an event.
#[derive(Debug, Default)]
pub(crate) struct Judgement {
    /// How well they could be read; `None` when a managed policy was attached and none is there.
    pub(crate) document: Option<Condition>,
    pub(crate) kinds: Vec<String>,
    pub(crate) attached: Option<String>,
    pub(crate) admin: Option<bool>,
    pub(crate) full_access: Vec<String>,
    pub(crate) escalation: Vec<String>,
    pub(crate) public: Option<bool>,
    pub(crate) public_actions: Vec<String>,
    pub(crate) principals: Vec<String>,
    pub(crate) accounts: Vec<String>,
    pub(crate) outside: Option<bool>,
    pub(crate) outside_accounts: Vec<String>,
    pub(crate) open_federation: Option<bool>,
}

/// The condition that documents were found in.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Condition {
    pub(crate) unreadable: bool,
    pub(crate) too_large: bool,
    pub(crate) duplicate_keys: bool,
}

impl Judgement {
    /// `None` for an event that carries no document and attaches no policy.
    pub(crate) fn of(facts: &Facts<'_>) -> Option<Judgement> {
        let mut judgement = Judgement { attached: attached(facts), ..Judgement::default() };
        if let Some(name) = &judgement.attached {
            judgement.admin = Some(is_admin_policy(facts, name));
        }
        for Document { place, bytes } in document::of(facts) {
            match bytes {
                Ok(bytes) => judgement.add(place, &Policy::parse(&bytes)),
                Err(trouble) => {
                    let condition = judgement.document.get_or_insert_default();
                    condition.unreadable |= trouble == Trouble::Unreadable;
                    condition.too_large |= trouble == Trouble::TooLarge;
                }
            }
        }
        if let Some(policy) = sharing::permission(facts) {
            judgement.add(Place::Other, &policy);
        }
        if judgement.document.is_none() && judgement.attached.is_none() {
            return None;
        }
        judgement.look_outside(facts);
        Some(judgement)
    }

    fn add(&mut self, place: Place, policy: &Policy) {
        let condition = self.document.get_or_insert_default();
        condition.unreadable |= policy.unreadable;
        condition.too_large |= policy.too_large;
        condition.duplicate_keys |= policy.duplicate_keys;
        let exposure = Exposure::of(policy);
        let kind = match (place, &exposure) {
            (Place::Trust, _) => "trust",
            (_, Some(_)) => "resource",
            (Place::Session, None) => "session",
            (Place::Other, None) => "identity",
        };
        self.kinds.push(kind.to_owned());
        if let Some(exposure) = exposure {
            self.public = Some(self.public.unwrap_or_default() | exposure.public);
            self.open_federation = Some(self.open_federation.unwrap_or_default() | exposure.open_federation);
            self.public_actions.extend(exposure.public_actions);
            self.principals.extend(exposure.principals);
            self.accounts.extend(exposure.accounts);
        }
        let has_own = policy.statements.iter().any(|statement| statement.principals.is_none());
        if place != Place::Trust && has_own {
            self.admin = Some(self.admin.unwrap_or_default() | policy.is_admin());
            self.full_access.extend(policy.full_access());
            self.escalation.extend(paths::open(policy));
        }
    }

    fn look_outside(&mut self, facts: &Facts<'_>) {
        for list in [&mut self.accounts, &mut self.principals, &mut self.kinds] {
            list.sort();
            list.dedup();
        }
        let log_delivery = facts.service() == "s3";
        let strange = |account: &&String| {
            is_account_id(account) && facts.is_outside(account) && !(log_delivery && sharing::delivers_logs(account))
        };
        self.outside_accounts = self.accounts.iter().filter(strange).cloned().collect();
        self.outside = self.public.map(|public| public || !self.outside_accounts.is_empty());
    }
}

/// The name of the managed policy that the call attaches.
fn attached(facts: &Facts<'_>) -> Option<String> {
    let member = match (facts.service().as_str(), facts.call().as_str()) {
        ("iam", "AttachUserPolicy" | "AttachRolePolicy" | "AttachGroupPolicy") => "policyArn",
        ("sso", "AttachManagedPolicyToPermissionSet") => "managedPolicyArn",
        _ => return None,
    };
    let arn = facts.request()?.scalar_of(member)?;
    Some(arn.rsplit('/').next().unwrap_or_default().to_owned())
}

/// Whether the attached policy is one of AWS's that make an administrator: a customer's of the same name is not.
fn is_admin_policy(facts: &Facts<'_>, name: &str) -> bool {
    let request = facts.request();
    let arn =
        request.and_then(|request| request.scalar_of("policyArn").or_else(|| request.scalar_of("managedPolicyArn")));
    ADMIN_POLICIES.contains(&name) && arn.is_some_and(|arn| arn.contains(":iam::aws:policy/"))
}

/// A statement that allows these principals these actions, as calls like AddPermission say without a document.
pub(crate) fn allowing(principals: Vec<Principal>, actions: Vec<String>) -> Statement {
    Statement {
        allows: true,
        actions: Patterns { named: actions.into_iter().map(Named::new).collect(), except: Vec::new() },
        principals: Some(Principals { named: principals, except: None }),
        ..Statement::default()
    }
}
