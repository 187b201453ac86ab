//! The local line: what it records is delivered before it ends, what could not be is delivered by the next one, and a sink
//! that never answers delays only itself.

use std::collections::BTreeSet;
use std::io::Write;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::destination::{Destination, Named};
use crate::scene::{Worker, event, rules};
use crate::server::{Mood, Server};
use crate::support::{DIAL, Ended, Folder, lines};

/// How many alerts of a sink are attempted at a time.
const AT_A_TIME: usize = 4;
/// How long anything here may take.
const LONGEST: Duration = Duration::from_secs(120);

/// A folder with settings, and what they name.
struct Laptop {
    folder: Folder,
    /// Is well.
    well: Arc<Server>,
    /// May be not.
    other: Arc<Server>,
}

impl Laptop {
    async fn set() -> Laptop {
        let (well, other) = (Server::start(Destination::SlackHook).await, Server::start(Destination::Webhook).await);
        let folder = Folder::new();
        folder.write("rules.yml", rules());
        let settings = format!(
            "[metrics]\nlisten = \"off\"\n[alerts]\nstorm_per_minute = 1000000\n\
             [sinks.well]\nkind = \"slack\"\nwebhook = \"env:HOOK\"\n\
             [sinks.other]\nkind = \"webhook\"\nurl = \"{}/alerts\"\nsigning_key = \"env:SIGNING_KEY\"\n",
            other.address()
        );
        folder.write("dial.toml", settings);
        Laptop { folder, well, other }
    }

    fn env(&self) -> [(&'static str, String); 2] {
        [
            ("HOOK", format!("{}/services/test", self.well.address())),
            ("SIGNING_KEY", crate::destination::SIGNING_KEY.to_owned()),
        ]
    }

    /// `dial run < events`, where the events are of different actors.
    async fn run(&self, names: &[&str]) -> Ended {
        let events: Vec<_> = names.iter().map(|name| event(name, "Calm0", name)).collect();
        let mut dial = self.folder.dial(["run", "--role", "detect", "--rules", "rules.yml"]).input(lines(&events));
        for (name, value) in self.env() {
            dial = dial.env(name, value);
        }
        tokio::task::spawn_blocking(|| dial.run()).await.unwrap()
    }
}

/// The findings that were told, in words of those who take ids.
fn told(server: &Server) -> BTreeSet<String> {
    let taken = server.journal().into_iter().filter(|attempt| attempt.accepted);
    taken
        .flat_map(|attempt| match attempt.said.named {
            Named::Ids(ids) => ids,
            Named::Lead { finding_id, .. } => BTreeSet::from([finding_id]),
        })
        .collect()
}

fn found(ended: &Ended) -> BTreeSet<String> {
    ended.lines().iter().map(|finding| finding["finding_id"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_laptop_finds_is_told_before_it_ends_or_the_next_time() {
    let laptop = Laptop::set().await;
    let mut all = found(&laptop.run(&["a", "b", "c"]).await.expect(0, &[]));
    assert_eq!((all.len(), told(&laptop.well), told(&laptop.other)), (3, all.clone(), all.clone()));
    let before = all.clone();
    laptop.other.becomes(Mood::Failing);
    all.extend(found(&laptop.run(&["d", "e"]).await.expect(0, &["was not delivered"])));
    assert_eq!((all.len(), told(&laptop.well), told(&laptop.other)), (5, all.clone(), before));
    laptop.other.becomes(Mood::Fine);
    // It is left alone for a second or two after failures.
    sleep(Duration::from_secs(4)).await;
    laptop.run(&[]).await.expect(0, &[]);
    assert_eq!(told(&laptop.other), all, "the next run delivers, though it finds nothing itself");
    let each_once = [&laptop.well, &laptop.other].map(|server| server.taken());
    assert_eq!(each_once, [5, 5], "by a run each");
}

/// A line that reads events as they come.
struct Running {
    worker: Worker,
    stdin: ChildStdin,
    number: usize,
}

impl Running {
    fn start(laptop: &Laptop) -> Running {
        let mut command = Command::new(DIAL);
        command.args(["run", "--role", "detect", "--rules", "rules.yml"]).current_dir(laptop.folder.path(""));
        let log = std::fs::File::create(laptop.folder.path("dial.log")).unwrap();
        command.envs(laptop.env()).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(log);
        let mut child: Child = command.spawn().unwrap();
        let stdin = child.stdin.take().unwrap();
        Running { worker: Worker(child), stdin, number: 0 }
    }

    /// So many events of different actors.
    fn feed(&mut self, count: usize) {
        let events: Vec<_> = (self.number..self.number + count)
            .map(|n| event(&format!("event-{n}"), "Calm0", &format!("user-{n}")))
            .collect();
        self.number += count;
        self.stdin.write_all(&lines(&events)).unwrap();
    }

    /// How long it takes from an event to its message at a sink that is well, in the middle of so many times.
    async fn latency(&mut self, well: &Server, times: usize) -> Duration {
        let mut all = Vec::new();
        for _ in 0..times {
            self.feed(1);
            all.push(self.until_told(well).await);
        }
        all.sort_unstable();
        all[times / 2]
    }

    async fn until_told(&self, well: &Server) -> Duration {
        let begun = Instant::now();
        while well.taken() < self.number {
            assert!(begun.elapsed() < LONGEST, "{} of {} are told", well.taken(), self.number);
            sleep(Duration::from_millis(5)).await;
        }
        begun.elapsed()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_sink_delays_only_itself() {
    let laptop = Laptop::set().await;
    let mut running = Running::start(&laptop);
    running.latency(&laptop.well, 1).await;
    let before = running.latency(&laptop.well, 9).await;
    laptop.other.becomes(Mood::Hanging);
    let beside = running.latency(&laptop.well, 9).await;
    println!("from an event to its message: median {before:?}, beside a sink that never answers {beside:?}");
    // An attempt there takes nine seconds.
    assert!(beside < before * 3 + Duration::from_secs(1), "{beside:?} beside a dead sink, {before:?} without one");
    let mut most = Vec::new();
    for _ in 0..3 {
        running.feed(600);
        running.until_told(&laptop.well).await;
        most.push(running.worker.most_memory() / 1024);
    }
    let hanging = laptop.other.most_hanging();
    println!(
        "most memory after each 600 alerts that a dead sink does not take: {most:?} MiB; {hanging} attempts at a time"
    );
    assert!((1..=AT_A_TIME).contains(&hanging), "{hanging} attempts hang at a time");
    assert!(most[2] - most[0] < 32, "memory grows with what waits: {most:?} MiB");
}
