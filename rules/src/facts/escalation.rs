//! Calls that raise somebody's rights, in their harmful form: seen in the call itself, not in what a policy would permit.

use crate::tables::Tables;

use super::Facts;

/// The ways, and what each means.
pub(crate) const WAYS: &[(&str, &str)] = &[
    ("access-key-for-other", "an access key is made for another user, or another user's is switched on"),
    ("added-to-admin-group", "a user joins a group that administers the account"),
    ("admin-policy-attached", "AdministratorAccess or IAMFullAccess is attached"),
    ("admin-policy-written", "a policy is written, inline or managed, that makes its holder an administrator"),
    ("boundary-removed", "a permissions boundary is taken away"),
    ("critical-role-passed", "a role that is listed as critical is handed to a service"),
    ("escalating-policy-written", "a policy is written that opens a known path to more rights"),
    ("federation-open", "a role's trust admits anybody with an account at a shared identity provider"),
    ("federation-token-admin", "a federation token without limits is issued, which outlives the key it came from"),
    ("password-for-other", "a console password is set for another user"),
    ("rights-to-self", "the caller gives its own user or role a policy or group"),
    ("trust-outside", "a role's trust admits everybody or a strange account"),
    ("trust-to-self", "a role's trust is changed to admit the caller by name"),
];

/// The ways in which this call raises rights.
pub(crate) fn of(facts: &Facts<'_>) -> Vec<String> {
    let (service, call) = (facts.service(), facts.call());
    let mut ways = match service.as_str() {
        "iam" => of_iam(facts, &call),
        "sts" if call == "GetFederationToken" && facts.policy().is_some_and(|policy| policy.admin == Some(true)) => {
            vec!["federation-token-admin"]
        }
        "sso" => of_documents(facts),
        _ => Vec::new(),
    };
    let critical = |role: &String| Tables::lists(&facts.tables.critical_names, role);
    if facts.passed_roles().iter().any(critical) {
        ways.push("critical-role-passed");
    }
    ways.sort_unstable();
    ways.into_iter().map(str::to_owned).collect()
}

fn of_iam(facts: &Facts<'_>, call: &str) -> Vec<&'static str> {
    let iam = facts.iam();
    let text = |name| facts.request().and_then(|request| request.scalar_of(name));
    let mut ways = Vec::new();
    let mut add = |way, holds: bool| ways.extend(holds.then_some(way));
    add("rights-to-self", iam.self_grant == Some(true));
    let other = iam.other_user == Some(true);
    match call {
        "CreateAccessKey" => add("access-key-for-other", other),
        "UpdateAccessKey" => {
            add(
                "access-key-for-other",
                other && text("status").is_some_and(|status| status.eq_ignore_ascii_case("Active")),
            );
        }
        "CreateLoginProfile" => add("password-for-other", other),
        "UpdateLoginProfile" => add("password-for-other", other),
        "AddUserToGroup" => add("added-to-admin-group", iam.admin_group == Some(true)),
        "DeleteUserPermissionsBoundary" | "DeleteRolePermissionsBoundary" => add("boundary-removed", true),
        "CreateRole" | "UpdateAssumeRolePolicy" => {
            let policy = facts.policy();
            add("trust-outside", policy.is_some_and(|policy| policy.outside == Some(true)));
            add("federation-open", policy.is_some_and(|policy| policy.open_federation == Some(true)));
            add("trust-to-self", call == "UpdateAssumeRolePolicy" && trusts_caller(facts));
        }
        _ => ways.extend(of_documents(facts)),
    }
    ways
}

/// What a written or attached policy of an identity comes to.
fn of_documents(facts: &Facts<'_>) -> Vec<&'static str> {
    let Some(policy) = facts.policy() else {
        return Vec::new();
    };
    match (policy.admin, &policy.attached) {
        (Some(true), Some(_)) => vec!["admin-policy-attached"],
        (Some(true), None) => vec!["admin-policy-written"],
        _ if !policy.escalation.is_empty() => vec!["escalating-policy-written"],
        _ => Vec::new(),
    }
}

/// Whether a trust names the caller's own user or role.
fn trusts_caller(facts: &Facts<'_>) -> bool {
    let caller = facts.caller();
    let Some(policy) = facts.policy() else {
        return false;
    };
    let ends = |arn: &str, kind: &str, name: &Option<String>| {
        name.as_deref()
            .is_some_and(|name| arn.split_once(kind).is_some_and(|(_, path)| path.rsplit('/').next() == Some(name)))
    };
    policy.principals.iter().any(|arn| {
        caller.arn.as_deref() == Some(arn) || ends(arn, ":user/", &caller.user) || ends(arn, ":role/", &caller.role)
    })
}
