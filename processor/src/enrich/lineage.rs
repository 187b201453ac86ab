//! [`Actors`]: who is behind a credential, by the store of actors.

use std::collections::HashMap;
use std::sync::Arc;

use async_trait::async_trait;
use dial_rules::lineage::{Lineage, Resolved};
use dial_sinks::actors::{ActorError, ActorStore, resolve};

use super::source::{Fault, Loaded, Source};

/// The store of actors as a source: what an event says itself → everybody behind it.
#[derive(Debug, Clone)]
pub(crate) struct Actors(pub(crate) Arc<dyn ActorStore>);

#[async_trait]
impl Source for Actors {
    type Key = Lineage;
    type Value = Resolved;

    fn part(&self) -> &'static str {
        "lineage"
    }

    fn weight(&self, key: &Lineage, value: Option<&Resolved>) -> usize {
        let chain = value.map_or(0, |value| value.chain.iter().map(|session| 24 + session.len()).sum());
        weight(key) + value.map_or(0, |value| weight(&value.lineage)) + chain
    }

    async fn load(&self, keys: Vec<Lineage>) -> Loaded<Lineage, Resolved> {
        match resolve(self.0.as_ref(), keys.clone()).await {
            Ok(resolved) => Loaded { answers: some(resolved), fault: None },
            // One row that is damaged must not take everybody's lineage.
            Err(ActorError::Damaged { .. }) => self.load_each(keys).await,
            Err(error) => Loaded::failed(Fault::Unavailable(error.to_string())),
        }
    }
}

impl Actors {
    async fn load_each(&self, keys: Vec<Lineage>) -> Loaded<Lineage, Resolved> {
        let mut loaded = Loaded { answers: HashMap::new(), fault: None };
        for key in keys {
            match resolve(self.0.as_ref(), [key.clone()]).await {
                Ok(resolved) => loaded.answers.extend(some(resolved)),
                Err(ActorError::Damaged { .. }) => {
                    tracing::warn!("a row of the store of actors is damaged, and what it says is left out");
                    // The event's own words are true whatever the store says.
                    let resolved = Resolved { lineage: key.clone(), chain: Vec::new(), cut: true };
                    loaded.answers.insert(key, Some(resolved));
                }
                Err(error) => {
                    loaded.fault = Some(Fault::Unavailable(error.to_string()));
                    return loaded;
                }
            }
        }
        loaded
    }
}

fn some(resolved: HashMap<Lineage, Resolved>) -> HashMap<Lineage, Option<Resolved>> {
    resolved.into_iter().map(|(key, resolved)| (key, Some(resolved))).collect()
}

/// About how many bytes it takes: nodes of its sets, and texts.
fn weight(lineage: &Lineage) -> usize {
    let text = |text: &String| 48 + text.len();
    64 + lineage.credentials.iter().chain(&lineage.persons).map(text).sum::<usize>()
}
