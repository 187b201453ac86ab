//! The rows of a batch: its findings as they are now.

use super::alert::Delivery;
use super::compose::gone;
use super::desk::Desk;
use super::store::Outbox;
use crate::archive::Archived;
use crate::store::StoreError;

/// How many findings are read and assessed at once.
const AT_ONCE: usize = 100;

/// The findings of a batch as they are recorded now, and what is made of them now. What was fixed is which findings these
/// are: one that has grown since is told as it is, and again in the batch that it joined for that.
pub(crate) async fn shelve(
    store: &dyn Outbox,
    desk: &dyn Desk,
    delivery: &Delivery,
) -> Result<Vec<Archived>, StoreError> {
    let ids: Vec<String> = delivery.findings.keys().cloned().collect();
    let mut rows = Vec::with_capacity(ids.len());
    for some in ids.chunks(AT_ONCE) {
        let (versions, findings): (Vec<u64>, Vec<_>) =
            store.owed(some).await?.into_iter().map(|owed| (owed.version, owed.finding)).unzip();
        let assessed = desk.assess(findings).await.into_iter();
        rows.extend(assessed.zip(versions).map(|(assessment, version)| Archived { assessment, version }));
    }
    if rows.is_empty() {
        gone(store, &ids).await?;
    }
    Ok(rows)
}
