#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use super::*;
use crate::lease::LeaseChange;
use crate::sighting::workers_seen;
use crate::stream::HashRange;
use proptest::prelude::*;

const FAILOVER: Duration = Duration::from_secs(10);

fn shard(id: &str, parents: &[&str], range: (u128, u128), open: bool) -> Shard {
    Shard {
        shard_id: id.into(),
        parent_ids: parents.iter().map(|p| (*p).into()).collect(),
        hash_range: Some(HashRange { start: range.0, end: range.1 }),
        open,
    }
}

/// A shard that was split: a into b and c, b open, c split again into d and e.
fn family() -> Vec<Shard> {
    vec![
        shard("a", &[], (0, 99), false),
        shard("b", &["a"], (0, 49), true),
        shard("c", &["a"], (50, 99), false),
        shard("d", &["c"], (50, 74), true),
        shard("e", &["c"], (75, 99), true),
    ]
}

fn at(sequence: &str) -> Position {
    Position::new(sequence.parse().unwrap(), 0)
}

fn lease(shard: &Shard, checkpoint: Position) -> Lease {
    Lease::of_shard(shard, checkpoint)
}

fn seen(lease: Lease, unchanged_since: u64) -> Sighting {
    Sighting { lease, unchanged_since: Duration::from_secs(unchanged_since), seen_changing: true }
}

struct Me {
    held: BTreeSet<String>,
    initial: InitialPosition,
    max_leases: usize,
}

impl Me {
    fn new() -> Self {
        Self { held: BTreeSet::new(), initial: InitialPosition::TrimHorizon, max_leases: usize::MAX }
    }

    fn plan(&self, leases: &[Sighting], shards: &[Shard], now: u64) -> Vec<LeaseAction> {
        let now = Duration::from_secs(now);
        let planner = Planner {
            worker_id: "me",
            held: &self.held,
            workers_seen: &workers_seen(leases, FAILOVER, now),
            failover: FAILOVER,
            initial_position: self.initial,
            max_leases: self.max_leases,
        };
        plan_leases(leases, shards, &planner, now)
    }
}

fn created(actions: &[LeaseAction]) -> Vec<(String, Position)> {
    let created = |action: &LeaseAction| match action {
        LeaseAction::Create(lease) => Some((lease.lease_key.clone(), lease.checkpoint.clone())),
        _ => None,
    };
    actions.iter().filter_map(created).collect()
}

fn taken(actions: &[LeaseAction]) -> BTreeSet<String> {
    let taken = |action: &LeaseAction| match action {
        LeaseAction::Take(lease) | LeaseAction::Steal(lease) => Some(lease.lease_key.clone()),
        _ => None,
    };
    actions.iter().filter_map(taken).collect()
}

fn keys(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).into()).collect()
}

#[test]
fn an_empty_table_gets_every_shard_parents_first() {
    let actions = Me::new().plan(&[], &family(), 0);
    let order: Vec<String> = created(&actions).into_iter().map(|(key, _)| key).collect();
    assert_eq!(order, ["a", "b", "c", "d", "e"]);
    assert!(created(&actions).iter().all(|(_, position)| *position == Position::TRIM_HORIZON));
}

#[test]
fn latest_begins_with_open_shards_only() {
    let me = Me { initial: InitialPosition::Latest, ..Me::new() };
    let new = created(&me.plan(&[], &family(), 0));
    assert_eq!(new, ["b", "d", "e"].map(|key| (key.to_owned(), Position::LATEST)));
}

#[test]
fn a_child_of_a_known_shard_begins_at_its_beginning() {
    let me = Me { initial: InitialPosition::Latest, ..Me::new() };
    let known = [seen(lease(&family()[2], at("7")), 0)];
    let new: BTreeMap<_, _> = created(&me.plan(&known, &family(), 0)).into_iter().collect();
    assert_eq!(new["d"], Position::TRIM_HORIZON);
    assert_eq!(new["e"], Position::TRIM_HORIZON);
    assert_eq!(new["b"], Position::LATEST, "b does not come from c");
    assert!(!new.contains_key("a"), "a was done with before c was begun");
}

