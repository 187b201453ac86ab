//! What stands in an event's address field.
//!
//! From the CloudTrail User Guide, "CloudTrail record contents" (`sourceIPAddress`): an address, for services of AWS their
//! DNS name, and `AWS Internal` or `AWS Internal/#` for what AWS does itself. Kinds of addresses are those of IANA's
//! special-purpose registries (RFC 6890) and of the registries of multicast and of the IPv6 address space.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::context::AddressKind;

/// Longer fields are no address and no service's name: a DNS name has at most 253 characters, and a list of proxies few
/// addresses.
const LONGEST: usize = 512;

/// Special IPv4 networks: first address, length, kind. The longest prefix counts, so wider ones stand behind.
const V4: &[(Ipv4Addr, u32, AddressKind)] = &[
    (Ipv4Addr::new(192, 0, 0, 0), 24, AddressKind::Reserved),
    (Ipv4Addr::new(192, 0, 2, 0), 24, AddressKind::Documentation),
    (Ipv4Addr::new(192, 88, 99, 0), 24, AddressKind::Reserved),
    (Ipv4Addr::new(198, 51, 100, 0), 24, AddressKind::Documentation),
    (Ipv4Addr::new(203, 0, 113, 0), 24, AddressKind::Documentation),
    (Ipv4Addr::new(169, 254, 0, 0), 16, AddressKind::Private),
    (Ipv4Addr::new(192, 168, 0, 0), 16, AddressKind::Private),
    (Ipv4Addr::new(198, 18, 0, 0), 15, AddressKind::Reserved),
    (Ipv4Addr::new(172, 16, 0, 0), 12, AddressKind::Private),
    (Ipv4Addr::new(100, 64, 0, 0), 10, AddressKind::Private),
    (Ipv4Addr::new(0, 0, 0, 0), 8, AddressKind::Reserved),
    (Ipv4Addr::new(10, 0, 0, 0), 8, AddressKind::Private),
    (Ipv4Addr::new(127, 0, 0, 0), 8, AddressKind::Private),
    (Ipv4Addr::new(224, 0, 0, 0), 3, AddressKind::Reserved),
];

/// Special IPv6 networks, in the same way. Only 2000::/3 and the well-known NAT64 prefix are on the internet.
const V6: &[(u128, u32, AddressKind)] = &[
    (1, 128, AddressKind::Private),
    (0x0064_ff9b << 96, 96, AddressKind::Public),
    (0x0064_ff9b_0001 << 80, 48, AddressKind::Private),
    (0x2001_0db8 << 96, 32, AddressKind::Documentation),
    (0x2001_0000 << 96, 23, AddressKind::Reserved),
    (0x3fff << 112, 20, AddressKind::Documentation),
    (0xfe80 << 112, 10, AddressKind::Private),
    (0xfec0 << 112, 10, AddressKind::Private),
    (0xfc00 << 112, 7, AddressKind::Private),
    (0x2000 << 112, 3, AddressKind::Public),
];

/// Ends of the names of AWS's services.
const SERVICES: &[&str] = &[".amazonaws.com", ".amazonaws.com.cn", ".aws.amazon.com", ".aws.internal"];

/// What the field is, and the address in it, if it is one. IPv4-mapped IPv6 addresses (RFC 4291, 2.5.5.2) are the IPv4
/// addresses that they map; ports and zones are left out.
///
/// CloudTrail documents no lists, but where a service takes `X-Forwarded-For` for the address there are some. Every proxy
/// writes behind what it was told, so the last address that is not private is what was seen; those before it are claims.
pub fn classify(field: &str) -> (AddressKind, Option<IpAddr>) {
    let field = field.trim();
    if field.len() > LONGEST {
        return (AddressKind::Malformed, None);
    }
    if let Some(address) = address(field) {
        return (of_address(address), Some(address));
    }
    if field.contains(',') {
        return of_list(field);
    }
    (if is_service(field) { AddressKind::Service } else { AddressKind::Malformed }, None)
}

fn of_list(field: &str) -> (AddressKind, Option<IpAddr>) {
    let Some(all) = field.split(',').map(|part| address(part.trim())).collect::<Option<Vec<IpAddr>>>() else {
        return (AddressKind::Malformed, None);
    };
    let seen = all.iter().rev().find(|address| of_address(**address) != AddressKind::Private).or(all.last());
    seen.map_or((AddressKind::Malformed, None), |address| (of_address(*address), Some(*address)))
}

