//! [`resolve`]: everybody behind a batch of events.

use std::collections::{BTreeSet, HashMap};

use dial_rules::lineage::{Ancestry, Lineage, Resolved, Walk};

use super::{ActorError, ActorStore};

/// Everybody behind each of these origins, by what the store knows now. The store is asked once a hop for all of them, and once
/// for each credential.
///
/// # Errors
///
/// When the store cannot be read.
pub async fn resolve(
    store: &dyn ActorStore,
    origins: impl IntoIterator<Item = Lineage> + Send,
) -> Result<HashMap<Lineage, Resolved>, ActorError> {
    let mut walks: HashMap<Lineage, Walk> = HashMap::new();
    for origin in origins {
        walks.entry(origin).or_insert_with_key(|origin| Walk::from(origin.clone()));
    }
    let mut answers: HashMap<String, Option<Ancestry>> = HashMap::new();
    loop {
        let wanted: BTreeSet<String> = walks.values().flat_map(|walk| walk.wanted().iter().cloned()).collect();
        if wanted.is_empty() {
            return Ok(walks.into_iter().map(|(origin, walk)| (origin, walk.finish())).collect());
        }
        let unasked: BTreeSet<String> = wanted.into_iter().filter(|id| !answers.contains_key(id)).collect();
        if !unasked.is_empty() {
            let mut known = store.known(&unasked).await?;
            answers.extend(unasked.into_iter().map(|id| {
                let ancestry = known.remove(&id);
                (id, ancestry)
            }));
        }
        for walk in walks.values_mut().filter(|walk| !walk.wanted().is_empty()) {
            walk.step(|id| answers.get(id).cloned().flatten());
        }
    }
}
