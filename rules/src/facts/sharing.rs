//! What a call shares with other accounts or with everybody, and whom a network is connected with.

use std::borrow::Cow;

use crate::tables::is_account_id;

use super::Facts;
use super::condition::Part;
use super::glob;
use super::judgement::allowing;
use super::node::Node;
use super::policy::Policy;
use super::principal::Principal;

pub(crate) use super::log_delivery::delivers_logs;

/// Something shared.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Share {
    pub(crate) what: &'static str,
    pub(crate) public: bool,
    pub(crate) accounts: Vec<String>,
    pub(crate) outside: bool,
    pub(crate) outside_accounts: Vec<String>,
}

/// The other side of a network connection.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Peer {
    pub(crate) accounts: Vec<String>,
    pub(crate) outside: Option<bool>,
}

impl Share {
    /// `None` for a call that shares nothing, whatever it is given.
    pub(crate) fn of(facts: &Facts<'_>) -> Option<Share> {
        let direct = direct(facts).map(|(what, texts)| Share::with(what, &texts, facts));
        direct.or_else(|| Share::of_acl(facts)).or_else(|| Share::of_policy(facts))
    }

    fn with(what: &'static str, texts: &[String], facts: &Facts<'_>) -> Share {
        let mut share = Share { what, ..Share::default() };
        for text in texts.iter().map(|text| text.trim()) {
            if text.eq_ignore_ascii_case("all") || glob::is_anything(text) {
                share.public = true;
                continue;
            }
            let Some(account) =
                [text.split(':').nth(4).unwrap_or_default(), text].into_iter().find(|id| is_account_id(id))
            else {
                continue; // a service, or a group of the data lake's own
            };
            let shown = if text.contains(":organizations:") { text } else { account };
            share.accounts.push(shown.to_owned());
            if facts.is_outside(account) {
                share.outside_accounts.push(shown.to_owned());
            }
        }
        for list in [&mut share.accounts, &mut share.outside_accounts] {
            list.sort();
            list.dedup();
        }
        share.outside = share.public || !share.outside_accounts.is_empty();
        share
    }

    fn of_acl(facts: &Facts<'_>) -> Option<Share> {
        let public = facts.acl()?.public;
        Some(Share { what: "S3 access list", public, outside: public, ..Share::default() })
    }

    fn of_policy(facts: &Facts<'_>) -> Option<Share> {
        let policy = facts.policy()?;
        if !policy.kinds.iter().any(|kind| kind == "resource") {
            return None;
        }
        Some(Share {
            what: "resource policy",
            public: policy.public?,
            accounts: policy.accounts.clone(),
            outside: policy.outside?,
            outside_accounts: policy.outside_accounts.clone(),
        })
    }
}

