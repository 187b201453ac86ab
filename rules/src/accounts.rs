//! [`Account`]: what an organisation calls one of its AWS accounts, and where it belongs.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// What is known of an account. From the settings or from AWS Organizations.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Account {
    /// Its name, such as `payments`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// What it is for, such as `production`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub environment: Option<String>,
    /// The path of organizational units that it lies in, from the root, such as `/Workloads/Production`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ou: Option<String>,
    /// Its tags.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub tags: BTreeMap<String, String>,
}

/// Accounts by id, 12 digits each.
pub type Accounts = BTreeMap<String, Account>;
