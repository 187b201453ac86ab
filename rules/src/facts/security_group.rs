//! Changes to the rules of security groups, in every shape that CloudTrail shows, as (protocol, ports, range).

use super::Facts;
use super::cidr::{self, Share};
use super::node::Node;

/// Ports that should never face the internet, with what usually listens there: remote access, databases, caches, management.
const SENSITIVE_PORTS: &[u16] = &[
    20, 21, 22, 23, 111, 135, 137, 138, 139, 161, 389, 445, 512, 513, 514, 623, 636, 873, 1433, 1434, 1521, 2049, 2181,
    2375, 2376, 2379, 2380, 3128, 3268, 3269, 3306, 3389, 4333, 5432, 5439, 5500, 5601, 5671, 5672, 5800, 5900, 5984,
    5985, 5986, 6379, 6443, 7000, 7001, 7199, 7474, 7687, 8020, 8086, 8088, 8888, 9000, 9042, 9092, 9160, 9200, 9300,
    10250, 11211, 15672, 27017, 27018, 27019, 50070,
];

/// How many rules are looked at.
const MOST_RULES: usize = 2_000;

/// A protocol and the ports that a rule is about.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Ports {
    /// In lower case, by name where it has one: `tcp`, `udp`, `icmp`, `icmpv6`, `all`, or a number.
    protocol: String,
    /// First and last port; `None` for protocols without, and for all ports.
    range: Option<(u16, u16)>,
}

/// What a rule lets in or out.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Peer {
    Cidr(String),
    PrefixList(String),
    Group(String),
}

/// The rules of a call, and how much of the internet they open.
#[derive(Debug, Default)]
pub(crate) struct SecurityGroup {
    pub(crate) direction: Option<&'static str>,
    pub(crate) rules: Vec<String>,
    pub(crate) cidrs: Vec<String>,
    pub(crate) prefix_lists: Vec<String>,
    pub(crate) share: Share,
    pub(crate) open_to_world: bool,
    pub(crate) world_ports: Vec<String>,
    pub(crate) sensitive_ports: Vec<String>,
    pub(crate) all_ports: bool,
}

impl SecurityGroup {
    /// `None` for a call that is not about rules of security groups.
    pub(crate) fn of(facts: &Facts<'_>) -> Option<SecurityGroup> {
        let (service, call) = (facts.service(), facts.call());
        let (request, response) = (facts.request(), facts.response());
        let direction = match (service.as_str(), call.as_str()) {
            ("ec2", "AuthorizeSecurityGroupIngress" | "RevokeSecurityGroupIngress") => Some("ingress"),
            ("ec2", "AuthorizeSecurityGroupEgress" | "RevokeSecurityGroupEgress") => Some("egress"),
            ("ec2", "ModifySecurityGroupRules") => None,
            ("rds" | "redshift" | "elasticache", call)
                if call.starts_with("Authorize") && call.ends_with("SecurityGroupIngress") =>
            {
                Some("ingress")
            }
            _ => return None,
        };
        let mut rules = request.map(of_request).unwrap_or_default();
        if rules.is_empty() {
            // Of a call by ids or by another group's rules, only the answer says what it was about.
            let answered = response.map(|response| response.list_of("securityGroupRuleSet")).unwrap_or_default();
            rules = answered.into_iter().take(MOST_RULES).flat_map(rule).collect();
        }
        rules.truncate(MOST_RULES);
        Some(SecurityGroup { direction, ..judge(rules) })
    }
}

/// The rules in a request: `ipPermissions` of the old shape, the same members at the top, or `SecurityGroupRule`s.
fn of_request(request: Node<'_>) -> Vec<(Ports, Peer)> {
    let mut rules: Vec<_> =
        request.list_of("ipPermissions").into_iter().take(MOST_RULES).flat_map(permission).collect();
    rules.extend(permission(request));
    let modified = request.get("ModifySecurityGroupRulesRequest").unwrap_or(request);
    for update in modified.list_of("SecurityGroupRule").into_iter().take(MOST_RULES) {
        rules.extend(rule(update.get("SecurityGroupRule").unwrap_or(update)));
    }
    rules
}

