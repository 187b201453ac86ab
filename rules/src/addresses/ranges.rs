//! [`Ranges`]: which of many networks an address is in, the longest prefix first.
//!
//! Networks nest or lie apart, never half over each other. So all of them together cut the addresses into stretches, each of
//! which has one answer; the answers are worked out when the ranges are built, and a look-up is one binary search.

use std::net::IpAddr;

use super::network::Network;

/// Values of networks, by longest prefix.
#[derive(Debug, Clone)]
pub struct Ranges<V> {
    values: Vec<V>,
    v4: Stretches<u32>,
    v6: Stretches<u128>,
}

impl<V> Default for Ranges<V> {
    fn default() -> Ranges<V> {
        Ranges { values: Vec::new(), v4: Stretches::default(), v6: Stretches::default() }
    }
}

impl<V> Ranges<V> {
    /// Ranges of these networks. Of equal networks the last one's value counts.
    pub fn new(networks: impl IntoIterator<Item = (Network, V)>) -> Ranges<V> {
        let (mut v4, mut v6, mut values) = (Vec::new(), Vec::new(), Vec::new());
        for (network, value) in networks {
            let index = index(values.len());
            values.push(value);
            let host = u32::from(network.length());
            match network.first() {
                IpAddr::V4(first) => {
                    let first = u32::from(first);
                    v4.push(Piece { first, last: first | u32::MAX.checked_shr(host).unwrap_or(0), value: index });
                }
                IpAddr::V6(first) => {
                    let first = u128::from(first);
                    v6.push(Piece { first, last: first | u128::MAX.checked_shr(host).unwrap_or(0), value: index });
                }
            }
        }
        Ranges { values, v4: Stretches::nested(v4), v6: Stretches::nested(v6) }
    }

    /// Ranges that already lie side by side: where each stretch of equal answers begins, ascending, and which of `values`
    /// it has, if any.
    pub(super) fn of_stretches(
        values: Vec<V>,
        v4: Vec<(u32, Option<usize>)>,
        v6: Vec<(u128, Option<usize>)>,
    ) -> Ranges<V> {
        Ranges { v4: Stretches::side_by_side(v4), v6: Stretches::side_by_side(v6), values }
    }

    /// The value of the smallest network that holds the address. An IPv4-mapped address is the IPv4 address.
    #[inline]
    pub fn find(&self, address: IpAddr) -> Option<&V> {
        let index = match address.to_canonical() {
            IpAddr::V4(four) => self.v4.find(four.into()),
            IpAddr::V6(six) => self.v6.find(six.into()),
        };
        self.values.get(index? as usize)
    }

    /// Whether no network is in it.
    pub fn is_empty(&self) -> bool {
        self.v4.starts.is_empty() && self.v6.starts.is_empty()
    }
}

/// What a stretch without a value has. No more than this many values fit into memory anyway.
const NONE: u32 = u32::MAX;

fn index(at: usize) -> u32 {
    u32::try_from(at).unwrap_or(NONE)
}

/// An address as a number.
trait Bits: Copy + Ord {
    /// The address after it, but for the last one of all.
    fn next(self) -> Option<Self>;
}

impl Bits for u32 {
    fn next(self) -> Option<u32> {
        self.checked_add(1)
    }
}

impl Bits for u128 {
    fn next(self) -> Option<u128> {
        self.checked_add(1)
    }
}

/// A network as numbers, both ends in it.
struct Piece<A> {
    first: A,
    last: A,
    value: u32,
}

/// Where each stretch begins, ascending, and what it has.
#[derive(Debug, Clone)]
struct Stretches<A> {
    starts: Vec<A>,
    values: Vec<u32>,
}

impl<A> Default for Stretches<A> {
    fn default() -> Stretches<A> {
        Stretches { starts: Vec::new(), values: Vec::new() }
    }
}

impl<A: Bits> Stretches<A> {
    fn nested(mut pieces: Vec<Piece<A>>) -> Stretches<A> {
        // Wider ones first, so that those inside them come while they are open; the sort keeps equal ones in their order.
        pieces.sort_by(|a, b| a.first.cmp(&b.first).then(b.last.cmp(&a.last)));
        let mut stretches = Stretches::default();
        let mut open: Vec<(A, u32)> = Vec::new();
        for piece in pieces {
            stretches.close(&mut open, Some(piece.first));
            stretches.begin(piece.first, piece.value);
            open.push((piece.last, piece.value));
        }
        stretches.close(&mut open, None);
        stretches
    }

