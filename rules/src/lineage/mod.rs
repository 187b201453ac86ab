//! Who is behind a temporary credential, over role chains and accounts.
//!
//! A lineage is a set that only grows. Its members are credential instances (access key ids) and persons; never a role, an
//! account or a session name alone, which many share.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

/// Credentials and persons: what one event says itself of who acts, or all that is known of it.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(default)]
pub struct Lineage {
    /// Access key ids, such as `ASIAIOSFODNN7EXAMPLE`.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub credentials: BTreeSet<String>,
    /// Persons, each in one of these forms: the ARN of an IAM user or of an account's root; `AIDA…`, the unique id of a user of
    /// whom an account's events say no more; `saml:PROVIDER:NAME`, `web:PROVIDER:NAME`; `identity-center:STORE/USER`;
    /// `source-identity:NAME`.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub persons: BTreeSet<String>,
}

impl Lineage {
    /// Whether nobody is in it.
    pub fn is_empty(&self) -> bool {
        self.credentials.is_empty() && self.persons.is_empty()
    }
}