/// One permission: a protocol, its ports, and lists of ranges, prefix lists and groups.
fn permission(node: Node<'_>) -> Vec<(Ports, Peer)> {
    let lists = [
        ("ipRanges", &["cidrIp"][..]),
        ("ipv6Ranges", &["cidrIpv6"]),
        ("prefixListIds", &["prefixListId"]),
        ("groups", &["groupId", "groupName"]),
        ("userIdGroupPairs", &["groupId", "groupName"]),
    ];
    let mut peers = Vec::new();
    for (list, members) in lists {
        for entry in node.list_of(list).into_iter().take(MOST_RULES) {
            let text = members.iter().find_map(|member| entry.scalar_of(member)).or_else(|| entry.text());
            let Some(text) = text.map(|text| text.into_owned()) else { continue };
            peers.push(match list {
                "prefixListIds" => Peer::PrefixList(text),
                "groups" | "userIdGroupPairs" => Peer::Group(text),
                _ => Peer::Cidr(text),
            });
        }
    }
    // The oldest shape, and those of RDS, Redshift and ElastiCache: one range beside the ports.
    let direct = ["cidrIp", "cidrIpv6", "cIDRIP"].iter().filter_map(|member| node.scalar_of(member));
    peers.extend(direct.map(|text| Peer::Cidr(text.into_owned())));
    peers.dedup();
    let ports = ports(node);
    peers.into_iter().map(|peer| (ports.clone(), peer)).collect()
}

/// One rule of the newer shape: a protocol, its ports, and one range, prefix list or group.
fn rule(node: Node<'_>) -> Vec<(Ports, Peer)> {
    let text = |name| node.scalar_of(name).map(|text| text.into_owned()).filter(|text| !text.is_empty());
    let group =
        node.at(&["referencedGroupInfo"]).and_then(|group| group.scalar_of("groupId")).map(|id| id.into_owned());
    let peers = [
        text("cidrIpv4").or_else(|| text("cidrIp")).map(Peer::Cidr),
        text("cidrIpv6").map(Peer::Cidr),
        text("prefixListId").map(Peer::PrefixList),
        text("referencedGroupId").or(group).map(Peer::Group),
    ];
    let ports = ports(node);
    peers.into_iter().flatten().map(|peer| (ports.clone(), peer)).collect()
}

fn ports(node: Node<'_>) -> Ports {
    let protocol = node.scalar_of("ipProtocol").unwrap_or_default().trim().to_ascii_lowercase();
    let protocol = match protocol.as_str() {
        "-1" | "all" | "" => "all",
        "6" => "tcp",
        "17" => "udp",
        "1" => "icmp",
        "58" | "icmpv6" => "icmpv6",
        other => other,
    };
    let port = |name| node.int_of(name);
    let whole = |port: i64| u16::try_from(port).ok();
    let range = match (protocol, port("fromPort"), port("toPort")) {
        ("tcp" | "udp", Some(-1), _) | ("tcp" | "udp", _, Some(-1)) => None,
        ("tcp" | "udp", Some(from), Some(to)) => whole(from).zip(whole(to)),
        ("tcp" | "udp", Some(port), None) | ("tcp" | "udp", None, Some(port)) => whole(port).map(|port| (port, port)),
        _ => None,
    };
    Ports { protocol: protocol.to_owned(), range: range.filter(|range| *range != (0, u16::MAX)) }
}

impl Ports {
    fn shown(&self) -> String {
        match self.range {
            Some((from, to)) if from == to => format!("{}/{from}", self.protocol),
            Some((from, to)) => format!("{}/{from}-{to}", self.protocol),
            None => self.protocol.clone(),
        }
    }

    fn has_ports(&self) -> bool {
        matches!(self.protocol.as_str(), "tcp" | "udp" | "all")
    }

