//! Programs at work: applications with their roles and secrets, and services that act for themselves.

use serde_json::{Value, json};

use super::caller::{Caller, principal_id};
use super::envelope::{Call, instant};
use super::monitoring::{COLLECTOR, target_group};
use super::organisation::{ACCOUNTS, Account, WORKLOADS, Workload};
use super::random::Random;
use super::timeline::{HOUR, Timeline};

const GO: &str =
    "aws-sdk-go-v2/1.39.2 ua/2.1 os/linux lang/go#1.25.1 md/GOOS#linux md/GOARCH#arm64 exec-env/AWS_ECS_FARGATE";
const JAVA: &str = "aws-sdk-java/2.33.9 md/io#async md/http#NettyNio ua/2.1 os/Linux#5.10 lang/java#21.0.8 md/OpenJDK_64-Bit_Server_VM";

/// The services that run programs assume the programs' roles, again and again.
pub(crate) fn roles_for_workloads(day: &mut Timeline) {
    for _ in 0..3800 {
        let time = day.any_time();
        let workload = day.random.pick(&WORKLOADS);
        let session = day.random.hex(24);
        let role = format!("arn:aws:iam::{}:role/{}", workload.account.id, workload.role);
        let expiration = instant(day.epoch(time + HOUR));
        let key = day.random.unique_id("ASIA");
        let call = assume_role(&mut day.random, workload.account, &role, &session, &key, expiration)
            .with("sharedEventID", json!(day.random.uuid()));
        day.call(time, &Caller::service(workload.account, workload.runner), &call);
    }
}

/// `AssumeRole` of `role` (an ARN), which grants the temporary key `key` until `expiration`.
pub(crate) fn assume_role(
    random: &mut Random,
    account: &Account,
    role: &str,
    session: &str,
    key: &str,
    expiration: String,
) -> Call {
    let name = role.rsplit('/').next().unwrap_or(role);
    let request = json!({ "roleArn": role, "roleSessionName": session, "durationSeconds": 3600 });
    let response = json!({
        "credentials": {
            "accessKeyId": key,
            "sessionToken": format!("IQoJb3JpZ2luX2Vj{}", random.base64(160)),
            "expiration": expiration,
        },
        "assumedRoleUser": {
            "assumedRoleId": format!("{}:{session}", principal_id("AROA", account, name)),
            "arn": format!("arn:aws:sts::{}:assumed-role/{name}/{session}", account.id),
        },
    });
    Call::read("sts", "AssumeRole", request)
        .answered(response)
        .with("resources", json!([{ "accountId": account.id, "type": "AWS::IAM::Role", "ARN": role }]))
}

/// Services encrypt and decrypt for the programs and for themselves.
pub(crate) fn keys(day: &mut Timeline) {
    for _ in 0..3500 {
        let time = day.any_time();
        let workload = day.random.pick(&WORKLOADS);
        let account = workload.account;
        let since = day.epoch(time - time % HOUR);
        let mut caller = running(day, workload, since);
        let service =
            *day.random.pick(&["secretsmanager.amazonaws.com", "dynamodb.amazonaws.com", "rds.amazonaws.com"]);
        caller.identity["invokedBy"] = json!(service);
        service.clone_into(&mut caller.address);
        service.clone_into(&mut caller.agent);
        let key =
            format!("arn:aws:kms:{}:{}:key/{}", account.region, account.id, Random::named(workload.secret).uuid());
        let context = json!({ "encryptionContext": { "aws:pi:service": service, "SecretARN": workload.secret },
            "encryptionAlgorithm": "SYMMETRIC_DEFAULT" });
        let name = *day.random.pick(&["Decrypt", "Decrypt", "Decrypt", "GenerateDataKey"]);
        let call = Call::read("kms", name, context)
            .with("resources", json!([{ "accountId": account.id, "type": "AWS::KMS::Key", "ARN": key }]));
        day.call(time, &caller, &call);
    }
}

/// Programs fetch their secrets and parameters, and now and then something they lack the permission for.
pub(crate) fn workloads(day: &mut Timeline) {
    for _ in 0..2700 {
        let time = day.any_time();
        let workload = day.random.pick(&WORKLOADS);
        let since = day.epoch(time - time % HOUR);
        let caller = running(day, workload, since);
        let call = match day.random.below(6) {
            0..=2 => Call::read("secretsmanager", "GetSecretValue", json!({ "secretId": workload.secret })),
            3 => Call::read(
                "ssm",
                "GetParametersByPath",
                json!({ "path": format!("/{}", workload.secret),
                "recursive": true, "withDecryption": true }),
            ),
            4 => Call::read(
                "ssm",
                "GetParameter",
                json!({ "name": format!("/{}/flags", workload.secret), "withDecryption": false }),
            ),
            _ => Call::read("sts", "GetCallerIdentity", Value::Null),
        };
        let call = match day.random.below(60) {
            0 => call.failed(
                "AccessDeniedException",
                format!(
                    "User: {} is not authorized to perform this action because no \
                identity-based policy allows it",
                    caller.identity["arn"].as_str().unwrap_or_default()
                ),
            ),
            1 => call.failed("ThrottlingException", "Rate exceeded"),
            _ => call,
        };
        day.call(time, &caller, &call);
    }
}

