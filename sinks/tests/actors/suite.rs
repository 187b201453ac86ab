//! The promises.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use dial_rules::lineage::{Ancestry, Lineage, Link, MOST_ANCESTORS, ancestries};
use dial_sinks::actors::failing::FailingActorStore;
use dial_sinks::actors::{ActorStore, Learned};
use dial_sinks::failing::FailureRates;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use tokio::runtime::Runtime;

pub(crate) type Store = Arc<dyn ActorStore>;

/// Half past something, in milliseconds.
pub(crate) const NOW: i64 = 1_769_860_800_000;
/// How long the suite's stores keep rows.
pub(crate) const KEPT: Duration = Duration::from_secs(1_000);

/// Makes handles, as many as asked for, to one new and empty store.
type Fresh = Box<dyn Fn(&Runtime, usize) -> Vec<Store>>;

/// A kind of store to test.
pub(crate) struct Subject {
    pub(crate) runtime: Runtime,
    pub(crate) fresh: Fresh,
    /// Cases of each property.
    pub(crate) cases: u32,
}

impl Subject {
    pub(crate) fn new(cases: u32, fresh: impl Fn(&Runtime, usize) -> Vec<Store> + 'static) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(4).enable_all().build().unwrap();
        Self { runtime, fresh: Box::new(fresh), cases }
    }

    fn one(&self) -> Store {
        (self.fresh)(&self.runtime, 1).remove(0)
    }

    fn check<S: Strategy>(&self, strategy: &S, test: impl Fn(S::Value) -> Result<(), TestCaseError>) {
        let config =
            Config { cases: self.cases, failure_persistence: None, max_shrink_iters: 200, ..Config::default() };
        TestRunner::new(config).run(strategy, test).unwrap_or_else(|e| panic!("{e}"));
    }
}

/// A temporary access key id that ends in `n`.
pub(crate) fn temporary(n: usize) -> String {
    format!("ASIA{n:016}")
}

pub(crate) fn person(n: usize) -> String {
    format!("arn:aws:iam::111122223333:user/{n:04}")
}

pub(crate) fn link(n: usize, by: usize) -> Link {
    let from = Lineage { persons: [person(by)].into(), ..Lineage::default() };
    Link { credential: temporary(n), from, session: None }
}

fn some_link() -> impl Strategy<Value = Link> {
    let from = (proptest::option::of(0usize..6), proptest::option::of(0usize..40)).prop_map(|(key, by)| Lineage {
        credentials: key.map(temporary).into_iter().collect(),
        persons: by.map(person).into_iter().collect(),
    });
    let session = proptest::option::of(0usize..40)
        .prop_map(|n| n.map(|n| format!("arn:aws:sts::111122223333:assumed-role/Deploy/{n}")));
    (0usize..4, from, session).prop_map(|(n, from, session)| Link { credential: temporary(n), from, session })
}

/// Links, and the same ones in some order, some of them twice, in batches.
fn batches() -> impl Strategy<Value = (Vec<Link>, Vec<Vec<Link>>)> {
    proptest::collection::vec(some_link(), 1..60).prop_flat_map(|links| {
        let twice: Vec<Link> = links.iter().chain(links.iter().step_by(3)).cloned().collect();
        (Just(links), Just(twice).prop_shuffle(), 1..9usize)
            .prop_map(|(links, sent, size)| (links, sent.chunks(size).map(<[Link]>::to_vec).collect()))
    })
}

async fn everything(store: &Store, links: &[Link]) -> BTreeMap<String, Ancestry> {
    let credentials: BTreeSet<String> = links.iter().map(|link| link.credential.clone()).collect();
    store.known(&credentials).await.unwrap().into_iter().collect()
}

pub(crate) fn any_order_with_repetitions_teaches_the_same(subject: &Subject) {
    subject.check(&batches(), |(links, batches)| {
        let store = subject.one();
        subject.runtime.block_on(async {
            for batch in batches {
                store.learn(batch, NOW).await.unwrap();
            }
            prop_assert_eq!(everything(&store, &links).await, ancestries(links));
            Ok(())
        })
    });
}

