//! Tries the orders of the calls that workers make to the stores: nothing may be missed that somebody who sees all events
//! at once would find. The promises that the argument rests on are also broken, one by one, and then something is missed.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use async_trait::async_trait;
use dial_rules::ruleset::RuleSet;
use serde_json::Value;
use tokio::sync::mpsc;
use tokio::task::unconstrained;

use super::gated::{Fault, Gate, Gated, Stores};
use super::scene::{assumed, by_alice, by_key, chained, correlated, expected, follow_up, ordered};
use crate::clock::now;
use crate::correlator::{Correlator, Ports};

/// Lets calls through one by one.
#[derive(Debug, Default)]
struct Turnstile(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    waits: bool,
    goes: bool,
}

#[async_trait]
impl Gate for Turnstile {
    async fn before(&self) {
        poll_fn(|_| {
            let mut state = self.0.lock().unwrap();
            state.waits = !std::mem::take(&mut state.goes);
            if state.waits { Poll::Pending } else { Poll::Ready(()) }
        })
        .await;
    }
}

/// Lives one schedule: what each worker does at once, and who goes on at each step. `crash` says before which of its calls
/// the first worker dies and begins again. Returns how many calls there were.
fn live(
    rules: &Arc<RuleSet>,
    stores: &Stores,
    work: &[&[Value]],
    fault: Fault,
    crash: Option<usize>,
    choose: &mut dyn FnMut(usize) -> usize,
) -> usize {
    let gates: Vec<Arc<Turnstile>> = work.iter().map(|_| Arc::default()).collect();
    let begin = |at: usize| -> Pin<Box<dyn Future<Output = ()>>> {
        let gated = Arc::new(Gated::new(stores.clone(), gates[at].clone(), fault));
        let ports = Ports {
            windows: gated.clone(),
            actors: gated.clone(),
            findings: gated.clone(),
            news: mpsc::unbounded_channel().0,
        };
        let correlator = Correlator::new(rules.clone(), ports, Arc::default());
        let work = follow_up(rules, work[at]);
        // Polled by hand, it would else use up what a task of tokio may do at a time.
        Box::pin(unconstrained(async move {
            correlator.follow(&work, now()).await.unwrap();
            gated.catch_up().await;
        }))
    };
    let mut workers: Vec<Option<_>> = (0..work.len()).map(|at| Some(begin(at))).collect();
    let mut context = Context::from_waker(Waker::noop());
    let mut steps = vec![0; work.len()];
    loop {
        for worker in &mut workers {
            if worker.as_mut().is_some_and(|work| work.as_mut().poll(&mut context).is_ready()) {
                *worker = None;
            }
        }
        let open: Vec<usize> = (0..workers.len()).filter(|at| workers[*at].is_some()).collect();
        if open.is_empty() {
            return steps.iter().sum();
        }
        let next = open[choose(open.len())];
        assert!(gates[next].0.lock().unwrap().waits, "it waits for something else than a call");
        if next == 0 && crash == Some(steps[0]) {
            workers[0] = Some(begin(0));
        } else {
            gates[next].0.lock().unwrap().goes = true;
        }
        steps[next] += 1;
    }
}

/// Goes through all schedules, or through `most` of them with the choices of a fixed sequence of numbers. Returns how many
/// there were, and how many missed something.
async fn explore(
    rules: &Arc<RuleSet>,
    before: &[Value],
    work: &[&[Value]],
    fault: Fault,
    crash: Option<usize>,
    most: Option<usize>,
) -> (usize, usize) {
    let all: Vec<Value> = before.iter().chain(work.iter().copied().flatten()).cloned().collect();
    let expected = expected(rules, &all).await;
    assert!(expected.iter().any(|finding| finding.evidence.len() > 1), "the events belong together");
    let (mut schedules, mut missed) = (0, 0);
    let mut seed = 1_u64;
    // The choices of the schedule, each with the number of those that there were.
    let mut path: VecDeque<(usize, usize)> = VecDeque::new();
    loop {
        let stores = Stores::default();
        live(rules, &stores, &[before], Fault::None, None, &mut |_| 0);
        let mut at = 0;
        let mut choose = |count: usize| {
            if most.is_some() {
                seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                return usize::try_from(seed >> 33).unwrap() % count;
            }
            if at == path.len() {
                path.push_back((0, count));
            }
            at += 1;
            path[at - 1].0
        };
        live(rules, &stores, work, fault, crash, &mut choose);
        schedules += 1;
        let found = correlated(&stores.findings, rules).await;
        missed += usize::from(found != expected);
        while path.pop_back_if(|(choice, count)| *choice + 1 == *count).is_some() {}
        match path.back_mut() {
            Some((choice, _)) => *choice += 1,
            None if most.is_none() => return (schedules, missed),
            None => {}
        }
        if most.is_some_and(|most| schedules >= most) {
            return (schedules, missed);
        }
    }
}

async fn nothing_is_missed(rules: Arc<RuleSet>, before: &[Value], work: &[&[Value]], most: Option<usize>) -> usize {
    let (schedules, missed) = explore(&rules, before, work, Fault::None, None, most).await;
    assert_eq!(missed, 0, "of {schedules}");
    schedules
}

