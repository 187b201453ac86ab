#![allow(clippy::unwrap_used, clippy::panic)]
use super::*;
use crate::events_schema::EVENTS;
use proptest::prelude::*;

const NOW: Millis = 1_714_608_000_000 + 10 * DAY;

fn day() -> Day {
    Day::parse("2024-05-01").unwrap()
}

fn folders() -> Folders {
    Folders::of(&EVENTS)
}

fn written(n: u64) -> String {
    format!("events/v1/dt=2024-05-01/shard_{n:03}_{n:03}.parquet")
}

fn listed(key: String, size: u64) -> Listed {
    Listed { key, size }
}

fn files(switches: Vec<Switch>, objects: Vec<Listed>) -> DayFiles {
    DayFiles::new(folders(), day(), switches, objects)
}

fn small(count: u64) -> DayFiles {
    files(Vec::new(), (0..count).map(|n| listed(written(n), 100)).collect())
}

fn source(key: String, earliest: Millis, memory: u64) -> Source {
    Source { key, size: 100, footer: Footer { rows: 10, earliest: Some(earliest), memory } }
}

fn policy() -> Policy {
    Policy { budget: 1000, ..Policy::default() }
}

fn switch(generation: u64, effective_from: Millis, hide: &[String], show: &[String]) -> Switch {
    Switch { day: day(), generation, effective_from, hide: hide.to_vec(), show: show.to_vec() }
}

#[test]
fn a_day_is_left_alone_until_it_is_over_for_a_while() {
    let files = small(5);
    let policy = policy();
    let closes = 1_714_608_000_000 + DAY;
    assert_eq!(files.standing(closes - 1, &policy), Standing::Open(closes));
    assert_eq!(files.standing(closes, &policy), Standing::Closed);
    assert!(files.candidates(closes - 1, &policy).is_empty());
    assert_eq!(files.candidates(closes, &policy).len(), 5);
    let sources: Vec<_> = (0..5).map(|n| source(written(n), 0, 10)).collect();
    assert_eq!(plan(&files, sources, closes - 1, &policy), []);
}

#[test]
fn nothing_is_done_about_one_file_or_none_or_compacted_ones() {
    let policy = policy();
    assert!(small(0).candidates(NOW, &policy).is_empty() && small(1).candidates(NOW, &policy).is_empty());
    let targets = ["a", "b"].map(|name| folders().target_key(day(), 1, name));
    let mut objects: Vec<_> = targets.iter().map(|key| listed(key.clone(), 100)).collect();
    let shown = vec![switch(1, NOW - 10, &[written(0)], &targets)];
    assert!(files(shown.clone(), objects.clone()).candidates(NOW, &policy).is_empty());
    objects.push(listed(written(1), 100));
    assert_eq!(files(shown, objects).candidates(NOW, &policy).len(), 3, "a late one joins them");
    let large = files(Vec::new(), vec![listed(written(0), 100), listed(written(1), 1000)]);
    assert!(large.candidates(NOW, &policy).is_empty());
}

#[test]
fn neighbours_in_time_are_merged_as_many_as_fit() {
    let policy = policy();
    let sizes = [(5, 400), (1, 400), (3, 400), (2, 499), (4, 500), (6, 100), (7, 100)];
    let sources: Vec<_> = sizes.iter().map(|(n, memory)| source(written(*n), *n as Millis, *memory)).collect();
    let actions = plan(&small(8), sources.clone(), NOW, &policy);
    let runs: Vec<Vec<String>> = actions
        .iter()
        .filter_map(|action| match action {
            Action::Merge { sources, rows, .. } => {
                assert_eq!(*rows, 10 * sources.len() as u64);
                Some(sources.iter().map(|source| source.key.clone()).collect())
            }
            _ => None,
        })
        .collect();
    assert_eq!(runs, [vec![written(1), written(2)], vec![written(3), written(5), written(6), written(7)]]);
    let Some(Action::Switch { generation: 1, hide, show }) = actions.last() else { panic!("{actions:?}") };
    assert_eq!(hide, &runs.concat());
    assert_eq!(show.len(), 2);
    let mut shuffled = sources.clone();
    shuffled.reverse();
    assert_eq!(plan(&small(8), shuffled, NOW, &policy), actions, "a function of the set");
    let fewer = plan(&small(8), sources[1..].to_vec(), NOW, &policy);
    let Some(Action::Switch { show: others, .. }) = fewer.last() else { panic!("{fewer:?}") };
    assert_eq!((show[0] == others[0], show[1] == others[1]), (true, false), "names tell what files are made of");
}