    /// Ends the open networks that end before `until`; what encloses them goes on behind each.
    fn close(&mut self, open: &mut Vec<(A, u32)>, until: Option<A>) {
        while let Some((last, _)) = open.pop_if(|(last, _)| until.is_none_or(|until| *last < until)) {
            let around = open.last().map_or(NONE, |(_, value)| *value);
            if let Some(behind) = last.next() {
                self.begin(behind, around);
            }
        }
    }

    fn side_by_side(stretches: Vec<(A, Option<usize>)>) -> Stretches<A> {
        let mut all = Stretches::default();
        stretches.into_iter().for_each(|(start, value)| all.begin(start, value.map_or(NONE, index)));
        all
    }

    fn begin(&mut self, start: A, value: u32) {
        match (self.starts.last(), self.values.last_mut()) {
            (Some(last), Some(old)) if *last == start => *old = value,
            _ => {
                self.starts.push(start);
                self.values.push(value);
            }
        }
    }

    #[inline]
    fn find(&self, address: A) -> Option<u32> {
        let at = self.starts.partition_point(|start| *start <= address).checked_sub(1)?;
        self.values.get(at).copied().filter(|value| *value != NONE)
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, Ipv6Addr};

    use proptest::prelude::*;

    use super::*;

    /// The last of the longest networks that hold the address, by looking at all of them.
    fn naive(networks: &[(Network, usize)], address: IpAddr) -> Option<usize> {
        let holding = networks.iter().filter(|(network, _)| network.contains(address));
        holding.max_by_key(|(network, value)| (network.length(), *value)).map(|(_, value)| *value)
    }

    /// Few different bits, so that networks nest, touch and repeat.
    fn networks() -> impl Strategy<Value = Vec<(Network, usize)>> {
        let four = (0u32..64, 0u32..3, 0u8..=32)
            .prop_map(|(high, low, length)| Network::new(Ipv4Addr::from(high << 26 | low).into(), length));
        let six = (0u128..64, 0u128..3, 0u8..=128)
            .prop_map(|(high, low, length)| Network::new(Ipv6Addr::from(high << 122 | low).into(), length));
        let ends = prop_oneof![Just("255.255.255.255/32"), Just("0.0.0.0/32"), Just("128.0.0.0/1"), Just("::/0")]
            .prop_map(|text| Network::parse(text).unwrap_or(Network::new(Ipv4Addr::UNSPECIFIED.into(), 0)));
        proptest::collection::vec(prop_oneof![4 => four, 4 => six, 1 => ends], 0..24)
            .prop_map(|networks| networks.into_iter().enumerate().map(|(at, network)| (network, at)).collect())
    }

    proptest! {
        #[test]
        fn the_longest_prefix_is_found(networks in networks(), more in proptest::collection::vec(any::<u32>(), 8)) {
            let ranges = Ranges::new(networks.iter().copied());
            let ends = networks.iter().flat_map(|(network, _)| match network.first() {
                IpAddr::V4(first) => {
                    let first = u32::from(first);
                    let last = first | u32::MAX.checked_shr(network.length().into()).unwrap_or(0);
                    [first.wrapping_sub(1), first, last, last.wrapping_add(1)].map(|at| IpAddr::V4(at.into()))
                }
                IpAddr::V6(first) => {
                    let first = u128::from(first);
                    let last = first | u128::MAX.checked_shr(network.length().into()).unwrap_or(0);
                    [first.wrapping_sub(1), first, last, last.wrapping_add(1)].map(|at| IpAddr::V6(at.into()))
                }
            });
            for address in ends.chain(more.into_iter().map(|at| IpAddr::V4(at.into()))) {
                prop_assert_eq!(ranges.find(address).copied(), naive(&networks, address), "{}", address);
            }
        }
    }

    #[test]
    fn nothing_is_in_no_ranges() {
        let none: Ranges<()> = Ranges::default();
        assert!(none.is_empty() && none.find(Ipv4Addr::LOCALHOST.into()).is_none());
        let all = Ranges::new([(Network::new(Ipv4Addr::UNSPECIFIED.into(), 0), 'v')]);
        assert!(!all.is_empty() && all.find(Ipv6Addr::LOCALHOST.into()).is_none());
        assert_eq!(all.find(Ipv4Addr::BROADCAST.into()), Some(&'v'));
    }
}
