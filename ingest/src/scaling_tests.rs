#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use super::*;
use crate::resharding::{Asked, DAY, Look, Move, Refusal, StreamStatus, next_move};
use proptest::prelude::*;

const HOUR: i64 = 3_600_000;
const NOW: i64 = 1_750_000_000_000;

fn load(bytes_per_second: u64, records_per_second: u64) -> Load {
    Load { bytes_per_second, records_per_second }
}

fn plan(shards: u32, load: Load, history: &[i64]) -> Plan {
    shard_count(&Observed { shards, load }, &Limits::default(), history, NOW)
}

/// Kinesis, as the reference of UpdateShardCount describes it: what it refuses, this panics at.
struct Kinesis {
    shards: u32,
    calls: Vec<i64>,
}

impl Kinesis {
    fn update(&mut self, to: u32, limits: &Limits, now: i64) {
        let (from, most) = (self.shards, limits.most_shards);
        assert!(to >= 1 && to != from, "{from} → {to}");
        assert!(u64::from(to) <= 2 * u64::from(from), "more than double: {from} → {to}");
        assert!(2 * u64::from(to) >= u64::from(from), "below half: {from} → {to}");
        assert!(to <= most || to < from, "too many: {to}");
        assert!(from <= most || to < most, "still too many: {from} → {to}");
        assert!(self.calls.iter().filter(|time| now - **time < 24 * HOUR).count() < 10, "eleven a day");
        self.calls.push(now);
        self.shards = to;
    }
}

fn any_load() -> impl Strategy<Value = Load> {
    (0u64..6_000_000_000, 0u64..6_000_000).prop_map(|(bytes, records)| load(bytes, records))
}

fn any_limits() -> impl Strategy<Value = Limits> {
    (1u32..=90, 1u32..5, 1u32..20_000).prop_map(|(aim, polling_consumers, most_shards)| {
        Limits { polling_consumers, most_shards, ..Limits::default() }.aiming_at(aim)
    })
}