#[test]
fn a_successor_whose_links_have_aged_out_is_known_by_its_hash_keys() {
    let me = Me { initial: InitialPosition::Latest, ..Me::new() };
    let known = [seen(lease(&shard("a", &[], (0, 49), false), at("7")), 0)];
    let listed = [shard("x", &["gone"], (0, 24), true), shard("y", &["gone"], (50, 99), true)];
    let new: BTreeMap<_, _> = created(&me.plan(&known, &listed, 0)).into_iter().collect();
    assert_eq!(new["x"], Position::TRIM_HORIZON);
    assert_eq!(new["y"], Position::LATEST);
}

#[test]
fn an_ended_shard_whose_lease_was_removed_is_not_begun_again() {
    let [_, b, c, d, e] = family().try_into().unwrap();
    let shards = family();
    let known: Vec<_> = [(b, at("7")), (c, Position::SHARD_END), (d, at("8")), (e, at("9"))]
        .into_iter()
        .map(|(shard, checkpoint)| seen(lease(&shard, checkpoint), 0))
        .collect();
    assert_eq!(created(&Me::new().plan(&known, &shards, 0)), []);
}

#[test]
fn children_wait_for_every_parent() {
    let merged =
        [shard("a", &[], (0, 49), false), shard("b", &[], (50, 99), false), shard("c", &["a", "b"], (0, 99), true)];
    let leases = |a: Position, b: Position| {
        let checkpoints = [a, b, Position::TRIM_HORIZON];
        merged.iter().zip(checkpoints).map(|(s, c)| seen(lease(s, c), 0)).collect::<Vec<_>>()
    };
    let take = |a, b| taken(&Me::new().plan(&leases(a, b), &merged, 0));
    assert_eq!(take(at("1"), at("1")), keys(&["a", "b"]));
    assert_eq!(take(Position::SHARD_END, at("1")), keys(&["b"]));
    assert_eq!(take(Position::SHARD_END, Position::SHARD_END), keys(&["c"]));
    // A parent that has aged out, lease and all, holds nothing up; nor is the listing needed to know the parents.
    let alone = [seen(lease(&merged[2], Position::TRIM_HORIZON), 0)];
    assert_eq!(taken(&Me::new().plan(&alone, &merged[2..], 0)), keys(&["c"]));
    let unlisted = &leases(Position::SHARD_END, at("1"))[..];
    assert_eq!(taken(&Me::new().plan(unlisted, &[], 0)), keys(&["b"]));
}

#[test]
fn a_lease_is_taken_when_free_expired_or_ones_own() {
    let owned = |id: &str, owner: &str| {
        lease(&shard(id, &[], (0, 0), true), at("1")).after(&LeaseChange::Take { owner: owner.into() })
    };
    let leases = [
        seen(owned("alive", "other"), 95),
        seen(owned("expired", "dead"), 90),
        seen(owned("free", "x").after(&LeaseChange::Release), 99),
        seen(owned("mine", "me"), 99),
        seen(owned("working", "me"), 99),
        seen(lease(&shard("ended", &[], (0, 0), false), Position::SHARD_END), 0),
    ];
    let me = Me { held: keys(&["working"]), ..Me::new() };
    // Five can be worked on and two workers are alive: three for each.
    let plan = taken(&me.plan(&leases, &[], 100));
    assert_eq!(plan.len(), 2, "{plan:?}");
    assert!(plan.is_subset(&keys(&["expired", "free", "mine"])));
    let bounded = Me { max_leases: 2, ..me };
    assert_eq!(taken(&bounded.plan(&leases, &[], 100)).len(), 1);
    // Whoever it was fair for does not want it.
    let later: Vec<_> =
        leases.iter().cloned().map(|s| Sighting { unchanged_since: Duration::from_secs(50), ..s }).collect();
    assert!(taken(&Me { held: keys(&["working", "a", "b", "c"]), ..Me::new() }.plan(&later, &[], 100)).len() > 1);
}

