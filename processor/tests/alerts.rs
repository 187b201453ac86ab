//! Alerts that arrive, with the real program: every kind of sink fails in every way for random stretches while a worker is
//! killed, and each finding is told at each sink (I3); a dead sink delays only itself; what runs on a laptop delivers too.
//!
//! `ALERT_SEEDS=20 cargo test -p dial --test alerts` lives twenty such storms; `ALERT_SEED=7` begins with the seventh.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)]

mod support;

#[path = "alerts/coverage.rs"]
mod coverage;
#[path = "alerts/destination.rs"]
mod destination;
#[path = "alerts/lag.rs"]
mod lag;
#[path = "alerts/local.rs"]
mod local;
#[path = "alerts/scene.rs"]
mod scene;
#[path = "alerts/server.rs"]
mod server;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use coverage::{tally, untold};
use destination::{Named, for_machines};
use lag::{LagWatch, percentile};
use scene::{FAILOVER, Plan, Scene};
use server::{BAD, Schedule};
use support::planted::Dice;
use tokio::time::{Instant, sleep};

/// How long events come while sinks are well, how long while they fail, and how often.
const CALM: Duration = Duration::from_secs(10);
const LASTS: Duration = Duration::from_secs(30);
/// Sinks fail a while longer than events come.
const FAILING: Duration = Duration::from_secs(45);
const TICK: Duration = Duration::from_millis(250);
/// How many findings of one rule come within two seconds.
const STORM: usize = 100;
/// How long what is owed may take to arrive once all is well.
const WITHIN: Duration = Duration::from_secs(150);
/// How long a dead worker's shards may be nobody's, and catching up may take.
const TAKEOVER: Duration = Duration::from_secs(FAILOVER + 9);

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().unwrap_or_else(|_| panic!("{name} is a number")))
}

#[tokio::test(flavor = "multi_thread")]
async fn each_finding_is_told_at_each_sink_whatever_fails() {
    let first = number("ALERT_SEED", 1);
    for seed in first..first + number("ALERT_SEEDS", 1) {
        storm(seed).await;
    }
}

async fn storm(seed: u64) {
    println!("seed {seed}");
    let mut dice = Dice(seed);
    let scene = Arc::new(Scene::set().await);
    let (mut a, b) = (scene.worker("a"), scene.worker("b"));
    scene.until_shared(2).await;
    let calm = Plan::new("calm", &mut dice, ticks(CALM), STORM);
    let watch = LagWatch::begin(scene.clone());
    feed(&scene, &calm, &mut dice, |_| ()).await;
    let calm_lags = watch.end(None);
    for server in scene.servers.values() {
        server.follows(Schedule::stormy(&mut dice, FAILING));
    }
    let plan = Plan::new("storm", &mut dice, ticks(LASTS), STORM);
    let watch = LagWatch::begin(scene.clone());
    let fatal = plan.ticks.len() / 4 + dice.below(plan.ticks.len() / 3);
    let mut killed = Instant::now();
    feed(&scene, &plan, &mut dice, |tick| {
        if tick == fatal {
            // SIGKILL, as nobody expects it.
            a.0.kill().unwrap();
            a.0.wait().unwrap();
            killed = Instant::now();
        }
        if tick == fatal + 16 {
            a = scene.worker("a-again");
        }
    })
    .await;
    let lags = watch.end(Some((killed, killed + TAKEOVER)));
    // One leaves as it should, and another takes over what it was waiting with.
    b.stop(&scene);
    let b = scene.worker("b-again");
    until_told(&scene, calm.findings + plan.findings).await;
    check_attempts(&scene, killed);
    check_arrivals(&scene).await;
    check_archive(&scene).await;
    a.stop(&scene);
    b.stop(&scene);
    check_lag(&calm_lags, &lags);
}

fn ticks(lasts: Duration) -> usize {
    usize::try_from(lasts.as_millis() / TICK.as_millis()).unwrap()
}

