#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::{BTreeMap, BTreeSet};

use dial_rules::decode::{Decoded, Decoder};
use dial_rules::pack;
use dial_rules::ruleset::RuleSet;
use dial_rules::severity::Severity;
use serde_json::Value;

use super::*;

const MIDNIGHT: i64 = 1_795_392_000;

/// Every call that DIAL has to watch, whoever makes it: service, then names.
const WATCHED: &[(&str, &str)] = &[
    ("signin", "ConsoleLogin"),
    (
        "iam",
        "CreateUser DeleteUser CreateLoginProfile DeleteLoginProfile UpdateLoginProfile CreateVirtualMFADevice \
         DeleteVirtualMFADevice DeactivateMFADevice EnableMFADevice CreateGroup DeleteGroup AddUserToGroup \
         RemoveUserFromGroup AttachGroupPolicy DetachGroupPolicy CreateAccessKey UpdateAccessKey DeleteAccessKey \
         CreatePolicy CreatePolicyVersion SetDefaultPolicyVersion DeletePolicy PutUserPolicy PutRolePolicy \
         PutGroupPolicy AttachUserPolicy AttachRolePolicy DetachUserPolicy DetachRolePolicy CreateRole DeleteRole \
         UpdateAssumeRolePolicy",
    ),
    (
        "ec2",
        "RunInstances StopInstances TerminateInstances CreateSecurityGroup DeleteSecurityGroup \
         AuthorizeSecurityGroupIngress AuthorizeSecurityGroupEgress RevokeSecurityGroupIngress \
         RevokeSecurityGroupEgress ModifySecurityGroupRules CreateVpcPeeringConnection AcceptVpcPeeringConnection \
         ModifyVpcPeeringConnectionOptions DeleteVpcPeeringConnection CreateRouteTable DeleteRouteTable \
         AssociateRouteTable CreateRoute ReplaceRoute DeleteRoute CreateInternetGateway DeleteInternetGateway \
         AttachInternetGateway DetachInternetGateway CreateVpc DeleteVpc AssociateVpcCidrBlock ModifyVpcAttribute",
    ),
    (
        "s3",
        "CreateBucket DeleteBucket PutBucketAcl PutBucketPolicy DeleteBucketPolicy PutBucketPublicAccessBlock \
         DeleteBucketPublicAccessBlock PutAccountPublicAccessBlock DeleteAccountPublicAccessBlock \
         PutBucketOwnershipControls PutObject PutObjectAcl",
    ),
    (
        "rds",
        "CreateDBInstance ModifyDBInstance DeleteDBInstance StopDBInstance StartDBInstance RebootDBInstance \
         CreateDBCluster ModifyDBCluster DeleteDBCluster StopDBCluster StartDBCluster RebootDBCluster CreateDBSnapshot \
         CreateDBClusterSnapshot RestoreDBInstanceFromDBSnapshot RestoreDBInstanceToPointInTime \
         RestoreDBClusterFromSnapshot RestoreDBClusterToPointInTime ModifyDBSnapshotAttribute \
         ModifyDBClusterSnapshotAttribute",
    ),
    ("dynamodb", "CreateTable DeleteTable UpdateTable DeleteBackup UpdateContinuousBackups PutResourcePolicy"),
    ("secretsmanager", "GetSecretValue UpdateSecret PutSecretValue DeleteSecret PutResourcePolicy BatchGetSecretValue"),
    (
        "ssm",
        "GetParameter GetParameters GetParametersByPath PutParameter DeleteParameter DeleteParameters SendCommand \
         StartSession ModifyDocumentPermission",
    ),
    ("ecr", "SetRepositoryPolicy DeleteRepository PutImageScanningConfiguration PutImageTagMutability"),
    ("ecr-public", "SetRepositoryPolicy DeleteRepository"),
    (
        "es",
        "CreateElasticsearchDomain UpdateElasticsearchDomainConfig DeleteElasticsearchDomain CreateDomain \
         UpdateDomainConfig DeleteDomain",
    ),
    ("route53", "ChangeResourceRecordSets DeleteHostedZone AssociateVPCWithHostedZone"),
    ("route53domains", "EnableDomainTransferLock"),
];

fn name_of(event: &SimulatedEvent) -> (String, String) {
    let value: Value = serde_json::from_slice(&event.envelope).unwrap();
    let text = |field: &str| value["detail"][field].as_str().unwrap_or("-").to_owned();
    (text("eventSource").replace(".amazonaws.com", ""), text("eventName"))
}

#[test]
fn every_watched_call_makes_a_thousandth_and_hardly_any_is_a_finding() {
    const COUNT: usize = 20_000;
    let events = quiet(1, MIDNIGHT, COUNT);
    assert_eq!(events.len(), COUNT);
    let mut calls: BTreeMap<(String, String), usize> = BTreeMap::new();
    for event in &events {
        *calls.entry(name_of(event)).or_default() += 1;
    }
    for (service, names) in WATCHED {
        for name in names.split_whitespace() {
            let times = calls.get(&((*service).to_owned(), name.to_owned())).copied().unwrap_or_default();
            assert!(times * 1000 >= COUNT, "{name} of {service} occurs {times} times");
        }
    }

    let loaded = RuleSet::load(&pack::rules());
    let mut found: BTreeMap<(Severity, String), usize> = BTreeMap::new();
    for decoded in events.iter().flat_map(|event| Decoder::record(&event.envelope)) {
        let Decoded::Event(event) = decoded else { panic!("a dead letter: {decoded:?}") };
        for matched in loaded.rules.evaluate(&event) {
            *found.entry((matched.rule.severity, matched.rule.title.clone())).or_default() += 1;
        }
    }
    println!("{found:#?}");
    let loud: usize = found.iter().filter(|((severity, _), _)| *severity >= Severity::Medium).map(|(_, n)| n).sum();
    assert!(loud * 1000 < COUNT, "{loud} findings of medium or more: {found:#?}");
}

#[test]
fn a_seed_determines_the_traffic() {
    assert_eq!(quiet(3, MIDNIGHT, 5_000), quiet(3, MIDNIGHT, 5_000));
    assert_ne!(quiet(3, MIDNIGHT, 5_000), quiet(4, MIDNIGHT, 5_000));
}

#[test]
fn any_volume_has_exactly_its_events_in_order_and_ids_occur_once() {
    for count in [1, 100, 1_000, 45_000] {
        let events = quiet(1, MIDNIGHT, count);
        assert_eq!(events.len(), count);
        assert!(events.is_sorted_by_key(|event| event.at));
        let ids: BTreeSet<String> = events
            .iter()
            .map(|event| {
                let value: Value = serde_json::from_slice(&event.envelope).unwrap();
                value["id"].as_str().unwrap().to_owned()
            })
            .collect();
        assert_eq!(ids.len(), count);
    }
}
