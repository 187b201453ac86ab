//! Twins of a source for tests: one in memory, and one that fails as it is told.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;

use super::source::{Fault, Loaded, Source};

/// What a source does when asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mood {
    /// It answers at once.
    Well,
    /// It answers after so long.
    Late(Duration),
    /// It cannot be reached.
    Down,
    /// It never answers.
    Hangs,
    /// It answers something, but not what was asked.
    Garbage,
    /// It wants to be left alone.
    Limits(Option<Duration>),
    /// It does not let us ask.
    Refuses,
    /// It panics.
    Panics,
    /// It answers so many keys and then fails.
    Partly(usize),
}

/// Every way to be of no use.
pub(crate) const BAD_MOODS: [Mood; 6] = [
    Mood::Down,
    Mood::Hangs,
    Mood::Garbage,
    Mood::Limits(None),
    Mood::Limits(Some(Duration::from_secs(20))),
    Mood::Panics,
];

/// What tests see of a twin.
#[derive(Debug)]
pub(crate) struct Watch {
    mood: Mutex<Mood>,
    pub(crate) calls: AtomicUsize,
    pub(crate) keys: AtomicUsize,
}

impl Watch {
    pub(crate) fn new(mood: Mood) -> Arc<Watch> {
        Arc::new(Watch { mood: Mutex::new(mood), calls: AtomicUsize::new(0), keys: AtomicUsize::new(0) })
    }

    pub(crate) fn set(&self, mood: Mood) {
        *self.mood.lock().unwrap() = mood;
    }

    pub(crate) fn mood(&self) -> Mood {
        *self.mood.lock().unwrap()
    }

    pub(crate) fn calls(&self) -> usize {
        self.calls.load(Ordering::Relaxed)
    }

    pub(crate) fn keys(&self) -> usize {
        self.keys.load(Ordering::Relaxed)
    }
}

/// A source whose answers are in memory.
#[derive(Debug, Clone, Default)]
pub(crate) struct MemorySource(pub(crate) HashMap<String, String>);

#[async_trait]
impl Source for MemorySource {
    type Key = String;
    type Value = String;

    fn part(&self) -> &'static str {
        "memory"
    }

    fn weight(&self, key: &String, value: Option<&String>) -> usize {
        key.len() + value.map_or(0, String::len)
    }

    async fn load(&self, keys: Vec<String>) -> Loaded<String, String> {
        let answer = |key: String| {
            let value = self.0.get(&key).cloned();
            (key, value)
        };
        Loaded { answers: keys.into_iter().map(answer).collect(), fault: None }
    }
}

/// Wraps a source and lets it fail for as long as the mood lasts.
#[derive(Debug)]
pub(crate) struct FailingSource<S> {
    pub(crate) inner: S,
    pub(crate) watch: Arc<Watch>,
}

#[async_trait]
impl<S: Source> Source for FailingSource<S> {
    type Key = S::Key;
    type Value = S::Value;

    fn part(&self) -> &'static str {
        self.inner.part()
    }

    fn weight(&self, key: &S::Key, value: Option<&S::Value>) -> usize {
        self.inner.weight(key, value)
    }

    async fn load(&self, keys: Vec<S::Key>) -> Loaded<S::Key, S::Value> {
        self.watch.calls.fetch_add(1, Ordering::Relaxed);
        self.watch.keys.fetch_add(keys.len(), Ordering::Relaxed);
        match self.watch.mood() {
            Mood::Well => self.inner.load(keys).await,
            Mood::Late(after) => {
                tokio::time::sleep(after).await;
                self.inner.load(keys).await
            }
            Mood::Down => Loaded::failed(Fault::Unavailable("connection refused".to_owned())),
            Mood::Hangs => std::future::pending().await,
            Mood::Garbage => Loaded::failed(Fault::Nonsense("no JSON".to_owned())),
            Mood::Limits(retry_after) => Loaded::failed(Fault::Limited { retry_after }),
            Mood::Refuses => Loaded::failed(Fault::Refused("403".to_owned())),
            Mood::Panics => panic!("a source that panics"),
            Mood::Partly(n) => {
                let mut loaded = self.inner.load(keys.into_iter().take(n).collect()).await;
                loaded.fault = Some(Fault::Unavailable("gone halfway".to_owned()));
                loaded
            }
        }
    }
}