/// What a call shares, and the accounts, ARNs or `all` that it is shared with from now on.
fn direct(facts: &Facts<'_>) -> Option<(&'static str, Vec<String>)> {
    let request = facts.request()?;
    let (service, call) = (facts.service(), facts.call());
    let found = match (service.as_str(), call.as_str()) {
        ("ec2", "ModifySnapshotAttribute") => ("EBS snapshot", added(request, "createVolumePermission")),
        ("ec2", "ModifyImageAttribute") => ("image", added(request, "launchPermission")),
        ("ec2", "ModifyFpgaImageAttribute") => ("FPGA image", added(request, "loadPermission")),
        ("ec2", "ModifyVpcEndpointServicePermissions") => {
            let inner = request.get("ModifyVpcEndpointServicePermissionsRequest").unwrap_or(request);
            // One principal or several, each as text or, as EC2's newer calls write them, numbered.
            let entries = inner.list_of("addAllowedPrincipals");
            let text = |entry: Node<'_>| entry.scalar_of("content").or_else(|| entry.scalar()).map(Cow::into_owned);
            ("endpoint service", entries.into_iter().filter_map(text).collect())
        }
        ("rds", "ModifyDBSnapshotAttribute" | "ModifyDBClusterSnapshotAttribute") => {
            ("database snapshot", request.texts_of("valuesToAdd"))
        }
        ("redshift", "AuthorizeSnapshotAccess") => ("database snapshot", request.texts_of("accountWithRestoreAccess")),
        ("redshift", "AuthorizeDataShare") => ("data share", request.texts_of("consumerIdentifier")),
        ("ssm", "ModifyDocumentPermission") => ("SSM document", request.texts_of("accountIdsToAdd")),
        ("kms", "CreateGrant") => ("KMS grant", request.texts_of("granteePrincipal")),
        ("ram", "CreateResourceShare" | "AssociateResourceShare") => ("resource share", request.texts_of("principals")),
        ("lakeformation", "GrantPermissions") => {
            let principal = request.get("principal").map(|principal| principal.texts_of("dataLakePrincipalIdentifier"));
            ("data lake", principal.unwrap_or_default())
        }
        ("workspaces", "UpdateWorkspaceImagePermission") => ("image", request.texts_of("sharedAccountId")),
        ("appstream", "UpdateImagePermissions") => ("image", request.texts_of("sharedAccountId")),
        ("servicecatalog", "CreatePortfolioShare") => ("portfolio", request.texts_of("accountId")),
        ("lambda", "CreateFunctionUrlConfig" | "UpdateFunctionUrlConfig") => {
            let open = request.scalar_of("authType").is_some_and(|kind| kind.eq_ignore_ascii_case("NONE"));
            ("function URL", open.then(|| "all".to_owned()).into_iter().collect())
        }
        ("s3", "PutBucketReplication") => {
            let rules = request.get("ReplicationConfiguration").map(|rules| rules.list_of("Rule")).unwrap_or_default();
            let account = |rule: Node<'_>| rule.at(&["Destination", "Account"])?.scalar().map(|id| id.into_owned());
            ("S3 replication", rules.into_iter().filter_map(account).collect())
        }
        ("ecr", "PutReplicationConfiguration") => {
            let rules = request.get("replicationConfiguration").map(|rules| rules.list_of("rules")).unwrap_or_default();
            let to = rules.into_iter().flat_map(|rule| rule.list_of("destinations"));
            ("image replication", to.flat_map(|to| to.texts_of("registryId")).collect())
        }
        _ => return None,
    };
    Some(found)
}

/// Whom `permission.add` lists: accounts, groups (`all`), organisations.
fn added(request: Node<'_>, permission: &str) -> Vec<String> {
    let entries = request.get(permission).map(|permission| permission.list_of("add")).unwrap_or_default();
    let members = ["userId", "group", "organizationArn", "organizationalUnitArn"];
    let texts =
        |entry: Node<'_>| members.into_iter().find_map(|name| entry.scalar_of(name)).map(|text| text.into_owned());
    let mut found: Vec<String> = entries.into_iter().filter_map(texts).collect();
    // The older way to say the same: an operation, and lists of users and groups beside it.
    if request.scalar_of("operationType").is_some_and(|operation| operation.eq_ignore_ascii_case("add")) {
        found.extend(
            ["userId", "userIds", "userGroup", "userGroups", "group"].iter().flat_map(|name| request.texts_of(name)),
        );
    }
    found
}

