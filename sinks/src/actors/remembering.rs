//! [`RememberingActorStore`]: what was learned before is not written again.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use dial_rules::event::Millis;
use dial_rules::lineage::{Ancestry, Link};
use moka::future::Cache;

use super::{ActorError, ActorStore, Learned};

/// How many bytes of links are remembered: some thirty thousand links.
const MOST_BYTES: u64 = 8 * 1024 * 1024;
/// What a link weighs beside its texts.
const OVERHEAD: usize = 128;
/// How long a link is remembered: much shorter than a row is kept, so that a row that is in use is renewed.
const REMEMBERED: Duration = Duration::from_secs(24 * 3600);

/// Wraps a store and remembers the links that are durable in it. A link is compared as a whole: nothing is taken for another.
#[derive(Debug)]
pub struct RememberingActorStore {
    inner: Arc<dyn ActorStore>,
    seen: Cache<Link, ()>,
    hits: AtomicU64,
    misses: AtomicU64,
}

impl RememberingActorStore {
    /// Remembers up to 8 MiB of links, for a day.
    pub fn new(inner: Arc<dyn ActorStore>) -> Self {
        Self::with_room(inner, MOST_BYTES)
    }

    /// Remembers so many bytes of links.
    pub fn with_room(inner: Arc<dyn ActorStore>, bytes: u64) -> Self {
        let seen =
            Cache::builder().weigher(|link, ()| weight(link)).max_capacity(bytes).time_to_live(REMEMBERED).build();
        Self { inner, seen, hits: AtomicU64::new(0), misses: AtomicU64::new(0) }
    }

    /// How many links were known, and how many were not, so far.
    pub fn hits_and_misses(&self) -> (u64, u64) {
        (self.hits.load(Ordering::Relaxed), self.misses.load(Ordering::Relaxed))
    }

    /// How many bytes it remembers now, about.
    pub async fn weight(&self) -> u64 {
        self.seen.run_pending_tasks().await;
        self.seen.weighted_size()
    }
}

fn weight(link: &Link) -> u32 {
    let texts = link.from.credentials.iter().chain(&link.from.persons).chain(&link.session);
    let bytes: usize = texts.map(|text| text.len() + 32).sum();
    u32::try_from(OVERHEAD + link.credential.len() + bytes).unwrap_or(u32::MAX)
}

#[async_trait]
impl ActorStore for RememberingActorStore {
    async fn learn(&self, mut links: Vec<Link>, now: Millis) -> Result<Learned, ActorError> {
        let all = links.len();
        let mut unseen = Vec::new();
        links.sort_unstable();
        links.dedup();
        for link in links {
            if self.seen.get(&link).await.is_none() {
                unseen.push(link);
            }
        }
        let known = all - unseen.len();
        self.hits.fetch_add(known as u64, Ordering::Relaxed);
        self.misses.fetch_add(unseen.len() as u64, Ordering::Relaxed);
        if unseen.is_empty() {
            return Ok(Learned { written: 0, unchanged: known });
        }
        let learned = self.inner.learn(unseen.clone(), now).await?;
        for link in unseen {
            self.seen.insert(link, ()).await;
        }
        Ok(Learned { unchanged: learned.unchanged + known, ..learned })
    }

    async fn known(&self, credentials: &BTreeSet<String>) -> Result<HashMap<String, Ancestry>, ActorError> {
        self.inner.known(credentials).await
    }
}
