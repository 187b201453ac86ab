#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::dead_letter_file::write_letters;
use crate::dead_letters::survey;
use crate::failing::FailingStore;
use crate::layout::{Day, dead_letters_key, file_stem};
use crate::memory::MemoryStore;
use crate::position::Position;
use crate::read::contents;

const ARRIVAL: i64 = 1_714_564_800_000;

fn event(id: &str) -> String {
    format!(
        r#"{{"eventVersion":"1.08","eventID":"{id}","eventTime":"2024-05-01T11:00:00Z","eventName":"GetUser","eventSource":"iam.amazonaws.com","awsRegion":"eu-west-1","recipientAccountId":"111122223333"}}"#
    )
}

/// A letter of these bytes; its part of the record is the second.
fn letter(n: u64, bytes: &str) -> Letter {
    Letter {
        key: RowKey { position: Position::new(&(100 + n).to_string(), n % 3).unwrap(), index: 1 },
        arrival: Some(ARRIVAL),
        offset: 10,
        fault: 12,
        reason: "as it was".to_owned(),
        length: bytes.len() as u64,
        bytes: bytes.to_owned().into_bytes().into(),
    }
}

fn shard() -> Shard {
    Shard::new("shardId-000000000000")
}

/// An archive with one file of these letters.
async fn archive(store: &dyn ObjectStore, letters: &[Letter]) -> String {
    let ends = |letters: &[Letter]| {
        let positions = || letters.iter().map(|letter| letter.key.position.clone());
        (positions().min().unwrap(), positions().max().unwrap())
    };
    let (first, last) = ends(letters);
    let key = dead_letters_key(Day::of(ARRIVAL), &file_stem(&shard(), &first, &last));
    store.put_if_absent(&key, write_letters(&shard(), letters).unwrap()).await.unwrap();
    key
}

/// Redrives the letters that `chosen` takes, in all files, as often as it takes; the events' ids, as they are followed up.
async fn redrive(
    store: &dyn ObjectStore,
    chosen: impl Fn(&Letter) -> bool,
    seen: &mut Vec<String>,
) -> Result<(), RedriveError> {
    let survey = survey(store).await?;
    for key in &survey.stale {
        store.delete(key).await?;
    }
    for mut file in survey.files {
        loop {
            let Some((shard, letters)) = file.read(store).await.map_err(|e| match e {
                crate::dead_letters::LetterFileError::Store(e) => RedriveError::from(e),
                other => panic!("{other}"),
            })?
            else {
                break;
            };
            let lines: BTreeSet<usize> = (0..letters.len()).filter(|line| chosen(&letters[*line])).collect();
            let redrive = Redrive::declare(store, &file, (&shard, &letters), &lines, true).await?;
            let Some(redrive) = redrive else { break };
            seen.extend(redrive.rows().iter().map(|row| row.event.id().to_owned()));
            redrive.finish(store, &Arc::default()).await?;
            match file.next(store).await? {
                Some(next) => file = next,
                None => break,
            }
        }
    }
    Ok(())
}

#[test]
fn a_letter_is_what_its_bytes_are_now() {
    let is_dead = |letter: &Letter, word: &str| match again(letter) {
        Again::Dead(reason) => assert!(reason.contains(word), "{reason}"),
        alive => panic!("{alive:?}"),
    };
    is_dead(&letter(1, "{\"a\":"), "");
    is_dead(&letter(1, ""), "no bytes of it are kept: as it was");
    is_dead(&Letter { length: 9_000, ..letter(1, &event("e")) }, "of its 9000 bytes");
    is_dead(&letter(1, &format!("{}{}", event("e"), "{}".repeat(LETTERS_PER_RECORD + 1))), "more than 10000 pieces");

    let mixed = format!("{{}}\n{}\n{{\"b\":1}}\n{}", event("one"), event("two"));
    let Again::Alive { rows, rest } = again(&letter(1, &mixed)) else { panic!("dead") };
    let keys: Vec<(&str, u64)> = rows.iter().map(|row| (row.event.id(), row.key.index)).collect();
    assert_eq!(keys, [("one", 1), ("two", 2 << 32 | 3)]);
    let indexes: Vec<u64> = rest.iter().map(|letter| letter.key.index).collect();
    assert_eq!(indexes, [2 << 32, 2 << 32 | 2]);
    assert!(rest.iter().all(|part| part.arrival == Some(ARRIVAL) && part.offset >= 10 && !part.bytes.is_empty()));
    // A part of a part has no room for further ones, but becomes a row where it is one.
    let part = |bytes: &str| Letter { key: rest[0].key.clone(), ..letter(1, bytes) };
    is_dead(&part(&mixed), "several parts itself");
    assert!(matches!(again(&part(&event("one"))), Again::Alive { .. }));
}

#[tokio::test]
async fn a_file_that_comes_back_does_not_count() {
    let (store, mut seen) = (MemoryStore::new(), Vec::new());
    let letters = [letter(1, &event("a")), letter(2, "{\"never\":"), letter(3, &event("b"))];
    let key = archive(&store, &letters).await;
    redrive(&store, |letter| letter.key.position.sequence() == "101", &mut seen).await.unwrap();
    assert_eq!(seen, ["a"]);
    // As an owner does who finishes what another declared.
    archive(&store, &letters).await;
    let now = contents(&store).await.unwrap();
    assert_eq!((now.rows.len(), now.dead_letters.len()), (1, 2));
    assert_eq!(survey(&store).await.unwrap().stale, [key]);
    redrive(&store, |_| true, &mut seen).await.unwrap();
    let now = contents(&store).await.unwrap();
    assert_eq!((now.rows.len(), now.dead_letters.len(), seen.len()), (2, 1, 2));
    assert!(survey(&store).await.unwrap().stale.is_empty());
}

