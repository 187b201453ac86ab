//! [`Cached`]: a source behind a bounded memory, asked once for what many want, and left alone while it fails.

mod answers;
mod question;

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::future::BoxFuture;
use moka::future::Cache;
use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};

pub(crate) use self::answers::Answers;
use self::question::Question;
use super::meter::{Meter, Reading};
use super::source::{Fault, Loaded, Source};
use dial_sinks::circuit::{Circuit, chance};

/// What an entry of the cache takes besides key and value: moka's own records of it. About.
const OVERHEAD: usize = 200;

/// How a source is cached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Policy {
    /// The most bytes that answers may take, about.
    pub(crate) capacity: u64,
    /// How long an answer holds.
    pub(crate) ttl: Duration,
    /// How long the answer holds that there is nothing on a key.
    pub(crate) nothing_ttl: Duration,
    /// How long whoever wants context waits for it.
    pub(crate) patience: Duration,
    /// After so long the source is given up; until then a late answer is still kept.
    pub(crate) give_up: Duration,
    /// How many keys may be asked about at one time.
    pub(crate) under_way: usize,
}

impl Default for Policy {
    fn default() -> Self {
        Policy {
            capacity: 32 << 20,
            ttl: Duration::from_secs(3600),
            nothing_ttl: Duration::from_secs(300),
            patience: Duration::from_millis(500),
            give_up: Duration::from_secs(30),
            under_way: 10_000,
        }
    }
}

/// A source and the memory in front of it. Cheap to clone: all clones are one.
#[derive(Debug)]
pub(crate) struct Cached<S: Source>(Arc<Inner<S>>);

impl<S: Source> Clone for Cached<S> {
    fn clone(&self) -> Self {
        Cached(Arc::clone(&self.0))
    }
}

#[derive(Debug)]
struct Inner<S: Source> {
    source: S,
    policy: Policy,
    answers: Cache<S::Key, Entry<S::Value>>,
    state: Mutex<State<S>>,
    meter: Meter,
}

/// An answer and how long it holds. The cache's own times to live only free memory.
#[derive(Debug, Clone)]
struct Entry<V> {
    answer: Option<V>,
    until: Instant,
    weight: u32,
}

#[derive(Debug)]
struct State<S: Source> {
    circuit: Circuit<Fault>,
    /// What is being asked about, and by which question.
    under_way: HashMap<S::Key, Flight<S>>,
}

/// A question that was asked.
#[derive(Debug)]
struct Flight<S: Source> {
    begun: Instant,
    /// What it comes to, once it has.
    landing: Landing<S>,
}

/// What a question has come to, if it has.
type Landed<S> = Option<Arc<Loaded<<S as Source>::Key, <S as Source>::Value>>>;

type Landing<S> = watch::Receiver<Landed<S>>;

impl<S: Source> Clone for Flight<S> {
    fn clone(&self) -> Self {
        Flight { begun: self.begun, landing: self.landing.clone() }
    }
}

/// A question whose answer is waited for, with the keys that it is waited for.
type Waited<S> = (Vec<<S as Source>::Key>, Flight<S>);

impl<S: Source> Cached<S> {
    /// Nothing is known yet.
    pub(crate) fn new(source: S, policy: Policy) -> Cached<S> {
        let answers = Cache::builder()
            .max_capacity(policy.capacity)
            .weigher(|_: &S::Key, entry: &Entry<S::Value>| entry.weight)
            .time_to_live(policy.ttl.max(policy.nothing_ttl))
            .build();
        let state = Mutex::new(State { circuit: Circuit::default(), under_way: HashMap::new() });
        Cached(Arc::new(Inner { source, policy, answers, state, meter: Meter::default() }))
    }

