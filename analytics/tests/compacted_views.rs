//! The views over written and compacted files, Athena's and DuckDB's, evaluated by DuckDB in every state of an archive: they
//! show what our own reader does, and that is each row once.
//!
//! Athena's is run as it is printed: DuckDB knows all of its words but the pseudo-column `$path`, which it is given.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::disallowed_methods)]

mod support;

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::SystemTime;

use dial_analytics::archive::write;
use dial_analytics::compaction::plan::Policy;
use dial_analytics::compaction::{Compactor, End};
use dial_analytics::ddl::duckdb_table;
use dial_analytics::events_schema::EVENTS;
use dial_analytics::folder::FolderStore;
use dial_analytics::layout::Day;
use dial_analytics::parts::{Parts, athena_view};
use dial_analytics::read::contents;
use dial_analytics::store::ObjectStore;
use dial_rules::event::Millis;
use serde_json::{Value, json};
use support::{plausible, sealed};

/// Prints of each view: rows, distinct keys, the sum of sequence numbers, and the rows of one day.
const PROGRAM: &str = r#"
import duckdb, glob, json, sys
root, ours, athenas = sys.argv[1:]
found = {}
for name, view in [('duckdb', ours), ('athena', athenas)]:
    db = duckdb.connect()
    db.execute("SET TimeZone = 'UTC'")
    if name == 'athena':
        read = "read_parquet('{}', hive_partitioning = true, hive_types_autocast = false, union_by_name = true, filename = true)"
        for part, folder in [('written', 'v1'), ('compacted', 'compacted-v1'), ('switches', 'switches-v1')]:
            files, none = f'{root}/events/{folder}/dt=*/*.parquet', ''
            if not glob.glob(files):
                files, none = f'{root}/events/*v1/dt=*/*.parquet', ' WHERE false'
            extra = ''
            if none and part == 'switches':
                extra = ", NULL::VARCHAR AS path, NULL::VARCHAR AS action, NULL::TIMESTAMPTZ AS effective_from"
            db.execute(f'CREATE VIEW events_{part} AS SELECT *, filename AS "$path"{extra} FROM {read.format(files)}{none}')
    db.execute(view)
    query = "SELECT count(*), count(DISTINCT (shard_id, sequence_number)), sum(CAST(sequence_number AS BIGINT)), count(*) FILTER (dt = '2024-05-01') FROM events"
    of_day = "SELECT count(*) FROM events WHERE dt = '2024-05-01'"
    found[name] = [int(n) for n in db.execute(query).fetchone()] + [db.execute(of_day).fetchone()[0]]
    found[name + ' columns'] = [c[0] for c in db.execute('DESCRIBE events').fetchall()]
print(json.dumps(found))
"#;

fn clock() -> Millis {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_millis().try_into().unwrap()
}

async fn fill(store: &dyn ObjectStore, files: std::ops::Range<u32>) {
    for n in files {
        let batch = sealed("shardId-000000000000", true, u64::from(n * 10), (n * 10..n * 10 + 10).map(plausible));
        write(store, &Arc::new(batch), &Arc::default(), || true).await.unwrap();
    }
}

async fn compact(store: &dyn ObjectStore, policy: Policy) {
    let compactor = Compactor::new(store, &EVENTS, policy, &clock);
    for day in compactor.survey((Day::FIRST, Day::LAST)).await.unwrap() {
        let files = compactor.look(day.day()).await.unwrap();
        let actions = compactor.plan(&files).await.unwrap().unwrap();
        assert!(matches!(compactor.carry_out(&files, actions, &|_| ()).await.unwrap(), End::Done(_)));
    }
}

/// That both views show what our own reader does.
async fn agree(root: &Path, store: &dyn ObjectStore, state: &str) {
    let rows = contents(store).await.unwrap().rows;
    let parts = Parts::of(&EVENTS).unwrap();
    let views =
        [duckdb_table(&EVENTS, root.to_str().unwrap(), false), athena_view(&EVENTS, &parts)].map(|view| view.sql);
    let output = Command::new(dial_emulators::python()).args(["-c", PROGRAM]).arg(root).args(views).output().unwrap();
    assert!(output.status.success(), "{state}: {}", String::from_utf8_lossy(&output.stderr));
    let found: Value = serde_json::from_slice(&output.stdout).unwrap();
    let sum: u64 = rows.iter().map(|row| row.key.position.sequence().parse::<u64>().unwrap()).sum();
    let of_day = found["duckdb"][3].as_u64().unwrap();
    assert!(of_day > 0 && of_day < rows.len() as u64);
    assert_eq!(found["duckdb"], json!([rows.len(), rows.len(), sum, of_day, of_day]), "{state}");
    assert_eq!(found["athena"], found["duckdb"], "{state}");
    let columns: Vec<_> = EVENTS.columns.iter().map(|column| column.name).chain(["dt"]).collect();
    assert_eq!((&found["duckdb columns"], &found["athena columns"]), (&json!(columns), &json!(columns)), "{state}");
}

#[tokio::test]
async fn views_show_each_row_once_in_every_state() {
    let dir = tempfile::tempdir().unwrap();
    let store = FolderStore::open(dir.path()).unwrap();
    let policy = Policy { margin: 0, ..Policy::default() };
    let check = |state| agree(dir.path(), &store, state);
    fill(&store, 0..5).await;
    check("as written").await;
    compact(&store, policy).await;
    check("old and new files").await;
    fill(&store, 5..8).await;
    check("and late ones").await;
    compact(&store, Policy { margin: 3_600_000, ..policy }).await;
    // Our own reader without a time obeys switches at once, the views those that are in effect: the rows are the same.
    check("a switch that is not in effect yet").await;
    compact(&store, Policy { grace: 0, ..policy }).await;
    assert!(store.list("events/v1/").await.unwrap().len() < 12);
    check("the first ones deleted").await;

    let dir = tempfile::tempdir().unwrap();
    let store = FolderStore::open(dir.path()).unwrap();
    fill(&store, 0..5).await;
    compact(&store, policy).await;
    tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    compact(&store, Policy { grace: 0, ..policy }).await;
    assert_eq!(store.list("events/v1/").await.unwrap(), []);
    agree(dir.path(), &store, "compacted files only").await;
}
