//! DuckDB, which shares no code with what wrote the files, reads the archive as a Hive-partitioned table and agrees.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use dial_analytics::archive::write;
use dial_analytics::events_schema::COLUMNS;
use dial_analytics::folder::FolderStore;
use dial_analytics::read::contents;
use dial_analytics::table::ColumnType;
use serde_json::{Map, Value, json};
use support::readers::{expected, odd};
use support::{assumed_role, plausible, sealed};

/// Prints as JSON: the columns' types; rows, non-null values and a sum of each column by day; what a lookup finds.
const PROGRAM: &str = r#"
import duckdb, json, sys
root = sys.argv[1]
db = duckdb.connect()
db.execute("SET TimeZone = 'UTC'")
db.execute(f"CREATE VIEW events AS SELECT * FROM read_parquet('{root}/events/v1/*/*.parquet', hive_partitioning = true, hive_types_autocast = false)")
types = {name: kind for name, kind, *_ in db.execute('DESCRIBE events').fetchall()}
def total(name, kind):
    return {
        'VARCHAR': f'sum(strlen("{name}"))', 'VARCHAR[]': f'sum(len("{name}"))', 'BIGINT': f'sum("{name}")',
        'BOOLEAN': f'count(*) FILTER ("{name}")', 'TIMESTAMP WITH TIME ZONE': f'sum(epoch_ms("{name}"))',
    }[kind]
sums = {}
for name, kind in types.items():
    for dt, rows, values, total_ in db.execute(f'SELECT dt, count(*), count("{name}"), coalesce({total(name, kind)}, 0) FROM events GROUP BY dt').fetchall():
        sums.setdefault(name, {})[dt] = [rows, values, int(total_)]
lookup = db.execute("SELECT actor, json_extract_string(request_parameters, '$.bucketName'), json_extract_string(raw, '$.eventID') FROM events WHERE event_id = '11111111-1111-4111-8111-111111111111'").fetchall()
pruned = db.execute("SELECT count(*) FROM events WHERE dt = '2024-05-01' AND event_time >= TIMESTAMPTZ '2024-05-02 00:00:00+00'").fetchone()[0]
filters = db.execute(f"SELECT DISTINCT path_in_schema FROM parquet_metadata('{root}/events/v1/*/*.parquet') WHERE bloom_filter_offset IS NOT NULL").fetchall()
print(json.dumps({'types': types, 'sums': sums, 'lookup': lookup, 'pruned': pruned, 'filters': sorted(f[0] for f in filters)}))
"#;

fn duckdb(root: &Path) -> Value {
    let output = Command::new(dial_emulators::python()).arg("-c").arg(PROGRAM).arg(root).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

#[tokio::test]
async fn duckdb_reads_what_was_written() {
    let dir = tempfile::tempdir().unwrap();
    let store = FolderStore::open(dir.path()).unwrap();
    let batches = [
        sealed("shardId-000000000000", true, 1, odd()),
        sealed("shardId-000000000000", true, 100, (0..5000).map(plausible)),
        sealed("shardId-000000000001", false, 100, (5000..6000).map(plausible)),
    ];
    for batch in batches {
        write(&store, &Arc::new(batch), &Arc::default(), || true).await.unwrap();
    }
    let found = duckdb(dir.path());

    let expected_type = |column_type| match column_type {
        ColumnType::Text | ColumnType::Json => "VARCHAR",
        ColumnType::Flag => "BOOLEAN",
        ColumnType::Time => "TIMESTAMP WITH TIME ZONE",
        ColumnType::Number => "BIGINT",
        ColumnType::Texts => "VARCHAR[]",
    };
    let mut types: Map<String, Value> =
        COLUMNS.iter().map(|c| (c.name.to_owned(), json!(expected_type(c.column_type)))).collect();
    types.insert("dt".to_owned(), json!("VARCHAR"));
    assert_eq!(found["types"], Value::Object(types));

    for (column, by_day) in &expected(&store).await["events"] {
        assert_eq!(found["sums"][column], json!(by_day), "{column}");
    }
    let total: i64 = found["sums"]["event_id"].as_object().unwrap().values().map(|v| v[0].as_i64().unwrap()).sum();
    assert_eq!(total, 6005);
    let call = assumed_role();
    assert_eq!(found["lookup"], json!([["role Admin as alice@example.com", "b", call["eventID"]]]));
    assert_eq!(found["pruned"], 0, "no row lies on another day's folder");
    let filters: BTreeSet<_> = COLUMNS.iter().filter(|c| c.bloom).map(|c| c.name).collect();
    assert_eq!(found["filters"], json!(filters));
    assert_eq!(contents(&store).await.unwrap().rows.len(), 6005);
}
