//! Machines that change things on purpose: deployments and infrastructure code.

use serde_json::{Value, json};

use super::caller::Caller;
use super::envelope::{Call, instant};
use super::organisation::{Account, PAYMENTS, PRODUCTION, SECURITY, STAGING};
use super::timeline::{HOUR, Timeline};

pub(crate) const RUNNER: &str =
    "aws-sdk-js/3.899.0 ua/2.1 os/linux#6.8.0-1031-azure lang/js md/nodejs#22.19.0 api/ecs#3.899.0 m/E,g";
pub(crate) const TERRAFORM: &str = "APN/1.0 HashiCorp/1.0 Terraform/1.13.3 (+https://www.terraform.io) terraform-provider-aws/6.15.0 \
     aws-sdk-go-v2/1.39.2 ua/2.1 os/linux lang/go#1.24.6 md/GOOS#linux md/GOARCH#amd64";

/// Releases: an image is pushed, a task definition registered, a service updated and watched.
pub(crate) fn deployments(day: &mut Timeline) {
    for n in 0..60 {
        let account: &'static Account = match n % 5 {
            0 => &PRODUCTION,
            1 => &PAYMENTS,
            _ => &STAGING,
        };
        let time = day.office_time();
        release(day, time, account, 400 + n);
    }
}

/// One release, watched until it is steady.
fn release(day: &mut Timeline, time: i64, account: &'static Account, number: i64) {
    let service = *day.random.pick(&["storefront", "orders", "search", "ledger"]);
    let digest = format!("sha256:{}", day.random.hex(64));
    let caller = signed_in(day, time, account, "deployment", RUNNER);
    let repository = json!({ "repositoryName": service, "registryId": account.id });
    day.call(time + 2, &caller, &Call::read("ecr", "GetAuthorizationToken", Value::Null));
    day.call(time + 4, &caller, &Call::read("ecr", "BatchCheckLayerAvailability", repository.clone()));
    let image =
        json!({ "image": { "repositoryName": service, "imageId": { "imageDigest": digest, "imageTag": "release" } } });
    day.call(time + 9, &caller, &Call::write("ecr", "PutImage", repository, image));
    let task = format!("arn:aws:ecs:{}:{}:task-definition/{service}:{number}", account.region, account.id);
    let definition = json!({ "family": service, "networkMode": "awsvpc", "cpu": "512", "memory": "1024" });
    let registered = json!({ "taskDefinition": { "taskDefinitionArn": task, "status": "ACTIVE" } });
    day.call(time + 12, &caller, &Call::write("ecs", "RegisterTaskDefinition", definition, registered));
    let update = json!({ "cluster": "main", "service": service, "taskDefinition": task });
    let updated = json!({ "service": { "serviceName": service, "status": "ACTIVE", "desiredCount": 4 } });
    day.call(time + 14, &caller, &Call::write("ecs", "UpdateService", update, updated));
    for poll in 0..14 {
        let services = json!({ "cluster": "main", "services": [service] });
        day.call(time + 20 + poll * 15, &caller, &Call::read("ecs", "DescribeServices", services));
    }
}

/// Infrastructure code compares what is with what should be, and changes a little.
pub(crate) fn infrastructure(day: &mut Timeline) {
    for account in [&STAGING, &PRODUCTION, &STAGING, &PAYMENTS, &STAGING, &SECURITY] {
        let time = day.office_time();
        let caller = signed_in(day, time, account, "infrastructure", TERRAFORM);
        for step in 0..70 {
            let call = refresh(day, step);
            day.call(time + 3 + step / 6, &caller, &call);
        }
        change(day, time + 40, account, &caller);
    }
}

fn refresh(day: &mut Timeline, step: i64) -> Call {
    let role = *day.random.pick(&["storefront-task", "orders-task", "mailer-function", "deployment"]);
    let bucket = *day.random.pick(&["assets", "exports", "builds"]);
    match step % 7 {
        0 => Call::read("iam", "GetRole", json!({ "roleName": role })),
        1 => Call::read("iam", "ListRolePolicies", json!({ "roleName": role })),
        2 => Call::read("iam", "ListAttachedRolePolicies", json!({ "roleName": role })),
        3 => Call::read("s3", "GetBucketPolicy", json!({ "bucketName": bucket, "policy": "" }))
            .failed("NoSuchBucketPolicy", "The bucket policy does not exist"),
        4 => Call::read("s3", "GetBucketVersioning", json!({ "bucketName": bucket, "versioning": "" })),
        5 => Call::read(
            "ec2",
            "DescribeVpcAttribute",
            json!({ "attribute": "enableDnsSupport", "vpcId": "vpc-0a1b2c3d4e5f67890" }),
        ),
        _ => Call::read("logs", "ListTagsForResource", json!({ "resourceArn": "/ecs/main" })),
    }
}

