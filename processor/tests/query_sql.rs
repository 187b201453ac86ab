//! `dial query` over a folder, by a build with the feature `sql`: the same rows as DuckDB's, and nothing but reading.
//!
//!     cargo test -p dial --features sql --test query_sql

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use support::{DIAL, Ended, Folder};

const EVENTS: usize = 5_000;

/// A folder with events and the demo's day in its archive, and for DuckDB the statements that make it known.
fn archive() -> &'static Folder {
    static ARCHIVE: OnceLock<Folder> = OnceLock::new();
    ARCHIVE.get_or_init(|| {
        let folder = Folder::new();
        let quiet = folder.run(&format!("demo --print --quiet --events {EVENTS} --seed 3")).expect(0, &[]).out;
        let attack = folder.run("demo --print --seed 4").expect(0, &[]).out;
        folder.dial(["run"]).input(quiet + &attack).run().expect(0, &[]);
        assert!(folder.path("dial-data/events/v1").is_dir());
        folder
    })
}

fn query(folder: &Folder, arguments: &[&str]) -> Ended {
    folder.dial([&["query"], arguments].concat()).run()
}

fn rows(sql: &str) -> Vec<Value> {
    query(archive(), &[sql]).expect(0, &[]).lines()
}

const DUCKDB: &str = r#"
import duckdb, json, sys
root, sql = sys.argv[1:]
db = duckdb.connect()
db.execute("SET TimeZone = 'UTC'")
db.execute(f"CREATE VIEW events AS SELECT * FROM read_parquet('{root}/events/v1/*/*.parquet', hive_partitioning = true, hive_types_autocast = false, union_by_name = true)")
db.execute("CREATE MACRO json_extract_scalar(j, p) AS json_extract_string(j, p)")
names = {name: kind for name, kind, *_ in db.execute(f"DESCRIBE {sql}").fetchall()}
def value(name, kind):
    return f"""strftime(make_timestamp(epoch_us("{name}")), '%Y-%m-%dT%H:%M:%S.%gZ')""" if 'TIME ZONE' in kind else f'"{name}"'
values = ', '.join(value(name, kind) for name, kind in names.items())
for row in db.execute(f"SELECT {values} FROM ({sql})").fetchall():
    print(json.dumps(dict(zip(names, row))))
"#;

