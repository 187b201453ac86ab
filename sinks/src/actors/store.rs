//! [`ActorStore`]: the port behind which ancestries are kept.

use std::collections::{BTreeSet, HashMap};

use async_trait::async_trait;
use dial_rules::event::Millis;
use dial_rules::lineage::{Ancestry, Link};
use thiserror::Error;

/// Keeps, for each temporary credential, who asked for it.
///
/// Every link is joined to what is there ([`Ancestry::join`]), so links may be learned in any order, as often as one likes, and
/// by any number of workers at once: what is known depends on the set of links alone. A row is forgotten 90 days after its last
/// write; credentials last 36 hours at most.
#[async_trait]
pub trait ActorStore: std::fmt::Debug + Send + Sync {
    /// Joins `links` to the store. When it returns `Ok`, all of them are durable. What is known already is not written again,
    /// but for a row half of whose time is over. A row that is damaged is written over.
    ///
    /// # Errors
    ///
    /// When something could not be written. Some links may have been learned all the same: learning all of them again is
    /// harmless, and right.
    async fn learn(&self, links: Vec<Link>, now: Millis) -> Result<Learned, ActorError>;

    /// What is known of these credentials, with everything that was learned before the call; those of which nothing is known
    /// are left out.
    ///
    /// # Errors
    ///
    /// When the store cannot be read, or a row is damaged.
    async fn known(&self, credentials: &BTreeSet<String>) -> Result<HashMap<String, Ancestry>, ActorError>;
}

/// What [`ActorStore::learn`] did, counted in credentials.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Learned {
    /// Rows that were written.
    pub written: usize,
    /// Rows that said it all already.
    pub unchanged: usize,
}

/// Why links could not be learned, or ancestries not be read.
#[derive(Debug, Error)]
pub enum ActorError {
    /// The database did not do what it was asked: it is away, full, throttled or refuses us. Trying again may help.
    #[error("cannot {action}: {source}")]
    Unavailable {
        /// What was being done, to what.
        action: String,
        /// What the database or its driver says.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// Others changed the row between each of our reads and writes. Trying again helps.
    #[error("what is known of {credential} was changed by other writers during each of {attempts} attempts; try again")]
    Contended {
        /// The access key id.
        credential: String,
        /// How often the write was tried.
        attempts: u32,
    },
    /// A row is there, but not as any version of this program writes it.
    #[error(
        "what is known of {credential} is damaged ({reason}); the next event that tells of it writes it anew, or delete the row"
    )]
    Damaged {
        /// The access key id.
        credential: String,
        /// What is wrong with it.
        reason: String,
    },
}

impl ActorError {
    pub(crate) fn unavailable(
        action: impl Into<String>,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        ActorError::Unavailable { action: action.into(), source: source.into() }
    }
}
