//! Makes the built-in table of countries anew from a database of countries in MaxMind's DB format:
//!
//! `cargo run --release -p dial-rules --example country_table -- iptoasn-country.mmdb rules/src/addresses/iptoasn-country.bin`

#![allow(clippy::print_stderr)]

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::process::ExitCode;

use dial_rules::addresses::country::{Code, Stretches, decode, encode};
use maxminddb::{Reader, WithinOptions};
use serde::Deserialize;

#[derive(Deserialize)]
struct Record<'r> {
    country_code: &'r str,
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [from, to] = &arguments[..] else {
        eprintln!("usage: country_table FROM.mmdb TO.bin");
        return ExitCode::from(2);
    };
    match make(from).and_then(|bytes| std::fs::write(to, &bytes).map_err(|error| error.to_string())) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn make(from: &str) -> Result<Vec<u8>, String> {
    let text = |error: maxminddb::MaxMindDbError| error.to_string();
    let reader = Reader::open_readfile(from).map_err(text)?;
    let (mut v4, mut v6) = (Vec::new(), Vec::new());
    for found in reader.networks(WithinOptions::default()).map_err(text)? {
        let found = found.map_err(text)?;
        let code = found.decode::<Record<'_>>().map_err(text)?.and_then(|record| code(record.country_code));
        let network = found.network().map_err(text)?;
        let length = u32::from(network.prefix());
        match network.ip() {
            IpAddr::V4(first) => {
                let first = u128::from(u32::from(first));
                v4.push((first, first | u128::from(u32::MAX.checked_shr(length).unwrap_or(0)), code));
            }
            IpAddr::V6(first) => {
                let first = u128::from(first);
                v6.push((first, first | u128::MAX.checked_shr(length).unwrap_or(0), code));
            }
        }
    }
    let v4 =
        merge(v4).into_iter().map(|(start, code)| Ok((u32::try_from(start).map_err(|_| start.to_string())?, code)));
    let table = Stretches { v4: v4.collect::<Result<_, String>>()?, v6: merge(v6) };
    let bytes = encode(&table)?;
    compare(&decode(&bytes)?, &reader)?;
    eprintln!("{} stretches of IPv4, {} of IPv6, {} bytes", table.v4.len(), table.v6.len(), bytes.len());
    Ok(bytes)
}

/// Both ends of every network must have its country in the table too.
fn compare(table: &Stretches, reader: &Reader<Vec<u8>>) -> Result<(), String> {
    let text = |error: maxminddb::MaxMindDbError| error.to_string();
    for found in reader.networks(WithinOptions::default().include_networks_without_data()).map_err(text)? {
        let found = found.map_err(text)?;
        let expected = found.decode::<Record<'_>>().map_err(text)?.and_then(|record| code(record.country_code));
        let network = found.network().map_err(text)?;
        for address in [network.network(), network.broadcast()] {
            // The tree holds IPv4 under ::/96, where the table has nothing.
            let in_table = match address {
                IpAddr::V4(four) => at(&table.v4, u32::from(four)),
                IpAddr::V6(six) if six.segments()[..6] == [0; 6] => expected,
                IpAddr::V6(six) => at(&table.v6, u128::from(six)),
            };
            if in_table != expected {
                return Err(format!("{address}: {expected:?} in the database, {in_table:?} in the table"));
            }
        }
    }
    Ok(())
}

fn at<A: Ord>(stretches: &[(A, Option<Code>)], address: A) -> Option<Code> {
    let at = stretches.partition_point(|(start, _)| *start <= address).checked_sub(1)?;
    stretches[at].1
}

fn code(text: &str) -> Option<Code> {
    let code: Code = text.as_bytes().try_into().ok()?;
    code.iter().all(u8::is_ascii_uppercase).then_some(code)
}

/// Networks, both ends in them, to stretches: neighbours of one country become one.
fn merge(networks: Vec<(u128, u128, Option<Code>)>) -> Vec<(u128, Option<Code>)> {
    let mut starts: BTreeMap<u128, Option<Code>> = BTreeMap::from([(0, None)]);
    for (first, last, code) in networks {
        starts.insert(first, code);
        starts.entry(last.saturating_add(1)).or_insert(None);
    }
    let mut merged: Vec<(u128, Option<Code>)> = Vec::new();
    for (start, code) in starts {
        if merged.last().is_none_or(|(_, last)| *last != code) {
            merged.push((start, code));
        }
    }
    merged
}