fn duckdb(root: &Path, sql: &str) -> Vec<Value> {
    let output = Command::new(dial_emulators::python()).args(["-c", DUCKDB]).arg(root).arg(sql).output().unwrap();
    assert!(output.status.success(), "{sql}: {}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Two engines that share no code. Each query says in which order, down to the last row.
#[test]
fn duckdb_gives_the_same_rows() {
    for sql in [
        "SELECT count(*) AS n, min(event_time) AS first, max(event_time) AS last FROM events",
        "SELECT * FROM events WHERE dt >= '2020-01-01' ORDER BY event_time, event_id, shard_id, sub_sequence_number, sequence_number LIMIT 200",
        "SELECT event_name, count(*) AS n FROM events GROUP BY event_name ORDER BY n DESC, event_name",
        "SELECT dt, aws_region, count(*) AS n, count(DISTINCT actor) AS actors FROM events GROUP BY 1, 2 ORDER BY 1, 2",
        "SELECT error_code, count(*) AS n FROM events WHERE error_code IS NOT NULL GROUP BY 1 ORDER BY 1",
        "SELECT event_source, sum(CASE WHEN read_only THEN 1 ELSE 0 END) AS reads FROM events GROUP BY 1 ORDER BY 1",
        "SELECT json_extract_scalar(request_parameters, '$.userName') AS name, count(*) AS n FROM events WHERE event_source = 'iam.amazonaws.com' GROUP BY 1 ORDER BY 1 NULLS LAST",
        "SELECT json_extract_scalar(raw, '$.detail.userIdentity.type') AS kind, json_extract_scalar(raw, '$.userIdentity.type') AS other, count(*) AS n FROM events GROUP BY 1, 2 ORDER BY 1 NULLS LAST, 2 NULLS LAST",
        "SELECT actor, event_name, row_number() OVER (PARTITION BY actor ORDER BY event_time, event_id) AS nth FROM events ORDER BY actor NULLS LAST, nth, event_name LIMIT 500",
        "SELECT a.event_id AS one, b.event_id AS other FROM events a JOIN events b ON a.actor = b.actor AND a.dt = b.dt WHERE a.event_name = 'CreateAccessKey' AND b.event_name = 'ConsoleLogin' ORDER BY 1, 2 LIMIT 100",
        "WITH busy AS (SELECT actor, count(*) AS n FROM events GROUP BY actor HAVING count(*) > 5) SELECT e.event_name, count(*) AS n FROM events e WHERE e.actor IN (SELECT actor FROM busy) GROUP BY 1 ORDER BY 2 DESC, 1",
        "SELECT date_trunc('hour', event_time) AS hour, count(*) AS n FROM events GROUP BY 1 ORDER BY 1",
        "SELECT event_id FROM events WHERE source_ip LIKE '10.%' OR event_name IN ('CreateUser', 'DeleteTrail') ORDER BY 1",
        "SELECT cardinality(resource_arns) AS n, count(*) AS rows FROM events GROUP BY 1 ORDER BY 1",
        "SELECT dt FROM events WHERE dt BETWEEN '2000-01-01' AND '2099-12-31' UNION SELECT 'none' ORDER BY 1",
        "SELECT count(*) AS n FROM events WHERE dt < '2000-01-01'",
    ] {
        // DuckDB's cardinality is of maps.
        let theirs = duckdb(&archive().path("dial-data"), &sql.replace("cardinality(", "len("));
        let ours = rows(sql);
        assert!(!theirs.is_empty(), "{sql}");
        assert_eq!(ours.len(), theirs.len(), "{sql}");
        for (our, their) in ours.iter().zip(&theirs) {
            assert_eq!(our, their, "{sql}");
        }
    }
}

#[test]
fn rows_come_in_the_form_that_is_asked_for() {
    let sql = "SELECT 'a,b' AS a, '' AS b, NULL AS c, 1.5 AS d, '=1+1' AS e, 1 AS f";
    let out = |arguments: &[&str]| query(archive(), &[arguments, &[sql]].concat()).expect(0, &[]).out;
    let json = "{\"a\":\"a,b\",\"b\":\"\",\"c\":null,\"d\":1.5,\"e\":\"=1+1\",\"f\":1}\n";
    assert_eq!(out(&[]), json);
    assert_eq!(out(&["--format", "json"]), json);
    assert_eq!(out(&["--format", "csv"]), "a,b,c,d,e,f\r\n\"a,b\",\"\",,1.5,=1+1,1\r\n");
    assert_eq!(out(&["--format", "csv", "--safe-csv"]), "a,b,c,d,e,f\r\n\"a,b\",\"\",,1.5,'=1+1,1\r\n");
    let table = out(&["--format", "table"]);
    assert!(table.contains("NULL") && table.contains("a,b") && table.lines().count() == 3, "{table}");
}

/// Who causes events chooses texts in them.
#[test]
fn nothing_in_a_row_steers_the_terminal() {
    let folder = archive();
    folder.write("steer.sql", "SELECT 'a\u{1b}[31m\u{202e}b' AS x, 1 AS \"\u{1b}[2J\"");
    for format in ["table", "json", "csv"] {
        let out = folder.run_on_terminal(&format!("query --file steer.sql --format {format}")).expect(0, &[]).out;
        assert!(!out.contains("\u{1b}[31m") && !out.contains("\u{1b}[2J") && !out.contains('\u{202e}'), "{out:?}");
        assert!(out.contains('b'), "{out:?}");
    }
    // In a file it is what it is, but for JSON, which says the same with escapes.
    let exact = folder.run("query --file steer.sql --format csv").expect(0, &[]).out;
    assert!(exact.contains("a\u{1b}[31m\u{202e}b"), "{exact:?}");
}

#[test]
fn wide_rows_on_a_terminal_are_one_value_a_line() {
    let folder = archive();
    folder.write("wide.sql", "SELECT * FROM events ORDER BY event_time LIMIT 2");
    let out = folder.run_on_terminal("query --file wide.sql").expect(0, &[]).out;
    assert!(out.contains("── 2 ──") && out.contains("2 rows in"), "{out}");
    folder.write("plan.sql", "EXPLAIN SELECT * FROM events WHERE dt = '2024-05-01'");
    let out = folder.run_on_terminal("query --file plan.sql").expect(0, &[]).out;
    assert!(out.contains("logical_plan") && out.lines().count() > 5, "{out}");
}

#[test]
fn what_is_wrong_with_a_question_is_told() {
    for (sql, words) in [
        ("SELECT no_such_column FROM events", "no_such_column"),
        ("SELECT * FROM no_such_table", "no_such_table"),
        ("SELEC 1", "`SELEC` is not asked"),
        ("SELECT FROM FROM", "from"),
        ("SELECT * FROM '/etc/passwd'", "passwd"),
        ("SELECT * FROM \"file:///etc/passwd\"", "passwd"),
        ("SELECT json_extract_scalar(raw, 'a') FROM events", "is no JSON path"),
        ("SELECT 1/0", "zero"),
        ("COPY (SELECT 1) TO 'x.csv'", "only reads"),
        ("CREATE EXTERNAL TABLE x STORED AS CSV LOCATION '/etc/passwd'", "only reads"),
    ] {
        let ended = query(archive(), &[sql]).expect(2, &[words]);
        assert!(ended.out.is_empty(), "{sql}: {}", ended.out);
    }
    let folder = Folder::new();
    query(&folder, &["SELECT 1"]).expect(2, &["there is no archive yet"]);
    query(&folder, &["--data", "none", "SELECT 1"]).expect(2, &["no such folder"]);
    folder.write("dial.toml", "[archive]\nlocation = 's3://trail/x'\n");
    query(&folder, &["SELECT 1"]).expect(2, &["athena.database"]);
    // A folder wins over Athena.
    folder.write("dial.toml", "[athena]\ndatabase = 'trail'\n");
    let data = archive().path("dial-data").display().to_string();
    let ended = query(&folder, &["--data", &data, "SELECT count(*) > 0 AS some FROM events"]).expect(0, &[]);
    assert_eq!(ended.out, "{\"some\":true}\n");
}

#[test]
fn a_statement_comes_from_a_file_or_a_pipe() {
    let folder = archive();
    folder.write("one.sql", "-- one\nSELECT 1 AS n;\n");
    assert_eq!(folder.run("query --file one.sql").expect(0, &[]).out, "{\"n\":1}\n");
    assert_eq!(folder.dial(["query", "-"]).input("SELECT 2 AS n").run().expect(0, &[]).out, "{\"n\":2}\n");
    assert_eq!(folder.dial(["query", "--file", "-"]).input("SELECT 3 AS n").run().expect(0, &[]).out, "{\"n\":3}\n");
    assert_eq!(folder.run("query --file one.sql --limit 0").expect(0, &["more than these 0"]).out, "");
}

/// A tree as deep as a chain is long is walked by recursion.
#[test]
fn long_chains_are_answered_or_refused() {
    let sum = |n: usize| format!("SELECT x{} AS s FROM (VALUES (1)) AS t(x)", " + 1".repeat(n));
    assert_eq!(rows(&sum(900)), [json!({"s": 901})]);
    let or =
        |n: usize| format!("SELECT count(*) AS n FROM events WHERE actor LIKE 'x'{}", " OR actor LIKE 'y'".repeat(n));
    assert_eq!(rows(&or(900)), [json!({"n": 0})]);
    let unions = "SELECT 1 AS n".to_owned() + &" UNION ALL SELECT 1".repeat(900);
    assert_eq!(rows(&unions).len(), 901);
    query(archive(), &[&sum(1_001)]).expect(2, &["operators"]);
    let nested = format!("SELECT {}1{}", "(".repeat(1_000), ")".repeat(1_000));
    query(archive(), &[&nested]).expect(2, &["ecursion"]);
}

/// Columns are added in time; a file that has not got them has nothing in them.
#[test]
fn files_of_earlier_versions_are_read() {
    let folder = Folder::new();
    let from = archive().path("dial-data");
    std::fs::create_dir_all(folder.path("dial-data/events/v1/dt=2020-01-01")).unwrap();
    let old = folder.path("dial-data/events/v1/dt=2020-01-01/old.parquet");
    let copy = format!(
        "import duckdb; duckdb.execute(\"COPY (SELECT * EXCLUDE (dt, as_org, intel, read_only) FROM read_parquet('{}/events/v1/*/*.parquet', hive_partitioning = true) LIMIT 7) TO '{}' (FORMAT parquet)\")",
        from.display(),
        old.display()
    );
    assert!(Command::new(dial_emulators::python()).args(["-c", &copy]).status().unwrap().success());
    for entry in std::fs::read_dir(from.join("events/v1")).unwrap() {
        let day = entry.unwrap();
        let to = folder.path("dial-data/events/v1").join(day.file_name());
        std::fs::create_dir_all(&to).unwrap();
        for file in std::fs::read_dir(day.path()).unwrap() {
            let file = file.unwrap();
            std::fs::copy(file.path(), to.join(file.file_name())).unwrap();
        }
    }
    let count = |sql: &str| query(&folder, &[sql]).expect(0, &[]).lines()[0]["n"].clone();
    assert_eq!(count("SELECT count(*) AS n FROM events WHERE dt = '2020-01-01'"), json!(7));
    assert_eq!(
        count("SELECT count(read_only) + count(as_org) + count(intel) AS n FROM events WHERE dt = '2020-01-01'"),
        json!(0)
    );
    let before = rows("SELECT count(*) AS n, count(read_only) AS r FROM events")[0].clone();
    assert_eq!(count("SELECT count(*) AS n FROM events"), json!(before["n"].as_u64().unwrap() + 7));
    assert_eq!(count("SELECT count(read_only) AS n FROM events"), before["r"]);
    assert_eq!(count("SELECT count(*) AS n FROM events WHERE read_only IS NULL AND dt = '2020-01-01'"), json!(7));
}

#[test]
fn views_tell_each_event_once() {
    let folder = Folder::new();
    let events = folder.run("demo --print --quiet --events 300 --seed 5").expect(0, &[]).out;
    folder.dial(["run"]).input(events.clone() + &events).run().expect(0, &[]);
    let count = |sql: &str| query(&folder, &[sql]).expect(0, &[]).lines()[0]["n"].as_u64().unwrap();
    assert_eq!(count("SELECT count(*) AS n FROM events"), 600);
    assert_eq!(count("SELECT count(*) AS n FROM events_distinct"), 300);
    assert_eq!(count("SELECT count(*) AS n FROM cloudtrail_logs"), 300);
    assert_eq!(
        count(
            "SELECT count(*) AS n FROM cloudtrail_logs WHERE useridentity.type IS NOT NULL AND eventname IS NOT NULL"
        ),
        count("SELECT count(*) AS n FROM events_distinct WHERE actor_type IS NOT NULL")
    );
    assert_eq!(
        count("SELECT count(*) AS n FROM findings_latest"),
        count("SELECT count(DISTINCT finding_id) AS n FROM findings")
    );
}

/// More than there is memory for is sorted by way of temporary files; what cannot be is an error and no more memory.
#[test]
fn memory_is_bounded() {
    // Each event four times, with all its text twice.
    let sql = "SELECT sum(n * length(raw)) AS total FROM (SELECT row_number() OVER (ORDER BY reverse(e.raw), g.value) AS n, \
               e.raw AS raw FROM events e CROSS JOIN generate_series(1, 4) AS g(value))";
    let wide = query(archive(), &[sql]).expect(0, &[]).out;
    assert_eq!(query(archive(), &["--memory-mib", "64", sql]).expect(0, &[]).out, wide);
    let sql = "SELECT actor, array_agg(raw || raw || raw || raw) AS every FROM events CROSS JOIN generate_series(1, 20) GROUP BY actor";
    query(archive(), &["--memory-mib", "64", sql]).expect(3, &["--memory-mib"]);
    query(archive(), &["--memory-mib", "1", "SELECT 1"]).expect(2, &["64"]);
}

const ENDLESS: &str = "SELECT count(*) AS n FROM generate_series(1, 1000000000) AS a(x) CROSS JOIN generate_series(1, 1000000) AS b(y) WHERE (a.x + b.y) % 7 = 8";

#[test]
fn ctrl_c_ends_a_query() {
    let mut child = Command::new(DIAL)
        .args(["query", ENDLESS])
        .current_dir(archive().path(""))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    std::thread::sleep(Duration::from_millis(1_500));
    assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
    let deadline = Instant::now() + Duration::from_secs(30);
    let status = loop {
        match child.try_wait().unwrap() {
            Some(status) => break status,
            None if Instant::now() > deadline => {
                child.kill().unwrap();
                panic!("it goes on");
            }
            None => std::thread::sleep(Duration::from_millis(20)),
        }
    };
    assert_eq!(status.code(), Some(130));
    let said: Vec<String> = BufReader::new(child.stderr.take().unwrap()).lines().map(Result::unwrap).collect();
    assert_eq!(said, ["dial: interrupted"]);
}

#[test]
fn a_reader_that_has_seen_enough_ends_it() {
    let sql = "SELECT value FROM generate_series(1, 100000000) AS t(value)";
    let ended = archive().dial(["query", sql]).run_for_one_line().expect(0, &[]);
    assert_eq!(ended.out, "{\"value\":1}\n");
    assert!(ended.err.is_empty(), "{}", ended.err);
}
