//! How a hot window is spread over several partitions: when, how far, and what says so.
//!
//! DynamoDB takes 1 MB of writes a second for one partition key. A burst in one group is one key, so a bucket that many
//! bytes go to is spread over 4 suffixes of the key, then 16. A [`Marker`] in the first suffix says how many there are. It
//! only ever grows.
//!
//! # Why nothing is missed
//!
//! A read must see every append that returned before it began, without asking 16 partitions each time. A writer makes the
//! marker durable before it writes packs to other suffixes, so before its append returns; a reader queries the first
//! suffix, and then as many as the widest marker there says. Take an append that returned before a read began. Its items
//! are in the first suffix, which is always read, consistently; or in suffix *s*, and then a marker of more than *s*
//! suffixes was in the first one when the append returned, so before the read began. The read sees that marker, since it
//! only grows, and therefore suffix *s*. It does not matter what others write meanwhile, what either side remembers, or
//! where a crash falls: a marker without items costs a few empty queries. "Append, then read" follows as
//! [`WindowStore`](crate::windows::store::WindowStore) says. The test `interleaving` tries all orders.
//!
//! Markers expire too, but never before an item that depends on them: a writer extends the marker first.

use std::sync::{Arc, Mutex, PoisonError};

use moka::future::Cache;

/// Buckets whose bytes and markers are remembered.
const REMEMBERED: u64 = 10_000;

/// Seconds that a marker is kept longer than needed, so that not each later append has to extend it.
const SLACK: i64 = 24 * 60 * 60;

/// A bucket of a window, by the window's hash and the bucket's text.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Place {
    pub(super) window: String,
    pub(super) bucket: String,
}

/// Says over how many suffixes a bucket is spread.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Marker {
    pub(super) suffixes: u32,
    /// Seconds since 1970.
    pub(super) expires: i64,
}

impl Marker {
    /// Whether nothing has to be written for what `needed` says.
    pub(super) fn covers(self, needed: Marker) -> bool {
        self.suffixes >= needed.suffixes && self.expires >= needed.expires
    }

    /// What to write for `needed` where `there` is.
    pub(super) fn extended(needed: Marker, there: Option<Marker>) -> Marker {
        let long = Marker { expires: needed.expires.saturating_add(SLACK), ..needed };
        there.map_or(long, |there| there.join(long))
    }

    fn join(self, other: Marker) -> Marker {
        Marker { suffixes: self.suffixes.max(other.suffixes), expires: self.expires.max(other.expires) }
    }
}

/// How many bytes make a bucket hot.
#[derive(Debug, Clone, Copy)]
pub(super) struct Thresholds {
    /// From here on it is spread over 4 suffixes.
    pub(super) warm: usize,
    /// From here on over 16.
    pub(super) hot: usize,
}

impl Default for Thresholds {
    /// Bytes that one worker writes to one minute of one window. Ten workers at the first threshold are at a twentieth of
    /// what a partition takes in live operation; what is left is for catching up, when minutes pass in seconds.
    fn default() -> Self {
        Self { warm: 256 * 1024, hot: 2 * 1024 * 1024 }
    }
}

/// What this process knows of the buckets that it wrote to and read: bounded, and correct however much is forgotten.
#[derive(Debug)]
pub(super) struct Heat {
    thresholds: Thresholds,
    buckets: Cache<Place, Arc<Mutex<Known>>>,
}

#[derive(Debug, Default)]
struct Known {
    bytes: usize,
    /// A marker that is durable.
    marker: Option<Marker>,
}

impl Heat {
    pub(super) fn new(thresholds: Thresholds) -> Self {
        Self { thresholds, buckets: Cache::new(REMEMBERED) }
    }

    /// Counts `bytes` that are about to be written, and says over how many suffixes.
    pub(super) async fn count(&self, place: &Place, bytes: usize) -> u32 {
        self.with(place, |known| {
            known.bytes = known.bytes.saturating_add(bytes);
            let by_bytes = match known.bytes {
                bytes if bytes > self.thresholds.hot => 16,
                bytes if bytes > self.thresholds.warm => 4,
                _ => 1,
            };
            by_bytes.max(known.marker.map_or(1, |marker| marker.suffixes))
        })
        .await
    }

    /// The widest durable marker that this process has seen.
    pub(super) async fn marker(&self, place: &Place) -> Option<Marker> {
        self.buckets.get(place).await.and_then(|known| known.lock().unwrap_or_else(PoisonError::into_inner).marker)
    }

    /// Remembers a marker that is durable. Never the join of two: the wider one may have expired before the other was
    /// written.
    pub(super) async fn learn(&self, place: &Place, marker: Marker) {
        self.with(place, |known| known.marker = known.marker.filter(|before| before.covers(marker)).or(Some(marker)))
            .await;
    }

    async fn with<T>(&self, place: &Place, look: impl FnOnce(&mut Known) -> T) -> T {
        let known = match self.buckets.get(place).await {
            Some(known) => known,
            None => self.buckets.get_with(place.clone(), async { Arc::default() }).await,
        };
        look(&mut known.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markers_only_grow() {
        let marker = |suffixes, expires| Marker { suffixes, expires };
        assert_eq!(Marker::extended(marker(4, 100), None), marker(4, 100 + SLACK));
        assert_eq!(Marker::extended(marker(4, 100), Some(marker(16, 50))), marker(16, 100 + SLACK));
        assert_eq!(Marker::extended(marker(16, 100), Some(marker(4, 1_000_000))), marker(16, 1_000_000));
        assert!(marker(4, 100).covers(marker(4, 100)) && marker(16, 101).covers(marker(4, 100)));
        assert!(!marker(4, 100).covers(marker(16, 100)) && !marker(4, 100).covers(marker(4, 101)));
    }

    #[tokio::test]
    async fn a_bucket_is_spread_as_bytes_add_up_or_as_its_marker_says() {
        let heat = Heat::new(Thresholds { warm: 100, hot: 1_000 });
        let place = |bucket: &str| Place { window: "0f".to_owned(), bucket: bucket.to_owned() };
        let (a, b) = (place("a"), place("b"));
        assert_eq!(heat.count(&a, 100).await, 1);
        assert_eq!(heat.count(&a, 1).await, 4);
        assert_eq!(heat.count(&b, 1).await, 1, "another bucket");
        assert_eq!(heat.count(&a, 899).await, 4);
        assert_eq!(heat.count(&a, 1).await, 16);
        heat.learn(&b, Marker { suffixes: 16, expires: 7 }).await;
        heat.learn(&b, Marker { suffixes: 4, expires: 6 }).await;
        assert_eq!(heat.count(&b, 1).await, 16);
        heat.learn(&b, Marker { suffixes: 4, expires: 9 }).await;
        assert_eq!(heat.marker(&b).await, Some(Marker { suffixes: 4, expires: 9 }), "the wider one may be gone");
        assert_eq!(heat.marker(&a).await, None, "what was wanted is not what is durable");
    }
}