/// Puts what is planned, and does something else at each tick.
async fn feed(scene: &Scene, plan: &Plan, dice: &mut Dice, mut beside: impl FnMut(usize)) {
    for (n, tick) in plan.ticks.iter().enumerate() {
        let begun = Instant::now();
        scene.put(tick, dice).await;
        beside(n);
        sleep(TICK.saturating_sub(begun.elapsed())).await;
    }
}

/// Less than a second throughout; on a machine that is too busy for that, about what it was while all sinks were well.
fn check_lag(calm: &[u64], stormy: &[u64]) {
    for (name, lags) in [("well", calm), ("failing", stormy)] {
        let [median, most_often, most] = [50, 90, 100].map(|percent| percentile(lags, percent));
        let looks = lags.len();
        println!("  lag of the stream, sinks {name}: median {median} ms, p90 {most_often}, most {most}; {looks} looks");
        assert!(looks > 10, "the lag was hardly ever known");
    }
    let allowed = 1_000.max(2 * percentile(calm, 100));
    assert!(percentile(stormy, 100) < allowed, "the stream is behind: {stormy:?}, before {calm:?}");
}

/// Waits until all is told, and nothing is owed any longer.
async fn until_told(scene: &Scene, findings: usize) {
    let begun = Instant::now();
    loop {
        let (there, left, owed) = (scene.findings().await.len(), untold(scene).await, scene.owed().await);
        if there == findings && left.is_empty() && owed == [0, 0, 0] {
            println!("  {findings} findings are told {:?} after the last event", begun.elapsed());
            return;
        }
        assert!(
            begun.elapsed() < WITHIN,
            "{there} of {findings} findings; owed findings, alerts, dead ones: {owed:?}; untold: {left:#?}\n{}",
            scene.logs()
        );
        sleep(Duration::from_millis(500)).await;
    }
}

/// Repetitions are rare, but for those of messages that were taken without an answer; and every way to fail was met.
fn check_attempts(scene: &Scene, killed: Instant) {
    println!(
        "  {:<6} {:>8} {:>8} | taken without an answer, and again: | by the kill | otherwise",
        "sink", "attempts", "messages"
    );
    let (mut messages, mut repeated, mut met) = (0, 0, BTreeSet::new());
    for (name, server) in &scene.servers {
        let tally = tally(name, &server.journal(), Some(killed));
        println!(
            "  {name:<6} {:>8} {:>8} | {:>22} {:>12} | {:>11} | {:>9}",
            tally.attempts,
            tally.messages,
            tally.unanswered,
            tally.repeated_unanswered,
            tally.repeated_by_the_kill,
            tally.repeated
        );
        assert!(tally.attempts > tally.messages, "{name} has never failed");
        met.extend(server.journal().iter().map(|attempt| attempt.mood));
        messages += tally.messages;
        repeated += tally.repeated;
    }
    assert!(repeated * 20 <= messages, "{repeated} of {messages} messages were taken again");
    assert!(BAD.iter().all(|mood| met.contains(mood)), "only {met:?} were met");
}

/// Every finding is in the archive in its last version.
async fn check_archive(scene: &Scene) {
    let [recorded, archived] = scene.archived().await;
    let lacking: Vec<_> = recorded.difference(&archived).collect();
    assert!(lacking.is_empty(), "not archived: {lacking:?}\n{}", scene.logs());
    println!("  {} findings are archived, in {} rows", recorded.len(), archived.len());
}

/// What AWS took is in the queues behind it.
async fn check_arrivals(scene: &Scene) {
    let findings: BTreeSet<String> = scene.findings().await.into_iter().collect();
    for sink in ["queue", "topic", "bus"] {
        let mut named = BTreeSet::new();
        for message in scene.arrivals.take(sink).await {
            let Named::Ids(ids) = for_machines(&message).named else { unreachable!() };
            named.extend(ids);
        }
        assert_eq!(named, findings, "by way of {sink}");
    }
}
