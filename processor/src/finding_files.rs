//! Findings as Parquet files of the archive: one for each day.

use std::collections::BTreeMap;

use dial_analytics::archive::Written;
use dial_analytics::findings::{FindingRow, write_findings};
use dial_analytics::layout::{Day, findings_key};
use dial_analytics::store::{ObjectStore, Put, StoreError};
use dial_analytics::writer::WriteError;
use futures::{StreamExt, TryStreamExt, stream};
use thiserror::Error;

/// How many files are put at the same time: findings of a long past are many small ones.
const AT_ONCE: usize = 8;

/// Why findings are not all archived. Doing it again is harmless.
#[derive(Debug, Error)]
pub(crate) enum FindingFileError {
    /// The store refused or failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A file could not be put together.
    #[error(transparent)]
    Encode(#[from] WriteError),
    /// The program is ending.
    #[error("the program is ending")]
    Stopped,
}

/// Puts a file for each day that rows belong to, unless there is one of that name: `stem` names the file of a day's rows.
///
/// # Errors
/// The first failure. What was written stays.
pub(crate) async fn put(
    store: &dyn ObjectStore,
    rows: Vec<FindingRow>,
    stem: impl Fn(&[FindingRow]) -> String,
) -> Result<Written, FindingFileError> {
    let mut days: BTreeMap<Day, Vec<FindingRow>> = BTreeMap::new();
    for row in rows {
        days.entry(row.day()).or_default().push(row);
    }
    let puts: Vec<_> = days
        .into_iter()
        .map(|(day, rows)| {
            let key = findings_key(day, &stem(&rows));
            put_one(store, key, rows)
        })
        .collect();
    let add = |all: Written, one: Written| Written {
        created: all.created + one.created,
        existed: all.existed + one.existed,
        bytes: all.bytes + one.bytes,
    };
    stream::iter(puts).buffer_unordered(AT_ONCE).try_fold(Written::default(), async |all, one| Ok(add(all, one))).await
}

async fn put_one(store: &dyn ObjectStore, key: String, rows: Vec<FindingRow>) -> Result<Written, FindingFileError> {
    let encoding = tokio::task::spawn_blocking(move || write_findings(&rows));
    let file = encoding.await.map_err(|_| FindingFileError::Stopped)??;
    let bytes = file.len() as u64;
    Ok(match store.put_if_absent(&key, file).await? {
        Put::Created => Written { created: 1, existed: 0, bytes },
        Put::Existed => Written { created: 0, existed: 1, bytes: 0 },
    })
}
