//! Looking: what monitoring tools read all day, and people's consoles too.

use serde_json::{Value, json};

use super::caller::Caller;
use super::envelope::Call;
use super::organisation::{ACCOUNTS, Account};
use super::random::Random;
use super::timeline::{DAY, HOUR, Timeline};

/// The agent of the program that collects metrics, and of others written in its language.
pub(crate) const COLLECTOR: &str = "Boto3/1.40.45 md/Botocore#1.40.45 ua/2.1 os/linux#6.1.0 md/arch#x86_64 \
     lang/python#3.12.11 md/pyimpl#CPython m/Z,b cfg/retry-mode#standard";

/// A reader makes its round through each account every five minutes.
pub(crate) fn rounds(day: &mut Timeline) {
    for account in ACCOUNTS {
        for round in 0..DAY / 300 {
            let time = round * 300 + day.random.between(0, 40);
            let since = day.epoch(time - time % HOUR);
            let reader = Caller::role(account, "metrics-reader", "collector", since, "192.0.2.10", COLLECTOR);
            for step in 0..4 {
                let call = look(&mut day.random, account);
                day.call(time + step, &reader, &call);
            }
        }
    }
}

/// Something monitoring tools, consoles and command lines read all day.
pub(crate) fn look(random: &mut Random, account: &Account) -> Call {
    let region = account.region;
    match random.below(14) {
        0..=2 => Call::read(
            "ec2",
            "DescribeInstances",
            json!({ "maxResults": 1000, "instancesSet": {}, "filterSet": {
            "items": [{ "name": "instance-state-name", "valueSet": { "items": [{ "value": "running" }] } }] } }),
        ),
        3 => Call::read("ec2", "DescribeVolumes", json!({ "maxResults": 500, "volumeSet": {}, "filterSet": {} })),
        4 => Call::read(
            "ec2",
            "DescribeSecurityGroups",
            json!({ "maxResults": 1000, "securityGroupSet": {},
            "securityGroupIdSet": {}, "filterSet": {} }),
        ),
        5 => Call::read("ec2", "DescribeNetworkInterfaces", json!({ "networkInterfaceIdSet": {}, "filterSet": {} })),
        6 => Call::read("monitoring", "DescribeAlarms", json!({ "stateValue": "ALARM", "maxRecords": 100 })),
        7 => Call::read("rds", "DescribeDBInstances", json!({ "maxRecords": 100 })),
        8 => Call::read(
            "elasticloadbalancing",
            "DescribeTargetHealth",
            json!({ "targetGroupArn": target_group(random, account) }),
        ),
        9 => Call::read("ecs", "DescribeServices", json!({ "cluster": "main", "services": ["storefront", "orders"] })),
        10 => Call::read("lambda", "ListFunctions20150331", json!({ "maxItems": 50 })),
        11 => Call::read("logs", "DescribeLogGroups", json!({ "limit": 50, "logGroupNamePrefix": "/aws/" })),
        12 => Call::read(
            "s3",
            "GetBucketLocation",
            json!({ "bucketName": format!("{}-assets", account.name),
            "location": "", "Host": format!("{}-assets.s3.{region}.amazonaws.com", account.name) }),
        ),
        _ => Call::read("sts", "GetCallerIdentity", Value::Null),
    }
}

/// The ARN of some target group.
pub(crate) fn target_group(random: &mut Random, account: &Account) -> String {
    let Account { id, region, .. } = account;
    format!("arn:aws:elasticloadbalancing:{region}:{id}:targetgroup/web/{}", random.hex(16))
}
