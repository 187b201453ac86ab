//! One courier, and one thing at a time.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use dial_rules::finding::Finding;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

use super::sink::{Mailbox, Mood, Receipt};
use super::world::{Dice, Policy, clock, correlated, single};
use crate::archive::memory::MemoryFindingArchive;
use crate::archive::{ARCHIVE, FindingArchive};
use crate::memory::MemoryFindingStore;
use crate::outbox::alert::{Alert, Group, MOST_WAITING};
use crate::outbox::clock::Clock;
use crate::outbox::courier::{Courier, CourierPorts, Offers};
use crate::outbox::dead::{DeadAlert, Redriven};
use crate::outbox::keys::alert_key;
use crate::outbox::pace::{GRACE, Pace, millis};
use crate::outbox::store::{Outbox, Queue, Row};
use crate::sink::{Growth, Sink};
use crate::store::FindingStore;

const HOUR: Duration = Duration::from_secs(3600);

struct Bench {
    clock: Clock,
    store: Arc<MemoryFindingStore>,
    archive: Arc<MemoryFindingArchive>,
    /// Whether the courier has it.
    archives: bool,
    pace: Pace,
    mailboxes: BTreeMap<String, Arc<Mailbox>>,
    offers: Option<Offers>,
    stop: Option<oneshot::Sender<()>>,
    running: Option<JoinHandle<()>>,
}

impl Bench {
    /// Sinks `a` and `c`, which change their messages, and `b`, which cannot; nobody works yet.
    fn idle() -> Bench {
        let dice = Dice::new(1);
        let clock = clock(&dice);
        let mailbox = |(name, growth): (&str, Growth)| (name.to_owned(), Arc::new(Mailbox::new(growth, &clock, &dice)));
        let mailboxes = [("a", Growth::Updates), ("b", Growth::Digests), ("c", Growth::Updates)].map(mailbox);
        let (offers, stop, running) = (None, None, None);
        Bench {
            mailboxes: mailboxes.into(),
            store: Arc::default(),
            archive: Arc::default(),
            archives: false,
            pace: Pace::default(),
            clock,
            offers,
            stop,
            running,
        }
    }

    /// With an archive besides.
    fn archiving() -> Bench {
        let mut bench = Bench { archives: true, ..Bench::idle() };
        bench.start();
        bench
    }

    /// Finding and version of each row of the archive.
    fn archived(&self) -> Vec<(String, u64)> {
        let rows = self.archive.rows().into_iter();
        rows.map(|row| (row.assessment.finding.finding_id, row.version)).collect()
    }

    fn working() -> Bench {
        let mut bench = Bench::idle();
        bench.start();
        bench
    }

    fn start(&mut self) {
        let sink = |(name, mailbox): (&String, &Arc<Mailbox>)| (name.clone(), Arc::clone(mailbox) as Arc<dyn Sink>);
        let sinks = self.mailboxes.iter().map(sink).collect();
        let archive = self.archives.then(|| Arc::clone(&self.archive) as Arc<dyn FindingArchive>);
        let store = Arc::clone(&self.store) as Arc<dyn Outbox>;
        let ports = CourierPorts { store, desk: Arc::new(Policy), sinks, archive };
        let courier = Courier::new(ports, self.pace, "alone", self.clock.clone());
        self.offers = Some(courier.offers());
        let (stop, stopped) = oneshot::channel();
        self.stop = Some(stop);
        self.running = Some(tokio::spawn(courier.run(async { drop(stopped.await) })));
    }

    async fn record(&self, findings: Vec<Finding>) {
        let owing = self.clock.now() + millis(GRACE);
        let outcome = self.store.record_owing(findings, Some(owing)).await.unwrap();
        if let Some(offers) = &self.offers {
            offers.offer(outcome.new.into_iter().chain(outcome.changed));
        }
    }

    fn received(&self, sink: &str) -> Vec<Receipt> {
        self.mailboxes[sink].received.lock().unwrap().clone()
    }

    async fn due(&self, queue: Queue) -> usize {
        self.store.due(queue, i64::MAX, 100_000).await.unwrap().len()
    }
}

async fn seconds(seconds: u64) {
    sleep(Duration::from_secs(seconds)).await;
}

