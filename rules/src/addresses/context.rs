//! [`AddressContext`]: what is known of one address.

use serde::{Deserialize, Serialize};

/// What stands in an event's address field, which CloudTrail does not promise to be an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AddressKind {
    /// A global address, which databases and services may know.
    Public,
    /// An address of a private network (RFC 1918, RFC 4193), of a carrier's (RFC 6598), of one link or of the machine.
    Private,
    /// An address for examples only (RFC 5737, RFC 3849, RFC 9637).
    Documentation,
    /// Another address that nobody can call from: multicast, reserved, unspecified.
    Reserved,
    /// The name of an AWS service, such as `cloudformation.amazonaws.com` or `AWS Internal`.
    Service,
    /// Neither an address nor a service's name.
    Malformed,
}

/// What tables say of an address. Of everything but a public address only `kind` and `lists` are known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AddressContext {
    /// What it is.
    pub kind: AddressKind,
    /// ISO 3166-1 alpha-2, such as `DE`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub country: Option<String>,
    /// The city's name in English.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub city: Option<String>,
    /// The autonomous system's number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub asn: Option<u32>,
    /// The autonomous system's organisation: whose network it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub network: Option<String>,
    /// The AWS service whose published range it is in, such as `EC2`; the most specific one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub aws_service: Option<String>,
    /// The region of that range, such as `eu-west-1` or `GLOBAL`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub aws_region: Option<String>,
    /// Whether it is an exit of the Tor network; `None` without a list of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tor_exit: Option<bool>,
    /// Names of the organisation's own lists that hold it, sorted.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub lists: Vec<String>,
}
