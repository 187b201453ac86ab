//! An archive of both tables, for other programs to read, and what they should find in it.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use dial_analytics::archive::write;
use dial_analytics::findings::{FindingRow, write_findings};
use dial_analytics::folder::FolderStore;
use dial_analytics::layout::{events_key, findings_key};
use dial_analytics::read::{batches, rows};
use dial_analytics::store::ObjectStore;
use dial_analytics::table::{Column, ColumnType, TABLES, Table};
use dial_analytics::writer::{WriteError, write_batches};
use dial_rules::policy::Status;
use dial_rules::tables::Tables;
use serde_json::{Value, json};

use super::findings::{NOON, correlated, guardduty_finding, single, with_context, with_status};
use super::{assumed_role, guardduty, minimal, plausible, sealed, security_hub};

/// Rows, values that are not null, and a sum: by table, column and day. A sum is of numbers, milliseconds, bytes of texts,
/// lengths of lists, and flags that are true.
pub(crate) type Sums = BTreeMap<String, BTreeMap<String, BTreeMap<String, [i64; 3]>>>;

/// Events of every kind and of odd times.
pub(crate) fn odd() -> [Value; 5] {
    [
        assumed_role(),
        guardduty(),
        security_hub(),
        minimal("far", "9999-12-31T23:59:59Z"),
        minimal("é\0", "2024-04-01T00:00:00Z"),
    ]
}

/// An archive in a folder. In each table there is one file from before the table had a column.
pub(crate) async fn archive(root: &Path) -> FolderStore {
    let store = FolderStore::open(root).unwrap();
    let written = [
        sealed("shardId-000000000000", true, 1, odd()),
        sealed("shardId-000000000000", true, 100, (0..1500).map(plausible)),
        sealed("shardId-000000000001", false, 100, (1500..2000).map(plausible)),
    ];
    for batch in written {
        write(&store, &Arc::new(batch), &Arc::default(), || true).await.unwrap();
    }
    let old = sealed("shardId-000000000002", true, 1, [assumed_role()]);
    let file = old.encode(0, &Tables::default()).unwrap();
    let day = dial_analytics::layout::Day::of(NOON);
    let key = events_key(day, "old");
    assert_eq!(old.keys().next().unwrap().split('/').nth(2), key.split('/').nth(2));
    store.put_if_absent(&key, without(TABLES[0], "intel", file)).await.unwrap();
    for (n, versions) in findings().chunks(150).enumerate() {
        for (day, rows) in by_day(versions) {
            store.put_if_absent(&findings_key(day, &format!("f{n}")), write_findings(&rows).unwrap()).await.unwrap();
        }
    }
    let old = vec![finding(9000, 1)];
    let key = findings_key(old[0].day(), "old");
    store.put_if_absent(&key, without(TABLES[1], "suppressed_by", write_findings(&old).unwrap())).await.unwrap();
    store
}

fn by_day(rows: &[FindingRow]) -> BTreeMap<dial_analytics::layout::Day, Vec<FindingRow>> {
    let mut days: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for row in rows {
        days.entry(row.day()).or_default().push(row.clone());
    }
    days
}

/// A version of the `n`th finding, of one of three days and of any kind and status.
pub(crate) fn finding(n: u64, version: u64) -> FindingRow {
    let mut assessment = match n % 3 {
        0 => single(),
        1 => correlated(),
        _ => guardduty_finding(),
    };
    if n.is_multiple_of(2) {
        assessment = with_context(assessment);
    }
    let day = i64::try_from(n % 3).unwrap() * 86_400_000;
    assessment.finding.finding_id = format!("{n:032x}");
    assessment.finding.first_seen += day;
    assessment.finding.last_seen += day + i64::try_from(version).unwrap();
    assessment.finding.event_count += version;
    assessment.finding.subject.actor = (!n.is_multiple_of(7)).then(|| format!("é{n}"));
    let status = Status::ALL[usize::try_from(n).unwrap() % Status::ALL.len()];
    FindingRow { assessment: with_status(assessment, status), version, written: NOON + 4 * 86_400_000 }
}

/// Some hundred rows: findings of one to four versions, some of them twice.
pub(crate) fn findings() -> Vec<FindingRow> {
    let versions = (0..120).flat_map(|n| (1..=1 + n % 4).map(move |version| finding(n, version)));
    let twice = (0..120).step_by(10).map(|n| finding(n, 1 + n % 4));
    versions.chain(twice).collect()
}

/// The file as it was before the table had this column.
pub(crate) fn without(table: &Table, name: &str, file: Bytes) -> Bytes {
    let columns: Vec<Column> = table.columns.iter().filter(|column| column.name != name).copied().collect();
    let table = Table { columns: columns.leak(), ..*table };
    let gone = |batch: arrow::array::RecordBatch| {
        let kept: Vec<_> = (0..batch.num_columns()).filter(|n| batch.schema().field(*n).name() != name).collect();
        assert_eq!(kept.len() + 1, batch.num_columns());
        batch.project(&kept).map_err(WriteError::from)
    };
    write_batches(&table, 1, batches(file).unwrap().map(|batch| gone(batch.unwrap()))).unwrap()
}

/// What is in an archive, by our own reader.
pub(crate) async fn expected(store: &FolderStore) -> Sums {
    let mut sums = Sums::new();
    for table in TABLES {
        let of_table = sums.entry(table.name.to_owned()).or_default();
        for listed in store.list(&format!("{}/", table.folder)).await.unwrap() {
            let day = listed.key.split("dt=").nth(1).unwrap()[..10].to_owned();
            for row in rows(store.get(&listed.key).await.unwrap()).unwrap() {
                for column in table.columns {
                    let value = row.get(column.name).unwrap_or(&Value::Null);
                    let sum = of_table.entry(column.name.to_owned()).or_default().entry(day.clone()).or_default();
                    add(sum, column, value);
                }
            }
        }
    }
    sums
}

fn add(sum: &mut [i64; 3], column: &Column, value: &Value) {
    sum[0] += 1;
    sum[1] += i64::from(!value.is_null());
    sum[2] += match value {
        Value::String(text) if column.column_type == ColumnType::Time => {
            dial_rules::event::parse_rfc3339(text).unwrap()
        }
        Value::String(text) => i64::try_from(text.len()).unwrap(),
        Value::Array(list) => i64::try_from(list.len()).unwrap(),
        Value::Number(number) => number.as_i64().unwrap(),
        Value::Bool(flag) => i64::from(*flag),
        _ => 0,
    };
}

/// The tables for a program that sums: by name, folder and the kinds of columns.
pub(crate) fn told() -> Value {
    let columns = |table: &Table| -> Vec<Value> {
        table.columns.iter().map(|column| json!([column.name, column.column_type.words()])).collect()
    };
    TABLES.iter().map(|table| json!({"name": table.name, "folder": table.folder, "columns": columns(table)})).collect()
}

/// Panics with the first difference, since two whole archives are too much to look at.
pub(crate) fn agree(who: &str, found: &Sums, expected: &Sums) {
    for (table, columns) in expected {
        let of_table = &found[table];
        assert_eq!(of_table.keys().collect::<Vec<_>>(), columns.keys().collect::<Vec<_>>(), "{who}: {table}");
        for (column, days) in columns {
            assert_eq!(&of_table[column], days, "{who}: {table}.{column}");
        }
    }
    assert_eq!(found.len(), expected.len(), "{who}");
}
