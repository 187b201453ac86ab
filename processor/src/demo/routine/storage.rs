//! Buckets, databases, tables and secrets in everyday use: private, shared within the organisation, kept by backups.

use serde_json::json;

use super::Routine;
use super::Who::{self, CommandLine, Console, Infrastructure, Release};

const BACKUP: Who = Who::Service("backup.amazonaws.com", "AWSServiceRoleForBackup");
const RDS: Who = Who::Service("rds.amazonaws.com", "AWSServiceRoleForRDS");

/// The routine calls of S3, RDS, DynamoDB and Secrets Manager.
pub(crate) fn calls() -> Vec<Routine> {
    [buckets(), objects(), databases(), snapshots(), tables(), secrets()].into_iter().flatten().collect()
}

fn buckets() -> Vec<Routine> {
    let s3 = |who, name, request| Routine::new(who, "s3", name, request);
    let closed = json!({ "BlockPublicAcls": true, "BlockPublicPolicy": true, "IgnorePublicAcls": true,
        "RestrictPublicBuckets": true });
    let policy = json!({ "Version": "2012-10-17", "Statement": [{ "Effect": "Allow", "Action": "s3:GetObject",
        "Principal": { "Service": "cloudfront.amazonaws.com" }, "Resource": "arn:aws:s3:::assets-{id}/*",
        "Condition": { "StringEquals": { "AWS:SourceAccount": "{account}" } } }] });
    let block =
        json!({ "bucketName": "assets-{id}", "publicAccessBlock": "", "PublicAccessBlockConfiguration": closed });
    vec![
        s3(Infrastructure, "CreateBucket", json!({ "bucketName": "assets-{id}", "x-amz-acl": "private" })),
        s3(Infrastructure, "DeleteBucket", json!({ "bucketName": "assets-{id}" })),
        s3(Infrastructure, "PutBucketAcl", json!({ "bucketName": "assets-{id}", "acl": "", "x-amz-acl": "private" })),
        s3(
            Infrastructure,
            "PutBucketPolicy",
            json!({ "bucketName": "assets-{id}", "policy": "", "bucketPolicy": policy }),
        ),
        s3(Infrastructure, "DeleteBucketPolicy", json!({ "bucketName": "assets-{id}", "policy": "" })),
        s3(Infrastructure, "PutBucketPublicAccessBlock", block),
        s3(
            Infrastructure,
            "DeleteBucketPublicAccessBlock",
            json!({ "bucketName": "assets-{id}", "publicAccessBlock": "" }),
        ),
        s3(
            Infrastructure,
            "PutAccountPublicAccessBlock",
            json!({ "accountId": "{account}", "PublicAccessBlockConfiguration": closed }),
        ),
        // Only the service that governs a new account lifts its block as a matter of course, to set its own.
        s3(
            Who::Service("controltower.amazonaws.com", "AWSServiceRoleForAWSControlTower"),
            "DeleteAccountPublicAccessBlock",
            json!({ "accountId": "{account}" }),
        ),
        s3(
            Infrastructure,
            "PutBucketOwnershipControls",
            json!({ "bucketName": "assets-{id}", "OwnershipControls": { "Rule": { "ObjectOwnership": "BucketOwnerEnforced" } } }),
        ),
    ]
}

fn objects() -> Vec<Routine> {
    let object = json!({ "bucketName": "exports-example", "key": "daily/{id}.parquet", "x-amz-acl": "bucket-owner-full-control" });
    vec![
        Routine::new(Release, "s3", "PutObject", object.clone()).data(),
        Routine::new(CommandLine, "s3", "PutObject", object.clone()).data(),
        Routine::new(Release, "s3", "PutObjectAcl", object).data(),
    ]
}

fn databases() -> Vec<Routine> {
    let rds = |who, name, request| Routine::new(who, "rds", name, request);
    let instance = json!({ "dBInstanceIdentifier": "orders-{id}" });
    let cluster = json!({ "dBClusterIdentifier": "ledger-{id}" });
    let private = json!({ "dBInstanceIdentifier": "orders-{id}", "dBInstanceClass": "db.t4g.medium", "engine": "postgres",
        "publiclyAccessible": false, "storageEncrypted": true, "deletionProtection": true });
    vec![
        rds(Infrastructure, "CreateDBInstance", private.clone()),
        rds(
            Infrastructure,
            "ModifyDBInstance",
            json!({ "dBInstanceIdentifier": "orders-{id}", "allocatedStorage": 200, "applyImmediately": false }),
        ),
        rds(
            Infrastructure,
            "DeleteDBInstance",
            json!({ "dBInstanceIdentifier": "orders-{id}", "skipFinalSnapshot": false,
                "finalDBSnapshotIdentifier": "orders-{id}-final" }),
        ),
        rds(Console, "StopDBInstance", instance.clone()),
        rds(Console, "StartDBInstance", instance.clone()),
        rds(CommandLine, "RebootDBInstance", instance),
        rds(
            Infrastructure,
            "CreateDBCluster",
            json!({ "dBClusterIdentifier": "ledger-{id}", "engine": "aurora-postgresql", "storageEncrypted": true }),
        ),
        rds(
            Infrastructure,
            "ModifyDBCluster",
            json!({ "dBClusterIdentifier": "ledger-{id}", "backupRetentionPeriod": 14 }),
        ),
        rds(
            Infrastructure,
            "DeleteDBCluster",
            json!({ "dBClusterIdentifier": "ledger-{id}", "skipFinalSnapshot": false,
                "finalDBSnapshotIdentifier": "ledger-{id}-final" }),
        ),
        rds(Console, "StopDBCluster", cluster.clone()),
        rds(Console, "StartDBCluster", cluster.clone()),
        rds(RDS, "RebootDBCluster", cluster),
    ]
}

