//! Twins of an organisation: one in memory whose pages are small, and one that fails at a call.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;

use super::super::twins::{Mood, Watch};
use super::*;

/// An organisation in memory.
#[derive(Debug, Clone, Default)]
pub(crate) struct MemoryOrganization {
    pub(crate) roots: Vec<String>,
    /// Units by parent: id and name.
    pub(crate) units: BTreeMap<String, Vec<(String, String)>>,
    /// Accounts by parent: id and name.
    pub(crate) accounts: BTreeMap<String, Vec<(String, String)>>,
    pub(crate) tags: BTreeMap<String, Vec<(String, String)>>,
}

/// Two items a page, and an empty page before the last.
fn page<T: Clone>(items: &[T], next: Option<String>) -> Page<T> {
    let at: usize = next.map_or(0, |next| next.parse().unwrap());
    let end = items.len().div_ceil(2);
    match at {
        at if at < end => {
            let items = items[2 * at..(2 * at + 2).min(items.len())].to_vec();
            Page { items, next: Some((at + 1).to_string()) }
        }
        at => Page { items: Vec::new(), next: (at == end).then(|| (at + 1).to_string()) },
    }
}

#[async_trait]
impl Organization for MemoryOrganization {
    async fn roots(&self, next: Option<String>) -> Result<Page<String>, Fault> {
        Ok(page(&self.roots, next))
    }

    async fn units(&self, parent: &str, next: Option<String>) -> Result<Page<(String, String)>, Fault> {
        Ok(page(self.units.get(parent).map_or(&[], Vec::as_slice), next))
    }

    async fn accounts(&self, parent: &str, next: Option<String>) -> Result<Page<Member>, Fault> {
        let named = page(self.accounts.get(parent).map_or(&[], Vec::as_slice), next);
        let member = |(id, name): (String, String)| Member { id, name: Some(name), ..Member::default() };
        Ok(Page { items: named.items.into_iter().map(member).collect(), next: named.next })
    }

    async fn tags(&self, account: &str, next: Option<String>) -> Result<Page<(String, String)>, Fault> {
        Ok(page(self.tags.get(account).map_or(&[], Vec::as_slice), next))
    }
}

/// Fails from a certain call on, in whatever mood it is told to be.
#[derive(Debug)]
pub(crate) struct FailingOrganization {
    pub(crate) inner: MemoryOrganization,
    pub(crate) watch: Arc<Watch>,
    /// So many calls go well first.
    pub(crate) fails_at: AtomicUsize,
}

impl FailingOrganization {
    /// The example, which answers so many calls before the watch's mood holds.
    pub(crate) fn new(watch: Arc<Watch>, fails_at: usize) -> FailingOrganization {
        FailingOrganization { inner: example(), watch, fails_at: AtomicUsize::new(fails_at) }
    }

    async fn before(&self) -> Result<(), Fault> {
        let call = self.watch.calls.fetch_add(1, Ordering::Relaxed);
        if call < self.fails_at.load(Ordering::Relaxed) {
            return Ok(());
        }
        match self.watch.mood() {
            Mood::Well => Ok(()),
            Mood::Hangs => std::future::pending().await,
            Mood::Limits(retry_after) => Err(Fault::Limited { retry_after }),
            Mood::Refuses => Err(Fault::Refused("AccessDeniedException".to_owned())),
            Mood::Garbage => Err(Fault::Nonsense("no JSON".to_owned())),
            _ => Err(Fault::Unavailable("connection refused".to_owned())),
        }
    }
}

#[async_trait]
impl Organization for FailingOrganization {
    async fn roots(&self, next: Option<String>) -> Result<Page<String>, Fault> {
        self.before().await?;
        self.inner.roots(next).await
    }

    async fn units(&self, parent: &str, next: Option<String>) -> Result<Page<(String, String)>, Fault> {
        self.before().await?;
        self.inner.units(parent, next).await
    }

    async fn accounts(&self, parent: &str, next: Option<String>) -> Result<Page<Member>, Fault> {
        self.before().await?;
        self.inner.accounts(parent, next).await
    }

    async fn tags(&self, account: &str, next: Option<String>) -> Result<Page<(String, String)>, Fault> {
        self.before().await?;
        self.inner.tags(account, next).await
    }
}

/// Two levels of units and five accounts.
pub(crate) fn example() -> MemoryOrganization {
    let pairs = |list: &[(&str, &str)]| list.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect();
    MemoryOrganization {
        roots: vec!["r-1".to_owned()],
        units: [
            ("r-1".to_owned(), pairs(&[("ou-w", "Workloads"), ("ou-s", "Security"), ("ou-x", "Sandbox")])),
            ("ou-w".to_owned(), pairs(&[("ou-p", "Production")])),
        ]
        .into(),
        accounts: [
            ("r-1".to_owned(), pairs(&[("000000000001", "management")])),
            (
                "ou-p".to_owned(),
                pairs(&[("000000000002", "payments"), ("000000000003", "web"), ("000000000004", "old")]),
            ),
            ("ou-s".to_owned(), pairs(&[("000000000005", "audit")])),
        ]
        .into(),
        tags: [("000000000002".to_owned(), pairs(&[("environment", "production"), ("team", "pay"), ("cost", "7")]))]
            .into(),
    }
}
