//! An [`ObjectStore`] in memory, for tests and for runs that keep nothing.

use std::collections::BTreeMap;
use std::io::{Cursor, Read};
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;

use crate::store::{Listed, ObjectStore, Put, StoreError, StoreErrorKind, check_key};

/// Objects in a map; gone with the value.
#[derive(Debug, Default)]
pub struct MemoryStore {
    objects: Mutex<BTreeMap<String, Bytes>>,
}

impl MemoryStore {
    /// An empty store.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    fn objects(&self) -> MutexGuard<'_, BTreeMap<String, Bytes>> {
        // No code that holds the lock can panic half-way through a change.
        self.objects.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn find(&self, call: &'static str, key: &str) -> Result<Bytes, StoreError> {
        check_key(call, key)?;
        self.objects().get(key).cloned().ok_or_else(|| StoreError {
            call,
            place: format!("memory:{key}"),
            kind: StoreErrorKind::NotFound,
            message: "nothing was put under this key".to_owned(),
        })
    }
}

#[async_trait]
impl ObjectStore for MemoryStore {
    async fn put_if_absent(&self, key: &str, bytes: Bytes) -> Result<Put, StoreError> {
        check_key("put", key)?;
        let mut objects = self.objects();
        if objects.contains_key(key) {
            return Ok(Put::Existed);
        }
        objects.insert(key.to_owned(), bytes);
        Ok(Put::Created)
    }

    async fn get(&self, key: &str) -> Result<Bytes, StoreError> {
        self.find("get", key)
    }

    async fn open(&self, key: &str) -> Result<Box<dyn Read + Send>, StoreError> {
        Ok(Box::new(Cursor::new(self.find("open", key)?)))
    }

    async fn list(&self, prefix: &str) -> Result<Vec<Listed>, StoreError> {
        let listed = |(key, bytes): (&String, &Bytes)| Listed { key: key.clone(), size: bytes.len() as u64 };
        let objects = self.objects();
        let from = objects.range(prefix.to_owned()..);
        Ok(from.take_while(|(key, _)| key.starts_with(prefix)).map(listed).collect())
    }

    async fn delete(&self, key: &str) -> Result<(), StoreError> {
        check_key("delete", key)?;
        self.objects().remove(key);
        Ok(())
    }
}
