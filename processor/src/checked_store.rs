//! An [`ObjectStore`] that looks at what is there already where something is put: a file that was cut off, or otherwise
//! damaged, would keep its rows out of the archive for good. What compaction has put into larger files is there, too.

use std::collections::HashSet;
use std::io::Read;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use dial_analytics::dead_letter_file::read_letters;
use dial_analytics::read::{count_rows, read_rows};
use dial_analytics::store::{Listed, ObjectStore, Put, StoreError, StoreErrorKind};

use crate::output::counted;

/// An object that is there already and has not what was to be put.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Damaged {
    pub(crate) key: String,
    pub(crate) why: String,
}

/// Wraps a store. What is there stays as it is: what is damaged is only kept account of.
#[derive(Debug)]
pub(crate) struct CheckedStore {
    inner: Arc<dyn ObjectStore>,
    /// The keys whose rows compacted files have.
    replaced: HashSet<String>,
    damaged: Mutex<Vec<Damaged>>,
}

impl CheckedStore {
    pub(crate) fn new(inner: Arc<dyn ObjectStore>, replaced: HashSet<String>) -> CheckedStore {
        CheckedStore { inner, replaced, damaged: Mutex::default() }
    }

    /// The objects that were found to be damaged, by their keys.
    pub(crate) fn damaged(&self) -> Vec<Damaged> {
        let mut damaged = self.damaged.lock().unwrap_or_else(PoisonError::into_inner).clone();
        damaged.sort();
        damaged.dedup();
        damaged
    }

    /// What is wrong with the object that is there instead of `bytes`. Of the same length it is taken for the same. Other
    /// bytes may be of another version of the program, or of another day's tables: what counts is that its rows can be read.
    async fn fault(&self, key: &str, bytes: Bytes) -> Result<Option<String>, StoreError> {
        if self.inner.size(key).await? == bytes.len() as u64 {
            return Ok(None);
        }
        let there = self.inner.get(key).await?;
        let is_parquet = key.ends_with(".parquet");
        // Reading takes long, and the thread may be a task's.
        let fault = tokio::task::spawn_blocking(move || fault(is_parquet, there, bytes)).await;
        Ok(fault.unwrap_or_else(|stopped| Some(stopped.to_string())))
    }
}

/// What is wrong with what is there, beside what would have been put.
fn fault(is_parquet: bool, there: Bytes, put: Bytes) -> Option<String> {
    let length = there.len();
    let rows = |file: Bytes| if is_parquet { count_rows(file).map_err(|e| e.to_string()) } else { letters(&file) };
    let found = if is_parquet { read_rows(there).map_err(|e| e.to_string()) } else { letters(&there) };
    match (found, rows(put)) {
        (Err(error), _) => Some(format!("{length} bytes that cannot be read: {error}")),
        (Ok(found), Ok(rows)) if found != rows => Some(format!("{} and not {rows}", counted(found, "row"))),
        _ => None,
    }
}

fn letters(file: &[u8]) -> Result<u64, String> {
    read_letters(file).map(|letters| letters.len() as u64).map_err(|error| error.to_string())
}

#[async_trait]
impl ObjectStore for CheckedStore {
    async fn put_if_absent(&self, key: &str, bytes: Bytes) -> Result<Put, StoreError> {
        if self.replaced.contains(key) {
            return Ok(Put::Existed);
        }
        if self.inner.put_if_absent(key, bytes.clone()).await? == Put::Created {
            return Ok(Put::Created);
        }
        match self.fault(key, bytes.clone()).await {
            Ok(None) => {}
            Ok(Some(why)) => {
                let damaged = Damaged { key: key.to_owned(), why };
                self.damaged.lock().unwrap_or_else(PoisonError::into_inner).push(damaged);
            }
            // Somebody has removed it meanwhile.
            Err(error) if error.kind == StoreErrorKind::NotFound => return self.inner.put_if_absent(key, bytes).await,
            Err(error) => return Err(error),
        }
        Ok(Put::Existed)
    }

    async fn get(&self, key: &str) -> Result<Bytes, StoreError> {
        self.inner.get(key).await
    }

    async fn open(&self, key: &str) -> Result<Box<dyn Read + Send>, StoreError> {
        self.inner.open(key).await
    }

    async fn list(&self, prefix: &str) -> Result<Vec<Listed>, StoreError> {
        self.inner.list(prefix).await
    }

    async fn delete(&self, key: &str) -> Result<(), StoreError> {
        self.inner.delete(key).await
    }
}

#[cfg(test)]
mod tests {
    use dial_analytics::memory::MemoryStore;

    use super::*;

    const LINE: &str = r#"{"version":1,"shard_id":"s","sequence_number":"1","sub_sequence_number":0,"index":0,"arrival_time":null,"offset":0,"fault":0,"reason":"none","length":1,"truncated":false,"text":"x"}"#;

    /// What is found where `there` lies and `put` is put.
    async fn found(there: &str, put: &str) -> Vec<Damaged> {
        let inner = Arc::new(MemoryStore::new());
        let key = "dead-letters/dt=2024-05-01/a.jsonl";
        inner.put_if_absent(key, there.to_owned().into()).await.unwrap();
        let store = CheckedStore::new(inner.clone(), HashSet::new());
        assert_eq!(store.put_if_absent(key, put.to_owned().into()).await.unwrap(), Put::Existed);
        assert_eq!(inner.get(key).await.unwrap(), there, "it stays as it is");
        store.damaged()
    }

    #[tokio::test]
    async fn only_what_lacks_rows_or_cannot_be_read_is_damaged() {
        let (whole, twice) = (format!("{LINE}\n"), format!("{LINE}\n{LINE}\n"));
        assert_eq!(found(&whole, &whole).await, []);
        assert_eq!(found(LINE, &whole).await, [], "other bytes of the same rows");
        assert_eq!(found(&whole, &twice).await[0].why, "1 row and not 2");
        assert_eq!(found("", &whole).await[0].why, "0 rows and not 1");
        let cut = found(&LINE[..20], &whole).await;
        assert!(cut[0].why.starts_with("20 bytes that cannot be read: ") && cut[0].key.ends_with("a.jsonl"), "{cut:?}");
    }

    #[tokio::test]
    async fn what_was_compacted_is_there_already() {
        let inner = Arc::new(MemoryStore::new());
        let store = CheckedStore::new(inner.clone(), HashSet::from(["a".to_owned()]));
        assert_eq!(store.put_if_absent("a", Bytes::from_static(b"x")).await.unwrap(), Put::Existed);
        assert_eq!(store.put_if_absent("b", Bytes::from_static(b"x")).await.unwrap(), Put::Created);
        assert_eq!((inner.list("").await.unwrap().len(), store.damaged()), (1, Vec::new()));
    }

    #[test]
    fn parquet_is_read_to_its_end() {
        let file: Bytes = dial_analytics::findings::write_findings(&[]).unwrap();
        assert_eq!(fault(true, file.clone(), file.clone()), None);
        let cut = fault(true, file.slice(..file.len() / 2), file.clone());
        assert!(cut.is_some_and(|why| why.contains("not a readable Parquet file")));
    }
}
