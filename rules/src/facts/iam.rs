//! Calls of IAM: about whom they are, seen from the caller.

use crate::tables::Tables;

use super::Facts;

/// What a call of IAM is about.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Iam {
    pub(crate) other_user: Option<bool>,
    pub(crate) self_grant: Option<bool>,
    pub(crate) admin_group: Option<bool>,
}

/// Calls that are about the caller's own user when they name none.
const OWN_BY_DEFAULT: &[&str] = &[
    "ChangePassword",
    "CreateAccessKey",
    "CreateLoginProfile",
    "CreateServiceSpecificCredential",
    "DeactivateMFADevice",
    "DeleteAccessKey",
    "DeleteLoginProfile",
    "DeleteSigningCertificate",
    "EnableMFADevice",
    "UpdateAccessKey",
    "UploadSigningCertificate",
    "UploadSSHPublicKey",
];

impl Iam {
    pub(crate) fn of(facts: &Facts<'_>) -> Iam {
        if facts.service() != "iam" {
            return Iam::default();
        }
        let (request, call, caller) = (facts.request(), facts.call(), facts.caller());
        let text = |name| request.and_then(|request| request.scalar_of(name)).filter(|text| !text.is_empty());
        let same = |own: &Option<String>, name: &str| own.as_deref().is_some_and(|own| own.eq_ignore_ascii_case(name));
        let (user, role) = (text("userName"), text("roleName"));
        let own_by_default = || OWN_BY_DEFAULT.contains(&call.as_str()).then_some(false);
        let other_user = user.as_deref().map(|user| !same(&caller.user, user)).or_else(own_by_default);
        let self_grant = match call.as_str() {
            "PutUserPolicy" | "AttachUserPolicy" | "AddUserToGroup" => {
                user.as_deref().map(|user| same(&caller.user, user))
            }
            "PutRolePolicy" | "AttachRolePolicy" => role.as_deref().map(|role| same(&caller.role, role)),
            _ => None,
        };
        let admin_group = text("groupName").map(|group| Tables::lists(&facts.tables.admin_groups, &group));
        Iam { other_user, self_grant, admin_group }
    }
}
