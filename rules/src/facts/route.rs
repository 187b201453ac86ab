//! Routes to the internet.

use super::Facts;
use super::cidr::{self, Share};

/// Whether a route leads the world to an internet gateway; `None` for calls that set no route.
pub(crate) fn to_internet(facts: &Facts<'_>) -> Option<bool> {
    if facts.service() != "ec2" || !matches!(facts.call().as_str(), "CreateRoute" | "ReplaceRoute") {
        return None;
    }
    let request = facts.request()?;
    let to_gateway = request.scalar_of("gatewayId").is_some_and(|gateway| gateway.starts_with("igw-"));
    let destinations = ["destinationCidrBlock", "destinationIpv6CidrBlock"];
    let ranges = destinations.iter().filter_map(|name| cidr::parse(&request.scalar_of(name)?));
    Some(to_gateway && Share::of(ranges).is_world())
}