#[test]
fn what_was_taken_from_us_is_not_taken_back_while_we_work_on_it_still() {
    let owned =
        |id: &str| lease(&shard(id, &[], (0, 0), true), at("1")).after(&LeaseChange::Take { owner: "rich".into() });
    let leases = ["a", "b", "c", "d"].map(|id| seen(owned(id), 99));
    let stolen = taken(&Me::new().plan(&leases, &[], 100));
    assert_eq!(stolen.len(), 1);
    let me = Me { held: stolen.clone(), ..Me::new() };
    let other = taken(&me.plan(&leases, &[], 100));
    assert!(other.len() == 1 && other.is_disjoint(&stolen), "{other:?}");
}

#[test]
fn a_lease_is_removed_when_its_shard_is_gone_and_its_children_have_begun() {
    let [a, b, c, d, e] = family().try_into().unwrap();
    let deleted = |b_at: Position, shards: &[Shard]| {
        let leases = [
            seen(lease(&a, Position::SHARD_END), 0),
            seen(lease(&b, b_at), 0),
            seen(lease(&c, Position::SHARD_END), 0),
            seen(lease(&d, at("5")), 0),
            seen(lease(&e, Position::TRIM_HORIZON), 0),
        ];
        let actions = Me::new().plan(&leases, shards, 0);
        let deleted = |action: &LeaseAction| match action {
            LeaseAction::Delete(lease) => Some(lease.lease_key.clone()),
            _ => None,
        };
        actions.iter().filter_map(deleted).collect::<BTreeSet<_>>()
    };
    assert_eq!(deleted(at("5"), &family()), keys(&[]), "all are listed still");
    assert_eq!(deleted(at("5"), &family()[1..]), keys(&["a"]));
    assert_eq!(deleted(Position::TRIM_HORIZON, &family()[1..]), keys(&[]), "b has not begun");
    assert_eq!(deleted(at("5"), &family()[3..]), keys(&["a"]), "e has not begun, b is not asked for c");
    assert_eq!(deleted(at("5"), &[]), keys(&[]), "nothing is known of the stream");
}

#[test]
fn a_lease_is_not_removed_on_the_word_of_an_old_listing() {
    let [a, b, c, d, e] = family().try_into().unwrap();
    let leases = [
        seen(lease(&a, Position::SHARD_END), 0),
        seen(lease(&b, at("5")), 0),
        seen(lease(&c, Position::SHARD_END), 0),
        seen(lease(&d, at("5")), 0),
        seen(lease(&e, at("5")), 0),
    ];
    let removes_c = |shards: &[Shard]| {
        let actions = Me::new().plan(&leases, shards, 0);
        actions.iter().any(|action| matches!(action, LeaseAction::Delete(lease) if lease.lease_key == "c"))
    };
    assert!(!removes_c(&[Shard { open: true, ..a.clone() }]), "from before the first split");
    assert!(removes_c(&[b.clone(), d, e]));
    assert!(removes_c(&[b, shard("f", &["unknown"], (50, 99), true)]), "the links between have aged out");
}

