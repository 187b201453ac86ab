//! [`AwsRanges`]: the ranges that AWS publishes of itself, <https://ip-ranges.amazonaws.com/ip-ranges.json>.

use std::net::IpAddr;
use std::sync::Arc;

use serde::Deserialize;

use super::network::Network;
use super::ranges::Ranges;

/// A range's service and region, as AWS writes them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AwsRange {
    /// Such as `EC2`, `S3` or `CLOUDFRONT`; `AMAZON` where no service is more specific.
    pub service: Arc<str>,
    /// Such as `eu-west-1`, or `GLOBAL`.
    pub region: Arc<str>,
}

/// AWS's own ranges. Cloning is cheap.
#[derive(Debug, Clone)]
pub struct AwsRanges {
    ranges: Arc<Ranges<AwsRange>>,
    /// When AWS made the list, as it writes it: `2026-06-17-19-04-02`.
    pub created: String,
}

#[derive(Deserialize)]
struct File<'f> {
    #[serde(rename = "createDate", default)]
    created: std::borrow::Cow<'f, str>,
    #[serde(borrow, default)]
    prefixes: Vec<Entry<'f>>,
    #[serde(borrow, default)]
    ipv6_prefixes: Vec<Entry<'f>>,
}

#[derive(Deserialize)]
struct Entry<'f> {
    #[serde(alias = "ip_prefix", alias = "ipv6_prefix")]
    prefix: std::borrow::Cow<'f, str>,
    #[serde(default)]
    region: std::borrow::Cow<'f, str>,
    service: std::borrow::Cow<'f, str>,
}

impl AwsRanges {
    /// Reads `ip-ranges.json`.
    ///
    /// AWS lists a range once for every service that it belongs to. Of equal ranges the most specific service counts:
    /// `AMAZON` is all of AWS, and `EC2` holds what runs on instances, so any other comes before them.
    ///
    /// # Errors
    /// Says what is wrong with the file.
    pub fn parse(bytes: &[u8]) -> Result<AwsRanges, String> {
        let file: File<'_> =
            serde_json::from_slice(bytes).map_err(|error| format!("this is not AWS's ip-ranges.json: {error}"))?;
        let entries = file.prefixes.iter().chain(&file.ipv6_prefixes);
        let mut networks = entries.map(read).collect::<Result<Vec<_>, String>>()?;
        if networks.is_empty() {
            return Err("there are no ranges in it: `prefixes` and `ipv6_prefixes` are missing or empty".to_owned());
        }
        // The last of equal ones counts, whatever their order in the file.
        networks.sort_by(|(_, a), (_, b)| {
            let order = |range: &AwsRange| match range.service.as_ref() {
                "AMAZON" => 0,
                "EC2" => 1,
                _ => 2,
            };
            order(a).cmp(&order(b)).then_with(|| b.service.cmp(&a.service)).then_with(|| b.region.cmp(&a.region))
        });
        Ok(AwsRanges { ranges: Arc::new(Ranges::new(networks)), created: file.created.into_owned() })
    }

    /// The range that the address is in.
    pub fn find(&self, address: IpAddr) -> Option<&AwsRange> {
        self.ranges.find(address)
    }
}

fn read(entry: &Entry<'_>) -> Result<(Network, AwsRange), String> {
    let network = Network::parse(&entry.prefix)?;
    Ok((network, AwsRange { service: entry.service.as_ref().into(), region: entry.region.as_ref().into() }))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    /// In the form of AWS's file; the addresses are for documentation.
    const FILE: &str = r#"{
      "syncToken": "1", "createDate": "2026-06-17-19-04-02",
      "prefixes": [
        {"ip_prefix": "198.51.100.0/24", "region": "eu-west-1", "service": "S3", "network_border_group": "eu-west-1"},
        {"ip_prefix": "198.51.100.0/24", "region": "eu-west-1", "service": "AMAZON", "network_border_group": "eu-west-1"},
        {"ip_prefix": "203.0.113.0/24", "region": "us-east-1", "service": "AMAZON", "network_border_group": "us-east-1"},
        {"ip_prefix": "203.0.113.0/25", "region": "us-east-1", "service": "AMAZON", "network_border_group": "us-east-1"},
        {"ip_prefix": "203.0.113.0/25", "region": "us-east-1", "service": "CODEBUILD", "network_border_group": "us-east-1"},
        {"ip_prefix": "203.0.113.0/25", "region": "us-east-1", "service": "EC2", "network_border_group": "us-east-1"}],
      "ipv6_prefixes": [
        {"ipv6_prefix": "2001:db8::/32", "region": "GLOBAL", "service": "CLOUDFRONT", "network_border_group": "GLOBAL"}]}"#;

    #[test]
    fn the_most_specific_service_counts() {
        let ranges = AwsRanges::parse(FILE.as_bytes()).unwrap();
        let service = |address: &str| {
            let found = ranges.find(address.parse().unwrap())?;
            Some(format!("{} {}", found.service, found.region))
        };
        for (address, expected) in [
            ("198.51.100.7", Some("S3 eu-west-1")),
            ("203.0.113.7", Some("CODEBUILD us-east-1")),
            ("203.0.113.200", Some("AMAZON us-east-1")),
            ("2001:db8::1", Some("CLOUDFRONT GLOBAL")),
            ("192.0.2.1", None),
        ] {
            assert_eq!(service(address).as_deref(), expected, "{address}");
        }
        assert_eq!(ranges.created, "2026-06-17-19-04-02");
    }

    #[test]
    fn a_file_that_is_something_else_is_told() {
        for (text, said) in [
            ("", "ip-ranges.json"),
            ("<html>", "ip-ranges.json"),
            ("{}", "no ranges"),
            (r#"{"prefixes": [{"ip_prefix": "x", "service": "S3"}]}"#, "\"x\""),
            (r#"{"prefixes": [{"ip_prefix": "198.51.100.0/24"}]}"#, "service"),
        ] {
            let error = AwsRanges::parse(text.as_bytes()).unwrap_err();
            assert!(error.contains(said), "{text}: {error}");
        }
        for end in 0..FILE.len() {
            assert!(AwsRanges::parse(&FILE.as_bytes()[..end]).is_err(), "{end}");
        }
    }
}