/// The statement that calls such as AddPermission put together themselves.
pub(crate) fn permission(facts: &Facts<'_>) -> Option<Policy> {
    let request = facts.request()?;
    let texts = |names: &[&str]| names.iter().flat_map(|name| request.texts_of(name)).collect::<Vec<_>>();
    let (service, call) = (facts.service(), facts.call());
    let (principals, actions) = match (service.as_str(), call.as_str()) {
        ("lambda", "AddPermission" | "AddLayerVersionPermission") => (texts(&["principal"]), texts(&["action"])),
        ("sns", "AddPermission") => (texts(&["aWSAccountId", "aWSAccountIds"]), texts(&["actionName", "actionNames"])),
        ("sqs", "AddPermission") => (texts(&["aWSAccountIds", "accountIds"]), texts(&["actions", "actionNames"])),
        ("events", "PutPermission") if request.get("policy").is_none() => (texts(&["principal"]), texts(&["action"])),
        _ => return None,
    };
    let mut statement = allowing(
        principals.iter().map(|text| Principal::parse("AWS", text)).collect(),
        actions.iter().map(|action| qualified(&service, action)).collect(),
    );
    for (member, operator, key) in [
        ("sourceArn", "arnlike", "aws:sourcearn"),
        ("sourceAccount", "stringequals", "aws:sourceaccount"),
        ("principalOrgID", "stringequals", "aws:principalorgid"),
        ("organizationId", "stringequals", "aws:principalorgid"),
    ] {
        if let Some(value) = request.scalar_of(member).filter(|value| !value.is_empty()) {
            statement.conditions.extend(Part::new(operator, key.to_owned(), vec![value.into_owned()]));
        }
    }
    if let Some(condition) = request.get("condition") {
        let text = |name| condition.scalar_of(name).unwrap_or_default().into_owned();
        let (operator, key) = (text("type").to_ascii_lowercase(), text("key").to_ascii_lowercase());
        statement.conditions.extend(Part::new(&operator, key, vec![text("value")]));
    }
    Some(Policy::single(statement))
}

/// `Publish` → `sns:publish`.
fn qualified(service: &str, action: &str) -> String {
    let action = action.to_ascii_lowercase();
    if action.contains(':') || action == "*" { action } else { format!("{service}:{action}") }
}

impl Peer {
    pub(crate) fn of(facts: &Facts<'_>) -> Peer {
        let (service, call) = (facts.service(), facts.call());
        let (request, response) = (facts.request(), facts.response());
        let of_request = |names: &[&str]| -> Vec<String> {
            let inner = request.and_then(|request| request.get(&format!("{call}Request"))).or(request);
            inner.map(|node| names.iter().flat_map(|name| node.texts_of(name)).collect()).unwrap_or_default()
        };
        let mut accounts = match (service.as_str(), call.as_str()) {
            ("ec2", "CreateVpcPeeringConnection" | "AcceptVpcPeeringConnection") => {
                let mut accounts = of_request(&["peerOwnerId"]);
                let connection = response.and_then(|response| response.get("vpcPeeringConnection"));
                let sides = ["accepterVpcInfo", "requesterVpcInfo"];
                accounts.extend(
                    sides
                        .iter()
                        .filter_map(|side| connection?.at(&[side, "ownerId"])?.scalar().map(|id| id.into_owned())),
                );
                accounts
            }
            ("ec2", "CreateTransitGatewayPeeringAttachment") => of_request(&["PeerAccountId"]),
            ("ec2", "AcceptTransitGatewayPeeringAttachment" | "AcceptTransitGatewayVpcAttachment") => {
                let mut accounts = Vec::new();
                let mut visit = |key: Cow<'_, str>, value: Node<'_>| {
                    if key.eq_ignore_ascii_case("ownerId") || key.eq_ignore_ascii_case("vpcOwnerId") {
                        accounts.extend(value.scalar().map(|id| id.into_owned()));
                    }
                };
                if let Some(response) = response {
                    response.walk(6, &mut visit);
                }
                accounts
            }
            ("directconnect", call) if call.starts_with("Create") && call.ends_with("AssociationProposal") => {
                of_request(&["directConnectGatewayOwnerAccount"])
            }
            ("route53domains", "TransferDomainToAnotherAwsAccount") => of_request(&["accountId"]),
            _ => Vec::new(),
        };
        let own = facts.event.account_id();
        let named = !accounts.is_empty();
        accounts.retain(|account| is_account_id(account) && own.as_deref() != Some(account));
        accounts.sort();
        accounts.dedup();
        let outside = named.then(|| accounts.iter().any(|account| facts.is_outside(account)));
        Peer { accounts, outside }
    }
}