/// Workers that plan one after the other, each carrying out its plan at once.
fn settle(leases: &mut BTreeMap<String, Lease>, workers: &[String], rounds: usize) -> usize {
    let mut last_change = 0;
    for round in 0..rounds {
        for worker in workers {
            let now = Duration::from_secs(1);
            let sightings: Vec<_> = leases.values().cloned().map(|lease| seen(lease, 1)).collect();
            let mine = |lease: &&Lease| lease.is_owned_by(worker);
            let held: BTreeSet<String> = leases.values().filter(mine).map(|lease| lease.lease_key.clone()).collect();
            let planner = Planner {
                worker_id: worker,
                held: &held,
                workers_seen: &workers_seen(&sightings, FAILOVER, now),
                failover: FAILOVER,
                initial_position: InitialPosition::TrimHorizon,
                max_leases: usize::MAX,
            };
            for action in plan_leases(&sightings, &[], &planner, now) {
                if let LeaseAction::Take(lease) | LeaseAction::Steal(lease) = action {
                    last_change = round + 1;
                    leases.insert(lease.lease_key.clone(), lease.after(&LeaseChange::Take { owner: worker.clone() }));
                }
            }
        }
    }
    last_change
}

proptest! {
    /// Any number of workers over any number of leases, however unevenly owned at first, come to shares that differ
    /// by one at most, and then rest.
    #[test]
    fn shares_become_even_and_stay(owners in proptest::collection::vec(0usize..8, 1..40), workers in 1usize..8) {
        let names: Vec<String> = (0..workers).map(|n| format!("worker-{n}")).collect();
        let mut leases: BTreeMap<String, Lease> = owners
            .iter()
            .enumerate()
            .map(|(n, owner)| {
                let lease = lease(&shard(&format!("shard-{n}"), &[], (0, 0), true), at("1"));
                let lease = match names.get(*owner) {
                    Some(owner) => lease.after(&LeaseChange::Take { owner: owner.clone() }),
                    None => lease,
                };
                (lease.lease_key.clone(), lease)
            })
            .collect();
        let rounds = owners.len() + 3;
        settle(&mut leases, &names, rounds);
        prop_assert_eq!(settle(&mut leases, &names, 2), 0, "still moving");
        let share = |name: &String| leases.values().filter(|lease| lease.is_owned_by(name)).count();
        let shares: Vec<usize> = names.iter().map(share).collect();
        prop_assert_eq!(shares.iter().sum::<usize>(), owners.len());
        let (least, most) = (shares.iter().min().unwrap(), shares.iter().max().unwrap());
        prop_assert!(most - least <= 1, "{:?}", shares);
    }

    /// Whatever the tables say, a plan is a plan: it ends, creates parents first, and takes nothing that waits.
    #[test]
    fn any_lineage_is_planned(links in proptest::collection::vec((0usize..12, 0usize..12), 0..20), ended in 0u16..4096) {
        let id = |n: usize| format!("shard-{n:02}");
        let shards: Vec<Shard> = (0..12)
            .map(|n| {
                let parents: Vec<String> = links.iter().filter(|(_, child)| *child == n).map(|(p, _)| id(*p)).collect();
                let parents: Vec<&str> = parents.iter().map(String::as_str).collect();
                shard(&id(n), &parents, (n as u128, n as u128), n % 2 == 0)
            })
            .collect();
        let acyclic = links.iter().all(|(parent, child)| parent < child);
        let order: Vec<String> = created(&Me::new().plan(&[], &shards, 0)).into_iter().map(|(key, _)| key).collect();
        prop_assert_eq!(order.len(), 12);
        if acyclic {
            let place = |n: usize| order.iter().position(|key| *key == id(n)).unwrap();
            prop_assert!(links.iter().all(|(parent, child)| place(*parent) < place(*child)));
        }
        let is_ended = |n: usize| ended & (1 << n) != 0;
        let leases: Vec<_> = shards
            .iter()
            .enumerate()
            .map(|(n, s)| seen(lease(s, if is_ended(n) { Position::SHARD_END } else { at("1") }), 0))
            .collect();
        let ready = |n: &usize| !is_ended(*n) && links.iter().all(|(p, child)| child != n || is_ended(*p));
        let expected: BTreeSet<String> = (0..12).filter(ready).map(id).collect();
        prop_assert_eq!(taken(&Me::new().plan(&leases, &shards, 0)), expected);
    }
}
