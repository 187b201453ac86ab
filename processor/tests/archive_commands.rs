//! `dial archive ddl` and `tables`, with the program that is to understand them.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::process::Command;

use dial_analytics::table::TABLES;
use serde_json::Value;
use support::{Folder, handful, lines};

/// The first column of a query's rows, of DuckDB that has run these statements.
fn duckdb(statements: &str, query: &str) -> Vec<Value> {
    let program = "import duckdb, json, sys\ndb = duckdb.connect()\ndb.execute(sys.argv[1])\n\
                   print(json.dumps([row[0] for row in db.execute(sys.argv[2]).fetchall()], default=str))";
    let output = Command::new(dial_emulators::python()).args(["-c", program, statements, query]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn duckdb_takes_what_is_printed_and_finds_what_was_archived() {
    let folder = Folder::new();
    folder.write("dial.toml", "[data]\nfolder = \"kept\"\n");
    let all = lines(&handful().events);
    folder.dial(["run"]).input(all.clone()).run().expect(0, &[]);
    let ddl = folder.run("archive ddl").expect(0, &[]);
    assert_eq!(ddl.err, "");
    assert!(
        ddl.out.contains("SET TimeZone = 'UTC';") && ddl.out.contains(folder.path("kept").to_str().unwrap()),
        "{}",
        ddl.out
    );
    let events = all.iter().filter(|byte| **byte == b'\n').count();
    assert_eq!(duckdb(&ddl.out, "SELECT count(*) FROM events"), [events]);
    assert_eq!(duckdb(&ddl.out, "SELECT count(DISTINCT event_id) = count(*) FROM events_distinct"), [true]);
    // Views of all three are there, with or without files.
    for view in ["findings", "findings_latest", "cloudtrail_logs"] {
        assert_eq!(duckdb(&ddl.out, &format!("SELECT count(*) >= 0 FROM {view}")), [true]);
    }
}

#[test]
fn athena_gets_its_database_tables_and_views() {
    let folder = Folder::new();
    let text = folder.run("archive ddl --location s3://trail/archive/ --database soc").expect(0, &[]).out;
    for part in [
        "CREATE DATABASE IF NOT EXISTS `soc`;",
        "DROP TABLE IF EXISTS `soc`.`events_written`;\n\n-- table events_written\nCREATE EXTERNAL TABLE `soc`.`events_written` (",
        "DROP TABLE IF EXISTS `soc`.`findings_switches`;\n\n-- table findings_switches\nCREATE EXTERNAL TABLE `soc`.`findings_switches` (",
        "CREATE OR REPLACE VIEW events AS",
        "LOCATION 's3://trail/archive/findings/v1/'",
        "'projection.dt.range' = '2010-01-01,NOW+1DAYS'",
        "CREATE OR REPLACE VIEW events_distinct AS",
        "CREATE OR REPLACE VIEW findings_latest AS",
        "CREATE OR REPLACE VIEW cloudtrail_logs AS",
    ] {
        assert!(text.contains(part), "{part}\n{text}");
    }
    let made = folder
        .run("archive ddl --location s3://trail --json --first 2024-01-01 --last 2025-01-01")
        .expect(0, &[])
        .json();
    let makes: Vec<_> = made.iter().map(|statement| statement["makes"].as_str().unwrap()).collect();
    assert_eq!(makes[0], "database dial: choose it for what follows");
    assert!(makes.contains(&"view cloudtrail_logs"), "{makes:?}");
    assert!(made.iter().any(|made| made["sql"].as_str().unwrap().contains("'2024-01-01,2025-01-01'")));
    // The settings' archive is meant where none is named.
    folder.write("dial.toml", "[archive]\nlocation = \"s3://set/here\"\n");
    let text = folder.run("archive ddl").expect(0, &[]).out;
    assert!(text.contains("s3://set/here/events/v1/"), "{text}");
    let text = folder.run("archive ddl --dialect duckdb").expect(0, &[]).out;
    assert!(
        text.contains("LOAD httpfs;") && text.contains("read_parquet('s3://set/here/events/*v1/dt=*/*.parquet'"),
        "{text}"
    );
}

#[test]
fn what_cannot_be_is_said() {
    let folder = Folder::new();
    for (arguments, words) in [
        ("archive ddl", "dial-data: there is no such folder"),
        ("archive ddl --location s3://Trail", "no place of an archive: write s3://BUCKET"),
        ("archive ddl --location s3://Trail --dialect duckdb", "no place of an archive: write s3://BUCKET"),
        ("archive ddl --location s3://trail --database a;b", "no name of a database"),
        ("archive ddl --location . --dialect athena", "Athena reads from S3 only"),
        ("archive ddl --location s3://trail --first 2024-02-30", "write a day such as 2024-05-01"),
        ("archive ddl --location s3://trail --first 2024-02-03 --last 2024-02-01", "--last is before --first"),
        ("archive tables event", "did you mean events?"),
        ("archive tables cloudtrail_log", "did you mean cloudtrail_logs?"),
    ] {
        folder.run(arguments).expect(2, &[words]);
    }
}

#[test]
fn tables_are_listed_with_their_meanings() {
    let folder = Folder::new();
    let listed = folder.run("archive tables").expect(0, &[]).json();
    let of = |table: &str| listed.iter().filter(|row| row["table"] == table).count();
    for table in TABLES {
        assert_eq!(of(table.name), table.columns.len() + 1, "{}", table.name);
    }
    let row = listed.iter().find(|row| row["column"] == "session_mfa").unwrap();
    assert_eq!((&row["type"], &row["glue"], &row["nullable"]), (&"flag".into(), &"boolean".into(), &true.into()));
    let findings = folder.run("archive tables findings").expect(0, &[]).json();
    assert!(findings.iter().all(|row| row["table"] == "findings"));
    assert_eq!(folder.run("archive tables FINDINGS").expect(0, &[]).json(), findings);
    let shown = folder.run_on_terminal("archive tables").expect(0, &[]);
    for part in ["events: Every event", "finding_id", "cloudtrail_logs: CloudTrail's records"] {
        assert!(shown.out.contains(part), "{part}\n{}", shown.out);
    }
}

#[test]
fn views_are_described_when_they_are_asked_for() {
    let folder = Folder::new();
    let of = |name: &str| folder.run(&format!("archive tables {name}")).expect(0, &[]).json();
    for (view, table) in [("events_distinct", "events"), ("Findings_Latest", "findings")] {
        let named = |rows: Vec<Value>| rows.iter().map(|row| row["column"].clone()).collect::<Vec<_>>();
        assert_eq!(named(of(view)), named(of(table)), "{view}");
        assert_eq!(of(view)[0]["table"], view.to_lowercase());
    }
    let columns = of("cloudtrail_logs");
    let row = columns.iter().find(|row| row["column"] == "useridentity.type").unwrap();
    assert_eq!((&row["type"], &row["glue"]), (&"text".into(), &"string".into()));
    assert!(row["means"].as_str().unwrap().contains("actor_type"));
    // What DuckDB has, members of structures aside.
    let made = folder.run("archive ddl --location .").expect(0, &[]).out;
    let described = duckdb(&made, "DESCRIBE cloudtrail_logs");
    let mut whole: Vec<Value> = Vec::new();
    for column in &columns {
        let name: Value = column["column"].as_str().unwrap().split('.').next().unwrap().into();
        if whole.last() != Some(&name) {
            whole.push(name);
        }
    }
    assert_eq!(whole, described);
    let shown = folder.run_on_terminal("archive tables cloudtrail_logs").expect(0, &[]).out;
    assert!(shown.contains("useridentity.sessioncontext.sessionissuer.arn"), "{shown}");
}

#[test]
fn a_folder_that_cannot_be_written_is_told_before_anything_is_read() {
    let folder = Folder::new();
    folder.write("a.json", lines(&handful().events));
    std::fs::create_dir(folder.path("archive")).unwrap();
    let scan = folder.dial(["scan", "--archive", "archive", "a.json"]).without_privileges(&folder);
    let ended = scan.run().expect(3, &["archive", "not permitted; grant the right to it"]);
    assert!(ended.out.is_empty() && !ended.err.contains("events"), "{}", ended.err);
}
