//! Events to archive: made up, or somebody's.

use std::fs;
use std::path::PathBuf;

use serde_json::{Value, json};

/// Events as JSON without end.
pub(crate) struct Events {
    number: usize,
    dice: u64,
    /// Those to be repeated; none, and they are made up.
    given: Vec<Value>,
}

impl Events {
    /// Those of a file of JSON lines, of CloudTrail records or EventBridge events; or made up.
    pub(crate) fn new(file: Option<PathBuf>) -> Events {
        let text = file.map(|file| fs::read_to_string(file).expect("the file of events")).unwrap_or_default();
        let event = |line: &str| {
            let mut event: Value = serde_json::from_str(line).expect("a line is an event");
            if event["detail"].is_object() { event["detail"].take() } else { event }
        };
        // Findings of other services have ids of their own.
        let given = text.lines().map(event).filter(|event| event["eventID"].is_string()).collect();
        Events { number: 0, dice: 7, given }
    }

    fn roll(&mut self) -> u64 {
        self.dice = self.dice.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.dice;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    fn below(&mut self, sides: u64) -> u64 {
        // The smaller, the likelier: a few of everything make most of the traffic.
        let (one, other) = (self.roll() % sides, self.roll() % sides);
        one.min(other)
    }

    fn uuid(&mut self) -> String {
        let (a, b) = (self.roll(), self.roll());
        let (c, d) = (a & 0xffff, 0x8000 | (b >> 48) & 0x3fff);
        format!("{:08x}-{:04x}-4{:03x}-{d:04x}-{:012x}", a >> 32, (a >> 16) & 0xffff, c & 0xfff, b & 0xffff_ffff_ffff)
    }

    fn made_up(&mut self) -> Value {
        let calls = [
            ("s3.amazonaws.com", "GetObject", true),
            ("sts.amazonaws.com", "AssumeRole", true),
            ("ec2.amazonaws.com", "DescribeInstances", true),
            ("kms.amazonaws.com", "Decrypt", true),
            ("s3.amazonaws.com", "ListObjects", true),
            ("dynamodb.amazonaws.com", "DescribeTable", true),
            ("logs.amazonaws.com", "CreateLogStream", false),
            ("iam.amazonaws.com", "GetRole", true),
            ("s3.amazonaws.com", "PutObject", false),
            ("lambda.amazonaws.com", "Invoke", false),
            ("ec2.amazonaws.com", "RunInstances", false),
            ("iam.amazonaws.com", "PutRolePolicy", false),
        ];
        let (source, name, read_only) = calls[usize::try_from(self.below(calls.len() as u64)).unwrap()];
        let (account, role, session) = (self.below(40), self.below(120), self.below(2_000));
        let (agent, region, key) = (self.below(60), self.below(4), self.below(4_000));
        let account_id = format!("{:012}", 111_122_223_333 + 7 * account);
        let role_arn = format!("arn:aws:iam::{account_id}:role/service-role-{role}");
        let failed = self.below(20) == 19;
        json!({
            "eventVersion": "1.08",
            "userIdentity": {
                "type": "AssumedRole", "principalId": format!("AROAEXAMPLE{role:08}:session-{session}"),
                "arn": format!("arn:aws:sts::{account_id}:assumed-role/service-role-{role}/session-{session}"),
                "accountId": account_id, "accessKeyId": format!("ASIAEXAMPLE{session:09}"),
                "sessionContext": {
                    "sessionIssuer": {
                        "type": "Role", "principalId": format!("AROAEXAMPLE{role:08}"), "arn": role_arn,
                        "accountId": account_id, "userName": format!("service-role-{role}")
                    },
                    "attributes": {"creationDate": "2024-05-01T00:00:00Z", "mfaAuthenticated": "false"}
                }
            },
            "eventTime": dial_rules::event::rfc3339(super::super::ARRIVAL + i64::try_from(self.number / 400).unwrap() * 1000),
            "eventSource": source, "eventName": name,
            "awsRegion": (["us-east-1", "eu-west-1", "eu-central-1", "ap-south-1"])[usize::try_from(region).unwrap()],
            "sourceIPAddress": format!("192.0.{}.{}", self.below(8), self.below(250)),
            "userAgent": format!("aws-sdk-java/1.12.{agent} Linux/5.10 OpenJDK_64-Bit_Server_VM/17.0.{}", agent % 9),
            "errorCode": if failed { json!("AccessDenied") } else { Value::Null },
            "requestParameters": {
                "bucketName": format!("bucket-{account}-{}", key % 30), "key": format!("part-{key}/{}.json", self.uuid()),
                "Host": format!("bucket-{account}.s3.amazonaws.com")
            },
            "responseElements": if read_only { Value::Null } else { json!({"x-amz-id": self.uuid()}) },
            "additionalEventData": {
                "SignatureVersion": "SigV4", "CipherSuite": "TLS_AES_128_GCM_SHA256", "bytesTransferredOut": self.below(90_000)
            },
            "requestID": self.uuid(), "eventID": self.uuid(), "readOnly": read_only,
            "resources": [{"ARN": format!("arn:aws:s3:::bucket-{account}-{}", key % 30), "accountId": account_id}],
            "eventType": "AwsApiCall", "managementEvent": true, "recipientAccountId": account_id,
            "eventCategory": "Management"
        })
    }
}

impl Iterator for Events {
    type Item = String;

    fn next(&mut self) -> Option<String> {
        let mut event = match self.given.len() {
            0 => self.made_up(),
            count => self.given[self.number % count].clone(),
        };
        if self.number >= self.given.len() && !self.given.is_empty() {
            for id in ["eventID", "requestID"] {
                event[id] = self.uuid().into();
            }
        }
        self.number += 1;
        Some(event.to_string())
    }
}