fn snapshots() -> Vec<Routine> {
    let rds = |who, name, request| Routine::new(who, "rds", name, request);
    let shared = |name: &str| json!({ name: "nightly-{id}", "attributeName": "restore", "valuesToAdd": ["{account}"] });
    vec![
        rds(
            BACKUP,
            "CreateDBSnapshot",
            json!({ "dBInstanceIdentifier": "orders", "dBSnapshotIdentifier": "nightly-{id}" }),
        ),
        rds(
            BACKUP,
            "CreateDBClusterSnapshot",
            json!({ "dBClusterIdentifier": "ledger", "dBClusterSnapshotIdentifier": "nightly-{id}" }),
        ),
        rds(
            Infrastructure,
            "RestoreDBInstanceFromDBSnapshot",
            json!({ "dBInstanceIdentifier": "rehearsal-{id}", "dBSnapshotIdentifier": "nightly", "publiclyAccessible": false }),
        ),
        rds(
            Infrastructure,
            "RestoreDBInstanceToPointInTime",
            json!({ "sourceDBInstanceIdentifier": "orders", "targetDBInstanceIdentifier": "rehearsal-{id}",
                "publiclyAccessible": false }),
        ),
        rds(
            Infrastructure,
            "RestoreDBClusterFromSnapshot",
            json!({ "dBClusterIdentifier": "rehearsal-{id}", "snapshotIdentifier": "nightly", "publiclyAccessible": false }),
        ),
        rds(
            Infrastructure,
            "RestoreDBClusterToPointInTime",
            json!({ "dBClusterIdentifier": "rehearsal-{id}", "sourceDBClusterIdentifier": "ledger" }),
        ),
        rds(BACKUP, "ModifyDBSnapshotAttribute", shared("dBSnapshotIdentifier")),
        rds(Infrastructure, "ModifyDBClusterSnapshotAttribute", shared("dBClusterSnapshotIdentifier")),
    ]
}

fn tables() -> Vec<Routine> {
    let table = |name, request| Routine::new(Infrastructure, "dynamodb", name, request);
    let policy = json!({ "Version": "2012-10-17", "Statement": [{ "Effect": "Allow", "Action": "dynamodb:GetItem",
        "Principal": { "AWS": "arn:aws:iam::{account}:role/orders-task" }, "Resource": "*" }] });
    vec![
        table(
            "CreateTable",
            json!({ "tableName": "carts-{id}", "billingMode": "PAY_PER_REQUEST", "deletionProtectionEnabled": true }),
        ),
        table("DeleteTable", json!({ "tableName": "carts-{id}" })),
        table("UpdateTable", json!({ "tableName": "carts-{id}", "billingMode": "PAY_PER_REQUEST" })),
        Routine::new(
            BACKUP,
            "dynamodb",
            "DeleteBackup",
            json!({ "backupArn": "arn:aws:dynamodb:{region}:{account}:table/carts/backup/{id}" }),
        ),
        table(
            "UpdateContinuousBackups",
            json!({ "tableName": "carts-{id}", "pointInTimeRecoverySpecification": { "pointInTimeRecoveryEnabled": true } }),
        ),
        table(
            "PutResourcePolicy",
            json!({ "resourceArn": "arn:aws:dynamodb:{region}:{account}:table/carts", "policy": policy.to_string() }),
        ),
    ]
}

fn secrets() -> Vec<Routine> {
    let secret = |who, name, request| Routine::new(who, "secretsmanager", name, request);
    let policy = json!({ "Version": "2012-10-17", "Statement": [{ "Effect": "Allow", "Action": "secretsmanager:GetSecretValue",
        "Principal": { "AWS": "arn:aws:iam::{account}:role/orders-task" }, "Resource": "*" }] });
    vec![
        secret(Release, "GetSecretValue", json!({ "secretId": "orders/database" })).read(),
        secret(Release, "BatchGetSecretValue", json!({ "secretIdList": ["orders/database", "orders/queue"] })).read(),
        secret(Infrastructure, "UpdateSecret", json!({ "secretId": "orders/queue", "description": "queue of orders" })),
        secret(Release, "PutSecretValue", json!({ "secretId": "orders/queue", "clientRequestToken": "{id}" })),
        secret(
            Infrastructure,
            "DeleteSecret",
            json!({ "secretId": "rehearsal-{id}", "recoveryWindowInDays": 30, "forceDeleteWithoutRecovery": false }),
        ),
        secret(
            Infrastructure,
            "PutResourcePolicy",
            json!({ "secretId": "orders/queue", "resourcePolicy": policy.to_string(), "blockPublicPolicy": true }),
        ),
    ]
}
