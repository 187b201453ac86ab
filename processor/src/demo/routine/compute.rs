//! Parameters, shells on instances, images and search domains in everyday use.

use serde_json::{Value, json};

use super::Routine;
use super::Who::{self, CommandLine, Console, Infrastructure, Release};

/// The routine calls of Systems Manager, ECR and OpenSearch.
pub(crate) fn calls() -> Vec<Routine> {
    [parameters(), shells(), images(), search()].into_iter().flatten().collect()
}

fn ssm(who: Who, name: &'static str, request: Value) -> Routine {
    Routine::new(who, "ssm", name, request)
}

fn parameters() -> Vec<Routine> {
    vec![
        ssm(Release, "GetParameter", json!({ "name": "/orders/flags", "withDecryption": true })).read(),
        ssm(Console, "GetParameter", json!({ "name": "/orders/flags", "withDecryption": false })).read(),
        ssm(Release, "GetParameters", json!({ "names": ["/orders/flags", "/orders/url"], "withDecryption": true }))
            .read(),
        ssm(Release, "GetParametersByPath", json!({ "path": "/orders", "recursive": true, "withDecryption": true }))
            .read(),
        ssm(
            Release,
            "PutParameter",
            json!({ "name": "/orders/release", "type": "String", "value": "***", "overwrite": true }),
        ),
        ssm(Infrastructure, "DeleteParameter", json!({ "name": "/orders/flags-{id}" })),
        ssm(Infrastructure, "DeleteParameters", json!({ "names": ["/orders/flags-{id}"] })),
    ]
}

fn shells() -> Vec<Routine> {
    vec![
        ssm(
            Release,
            "SendCommand",
            json!({ "documentName": "AWS-RunPatchBaseline", "instanceIds": ["i-0{id}"], "parameters": "***" }),
        ),
        ssm(CommandLine, "StartSession", json!({ "target": "i-0{id}" })),
        ssm(
            Infrastructure,
            "ModifyDocumentPermission",
            json!({ "name": "restart-{id}", "permissionType": "Share", "accountIdsToAdd": ["{account}"] }),
        ),
    ]
}

fn images() -> Vec<Routine> {
    let policy = json!({ "Version": "2012-10-17", "Statement": [{ "Effect": "Allow",
        "Principal": { "AWS": "arn:aws:iam::{account}:root" },
        "Action": ["ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"] }] })
    .to_string();
    let named = json!({ "registryId": "{account}", "repositoryName": "orders-{id}" });
    let ecr = |who, name, request| Routine::new(who, "ecr", name, request);
    vec![
        ecr(
            Infrastructure,
            "SetRepositoryPolicy",
            json!({ "registryId": "{account}", "repositoryName": "orders", "policyText": policy, "force": false }),
        ),
        ecr(Infrastructure, "DeleteRepository", json!({ "repositoryName": "orders-{id}", "force": false })),
        ecr(
            Infrastructure,
            "PutImageScanningConfiguration",
            json!({ "repositoryName": "orders", "imageScanningConfiguration": { "scanOnPush": true } }),
        ),
        ecr(
            Infrastructure,
            "PutImageTagMutability",
            json!({ "repositoryName": "orders", "imageTagMutability": "IMMUTABLE" }),
        ),
        Routine::new(
            Infrastructure,
            "ecr-public",
            "SetRepositoryPolicy",
            json!({ "repositoryName": "samples", "policyText": policy, "force": false }),
        ),
        Routine::new(Infrastructure, "ecr-public", "DeleteRepository", named),
    ]
}

fn search() -> Vec<Routine> {
    let policies = json!({ "Version": "2012-10-17", "Statement": [{ "Effect": "Allow",
        "Principal": { "AWS": "arn:aws:iam::{account}:role/search-task" }, "Action": "es:ESHttp*",
        "Resource": "arn:aws:es:{region}:{account}:domain/search/*" }] })
    .to_string();
    let inside = json!({ "subnetIds": ["subnet-0a1b2c3d4e5f67890"], "securityGroupIds": ["sg-0a1b2c3d4e5f67890"] });
    let domain = json!({ "domainName": "search-{id}", "accessPolicies": policies, "vPCOptions": inside });
    let updated = json!({ "domainName": "search", "accessPolicies": policies });
    let deleted = json!({ "domainName": "search-{id}" });
    let es = |name, request: &Value| Routine::new(Infrastructure, "es", name, request.clone());
    vec![
        es("CreateElasticsearchDomain", &domain),
        es("UpdateElasticsearchDomainConfig", &updated),
        es("DeleteElasticsearchDomain", &deleted),
        es("CreateDomain", &domain),
        es("UpdateDomainConfig", &updated),
        es("DeleteDomain", &deleted),
    ]
}