fn any_history() -> impl Strategy<Value = Vec<i64>> {
    prop::collection::vec((0i64..48 * HOUR).prop_map(|ago| NOW - ago), 0..25)
        // A history that Kinesis allowed: never more than ten within a day.
        .prop_map(|mut times| {
            times.sort_unstable();
            let mut kept: Vec<i64> = Vec::new();
            for time in times {
                if kept.iter().filter(|earlier| time - **earlier < 24 * HOUR).count() < 10 {
                    kept.push(time);
                }
            }
            kept
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn kinesis_accepts_every_step_of_a_plan(
        shards in 1u32..20_000, load in any_load(), limits in any_limits(), history in any_history()
    ) {
        let plan = shard_count(&Observed { shards, load }, &limits, &history, NOW);
        let mut kinesis = Kinesis { shards, calls: history.clone() };
        for step in &plan.steps {
            kinesis.update(*step, &limits, NOW);
        }
        prop_assert_eq!(plan.wait.is_some(), !plan.later.is_empty());
        if let Some(wait) = plan.wait {
            prop_assert!(wait > Duration::ZERO && wait <= DAY);
        }
        if plan.later.is_empty() {
            prop_assert_eq!(kinesis.shards, plan.target);
        } else {
            prop_assert_eq!(plan.later.last(), Some(&plan.target));
        }
    }

    #[test]
    fn what_a_plan_leads_to_is_left_alone_while_the_load_stays(
        shards in 1u32..10_000, load in any_load(), limits in any_limits()
    ) {
        let plan = shard_count(&Observed { shards, load }, &limits, &[], NOW);
        let after = shard_count(&Observed { shards: plan.target, load }, &limits, &[], NOW + 48 * HOUR);
        prop_assert_eq!(after.steps, Vec::<u32>::new(), "{:?} then {:?}", plan.reason, after.reason);
    }

    #[test]
    fn a_load_that_wavers_by_a_seventh_does_not_move_the_count_to_and_fro(
        shards in 1u32..5_000, bytes in 1u64..2_000_000_000, wavering in prop::collection::vec(85u64..=115, 1..20)
    ) {
        let limits = Limits { most_shards: 100_000, settle: Duration::ZERO, ..Limits::default() };
        let mut at = shard_count(&Observed { shards, load: load(bytes, 0) }, &limits, &[], NOW).target;
        let mut directions = Vec::new();
        for percent in wavering {
            let load = load(bytes * percent / 100, 0);
            let next = shard_count(&Observed { shards: at, load }, &limits, &[], NOW).target;
            if next != at {
                directions.push(next > at);
            }
            at = next;
        }
        directions.dedup();
        prop_assert!(directions.len() <= 1, "{directions:?}");
    }

    #[test]
    fn enough_shards_and_not_one_too_many(load in any_load(), limits in any_limits()) {
        let needed = limits.shards_at(load, limits.aim);
        prop_assert!(limits.percent(load, needed) <= u64::from(limits.aim));
        prop_assert!(needed == 1 || limits.percent(load, needed - 1) > u64::from(limits.aim));
        // The naive reference, by trying.
        if needed < 3_000 {
            let naive = (1..).find(|shards| limits.percent(load, *shards) <= u64::from(limits.aim));
            prop_assert_eq!(naive, Some(needed));
        }
    }

    #[test]
    fn a_full_stream_grows_at_once_and_an_empty_one_shrinks(
        shards in 1u32..1_000, bytes in 0u64..3_000_000_000, limits in any_limits()
    ) {
        let limits = Limits { most_shards: u32::MAX, ..limits };
        let load = load(bytes, 0);
        let plan = shard_count(&Observed { shards, load }, &limits, &[], NOW);
        let percent = bytes as f64 * 100.0 / (limits.shard().bytes_per_second as f64 * f64::from(shards));
        if percent > f64::from(limits.high) + 0.01 {
            prop_assert!(plan.target > shards && !plan.steps.is_empty());
        } else if percent < f64::from(limits.aim) / 2.0 - 0.01 && shards > 1 {
            prop_assert!(plan.target < shards && !plan.steps.is_empty());
        } else if (f64::from(limits.aim) / 2.0 + 0.01..f64::from(limits.high) - 0.01).contains(&percent) {
            prop_assert_eq!(plan.target, shards);
        }
    }

    #[test]
    fn the_wait_for_a_call_is_exact(history in any_history()) {
        let limits = Limits::default();
        let wait = next_call(&history, &limits, NOW);
        let at = |time: i64| calls_left(&history, &limits, time);
        let free = NOW + i64::try_from(wait.as_millis()).unwrap();
        prop_assert!(at(free) >= 1);
        prop_assert!(wait.is_zero() || at(free - 1) == 0);
    }

    #[test]
    fn followed_move_by_move_the_stream_gets_there_and_kinesis_never_refuses(
        from in 1u32..10_000, to in 1u32..10_000, slow in prop::collection::vec(0usize..4, 1..8)
    ) {
        let limits = Limits { calls_a_day: u32::MAX, ..Limits::default() };
        let mut kinesis = Kinesis { shards: from, calls: vec![] };
        let (mut asked, mut now, mut busy, mut call) = (None::<(u32, i64)>, NOW, 0_usize, 0);
        for _ in 0..1_000 {
            let status = if busy > 0 { StreamStatus::Changing } else { StreamStatus::Active };
            let told = asked.map(|(count, at)| Asked { count, ago: Duration::from_millis((now - at) as u64) });
            match next_move(Look { status, shards: kinesis.shards }, told, to, &limits).unwrap() {
                Move::Done => {
                    prop_assert_eq!(kinesis.shards, to);
                    return Ok(());
                }
                Move::Wait => busy = busy.saturating_sub(1),
                Move::Ask(count) => {
                    prop_assert_eq!(busy, 0);
                    // A new day for each call: the daily limit is not next_move's.
                    now += 25 * HOUR;
                    kinesis.update(count, &limits, now);
                    asked = Some((count, now));
                    busy = slow[call % slow.len()];
                    call += 1;
                }
            }
            now += 1_000;
        }
        prop_assert!(false, "not there after 1,000 looks");
    }
}

#[test]
fn each_resource_can_be_the_short_one() {
    let limits = Limits::default();
    assert_eq!(limits.shards_at(load(2_000_000, 0), 50), 4);
    assert_eq!(limits.shards_at(load(0, 2_000), 50), 4);
    assert_eq!(limits.shards_at(load(0, 0), 50), 1);
    // Four that poll get half a megabyte each.
    let crowded = Limits { polling_consumers: 4, ..limits };
    assert_eq!(crowded.shards_at(load(2_000_000, 0), 50), 8);
    // With fan-out for all but one, what a shard takes in decides.
    let alone = Limits { polling_consumers: 1, ..limits };
    assert_eq!(alone.shard(), load(1_000_000, 1_000));
}

#[test]
fn growing_is_by_doubling_and_shrinking_by_halves() {
    let limits = Limits::default();
    assert_eq!(steps(3, 20, &limits).unwrap(), [6, 12, 20]);
    assert_eq!(steps(20, 3, &limits).unwrap(), [10, 5, 3]);
    assert_eq!(steps(5, 1, &limits).unwrap(), [3, 2, 1]);
    assert_eq!(steps(4, 4, &limits), Err(Refusal::Same(4)));
    assert_eq!(steps(4, 0, &limits), Err(Refusal::None));
    assert_eq!(steps(4, 10_001, &limits), Err(Refusal::TooMany { to: 10_001, most: 10_000 }));
    let little = Limits { account_room: Some(3), ..limits };
    assert_eq!(steps(4, 8, &little), Err(Refusal::Account { more: 4, room: 3 }));
    assert_eq!(steps(4, 7, &little).unwrap(), [7]);
    // Above the limit the first step must end below it.
    assert_eq!(steps(12_000, 11_000, &limits), Err(Refusal::StillTooMany { most: 10_000 }));
    assert_eq!(steps(12_000, 9_000, &limits).unwrap(), [9_000]);
    assert_eq!(steps(20_000, 9_000, &limits), Err(Refusal::StillTooMany { most: 10_000 }));
}

#[test]
fn a_plan_says_what_holds_it_back() {
    let busy = load(40_000_000, 0); // 80 shards at half
    let used_up: Vec<i64> = (1..=10).map(|hours| NOW - hours * HOUR).collect();
    let free = plan(10, busy, &[]);
    assert_eq!((free.target, free.steps, free.later), (80, vec![20, 40, 80], vec![]));
    let one_left = plan(10, busy, &used_up[..9]);
    assert_eq!((one_left.steps, one_left.later), (vec![20], vec![40, 80]));
    let none_left = plan(10, busy, &used_up);
    assert_eq!((none_left.steps.as_slice(), none_left.later.len()), ([].as_slice(), 3));
    assert_eq!(none_left.wait, Some(Duration::from_millis(14 * HOUR as u64)));

    let quiet = load(1_000, 1);
    assert_eq!(plan(8, quiet, &[]).steps, [4, 2, 1]);
    assert_eq!(plan(1, quiet, &[]).reason, Reason::Fits { percent: 1 });
    let wait = Duration::from_secs(1_800);
    assert_eq!(plan(8, quiet, &[NOW - HOUR / 2]).reason, Reason::Settling { percent: 1, wait });
    assert_eq!(plan(8, quiet, &used_up[1..7]).reason, Reason::Reserved { percent: 1 });
    assert_eq!(plan(8, quiet, &used_up[1..6]).steps, [4]);
}

#[test]
fn a_stream_that_may_not_grow_says_so() {
    let limits = Limits { account_room: Some(2), ..Limits::default() };
    let observed = Observed { shards: 4, load: load(4_000_000, 0) };
    let plan = shard_count(&observed, &limits, &[], NOW);
    assert_eq!((plan.target, plan.steps), (6, vec![6]));
    assert_eq!(plan.reason, Reason::NoRoom { percent: 100, needed: 8, most: 6 });
    let none = shard_count(&observed, &Limits { account_room: Some(0), ..limits }, &[], NOW);
    assert_eq!((none.target, none.steps), (4, vec![]));
    assert!(none.reason.to_string().contains("limit raised"));
}

#[test]
fn a_request_without_effect_is_waited_for_and_then_told() {
    let limits = Limits::default();
    let look = Look { status: StreamStatus::Active, shards: 4 };
    let asked = |seconds| Some(Asked { count: 8, ago: Duration::from_secs(seconds) });
    assert_eq!(next_move(look, asked(5), 8, &limits), Ok(Move::Wait));
    assert_eq!(next_move(look, asked(61), 8, &limits), Err(Refusal::Ineffective { asked: 8, shards: 4 }));
    assert_eq!(next_move(look, None, 16, &limits), Ok(Move::Ask(8)));
    assert_eq!(next_move(look, None, 4, &limits), Ok(Move::Done));
    let deleting = Look { status: StreamStatus::Deleting, ..look };
    assert_eq!(next_move(deleting, None, 8, &limits), Err(Refusal::Deleting));
}
