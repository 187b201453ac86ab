//! [`Network`]: an address or a network that a policy names.

use std::net::IpAddr;

use crate::facts::cidr::{self, Range};

/// A range of addresses in CIDR notation, or one address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Network(Range);

impl Network {
    /// Reads `198.51.100.0/24`, `2001:db8::/32` or a bare address. An IPv4 one that is written as an IPv6 one counts as the
    /// former.
    pub(crate) fn parse(text: &str) -> Option<Network> {
        const MAPPED: u128 = 0xffff << 32; // ::ffff:0:0/96, RFC 4291, 2.5.5.2
        let within_mapped = |address: u128| address.checked_sub(MAPPED).and_then(|rest| u32::try_from(rest).ok());
        let range = cidr::parse(text)?;
        let Range::V6(first, last) = range else { return Some(Network(range)) };
        Some(Network(match (within_mapped(first), within_mapped(last)) {
            (Some(first), Some(last)) => Range::V4(first, last),
            _ => range,
        }))
    }

    /// Whether the address is in it. An IPv4 address that is written as an IPv6 one counts as the former.
    pub(crate) fn contains(self, address: IpAddr) -> bool {
        match (self.0, address.to_canonical()) {
            (Range::V4(first, last), IpAddr::V4(address)) => (first..=last).contains(&u32::from(address)),
            (Range::V6(first, last), IpAddr::V6(address)) => (first..=last).contains(&u128::from(address)),
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn addresses_lie_in_networks() {
        for (network, address, inside) in [
            ("198.51.100.0/24", "198.51.100.255", true),
            ("198.51.100.0/24", "198.51.101.0", false),
            ("198.51.100.7", "198.51.100.7", true),
            ("198.51.100.7", "::ffff:198.51.100.7", true),
            ("::ffff:198.51.100.7", "198.51.100.7", true),
            ("::ffff:198.51.100.0/120", "198.51.100.255", true),
            ("::ffff:198.51.100.0/120", "198.51.101.0", false),
            ("::fffe:198.51.100.7", "198.51.100.7", false),
            ("0.0.0.0/0", "203.0.113.9", true),
            ("0.0.0.0/0", "2001:db8::1", false),
            ("2001:db8::/32", "2001:db8:1::1", true),
            ("::/0", "203.0.113.9", false),
        ] {
            assert_eq!(
                Network::parse(network).unwrap().contains(address.parse().unwrap()),
                inside,
                "{network} {address}"
            );
        }
        assert!(
            ["", "x", "198.51.100.0/33", "198.51.100", "1.2.3.4/-1"].iter().all(|text| Network::parse(text).is_none())
        );
    }

    proptest! {
        #[test]
        fn an_address_is_in_a_network_if_the_first_bits_agree(a: u32, b: u32, bits in 0u32..=32) {
            let network = format!("{}/{bits}", std::net::Ipv4Addr::from(a));
            let same = (0..bits).all(|bit| (a ^ b) >> (31 - bit) & 1 == 0);
            prop_assert_eq!(Network::parse(&network).unwrap().contains(std::net::Ipv4Addr::from(b).into()), same);
        }
    }
}
