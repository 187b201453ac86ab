//! The second half of the attack: what is read, copied, handed over and burnt.

use serde_json::{Value, json};

use super::caller::{Caller, user};
use super::envelope::{Call, instant};
use super::machines::assume_role;
use super::organisation::{Account, PAYMENTS, PRODUCTION, SECURITY, WORKLOADS};
use super::random::Random;
use super::story::{COVER, SHELL_ADDRESS, steps};
use super::timeline::{HOUR, Timeline};

/// The attacker's own account.
const FOREIGN_ACCOUNT: &str = "888888888888";
/// A region in which the organisation runs nothing.
const UNUSED_REGION: &str = "ap-southeast-3";

/// Every secret of the account is read, one after another.
pub(crate) fn collect(day: &mut Timeline, time: i64, shell: &Caller) {
    day.call(time, shell, &Call::read("secretsmanager", "ListSecrets", json!({ "maxResults": 100 })));
    let secrets = WORKLOADS.iter().filter(|workload| workload.account == &PRODUCTION);
    for (n, workload) in secrets.enumerate() {
        let call = Call::read("secretsmanager", "GetSecretValue", json!({ "secretId": workload.secret }));
        day.call(time + 20 + 6 * n as i64, shell, &call);
    }
}

/// Disks and databases are copied and handed over.
pub(crate) fn copy(day: &mut Timeline, time: i64, shell: &Caller) {
    let (volume, snapshot) = (format!("vol-0{}", day.random.hex(16)), format!("snap-0{}", day.random.hex(16)));
    let permission = json!({ "add": { "items": [{ "userId": FOREIGN_ACCOUNT }] } });
    let shared = json!({ "snapshotId": snapshot, "attributeType": "CREATE_VOLUME_PERMISSION",
        "createVolumePermission": permission });
    let made = json!({ "snapshotId": snapshot, "volumeId": volume, "status": "pending", "encrypted": false });
    let name = json!({ "dBSnapshotIdentifier": "orders-migration" });
    let database = json!({ "dBInstanceIdentifier": "orders", "dBSnapshotIdentifier": "orders-migration" });
    let restore = json!({ "dBSnapshotIdentifier": "orders-migration", "attributeName": "restore",
        "valuesToAdd": [FOREIGN_ACCOUNT] });
    let calls = [
        Call::write("ec2", "CreateSnapshot", json!({ "volumeId": volume }), made),
        Call::write("ec2", "ModifySnapshotAttribute", shared, json!({ "_return": true })),
        Call::write("rds", "CreateDBSnapshot", database, name.clone()),
        Call::write("rds", "ModifyDBSnapshotAttribute", restore, name),
    ];
    steps(day, time, 90, shell, &calls);
}

/// Into the next account, by a role that trusts this one, and from there into the one of those who would notice.
pub(crate) fn cross_over(day: &mut Timeline, time: i64, shell: &Caller) {
    let admin = enter(day, time, shell, &PAYMENTS, "OrganizationAccountAccessRole");
    let foreigners = json!({ "AWS": format!("arn:aws:iam::{FOREIGN_ACCOUNT}:root") });
    let trust = json!({ "Version": "2012-10-17", "Statement": [
        { "Effect": "Allow", "Principal": { "Service": "lambda.amazonaws.com" }, "Action": "sts:AssumeRole" },
        { "Effect": "Allow", "Principal": foreigners, "Action": "sts:AssumeRole" } ] });
    let open = json!({ "Version": "2012-10-17", "Statement": [{ "Effect": "Allow", "Principal": "*",
        "Action": "s3:GetObject", "Resource": "arn:aws:s3:::payments-exports/*" }] });
    let trusted = json!({ "roleName": "charge-function", "policyDocument": trust.to_string() });
    let block = json!({ "bucketName": "payments-exports", "publicAccessBlock": "" });
    let opened = json!({ "bucketName": "payments-exports", "policy": "", "bucketPolicy": open });
    let calls = [
        Call::read("sts", "GetCallerIdentity", Value::Null),
        Call::read("s3", "ListBuckets", Value::Null),
        Call::write("iam", "UpdateAssumeRolePolicy", trusted, Value::Null),
        Call::write("s3", "DeleteBucketPublicAccessBlock", block, Value::Null),
        Call::write("s3", "PutBucketPolicy", opened, Value::Null),
    ];
    steps(day, time + 40, 70, &admin, &calls);
    let watcher = enter(day, time + 480, &admin, &SECURITY, "SecurityToolingAdmin");
    let detector = Random::named(SECURITY.id).hex(32);
    let silenced = json!({ "detectorId": detector, "accountIds": [PRODUCTION.id, PAYMENTS.id] });
    let calls = [
        Call::read("guardduty", "ListDetectors", Value::Null),
        Call::read("guardduty", "ListMembers", json!({ "detectorId": detector })),
        Call::write("guardduty", "StopMonitoringMembers", silenced, json!({ "unprocessedAccounts": [] })),
    ];
    steps(day, time + 500, 60, &watcher, &calls);
}

