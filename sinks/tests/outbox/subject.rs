//! A kind of outbox to test, and rows to put into it.

use std::sync::Arc;
use std::time::Duration;

use dial_rules::event::Millis;
use dial_sinks::outbox::store::{Due, Outbox, Queue, Row};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use tokio::runtime::Runtime;

pub(crate) type Store = Arc<dyn Outbox>;

/// Makes handles, as many as asked for, to one new and empty store.
type Fresh = Box<dyn Fn(&Runtime, usize) -> Vec<Store>>;

/// 2100-01-01: rows that expire then are left alone by whoever deletes by the clock on the wall.
pub(crate) const START: Millis = 4_102_444_800_000;

/// A kind of outbox to test.
pub(crate) struct Subject {
    pub(crate) runtime: Runtime,
    pub(crate) fresh: Fresh,
    /// Cases of each property.
    pub(crate) cases: u32,
    /// Whether `due` deletes what has expired.
    pub(crate) forgets: bool,
    /// How many rows are many.
    pub(crate) many: usize,
}

impl Subject {
    pub(crate) fn new(cases: u32, fresh: impl Fn(&Runtime, usize) -> Vec<Store> + 'static) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(4).enable_all().build().unwrap();
        Self { runtime, fresh: Box::new(fresh), cases, forgets: true, many: 4_000 }
    }

    pub(crate) fn several(&self, count: usize) -> Vec<Store> {
        (self.fresh)(&self.runtime, count)
    }

    pub(crate) fn one(&self) -> Store {
        self.several(1).remove(0)
    }

    pub(crate) fn check<S: Strategy>(&self, strategy: &S, test: impl Fn(S::Value) -> Result<(), TestCaseError>) {
        let config =
            Config { cases: self.cases, failure_persistence: None, max_shrink_iters: 300, ..Config::default() };
        TestRunner::new(config).run(strategy, test).unwrap_or_else(|e| panic!("{e}"));
    }
}

/// A row that is not there yet.
pub(crate) fn row(key: &str, body: &str) -> Row {
    Row { key: key.to_owned(), body: body.to_owned(), revision: 0, due: None, expires: None }
}

/// What an index says, once it is what it should be: it may be a second behind.
pub(crate) async fn eventually<T>(look: impl AsyncFn() -> T, is_it: impl Fn(&T) -> bool) -> T {
    for _ in 0..40 {
        let seen = look().await;
        if is_it(&seen) {
            return seen;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    look().await
}

/// What is due, once it is what it should be.
pub(crate) async fn due_eventually(
    store: &Store,
    queue: Queue,
    now: Millis,
    limit: usize,
    expected: &[Due],
) -> Vec<Due> {
    eventually(async || store.due(queue, now, limit).await.unwrap(), |due| due == expected).await
}
