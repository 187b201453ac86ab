//! People at work: sessions in the console and on the command line, and the slips everybody makes.

use serde_json::{Value, json};

use super::caller::{BROWSER, Caller, user};
use super::envelope::Call;
use super::monitoring::look;
use super::organisation::{Account, PEOPLE, PRODUCTION, Person, STAGING};
use super::timeline::Timeline;

/// Everybody works in sessions of some minutes, most of which is looking.
pub(crate) fn sessions(day: &mut Timeline) {
    for person in &PEOPLE {
        for _ in 0..6 {
            let account = *day.random.pick(person.accounts);
            let console = day.random.chance(650);
            let time = day.office_time();
            let caller = Caller::person(account, person, day.epoch(time), console);
            if console {
                arrive(day, time, &caller);
            }
            work(day, time + 5, account, person, &caller);
        }
    }
}

/// The identity provider asked for the second factor; AWS does not know of it and says "No".
pub(crate) fn arrive(day: &mut Timeline, time: i64, caller: &Caller) {
    let provider = format!("arn:aws:iam::{}:saml-provider/AWSSSO_DO_NOT_DELETE", caller.account.id);
    let call = Call::write("signin", "ConsoleLogin", Value::Null, json!({ "ConsoleLogin": "Success" })).with(
        "additionalEventData",
        json!({ "MobileVersion": "No", "MFAUsed": "No", "SamlProviderArn": provider, "LoginTo": "https://console.aws.amazon.com/" }),
    );
    day.sign_in(time, caller, &call);
}

fn work(day: &mut Timeline, time: i64, account: &Account, person: &Person, caller: &Caller) {
    let mut now = time;
    for _ in 0..day.random.between(20, 60) {
        now += day.random.between(1, 45);
        let call = match day.random.below(12) {
            0 => Call::read("iam", "ListUsers", Value::Null),
            1 => Call::read("cloudtrail", "LookupEvents", json!({ "maxResults": 50 })),
            2 => Call::read(
                "logs",
                "StartQuery",
                json!({ "logGroupNames": ["/ecs/main"], "limit": 1000, "queryString": "***" }),
            ),
            3 => Call::read("health", "DescribeEventAggregates", json!({ "aggregateField": "eventTypeCategory" })),
            4 => Call::read("s3", "ListBuckets", json!({ "Host": format!("s3.{}.amazonaws.com", account.region) })),
            _ => look(&mut day.random, account),
        };
        let call = if day.random.chance(25) {
            call.failed(
                "AccessDenied",
                format!(
                    "User: {} is not authorized to perform this action with an explicit deny in a \
                service control policy",
                    caller.identity["arn"].as_str().unwrap_or_default()
                ),
            )
        } else {
            call
        };
        day.call(now, caller, &call);
    }
    if person.permission_set == "Operations" {
        let instance = format!("i-0{}", day.random.hex(16));
        let session = format!("{}-{}", person.name, day.random.hex(17));
        day.call(
            now + 20,
            caller,
            &Call::write(
                "ssm",
                "StartSession",
                json!({ "target": instance }),
                json!({ "sessionId": session, "tokenValue": "Value hidden due to security reasons." }),
            ),
        );
        day.call(
            now + 600,
            caller,
            &Call::write("ssm", "TerminateSession", json!({ "sessionId": session }), json!({ "sessionId": session })),
        );
    }
}

/// A mistyped password, somebody's first look at a secret of the test environment, a key that is rotated.
pub(crate) fn slips(day: &mut Timeline) {
    for name in ["noor.batra", "pavel.iversen"] {
        let time = day.office_time();
        let mut caller = Caller::user_console(&STAGING, name, day.epoch(time), true, "203.0.113.30");
        caller.identity = json!({ "type": "IAMUser", "userName": name, "accountId": STAGING.id, "accessKeyId": "",
            "principalId": user(&STAGING, name)["principalId"] });
        BROWSER.clone_into(&mut caller.agent);
        let additional = json!({ "MobileVersion": "No", "MFAUsed": "Yes", "LoginTo": "https://console.aws.amazon.com/console/home" });
        let call = Call::write("signin", "ConsoleLogin", Value::Null, Value::Null)
            .failed("", "Failed authentication")
            .answered(json!({ "ConsoleLogin": "Failure" }))
            .with("additionalEventData", additional.clone());
        day.sign_in(time, &caller, &call);
        caller.identity = user(&STAGING, name);
        let call = Call::write("signin", "ConsoleLogin", Value::Null, json!({ "ConsoleLogin": "Success" }))
            .with("additionalEventData", additional);
        day.sign_in(time + 25, &caller, &call);
    }
    let time = day.office_time();
    let developer = Caller::person(&STAGING, &PEOPLE[0], day.epoch(time), false);
    day.call(
        time,
        &developer,
        &Call::read("secretsmanager", "GetSecretValue", json!({ "secretId": "staging/mailer/smtp" })),
    );
    let time = day.office_time();
    let robot = Caller::user_key(&PRODUCTION, "legacy-export", &day.random.unique_id("AKIA"), "192.0.2.99");
    let key = json!({ "accessKey": { "userName": "legacy-export", "status": "Active", "accessKeyId": day.random.unique_id("AKIA") } });
    day.call(time, &robot, &Call::write("iam", "CreateAccessKey", Value::Null, key));
}
