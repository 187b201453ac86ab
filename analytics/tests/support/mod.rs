//! Events for the tests of files.

#![allow(dead_code)]

pub(crate) mod findings;
pub(crate) mod ocsf_facts;
pub(crate) mod readers;

use dial_analytics::batch::ArchiveBatch;
use dial_analytics::position::Position;
use dial_analytics::sealed::Sealed;
use dial_analytics::shard::Shard;
use dial_rules::decode::Decoder;
use serde_json::{Value, json};

/// 2024-05-02T00:00:00Z.
pub(crate) const ARRIVAL: i64 = 1_714_608_000_000;

/// A role's session calls S3.
pub(crate) fn assumed_role() -> Value {
    json!({
        "eventVersion": "1.09",
        "userIdentity": {
            "type": "AssumedRole", "principalId": "AROAEXAMPLE:alice@example.com",
            "arn": "arn:aws:sts::111122223333:assumed-role/Admin/alice@example.com",
            "accountId": "111122223333", "accessKeyId": "ASIAEXAMPLE", "invokedBy": "cloudformation.amazonaws.com",
            "sessionContext": {
                "sessionIssuer": {"type": "Role", "arn": "arn:aws:iam::111122223333:role/Admin", "userName": "Admin"},
                "attributes": {"creationDate": "2024-05-01T11:00:00Z", "mfaAuthenticated": "true"}
            }
        },
        "eventTime": "2024-05-01T12:00:00Z", "eventSource": "s3.amazonaws.com", "eventName": "PutBucketPolicy",
        "awsRegion": "eu-west-1", "sourceIPAddress": "192.0.2.1", "userAgent": "[aws-cli/2 \"é\"]",
        "errorCode": "AccessDenied", "errorMessage": "no\nway",
        "requestParameters": {"bucketName": "b", "policy": {"a": [1, null]}},
        "responseElements": {"x": 1.50}, "additionalEventData": {"SignatureVersion": "SigV4"},
        "requestID": "R1", "eventID": "11111111-1111-4111-8111-111111111111", "readOnly": false,
        "resources": [
            {"type": "AWS::S3::Bucket", "ARN": "arn:aws:s3:::b", "accountId": "111122223333"},
            {"arn": "arn:aws:s3:::c"}, {"type": "AWS::S3::Object"}, "nonsense", null
        ],
        "eventType": "AwsApiCall", "managementEvent": true, "recipientAccountId": "444455556666",
        "eventCategory": "Management"
    })
}

/// A GuardDuty finding.
pub(crate) fn guardduty() -> Value {
    json!({
        "schemaVersion": "2.0", "accountId": "111122223333", "region": "us-east-1", "id": "gd1",
        "type": "UnauthorizedAccess:IAMUser/MaliciousIPCaller", "updatedAt": "2024-05-01T12:00:01.250Z",
        "resource": {"accessKeyDetails": {
            "accessKeyId": "ASIAGD", "principalId": "AIDAGD", "userName": "bob", "userType": "IAMUser"
        }},
        "service": {"action": {"awsApiCallAction": {"remoteIpDetails": {"ipAddressV4": "198.51.100.7"}}}}
    })
}

/// A Security Hub finding.
pub(crate) fn security_hub() -> Value {
    json!({
        "ProductArn": "arn:aws:securityhub:us-east-1::product/aws/securityhub", "Types": ["Software/CVE"],
        "Id": "sh1", "UpdatedAt": "2024-05-01T12:00:02Z", "AwsAccountId": "111122223333", "Region": "us-east-1",
        "Resources": [{"Type": "AwsEc2Instance", "Id": "arn:aws:ec2:us-east-1:111122223333:instance/i-1"}]
    })
}

/// No more than an event needs.
pub(crate) fn minimal(id: &str, time: &str) -> Value {
    json!({"eventID": id, "eventTime": time, "eventSource": "s", "eventName": "n"})
}

/// A plausible event, different for each `n`, within two hours around a midnight.
pub(crate) fn plausible(n: u32) -> Value {
    let mut event = assumed_role();
    let names = ["PutBucketPolicy", "GetObject", "ListBuckets", "DeleteBucket"];
    event["eventID"] = json!(format!("{n:08x}-{:04x}-4000-8000-000000000000", n.wrapping_mul(40_503) >> 8 & 0xffff));
    event["eventTime"] = json!(dial_rules::event::rfc3339(ARRIVAL - 3_600_000 + i64::from(n * 7919 % 7200) * 1000));
    event["eventName"] = json!(names[n as usize % names.len()]);
    event["requestID"] = json!(format!("R{n}"));
    event["sourceIPAddress"] = json!(format!("192.0.2.{}", n % 250));
    event["userIdentity"]["accessKeyId"] = json!(format!("ASIA{}", n % 40));
    event["readOnly"] = json!(n % 4 == 1);
    if !n.is_multiple_of(3) {
        event["errorCode"] = Value::Null;
        event["resources"] = Value::Null;
    }
    event
}

/// A batch of one event a record, numbered from `first`.
pub(crate) fn sealed(shard: &str, raw: bool, first: u64, events: impl IntoIterator<Item = Value>) -> Sealed {
    let mut batch = ArchiveBatch::new(Shard::new(shard), raw);
    for (n, event) in (first..).zip(events) {
        let position = Position::new(&n.to_string(), 0).unwrap();
        let data = event.to_string();
        batch.push(&position, Some(ARRIVAL + 500), Decoder::record(data.as_bytes()), 0);
    }
    batch.seal().unwrap()
}
