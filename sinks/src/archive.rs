//! [`FindingArchive`]: the port to the archive's table of findings. The outbox brings every recorded finding there, as to one
//! more sink: it retries, limits and never gives up; an implementation makes one attempt.

pub mod failing;
pub mod memory;

use async_trait::async_trait;
use dial_rules::assessment::Assessment;
use dial_rules::event::Millis;

use crate::sink::SendError;

/// What the archive is called among the sinks. No sink of the settings can have this name.
pub const ARCHIVE: &str = "archive";

/// A finding on its way to the archive.
#[derive(Debug, Clone, PartialEq)]
pub struct Archived {
    /// The finding as it is recorded, and what is made of it now: suppressed, muted and staged ones are archived too.
    pub assessment: Assessment,
    /// How often its content was written to the store of findings. Together with the finding's id the key of a row.
    pub version: u64,
}

/// Where findings are kept for good: a row for each version that was current when a batch was written.
///
/// A row may come more than once, in different batches; whoever reads takes the greatest version of each finding.
#[async_trait]
pub trait FindingArchive: std::fmt::Debug + Send + Sync {
    /// Writes the findings of a batch durably. `batch` names it: at most 64 letters and digits, the same for every attempt
    /// and of no other batch. `written` is when the batch began: the same for every attempt too, so that where a row lies does
    /// not hang on who tries when.
    ///
    /// What an earlier attempt has put durably may stay as it is, also where a finding has grown since: what a finding says
    /// in its last version is in a batch that was named after that was recorded, so every attempt of that batch brings it.
    /// For that, what is put at once must be all findings that belong there (all of one day, where each day is a file).
    ///
    /// Must be safe to drop at any point.
    ///
    /// # Errors
    /// Why not all of them are known to be durable. The text names no secret.
    async fn put(&self, batch: &str, findings: Vec<Archived>, written: Millis) -> Result<(), SendError>;
}