#[test]
fn a_switch_that_is_not_in_effect_is_waited_for() {
    let target = folders().target_key(day(), 1, "a");
    let objects: Vec<_> = (0..4).map(written).chain([target.clone()]).map(|key| listed(key, 100)).collect();
    let files = files(vec![switch(1, NOW + 1, &[written(0), written(1)], &[target])], objects);
    assert_eq!(files.standing(NOW, &policy()), Standing::Switching(NOW + 1));
    assert!(files.candidates(NOW, &policy()).is_empty());
    assert_eq!(plan(&files, vec![], NOW, &policy()), []);
    let keys: Vec<_> = files.candidates(NOW + 1, &policy()).into_iter().map(|file| file.key).collect();
    assert_eq!(keys.len(), 3, "{keys:?}");
}

#[test]
fn what_is_hidden_goes_after_the_grace_period_and_orphans_at_once() {
    let name = |generation, name: &str| folders().target_key(day(), generation, name);
    let (shown, orphan, coming) = (name(1, "shown"), name(1, "orphan"), name(2, "coming"));
    let keys = [written(0), written(1), shown.clone(), orphan.clone(), coming];
    let objects: Vec<_> = keys.map(|key| listed(key, 7)).to_vec();
    let files = files(vec![switch(1, NOW, &[written(0)], &[shown])], objects);
    let remove = |key: &str, why| Action::Remove { key: key.to_owned(), size: 7, why };
    assert_eq!(plan(&files, vec![], NOW + DAY - 1, &policy()), [remove(&orphan, Why::Orphan)]);
    let both = [remove(&written(0), Why::Hidden(NOW)), remove(&orphan, Why::Orphan)];
    assert_eq!(plan(&files, vec![], NOW + DAY, &policy()), both);
}

#[test]
fn a_switch_takes_effect_after_now_and_after_the_last_one() {
    let policy = Policy { margin: 0, ..policy() };
    assert_eq!(effective_from(NOW, None, &policy), NOW + 1);
    assert_eq!(effective_from(NOW, None, &Policy { margin: 60_000, ..policy }), NOW + 60_001);
    assert_eq!(effective_from(NOW, Some(&switch(1, NOW + 9, &[], &[])), &policy), NOW + 10);
}

proptest! {
    /// Whatever the sizes: a file is in one run at most, runs are of two or more and within the budget, and what comes of
    /// them is either large or alone, so that planning again comes to an end.
    #[test]
    fn runs_are_sound(sizes in proptest::collection::vec((0i64..50, 0u64..1200), 0..60)) {
        let sources: Vec<_> = (0..).zip(&sizes).map(|(n, (at, memory))| source(written(n), *at, *memory)).collect();
        let actions = plan(&small(60), sources, NOW, &policy());
        let mut seen = HashSet::new();
        let mut made = Vec::new();
        for action in &actions {
            if let Action::Merge { sources, .. } = action {
                let memory: u64 = sources.iter().map(|source| source.footer.memory).sum();
                prop_assert!(sources.len() > 1 && memory <= 1000);
                prop_assert!(sources.iter().all(|source| source.footer.memory < 500 && seen.insert(source.key.clone())));
                made.push(memory);
            }
        }
        let small = sizes.iter().filter(|(_, memory)| *memory < 500).count();
        prop_assert_eq!(made.is_empty(), small < 2);
        prop_assert!(seen.len() + 1 >= small, "at most the last one stays alone");
        prop_assert!(made.iter().rev().skip(1).all(|memory| *memory > 500));
    }
}