    /// What is known of these keys: from memory, else from the source if it answers in time. Never takes longer than the
    /// policy's patience; what comes later is kept for the next time.
    pub(crate) fn get(&self, keys: impl IntoIterator<Item = S::Key>) -> BoxFuture<'_, Answers<S>> {
        // In a box, so that the compiler sees at once that tasks may hold it.
        Box::pin(self.look_up(keys.into_iter().collect()))
    }

    async fn look_up(&self, wanted: HashSet<S::Key>) -> Answers<S> {
        let mut answers = Answers { known: HashMap::with_capacity(wanted.len()), fault: None };
        let mut unknown = Vec::new();
        for key in wanted {
            match self.0.remembered(&key).await {
                Some(answer) => drop(answers.known.insert(key, answer)),
                None => unknown.push(key),
            }
        }
        self.0.meter.looked_up(answers.known.len(), unknown.len());
        if unknown.is_empty() {
            return answers;
        }
        let (flights, fault) = self.depart(unknown);
        answers.fault = fault;
        for (keys, Flight { begun, mut landing }) in flights {
            // From its beginning: nobody waits anew for what others have waited for in vain.
            let deadline = begun + self.0.policy.patience;
            let waits = Instant::now() < deadline;
            let Ok(landed) = timeout_at(deadline, landing.wait_for(|landed| landed.is_some())).await else {
                if waits {
                    self.0.note_slow();
                }
                answers.fault = Some(Fault::Slow);
                continue;
            };
            let landed = landed.ok().and_then(|landed| landed.clone());
            answers.take(keys, landed.as_deref());
        }
        answers
    }

    /// The counters.
    pub(crate) fn read(&self) -> Reading {
        Reading {
            open: self.0.state().circuit.is_open(),
            entries: self.0.answers.entry_count(),
            weight: self.0.answers.weighted_size(),
            ..self.0.meter.read(self.0.source.part())
        }
    }

    /// Joins the questions that are under way, and asks about the other keys if the source may be asked.
    fn depart(&self, unknown: Vec<S::Key>) -> (Vec<Waited<S>>, Option<Fault>) {
        let mut state = self.0.state();
        let mut joined: Vec<Waited<S>> = Vec::new();
        let mut fresh = Vec::new();
        for key in unknown {
            match state.under_way.get(&key) {
                None => fresh.push(key),
                Some(flight) => {
                    match joined.iter_mut().find(|(_, other)| flight.landing.same_channel(&other.landing)) {
                        Some((keys, _)) => keys.push(key),
                        None => joined.push((vec![key], flight.clone())),
                    }
                }
            }
        }
        let mut fault = None;
        let room = self.0.policy.under_way.saturating_sub(state.under_way.len());
        if fresh.len() > room {
            self.0.meter.unasked(fresh.len() - room);
            fresh.truncate(room);
            fault = Some(Fault::Slow);
        }
        if fresh.is_empty() {
            return (joined, fault);
        }
        if let Err(refusal) = state.circuit.ask(Instant::now()) {
            self.0.meter.unasked(fresh.len());
            return (joined, Some(refusal));
        }
        let (sender, landing) = watch::channel(None);
        let flight = Flight { begun: Instant::now(), landing };
        state.under_way.extend(fresh.iter().map(|key| (key.clone(), flight.clone())));
        drop(state);
        let question = Question { inner: Arc::clone(&self.0), keys: fresh.clone(), sender, landed: false };
        // On its own: nobody's impatience ends it.
        tokio::spawn(question.ask());
        joined.push((fresh, flight));
        (joined, fault)
    }
}

impl<S: Source> Inner<S> {
    fn state(&self) -> MutexGuard<'_, State<S>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The answer in memory, unless it has aged.
    async fn remembered(&self, key: &S::Key) -> Option<Option<S::Value>> {
        let entry = self.answers.get(key).await?;
        (Instant::now() < entry.until).then_some(entry.answer)
    }

    async fn remember(&self, key: &S::Key, answer: &Option<S::Value>) {
        let ttl = if answer.is_some() { self.policy.ttl } else { self.policy.nothing_ttl };
        let weight = self.source.weight(key, answer.as_ref()).saturating_add(OVERHEAD);
        let weight = u32::try_from(weight).unwrap_or(u32::MAX);
        self.answers.insert(key.clone(), Entry { answer: answer.clone(), until: Instant::now() + ttl, weight }).await;
    }

    /// Somebody has waited in vain: others need not, until the question has landed.
    fn note_slow(&self) {
        let mut state = self.state();
        if !state.circuit.is_open() {
            state.circuit.failed(Fault::Slow, Instant::now(), chance());
            drop(state);
            self.meter.failed(&Fault::Slow);
            tracing::warn!(part = self.source.part(), fault = %Fault::Slow, "context is missing from findings");
        }
    }
}

#[cfg(test)]
#[path = "cached_tests.rs"]
mod tests;
