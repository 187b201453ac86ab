//! Networks as they should be: own ranges, own accounts, built and torn down by code.

use serde_json::{Value, json};

use super::Routine;
use super::Who::{self, CommandLine, Console, Infrastructure, Release};

const AUTOSCALING: Who = Who::Service("autoscaling.amazonaws.com", "AWSServiceRoleForAutoScaling");
const BALANCER: Who = Who::Service("elasticloadbalancing.amazonaws.com", "AWSServiceRoleForElasticLoadBalancing");

/// The routine calls of EC2 and Route 53.
pub(crate) fn calls() -> Vec<Routine> {
    [instances(), security_groups(), peering(), routes(), networks(), names()].into_iter().flatten().collect()
}

fn ec2(who: Who, name: &'static str, request: Value) -> Routine {
    Routine::new(who, "ec2", name, request)
}

fn instances() -> Vec<Routine> {
    let one = json!({ "instancesSet": { "items": [{ "instanceId": "i-0{id}" }] } });
    let run = json!({ "instancesSet": { "items": [{ "imageId": "ami-0{id}", "minCount": 1, "maxCount": 1 }] },
        "instanceType": "t3.medium", "subnetId": "subnet-0a1b2c3d4e5f67890" });
    vec![
        ec2(AUTOSCALING, "RunInstances", run.clone()),
        ec2(Console, "RunInstances", run),
        ec2(AUTOSCALING, "StopInstances", one.clone()),
        ec2(CommandLine, "StopInstances", one.clone()),
        ec2(AUTOSCALING, "TerminateInstances", one.clone()),
        ec2(Infrastructure, "TerminateInstances", one),
    ]
}

fn security_groups() -> Vec<Routine> {
    let permissions = json!({ "items": [{ "ipProtocol": "tcp", "fromPort": 5432, "toPort": 5432, "groups": {},
        "ipv6Ranges": {}, "prefixListIds": {},
        "ipRanges": { "items": [{ "cidrIp": "10.0.0.0/16", "description": "own network" }] } }] });
    let rules = json!({ "groupId": "sg-0{id}", "ipPermissions": permissions });
    let modified = json!({ "ModifySecurityGroupRulesRequest": { "GroupId": "sg-0{id}", "SecurityGroupRule": {
        "SecurityGroupRuleId": "sgr-0{id}", "tag": 1, "SecurityGroupRule": { "IpProtocol": "tcp", "FromPort": 5432,
        "ToPort": 5432, "CidrIpv4": "10.0.0.0/16", "Description": "own network" } } } });
    vec![
        ec2(
            Infrastructure,
            "CreateSecurityGroup",
            json!({ "groupName": "database-{id}", "groupDescription": "managed by code", "vpcId": "vpc-0{id}" }),
        ),
        ec2(Infrastructure, "DeleteSecurityGroup", json!({ "groupId": "sg-0{id}" })),
        ec2(BALANCER, "AuthorizeSecurityGroupIngress", rules.clone()),
        ec2(Console, "AuthorizeSecurityGroupIngress", rules.clone()),
        ec2(Infrastructure, "AuthorizeSecurityGroupEgress", rules.clone()),
        ec2(Console, "RevokeSecurityGroupIngress", rules.clone()),
        ec2(Infrastructure, "RevokeSecurityGroupEgress", rules),
        ec2(Infrastructure, "ModifySecurityGroupRules", modified),
    ]
}

fn peering() -> Vec<Routine> {
    let id = json!({ "vpcPeeringConnectionId": "pcx-0{id}" });
    let options = json!({ "ModifyVpcPeeringConnectionOptionsRequest": { "VpcPeeringConnectionId": "pcx-0{id}",
        "RequesterPeeringConnectionOptions": { "AllowDnsResolutionFromRemoteVpc": true } } });
    vec![
        ec2(
            Infrastructure,
            "CreateVpcPeeringConnection",
            json!({ "vpcId": "vpc-0{id}", "peerVpcId": "vpc-0a1b2c3d4e5f67890", "peerOwnerId": "{account}" }),
        ),
        ec2(Infrastructure, "AcceptVpcPeeringConnection", id.clone()),
        ec2(Infrastructure, "ModifyVpcPeeringConnectionOptions", options),
        ec2(Infrastructure, "DeleteVpcPeeringConnection", id),
    ]
}

fn routes() -> Vec<Routine> {
    let route = json!({ "routeTableId": "rtb-0{id}", "destinationCidrBlock": "10.20.0.0/16",
        "vpcPeeringConnectionId": "pcx-0{id}" });
    vec![
        ec2(Infrastructure, "CreateRouteTable", json!({ "vpcId": "vpc-0{id}" })),
        ec2(Infrastructure, "DeleteRouteTable", json!({ "routeTableId": "rtb-0{id}" })),
        ec2(Infrastructure, "AssociateRouteTable", json!({ "routeTableId": "rtb-0{id}", "subnetId": "subnet-0{id}" })),
        ec2(Infrastructure, "CreateRoute", route.clone()),
        ec2(Infrastructure, "ReplaceRoute", route),
        ec2(
            Infrastructure,
            "DeleteRoute",
            json!({ "routeTableId": "rtb-0{id}", "destinationCidrBlock": "10.20.0.0/16" }),
        ),
    ]
}

/// A network for each test of a release, and away with it afterwards.
fn networks() -> Vec<Routine> {
    let gateway = json!({ "internetGatewayId": "igw-0{id}", "vpcId": "vpc-0{id}" });
    vec![
        ec2(Release, "CreateVpc", json!({ "cidrBlock": "10.40.0.0/16", "instanceTenancy": "default" })),
        ec2(Release, "DeleteVpc", json!({ "vpcId": "vpc-0{id}" })),
        ec2(Release, "CreateInternetGateway", json!({})),
        ec2(Release, "AttachInternetGateway", gateway.clone()),
        ec2(Release, "DetachInternetGateway", gateway),
        ec2(Release, "DeleteInternetGateway", json!({ "internetGatewayId": "igw-0{id}" })),
        ec2(
            Infrastructure,
            "AssociateVpcCidrBlock",
            json!({ "AssociateVpcCidrBlockRequest": { "VpcId": "vpc-0{id}", "CidrBlock": "10.41.0.0/16" } }),
        ),
        ec2(
            Infrastructure,
            "ModifyVpcAttribute",
            json!({ "vpcId": "vpc-0{id}", "enableDnsHostnames": { "value": true } }),
        ),
    ]
}

fn names() -> Vec<Routine> {
    let change = json!({ "hostedZoneId": "Z0EXAMPLE{id}", "changeBatch": { "changes": [{ "action": "UPSERT",
        "resourceRecordSet": { "name": "orders.example.com.", "type": "A", "tTL": 60,
            "resourceRecords": [{ "value": "10.0.12.37" }] } }] } });
    let shared = json!({ "hostedZoneId": "Z0EXAMPLE{id}", "vPC": { "vPCRegion": "{region}", "vPCId": "vpc-0{id}" } });
    vec![
        Routine::new(Release, "route53", "ChangeResourceRecordSets", change),
        Routine::new(Infrastructure, "route53", "DeleteHostedZone", json!({ "id": "Z0EXAMPLE{id}" })),
        Routine::new(Infrastructure, "route53", "AssociateVPCWithHostedZone", shared),
        Routine::new(
            Infrastructure,
            "route53domains",
            "EnableDomainTransferLock",
            json!({ "domainName": "example.com" }),
        ),
    ]
}
