//! The built-in table of countries: which country each address is routed to.
//!
//! Made from the IPtoASN table by `cargo run --example country_table`; `iptoasn-country.md` beside it says from which state
//! of it, and under which licence. It is meant for a first look; whoever has a database of MaxMind or DB-IP names that one
//! in the settings.
//!
//! The file is a zlib stream (RFC 1950). In it, numbers are unsigned LEB128: how many countries there are, their ISO 3166-1
//! codes of two letters, and then for IPv4 and for IPv6 how many stretches there are, and three columns: of each stretch's
//! length the number of binary zeros at its end, a byte each; the length without them; and its country, a byte each, counted
//! from 1, or 0 for nobody's. The first stretch begins at the first address. What lies behind the last is nobody's.

use std::io::{Read, Write};
use std::net::IpAddr;
use std::sync::LazyLock;

use super::ranges::Ranges;

/// ISO 3166-1 alpha-2.
pub type Code = [u8; 2];

/// Where each stretch begins, ascending, and whose it is. What lies before the first one is nobody's.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Stretches {
    /// Of IPv4's addresses.
    pub v4: Vec<(u32, Option<Code>)>,
    /// Of IPv6's addresses.
    pub v6: Vec<(u128, Option<Code>)>,
}

/// More than this is no table of countries: a bound on what a damaged file can make of itself, in bytes.
const LARGEST: u64 = 64 << 20;

/// The table that is built in, unpacked when first asked for.
static BUILT_IN: LazyLock<Ranges<Code>> =
    LazyLock::new(|| ranges(&decode(include_bytes!("iptoasn-country.bin")).unwrap_or_default()));

/// The country that the built-in table has for the address.
pub(super) fn find(address: IpAddr) -> Option<&'static str> {
    std::str::from_utf8(BUILT_IN.find(address)?).ok()
}

fn ranges(stretches: &Stretches) -> Ranges<Code> {
    let countries = countries(stretches);
    let index = |code: &Option<Code>| code.and_then(|code| countries.binary_search(&code).ok());
    let v4 = stretches.v4.iter().map(|(start, code)| (*start, index(code))).collect();
    let v6 = stretches.v6.iter().map(|(start, code)| (*start, index(code))).collect();
    Ranges::of_stretches(countries, v4, v6)
}

fn countries(stretches: &Stretches) -> Vec<Code> {
    let v4 = stretches.v4.iter().filter_map(|(_, code)| *code);
    let mut all: Vec<Code> = v4.chain(stretches.v6.iter().filter_map(|(_, code)| *code)).collect();
    all.sort_unstable();
    all.dedup();
    all
}

/// Packs a table.
///
/// # Errors
/// When there are more than 255 countries, or the writer of the stream fails.
pub fn encode(stretches: &Stretches) -> Result<Vec<u8>, String> {
    let mut packed = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::best());
    packed.write_all(&write(stretches)?).and_then(|()| packed.finish()).map_err(|error| error.to_string())
}

/// What is in the stream.
fn write(stretches: &Stretches) -> Result<Vec<u8>, String> {
    let countries = countries(stretches);
    let mut plain = Vec::new();
    push_number(countries.len() as u128, &mut plain);
    countries.iter().for_each(|code| plain.extend(code));
    let whose = |code: Option<Code>| match code.map(|code| countries.binary_search(&code)) {
        None => Ok(0),
        Some(Ok(at)) => u8::try_from(at + 1).map_err(|_| "more than 255 countries".to_owned()),
        Some(Err(_)) => Err("a country that is not counted".to_owned()),
    };
    let v4: Vec<(u128, Option<Code>)> = stretches.v4.iter().map(|(start, code)| (u128::from(*start), *code)).collect();
    for stretches in [&v4, &stretches.v6] {
        let (mut lengths, mut owners, mut at, mut owner) = (Vec::new(), Vec::new(), 0, 0);
        for (start, code) in stretches {
            if *start > at {
                lengths.push(start - at);
                owners.push(owner);
            }
            (at, owner) = (*start, whose(*code)?);
        }
        push_number(lengths.len() as u128, &mut plain);
        plain.extend(lengths.iter().map(|length| length.trailing_zeros() as u8));
        lengths.iter().for_each(|length| push_number(length >> length.trailing_zeros(), &mut plain));
        plain.extend(owners);
    }
    Ok(plain)
}

/// Unpacks a table.
///
/// # Errors
/// Says that the file is damaged, and where.
pub fn decode(packed: &[u8]) -> Result<Stretches, String> {
    let plain = unpack(packed)?;
    let mut rest = &plain[..];
    read(&mut rest).ok_or_else(|| format!("the table of countries is damaged at byte {}", plain.len() - rest.len()))
}

fn unpack(packed: &[u8]) -> Result<Vec<u8>, String> {
    let mut plain = Vec::new();
    let unpacked = flate2::read::ZlibDecoder::new(packed).take(LARGEST).read_to_end(&mut plain);
    unpacked.map_err(|error| format!("the table of countries cannot be unpacked: {error}"))?;
    Ok(plain)
}

