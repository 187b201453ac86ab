//! `[archive]`: the Parquet files.

use dial_rules::fault::Fault;
use serde::{Deserialize, Serialize};

use super::positive;

/// `[archive]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Archive {
    /// `s3://BUCKET/PREFIX` or a folder; without one the data folder.
    pub(crate) location: Option<String>,
    /// Keep each event's JSON in the column `raw`.
    pub(crate) raw: bool,
    /// A file is written once its rows take so many MiB of memory.
    pub(crate) flush_mib: u64,
    /// A file is written once its oldest row has waited so many seconds.
    pub(crate) flush_seconds: u64,
    /// Findings gather for so many seconds before they are written.
    pub(crate) findings_seconds: u64,
}

impl Default for Archive {
    fn default() -> Self {
        Archive { location: None, raw: true, flush_mib: 128, flush_seconds: 300, findings_seconds: 300 }
    }
}

impl Archive {
    pub(super) fn faults(&self) -> Vec<Fault> {
        let mut faults = positive(&[
            ("flush_mib", self.flush_mib),
            ("flush_seconds", self.flush_seconds),
            ("findings_seconds", self.findings_seconds),
        ]);
        let address = self.location.as_deref().filter(|location| location.starts_with("s3://"));
        if address.is_some_and(|address| !is_s3_address(address)) {
            let why = "names no bucket that S3 takes: write s3://BUCKET/PREFIX; a bucket's name is 3 to 63 of a-z, 0-9, \
                       `.` and `-`";
            faults.push(Fault::new("location", why));
        }
        faults
    }
}

/// Whether it is `s3://BUCKET`, or that with a prefix.
pub(super) fn is_s3_address(text: &str) -> bool {
    let address = text.strip_prefix("s3://");
    address.is_some_and(|address| is_bucket_name(address.split('/').next().unwrap_or_default()))
}

/// Names of S3 buckets: `[a-z0-9.-]{3,63}`, with a letter or a digit at both ends.
fn is_bucket_name(name: &str) -> bool {
    let inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    (3..=63).contains(&name.len())
        && name.chars().all(|c| inner(c) || ".-".contains(c))
        && name.starts_with(inner)
        && name.ends_with(inner)
}
