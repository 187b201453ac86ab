//! The attack hidden in the day: a guessed password becomes an administrator, the logs go dark, data and money leave.

use serde_json::{Value, json};

use super::caller::{Caller, user};
use super::envelope::{Call, instant};
use super::loot;
use super::organisation::PRODUCTION;
use super::timeline::{HOUR, Timeline};

/// Where the attacker's browser is.
const BROWSER_ADDRESS: &str = "198.51.100.23";
/// Where the attacker's command line is.
pub(crate) const SHELL_ADDRESS: &str = "198.51.100.61";
/// The user whose password is guessed; it never had a second factor.
const VICTIM: &str = "jonas.berg";
/// The user the attacker hides behind.
pub(crate) const COVER: &str = "backup-operator";

/// Tells the attack: some hundred minutes from a little after one o'clock on.
pub(crate) fn tell(day: &mut Timeline) {
    let begin = 13 * HOUR + day.random.between(300, 1500);
    let browser = Caller::user_console(&PRODUCTION, VICTIM, day.epoch(begin + 260), false, BROWSER_ADDRESS);
    let key = day.random.unique_id("AKIA");
    let shell = Caller::user_key(&PRODUCTION, COVER, &key, SHELL_ADDRESS);
    guess(day, begin);
    look_around(day, begin + 300, &browser);
    settle(day, begin + 900, &browser, &shell, &key);
    blind(day, begin + 1700, &shell);
    loot::collect(day, begin + 2200, &shell);
    loot::copy(day, begin + 3000, &shell);
    loot::cross_over(day, begin + 3600, &shell);
    loot::mine(day, begin + 4500, &shell);
    loot::report(day, begin + 5400, &key);
}

/// Names and passwords are tried until one fits.
fn guess(day: &mut Timeline, time: i64) {
    let additional =
        json!({ "MobileVersion": "No", "MFAUsed": "No", "LoginTo": "https://console.aws.amazon.com/console/home" });
    let mut caller = Caller::user_console(&PRODUCTION, VICTIM, day.epoch(time), false, BROWSER_ADDRESS);
    let tried = ["HIDDEN_DUE_TO_SECURITY_REASONS", "admin", VICTIM, VICTIM, VICTIM, VICTIM, VICTIM];
    for (n, name) in tried.iter().enumerate() {
        let known = *name == VICTIM;
        caller.identity = json!({ "type": "IAMUser", "accountId": PRODUCTION.id, "accessKeyId": "", "userName": name });
        if known {
            caller.identity["principalId"] = user(&PRODUCTION, VICTIM)["principalId"].clone();
        }
        let reason = if known { "Failed authentication" } else { "No username found in supplied account" };
        let call = Call::write("signin", "ConsoleLogin", Value::Null, Value::Null)
            .failed("", reason)
            .answered(json!({ "ConsoleLogin": "Failure" }))
            .with("additionalEventData", additional.clone());
        let jitter = day.random.between(0, 12);
        day.sign_in(time + 32 * n as i64 + jitter, &caller, &call);
    }
    caller.identity = user(&PRODUCTION, VICTIM);
    let call = Call::write("signin", "ConsoleLogin", Value::Null, json!({ "ConsoleLogin": "Success" }))
        .with("additionalEventData", additional);
    day.sign_in(time + 255, &caller, &call);
}

/// What may this user do, and who else is there?
fn look_around(day: &mut Timeline, time: i64, browser: &Caller) {
    let denied = "is not authorized to perform this action because no identity-based policy allows it";
    let calls = [
        Call::read("iam", "GetAccountSummary", Value::Null),
        Call::read("iam", "ListUsers", json!({ "maxItems": 100 })),
        Call::read("iam", "ListAttachedUserPolicies", json!({ "userName": VICTIM })),
        Call::read("iam", "ListGroupsForUser", json!({ "userName": VICTIM })),
        Call::read("iam", "GetAccountAuthorizationDetails", Value::Null).failed("AccessDenied", denied),
        Call::read("iam", "ListMFADevices", json!({ "userName": "elena.fiori" })),
        Call::read("organizations", "DescribeOrganization", Value::Null),
        Call::read("organizations", "ListAccounts", Value::Null).failed("AccessDeniedException", denied),
        Call::read("s3", "ListBuckets", Value::Null),
        Call::read("secretsmanager", "ListSecrets", json!({ "maxResults": 100 })),
        Call::read("ce", "GetCostAndUsage", Value::Null).failed("AccessDenied", denied),
        Call::read("iam", "ListAccessKeys", json!({ "userName": COVER })),
    ];
    steps(day, time, 37, browser, &calls);
}

