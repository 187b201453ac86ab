//! Address ranges, and how much of the internet several of them cover together.

use std::net::{Ipv4Addr, Ipv6Addr};

/// IPv4 ranges that are not on the internet, from IANA's special-purpose registry (RFC 6890), multicast, and class E.
const NOT_PUBLIC: &[(Ipv4Addr, u32)] = &[
    (Ipv4Addr::new(0, 0, 0, 0), 8),
    (Ipv4Addr::new(10, 0, 0, 0), 8),
    (Ipv4Addr::new(100, 64, 0, 0), 10),
    (Ipv4Addr::new(127, 0, 0, 0), 8),
    (Ipv4Addr::new(169, 254, 0, 0), 16),
    (Ipv4Addr::new(172, 16, 0, 0), 12),
    (Ipv4Addr::new(192, 168, 0, 0), 16),
    (Ipv4Addr::new(224, 0, 0, 0), 3),
];

/// Global unicast, all that is on the IPv6 internet: 2000::/3.
const PUBLIC_V6: (u128, u128) = (0x2000 << 112, (0x4000 << 112) - 1);

/// A range of addresses, both ends included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Range {
    V4(u32, u32),
    V6(u128, u128),
}

/// The range that `198.51.100.0/24` names; a bare address is a range of one. Host bits are cleared, as AWS does.
pub(crate) fn parse(text: &str) -> Option<Range> {
    let text = text.trim();
    let (address, length) = match text.split_once('/') {
        Some((address, length)) if length.bytes().all(|byte| byte.is_ascii_digit()) => {
            (address, Some(length.parse::<u32>().ok()?))
        }
        Some(_) => return None,
        None => (text, None),
    };
    if let Ok(address) = address.parse::<Ipv4Addr>() {
        let length = length.unwrap_or(32);
        let host = u32::MAX.checked_shr(length).unwrap_or(0);
        let first = u32::from(address) & !host;
        return (length <= 32).then_some(Range::V4(first, first | host));
    }
    let address: Ipv6Addr = address.parse().ok()?;
    let length = length.unwrap_or(128);
    let host = u128::MAX.checked_shr(length).unwrap_or(0);
    let first = u128::from(address) & !host;
    (length <= 128).then_some(Range::V6(first, first | host))
}

/// The shares of the public IPv4 and of the public IPv6 addresses, from 0 to 1, that lie in at least one of the ranges.
/// Private, reserved and multicast addresses count for nothing.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(crate) struct Share {
    pub(crate) v4: f64,
    pub(crate) v6: f64,
}

impl Share {
    /// The share that these ranges have together.
    pub(crate) fn of(ranges: impl IntoIterator<Item = Range>) -> Share {
        let (mut v4, mut v6) = (Vec::new(), Vec::new());
        for range in ranges {
            match range {
                Range::V4(first, last) => v4.push((u128::from(first), u128::from(last))),
                Range::V6(first, last) => v6.push((first.max(PUBLIC_V6.0), last.min(PUBLIC_V6.1))),
            }
        }
        v6.retain(|(first, last)| first <= last);
        let public = (1u64 << 32) as f64 - size(&hidden());
        Share { v4: public_size(v4) / public, v6: size(&union(v6)) / ((PUBLIC_V6.1 - PUBLIC_V6.0) as f64 + 1.0) }
    }

    /// Whether it is so much that it can only be meant as "from anywhere": one part in a hundred of the IPv4 internet,
    /// which takes more than two networks of 2²⁴ addresses, or a part of the IPv6 internet as large as a /16.
    pub(crate) fn is_world(self) -> bool {
        self.v4 >= 0.01 || self.v6 >= 1.0 / 8192.0
    }
}

fn hidden() -> Vec<(u128, u128)> {
    let range = |(first, length): &(Ipv4Addr, u32)| {
        let first = u128::from(u32::from(*first));
        (first, first | u128::from(u32::MAX >> length))
    };
    NOT_PUBLIC.iter().map(range).collect()
}

/// How many addresses of the union are public: |union of all| − |what is hidden|, by inclusion and exclusion.
fn public_size(ranges: Vec<(u128, u128)>) -> f64 {
    let hidden = hidden();
    let with_hidden = union(ranges.into_iter().chain(hidden.iter().copied()).collect());
    size(&with_hidden) - size(&hidden)
}

