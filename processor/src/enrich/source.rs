//! [`Source`]: where context comes from that no file on this machine says. The port behind every cache.

use std::collections::HashMap;
use std::fmt::Debug;
use std::hash::Hash;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use dial_sinks::circuit::{self, Pause};

/// A service or a store that knows something of keys. Asked through a [`Cached`](super::cached::Cached) only.
#[async_trait]
pub(crate) trait Source: Debug + Send + Sync + 'static {
    /// What is asked about.
    type Key: Clone + Debug + Eq + Hash + Send + Sync + 'static;
    /// What is known of it.
    type Value: Clone + Debug + Send + Sync + 'static;

    /// The part of the context that it gives, as metrics and [`Missing`](dial_rules::context::Missing) call it.
    fn part(&self) -> &'static str;

    /// About how many bytes of memory an answer takes, its key among them.
    fn weight(&self, key: &Self::Key, value: Option<&Self::Value>) -> usize;

    /// Asks about keys, each given once. It may take as long as it likes: nobody waits for it beyond a limit.
    async fn load(&self, keys: Vec<Self::Key>) -> Loaded<Self::Key, Self::Value>;
}

/// What asking came to: answers to some keys, and why not to the others.
#[derive(Debug, Clone)]
pub(crate) struct Loaded<K, V> {
    /// Answers. `None` is one too: the source has nothing on this key.
    pub(crate) answers: HashMap<K, Option<V>>,
    /// Why keys are left without an answer.
    pub(crate) fault: Option<Fault>,
}

impl<K, V> Loaded<K, V> {
    /// No answer at all.
    pub(crate) fn failed(fault: Fault) -> Self {
        Loaded { answers: HashMap::new(), fault: Some(fault) }
    }
}

/// Why a source gave no answer. Its text goes into findings: it names neither keys nor secrets.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Fault {
    /// It could not be reached, or failed by its own account.
    #[error("it is out of reach: {0}")]
    Unavailable(String),
    /// It did not answer in time.
    #[error("it did not answer in time")]
    Slow,
    /// It wants to be asked less often.
    #[error("it limits how often it is asked")]
    Limited {
        /// Not to be asked again before so long, if it said.
        retry_after: Option<Duration>,
    },
    /// It does not let us ask at all.
    #[error("it refuses: {0}")]
    Refused(String),
    /// What it answered makes no sense.
    #[error("its answer makes no sense: {0}")]
    Nonsense(String),
    /// What it answered about some keys makes no sense. The source is well.
    #[error("its answer about this makes no sense: {0}")]
    Odd(String),
    /// The budget for asking it is spent. The source is well.
    #[error("this minute's budget is spent")]
    OverBudget,
}

impl circuit::Failure for Fault {
    fn pause(&self) -> Pause {
        match self {
            Fault::Refused(_) => Pause::Long,
            Fault::Limited { retry_after: Some(told) } => Pause::AtLeast(*told),
            _ => Pause::Doubling,
        }
    }
}

impl Fault {
    /// Every kind, as metrics call them.
    pub(crate) const KINDS: [&'static str; 6] =
        ["unavailable", "slow", "limited", "refused", "nonsense", "over_budget"];

    /// Which of [`Fault::KINDS`] it is.
    pub(crate) fn kind(&self) -> usize {
        match self {
            Fault::Unavailable(_) => 0,
            Fault::Slow => 1,
            Fault::Limited { .. } => 2,
            Fault::Refused(_) => 3,
            Fault::Nonsense(_) | Fault::Odd(_) => 4,
            Fault::OverBudget => 5,
        }
    }
}

/// Any source of these keys and values. A type of its own around the trait object, whose lifetime would else keep the
/// compiler from seeing that tasks may hold what refers to it.
#[derive(Debug)]
pub(crate) struct AnySource<K, V>(Arc<dyn Source<Key = K, Value = V>>);

impl<K: 'static, V: 'static> AnySource<K, V> {
    pub(crate) fn new(source: impl Source<Key = K, Value = V>) -> Self {
        AnySource(Arc::new(source))
    }
}

#[async_trait]
impl<K, V> Source for AnySource<K, V>
where
    K: Clone + Debug + Eq + Hash + Send + Sync + 'static,
    V: Clone + Debug + Send + Sync + 'static,
{
    type Key = K;
    type Value = V;

    fn part(&self) -> &'static str {
        self.0.part()
    }

    fn weight(&self, key: &K, value: Option<&V>) -> usize {
        self.0.weight(key, value)
    }

    async fn load(&self, keys: Vec<K>) -> Loaded<K, V> {
        self.0.load(keys).await
    }
}
