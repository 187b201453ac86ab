//! How fast tables of addresses answer, on one core, beside a baseline of the same run: parsing the address, which is the
//! least that a look-up does.
//!
//! `cargo bench -p dial-rules --bench addresses`; `DIAL_BENCH_MMDB=FILE` also measures a database in MaxMind's format.

#![allow(clippy::unwrap_used, clippy::disallowed_methods, missing_docs)]

use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use dial_rules::addresses::{Addresses, AwsRanges, Database, List, Network, Parts, TorExits};
use serde_json::json;

const ADDRESSES: usize = 100_000;

/// Addresses all over the internet, so that no cache of the processor helps; one in five of IPv6. The same in every run.
fn fields() -> Vec<String> {
    let mut state: u64 = 0x9e37_79b9_7f4a_7c15;
    let mut next = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    let field = |n: usize| {
        let random = next();
        if n.is_multiple_of(5) {
            let high = 0x2000 + (random >> 32 & 0x0fff) as u16;
            return Ipv6Addr::new(high, random as u16, (random >> 16) as u16, 0, 0, 0, 0, 1).to_string();
        }
        Ipv4Addr::from(random as u32).to_string()
    };
    (0..ADDRESSES).map(field).collect()
}

/// About as many ranges, exits and lists as AWS, Tor and an organisation have.
fn parts() -> Parts {
    let services = ["AMAZON", "EC2", "S3", "CLOUDFRONT"];
    let prefix = |n: u32| {
        json!({"ip_prefix": format!("{}/20", Ipv4Addr::from(n << 19 & 0xffff_f000)), "region": "eu-west-1",
        "service": services[n as usize % 4]})
    };
    let ranges = json!({"prefixes": (0..8_000).map(prefix).collect::<Vec<_>>()});
    let exits: Vec<String> = (0..1_500u32).map(|n| Ipv4Addr::from(n.wrapping_mul(2_654_435_761)).to_string()).collect();
    let list = |n: u32| {
        let network = |of: u32| Network::new(IpAddr::V4(Ipv4Addr::from(of.wrapping_mul(2_246_822_519) ^ n << 8)), 24);
        List::new(format!("list-{n}"), "for the benchmark", None, (0..1_000).map(network))
    };
    Parts {
        aws: Some(AwsRanges::parse(ranges.to_string().as_bytes()).unwrap()),
        tor: Some(TorExits::parse(&exits.join("\n")).unwrap()),
        lists: (0..5).map(list).collect(),
        ..Parts::default()
    }
}

fn addresses(c: &mut Criterion) {
    let fields = fields();
    let mut group = c.benchmark_group(format!("{ADDRESSES} addresses"));
    group.throughput(Throughput::Elements(ADDRESSES as u64)).sample_size(20);
    group.bench_function("baseline: parse the address", |b| {
        b.iter(|| fields.iter().filter(|field| black_box(field.parse::<IpAddr>()).is_ok()).count());
    });
    let mut measure = |name: &str, addresses: &Addresses| {
        group.bench_function(name, |b| {
            b.iter(|| fields.iter().filter(|field| black_box(addresses.look_up(field, 0)).country.is_some()).count());
        });
    };
    measure("the built-in table of countries", &Addresses::default());
    measure("and AWS's ranges, Tor's exits and five lists", &Addresses::new(parts()).unwrap());
    if let Some(path) = std::env::var_os("DIAL_BENCH_MMDB") {
        let database = Database::parse("DIAL_BENCH_MMDB", std::fs::read(path).unwrap()).unwrap();
        let only = Parts { country: Some(database.clone()), ..Parts::default() };
        measure("a database of countries instead of the built-in one", &Addresses::new(only).unwrap());
    }
    group.finish();
}

criterion_group!(benches, addresses);
criterion_main!(benches);