    /// Whether a connection to `port` of `protocol` is within.
    fn contains(&self, protocol: &str, port: u16) -> bool {
        let same = self.protocol == "all" || self.protocol == protocol;
        same && self.range.is_none_or(|(from, to)| (from..=to).contains(&port))
    }
}

fn judge(rules: Vec<(Ports, Peer)>) -> SecurityGroup {
    let mut group = SecurityGroup::default();
    let mut ranges = Vec::new();
    for (ports, peer) in &rules {
        let (Peer::Cidr(text) | Peer::PrefixList(text) | Peer::Group(text)) = peer;
        group.rules.push(format!("{} {text}", ports.shown()));
        match peer {
            Peer::Cidr(text) => {
                group.cidrs.push(text.clone());
                ranges.extend(cidr::parse(text).map(|range| (ports, range)));
            }
            Peer::PrefixList(text) => group.prefix_lists.push(text.clone()),
            Peer::Group(_) => {}
        }
    }
    group.share = Share::of(ranges.iter().map(|(_, range)| *range));
    // Ranges add up where one rule's ports hold another's: 0.0.0.0/1 for all ports and 128.0.0.0/1 for port 22 open
    // port 22 to the world.
    let mut distinct: Vec<&Ports> = ranges.iter().map(|(ports, _)| *ports).collect();
    distinct.sort();
    distinct.dedup();
    let open: Vec<&Ports> =
        distinct.into_iter().take(MOST_DISTINCT).filter(|ports| Share::of(within(&ranges, ports)).is_world()).collect();
    group.open_to_world = !open.is_empty();
    group.world_ports = open.iter().map(|ports| ports.shown()).collect();
    group.all_ports = open.iter().any(|ports| ports.has_ports() && ports.range.is_none());
    let sensitive = SENSITIVE_PORTS
        .iter()
        .filter(|port| open.iter().any(|ports| ports.contains("tcp", **port) || ports.contains("udp", **port)));
    group.sensitive_ports = sensitive.map(ToString::to_string).collect();
    group.cidrs.sort();
    group.cidrs.dedup();
    group
}

/// How many different ports are held against all rules: a group has at most 1,000 rules, mostly 60.
const MOST_DISTINCT: usize = 300;

/// The ranges of all rules that are open on these ports.
fn within(ranges: &[(&Ports, cidr::Range)], ports: &Ports) -> Vec<cidr::Range> {
    let holds = |other: &Ports| {
        (other.protocol == "all" || other.protocol == ports.protocol)
            && match (other.range, ports.range) {
                (None, _) => true,
                (Some(_), None) => false,
                (Some((from, to)), Some((first, last))) => from <= first && last <= to,
            }
    };
    ranges.iter().filter(|(other, _)| holds(other)).map(|(_, range)| *range).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn judged(request: &Value) -> SecurityGroup {
        let bytes = serde_json::to_vec(request).unwrap();
        judge(of_request(Node(&bytes)))
    }

    #[test]
    fn halves_of_the_world_add_up_over_overlapping_ports() {
        let range = |protocol: &str, from: i64, to: i64, cidr: &str| json!({"ipProtocol": protocol, "fromPort": from, "toPort": to, "ipRanges": {"items": [{"cidrIp": cidr}]}});
        // Each range is half a hundredth of the internet: it takes three.
        let split = json!({"ipPermissions": {"items": [
            range("tcp", 0, 65535, "3.0.0.0/8"), range("tcp", 22, 22, "4.0.0.0/8"), range("-1", -1, -1, "5.0.0.0/8")]}});
        let group = judged(&split);
        assert!(group.open_to_world);
        assert_eq!((group.world_ports, group.all_ports), (vec!["tcp/22".to_owned()], false));
        let apart = json!({"ipPermissions": {"items": [
            range("tcp", 22, 22, "3.0.0.0/8"), range("tcp", 23, 23, "4.0.0.0/8"), range("udp", 22, 22, "5.0.0.0/8"),
            range("udp", 22, 22, "6.0.0.0/8")]}});
        assert!(!judged(&apart).open_to_world);
    }
}
