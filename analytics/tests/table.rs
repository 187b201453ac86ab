//! The tables' definitions, rows of older files, and what a row of `findings` holds.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::collections::BTreeSet;

use arrow::array::{Array, AsArray, Int64Array, RecordBatch};
use arrow::datatypes::{DataType, Schema};
use bytes::Bytes;
use dial_analytics::findings::{FindingRow, write_findings};
use dial_analytics::read::{batches, rows};
use dial_analytics::table::{Column, ColumnType, EvolveError, TABLES, Table, evolve};
use dial_analytics::writer::{WriteError, properties, write_batches};
use dial_rules::policy::Status;
use dial_rules::tables::Tables;
use parquet::basic::Compression;
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::schema::types::ColumnPath;
use proptest::prelude::*;
use serde_json::{Value, json};
use support::findings::{NOON, single, with_context, with_status};
use support::readers::{finding, findings, without};
use support::{assumed_role, plausible, sealed};

/// The columns are a contract with tables that exist: this list may grow at its end.
#[test]
fn the_columns_of_findings_are_these() {
    let expected = "finding_time Time!, finding_id Text!, version Number!, kind Text!, rule_id Text!, rule_title Text!, \
        severity_id Number!, severity Text!, status Text!, first_seen Time!, last_seen Time!, account_id Text, region Text, \
        actor Text, source_ip Text, tactics Texts!, techniques Texts!, event_count Number!, event_ids Texts!, evidence Json!, \
        suppressed_by Text, ocsf Json!, schema_version Number!";
    let column = |c: &Column| format!("{} {:?}{}", c.name, c.column_type, if c.nullable { "" } else { "!" });
    let columns: Vec<_> = TABLES[1].columns.iter().map(column).collect();
    assert_eq!(columns.join(", "), expected);
}