fn running(day: &mut Timeline, workload: &Workload, since: i64) -> Caller {
    let session = Random::named(&format!("{} {since}", workload.role)).hex(32);
    let (address, agent) = match workload.runner {
        "lambda.amazonaws.com" => ("192.0.2.130", JAVA),
        "ec2.amazonaws.com" => ("192.0.2.140", COLLECTOR),
        _ => (*day.random.pick(&["192.0.2.120", "192.0.2.121", "192.0.2.122"]), GO),
    };
    Caller::role(workload.account, workload.role, &session, since, address, agent)
}

/// Services look after what they manage, through their service-linked roles.
pub(crate) fn service_roles(day: &mut Timeline) {
    for _ in 0..1800 {
        let time = day.any_time();
        let account = *day.random.pick(&ACCOUNTS);
        let since = day.epoch(time - time % HOUR);
        let (principal, role, session, call) = upkeep(&mut day.random, account);
        day.call(time, &Caller::linked(account, principal, role, session, since), &call);
    }
}

/// A service, its role in every account, the name of its sessions, and what it does there.
fn upkeep(random: &mut Random, account: &Account) -> (&'static str, &'static str, &'static str, Call) {
    let instance = json!({ "instancesSet": { "items": [{ "instanceId": format!("i-0{}", random.hex(16)) }] } });
    let group = format!("sg-0{}", Random::named(account.id).hex(16));
    let groups = json!({ "securityGroupIdSet": { "items": [{ "groupId": group }] }, "filterSet": {} });
    let bucket = json!({ "bucketName": format!("{}-assets", account.name), "publicAccessBlock": "" });
    let targets =
        json!({ "targets": [{ "id": "10.0.12.37", "port": 8080 }], "targetGroupArn": target_group(random, account) });
    match random.below(5) {
        0 => (
            "autoscaling.amazonaws.com",
            "AWSServiceRoleForAutoScaling",
            "AutoScaling",
            Call::read("ec2", "DescribeInstanceStatus", instance),
        ),
        1 => (
            "config.amazonaws.com",
            "AWSServiceRoleForConfig",
            "configLambdaExecution",
            Call::read("s3", "GetBucketPublicAccessBlock", bucket),
        ),
        2 => (
            "ecs.amazonaws.com",
            "AWSServiceRoleForECS",
            "ecs-service-scheduler",
            Call::write("elasticloadbalancing", "RegisterTargets", targets, Value::Null),
        ),
        3 => (
            "elasticloadbalancing.amazonaws.com",
            "AWSServiceRoleForElasticLoadBalancing",
            "ElasticLoadBalancing",
            Call::read("ec2", "DescribeSecurityGroups", groups),
        ),
        _ => (
            "guardduty.amazonaws.com",
            "AWSServiceRoleForAmazonGuardDuty",
            "GuardDuty",
            Call::read("ec2", "DescribeVpcs", json!({ "vpcSet": {}, "filterSet": {} })),
        ),
    }
}

/// At night the databases' and volumes' backups are made, and old ones removed.
pub(crate) fn backups(day: &mut Timeline) {
    for account in ACCOUNTS {
        let since = day.epoch(2 * HOUR);
        for n in 0..20 {
            let time = 2 * HOUR + n * 90 + day.random.between(0, 60);
            let caller = Caller::role(
                account,
                "AWSBackupDefaultServiceRole",
                "backup",
                since,
                "backup.amazonaws.com",
                "backup.amazonaws.com",
            );
            let (volume, snapshot) = (format!("vol-0{}", day.random.hex(16)), format!("snap-0{}", day.random.hex(16)));
            let call = if n % 2 == 0 {
                Call::write(
                    "ec2",
                    "CreateSnapshot",
                    json!({ "volumeId": volume, "description": "nightly" }),
                    json!({ "snapshotId": snapshot, "volumeId": volume, "status": "pending", "progress": "", "encrypted": true }),
                )
            } else {
                Call::write(
                    "ec2",
                    "DeleteSnapshot",
                    json!({ "snapshotId": snapshot, "force": false }),
                    json!({ "_return": true }),
                )
            };
            day.call(time, &caller, &call);
        }
    }
}