#[tokio::test(start_paused = true)]
async fn the_first_leaves_at_once_and_growth_waits_for_its_time() {
    let bench = Bench::working();
    bench.record(vec![single("1", "ab-actor", "alice")]).await;
    seconds(1).await;
    assert_eq!((bench.received("a").len(), bench.received("b").len()), (1, 1));
    bench.record(vec![single("2", "ab-actor", "alice")]).await;
    bench.record(vec![single("3", "ab-actor", "bob")]).await;
    seconds(2).await;
    let actors_apart = bench.received("a");
    assert_eq!(actors_apart.len(), 2, "another actor is another alert");
    assert_ne!(actors_apart[0].thread, actors_apart[1].thread);
    seconds(10).await;
    let (a, b) = (bench.received("a"), bench.received("b"));
    assert_eq!((a.len(), b.len()), (3, 2), "an update after 10 s, a digest not yet");
    assert_eq!((a[2].thread == a[0].thread, a[2].sequence, a[2].count), (true, 1, 2));
    assert_eq!((a[2].finding_ids.clone(), a[2].sent.is_some()), (vec!["2".to_owned()], true));
    assert_eq!(a[2].title, "2 findings: Rule ab-actor");
    seconds(15 * 60).await;
    assert_eq!(bench.received("b").len(), 3, "a digest after a quarter of an hour");
    sleep(HOUR).await;
    bench.record(vec![single("4", "ab-actor", "alice")]).await;
    seconds(1).await;
    let again = bench.received("a").pop().unwrap();
    assert_eq!((again.sequence, again.count, again.sent), (0, 1, None), "after the window it is told as something new");
    assert_ne!(again.thread, a[0].thread);
}

#[tokio::test(start_paused = true)]
async fn findings_of_one_thing_are_one_alert() {
    let bench = Bench::working();
    bench.record(vec![correlated("1", "a-actor", "alice", 7, &["e1"])]).await;
    seconds(1).await;
    bench.record(vec![correlated("2", "a-never", "alice", 3, &["e1", "e2"])]).await;
    bench.record(vec![correlated("3", "a-actor", "alice", 8, &["e9"])]).await;
    bench.record(vec![correlated("4", "a-rule", "alice", 1, &["e2"])]).await;
    bench.record(vec![correlated("5", "a-actor", "alice", 10, &["e5"])]).await;
    seconds(30).await;
    let received = bench.received("a");
    let with = |id: &str| received.iter().find(|receipt| receipt.finding_ids.contains(&id.to_owned())).unwrap();
    for (id, why) in [("2", "a shared event"), ("3", "the next bucket"), ("4", "by way of another")] {
        assert_eq!(with(id).thread, with("1").thread, "{why}");
    }
    assert_ne!(with("5").thread, with("1").thread, "a bucket between them");
}

#[tokio::test(start_paused = true)]
async fn a_storm_is_one_alert_with_a_count() {
    let bench = Bench::working();
    let storm =
        |from: usize| (from..from + 1_000).map(|n| single(&format!("{n:05}"), "a-actor", &n.to_string())).collect();
    bench.record(storm(0)).await;
    seconds(20 * 60).await;
    let received = bench.received("a");
    assert!(received.len() < 20, "{} messages for a storm", received.len());
    assert!(received.iter().all(|receipt| receipt.thread == received[0].thread));
    let last = received.last().unwrap();
    assert_eq!((last.count, last.title.as_str()), (1_000, "1,000 × Rule a-actor in 1 min"));
    let told: usize = received.iter().map(|receipt| receipt.finding_ids.len()).sum();
    assert_eq!(told, 1_000);
    bench.record((0..3).map(|n| single(&format!("x{n}"), "a-actor", &format!("x{n}"))).collect()).await;
    seconds(20).await;
    assert_eq!(bench.received("a").len(), received.len() + 3, "after the storm each is an alert of its own");
}

#[tokio::test(start_paused = true)]
async fn a_dead_sink_delays_neither_others_nor_memory() {
    let mut bench = Bench::idle();
    bench.pace.most_groups = u64::MAX;
    bench.start();
    bench.mailboxes["b"].set(Mood::Hanging);
    for n in 0..3_000 {
        bench.record(vec![single(&format!("{n:05}"), "ab-never", "alice")]).await;
        sleep(Duration::from_millis(if n % 100 == 0 { 70_000 } else { 10 })).await;
    }
    seconds(60).await;
    let health = bench.offers.as_ref().unwrap().health();
    assert!(health["b"].is_left_alone && health["b"].backlog <= 1_004, "{health:?}");
    assert_eq!(bench.offers.as_ref().unwrap().dropped(), 0);
    let latest = || bench.mailboxes["a"].received.lock().unwrap().iter().map(|receipt| receipt.at).max().unwrap();
    let mut last = latest();
    for n in 0..20 {
        let now = bench.clock.now();
        bench.record(vec![single(&format!("late-{n}"), "a-never", "alice")]).await;
        seconds(90).await;
        let came = latest();
        assert!(came > last && came - now < 1_000, "after {} ms", came - now);
        last = came;
    }
}

