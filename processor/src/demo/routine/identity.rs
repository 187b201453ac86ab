//! Users, groups, roles and policies: joiners and leavers by pipeline, people about their own devices and keys.

use serde_json::{Value, json};

use super::Routine;
use super::Who::{self, Infrastructure, OwnUser, Release};

/// The routine calls of IAM.
pub(crate) fn calls() -> Vec<Routine> {
    [users(), own(), groups(), policies(), roles()].into_iter().flatten().collect()
}

fn iam(who: Who, name: &'static str, request: Value) -> Routine {
    Routine::new(who, "iam", name, request)
}

/// Accounts of programs that cannot assume roles come and go with the code that describes them.
fn users() -> Vec<Routine> {
    vec![
        iam(Infrastructure, "CreateUser", json!({ "userName": "robot-{id}", "path": "/robots/" })),
        iam(Infrastructure, "DeleteUser", json!({ "userName": "robot-{id}" })),
        iam(Infrastructure, "DeleteLoginProfile", json!({ "userName": "leaver-{id}" })),
        iam(Infrastructure, "AttachUserPolicy", json!({ "userName": "robot-{id}", "policyArn": read_only() })),
        iam(Infrastructure, "DetachUserPolicy", json!({ "userName": "robot-{id}", "policyArn": read_only() })),
        iam(
            Infrastructure,
            "PutUserPolicy",
            json!({ "userName": "robot-{id}", "policyName": "exports", "policyDocument": narrow() }),
        ),
    ]
}

/// What people do about themselves, in the console and with their second factor.
fn own() -> Vec<Routine> {
    let device = "arn:aws:iam::{account}:mfa/{user}-phone";
    vec![
        iam(OwnUser, "CreateLoginProfile", json!({ "userName": "{user}", "passwordResetRequired": false })),
        iam(OwnUser, "UpdateLoginProfile", json!({ "userName": "{user}" })),
        iam(OwnUser, "CreateVirtualMFADevice", json!({ "virtualMFADeviceName": "{user}-phone", "path": "/" })),
        iam(OwnUser, "EnableMFADevice", json!({ "userName": "{user}", "serialNumber": device })),
        iam(OwnUser, "DeactivateMFADevice", json!({ "userName": "{user}", "serialNumber": device })),
        iam(OwnUser, "DeleteVirtualMFADevice", json!({ "serialNumber": device })),
        iam(OwnUser, "CreateAccessKey", json!({ "userName": "{user}" })),
        iam(
            OwnUser,
            "UpdateAccessKey",
            json!({ "userName": "{user}", "accessKeyId": "AKIAIOSFODNN7EXAMPLE", "status": "Inactive" }),
        ),
        iam(OwnUser, "DeleteAccessKey", json!({ "userName": "{user}", "accessKeyId": "AKIAIOSFODNN7EXAMPLE" })),
    ]
}

fn groups() -> Vec<Routine> {
    let group = json!({ "groupName": "analysts-{id}" });
    let member = json!({ "groupName": "analysts", "userName": "robot-{id}" });
    let attached = json!({ "groupName": "analysts", "policyArn": read_only() });
    vec![
        iam(Infrastructure, "CreateGroup", group.clone()),
        iam(Infrastructure, "DeleteGroup", group),
        iam(Infrastructure, "AddUserToGroup", member.clone()),
        iam(Infrastructure, "RemoveUserFromGroup", member),
        iam(Infrastructure, "AttachGroupPolicy", attached.clone()),
        iam(Infrastructure, "DetachGroupPolicy", attached),
        iam(
            Infrastructure,
            "PutGroupPolicy",
            json!({ "groupName": "analysts", "policyName": "exports", "policyDocument": narrow() }),
        ),
    ]
}

fn policies() -> Vec<Routine> {
    let arn = "arn:aws:iam::{account}:policy/exports-{id}";
    let version = json!({ "policyArn": arn, "policyDocument": narrow(), "setAsDefault": true });
    vec![
        iam(Infrastructure, "CreatePolicy", json!({ "policyName": "exports-{id}", "policyDocument": narrow() })),
        iam(Infrastructure, "CreatePolicyVersion", version),
        iam(Infrastructure, "SetDefaultPolicyVersion", json!({ "policyArn": arn, "versionId": "v3" })),
        iam(Infrastructure, "DeletePolicy", json!({ "policyArn": arn })),
    ]
}

fn roles() -> Vec<Routine> {
    let trust = json!({ "Version": "2012-10-17", "Statement": [{ "Effect": "Allow", "Action": "sts:AssumeRole",
        "Principal": { "Service": "lambda.amazonaws.com" } }] })
    .to_string();
    let role = json!({ "roleName": "worker-{id}", "path": "/", "assumeRolePolicyDocument": trust });
    let inline = json!({ "roleName": "worker-{id}", "policyName": "exports", "policyDocument": narrow() });
    let attached = json!({ "roleName": "worker-{id}",
        "policyArn": "arn:aws:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole" });
    vec![
        iam(Infrastructure, "CreateRole", role.clone()),
        iam(Release, "CreateRole", role),
        iam(Infrastructure, "DeleteRole", json!({ "roleName": "worker-{id}" })),
        iam(Infrastructure, "UpdateAssumeRolePolicy", json!({ "roleName": "worker-{id}", "policyDocument": trust })),
        iam(Infrastructure, "PutRolePolicy", inline.clone()),
        iam(Release, "PutRolePolicy", inline),
        iam(Infrastructure, "AttachRolePolicy", attached.clone()),
        iam(Infrastructure, "DetachRolePolicy", attached),
    ]
}

fn read_only() -> &'static str {
    "arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess"
}

/// A policy that allows two calls on the objects of one bucket.
fn narrow() -> String {
    json!({ "Version": "2012-10-17", "Statement": [{ "Effect": "Allow", "Action": ["s3:GetObject", "s3:PutObject"],
        "Resource": "arn:aws:s3:::exports-example/*" }] })
    .to_string()
}
