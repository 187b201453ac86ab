//! [`CorrelateError`].

use dial_sinks::actors::ActorError;
use dial_sinks::store::StoreError;
use dial_sinks::windows::store::WindowError;
use thiserror::Error;

/// Why matches could not be filed, or windows not be evaluated.
#[derive(Debug, Error)]
pub(crate) enum CorrelateError {
    /// The windows.
    #[error(transparent)]
    Windows(#[from] WindowError),
    /// Who is behind credentials.
    #[error(transparent)]
    Actors(#[from] ActorError),
    /// The findings.
    #[error(transparent)]
    Findings(#[from] StoreError),
    /// A store does not answer.
    #[error("cannot {doing}: there was no answer within {seconds} s")]
    Slow {
        /// What was being done.
        doing: &'static str,
        /// How long it was waited for.
        seconds: u64,
    },
    /// A match cannot be written as JSON.
    #[error("cannot write a match as JSON: {0}")]
    Json(serde_json::Error),
    /// An item is there, but not as any version of this program writes it.
    #[error(
        "item {key} in a window of {correlation} is damaged ({reason}); delete its row, or restore it from a backup"
    )]
    Damaged {
        /// The correlation.
        correlation: String,
        /// The item's key.
        key: String,
        /// What is wrong with it.
        reason: String,
    },
}
