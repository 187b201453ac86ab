//! `[log]`: what the program says of itself, on standard error.

use dial_rules::fault::Fault;
use serde::{Deserialize, Serialize};

use super::log_filter;

/// `[log]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Log {
    /// A filter as of `tracing`: `info`, `warn,dial_ingest=debug`.
    pub(crate) filter: String,
    /// One JSON object a line.
    pub(crate) json: bool,
}

impl Default for Log {
    fn default() -> Self {
        Log { filter: "info".to_owned(), json: false }
    }
}

impl Log {
    pub(super) fn faults(&self) -> Vec<Fault> {
        log_filter::check(&self.filter).err().map(|wrong| Fault::new("filter", wrong)).into_iter().collect()
    }
}