/// The same addresses as sorted ranges that neither touch nor overlap.
fn union(mut ranges: Vec<(u128, u128)>) -> Vec<(u128, u128)> {
    ranges.sort_unstable();
    let mut merged: Vec<(u128, u128)> = Vec::new();
    for (first, last) in ranges {
        match merged.last_mut() {
            Some((_, end)) if first <= end.saturating_add(1) => *end = (*end).max(last),
            _ => merged.push((first, last)),
        }
    }
    merged
}

fn size(ranges: &[(u128, u128)]) -> f64 {
    // Not `sum`, which is -0.0 of nothing.
    ranges.iter().fold(0.0, |size, (first, last)| size + (last - first) as f64 + 1.0)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn share(texts: &[&str]) -> Share {
        Share::of(texts.iter().map(|text| parse(text).unwrap()))
    }

    #[test]
    fn prefixes_are_parsed() {
        assert_eq!(parse("10.0.0.1"), Some(Range::V4(0x0a00_0001, 0x0a00_0001)));
        assert_eq!(parse("10.1.2.3/8"), Some(Range::V4(0x0a00_0000, 0x0aff_ffff)));
        assert_eq!(parse(" 0.0.0.0/0 "), Some(Range::V4(0, u32::MAX)));
        assert_eq!(parse("::/0"), Some(Range::V6(0, u128::MAX)));
        assert_eq!(parse("2001:db8::/32").unwrap(), Range::V6(0x2001_0db8 << 96, (0x2001_0db9 << 96) - 1));
        for wrong in ["", "/", "10.0.0.0/33", "::/129", "10.0.0/8", "10.0.0.0/-1", "10.0.0.0/+8", "x", "10.0.0.0/8/8"] {
            assert_eq!(parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn the_world_is_seen_in_pieces_too() {
        for (texts, v4, v6, world) in [
            (&["0.0.0.0/0"][..], 1.0, 0.0, true),
            (&["0.0.0.0/1", "128.0.0.0/1"], 1.0, 0.0, true),
            (&["::/0"], 0.0, 1.0, true),
            (&["2000::/3"], 0.0, 1.0, true),
            (&["::/1"], 0.0, 1.0, true),
            (&["8000::/1", "fc00::/7"], 0.0, 0.0, false),
            (&["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"], 0.0, 0.0, false),
            (&["2600::/16"], 0.0, 1.0 / 8192.0, true),
            (&[], 0.0, 0.0, false),
        ] {
            let found = share(texts);
            assert!((found.v4 - v4).abs() < 1e-9 && (found.v6 - v6).abs() < 1e-9, "{texts:?}: {found:?}");
            assert_eq!(found.is_world(), world, "{texts:?}");
        }
        assert!(share(&["0.0.0.0/1"]).is_world() && share(&["64.0.0.0/6"]).is_world());
        assert!(!share(&["17.0.0.0/8"]).is_world() && !share(&["2a00:1450::/32"]).is_world());
        assert!(share(&["3.0.0.0/8", "17.0.0.0/8", "19.0.0.0/8"]).is_world());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(300))]

        /// Against looking at one address of each /12, which is exact for prefixes up to 12 bits but for the hidden
        /// /16s: those two are left out of what is compared.
        #[test]
        fn shares_are_as_counted(prefixes in prop::collection::vec((any::<u32>(), 0u32..=12), 0..8)) {
            let texts: Vec<String> =
                prefixes.iter().map(|(address, length)| format!("{}/{length}", Ipv4Addr::from(*address))).collect();
            let ranges: Vec<Range> = texts.iter().filter_map(|text| parse(text)).collect();
            let public = |address: u32| {
                let a = Ipv4Addr::from(address);
                let [first, second, ..] = a.octets();
                !(matches!(first, 0 | 10 | 127 | 224..) || (first == 100 && second & 0xc0 == 64)
                    || (first == 172 && second & 0xf0 == 16))
            };
            let inside = |address: u32| ranges.iter().any(|range| matches!(range, Range::V4(a, b) if (*a..=*b).contains(&address)));
            let blocks = (0..1u32 << 12).map(|block| block << 20).filter(|address| public(*address));
            let (mut all, mut within) = (0.0, 0.0);
            for block in blocks {
                all += 1.0;
                within += f64::from(u8::from(inside(block)));
            }
            let found = Share::of(ranges.iter().copied()).v4;
            prop_assert!((found - within / all).abs() < 0.0002, "{:?}: {} and {}", texts, found, within / all);
        }
    }
}
