//! One run, by a seed.

use std::collections::BTreeMap;
use std::time::Duration;

use dial_emulators::{Kinesis, KinesisLocal};
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep, timeout};

use super::super::dice::Dice;
use super::proxy::{Moment, Side, Step};
use super::record::Put;
use super::scene::{Emulator, Scene};

/// The first victim of a run dies at one of these moments, by the seed; `None` is any.
const MOMENTS: [Option<(Step, Side)>; 7] = [
    Some((Step::Intent, Side::After)),
    Some((Step::Put, Side::After)),
    Some((Step::Commit, Side::After)),
    None,
    Some((Step::Intent, Side::Before)),
    Some((Step::Put, Side::Before)),
    Some((Step::Commit, Side::Before)),
];
/// How many kinds of runs there are.
pub(crate) const KINDS: u64 = MOMENTS.len() as u64;
/// In so many runs one is on the other emulator, which is slow.
const LOCAL: u64 = 10;

/// Lives a run, checks its end, and tells what it was.
///
/// # Panics
/// When the archive is not what was put, or a worker does not do its work.
pub(crate) async fn live(seed: u64) -> String {
    let mut dice = Dice::new(seed, 21);
    let local = seed % LOCAL == LOCAL - 1;
    let emulator = match local {
        true => Emulator::Local(KinesisLocal::start()),
        false => Emulator::Ferrokinesis(Kinesis::start()),
    };
    let mut scene = Scene::set(emulator, u32::try_from(dice.between(2, 3)).unwrap()).await;
    let begun = Instant::now();
    let mut told = vec![if local { "kinesis-local".to_owned() } else { "ferrokinesis".to_owned() }];
    let mut stock = Stock { dice: Dice::new(seed, 22), made: 0 };

    // Whoever takes over, in half of the runs from the beginning.
    let mut heir = dice.chance(50).then(|| scene.archiver("heir", None, &[]));
    for victim in 0..dice.between(1, 3) {
        let chosen = if victim == 0 { MOMENTS[usize::try_from(seed % KINDS).unwrap()] } else { dice.pick(&MOMENTS) };
        scene.put(&stock.some(40)).await;
        told.push(kill_one(&mut scene, &mut stock, &mut dice, victim, chosen).await);
        if dice.chance(40) {
            let split = dice.chance(60);
            scene.reshard(split).await;
            told.push(if split { "split".to_owned() } else { "merged".to_owned() });
        }
        heir = Some(heir.unwrap_or_else(|| scene.archiver("heir", None, &[])));
        scene.put(&stock.some(30)).await;
    }
    sleep(Duration::from_millis(dice.below(4_000) as u64)).await;
    drop(heir); // killed
    scene.put(&stock.some(20)).await;
    scene.drain().await;

    let files = assert_exact(&scene).await;
    told.push(format!("{} rows and dead letters in {files} files", scene.expected.len()));
    told.push(format!("{:.1} s", begun.elapsed().as_secs_f64()));
    told.join(", ")
}

/// Starts an archiver and kills it at its moment, while records keep coming.
async fn kill_one(
    scene: &mut Scene,
    stock: &mut Stock,
    dice: &mut Dice,
    number: usize,
    chosen: Option<(Step, Side)>,
) -> String {
    let proxy = scene.proxy().await;
    let (moment, reached) = match chosen {
        Some((step, side)) => {
            let moment = Moment { step, side, nth: dice.between(1, 3) };
            (format!("killed {side:?} {step:?} {}", moment.nth).to_lowercase(), proxy.stop_at(moment))
        }
        None => {
            let (tell, told) = oneshot::channel();
            let age = dice.between(300, 5_000) as u64;
            tokio::spawn(async move {
                sleep(Duration::from_millis(age)).await;
                let _ = tell.send(());
            });
            (format!("killed at {age} ms"), told)
        }
    };
    let worker = scene.archiver(&format!("victim-{number}"), Some(&proxy), &[]);
    let mut reached = reached;
    let begun = Instant::now();
    while timeout(Duration::from_millis(250), &mut reached).await.is_err() {
        assert!(begun.elapsed() < Duration::from_secs(60), "its moment does not come: {moment}\n{}", scene.logs());
        scene.put(&stock.some(4)).await;
    }
    drop(worker); // SIGKILL, while whatever it called is held
    moment
}

/// Records to be put.
struct Stock {
    dice: Dice,
    made: usize,
}

impl Stock {
    fn some(&mut self, count: usize) -> Vec<Put> {
        self.made += count;
        (self.made - count..self.made).map(|n| Put::random(n, 15, &mut self.dice)).collect()
    }
}

/// Every key is there once, as what it is, and none besides.
async fn assert_exact(scene: &Scene) -> usize {
    let (archived, files) = scene.archived().await;
    let mut found: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for (key, kept) in &archived {
        found.entry(key).or_default().push(kept);
    }
    let wrong = |what: &str, keys: Vec<String>| {
        assert!(keys.is_empty(), "{} {what}, such as {:?}\n{}", keys.len(), &keys[..keys.len().min(5)], scene.logs());
    };
    let many = found.iter().filter(|(_, kept)| kept.len() > 1).map(|(key, kept)| format!("{key:?} {kept:?}"));
    wrong("are there twice", many.collect());
    let lost = scene.expected.iter().filter(|(key, kept)| found.get(key).is_none_or(|it| it[0] != *kept));
    wrong("are lost or changed", lost.map(|(key, kept)| format!("{key:?} {kept:?}")).collect());
    let more = found.keys().filter(|key| !scene.expected.contains_key(**key)).map(|key| format!("{key:?}"));
    wrong("were never put", more.collect());
    files
}