async fn something_is_missed(rules: Arc<RuleSet>, before: &[Value], work: &[&[Value]], fault: Fault) {
    let (schedules, missed) = explore(&rules, before, work, fault, None, None).await;
    assert!(missed > 0, "{fault:?} was not noticed in {schedules} schedules");
}

#[tokio::test]
async fn of_two_workers_with_the_halves_of_a_sequence_one_sees_it() {
    let (first, second) = ([by_alice("1", 1, "First")], [by_alice("2", 2, "Second")]);
    for group_by in ["userIdentity.arn", "dial.actor"] {
        let rules = ordered(group_by);
        let schedules = nothing_is_missed(rules.clone(), &[], &[&first, &second], None).await;
        assert!(schedules >= 6, "{schedules}");
        something_is_missed(rules, &[], &[&first, &second], Fault::ReadFirst).await;
    }
}

#[tokio::test]
async fn of_a_match_and_a_link_one_sees_the_other() {
    let before = [by_alice("1", 1, "First")];
    let (matched, link) = ([by_key("2", 2, "Second", 7)], [assumed("3", 7, None)]);
    for group_by in ["dial.actor", "awsRegion, dial.actor"] {
        let rules = ordered(group_by);
        let schedules = nothing_is_missed(rules.clone(), &before, &[&matched, &link], None).await;
        assert!(schedules >= 100, "{schedules}");
        something_is_missed(rules.clone(), &before, &[&matched, &link], Fault::ResolveFirst).await;
        something_is_missed(rules, &before, &[&matched, &link], Fault::RefileFirst).await;
    }
}

#[tokio::test]
async fn hop_by_hop_everybody_is_found() {
    let before = [by_alice("1", 1, "First")];
    let (matched, near, far) = ([by_key("2", 2, "Second", 7)], [assumed("3", 7, Some(8))], [assumed("4", 8, None)]);
    let rules = ordered("dial.actor");
    nothing_is_missed(rules.clone(), &before, &[&matched, &near, &far], Some(400)).await;
    let halves = [by_key("1", 1, "First", 7)];
    nothing_is_missed(rules, &[], &[&halves, &far, &[by_key("2", 2, "Second", 8)], &near], Some(400)).await;
}

#[tokio::test]
async fn completions_reach_the_outer_correlation_whoever_makes_them() {
    let before = [by_alice("1", 1, "First")];
    let (first, second) = ([by_alice("2", 2, "First")], [by_alice("3", 3, "Second")]);
    nothing_is_missed(chained(), &before, &[&first, &second], None).await;
    something_is_missed(chained(), &before, &[&first, &second], Fault::ReadFirst).await;
}

#[tokio::test]
async fn a_crash_between_any_two_steps_loses_nothing() {
    let before = [by_alice("1", 1, "First"), by_alice("0", 0, "First")];
    let both = [by_key("2", 2, "Second", 7), assumed("3", 7, None)];
    for rules in [ordered("dial.actor"), chained()] {
        let stores = Stores::default();
        live(&rules, &stores, &[&before], Fault::None, None, &mut |_| 0);
        let steps = live(&rules, &stores, &[&both], Fault::None, None, &mut |_| 0);
        assert!(steps >= 6, "{steps}");
        for step in 0..steps {
            let (schedules, missed) = explore(&rules, &before, &[&both], Fault::None, Some(step), None).await;
            assert_eq!((schedules, missed), (1, 0), "before step {step}");
        }
    }
}

/// One worker, several batches at once: they share evaluations.
#[tokio::test]
async fn batches_that_share_an_evaluation_all_wait_for_what_it_comes_to() {
    let rules = chained();
    let events: Vec<Value> =
        (0..30).map(|n| by_alice(&n.to_string(), n, if n % 3 == 0 { "Second" } else { "First" })).collect();
    let stores = Stores::default();
    let gate: Arc<dyn Gate> = Arc::new(Yielding);
    let gated = Arc::new(Gated::new(stores.clone(), gate, Fault::None));
    let ports =
        Ports { windows: gated.clone(), actors: gated.clone(), findings: gated, news: mpsc::unbounded_channel().0 };
    let correlator = Correlator::new(rules.clone(), ports, Arc::default());
    let batches: Vec<_> = events.chunks(2).map(|events| follow_up(&rules, events)).collect();
    let followed = futures::future::join_all(batches.iter().map(|batch| correlator.follow(batch, now()))).await;
    assert!(followed.iter().all(Result::is_ok));
    assert_eq!(correlated(&stores.findings, &rules).await, expected(&rules, &events).await);
    let read = correlator.0.meter.read();
    assert!(read.evaluated < 2 * batches.len() as u64, "each shares: {read:?}");
}

/// Lets others go first.
#[derive(Debug)]
struct Yielding;

#[async_trait]
impl Gate for Yielding {
    async fn before(&self) {
        tokio::task::yield_now().await;
    }

    async fn after(&self) {
        tokio::task::yield_now().await;
    }
}
