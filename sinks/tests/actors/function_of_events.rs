//! Any order of arrival, over any number of workers, with duplicates, ends in the same lineage for every event: that of a naive
//! reference that knows the whole world. And the mistakes that this must catch are caught.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use async_trait::async_trait;
use dial_emulators::{Ministack, unique};
use dial_rules::event::{Event, Millis};
use dial_rules::lineage::{Ancestry, Lineage, Link, Walk, links, origin};
use dial_sinks::actors::dynamodb::{DynamoActorStore, create_table};
use dial_sinks::actors::memory::MemoryActorStore;
use dial_sinks::actors::remembering::RememberingActorStore;
use dial_sinks::actors::{ActorError, ActorStore, Learned, resolve};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestCaseError, TestError, TestRunner};
use tokio::runtime::Runtime;

use crate::suite::{NOW, Store};
use crate::world::{World, world};

/// What is put to the test, or a mistaken version of it.
struct Subject {
    /// A new and empty store.
    store: fn(&Runtime) -> Store,
    /// What a worker takes an event to teach.
    links: fn(&Event) -> Vec<Link>,
    /// How many hops of a walk are taken, if not all.
    hops: Option<usize>,
}

const RIGHT: Subject = Subject { store: |_| Arc::new(MemoryActorStore::new()), links, hops: None };

/// A world, how its events arrive (each an index), and to which of the workers.
fn arrivals() -> impl Strategy<Value = (World, Vec<(usize, usize)>, usize)> {
    (world(), 1..6usize).prop_flat_map(|(world, workers)| {
        let count = world.events().len();
        let twice: Vec<usize> = (0..count).chain((0..count).step_by(2)).collect();
        let to = prop::collection::vec(0..workers, twice.len());
        let arrivals = (Just(twice).prop_shuffle(), to).prop_map(|(events, to)| events.into_iter().zip(to).collect());
        (Just(world), arrivals, Just(workers))
    })
}

fn try_out(subject: &Subject, cases: u32) -> Result<(), String> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(4).enable_all().build().unwrap();
    let config = Config { cases, failure_persistence: None, max_shrink_iters: 0, ..Config::default() };
    let test = |(world, arrivals, workers): (World, Vec<(usize, usize)>, usize)| {
        let store = (subject.store)(&runtime);
        runtime.block_on(run(subject, store, &world, &arrivals, workers))
    };
    match TestRunner::new(config).run(&arrivals(), test) {
        Ok(()) => Ok(()),
        Err(TestError::Fail(reason, _)) => Err(reason.to_string()),
        Err(error) => panic!("{error}"),
    }
}

/// Workers learn what arrives at them, side by side, and look up lineages meanwhile; in the end all lineages must be right.
async fn run(
    subject: &Subject,
    store: Store,
    world: &World,
    arrivals: &[(usize, usize)],
    workers: usize,
) -> Result<(), TestCaseError> {
    let events = world.events();
    let mut running = Vec::new();
    for worker in 0..workers {
        let mine = arrivals.iter().filter(|(_, to)| *to == worker);
        let batches: Vec<Vec<Link>> = mine.map(|(event, _)| (subject.links)(&events[*event].0)).collect();
        let store = RememberingActorStore::new(store.clone());
        running.push(tokio::spawn(async move {
            for batch in batches {
                store.learn(batch, NOW).await.unwrap();
                tokio::task::yield_now().await;
            }
        }));
    }
    let early = lineages(subject, &store, &events).await;
    futures::future::join_all(running).await;
    let late = lineages(subject, &store, &events).await;
    for ((event, expected), (early, late)) in events.iter().zip(early.iter().zip(&late)) {
        prop_assert!(late.contains(early), "the lineage of {} shrank", event.id());
        prop_assert_eq!(late, expected, "{}", event.id());
    }
    Ok(())
}

async fn lineages(subject: &Subject, store: &Store, events: &[(Event, Lineage)]) -> Vec<Lineage> {
    let Some(hops) = subject.hops else {
        let resolved = resolve(store.as_ref(), events.iter().map(|(event, _)| origin(event))).await.unwrap();
        return events.iter().map(|(event, _)| resolved[&origin(event)].lineage.clone()).collect();
    };
    let mut lineages = Vec::new();
    for (event, _) in events {
        let mut walk = Walk::from(origin(event));
        for _ in 0..hops {
            let known = store.known(walk.wanted()).await.unwrap();
            walk.step(|id| known.get(id).cloned());
        }
        lineages.push(walk.finish().lineage);
    }
    lineages
}

#[test]
fn lineage_is_a_function_of_the_set_of_events() {
    try_out(&RIGHT, 300).unwrap();
}

#[test]
fn lineage_is_a_function_of_the_set_of_events_in_dynamodb() {
    let store = |runtime: &Runtime| -> Store {
        let (client, table) = (Ministack::shared().dynamodb(), unique("actors"));
        runtime.block_on(create_table(&client, &table)).unwrap();
        Arc::new(DynamoActorStore::new(client, table))
    };
    try_out(&Subject { store, ..RIGHT }, 8).unwrap();
}

/// The last link of a credential replaces the ones before.
#[derive(Debug, Default)]
struct LastWriterWins(std::sync::Mutex<HashMap<String, Ancestry>>);

#[async_trait]
impl ActorStore for LastWriterWins {
    async fn learn(&self, links: Vec<Link>, _: Millis) -> Result<Learned, ActorError> {
        self.0.lock().unwrap().extend(links.into_iter().map(|link| (link.credential.clone(), link.into())));
        Ok(Learned::default())
    }

    async fn known(&self, credentials: &BTreeSet<String>) -> Result<HashMap<String, Ancestry>, ActorError> {
        let known = self.0.lock().unwrap();
        Ok(credentials.iter().filter_map(|id| Some((id.clone(), known.get(id)?.clone()))).collect())
    }
}

#[test]
fn last_writer_wins_is_caught() {
    let store = |_: &Runtime| -> Store { Arc::new(LastWriterWins::default()) };
    try_out(&Subject { store, ..RIGHT }, 300).unwrap_err();
}

#[test]
fn a_single_hop_is_caught() {
    try_out(&Subject { hops: Some(1), ..RIGHT }, 300).unwrap_err();
}

#[test]
fn a_role_as_a_member_is_caught() {
    let with_role = |event: &Event| {
        let mut learned = links(event);
        for link in &mut learned {
            link.from.persons.extend(link.session.clone());
        }
        learned
    };
    try_out(&Subject { links: with_role, ..RIGHT }, 300).unwrap_err();
}

#[test]
fn a_copy_that_is_passed_over_is_caught() {
    let first_copy = |event: &Event| if event.id().ends_with("-b") { Vec::new() } else { links(event) };
    try_out(&Subject { links: first_copy, ..RIGHT }, 300).unwrap_err();
}