#[test]
fn definitions_are_sound() {
    for table in TABLES {
        let names: BTreeSet<_> = table.columns.iter().map(|column| column.name).collect();
        assert_eq!(names.len(), table.columns.len(), "each once");
        assert!(table.sorted_by.iter().chain(table.key).all(|name| names.contains(name)));
        assert!(!names.contains("dt"));
        assert_eq!(Table::named(table.name).map(|found| found.folder), Some(table.folder));
        for column in table.columns {
            assert!(column.meaning.ends_with('.') && column.meaning.len() > 10, "{}", column.name);
            assert!(column.name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_'), "{}", column.name);
            assert!(table.position(column.name).is_some());
        }
        let written = properties(table, 10).unwrap();
        for column in table.columns {
            let path = ColumnPath::from(column.name);
            assert_eq!(written.bloom_filter_properties(&path).is_some(), column.bloom, "{}", column.name);
            assert!(matches!(written.compression(&path), Compression::ZSTD(_)));
        }
    }
    let wrong = Table { sorted_by: &["no_such"], ..*TABLES[0] };
    assert!(properties(&wrong, 1).is_err());
}

/// Columns that were added with version 2 of `events`: those that a file may lack.
const ADDED: [&str; 6] = ["account_name", "geo_country", "geo_city", "asn", "as_org", "intel"];

#[test]
fn rows_of_older_files_get_the_columns_that_came_later() {
    let sealed = sealed("s", true, 1, (0..50).map(plausible));
    let file = sealed.encode(0, &Tables::default()).unwrap();
    let older = ADDED.iter().fold((file.clone(), *TABLES[0]), |(file, table), name| {
        let columns: Vec<Column> = table.columns.iter().filter(|column| column.name != *name).copied().collect();
        (without(&table, name, file), Table { columns: columns.leak(), ..table })
    });
    let batch = batches(older.0).unwrap().next().unwrap().unwrap();
    assert_eq!(batch.num_columns(), TABLES[0].columns.len() - ADDED.len());
    let new = evolve(&batch, TABLES[0]).unwrap();
    assert_eq!(new.schema(), TABLES[0].schema());
    assert_eq!(new.num_rows(), batch.num_rows());
    assert_eq!(new.column_by_name("asn").unwrap().null_count(), new.num_rows());
    let intel = new.column_by_name("intel").unwrap().as_list::<i32>();
    assert!(intel.null_count() == 0 && (0..intel.len()).all(|n| intel.value_length(n) == 0));
    // It is as if it had been written today: these events say nothing in those columns.
    let again = write_batches::<WriteError>(TABLES[0], new.num_rows(), [Ok(new)]).unwrap();
    assert_eq!(rows(again).unwrap(), rows(file).unwrap());
}

#[test]
fn what_is_no_file_of_the_table_is_refused() {
    let file = sealed("s", true, 1, [assumed_role()]).encode(0, &Tables::default()).unwrap();
    let batch = batches(file).unwrap().next().unwrap().unwrap();
    assert_eq!(evolve(&batch, TABLES[0]).unwrap(), batch, "a file of today stays as it is");
    let lacks = batch.project(&(1..batch.num_columns()).collect::<Vec<_>>()).unwrap();
    let error = evolve(&lacks, TABLES[0]).unwrap_err();
    assert!(matches!(error, EvolveError::Missing { column: "event_time", .. }), "{error}");
    assert!(evolve(&batch, TABLES[1]).is_err());

    let replaced = |name: &str, data_type: DataType, column: arrow::array::ArrayRef| {
        let n = TABLES[0].position(name).unwrap();
        let mut fields: Vec<_> = batch.schema().fields().iter().map(|field| field.as_ref().clone()).collect();
        fields[n] = fields[n].clone().with_data_type(data_type).with_nullable(true);
        let mut columns = batch.columns().to_vec();
        columns[n] = column;
        RecordBatch::try_new(Schema::new(fields).into(), columns).unwrap()
    };
    let wrong = replaced("actor", DataType::Int64, std::sync::Arc::new(Int64Array::from(vec![1])));
    let error = evolve(&wrong, TABLES[0]).unwrap_err().to_string();
    assert_eq!(error, "not a file of the table events: the column `actor` is Int64 and not Utf8");
    let null = replaced("record_index", DataType::Int64, std::sync::Arc::new(Int64Array::from(vec![None])));
    assert!(matches!(evolve(&null, TABLES[0]).unwrap_err(), EvolveError::Arrow(_)));
}

#[test]
fn columns_of_a_newer_file_are_left_out() {
    let file = write_findings(&[finding(1, 1)]).unwrap();
    let batch = batches(file).unwrap().next().unwrap().unwrap();
    let fewer = Table { columns: &TABLES[1].columns[..5], ..*TABLES[1] };
    assert_eq!(evolve(&batch, &fewer).unwrap().num_columns(), 5);
}

#[test]
fn a_finding_fills_its_columns() {
    let assessment = with_status(with_context(single()), Status::Suppressed);
    let row = FindingRow { assessment: assessment.clone(), version: 3, written: NOON + 60_000 };
    assert_eq!(row.day().to_string(), "2024-05-01");
    let mut found = rows(write_findings(&[row]).unwrap()).unwrap().remove(0);
    let ocsf: Value = serde_json::from_str(found.remove("ocsf").unwrap().as_str().unwrap()).unwrap();
    assert_eq!((&ocsf["class_uid"], &ocsf["metadata"]["sequence"]), (&json!(2004), &json!(3)));
    assert_eq!(ocsf["metadata"]["processed_time"], NOON + 60_000);
    let evidence: Value = serde_json::from_str(found.remove("evidence").unwrap().as_str().unwrap()).unwrap();
    assert_eq!(evidence, json!(assessment)["evidence"]);
    let expected = json!({
        "finding_time": "2024-05-01T12:00:00Z", "finding_id": assessment.finding.finding_id, "version": 3, "kind": "single",
        "rule_id": "03b5938b-0000-4000-8000-000000000001", "rule_title": "Access key for another user", "severity_id": 4,
        "severity": "high", "status": "suppressed", "first_seen": "2024-05-01T12:00:00Z", "last_seen": "2024-05-01T12:00:00Z",
        "account_id": "111122223333", "region": "eu-west-1", "actor": "alice", "source_ip": "192.0.2.1",
        "tactics": ["persistence", "privilege-escalation"], "techniques": ["T1098.001"], "event_count": 1,
        "event_ids": ["event-1"], "suppressed_by": "policy.suppress (account payments): a test (alice, until 2030-12-31)",
        "schema_version": 1,
    });
    assert_eq!(Value::Object(found), expected);
}

#[test]
fn statuses_and_severities_are_those_of_now() {
    let expected = ["new", "suppressed", "allowed", "muted", "staged"];
    for (status, word) in Status::ALL.into_iter().zip(expected) {
        let mut assessment = with_status(single(), status);
        assessment.disposition.severity = dial_rules::severity::Severity::Low;
        let row = FindingRow { assessment, version: 1, written: NOON };
        let found = rows(write_findings(&[row]).unwrap()).unwrap().remove(0);
        assert_eq!(
            (&found["status"], &found["severity"], &found["severity_id"]),
            (&json!(word), &json!("low"), &json!(2))
        );
        assert_eq!(found["suppressed_by"].is_null(), status == Status::Open);
    }
}

#[test]
fn a_day_stays_within_reason() {
    let mut row = finding(0, 1);
    for (first_seen, day) in [(i64::MIN, "2010-01-01"), (i64::MAX, "2024-05-06"), (NOON, "2024-05-01")] {
        row.assessment.finding.first_seen = first_seen;
        assert_eq!(row.day().to_string(), day);
    }
}

#[test]
fn no_rows_are_a_file_too() {
    assert_eq!(rows(write_findings(&[]).unwrap()).unwrap(), Vec::new());
}

#[test]
fn a_file_of_findings_is_sorted_and_says_so() {
    let file = write_findings(&findings()).unwrap();
    let found = rows(file.clone()).unwrap();
    let key = |row: &serde_json::Map<String, Value>| {
        (row["finding_time"].to_string(), row["finding_id"].to_string(), row["version"].as_u64())
    };
    assert!(found.is_sorted_by_key(key));
    assert_eq!(found.len(), findings().len());
    let reader = SerializedFileReader::new(file).unwrap();
    let sorting = reader.metadata().row_group(0).sorting_columns().unwrap();
    assert_eq!(sorting.iter().map(|by| by.column_idx).collect::<Vec<_>>(), [0, 1, 2]);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    /// However rows come, the file has the same ones, in one order: its bytes are a function of the set of rows.
    #[test]
    fn the_order_of_rows_does_not_matter(seed in proptest::collection::vec((0u64..40, 1u64..5), 0..30), turn in 0usize..30) {
        let distinct: BTreeSet<_> = seed.into_iter().collect();
        let mut rows: Vec<_> = distinct.iter().map(|(n, version)| finding(*n, *version)).collect();
        let file: Bytes = write_findings(&rows).unwrap();
        let middle = turn.min(rows.len());
        rows.rotate_left(middle);
        prop_assert_eq!(write_findings(&rows).unwrap(), file.clone());
        prop_assert_eq!(dial_analytics::read::count_rows(file).unwrap(), distinct.len() as u64);
    }
}

#[test]
fn column_types_are_said_in_every_tongue() {
    for (kind, glue) in
        [(ColumnType::Text, "string"), (ColumnType::Time, "timestamp"), (ColumnType::Texts, "array<string>")]
    {
        assert_eq!(kind.glue(), glue);
    }
    assert_eq!(ColumnType::Json.arrow(), DataType::Utf8);
}
