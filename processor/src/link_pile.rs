//! What a scan learns of lineage: in memory, and in a file once it is much, so that memory stays flat however much is read.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use async_trait::async_trait;
use dial_rules::event::Millis;
use dial_rules::lineage::{Ancestry, Link};
use dial_sinks::actors::memory::MemoryActorStore;
use dial_sinks::actors::sqlite::SqliteActorStore;
use dial_sinks::actors::{ActorError, ActorStore, Learned};

use crate::clock::now;
use crate::scratch::Scratch;

/// How many links are held in memory before they go into the file.
const MOST: usize = 20_000;

/// The links of one scan.
#[derive(Debug, Default)]
pub(crate) struct LinkPile {
    held: HashSet<Link>,
    file: Option<Arc<dyn ActorStore>>,
    /// Where the file is, if it is nobody else's.
    scratch: Option<Scratch>,
    /// Whether the file is somebody else's, who wants all of it.
    kept: bool,
    /// Why nothing is learned any more.
    lost: Option<String>,
}

impl LinkPile {
    /// A pile that ends up in `store`, which is kept.
    pub(crate) fn into_store(store: impl ActorStore + 'static) -> LinkPile {
        LinkPile { file: Some(Arc::new(store)), kept: true, ..LinkPile::default() }
    }

    /// Adds links. Where nothing is kept, a file that cannot be written costs the lineage and not the scan.
    ///
    /// # Errors
    /// When the file is to be kept and cannot be written.
    pub(crate) async fn add(&mut self, links: Vec<Link>) -> Result<(), ActorError> {
        if self.lost.is_some() {
            return Ok(());
        }
        self.held.extend(links);
        if self.held.len() > MOST { self.spill_or_lose().await } else { Ok(()) }
    }

    async fn spill_or_lose(&mut self) -> Result<(), ActorError> {
        match self.spill().await {
            Err(error) if !self.kept => {
                tracing::warn!(%error, "the scan goes on without lineage: who is behind credentials is not told");
                self.held = HashSet::new();
                self.lost = Some(error.to_string());
                Ok(())
            }
            done => done,
        }
    }

    async fn spill(&mut self) -> Result<(), ActorError> {
        let store = match &self.file {
            Some(store) => store.clone(),
            None => {
                let scratch = self.scratch.insert(Scratch::new("actors"));
                let store = SqliteActorStore::open(scratch.file("actors.db")).await?;
                self.file.insert(Arc::new(store)).clone()
            }
        };
        store.learn(self.held.drain().collect(), now()).await.map(drop)
    }

    /// A store that knows all that was added; one that only says so, if that is lost.
    ///
    /// # Errors
    /// When the file is to be kept and cannot be written.
    pub(crate) async fn store(&mut self) -> Result<Arc<dyn ActorStore>, ActorError> {
        if self.file.is_some() && self.lost.is_none() {
            self.spill_or_lose().await?;
        }
        match (&self.lost, &self.file) {
            (Some(why), _) => Ok(Arc::new(Lost(why.clone()))),
            (None, Some(store)) => Ok(store.clone()),
            (None, None) => {
                let memory = MemoryActorStore::new();
                memory.learn(self.held.iter().cloned().collect(), now()).await?;
                Ok(Arc::new(memory))
            }
        }
    }
}

/// In the place of a store that could not be written: whoever asks is told that lineage is missing, and not that there is none.
#[derive(Debug)]
struct Lost(String);

impl Lost {
    fn error(&self) -> ActorError {
        ActorError::Unavailable { action: "keep the lineage of this scan".to_owned(), source: self.0.clone().into() }
    }
}

#[async_trait]
impl ActorStore for Lost {
    async fn learn(&self, _: Vec<Link>, _: Millis) -> Result<Learned, ActorError> {
        Err(self.error())
    }

    async fn known(&self, _: &BTreeSet<String>) -> Result<HashMap<String, Ancestry>, ActorError> {
        Err(self.error())
    }
}

