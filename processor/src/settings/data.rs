//! `[data]`: what is kept on this machine.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// `[data]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Data {
    /// The folder.
    pub(crate) folder: PathBuf,
}

impl Default for Data {
    fn default() -> Self {
        Data { folder: PathBuf::from("./dial-data") }
    }
}

impl Data {
    /// The local store of findings.
    pub(crate) fn findings_file(&self) -> PathBuf {
        self.folder.join("findings.db")
    }

    /// The local store of the windows of correlations.
    pub(crate) fn windows_file(&self) -> PathBuf {
        self.folder.join("windows.db")
    }

    /// What was posted and is not processed yet.
    pub(crate) fn inbox(&self) -> PathBuf {
        self.folder.join("inbox")
    }

    /// The local store of who is behind credentials.
    pub(crate) fn actors_file(&self) -> PathBuf {
        self.folder.join("actors.db")
    }
}
