//! [`Network`]: a range of addresses as people write it.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Addresses that share their first bits: `198.51.100.0/24`, `2001:db8::/32`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Network {
    address: IpAddr,
    length: u8,
}

impl Network {
    /// Reads a network in CIDR notation, or one address.
    ///
    /// IPv4-mapped IPv6 networks (RFC 4291, 2.5.5.2) are the IPv4 networks that they map.
    ///
    /// # Errors
    /// Says what is wrong with the text, and what to write if that can be guessed.
    pub fn parse(text: &str) -> Result<Network, String> {
        let (address, length) = text.split_once('/').map_or((text, None), |(address, length)| (address, Some(length)));
        let address: IpAddr = address.parse().map_err(|_| {
            let shown: String = text.chars().take(60).collect();
            format!(
                "{shown:?} is neither an address nor a network: write 198.51.100.7, 198.51.100.0/24 or 2001:db8::/32"
            )
        })?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        let length = match length {
            None => most,
            Some(digits) => digits
                .parse::<u8>()
                .ok()
                .filter(|length| *length <= most && digits.bytes().all(|byte| byte.is_ascii_digit()))
                .ok_or_else(|| format!("{digits:?} is no prefix length of {address}: write 0 to {most}"))?,
        };
        let network = Network::new(address, length);
        if network.first() == address.to_canonical() {
            return Ok(network);
        }
        Err(format!("{text} has bits behind its prefix: write {network}, or {address} for the one address"))
    }

    /// The network of this length that the address is in; a length beyond the address's is its own.
    pub fn new(address: IpAddr, length: u8) -> Network {
        let (address, length) = match address {
            IpAddr::V6(six) => match six.to_ipv4_mapped() {
                Some(four) if length >= 96 => (IpAddr::V4(four), length - 96),
                _ => (address, length),
            },
            IpAddr::V4(_) => (address, length),
        };
        match address {
            IpAddr::V4(four) => {
                let length = length.min(32);
                let mask = u32::MAX.checked_shl(32 - u32::from(length)).unwrap_or(0);
                Network { address: Ipv4Addr::from(u32::from(four) & mask).into(), length }
            }
            IpAddr::V6(six) => {
                let length = length.min(128);
                let mask = u128::MAX.checked_shl(128 - u32::from(length)).unwrap_or(0);
                Network { address: Ipv6Addr::from(u128::from(six) & mask).into(), length }
            }
        }
    }

    /// Its first address.
    pub fn first(&self) -> IpAddr {
        self.address
    }

    /// How many leading bits its addresses share.
    pub fn length(&self) -> u8 {
        self.length
    }

    /// Whether the address is in it; an IPv4-mapped address is the IPv4 address.
    pub fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        address.is_ipv4() == self.address.is_ipv4() && Network::new(address, self.length) == *self
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.length)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn networks_are_read() {
        for (text, shown) in [
            ("198.51.100.0/24", "198.51.100.0/24"),
            ("198.51.100.7", "198.51.100.7/32"),
            ("0.0.0.0/0", "0.0.0.0/0"),
            ("::/0", "::/0"),
            ("2001:db8::/32", "2001:db8::/32"),
            ("2001:db8::1", "2001:db8::1/128"),
            ("::ffff:198.51.100.0/120", "198.51.100.0/24"),
            ("::ffff:198.51.100.7", "198.51.100.7/32"),
        ] {
            assert_eq!(Network::parse(text).unwrap().to_string(), shown, "{text}");
        }
    }

    #[test]
    fn what_is_no_network_is_told() {
        for (text, said) in [
            ("", "neither"),
            ("example.com", "neither"),
            ("198.51.100", "neither"),
            ("198.51.100.0/33", "0 to 32"),
            ("198.51.100.0/", "0 to 32"),
            ("198.51.100.0/+8", "0 to 32"),
            ("198.51.100.0/24/8", "0 to 32"),
            ("2001:db8::/129", "0 to 128"),
            ("198.51.100.7/24", "write 198.51.100.0/24"),
            ("2001:db8::1/32", "write 2001:db8::/32"),
        ] {
            let error = Network::parse(text).unwrap_err();
            assert!(error.contains(said), "{text}: {error}");
        }
    }

    #[test]
    fn a_network_holds_its_addresses() {
        let holds = |network: &str, address: &str| {
            Network::parse(network).unwrap().contains(address.parse::<IpAddr>().unwrap())
        };
        assert!(holds("198.51.100.0/24", "198.51.100.255") && holds("198.51.100.0/24", "::ffff:198.51.100.1"));
        assert!(!holds("198.51.100.0/24", "198.51.101.0") && !holds("0.0.0.0/0", "2001:db8::1"));
        assert!(holds("::/0", "2001:db8::1") && !holds("::/0", "198.51.100.1"));
    }
}
