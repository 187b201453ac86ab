//! What a scan learns of lineage: in memory, and in a file once it is much, so that memory stays flat however much is read.

use std::collections::HashSet;
use std::sync::Arc;

use dial_rules::lineage::Link;
use dial_sinks::actors::memory::MemoryActorStore;
use dial_sinks::actors::sqlite::SqliteActorStore;
use dial_sinks::actors::{ActorError, ActorStore};

use crate::clock::now;
use crate::scratch::Scratch;

/// How many links are held in memory before they go into the file.
const MOST: usize = 20_000;

/// The links of one scan.
#[derive(Debug, Default)]
pub(crate) struct LinkPile {
    held: HashSet<Link>,
    file: Option<SqliteActorStore>,
    /// Where the file is, if it is nobody else's.
    scratch: Option<Scratch>,
}

impl LinkPile {
    /// A pile that ends up in `store`, which is kept.
    pub(crate) fn into_store(store: SqliteActorStore) -> LinkPile {
        LinkPile { file: Some(store), ..LinkPile::default() }
    }

    /// Adds links.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub(crate) async fn add(&mut self, links: Vec<Link>) -> Result<(), ActorError> {
        self.held.extend(links);
        if self.held.len() > MOST { self.spill().await } else { Ok(()) }
    }

    async fn spill(&mut self) -> Result<(), ActorError> {
        let store = match &self.file {
            Some(store) => store.clone(),
            None => {
                let scratch = self.scratch.insert(Scratch::new("actors"));
                self.file.insert(SqliteActorStore::open(scratch.file("actors.db")).await?).clone()
            }
        };
        store.learn(self.held.drain().collect(), now()).await.map(drop)
    }

    /// A store that knows all that was added.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub(crate) async fn store(&mut self) -> Result<Arc<dyn ActorStore>, ActorError> {
        if self.file.is_some() {
            self.spill().await?;
        }
        match &self.file {
            Some(store) => Ok(Arc::new(store.clone())),
            None => {
                let memory = MemoryActorStore::new();
                memory.learn(self.held.iter().cloned().collect(), now()).await?;
                Ok(Arc::new(memory))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use dial_rules::lineage::Lineage;
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
}
