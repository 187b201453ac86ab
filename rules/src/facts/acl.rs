//! Access control lists of S3 in every shape that CloudTrail shows: canned, grant headers, one grant or a list of them.
//!
//! From the S3 User Guide, "Access control list (ACL) overview".

use super::Facts;
use super::node::{MOST_ELEMENTS, Node};

/// What a list grants.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Acl {
    pub(crate) grants: Vec<String>,
    pub(crate) public: bool,
    pub(crate) public_write: bool,
}

/// Headers, and the permission that each grants.
const HEADERS: &[(&str, &str)] = &[
    ("x-amz-grant-full-control", "FULL_CONTROL"),
    ("x-amz-grant-read", "READ"),
    ("x-amz-grant-read-acp", "READ_ACP"),
    ("x-amz-grant-write", "WRITE"),
    ("x-amz-grant-write-acp", "WRITE_ACP"),
];

impl Acl {
    /// `None` for a call that sets no list.
    pub(crate) fn of(facts: &Facts<'_>) -> Option<Acl> {
        if !matches!(facts.service().as_str(), "s3" | "s3-outposts" | "s3express") {
            return None;
        }
        Acl::read(facts.request()?)
    }

    fn read(request: Node<'_>) -> Option<Acl> {
        let mut acl = Acl::default();
        let mut any = false;
        for canned in request.texts_of("x-amz-acl") {
            any = true;
            acl.add_canned(canned.trim());
        }
        for (header, permission) in HEADERS {
            for value in request.texts_of(header) {
                any = true;
                value.split(',').take(MOST_ELEMENTS).for_each(|grantee| acl.add_header(grantee, permission));
            }
        }
        if let Some(list) = request.at(&["AccessControlPolicy", "AccessControlList"]) {
            any = true;
            list.list_of("Grant").into_iter().for_each(|grant| acl.add_grant(grant));
        }
        acl.grants.dedup();
        any.then_some(acl)
    }

    /// A canned list by its name; of those that grant something to others than the owner.
    fn add_canned(&mut self, name: &str) {
        let grants: &[(&str, &str)] = match name.to_ascii_lowercase().as_str() {
            "public-read" => &[("AllUsers", "READ")],
            "public-read-write" => &[("AllUsers", "READ"), ("AllUsers", "WRITE")],
            "authenticated-read" => &[("AuthenticatedUsers", "READ")],
            "log-delivery-write" => &[("LogDelivery", "WRITE"), ("LogDelivery", "READ_ACP")],
            "aws-exec-read" => &[("EC2", "READ")],
            "bucket-owner-read" => &[("owner", "READ")],
            "bucket-owner-full-control" => &[("owner", "FULL_CONTROL")],
            _ => &[],
        };
        grants.iter().for_each(|(grantee, permission)| self.add(grantee, permission));
    }

    /// One of a header's grantees: `uri="http://acs.amazonaws.com/groups/global/AllUsers"`.
    fn add_header(&mut self, grantee: &str, permission: &str) {
        let Some((kind, value)) = grantee.split_once('=') else {
            return;
        };
        let value = value.trim().trim_matches(['"', '\'']);
        match kind.trim().to_ascii_lowercase().as_str() {
            "uri" => self.add(&group(value), permission),
            "emailaddress" => self.add(&format!("email:{value}"), permission),
            _ => self.add(&format!("id:{value}"), permission),
        }
    }

    fn add_grant(&mut self, grant: Node<'_>) {
        let permission = grant.scalar_of("Permission").unwrap_or_default().to_ascii_uppercase();
        for grantee in grant.list_of("Grantee") {
            let text = |name| grantee.scalar_of(name).filter(|text| !text.is_empty());
            if let Some(uri) = text("URI") {
                self.add(&group(&uri), &permission);
            } else if let Some(email) = text("EmailAddress") {
                self.add(&format!("email:{email}"), &permission);
            } else if let Some(id) = text("ID") {
                self.add(&format!("id:{id}"), &permission);
            }
        }
    }

    fn add(&mut self, grantee: &str, permission: &str) {
        if matches!(grantee, "AllUsers" | "AuthenticatedUsers") {
            self.public = true;
            self.public_write |= matches!(permission, "WRITE" | "WRITE_ACP" | "FULL_CONTROL");
        }
        if self.grants.len() < MOST_ELEMENTS {
            self.grants.push(format!("{grantee} {permission}"));
        }
    }
}

/// The group that a URI names, by the last part of its path.
fn group(uri: &str) -> String {
    let name = uri.trim().trim_end_matches('/').rsplit('/').next().unwrap_or_default();
    let known = ["AllUsers", "AuthenticatedUsers", "LogDelivery"];
    known.into_iter().find(|known| known.eq_ignore_ascii_case(name)).unwrap_or(name).to_owned()
}

/// Whether the call takes a part of the block on public access away; `None` for calls that are not about it.
pub(crate) fn public_block_lifted(facts: &Facts<'_>) -> Option<bool> {
    let (service, call) = (facts.service(), facts.call());
    let request = facts.request();
    match (service.as_str(), call.as_str()) {
        ("s3", "DeleteBucketPublicAccessBlock" | "DeleteAccountPublicAccessBlock" | "DeletePublicAccessBlock") => {
            Some(true)
        }
        ("s3", "PutBucketPublicAccessBlock" | "PutAccountPublicAccessBlock" | "PutPublicAccessBlock") => {
            let block = request.and_then(|request| request.get("PublicAccessBlockConfiguration"));
            let parts = ["BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets"];
            // A part that is left out is switched off.
            block.map(|block| parts.iter().any(|part| block.flag_of(part) != Some(true)))
        }
        ("ec2", "DisableSnapshotBlockPublicAccess" | "DisableImageBlockPublicAccess") => Some(true),
        ("ec2", "EnableSnapshotBlockPublicAccess" | "EnableImageBlockPublicAccess") => Some(false),
        ("elasticmapreduce", "PutBlockPublicAccessConfiguration") => {
            let block = request.and_then(|request| request.get("blockPublicAccessConfiguration"))?;
            block.flag_of("blockPublicSecurityGroupRules").map(|blocked| !blocked)
        }
        ("ssm", "UpdateServiceSetting") => {
            let request = request?;
            let setting = request.scalar_of("settingId")?;
            let is_sharing = setting.ends_with("/ssm/documents/console/public-sharing-permission");
            is_sharing
                .then(|| request.scalar_of("settingValue").is_some_and(|value| value.eq_ignore_ascii_case("Enable")))
        }
        _ => None,
    }
}
