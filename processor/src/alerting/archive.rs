//! [`ParquetFindings`]: the archive's table of findings, as the outbox writes it.

use std::sync::Arc;

use async_trait::async_trait;
use dial_analytics::findings::FindingRow;
use dial_analytics::store::{ObjectStore, StoreErrorKind};
use dial_rules::event::Millis;
use dial_sinks::archive::{Archived, FindingArchive};
use dial_sinks::sink::SendError;
use tokio::sync::OnceCell;

use crate::failure::Failure;
use crate::finding_files::{self, FindingFileError};
use crate::settings::Settings;
use crate::stores;

/// Writes findings beside the events, in files that are named by their batches.
#[derive(Debug)]
pub(crate) struct ParquetFindings {
    settings: Settings,
    /// Opened by the first who needs it: a folder that cannot be written keeps nobody from detecting.
    store: OnceCell<Arc<dyn ObjectStore>>,
}

impl ParquetFindings {
    /// In the archive that the settings name.
    pub(crate) fn new(settings: &Settings) -> ParquetFindings {
        ParquetFindings { settings: settings.clone(), store: OnceCell::new() }
    }
}

#[async_trait]
impl FindingArchive for ParquetFindings {
    async fn put(&self, batch: &str, findings: Vec<Archived>, written: Millis) -> Result<(), SendError> {
        let store = self.store.get_or_try_init(|| stores::archive(&self.settings)).await.map_err(out_of_reach)?;
        let count = findings.len();
        let row = |Archived { assessment, version }| FindingRow { assessment, version, written };
        let rows = findings.into_iter().map(row).collect();
        // One name for all days: they are folders.
        let done = finding_files::put(store.as_ref(), rows, |_| format!("batch-{batch}")).await.map_err(failure)?;
        tracing::info!(findings = count, files = done.created, bytes = done.bytes, "findings archived");
        Ok(())
    }
}

fn out_of_reach(failure: Failure) -> SendError {
    let (Failure::Usage(why) | Failure::Outside(why)) = failure;
    SendError::Unavailable(why)
}

fn failure(error: FindingFileError) -> SendError {
    match &error {
        FindingFileError::Store(store) if store.kind == StoreErrorKind::Denied => SendError::Refused(error.to_string()),
        _ => SendError::Unavailable(error.to_string()),
    }
}