/// Changes as they should be: private, narrow, for the own account.
fn change(day: &mut Timeline, time: i64, account: &Account, caller: &Caller) {
    let name = format!("reports-{}", day.random.hex(6));
    let trust = json!({ "Version": "2012-10-17", "Statement": [{ "Effect": "Allow", "Action": "sts:AssumeRole",
        "Principal": { "Service": "lambda.amazonaws.com" } }] });
    let policy = json!({ "Version": "2012-10-17", "Statement": [{ "Effect": "Allow", "Action": ["s3:GetObject", "s3:PutObject"],
        "Resource": format!("arn:aws:s3:::{name}/*") }] });
    let calls = [
        Call::write("s3", "CreateBucket", json!({ "bucketName": name, "x-amz-acl": "private" }), Value::Null),
        Call::write(
            "s3",
            "PutBucketPublicAccessBlock",
            json!({ "bucketName": name, "publicAccessBlock": "",
            "PublicAccessBlockConfiguration": { "BlockPublicAcls": true, "BlockPublicPolicy": true, "IgnorePublicAcls": true,
            "RestrictPublicBuckets": true } }),
            Value::Null,
        ),
        Call::write(
            "iam",
            "CreateRole",
            json!({ "roleName": name, "path": "/", "assumeRolePolicyDocument": trust.to_string() }),
            json!({ "role": { "roleName": name, "arn": format!("arn:aws:iam::{}:role/{name}", account.id) } }),
        ),
        Call::write(
            "iam",
            "PutRolePolicy",
            json!({ "roleName": name, "policyName": "bucket", "policyDocument": policy.to_string() }),
            Value::Null,
        ),
        Call::write(
            "ec2",
            "AuthorizeSecurityGroupIngress",
            json!({ "groupId": "sg-0a1b2c3d4e5f67890", "ipPermissions": { "items": [
            { "ipProtocol": "tcp", "fromPort": 5432, "toPort": 5432, "groups": {}, "ipv6Ranges": {}, "prefixListIds": {},
              "ipRanges": { "items": [{ "cidrIp": "10.0.0.0/16", "description": "own network" }] } }] } }),
            json!({ "_return": true }),
        ),
    ];
    for (step, call) in calls.iter().enumerate() {
        day.call(time + step as i64, caller, call);
    }
}

/// A pipeline gets its session from the token of the service that runs it.
pub(crate) fn signed_in(day: &mut Timeline, time: i64, account: &'static Account, role: &str, agent: &str) -> Caller {
    let since = day.epoch(time);
    let session = format!("run-{}", day.random.between(17_000_000, 18_000_000));
    let arn = format!("arn:aws:iam::{}:role/{role}", account.id);
    let subject = "repo:example/platform:ref:refs/heads/main";
    let mut identity = Caller::role(account, role, &session, since, "192.0.2.60", agent);
    let caller = identity.clone();
    identity.identity = json!({ "type": "WebIdentityUser", "userName": subject,
        "principalId": format!("arn:aws:iam::{}:oidc-provider/token.actions.githubusercontent.com:sts.amazonaws.com:{subject}", account.id),
        "identityProvider": format!("arn:aws:iam::{}:oidc-provider/token.actions.githubusercontent.com", account.id) });
    let call = Call::read(
        "sts",
        "AssumeRoleWithWebIdentity",
        json!({ "roleArn": arn, "roleSessionName": session, "durationSeconds": 3600 }),
    )
    .answered(json!({ "subjectFromWebIdentityToken": subject, "audience": "sts.amazonaws.com",
            "assumedRoleUser": { "arn": caller.identity["arn"], "assumedRoleId": caller.identity["principalId"] },
            "credentials": { "accessKeyId": caller.identity["accessKeyId"], "expiration": instant(since + HOUR) } }));
    day.call(time, &identity, &call);
    caller
}
