//! What ids and ARNs of AWS look like, as far as lineage trusts them. Strict: an event may come from anybody who can put one
//! on the bus, and what is taken here becomes a key, a member of a set, and a line on a screen.
//!
//! From the IAM User Guide, "IAM identifiers", and the IAM and STS API references (`accessKeyIdType`, `idType`, `arnType`).

use std::ops::RangeInclusive;

use crate::tables::is_account_id;

/// Length of access key ids and unique ids, in bytes. AWS makes them of 16 at least; shorter ones stand in documentation and in
/// drills, and do no harm.
const ID_LENGTH: RangeInclusive<usize> = 5..=128;
/// Longest name of a person, in bytes; the longest ARN of a user has some 630.
const LONGEST: usize = 1024;

/// Whether it can be an access key id: a long-lived one (`AKIA…`) or a temporary one (`ASIA…`).
pub(super) fn is_access_key_id(text: &str) -> bool {
    is_id(text, "AKIA") || is_temporary(text)
}

/// Whether it can be the id of a temporary access key. Only these come from another credential.
pub(super) fn is_temporary(text: &str) -> bool {
    is_id(text, "ASIA")
}

/// Whether it can be the unique id of an IAM user.
pub(super) fn is_user_id(text: &str) -> bool {
    is_id(text, "AIDA")
}

fn is_id(text: &str, prefix: &str) -> bool {
    ID_LENGTH.contains(&text.len()) && text.starts_with(prefix) && text.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

/// Whether it can be somebody's name: not empty, not endless, without control characters.
pub(super) fn is_name(text: &str) -> bool {
    !text.is_empty() && text.len() <= LONGEST && !text.chars().any(char::is_control)
}

/// The account and the resource of an ARN of `service` that has no region: of IAM or STS.
pub(super) fn split<'a>(arn: &'a str, service: &str) -> Option<(&'a str, &'a str)> {
    let parts: Vec<&str> = arn.splitn(6, ':').collect();
    match parts[..] {
        ["arn", partition, of, "", account, resource]
            if partition.starts_with("aws") && of == service && is_account_id(account) && is_name(arn) =>
        {
            Some((account, resource))
        }
        _ => None,
    }
}

/// Whether it is the ARN of an IAM user.
pub(super) fn is_user(arn: &str) -> bool {
    split(arn, "iam").is_some_and(|(_, resource)| resource.strip_prefix("user/").is_some_and(|name| !name.is_empty()))
}

/// Whether it is the ARN of an account's root.
pub(super) fn is_root(arn: &str) -> bool {
    split(arn, "iam").is_some_and(|(_, resource)| resource == "root")
}

/// Whether it is the ARN of a session: of an assumed role, of a federated user, or of a root that was assumed.
pub(super) fn is_session(arn: &str) -> bool {
    is_root(arn)
        || split(arn, "sts").is_some_and(|(_, resource)| {
            resource.starts_with("assumed-role/") || resource.starts_with("federated-user/")
        })
}