/// Alerts of a sink that does not answer, more than a sweep reads, are due before one of another sink.
#[tokio::test(start_paused = true)]
async fn due_alerts_of_a_dead_sink_hide_no_others() {
    let mut bench = Bench::idle();
    bench.mailboxes["b"].set(Mood::Hanging);
    for n in 0..4_000 {
        let now = bench.clock.now();
        let sink = if n == 3_999 { "a" } else { "b" };
        let group = Group::Storm { rule_id: n.to_string() };
        bench.store.record(vec![single(&n.to_string(), "ab-never", "alice")]).await.unwrap();
        let mut alert = Alert::new(sink, group.clone(), now);
        alert.join(&BTreeMap::from([(n.to_string(), 1)]), now, &Pace::default());
        let due = Some((Queue::Alerts, if sink == "a" { now + 1 } else { now }));
        let body = serde_json::to_string(&alert).unwrap();
        let row = Row { key: alert_key(sink, &group), body, revision: 0, due, expires: None };
        assert!(bench.store.write(&row).await.unwrap());
    }
    seconds(1).await;
    bench.start();
    seconds(30).await;
    assert_eq!(bench.received("a").len(), 1);
    bench.mailboxes["b"].set(Mood::Well);
    seconds(3600).await;
    let told: std::collections::BTreeSet<_> = bench.received("b").into_iter().flat_map(|one| one.finding_ids).collect();
    assert_eq!(told.len(), 3_999);
}

#[tokio::test(start_paused = true)]
async fn findings_beyond_the_room_of_an_alert_stay_owed_and_follow() {
    let bench = Bench::working();
    bench.mailboxes["b"].set(Mood::Down);
    for n in 0..25 {
        let some = |at: usize| single(&format!("{n:02}-{at:03}"), "b-rule", "alice");
        bench.record((0..100).map(some).collect()).await;
        seconds(2).await;
    }
    seconds(60).await;
    let key = alert_key("b", &Group::Repeats { rule_id: "b-rule".to_owned(), of: BTreeMap::new() });
    let row = bench.store.rows(&[key]).await.unwrap().pop().unwrap();
    let alert: Alert = serde_json::from_str(&row.body).unwrap();
    assert_eq!(alert.waiting.len(), MOST_WAITING);
    assert!(bench.due(Queue::Findings).await > 0);
    bench.mailboxes["b"].set(Mood::Well);
    sleep(2 * HOUR).await;
    let told: std::collections::BTreeSet<_> = bench.received("b").into_iter().flat_map(|one| one.finding_ids).collect();
    assert_eq!((told.len(), bench.due(Queue::Findings).await), (2_500, 0));
}

#[tokio::test(start_paused = true)]
async fn what_is_given_up_is_a_dead_letter_until_it_arrives() {
    let bench = Bench::working();
    bench.mailboxes["a"].set(Mood::Rejecting);
    bench.record(vec![single("1", "ax-actor", "alice")]).await;
    sleep(23 * HOUR).await;
    assert_eq!(bench.due(Queue::Dead).await, 0, "not before a day is over");
    sleep(2 * HOUR).await;
    let dead = DeadAlert::list(&*bench.store, 10).await.unwrap();
    let sinks: Vec<&str> = dead.iter().map(|dead| dead.sink.as_str()).collect();
    assert_eq!((sinks.len(), bench.due(Queue::Alerts).await), (2, 0), "{sinks:?}");
    assert!(sinks.contains(&"x"), "a sink that the settings do not name");
    let of_a = dead.iter().find(|dead| dead.sink == "a").unwrap();
    assert!(of_a.delivery.attempts >= 12 && of_a.delivery.last_error.as_ref().unwrap().len() < 2_500);
    let (store, key) = (&*bench.store, of_a.delivery.key.as_str());
    let redrive = || DeadAlert::redrive(store, &Policy, &*bench.mailboxes["a"], key, bench.clock.now());
    assert!(matches!(redrive().await.unwrap(), Redriven::Failed(_)));
    bench.mailboxes["a"].set(Mood::Well);
    assert_eq!(redrive().await.unwrap(), Redriven::Delivered);
    assert_eq!(redrive().await.unwrap(), Redriven::Unknown);
    let received = bench.received("a");
    assert_eq!((received.len(), received[0].key.as_str()), (1, key));
    let owed = bench.store.owed(&["1".to_owned()]).await.unwrap().pop().unwrap();
    assert!(owed.progress["a"].delivered.is_some());
    bench.record(vec![single("2", "a-actor", "alice")]).await;
    seconds(1).await;
    assert_ne!(bench.received("a")[1].key, key, "a key that was given up is not used again");
}

