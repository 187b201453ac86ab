//! What the two sides do in turns.

use std::collections::BTreeSet;

use crate::checks::{
    assert_survived, assert_types, begun, complaint, count_of, declared, ended, kill, owned, print, stop,
};
use crate::emulator::Emulator;
use crate::items::Items;
use crate::scene::Scene;

const SHARDS: usize = 4;

/// How the library's first turn ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// As SIGTERM ends it.
    Stopped,
    /// As SIGKILL does. Its lock on the assignment of leases stays behind for two minutes, in which no other worker of
    /// the library is given any.
    Killed,
}

/// The library reads a part and ends; two of ours carry on, one is killed, one stopped; the library finishes and
/// is stopped; one of ours reads what came since.
pub async fn the_library_begins(how: End) {
    let mut scene = Scene::new("A table that the Kinesis Client Library made", Emulator::ferrokinesis(), SHARDS).await;
    scene.put(6_000).await;
    let mut kcl = scene.start_kcl("kcl-1");
    let throughput = |items: &Items| items.0.keys().all(|key| items.value(key, "throughputKBps").is_some());
    scene.until(1_000, Some(&mut kcl), |items| begun(items, SHARDS) && throughput(items)).await;
    match how {
        End::Stopped => stop(kcl, None),
        End::Killed => kill(kcl, None),
    }
    let by_kcl = scene.items().await;
    scene.crashed("kcl-1", &by_kcl);
    assert!(how == End::Killed || scene.crashes.iter().all(BTreeSet::is_empty), "a clean stop leaves nothing");
    scene.assert_readable(&by_kcl).await;

    let (first, second) = (scene.start_ours("ours-1", false), scene.start_ours("ours-2", false));
    let all_ours = |items: &Items| owned(items, &["ours-1", "ours-2"]) && declared(items, "ours-1");
    scene.until(scene.processed() + 800, None, all_ours).await;
    first.kill().await;
    second.stop().await;
    let by_ours = scene.items().await;
    println!("ours-2 was stopped");
    scene.crashed("ours-1", &by_ours);
    for worker in ["ours-1", "ours-2"] {
        scene.assert_began_at(worker, &by_kcl);
    }
    assert_survived(&by_kcl, &by_ours);

    scene.put(500).await;
    let mut kcl = scene.start_kcl("kcl-2");
    scene.until(scene.put, Some(&mut kcl), |_| true).await;
    stop(kcl, Some(&by_ours));
    let by_kcl_again = scene.items().await;
    scene.assert_began_at("kcl-2", &by_ours);
    scene.assert_readable(&by_kcl_again).await;
    assert_eq!(scene.account().not_checkpointed(&by_kcl_again), BTreeSet::new(), "a clean stop leaves nothing");

    scene.put(300).await;
    scene.start_ours("ours-3", true).end().await;
    let at_the_end = scene.items().await;
    scene.assert_began_at("ours-3", &by_kcl_again);
    assert_survived(&by_kcl_again, &at_the_end);
    print(&[
        (if how == End::Killed { "kcl-1 killed" } else { "kcl-1 stopped" }, &by_kcl),
        ("ours-1 killed, ours-2 stopped", &by_ours),
        ("kcl-2 stopped", &by_kcl_again),
        ("ours-3 at the end", &at_the_end),
    ]);
    assert_types(&[&by_kcl, &by_ours, &by_kcl_again, &at_the_end]);
    scene.assert_all_processed();
}

/// The other way round: ours make the table, and close a shard that is split meanwhile; the library carries on with
/// its children and is killed; ours finish. The split is over before the library begins: at the end of a shard it
/// insists on being told the children, which ferrokinesis does not do.
pub async fn we_begin() {
    let mut scene = Scene::new("A table that our workers made", Emulator::ferrokinesis(), SHARDS).await;
    scene.put(1_600).await;
    let first = scene.start_ours("ours-1", false);
    scene.split(0, 1 << 125).await;
    scene.put(3_400).await;
    let closed = |items: &Items| ended(items, &[0]) && begun(items, SHARDS + 2) && declared(items, "ours-1");
    scene.until(1_000, None, closed).await;
    first.kill().await;
    let by_ours = scene.items().await;
    scene.crashed("ours-1", &by_ours);

    let mut kcl = scene.start_kcl("kcl-1");
    let all_kcls = |items: &Items| {
        let mut open = items.0.keys().filter(|key| items.checkpoint(key).0 != "SHARD_END");
        open.all(|key| items.value(key, "leaseOwner") == Some("kcl-1"))
    };
    scene.until(scene.processed() + 600, Some(&mut kcl), all_kcls).await;
    kill(kcl, Some(&by_ours));
    let by_kcl = scene.items().await;
    scene.crashed("kcl-1", &by_kcl);
    scene.assert_began_at("kcl-1", &by_ours);
    scene.assert_readable(&by_kcl).await;

    scene.start_ours("ours-2", true).end().await;
    let at_the_end = scene.items().await;
    scene.assert_began_at("ours-2", &by_kcl);
    assert_survived(&by_kcl, &at_the_end);
    print(&[("ours-1 killed", &by_ours), ("kcl-1 killed", &by_kcl), ("ours-2 at the end", &at_the_end)]);
    assert_types(&[&by_ours, &by_kcl, &at_the_end]);
    scene.assert_all_processed();
}

