//! The one table of facts: names, types, meanings, examples, and how each is read. `dial rules fields` prints it, and
//! docs/FACTS.md is generated from it.

use crate::addresses::Part;

use super::Facts;
use super::value::Value;

/// What a fact's values are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FactType {
    /// `true` or `false`.
    Flag,
    /// A string.
    Text,
    /// An integer.
    Integer,
    /// A number with a fraction.
    Number,
    /// Strings; an item of a rule that names one of them matches.
    Texts,
}

impl FactType {
    /// The word for it in tables.
    pub fn as_str(self) -> &'static str {
        match self {
            FactType::Flag => "flag",
            FactType::Text => "text",
            FactType::Integer => "integer",
            FactType::Number => "number",
            FactType::Texts => "list of texts",
        }
    }
}

/// One fact: a field under `dial.` that rules may name.
#[derive(Debug, Clone, Copy)]
pub struct Fact {
    /// The field's name, such as `dial.policy.admin`.
    pub name: &'static str,
    /// The type of its values.
    pub kind: FactType,
    /// What it says, in one line.
    pub about: &'static str,
    /// When it is there at all, in one line: an event that has nothing to judge lacks the field.
    pub present: &'static str,
    /// A value that it may have, as JSON.
    pub example: &'static str,
    pub(super) read: for<'f> fn(&'f Facts<'_>) -> Option<Value<'f>>,
}

/// Every fact, sorted by name.
pub fn all() -> &'static [Fact] {
    FACTS
}

/// The fact of this name.
pub fn find(name: &str) -> Option<&'static Fact> {
    FACTS.binary_search_by(|fact| fact.name.cmp(name)).ok().map(|at| &FACTS[at])
}

/// The known name that looks most like this one.
pub fn nearest(name: &str) -> &'static str {
    let by_distance = FACTS.iter().min_by_key(|fact| distance(fact.name, name));
    by_distance.map_or("dial.actor", |fact| fact.name)
}

/// Levenshtein's distance: how many characters to insert, delete or replace.
pub(crate) fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().take(200).collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, to) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(from != *to);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

const ACCOUNT: &str = "the table of accounts says so of the event's account";
const ANY: &str = "every event that names a caller";
const CLOUDTRAIL: &str = "CloudTrail events";
const DOCUMENT: &str = "the call carries a policy document";
const IDENTITY: &str = "a document grants rights to who holds it, or a managed policy is attached";
const RESOURCE: &str = "a document has principals: of a resource, or a role's trust";
const ACL: &str = "the call sets an access control list of S3";
const GROUP: &str = "the call changes rules of a security group";
const SHARE: &str = "the call can share something with other accounts or the public";
const IAM_USER: &str = "calls of IAM about a user's keys, password, MFA devices, groups or policies";
const INSTANCE: &str = "RunInstances and other calls that choose instance types";