/// An address, alone, in brackets, with a zone (RFC 4007) or with a port.
fn address(text: &str) -> Option<IpAddr> {
    if let Ok(address) = text.parse::<IpAddr>() {
        return Some(address.to_canonical());
    }
    let is_port = |port: &str| port.bytes().all(|byte| byte.is_ascii_digit()) && port.parse::<u16>().is_ok();
    if let Some(rest) = text.strip_prefix('[') {
        let (inside, behind) = rest.split_once(']')?;
        let is_fine = behind.is_empty() || behind.strip_prefix(':').is_some_and(is_port);
        return is_fine.then(|| zoned(inside)).flatten();
    }
    if let Some((address, port)) = text.split_once(':')
        && let Ok(address) = address.parse::<Ipv4Addr>()
    {
        return is_port(port).then_some(address.into());
    }
    zoned(text)
}

fn zoned(text: &str) -> Option<IpAddr> {
    let (address, zone) = text.split_once('%').map_or((text, None), |(address, zone)| (address, Some(zone)));
    let is_zone = |zone: &str| {
        !zone.is_empty() && zone.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
    };
    let address: Ipv6Addr = address.parse().ok()?;
    zone.is_none_or(is_zone).then_some(IpAddr::V6(address).to_canonical())
}

/// What the registries say of an address.
pub(crate) fn of_address(address: IpAddr) -> AddressKind {
    match address.to_canonical() {
        IpAddr::V4(four) => {
            let four = u32::from(four);
            let special = V4.iter().find(|(first, length, _)| (four ^ u32::from(*first)) >> (32 - length) == 0);
            special.map_or(AddressKind::Public, |(.., kind)| *kind)
        }
        IpAddr::V6(six) => {
            let six = u128::from(six);
            let special = V6.iter().find(|(first, length, _)| (six ^ first) >> (128 - length) == 0);
            special.map_or(AddressKind::Reserved, |(.., kind)| *kind)
        }
    }
}

