//! An [`ObjectStore`] that fails by a seed, before or after the call it wraps: the two ways in which a network does.

use std::io::Read;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use bytes::Bytes;
use dial_rules::event::Millis;

use crate::store::{Listed, ObjectStore, Put, StoreError, StoreErrorKind};

/// Wraps a store and makes some of its calls fail as [`StoreErrorKind::Unavailable`]: half of them before anything
/// happened, half after it did, so that the caller cannot know. Which calls fail is a function of the seed and of the
/// calls' order.
#[derive(Debug)]
pub struct FailingStore<S> {
    inner: S,
    state: AtomicU64,
    per_mille: u64,
}

enum Fate {
    Works,
    FailsBefore,
    FailsAfter,
}

impl<S> FailingStore<S> {
    /// Makes `per_mille` of a thousand calls to `inner` fail.
    pub fn new(inner: S, seed: u64, per_mille: u64) -> Self {
        Self { inner, state: AtomicU64::new(seed), per_mille }
    }

    /// The store within, which does not fail.
    pub fn inner(&self) -> &S {
        &self.inner
    }

    fn fate(&self) -> Fate {
        let z = draw(&self.state);
        if (z >> 1) % 1000 >= self.per_mille {
            Fate::Works
        } else if z & 1 == 0 {
            Fate::FailsBefore
        } else {
            Fate::FailsAfter
        }
    }

    async fn call<T>(
        &self,
        call: &'static str,
        key: &str,
        inner: impl Future<Output = Result<T, StoreError>> + Send,
    ) -> Result<T, StoreError> {
        let failure = |message: &str| StoreError {
            call,
            place: key.to_owned(),
            kind: StoreErrorKind::Unavailable,
            message: message.to_owned(),
        };
        match self.fate() {
            Fate::Works => inner.await,
            Fate::FailsBefore => Err(failure("injected before the call")),
            Fate::FailsAfter => {
                inner.await?;
                Err(failure("injected after the call"))
            }
        }
    }
}

/// The next number of SplitMix64. The state is a counter, so that concurrent calls need no lock.
pub(crate) fn draw(state: &AtomicU64) -> u64 {
    const STEP: u64 = 0x9e37_79b9_7f4a_7c15;
    let mut z = state.fetch_add(STEP, Ordering::Relaxed).wrapping_add(STEP);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[async_trait]
impl<S: ObjectStore> ObjectStore for FailingStore<S> {
    async fn put_if_absent(&self, key: &str, bytes: Bytes) -> Result<Put, StoreError> {
        self.call("put", key, self.inner.put_if_absent(key, bytes)).await
    }

    async fn get(&self, key: &str) -> Result<Bytes, StoreError> {
        self.call("get", key, self.inner.get(key)).await
    }

    async fn tail(&self, key: &str, bytes: u64) -> Result<Bytes, StoreError> {
        self.call("get", key, self.inner.tail(key, bytes)).await
    }

    async fn size(&self, key: &str) -> Result<u64, StoreError> {
        self.call("look at", key, self.inner.size(key)).await
    }

    async fn put_at(&self, key: &str) -> Result<Option<Millis>, StoreError> {
        self.call("look at", key, self.inner.put_at(key)).await
    }

    async fn open(&self, key: &str) -> Result<Box<dyn Read + Send>, StoreError> {
        self.call("open", key, self.inner.open(key)).await
    }

    async fn list(&self, prefix: &str) -> Result<Vec<Listed>, StoreError> {
        self.call("list", prefix, self.inner.list(prefix)).await
    }

    async fn delete(&self, key: &str) -> Result<(), StoreError> {
        self.call("delete", key, self.inner.delete(key)).await
    }
}
