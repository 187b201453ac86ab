//! Who is behind a temporary credential, over role chains and accounts.
//!
//! A lineage is a set that only grows. Its members are credential instances (access key ids) and persons; never a role, an
//! account or a session name alone, which many share.
//!
//! [`origin`] reads what an event says of its caller, [`links`] what it teaches about a new credential. What is known of one
//! credential is an [`Ancestry`]; a [`Walk`] follows ancestries from an origin up to the persons at the start of a role chain.
//! All of it is a function of the set of events: no order of arrival and no repetition changes it.

mod ancestry;
mod arn;
mod link;
mod origin;
mod person;
mod walk;

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

pub use self::ancestry::{Ancestry, MOST_ANCESTORS, ancestries};
pub use self::link::{Link, links, teaches};
pub use self::origin::origin;
pub use self::person::{Telling, member_name};
pub use self::walk::{MOST_HOPS, MOST_MEMBERS, Resolved, Walk, resolve};

/// Whether it can be the id of a temporary access key: of whom it came is for others' events to say.
pub fn is_temporary(credential: &str) -> bool {
    arn::is_temporary(credential)
}

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

    /// Whether everybody of `other` is in it.
    pub fn contains(&self, other: &Lineage) -> bool {
        self.credentials.is_superset(&other.credentials) && self.persons.is_superset(&other.persons)
    }

    /// Adds everybody of `other`.
    pub fn extend(&mut self, other: Lineage) {
        self.credentials.extend(other.credentials);
        self.persons.extend(other.persons);
    }
}

#[cfg(test)]
mod tests;