/// A shard is split while the library reads, and two are merged while ours do: each side closes parents and begins
/// children, and the other carries on with them.
pub async fn shards_change() {
    let mut scene = Scene::new("Shards that are split and merged", Emulator::kinesis_local(), 2).await;
    scene.put(400).await;
    let mut kcl = scene.start_kcl("kcl-1");
    scene.until(100, Some(&mut kcl), |items| begun(items, 2)).await;
    scene.split(0, 1 << 126).await;
    // Enough for every shard to come to a checkpoint.
    scene.put(1_000).await;
    let split = |items: &Items| ended(items, &[0]) && begun(items, 4);
    scene.until(1_000, Some(&mut kcl), split).await;
    stop(kcl, None);
    let by_kcl = scene.items().await;
    scene.assert_readable(&by_kcl).await;

    let ours = scene.start_ours("ours-1", false);
    scene.put(200).await;
    scene.merge(3, 1).await;
    scene.put(400).await;
    scene.until(1_800, None, |items| ended(items, &[0, 1, 3]) && begun(items, 5)).await;
    ours.stop().await;
    let by_ours = scene.items().await;
    scene.assert_began_at("ours-1", &by_kcl);
    assert_survived(&by_kcl, &by_ours);

    scene.put(200).await;
    let mut kcl = scene.start_kcl("kcl-2");
    scene.until(scene.put, Some(&mut kcl), |_| true).await;
    stop(kcl, Some(&by_ours));
    let at_the_end = scene.items().await;
    scene.assert_began_at("kcl-2", &by_ours);
    scene.assert_readable(&at_the_end).await;
    print(&[("kcl-1 stopped", &by_kcl), ("ours-1 stopped", &by_ours), ("kcl-2 stopped", &at_the_end)]);
    assert_types(&[&by_kcl, &by_ours, &at_the_end]);
    scene.assert_all_processed();
}

/// A shard is split on ferrokinesis while the library reads. It reads the parent's records, but cannot end the shard: the last
/// answer lacks the children. Ours, which asks for a listing then, ends it, and the library carries on with the children.
pub async fn children_are_not_told() {
    let mut scene = Scene::new("A shard that ends without naming its children", Emulator::ferrokinesis(), 2).await;
    scene.put(400).await;
    let mut kcl = scene.start_kcl("kcl-1");
    scene.until(100, Some(&mut kcl), |items| begun(items, 2)).await;
    scene.split(0, 1 << 126).await;
    scene.put(600).await;
    let log = kcl.log_file().to_owned();
    // What the library says of an answer that it finds invalid; real time-outs look the same.
    let refused = || complaint(&log, "Timeout occurred while waiting for response from Kinesis");
    // What comes after the split is half in the children, of which it does not learn.
    scene.until(500, Some(&mut kcl), |_| refused().is_some()).await;
    stop(kcl, None);
    println!("the library says: {}", refused().unwrap_or_default());
    let answer = scene.last_answer(0).await;
    let (iterator, children) = (&answer.next_shard_iterator, &answer.child_shards);
    println!("ferrokinesis' last answer of the shard: NextShardIterator {iterator:?}, ChildShards {children:?}");
    assert!(children.is_none(), "ferrokinesis names the children by now: this scene is over");
    let by_kcl = scene.items().await;
    assert!(!ended(&by_kcl, &[0]) && by_kcl.0.len() == 2, "it did not end the parent: {by_kcl:#?}");
    scene.crashed("kcl-1", &by_kcl);

    scene.start_ours("ours-1", true).end().await;
    let by_ours = scene.items().await;
    assert!(ended(&by_ours, &[0]) && begun(&by_ours, 4));
    scene.assert_began_at("ours-1", &by_kcl);

    scene.put(200).await;
    let mut kcl = scene.start_kcl("kcl-2");
    scene.until(scene.put, Some(&mut kcl), |_| true).await;
    stop(kcl, Some(&by_ours));
    let at_the_end = scene.items().await;
    scene.assert_began_at("kcl-2", &by_ours);
    print(&[("kcl-1 stopped", &by_kcl), ("ours-1 at the end", &by_ours), ("kcl-2 stopped", &at_the_end)]);
    scene.assert_all_processed();
}

/// A worker of ours joins one of the library's that is running and takes its share of the leases; when the library is stopped,
/// ours takes the rest.
pub async fn side_by_side() {
    let mut scene = Scene::new("Both at once", Emulator::ferrokinesis(), SHARDS).await;
    scene.put(6_000).await;
    let mut kcl = scene.start_kcl("kcl-1");
    scene.until(600, Some(&mut kcl), |items| begun(items, SHARDS) && owned(items, &["kcl-1"])).await;
    let ours = scene.start_ours("ours-1", false);
    let shared = |items: &Items| count_of(items, "ours-1") == SHARDS / 2 && count_of(items, "kcl-1") == SHARDS / 2;
    scene.until(600, Some(&mut kcl), shared).await;
    scene.until(scene.put, Some(&mut kcl), |_| true).await;
    let together = scene.items().await;
    assert!(shared(&together), "nobody takes more: {together:#?}");
    scene.taken("kcl-1", "ours-1");
    stop(kcl, None);
    let left = scene.items().await;

    scene.put(400).await;
    scene.until(scene.put, None, |items| count_of(items, "ours-1") == SHARDS).await;
    ours.stop().await;
    let at_the_end = scene.items().await;
    assert_survived(&left, &at_the_end);
    print(&[("both at once", &together), ("kcl-1 stopped", &left), ("ours-1 stopped", &at_the_end)]);
    scene.assert_all_processed();
}