#[tokio::test]
async fn what_was_declared_is_finished_first_and_as_it_was() {
    let store = MemoryStore::new();
    let letters = [letter(1, &event("a")), letter(2, &event("b"))];
    archive(&store, &letters).await;
    let file = survey(&store).await.unwrap().files.remove(0);
    let first =
        Redrive::declare(&store, &file, (&shard(), &letters), &BTreeSet::from([0]), true).await.unwrap().unwrap();
    assert!(survey(&store).await.unwrap().files[0].begun);
    let other =
        Redrive::declare(&store, &file, (&shard(), &letters), &BTreeSet::from([1]), false).await.unwrap().unwrap();
    let ids = |redrive: &Redrive| redrive.rows().iter().map(|row| row.event.id().to_owned()).collect::<Vec<_>>();
    assert_eq!((ids(&first), ids(&other)), (vec!["a".to_owned()], vec!["a".to_owned()]));
    assert_eq!((other.lines(), other.left()), ([0].as_slice(), 1));
    // A version that makes other events of it must not go on.
    let changed = [letter(1, "{"), letter(2, &event("b"))];
    let error = Redrive::declare(&store, &file, (&shard(), &changed), &BTreeSet::new(), true).await.unwrap_err();
    assert!(error.to_string().contains("let 0.") && error.to_string().contains("finish it"), "{error}");
    // A declaration that is none is left alone.
    let broken = MemoryStore::new();
    broken.put_if_absent(&redrive_plan_key(file.day, &file.stem), "{\"version\":1}".into()).await.unwrap();
    let error = Redrive::declare(&broken, &file, (&shard(), &letters), &BTreeSet::from([0]), true).await.unwrap_err();
    assert!(matches!(error, RedriveError::Unreadable { .. }), "{error}");
}

#[derive(Debug, Clone)]
enum Kind {
    Good,
    Bad,
    /// Two events, and something between them.
    Mixed,
}

fn bytes(kind: &Kind, n: u64) -> String {
    match kind {
        Kind::Good => event(&format!("event-{n}")),
        Kind::Bad => format!("{{\"broken-{n}\":"),
        Kind::Mixed => format!("{}\n{{\"x\":{n}}}\n{}", event(&format!("first-{n}")), event(&format!("second-{n}"))),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever fails and however often: each event is one row, what is dead is one letter, and every event was followed
    /// up before its letter left.
    #[test]
    fn redriving_is_exact_whatever_fails(
        kinds in proptest::collection::vec(prop_oneof![Just(Kind::Good), Just(Kind::Bad), Just(Kind::Mixed)], 1..8),
        modulus in 1u64..4, seed: u64, per_mille in prop_oneof![Just(0u64), 100u64..400],
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let store = FailingStore::new(MemoryStore::new(), seed, per_mille);
            let letters: Vec<Letter> = kinds.iter().zip(0..).map(|(kind, n)| letter(n, &bytes(kind, n))).collect();
            archive(store.inner(), &letters).await;
            let mut seen = Vec::new();
            // First some of them, with failures; then all.
            for round in 0..2 {
                let chosen = |letter: &Letter| round == 1 || letter.offset != 10 || {
                    let n: u64 = letter.key.position.sequence().parse().unwrap();
                    n.is_multiple_of(modulus)
                };
                let mut attempts = 0;
                while redrive(&store, chosen, &mut seen).await.is_err() {
                    attempts += 1;
                    assert!(attempts < 10_000);
                    if attempts > 6 {
                        continue;
                    }
                    let now = contents(store.inner()).await.unwrap();
                    for (_, letter) in &now.dead_letters {
                        let twice = now.rows.iter().find(|row| row.key == letter.key);
                        // Only while a redrive is under way, and that is said.
                        let begun = survey(store.inner()).await.unwrap().files.iter().any(|file| file.begun);
                        assert!(twice.is_none() || begun);
                    }
                    for row in &now.rows {
                        assert!(seen.contains(&row.event_id), "{} was archived before it was followed up", row.event_id);
                    }
                }
            }
            let now = contents(store.inner()).await.unwrap();
            let mut rows: BTreeMap<String, Vec<RowKey>> = BTreeMap::new();
            let mut keys = BTreeSet::new();
            for row in now.rows {
                assert!(keys.insert(row.key.clone()), "{:?} is there twice", row.key);
                rows.entry(row.event_id).or_default().push(row.key);
            }
            let mut dead: Vec<String> = Vec::new();
            for (_, letter) in now.dead_letters {
                assert!(keys.insert(letter.key.clone()), "{:?} is there twice", letter.key);
                dead.push(String::from_utf8(letter.bytes.to_vec()).unwrap());
            }
            let (mut events, mut still) = (Vec::new(), Vec::new());
            for (kind, n) in kinds.iter().zip(0..) {
                match kind {
                    Kind::Good => events.push(format!("event-{n}")),
                    Kind::Bad => still.push(bytes(kind, n)),
                    Kind::Mixed => {
                        events.extend([format!("first-{n}"), format!("second-{n}")]);
                        still.push(format!("{{\"x\":{n}}}"));
                    }
                }
            }
            events.sort();
            still.sort();
            dead.sort();
            assert_eq!(rows.keys().cloned().collect::<Vec<_>>(), events);
            assert!(rows.values().all(|keys| keys.len() == 1));
            assert_eq!(dead.iter().map(|text| text.trim()).collect::<Vec<_>>(), still);
        });
    }
}
