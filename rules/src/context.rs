//! [`Context`]: what is known beside a finding when it is read, alerted or archived. Never stored with it: accounts get other
//! names, addresses other owners, and a lineage may still grow.

use serde::Serialize;

use crate::accounts::Account;
use crate::addresses::AddressContext;
use crate::lineage::Lineage;

/// The part of a context that names accounts: as [`Missing::part`] has it.
pub const ACCOUNTS: &str = "accounts";
/// The part that says who is behind a credential.
pub const LINEAGE: &str = "lineage";

/// What tables and services say of who acted, where, and from where.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Context {
    /// The account.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub account: Option<Account>,
    /// The address that the call came from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub address: Option<AddressContext>,
    /// What others report of that address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reputation: Option<Reputation>,
    /// Everybody who is behind the credential, itself among them.
    #[serde(skip_serializing_if = "Lineage::is_empty")]
    pub lineage: Lineage,
    /// What the credentials on the way to the caller's were sessions of, as ARNs, the person's first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub chain: Vec<String>,
    /// What could not be found out this time.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub missing: Vec<Missing>,
}

impl Context {
    /// Whether this part could not be found out, or not wholly.
    #[must_use]
    pub fn lacks(&self, part: &str) -> bool {
        self.missing.iter().any(|missing| missing.part == part)
    }
}

/// What a reputation service says of an address, in the words of AbuseIPDB's API v2.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Reputation {
    /// How sure the service is that the address is abused: 0 to 100.
    pub abuse_confidence_score: u8,
    /// How many reports there were.
    pub total_reports: u64,
    /// What the address is used for, such as `Data Center/Web Hosting/Transit`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub usage_type: Option<String>,
    /// Who runs its network.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub isp: Option<String>,
}

/// A part of the context that its source did not give.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Missing {
    /// Which: [`ACCOUNTS`], [`LINEAGE`], `addresses` or `reputation`.
    pub part: &'static str,
    /// Why, in words for people.
    pub reason: String,
}