/// Whether it names a service of AWS. The public name of somebody's instance does not.
fn is_service(text: &str) -> bool {
    let text = text.to_ascii_lowercase();
    if let Some(rest) = text.strip_prefix("aws internal") {
        let number = rest.strip_prefix('/').unwrap_or("0");
        return (rest.is_empty() || rest.starts_with('/'))
            && !number.is_empty()
            && number.bytes().all(|byte| byte.is_ascii_digit());
    }
    let Some(name) = SERVICES.iter().find_map(|end| text.strip_suffix(end)) else {
        return false;
    };
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
    };
    let labels = || name.split('.');
    labels().all(is_label) && !labels().any(|label| matches!(label, "compute" | "compute-1"))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_told_apart() {
        use AddressKind::*;
        let table: &[(&str, AddressKind, Option<&str>)] = &[
            ("8.8.8.8", Public, Some("8.8.8.8")),
            (" 8.8.8.8 ", Public, Some("8.8.8.8")),
            ("8.8.8.8:443", Public, Some("8.8.8.8")),
            ("::ffff:8.8.8.8", Public, Some("8.8.8.8")),
            ("[::ffff:8.8.8.8]:443", Public, Some("8.8.8.8")),
            ("::ffff:10.0.0.1", Private, Some("10.0.0.1")),
            ("2606:4700::1111", Public, Some("2606:4700::1111")),
            ("[2606:4700::1111]", Public, Some("2606:4700::1111")),
            ("[2606:4700::1111]:443", Public, Some("2606:4700::1111")),
            ("2606:4700:0000:0000:0000:0000:0000:1111", Public, Some("2606:4700::1111")),
            ("fe80::1%eth0", Private, Some("fe80::1")),
            ("[fe80::1%eth0]:80", Private, Some("fe80::1")),
            // Lists: the last one that is not private.
            ("8.8.8.8, 1.1.1.1", Public, Some("1.1.1.1")),
            ("8.8.8.8,10.0.0.1", Public, Some("8.8.8.8")),
            ("10.0.0.1, 10.0.0.2", Private, Some("10.0.0.2")),
            ("8.8.8.8, unknown", Malformed, None),
            ("8.8.8.8,", Malformed, None),
            (",", Malformed, None),
            // Services.
            ("cloudformation.amazonaws.com", Service, None),
            ("CloudFormation.AmazonAWS.com", Service, None),
            ("apidestinations.events.amazonaws.com", Service, None),
            ("ec2.cn-north-1.amazonaws.com.cn", Service, None),
            ("AWS Internal", Service, None),
            ("AWS Internal/3", Service, None),
            ("AWS Internal/", Malformed, None),
            ("AWS Internal/x", Malformed, None),
            ("AWS Internally", Malformed, None),
            ("amazonaws.com", Malformed, None),
            (".amazonaws.com", Malformed, None),
            ("<b>.amazonaws.com", Malformed, None),
            ("evil.com/.amazonaws.com", Malformed, None),
            ("amazonaws.com.example.com", Malformed, None),
            ("ec2-8-8-8-8.compute-1.amazonaws.com", Malformed, None),
            ("ec2-8-8-8-8.eu-west-1.compute.amazonaws.com", Malformed, None),
            // Neither.
            ("", Malformed, None),
            ("unknown", Malformed, None),
            ("-", Malformed, None),
            ("8.8.8", Malformed, None),
            ("8.8.8.8.8", Malformed, None),
            ("256.1.1.1", Malformed, None),
            ("08.8.8.8", Malformed, None),
            ("0x8.8.8.8", Malformed, None),
            ("8.8.8.8/32", Malformed, None),
            ("8.8.8.8:", Malformed, None),
            ("8.8.8.8:70000", Malformed, None),
            ("8.8.8.8:+80", Malformed, None),
            ("[8.8.8.8]:80", Malformed, None),
            ("[2606:4700::1111", Malformed, None),
            ("[2606:4700::1111]80", Malformed, None),
            ("fe80::1%", Malformed, None),
            ("fe80::1%<script>", Malformed, None),
            ("2606:4700:::1", Malformed, None),
        ];
        for (field, kind, address) in table {
            let address = address.map(|address| address.parse::<IpAddr>().unwrap());
            assert_eq!(classify(field), (*kind, address), "{field:?}");
        }
        assert_eq!(classify(&"8.8.8.8,".repeat(1000)).0, Malformed);
    }

    /// First and last address of each special network, and those next to it.
    #[test]
    fn registries_are_kept_to() {
        use AddressKind::*;
        let table: &[(&str, AddressKind)] = &[
            ("0.0.0.0", Reserved),
            ("0.255.255.255", Reserved),
            ("1.0.0.0", Public),
            ("9.255.255.255", Public),
            ("10.0.0.0", Private),
            ("10.255.255.255", Private),
            ("11.0.0.0", Public),
            ("100.63.255.255", Public),
            ("100.64.0.0", Private),
            ("100.127.255.255", Private),
            ("100.128.0.0", Public),
            ("126.255.255.255", Public),
            ("127.0.0.1", Private),
            ("128.0.0.0", Public),
            ("169.253.255.255", Public),
            ("169.254.169.254", Private),
            ("169.255.0.0", Public),
            ("172.15.255.255", Public),
            ("172.16.0.0", Private),
            ("172.31.255.255", Private),
            ("172.32.0.0", Public),
            ("191.255.255.255", Public),
            ("192.0.0.0", Reserved),
            ("192.0.0.255", Reserved),
            ("192.0.1.0", Public),
            ("192.0.2.0", Documentation),
            ("192.0.2.255", Documentation),
            ("192.0.3.0", Public),
            ("192.88.99.1", Reserved),
            ("192.168.0.0", Private),
            ("192.168.255.255", Private),
            ("192.169.0.0", Public),
            ("198.17.255.255", Public),
            ("198.18.0.0", Reserved),
            ("198.19.255.255", Reserved),
            ("198.20.0.0", Public),
            ("198.51.100.1", Documentation),
            ("198.51.101.0", Public),
            ("203.0.113.255", Documentation),
            ("203.0.114.0", Public),
            ("223.255.255.255", Public),
            ("224.0.0.0", Reserved),
            ("240.0.0.0", Reserved),
            ("255.255.255.255", Reserved),
            ("::", Reserved),
            ("::1", Private),
            ("::2", Reserved),
            ("64:ff9b::808:808", Public),
            ("64:ff9b:1::1", Private),
            ("100::1", Reserved),
            ("1fff:ffff::", Reserved),
            ("2001::1", Reserved),
            ("2001:1ff:ffff::", Reserved),
            ("2001:200::", Public),
            ("2001:db7:ffff::", Public),
            ("2001:db8::1", Documentation),
            ("2001:db9::", Public),
            ("2a00::1", Public),
            ("3ffe:ffff::", Public),
            ("3fff::1", Documentation),
            ("3fff:fff::1", Documentation),
            ("3fff:1000::", Public),
            ("4000::", Reserved),
            ("5f00::1", Reserved),
            ("fbff::", Reserved),
            ("fc00::1", Private),
            ("fdff:ffff::", Private),
            ("fe80::1", Private),
            ("febf::1", Private),
            ("fec0::1", Private),
            ("ff02::1", Reserved),
        ];
        for (address, kind) in table {
            assert_eq!(of_address(address.parse().unwrap()), *kind, "{address}");
        }
    }
}