#[cfg(test)]
mod tests {
    use dial_rules::lineage::Lineage;
    use dial_sinks::actors::failing::{FailingActorStore, Mood};
    use dial_sinks::actors::resolve;

    use super::*;

    #[tokio::test]
    async fn much_goes_into_a_file_and_nothing_is_lost() {
        let key = |n: usize| format!("ASIA{n:016}");
        let from = |n: usize| Lineage { credentials: [key(n)].into(), ..Lineage::default() };
        let mut pile = LinkPile::default();
        // Chains of four.
        let links =
            (0..MOST + 10).map(|n| Link { credential: key(n), from: from(n / 4 * 4 + (n + 1) % 4), session: None });
        for link in links.collect::<Vec<_>>().chunks(1_000) {
            pile.add(link.to_vec()).await.unwrap();
        }
        let file = pile.scratch.as_ref().map(|scratch| scratch.file("actors.db")).unwrap();
        assert!(file.exists());
        let store = pile.store().await.unwrap();
        for n in [0, 17, MOST + 1] {
            let found = &resolve(store.as_ref(), [from(n)]).await.unwrap()[&from(n)];
            assert_eq!(found.lineage.credentials, (n / 4 * 4..n / 4 * 4 + 4).map(key).collect(), "{n}");
        }
        drop(pile);
        assert!(!file.exists());
    }

    /// As a full disk would have it.
    fn broken() -> FailingActorStore {
        let store = FailingActorStore::moody(Arc::new(MemoryActorStore::new()));
        store.set(Mood::Down);
        store
    }

    #[tokio::test]
    async fn a_file_that_cannot_be_written_costs_lineage_alone_unless_it_is_to_be_kept() {
        let from =
            Lineage { persons: ["arn:aws:iam::111122223333:user/alice".to_owned()].into(), ..Lineage::default() };
        let link = |n: usize| Link { credential: format!("ASIA{n:016}"), from: from.clone(), session: None };
        let links: Vec<Link> = (0..MOST + 1).map(link).collect();
        let mut pile = LinkPile { file: Some(Arc::new(broken())), ..LinkPile::default() };
        pile.add(links.clone()).await.unwrap();
        assert!(pile.held.is_empty(), "memory does not grow either");
        pile.add(links.clone()).await.unwrap();
        let store = pile.store().await.unwrap();
        // As it is shown.
        let event = serde_json::json!({ "eventID": "e", "eventTime": "2026-01-31T12:00:00Z",
            "eventSource": "iam.amazonaws.com", "eventName": "GetUser",
            "userIdentity": { "type": "AssumedRole", "accessKeyId": "ASIA0000000000000001" } });
        let rule = "title: T\nid: 6f3a8c1e-0000-4000-8000-000000000001\nlogsource: { product: aws, service: cloudtrail }\n\
            detection: { a: { eventName: GetUser }, condition: a }\nlevel: low\n";
        let rule = dial_rules::ruleset::RuleFile { name: "r.yml".to_owned(), text: rule.to_owned() };
        let rules = dial_rules::ruleset::RuleSet::load(&[rule]).rules;
        let mut detected = crate::pipeline::Detected::default();
        let detection = crate::pipeline::Detection { rules: &rules, tables: rules.tables(), allowed_lateness: 0 };
        detection.record(event.to_string().as_bytes(), 0, &mut detected);
        let enricher = crate::enrich::enricher::Enricher::of_tables(dial_rules::tables::Tables::default());
        let assessor = crate::assess::Assessor::new(dial_rules::policy::Policy::default(), enricher).with_actors(store);
        let missing = assessor.assess(detected.findings).await.remove(0).context.missing;
        assert_eq!(missing.iter().map(|missing| missing.part).collect::<Vec<_>>(), ["lineage"], "{missing:?}");
        LinkPile::into_store(broken()).add(links).await.unwrap_err();
    }
}