const FACTS: &[Fact] = &[
    Fact {
        name: "dial.account.critical",
        kind: FactType::Flag,
        about: "the account is listed among the critical accounts, by its id, name, environment or path of organizational units",
        present: "the tables list critical accounts",
        example: "true",
        read: |facts| facts.home().critical.map(Value::Flag),
    },
    Fact {
        name: "dial.account.environment",
        kind: FactType::Text,
        about: "what the account is for",
        present: ACCOUNT,
        example: r#""production""#,
        read: |facts| facts.home().account.environment.as_deref().map(Value::text),
    },
    Fact {
        name: "dial.account.name",
        kind: FactType::Text,
        about: "the account's name",
        present: ACCOUNT,
        example: r#""payments""#,
        read: |facts| facts.home().account.name.as_deref().map(Value::text),
    },
    Fact {
        name: "dial.account.ou",
        kind: FactType::Text,
        about: "the path of organizational units that the account lies in, from the root",
        present: ACCOUNT,
        example: r#""/Workloads/Production""#,
        read: |facts| facts.home().account.ou.as_deref().map(Value::text),
    },
    Fact {
        name: "dial.account.tags",
        kind: FactType::Texts,
        about: "the account's tags, each as key=value",
        present: ACCOUNT,
        example: r#"["team=payments"]"#,
        read: |facts| Value::texts(&facts.home().tags),
    },
    Fact {
        name: "dial.acl.grants",
        kind: FactType::Texts,
        about: "who is granted what: AllUsers, AuthenticatedUsers, LogDelivery, email:…, id:…, owner, then the permission",
        present: ACL,
        example: r#"["AllUsers READ"]"#,
        read: |facts| Value::texts(&facts.acl()?.grants),
    },
    Fact {
        name: "dial.acl.public",
        kind: FactType::Flag,
        about: "the list grants something to everybody (AllUsers) or to everybody with an AWS account (AuthenticatedUsers)",
        present: ACL,
        example: "true",
        read: |facts| Some(Value::Flag(facts.acl()?.public)),
    },
    Fact {
        name: "dial.acl.public_write",
        kind: FactType::Flag,
        about: "the public may write objects, or the list itself",
        present: ACL,
        example: "false",
        read: |facts| Some(Value::Flag(facts.acl()?.public_write)),
    },
    Fact {
        name: "dial.actor",
        kind: FactType::Text,
        about: "who made the call, as a person would say it: a user's name, a role and its session, root, a service",
        present: ANY,
        example: r#""role Admin as alice@example.com""#,
        read: |facts| facts.caller().actor.as_deref().map(Value::text),
    },
    Fact {
        name: "dial.caller.account",
        kind: FactType::Text,
        about: "the account that the caller belongs to",
        present: ANY,
        example: r#""111122223333""#,
        read: |facts| facts.caller().account.as_deref().map(Value::text),
    },
    Fact {
        name: "dial.caller.aws_service",
        kind: FactType::Flag,
        about: "an AWS service acts for itself: by its own identity, or by its service-linked role",
        present: CLOUDTRAIL,
        example: "false",
        read: |facts| facts.caller().aws_service.map(Value::Flag),
    },
    Fact {
        name: "dial.caller.kind",
        kind: FactType::Text,
        about: "root, user, role, federated, service, account (another one's, or anonymous) or unknown",
        present: CLOUDTRAIL,
        example: r#""role""#,
        read: |facts| facts.caller().kind.map(Value::text),
    },
    Fact {
        name: "dial.caller.outside",
        kind: FactType::Flag,
        about: "the caller's account is neither the event's own nor listed as own or known",
        present: "the caller's account is known",
        example: "true",
        read: |facts| facts.caller().outside.map(Value::Flag),
    },
    Fact {
        name: "dial.caller.person",
        kind: FactType::Flag,
        about: "a person made the call: a user, root, somebody from elsewhere, anybody in the console, through Identity Center or the organisation's administrator role, or in a session named after an address of mail",
        present: CLOUDTRAIL,
        example: "true",
        read: |facts| facts.caller().person.map(Value::Flag),
    },
    Fact {
        name: "dial.caller.role",
        kind: FactType::Text,
        about: "the name of the role that the caller assumed",
        present: "the caller assumed a role",
        example: r#""Admin""#,
        read: |facts| facts.caller().role.as_deref().map(Value::text),
    },
    Fact {
        name: "dial.caller.session",
        kind: FactType::Text,
        about: "the name of the caller's session in that role",
        present: "the caller assumed a role",
        example: r#""alice@example.com""#,
        read: |facts| facts.caller().session.as_deref().map(Value::text),
    },
    Fact {
        name: "dial.db.public",
        kind: FactType::Flag,
        about: "a database, cluster or replication instance gets an address on the internet",
        present: "the call says whether it does: RDS, Redshift, DMS, DocumentDB, Neptune",
        example: "true",
        read: |facts| facts.database_public().map(Value::Flag),
    },
    Fact {
        name: "dial.escalation",
        kind: FactType::Texts,
        about: "ways in which this very call raises somebody's rights (listed below)",
        present: "it does in at least one way",
        example: r#"["access-key-for-other"]"#,
        read: |facts| Value::texts(facts.escalation()),
    },
    Fact {
        name: "dial.iam.admin_group",
        kind: FactType::Flag,
        about: "the group of the call is listed among the admin groups (names with \"admin\" unless told otherwise)",
        present: "calls of IAM that name a group",
        example: "true",
        read: |facts| facts.iam().admin_group.map(Value::Flag),
    },
    Fact {
        name: "dial.iam.other_user",
        kind: FactType::Flag,
        about: "the call is about another user than the caller",
        present: IAM_USER,
        example: "true",
        read: |facts| facts.iam().other_user.map(Value::Flag),
    },
    Fact {
        name: "dial.iam.self_grant",
        kind: FactType::Flag,
        about: "the caller adds a policy or group to its own user or role",
        present: "calls of IAM that add a policy or group to a user or role",
        example: "true",
        read: |facts| facts.iam().self_grant.map(Value::Flag),
    },
    Fact {
        name: "dial.instance.count",
        kind: FactType::Integer,
        about: "how many instances the call starts (at most), stops, reboots or terminates",
        present: "RunInstances, StartInstances, StopInstances, RebootInstances, TerminateInstances",
        example: "12",
        read: |facts| facts.instance().count.map(Value::Integer),
    },
    Fact {
        name: "dial.instance.types",
        kind: FactType::Texts,
        about: "the instance types that the call chooses",
        present: INSTANCE,
        example: r#"["p4d.24xlarge"]"#,
        read: |facts| Value::texts(&facts.instance().types),
    },
    Fact {
        name: "dial.instance.unusual",
        kind: FactType::Flag,
        about: "one of them is listed as unusual (families p, g, x, u unless told otherwise) and not as allowed",
        present: INSTANCE,
        example: "true",
        read: |facts| facts.instance().unusual.map(Value::Flag),
    },
    Fact {
        name: "dial.ip.asn",
        kind: FactType::Integer,
        about: "the number of the address's autonomous system",
        present: "a database of them is in force and has the address",
        example: "64496",
        read: |facts| facts.place_with(Part::Asn)?.address.asn.map(|asn| Value::Integer(asn.into())),
    },
    Fact {
        name: "dial.ip.aws",
        kind: FactType::Flag,
        about: "the address is in one of the ranges that AWS publishes",
        present: "AWS's ranges are in force and the address is public",
        example: "false",
        read: |facts| facts.place_with(Part::Aws)?.aws.map(Value::Flag),
    },
    Fact {
        name: "dial.ip.aws_region",
        kind: FactType::Text,
        about: "the region of that range",
        present: "dial.ip.aws is true",
        example: r#""eu-west-1""#,
        read: |facts| facts.place_with(Part::Aws)?.address.aws_region.as_deref().map(Value::text),
    },
    Fact {
        name: "dial.ip.aws_service",
        kind: FactType::Text,
        about: "the most specific service of that range",
        present: "dial.ip.aws is true",
        example: r#""EC2""#,
        read: |facts| facts.place_with(Part::Aws)?.address.aws_service.as_deref().map(Value::text),
    },
    Fact {
        name: "dial.ip.city",
        kind: FactType::Text,
        about: "the address's city, in English",
        present: "a database of cities is in force and has the address",
        example: r#""Berlin""#,
        read: |facts| facts.place_with(Part::City)?.address.city.as_deref().map(Value::text),
    },
    Fact {
        name: "dial.ip.country",
        kind: FactType::Text,
        about: "the address's country, as ISO 3166-1 has it",
        present: "the address is public, and the built-in table or the database in force has it",
        example: r#""DE""#,
        read: |facts| facts.place()?.address.country.as_deref().map(Value::text),
    },
    Fact {
        name: "dial.ip.kind",
        kind: FactType::Text,
        about: "what stands in the address field: public, private, documentation, reserved, service or malformed",
        present: "the event has an address field",
        example: r#""public""#,
        read: |facts| Some(Value::text(facts.place()?.kind())),
    },
    Fact {
        name: "dial.ip.known_place",
        kind: FactType::Flag,
        about: "the address is in a known country, a known network or on a list of known places",
        present: "the tables name such places, and the address is public or on such a list",
        example: "false",
        read: |facts| facts.known_place().map(Value::Flag),
    },
    Fact {
        name: "dial.ip.lists",
        kind: FactType::Texts,
        about: "the organisation's own lists that hold the address at the event's time",
        present: "there is one",
        example: r#"["offices"]"#,
        read: |facts| Value::texts(&facts.place()?.address.lists),
    },
    Fact {
        name: "dial.ip.network",
        kind: FactType::Text,
        about: "whose network the address is in: the autonomous system's organisation",
        present: "a database of them is in force and has the address",
        example: r#""Example Hosting""#,
        read: |facts| facts.place_with(Part::Asn)?.address.network.as_deref().map(Value::text),
    },
    Fact {
        name: "dial.ip.tor",
        kind: FactType::Flag,
        about: "the address is an exit of the Tor network",
        present: "a list of exits is in force and the address is public",
        example: "true",
        read: |facts| facts.place_with(Part::Tor)?.address.tor_exit.map(Value::Flag),
    },
    Fact {
        name: "dial.outcome",
        kind: FactType::Text,
        about: "success, denied (for want of rights) or failed (for another reason, a failed sign-in included)",
        present: CLOUDTRAIL,
        example: r#""success""#,
        read: |facts| facts.outcome().map(Value::text),
    },
    Fact {
        name: "dial.passed_roles",
        kind: FactType::Texts,
        about: "roles and instance profiles that the call hands to a service, by name",
        present: "the call hands over at least one",
        example: r#"["app-role"]"#,
        read: |facts| Value::texts(facts.passed_roles()),
    },
    Fact {
        name: "dial.peer.accounts",
        kind: FactType::Texts,
        about: "the accounts on the other side of a network connection",
        present: "VPC peering, transit gateway and hosted zone calls that name the other side",
        example: r#"["444455556666"]"#,
        read: |facts| Value::texts(&facts.peer().accounts),
    },
    Fact {
        name: "dial.peer.outside",
        kind: FactType::Flag,
        about: "one of them is neither the event's own account nor listed as own or known",
        present: "dial.peer.accounts is",
        example: "true",
        read: |facts| facts.peer().outside.map(Value::Flag),
    },
    Fact {
        name: "dial.policy.accounts",
        kind: FactType::Texts,
        about: "accounts that a document with principals allows something",
        present: "there is one",
        example: r#"["444455556666"]"#,
        read: |facts| Value::texts(&facts.policy()?.accounts),
    },
    Fact {
        name: "dial.policy.admin",
        kind: FactType::Flag,
        about: "the holder may do everything, or may do everything in IAM and so become able to; AdministratorAccess attached",
        present: IDENTITY,
        example: "true",
        read: |facts| facts.policy()?.admin.map(Value::Flag),
    },
    Fact {
        name: "dial.policy.attached",
        kind: FactType::Text,
        about: "the name of the managed policy that the call attaches",
        present: "the call attaches one",
        example: r#""AdministratorAccess""#,
        read: |facts| facts.policy()?.attached.as_deref().map(Value::text),
    },
    Fact {
        name: "dial.policy.duplicate_keys",
        kind: FactType::Flag,
        about: "an object of the document has one key twice; the verdicts then take the worse of both",
        present: DOCUMENT,
        example: "false",
        read: |facts| facts.policy()?.document.map(|document| Value::Flag(document.duplicate_keys)),
    },
    Fact {
        name: "dial.policy.escalation",
        kind: FactType::Texts,
        about: "known paths by which the holder of the document can raise its own rights (listed below)",
        present: "there is at least one",
        example: r#"["PassRole+RunInstances"]"#,
        read: |facts| Value::texts(&facts.policy()?.escalation),
    },
    Fact {
        name: "dial.policy.full_access",
        kind: FactType::Texts,
        about: "services all of whose actions the document allows on everything, as IAM prefixes; * for all services",
        present: "there is at least one",
        example: r#"["iam", "s3"]"#,
        read: |facts| Value::texts(&facts.policy()?.full_access),
    },
    Fact {
        name: "dial.policy.kinds",
        kind: FactType::Texts,
        about: "what the documents are: identity, session, trust or resource",
        present: DOCUMENT,
        example: r#"["trust"]"#,
        read: |facts| Value::texts(&facts.policy()?.kinds),
    },
    Fact {
        name: "dial.policy.open_federation",
        kind: FactType::Flag,
        about: "a trust admits anybody who has an account with a shared identity provider, such as any repository of GitHub",
        present: RESOURCE,
        example: "true",
        read: |facts| facts.policy()?.open_federation.map(Value::Flag),
    },
    Fact {
        name: "dial.policy.outside",
        kind: FactType::Flag,
        about: "it allows everybody, or an account that is neither the event's own nor listed as own or known",
        present: RESOURCE,
        example: "true",
        read: |facts| facts.policy()?.outside.map(Value::Flag),
    },
    Fact {
        name: "dial.policy.outside_accounts",
        kind: FactType::Texts,
        about: "those of dial.policy.accounts that are neither the event's own nor listed as own or known",
        present: "there is one",
        example: r#"["444455556666"]"#,
        read: |facts| Value::texts(&facts.policy()?.outside_accounts),
    },
    Fact {
        name: "dial.policy.principals",
        kind: FactType::Texts,
        about: "whom a document allows something: *, account ids, ARNs, service:…, federated:…, canonical:…",
        present: RESOURCE,
        example: r#"["service:lambda.amazonaws.com", "444455556666"]"#,
        read: |facts| Value::texts(&facts.policy()?.principals),
    },
    Fact {
        name: "dial.policy.public",
        kind: FactType::Flag,
        about: "it allows everybody something, and no condition or denial keeps strangers out",
        present: RESOURCE,
        example: "true",
        read: |facts| facts.policy()?.public.map(Value::Flag),
    },
    Fact {
        name: "dial.policy.public_actions",
        kind: FactType::Texts,
        about: "the actions that are open to everybody, in lower case; !x where the document says NotAction x",
        present: "dial.policy.public is true",
        example: r#"["s3:GetObject"]"#,
        read: |facts| Value::texts(&facts.policy()?.public_actions),
    },
    Fact {
        name: "dial.policy.too_large",
        kind: FactType::Flag,
        about: "the document exceeds what is judged (1 MiB, 5,000 patterns, patterns of 2,048 characters); the verdicts are of its beginning, or missing",
        present: DOCUMENT,
        example: "false",
        read: |facts| facts.policy()?.document.map(|document| Value::Flag(document.too_large)),
    },
    Fact {
        name: "dial.policy.unreadable",
        kind: FactType::Flag,
        about: "the document or a part of it is no IAM policy, and could not be judged",
        present: DOCUMENT,
        example: "false",
        read: |facts| facts.policy()?.document.map(|document| Value::Flag(document.unreadable)),
    },
    Fact {
        name: "dial.public_block.lifted",
        kind: FactType::Flag,
        about: "the call takes away at least one part of the block on public access",
        present: "calls that set or delete the public access block of a bucket, an account, snapshots or images",
        example: "true",
        read: |facts| facts.public_block_lifted().map(Value::Flag),
    },
    Fact {
        name: "dial.region.unused",
        kind: FactType::Flag,
        about: "the event's region is not among those that the organisation uses; services without regions, such as IAM, have none",
        present: "CloudTrail events, if the tables list the regions in use",
        example: "true",
        read: |facts| facts.home().unused_region.map(Value::Flag),
    },
    Fact {
        name: "dial.route.to_internet",
        kind: FactType::Flag,
        about: "the route leads the world (0.0.0.0/0, ::/0, or a large part) to an internet gateway",
        present: "CreateRoute, ReplaceRoute",
        example: "true",
        read: |facts| facts.route_to_internet().map(Value::Flag),
    },
    Fact {
        name: "dial.session.console",
        kind: FactType::Flag,
        about: "the call was made in the AWS console",
        present: CLOUDTRAIL,
        example: "true",
        read: |facts| facts.caller().console.map(Value::Flag),
    },
    Fact {
        name: "dial.session.federated",
        kind: FactType::Flag,
        about: "the person or workload signed in with another identity provider: Identity Center, SAML, OIDC",
        present: "people and roles; services have none",
        example: "true",
        read: |facts| facts.caller().federated.map(Value::Flag),
    },
    Fact {
        name: "dial.session.mfa",
        kind: FactType::Flag,
        about: "AWS saw a second factor at sign-in; false for access keys, and for federation, whose second factor AWS does not see",
        present: "people and roles; services have none",
        example: "false",
        read: |facts| facts.caller().mfa.map(Value::Flag),
    },
    Fact {
        name: "dial.sg.all_ports",
        kind: FactType::Flag,
        about: "all ports of TCP, of UDP or of every protocol are open to the world",
        present: GROUP,
        example: "false",
        read: |facts| Some(Value::Flag(facts.security_group()?.all_ports)),
    },
    Fact {
        name: "dial.sg.cidrs",
        kind: FactType::Texts,
        about: "the address ranges of the rules",
        present: "a rule has one",
        example: r#"["0.0.0.0/0", "::/0"]"#,
        read: |facts| Value::texts(&facts.security_group()?.cidrs),
    },
    Fact {
        name: "dial.sg.direction",
        kind: FactType::Text,
        about: "ingress, egress, or both",
        present: "the call says so; ModifySecurityGroupRules does not",
        example: r#""ingress""#,
        read: |facts| facts.security_group()?.direction.map(Value::text),
    },
    Fact {
        name: "dial.sg.ipv4_share",
        kind: FactType::Number,
        about: "the part of the public IPv4 addresses that all ranges have together, from 0 to 1",
        present: GROUP,
        example: "0.52",
        read: |facts| Some(Value::Number(facts.security_group()?.share.v4)),
    },
    Fact {
        name: "dial.sg.ipv6_share",
        kind: FactType::Number,
        about: "the part of the public IPv6 addresses (2000::/3) that all ranges have together, from 0 to 1",
        present: GROUP,
        example: "1.0",
        read: |facts| Some(Value::Number(facts.security_group()?.share.v6)),
    },
    Fact {
        name: "dial.sg.open_to_world",
        kind: FactType::Flag,
        about: "the ranges of one protocol and port have 1 % of IPv4's internet together, or a /16 of IPv6's",
        present: GROUP,
        example: "true",
        read: |facts| Some(Value::Flag(facts.security_group()?.open_to_world)),
    },
    Fact {
        name: "dial.sg.prefix_lists",
        kind: FactType::Texts,
        about: "prefix lists that rules name; what is in them, the event does not say",
        present: "a rule names one",
        example: r#"["pl-0123456789abcdef0"]"#,
        read: |facts| Value::texts(&facts.security_group()?.prefix_lists),
    },
    Fact {
        name: "dial.sg.rules",
        kind: FactType::Texts,
        about: "the rules that the call adds, changes or removes: protocol/ports and range, list or group",
        present: "there is one",
        example: r#"["tcp/22 0.0.0.0/0"]"#,
        read: |facts| Value::texts(&facts.security_group()?.rules),
    },
    Fact {
        name: "dial.sg.sensitive_ports",
        kind: FactType::Texts,
        about: "ports of remote access, databases and management among those open to the world: 22, 3389, 5432, …",
        present: "there is one",
        example: r#"["22"]"#,
        read: |facts| Value::texts(&facts.security_group()?.sensitive_ports),
    },
    Fact {
        name: "dial.sg.world_ports",
        kind: FactType::Texts,
        about: "what is open to the world: tcp/22, udp/1000-2000, icmp, or all",
        present: "dial.sg.open_to_world is true",
        example: r#"["tcp/22"]"#,
        read: |facts| Value::texts(&facts.security_group()?.world_ports),
    },
    Fact {
        name: "dial.share.accounts",
        kind: FactType::Texts,
        about: "accounts (and organisations) that the call shares with",
        present: "there is one",
        example: r#"["444455556666"]"#,
        read: |facts| Value::texts(&facts.share()?.accounts),
    },
    Fact {
        name: "dial.share.outside",
        kind: FactType::Flag,
        about: "shared with everybody, or with an account that is neither the event's own nor listed as own or known",
        present: SHARE,
        example: "true",
        read: |facts| Some(Value::Flag(facts.share()?.outside)),
    },
    Fact {
        name: "dial.share.outside_accounts",
        kind: FactType::Texts,
        about: "those of dial.share.accounts that are neither the event's own nor listed as own or known",
        present: "there is one",
        example: r#"["444455556666"]"#,
        read: |facts| Value::texts(&facts.share()?.outside_accounts),
    },
    Fact {
        name: "dial.share.public",
        kind: FactType::Flag,
        about: "shared with everybody",
        present: SHARE,
        example: "true",
        read: |facts| Some(Value::Flag(facts.share()?.public)),
    },
    Fact {
        name: "dial.share.what",
        kind: FactType::Text,
        about: "what is shared: image, EBS snapshot, database snapshot, S3 access list, resource policy, KMS grant, …",
        present: SHARE,
        example: r#""EBS snapshot""#,
        read: |facts| Some(Value::text(facts.share()?.what)),
    },
    Fact {
        name: "dial.target.critical",
        kind: FactType::Flag,
        about: "one of dial.target.names is listed among the critical names",
        present: "the call names something",
        example: "true",
        read: |facts| facts.target().critical.map(Value::Flag),
    },
    Fact {
        name: "dial.target.names",
        kind: FactType::Texts,
        about: "what the call is about: names of secrets, parameters, roles, users, groups, buckets, keys, … without their ARNs",
        present: "the call names something",
        example: r#"["prod/db-password"]"#,
        read: |facts| Value::texts(&facts.target().names),
    },
];
