//! Readers that share no code with what wrote the files find the same in both tables: DuckDB, by the files as they lie and
//! by the statements that `dial archive ddl` prints, and ministack's Athena by Glue tables that our statements make. spark.rs has
//! Spark.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use aws_sdk_s3::primitives::ByteStream;
use dial_analytics::ddl::{Place, Statement, duckdb_table, replace_table};
use dial_analytics::folder::FolderStore;
use dial_analytics::layout::Day;
use dial_analytics::store::ObjectStore;
use dial_analytics::table::{TABLES, Table};
use dial_emulators::{Ministack, python, unique};
use support::readers::{Sums, agree, archive, expected, told};

fn sums<'a>(arguments: impl IntoIterator<Item = &'a str>) -> Sums {
    let mut child = Command::new(python());
    child.arg("-c").arg(include_str!("sums.py")).args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = child.stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(told().to_string().as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn write_statements(path: &Path, statements: impl IntoIterator<Item = Statement>) -> String {
    let lines: String = statements.into_iter().map(|made| serde_json::to_string(&made.sql).unwrap() + "\n").collect();
    std::fs::write(path, lines).unwrap();
    path.to_str().unwrap().to_owned()
}

#[tokio::test]
async fn duckdb_agrees() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("archive");
    let store = archive(&root).await;
    let expected = expected(&store).await;
    let of = |table: &str, column: &str| {
        expected[table][column].values().fold([0; 3], |sum, day| [sum[0] + day[0], sum[1] + day[1], sum[2] + day[2]])
    };
    // 2,005 events and an old one without `intel`; the findings' versions, 12 of them twice, and an old one.
    assert_eq!(of("events", "intel"), [2006, 2005, 0]);
    assert_eq!(of("findings", "version")[0], 300 + 12 + 1);
    assert_eq!(expected["findings"]["version"].len(), 3, "days");
    let root = root.to_str().unwrap();
    agree("the files as they lie", &sums(["plain", root]), &expected);
    let views = TABLES.map(|table| duckdb_table(table, root, false));
    let views = write_statements(&dir.path().join("views"), views);
    agree("the views", &sums(["views", &views]), &expected);
}

/// Files that are all from before a column was there, and no file at all: the views have every column.
#[tokio::test]
async fn views_have_all_columns_whatever_the_files_have() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("archive");
    let whole = archive(&root).await;
    for table in TABLES {
        for listed in whole.list(&format!("{}/", table.folder)).await.unwrap() {
            if !listed.key.ends_with("/old.parquet") {
                std::fs::remove_file(root.join(&listed.key)).unwrap();
            }
        }
    }
    let store = FolderStore::open(&root).unwrap();
    let expected = expected(&store).await;
    assert_eq!(expected["events"]["intel"].values().collect::<Vec<_>>(), [&[1, 0, 0]]);
    let views = TABLES.map(|table| duckdb_table(table, root.to_str().unwrap(), false));
    agree("old files", &sums(["views", &write_statements(&dir.path().join("old"), views)]), &expected);
    let views = TABLES.map(|table| duckdb_table(table, "nowhere", true));
    let found = sums(["views", &write_statements(&dir.path().join("none"), views)]);
    assert!(found.values().flat_map(|columns| columns.values()).all(std::collections::BTreeMap::is_empty));
    assert_eq!(found["events"].len(), TABLES[0].columns.len());
}

#[tokio::test]
async fn athena_reads_the_tables_that_our_statements_make() {
    let dir = tempfile::tempdir().unwrap();
    let store = archive(dir.path()).await;
    let expected = expected(&store).await;
    let aws = Ministack::shared();
    let (s3, bucket) = (aws.s3(), unique("archive"));
    s3.create_bucket().bucket(&bucket).send().await.unwrap();
    // Below a prefix, beside what is none of the tables'.
    for table in TABLES {
        for listed in store.list(&format!("{}/", table.folder)).await.unwrap() {
            let body = ByteStream::from(store.get(&listed.key).await.unwrap());
            s3.put_object().bucket(&bucket).key(format!("dial/{}", listed.key)).body(body).send().await.unwrap();
        }
    }
    let other = s3.put_object().bucket(&bucket).key("dial/dead-letters/dt=2024-05-01/a.jsonl");
    other.body(ByteStream::from_static(b"no Parquet")).send().await.unwrap();
    let database = unique("dial").replace('-', "_");
    s3.create_bucket().bucket(format!("{database}-results").replace('_', "-")).send().await.unwrap();
    let place = Place::new(&database, &format!("s3://{bucket}/dial/")).unwrap();
    // They are run again after an update, which brings columns, or with other days. The first ones alone would find nothing.
    let older = place.clone().days(Day::FIRST, Some(Day::FIRST));
    let fewer = TABLES.map(|table| Table { columns: &table.columns[..table.columns.len() - 6], ..*table });
    let before = fewer.iter().flat_map(|table| replace_table(table, &older));
    let after = TABLES.into_iter().flat_map(|table| replace_table(table, &place));
    let statements = write_statements(&dir.path().join("statements"), before.chain(after));
    agree("Athena", &sums(["athena", &aws.endpoint(), &database, &statements]), &expected);
}