#[tokio::test(start_paused = true)]
async fn a_stop_finishes_what_is_being_sent_within_five_seconds() {
    for (mood, arrives) in [(Mood::Well, 1), (Mood::Hanging, 0)] {
        let mut bench = Bench::working();
        bench.mailboxes["a"].set(mood);
        bench.record(vec![single("1", "a-actor", "alice")]).await;
        sleep(Duration::from_millis(5)).await;
        let began = Instant::now();
        bench.stop.take().unwrap().send(()).unwrap();
        bench.running.take().unwrap().await.unwrap();
        assert!(began.elapsed() <= Duration::from_secs(5), "{mood:?}");
        let confirmed = bench.received("a").iter().filter(|receipt| receipt.is_confirmed).count();
        assert_eq!(confirmed, arrives, "{mood:?}");
        bench.mailboxes["a"].set(Mood::Well);
        bench.start();
        seconds(60).await;
        assert_eq!(bench.received("a").len(), 1, "{mood:?}: the next one delivers it, once");
    }
}

#[tokio::test(start_paused = true)]
async fn a_poor_message_holds_up_no_other() {
    let bench = Bench::working();
    bench.mailboxes["a"].set(Mood::Rejecting);
    bench.record(vec![single("1", "a-never", "alice")]).await;
    seconds(120).await;
    bench.mailboxes["a"].set(Mood::Well);
    bench.record(vec![single("2", "a-never", "alice")]).await;
    seconds(1).await;
    assert_eq!(bench.received("a")[0].finding_ids, ["2"]);
}

#[tokio::test(start_paused = true)]
async fn every_finding_is_archived_after_a_while_also_one_that_nobody_is_told_of() {
    let bench = Bench::archiving();
    bench.record(vec![single("1", "-actor", "alice"), single("2", "a-actor", "alice")]).await;
    seconds(200).await;
    bench.record(vec![Finding { event_count: 2, ..single("1", "-actor", "alice") }]).await;
    seconds(95).await;
    assert!(bench.archived().is_empty(), "five minutes from the first are not over");
    seconds(10).await;
    assert_eq!(bench.archived(), [("1".to_owned(), 2), ("2".to_owned(), 1)], "one file, of what they say now");
    assert_eq!((bench.due(Queue::Findings).await, bench.due(Queue::Alerts).await), (0, 0));
    bench.record(vec![Finding { event_count: 3, ..single("1", "-actor", "alice") }]).await;
    seconds(305).await;
    assert_eq!(bench.archived().len(), 3);
    assert_eq!(bench.archive.files().len(), 2);
    assert_eq!(bench.received("a").len(), 1, "the sinks are told of their own findings only");
    assert_eq!(bench.offers.as_ref().unwrap().health()[ARCHIVE].delivered, 2);
}

/// What gathers leaves when nothing more comes, and findings that found no room in memory with it.
#[tokio::test(start_paused = true)]
async fn a_flush_leaves_nothing_behind() {
    let bench = Bench::archiving();
    let many = |from: usize, to: usize| (from..to).map(|n| single(&format!("{n:06}"), "-actor", "alice")).collect();
    bench.record(many(0, 12_500)).await;
    let offers = bench.offers.clone().unwrap();
    assert!(offers.dropped() > 0, "some found no room");
    offers.flush();
    while !offers.is_archived() {
        sleep(Duration::from_millis(20)).await;
    }
    bench.record(many(12_500, 12_510)).await;
    while !offers.is_archived() {
        sleep(Duration::from_millis(20)).await;
    }
    let archived: std::collections::BTreeSet<_> = bench.archived().into_iter().collect();
    assert_eq!(archived.len(), 12_510);
    assert!(bench.clock.now() - super::world::START < 25_000, "it took {} ms", bench.clock.now() - super::world::START);
    assert!(bench.archive.files().values().all(|rows| rows.len() <= MOST_WAITING));
}

/// What a worker left behind is another one's to archive; a batch is tried for ever.
#[tokio::test(start_paused = true)]
async fn a_batch_is_never_given_up_and_anybody_s() {
    let mut bench = Bench::archiving();
    bench.archives = false;
    bench.record(vec![single("1", "-actor", "alice")]).await;
    seconds(1).await;
    bench.stop.take().unwrap().send(()).unwrap();
    bench.running.take().unwrap().await.unwrap();
    // One that knows no archive.
    bench.start();
    sleep(72 * HOUR).await;
    assert_eq!((bench.due(Queue::Alerts).await, bench.due(Queue::Dead).await), (1, 0));
    bench.stop.take().unwrap().send(()).unwrap();
    bench.running.take().unwrap().await.unwrap();
    bench.archives = true;
    bench.start();
    sleep(HOUR).await;
    assert_eq!(bench.archived(), [("1".to_owned(), 1)]);
    assert_eq!(bench.due(Queue::Alerts).await, 0);
}