fn read(rest: &mut &[u8]) -> Option<Stretches> {
    let count = usize::try_from(number(rest)?).ok()?;
    let countries: Vec<Code> =
        bytes(rest, count.checked_mul(2)?)?.chunks_exact(2).map(|code| [code[0], code[1]]).collect();
    let v4 = column(rest, &countries)?;
    let v6 = column(rest, &countries)?;
    let v4 = v4.into_iter().map(|(start, code)| Some((u32::try_from(start).ok()?, code))).collect::<Option<_>>()?;
    rest.is_empty().then_some(Stretches { v4, v6 })
}

fn column(rest: &mut &[u8], countries: &[Code]) -> Option<Vec<(u128, Option<Code>)>> {
    let count = usize::try_from(number(rest)?).ok()?;
    let zeros = bytes(rest, count)?;
    let lengths = zeros.iter().map(|zeros| {
        let (length, zeros) = (number(rest)?, u32::from(*zeros));
        (zeros <= length.leading_zeros()).then(|| length << zeros)
    });
    let lengths = lengths.collect::<Option<Vec<u128>>>()?;
    let mut start: u128 = 0;
    let mut stretches = Vec::with_capacity(count + 1);
    for (length, owner) in lengths.iter().zip(bytes(rest, count)?) {
        let code = match owner.checked_sub(1) {
            None => None,
            Some(at) => Some(*countries.get(usize::from(at))?),
        };
        stretches.push((start, code));
        start = start.checked_add(*length)?;
    }
    if count > 0 {
        stretches.push((start, None));
    }
    Some(stretches)
}

fn bytes<'r>(rest: &mut &'r [u8], count: usize) -> Option<&'r [u8]> {
    let (taken, left) = rest.split_at_checked(count)?;
    *rest = left;
    Some(taken)
}

fn push_number(mut number: u128, into: &mut Vec<u8>) {
    while number >= 0x80 {
        into.push(number as u8 | 0x80);
        number >>= 7;
    }
    into.push(number as u8);
}

fn number(rest: &mut &[u8]) -> Option<u128> {
    let mut number = 0;
    for shift in (0..128).step_by(7) {
        let byte = bytes(rest, 1)?[0];
        number |= u128::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Some(number);
        }
    }
    None
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Stretches as `decode` gives them: from the first address on, with nobody's behind the last.
    fn tables() -> impl Strategy<Value = Stretches> {
        let owner = || prop_oneof![Just(None), Just(Some(*b"DE")), Just(Some(*b"FR")), Just(Some(*b"US"))];
        let v4 = proptest::collection::btree_map(any::<u32>(), owner(), 0..20);
        let v6 = proptest::collection::btree_map(any::<u128>(), owner(), 0..20);
        (v4, v6, owner(), owner()).prop_map(|(mut v4, mut v6, first4, first6)| {
            v4.insert(0, first4);
            v6.insert(0, first6);
            // A table of one stretch has no length; the last one is nobody's.
            v4.insert(u32::MAX, None);
            v6.insert(u128::MAX, None);
            Stretches { v4: v4.into_iter().collect(), v6: v6.into_iter().collect() }
        })
    }

    proptest! {
        #[test]
        fn what_is_packed_comes_out_again(table in tables(), cut in any::<proptest::sample::Index>(), addresses in proptest::collection::vec(any::<u32>(), 8)) {
            let packed = encode(&table).unwrap();
            prop_assert_eq!(&decode(&packed).unwrap(), &table);
            prop_assert!(decode(&packed[..cut.index(packed.len())]).is_err());
            let ranges = ranges(&table);
            for address in addresses {
                let at = table.v4.iter().rev().find(|(start, _)| *start <= address).unwrap();
                prop_assert_eq!(ranges.find(IpAddr::V4(address.into())).copied(), at.1);
            }
        }
    }

    #[test]
    fn a_damaged_table_is_told() {
        for packed in [&b""[..], b"no zlib", &encode(&Stretches::default()).unwrap()[..3]] {
            assert!(decode(packed).unwrap_err().contains("table of countries"));
        }
        assert_eq!(decode(&encode(&Stretches::default()).unwrap()).unwrap(), Stretches::default());
    }

    /// Whoever makes the table anew sees at once whether it is one.
    #[test]
    fn the_built_in_table_has_the_world() {
        let packed = include_bytes!("iptoasn-country.bin");
        assert!(packed.len() < 1 << 20, "{} bytes: too much to carry for everybody", packed.len());
        let table = decode(packed).unwrap();
        assert!(table.v4.len() > 100_000 && table.v6.len() > 50_000, "{} and {}", table.v4.len(), table.v6.len());
        assert!(table.v4.is_sorted_by(|a, b| a.0 < b.0) && table.v6.is_sorted_by(|a, b| a.0 < b.0));
        let countries = countries(&table);
        assert!((200..=255).contains(&countries.len()), "{}", countries.len());
        assert!(countries.iter().all(|code| code.iter().all(u8::is_ascii_uppercase)));
        // Networks of universities and of telephone companies, which have not moved for decades.
        for (address, country) in
            [("130.149.7.7", "DE"), ("18.26.0.1", "US"), ("133.11.0.1", "JP"), ("2001:638::1", "DE")]
        {
            assert_eq!(find(address.parse().unwrap()), Some(country), "{address}");
        }
        assert_eq!(find("10.0.0.1".parse().unwrap()), None);
        assert!(write(&table).unwrap() == unpack(packed).unwrap());
    }
}
