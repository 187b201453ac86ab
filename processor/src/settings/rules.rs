//! `[rules]`: which rules are evaluated.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// `[rules]`
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Rules {
    /// Files and folders of Sigma rules instead of the built-in packs.
    pub(crate) paths: Vec<PathBuf>,
}