pub(crate) fn sixteen_writers_of_one_credential_lose_nothing(subject: &Subject) {
    // Fewer persons than are kept, exactly as many, and more.
    for each in [1, 2] {
        let stores = (subject.fresh)(&subject.runtime, 16);
        let links: Vec<Vec<Link>> =
            (0..16).map(|writer| (0..each).map(|n| link(7, 16 * n + writer)).collect()).collect();
        subject.runtime.block_on(async {
            let all = stores.iter().zip(&links).map(|(store, links)| learn_one_by_one(store, links));
            futures::future::join_all(all).await;
            let flat: Vec<Link> = links.concat();
            let known = everything(&stores[0], &flat).await;
            assert_eq!(known, ancestries(flat));
            let ancestry = &known[&temporary(7)];
            assert_eq!((ancestry.from.persons.len(), ancestry.cut), (MOST_ANCESTORS, each > 1));
        });
    }
}

async fn learn_one_by_one(store: &Store, links: &[Link]) {
    let (store, links) = (store.clone(), links.to_vec());
    // A task of its own, so that writers are on several threads.
    let learning = tokio::spawn(async move {
        for link in links {
            while store.learn(vec![link.clone()], NOW).await.is_err() {}
        }
    });
    learning.await.unwrap();
}

pub(crate) fn writers_through_failures_lose_and_add_nothing(subject: &Subject) {
    let rates = FailureRates { before: 0.2, halfway: 0.2, after: 0.2 };
    let stores = (subject.fresh)(&subject.runtime, 4);
    let failing: Vec<Arc<FailingActorStore>> =
        (0..).zip(&stores).map(|(seed, store)| Arc::new(FailingActorStore::new(store.clone(), rates, seed))).collect();
    let links: Vec<Vec<Link>> = (0..4).map(|w| (0..10).map(|n| link((w + n) % 3, 5 * w + n)).collect()).collect();
    subject.runtime.block_on(async {
        let all = failing.iter().zip(&links).map(|(store, links)| {
            let store: Store = store.clone();
            async move { learn_one_by_one(&store, links).await }
        });
        futures::future::join_all(all).await;
        assert!(failing.iter().map(|store| store.injected()).sum::<u64>() > 10);
        let flat: Vec<Link> = links.concat();
        assert_eq!(everything(&stores[0], &flat).await, ancestries(flat));
    });
}

pub(crate) fn what_is_known_is_written_again_only_when_it_grows_old(subject: &Subject) {
    let store = subject.one();
    let seconds = |n: i64| NOW + n * 1_000;
    subject.runtime.block_on(async {
        let learn = |n: i64, by| store.learn(vec![link(1, by), link(1, by)], seconds(n));
        let (one, none) = (Learned { written: 1, unchanged: 0 }, Learned { written: 0, unchanged: 1 });
        assert_eq!(learn(0, 1).await.unwrap(), one);
        assert_eq!(learn(400, 1).await.unwrap(), none);
        assert_eq!(learn(401, 2).await.unwrap(), one);
        assert_eq!(learn(402, 1).await.unwrap(), none);
        assert_eq!(learn(902, 1).await.unwrap(), one);
        assert_eq!(learn(903, 1).await.unwrap(), none);
    });
}

pub(crate) fn nothing_is_asked_and_nothing_is_known(subject: &Subject) {
    let store = subject.one();
    subject.runtime.block_on(async {
        assert_eq!(store.learn(Vec::new(), NOW).await.unwrap(), Learned::default());
        assert_eq!(store.known(&BTreeSet::new()).await.unwrap(), HashMap::new());
        let strange = [temporary(1), String::new(), "' OR 1=1 --".to_owned()].into();
        assert_eq!(store.known(&strange).await.unwrap(), HashMap::new());
    });
}

pub(crate) fn large_batches_are_learned_and_read(subject: &Subject) {
    let store = subject.one();
    let links: Vec<Link> = (0..250).map(|n| link(n, n)).collect();
    subject.runtime.block_on(async {
        assert_eq!(store.learn(links.clone(), NOW).await.unwrap(), Learned { written: 250, unchanged: 0 });
        assert_eq!(everything(&store, &links).await, ancestries(links));
    });
}