/// A key under another name, every permission, and nobody who could step in.
fn settle(day: &mut Timeline, time: i64, browser: &Caller, shell: &Caller, key: &str) {
    let made = json!({ "accessKey": { "userName": COVER, "accessKeyId": key, "status": "Active",
        "createDate": instant(day.epoch(time)) } });
    steps(
        day,
        time,
        60,
        browser,
        &[
            Call::write("iam", "CreateAccessKey", json!({ "userName": COVER }), made),
            Call::write(
                "iam",
                "AttachUserPolicy",
                json!({ "userName": COVER, "policyArn": "arn:aws:iam::aws:policy/AdministratorAccess" }),
                Value::Null,
            ),
        ],
    );
    let device = format!("arn:aws:iam::{}:mfa/elena.fiori", PRODUCTION.id);
    steps(
        day,
        time + 300,
        45,
        shell,
        &[
            Call::read("sts", "GetCallerIdentity", Value::Null),
            Call::read("iam", "ListMFADevices", json!({ "userName": "elena.fiori" })),
            Call::write(
                "iam",
                "DeactivateMFADevice",
                json!({ "userName": "elena.fiori", "serialNumber": device }),
                Value::Null,
            ),
            Call::write("iam", "DeleteVirtualMFADevice", json!({ "serialNumber": device }), Value::Null),
            Call::write("iam", "UpdateLoginProfile", json!({ "userName": "elena.fiori" }), Value::Null),
        ],
    );
}

/// The cameras go off. The organisation has a trail of its own, which no account can stop, so EventBridge still sees
/// what follows.
fn blind(day: &mut Timeline, time: i64, shell: &Caller) {
    let flow_logs =
        json!({ "DeleteFlowLogsRequest": { "FlowLogId": { "tag": 1, "content": "fl-0c1d2e3f4a5b6c7d8" } } });
    let group = json!({ "groupId": "sg-0f1e2d3c4b5a69788", "ipPermissions": { "items": [{ "ipProtocol": "tcp", "fromPort": 22,
        "toPort": 22, "groups": {}, "ipv6Ranges": {}, "prefixListIds": {}, "ipRanges": { "items": [{ "cidrIp": "0.0.0.0/0" }] } }] } });
    steps(
        day,
        time,
        55,
        shell,
        &[
            Call::read("cloudtrail", "DescribeTrails", json!({ "trailNameList": [], "includeShadowTrails": true })),
            Call::read("guardduty", "ListDetectors", Value::Null),
            Call::write(
                "cloudtrail",
                "StopLogging",
                json!({ "name": format!("arn:aws:cloudtrail:{}:{}:trail/management-events", PRODUCTION.region, PRODUCTION.id) }),
                Value::Null,
            ),
            Call::write(
                "ec2",
                "DeleteFlowLogs",
                flow_logs,
                json!({ "DeleteFlowLogsResponse": { "unsuccessful": "", "xmlns": "http://ec2.amazonaws.com/doc/2016-11-15/" } }),
            ),
            Call::write("ec2", "AuthorizeSecurityGroupIngress", group, json!({ "_return": true })),
            Call::write(
                "ssm",
                "StartSession",
                json!({ "target": "i-0a9b8c7d6e5f40312" }),
                json!({ "sessionId": format!("{COVER}-0a1b2c3d4e5f60718") }),
            ),
        ],
    );
}

/// `calls` of one caller, about `pause` seconds apart.
pub(crate) fn steps(day: &mut Timeline, time: i64, pause: i64, caller: &Caller, calls: &[Call]) {
    let mut now = time;
    for call in calls {
        day.call(now, caller, call);
        now += pause + day.random.between(-pause / 3, pause / 3);
    }
}
