#![allow(clippy::unwrap_used, clippy::panic)]

use serde_json::Value;

use super::*;
use crate::folder::FolderStore;

async fn ask(sql: &str) -> Result<Vec<String>, LocalError> {
    let folder = tempfile::tempdir().unwrap();
    let store = FolderStore::open(folder.path()).unwrap();
    let place = Place { folder: folder.path(), memory: 64 << 20, alone: false };
    let local = Local::open(place, &store, 0).await?;
    let mut rows = local.ask(&Statement::parse(sql).unwrap()).await?;
    let mut all = Vec::new();
    loop {
        let next = rows.next().await?;
        if next.is_empty() {
            return Ok(all);
        }
        all.extend(next.iter().map(|row| serde_json::to_string(row).unwrap()));
    }
}

async fn one(sql: &str) -> String {
    ask(sql).await.unwrap_or_else(|error| panic!("{sql}: {error}")).join("\n")
}

#[tokio::test]
async fn functions_answer_as_trino_does() {
    let json = r#"'{"a": {"b": [1, "x", null, {"c": true}]}, "d e": 1.50, "o": "it is"}'"#;
    for (expression, answer) in [
        (format!("json_extract_scalar({json}, '$.a.b[0]')"), r#"["1"]"#),
        (format!("json_extract_scalar({json}, '$.a.b[1]')"), r#"["x"]"#),
        (format!("json_extract_scalar({json}, '$.a.b[2]')"), "[null]"),
        (format!("json_extract_scalar({json}, '$.a.b')"), "[null]"),
        (format!("json_extract_scalar({json}, '$[''d e'']')"), r#"["1.50"]"#),
        (format!("json_extract({json}, '$.a.b[3]')"), r#"["{\"c\": true}"]"#),
        (format!("json_array_length(json_extract({json}, '$.a.b'))"), "[4]"),
        ("json_array_length('{}')".to_owned(), "[null]"),
        ("json_extract_scalar(NULL, '$.a')".to_owned(), "[null]"),
        ("json_extract_scalar('no json', '$.a')".to_owned(), "[null]"),
        ("json_extract_scalar('{}', NULL)".to_owned(), "[null]"),
        ("json_format(json_extract('[1, 2]', '$'))".to_owned(), r#"["[1, 2]"]"#),
        ("contains(ARRAY['a', 'b'], 'b')".to_owned(), "[true]"),
        ("contains(ARRAY['a', 'b'], 'c')".to_owned(), "[false]"),
        ("contains('abc', 'b')".to_owned(), "[true]"),
        ("cardinality(ARRAY['a', 'b'])".to_owned(), "[2]"),
        ("element_at(ARRAY['a', 'b'], 2)".to_owned(), r#"["b"]"#),
        ("ARRAY['a', 'b'][1]".to_owned(), r#"["a"]"#),
        ("split_part('a/b/c', '/', 2)".to_owned(), r#"["b"]"#),
        ("strpos('abc', 'c')".to_owned(), "[3]"),
        ("regexp_like('abc', '^a')".to_owned(), "[true]"),
        ("try_cast('x' AS bigint)".to_owned(), "[null]"),
        ("date_format(DATE '2024-05-01', '%Y-%m-%d')".to_owned(), r#"["2024-05-01"]"#),
        ("date_trunc('hour', TIMESTAMP '2024-05-01 12:34:56')".to_owned(), r#"["2024-05-01T12:00:00.000"]"#),
        ("CAST(1.50 AS decimal(10, 2))".to_owned(), "[1.50]"),
        ("CAST('NaN' AS double)".to_owned(), r#"["NaN"]"#),
        ("ARRAY[1, NULL]".to_owned(), "[[1,null]]"),
        ("named_struct('a', 1, 'b', ARRAY['x'])".to_owned(), r#"[{"a":1,"b":["x"]}]"#),
        ("''".to_owned(), r#"[""]"#),
        ("DATE '2024-05-01' - INTERVAL '7' DAY".to_owned(), r#"["2024-04-24"]"#),
    ] {
        assert_eq!(one(&format!("SELECT {expression}")).await, answer, "{expression}");
    }
}

/// Of columns, and not of constants that are computed once.
#[tokio::test]
async fn functions_take_columns() {
    let rows = "(VALUES ('{\"a\": 1}', '$.a'), ('{\"a\": 2}', '$.b'), (NULL, '$.a')) AS t(json, path)";
    let sql = format!("SELECT json_extract_scalar(json, '$.a'), json_extract_scalar(json, path) FROM {rows}");
    assert_eq!(one(&sql).await, "[\"1\",\"1\"]\n[\"2\",null]\n[null,null]");
    let sql = format!("SELECT json_extract_scalar(json, 'a') FROM {rows}");
    let error = ask(&sql).await.unwrap_err();
    assert!(matches!(error, LocalError::Question(_)) && error.to_string().contains("is no JSON path"), "{error}");
}

#[tokio::test]
async fn nothing_but_reading_is_done() {
    for sql in ["SELECT * FROM '/etc/passwd'", "SELECT * FROM \"/etc/passwd\"", "SELECT * FROM read_parquet('x')"] {
        let error = ask(sql).await.unwrap_err();
        assert!(matches!(error, LocalError::Question(_)), "{sql}: {error:?}");
    }
    // Past the first look at a statement, DataFusion's own holds.
    let folder = tempfile::tempdir().unwrap();
    let store = FolderStore::open(folder.path()).unwrap();
    let local = Local::open(Place { folder: folder.path(), memory: 64 << 20, alone: false }, &store, 0).await.unwrap();
    let reads = SQLOptions::new().with_allow_ddl(false).with_allow_dml(false).with_allow_statements(false);
    for sql in [
        "COPY events TO 'x.csv'",
        "CREATE TABLE t AS SELECT 1",
        "INSERT INTO events SELECT * FROM events",
        "SET a.b = 1",
    ] {
        let plan = local.context.state().create_logical_plan(sql).await.unwrap();
        assert!(reads.verify_plan(&plan).is_err(), "{sql}");
        assert!(Statement::parse(sql).is_err(), "{sql}");
    }
}

#[tokio::test]
async fn tables_and_views_are_those_of_the_archive() {
    let names = one("SELECT table_name FROM information_schema.tables WHERE table_schema = 'dial' ORDER BY 1").await;
    let expected = ["cloudtrail_logs", "events", "events_distinct", "findings", "findings_latest"];
    assert_eq!(names, expected.map(|name| format!("[{name:?}]")).join("\n"));
    for table in TABLES {
        let described = ask(&format!("DESCRIBE {}", table.name)).await.unwrap();
        let described: Vec<Value> = described.iter().map(|row| serde_json::from_str(row).unwrap()).collect();
        let names: Vec<_> = described.iter().map(|row| row[0].as_str().unwrap()).collect();
        let columns: Vec<_> = table.columns.iter().map(|column| column.name).chain([PARTITION]).collect();
        assert_eq!(names, columns);
    }
    for name in ["events", "events_distinct", "findings", "findings_latest", "cloudtrail_logs"] {
        assert_eq!(one(&format!("SELECT count(*) FROM {name} WHERE dt = '2024-05-01'")).await, "[0]", "{name}");
    }
    assert_eq!(one("SELECT useridentity.sessioncontext.sessionissuer.username FROM cloudtrail_logs").await, "");
}