/// `caller` takes up a role of another account, and is it from then on. Both accounts record the call, under one shared id.
fn enter(day: &mut Timeline, time: i64, caller: &Caller, account: &'static Account, role: &'static str) -> Caller {
    let entered = Caller::role(account, role, "migration", day.epoch(time), SHELL_ADDRESS, &caller.agent);
    let key = entered.identity["accessKeyId"].as_str().unwrap_or_default();
    let arn = format!("arn:aws:iam::{}:role/{role}", account.id);
    let expiration = instant(day.epoch(time + HOUR));
    let shared = json!(day.random.uuid());
    let call = assume_role(&mut day.random, account, &arn, "migration", key, expiration).with("sharedEventID", shared);
    day.call(time, caller, &call);
    // The account that is entered sees no name, only where the caller comes from.
    let stranger = json!({ "type": "AWSAccount", "accountId": caller.account.id,
        "principalId": caller.identity["principalId"] });
    day.call(time, &Caller { account, identity: stranger, ..caller.clone() }, &call);
    entered
}

/// What is left of the afternoon goes into somebody else's coins.
pub(crate) fn mine(day: &mut Timeline, time: i64, shell: &Caller) {
    let abroad = shell.in_region(UNUSED_REGION);
    let sizes = ["p4d.24xlarge", "g5.48xlarge", "g5.12xlarge"];
    for (n, size) in sizes.into_iter().enumerate() {
        let image = json!({ "items": [{ "imageId": "ami-0d1e2f3a4b5c6d7e8", "minCount": 1, "maxCount": 8 }] });
        let request = json!({ "instanceType": size, "instancesSet": image, "monitoring": { "enabled": false } });
        let instance = |id: String| json!({ "instanceId": format!("i-0{id}"), "instanceType": size });
        let items: Vec<Value> = (0..4).map(|_| instance(day.random.hex(16))).collect();
        let call = Call::write("ec2", "RunInstances", request, json!({ "instancesSet": { "items": items } }));
        let call = if n == 0 {
            call.failed(
                "Client.VcpuLimitExceeded",
                "You have requested more vCPU capacity than your current vCPU limit of 0 allows",
            )
        } else {
            call
        };
        day.call(time + 80 * n as i64, &abroad, &call);
    }
}

/// GuardDuty has seen some of it.
pub(crate) fn report(day: &mut Timeline, time: i64, key: &str) {
    let details = json!({ "userType": "IAMUser", "userName": COVER, "accessKeyId": key,
        "principalId": user(&PRODUCTION, COVER)["principalId"] });
    let remote = json!({ "ipAddressV4": SHELL_ADDRESS, "country": { "countryName": "Example" } });
    let call = json!({ "api": "StopLogging", "serviceName": "cloudtrail.amazonaws.com", "callerType": "Remote IP",
        "remoteIpDetails": remote });
    let stealth = json!({
        "type": "Stealth:IAMUser/CloudTrailLoggingDisabled", "severity": 2,
        "title": "AWS CloudTrail trail management-events was disabled.",
        "description": format!("CloudTrail logging was stopped by {COVER} calling StopLogging from {SHELL_ADDRESS}."),
        "resource": { "resourceType": "AccessKey", "accessKeyDetails": details },
        "action": { "actionType": "AWS_API_CALL", "awsApiCallAction": call },
    });
    day.guardduty(time, PRODUCTION.id, PRODUCTION.region, stealth);
    let instance = format!("i-0{}", day.random.hex(16));
    let mining = json!({
        "type": "CryptoCurrency:EC2/BitcoinTool.B!DNS", "severity": 8,
        "title": format!("EC2 instance {instance} is querying a domain associated with cryptocurrency activity."),
        "description": "The instance is querying a domain name that is associated with Bitcoin-related activity.",
        "resource": { "resourceType": "Instance",
            "instanceDetails": { "instanceId": instance, "instanceType": "g5.48xlarge" } },
        "action": { "actionType": "DNS_REQUEST",
            "dnsRequestAction": { "domain": "pool.example.com", "protocol": "UDP", "blocked": false } },
    });
    day.guardduty(time + 600, PRODUCTION.id, UNUSED_REGION, mining);
}
