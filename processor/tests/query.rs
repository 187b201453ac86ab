//! `dial query` as far as every build has it: what is asked, what is refused, and Athena, played by ministack.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::process::Command;
use std::time::Duration;

use aws_sdk_athena::types::{QueryExecutionContext, QueryExecutionState, ResultConfiguration};
use dial_emulators::{Ministack, sdk_config, unique};
use support::Folder;

const ATHENA: &str = "[athena]\ndatabase = 'trail'\noutput = 's3://answers/dial'\n";

#[test]
fn only_one_statement_that_reads_is_asked() {
    let folder = Folder::new();
    for (sql, words) in [
        ("DROP TABLE events", "`DROP` is not asked"),
        ("INSERT INTO events SELECT * FROM events", "only reads"),
        ("SELECT 1; SELECT 2", "several statements"),
        ("  -- nothing", "there is no SQL"),
        ("SELECT 'x", "cannot be read"),
    ] {
        folder.dial(["query", sql]).run().expect(2, &[words]);
    }
    folder.dial(["query", "--file", "none.sql"]).run().expect(2, &["none.sql"]);
    folder.dial(["query", "-"]).input("DELETE FROM events").run().expect(2, &["`DELETE` is not asked"]);
    folder.write("two.sql", "SELECT 1;\nSELECT 2;");
    folder.run("query --file two.sql").expect(2, &["several statements"]);
    folder.dial(["query", "--safe-csv", "SELECT 1"]).run().expect(2, &["--format csv"]);
    folder.dial(["query"]).run().expect(2, &["SQL"]);
}

/// Before anything is sent: there is nothing here that could be asked.
#[test]
fn athena_is_not_asked_for_every_day_there_is() {
    let folder = Folder::new();
    folder.write("dial.toml", ATHENA);
    for sql in [
        "SELECT count(*) FROM events",
        "SELECT count(*) FROM trail.events_distinct WHERE actor = 'a'",
        "SELECT count(*) FROM events_written",
        "SELECT count(*) FROM events_compacted",
        "SELECT count(*) FROM cloudtrail_logs",
    ] {
        let ended = folder.dial(["query", sql]).run().expect(2, &["bounds `dt`", "dt >= '20", "--whole-table"]);
        assert!(ended.out.is_empty());
    }
    folder.dial(["query", "SELECT FROM FROM"]).run().expect(2, &["cannot be told", "--whole-table"]);
}

#[test]
fn settings_of_athena_are_checked() {
    let folder = Folder::new();
    folder.write("dial.toml", "[athena]\noutput = 'answers'\nprice_per_tb = -1\n");
    folder.run("config check").expect(2, &["`athena.database`", "`athena.output`", "`athena.price_per_tb`"]);
    folder.write("dial.toml", ATHENA);
    let told = folder.run("config check").expect(0, &[]).out;
    assert!(told.contains("AwsDataCatalog"), "{told}");
}

#[cfg(not(feature = "sql"))]
#[test]
fn a_build_without_sql_says_how_to_get_one_and_names_the_folder() {
    let folder = Folder::new();
    std::fs::create_dir(folder.path("my data")).unwrap();
    let sql = "SELECT count(*) FROM events WHERE actor = 'a'";
    let ended = folder.dial(["query", "--data", "my data", sql]).run();
    let ended = ended.expect(2, &["--features sql", "my data/events/v1", "duckdb", r"'\''a'\''"]);
    assert!(ended.out.is_empty());
    folder.dial(["query", "--data", "none", sql]).run().expect(2, &["no such folder"]);
    folder.write("dial.toml", "[archive]\nlocation = 's3://trail/x'\n");
    folder.dial(["query", sql]).run().expect(2, &["athena.database"]);
}

/// What ministack's Athena has: a database, and a table over files that DIAL archived.
struct Lake {
    ministack: &'static Ministack,
    folder: Folder,
    athena: aws_sdk_athena::Client,
    database: String,
    bucket: String,
}

impl Lake {
    async fn with(events: usize) -> Lake {
        let ministack = Ministack::shared();
        let athena = aws_sdk_athena::Client::new(&sdk_config(&ministack.endpoint()));
        let (bucket, database) = (unique("lake"), unique("trail").replace('-', "_"));
        ministack.s3().create_bucket().bucket(&bucket).send().await.unwrap();
        let folder = Folder::new();
        folder.write(
            "dial.toml",
            format!(
                "[archive]\nlocation = 's3://{bucket}/trail'\n[athena]\ndatabase = '{database}'\n\
                 output = 's3://{bucket}/answers'\n"
            ),
        );
        let lake = Lake { ministack, folder, athena, database, bucket };
        let quiet = format!("demo --print --quiet --events {events}");
        let events = lake.folder.run(&quiet).expect(0, &[]).out;
        lake.dial(&["run"]).input(events).run().expect(0, &[]);
        lake.make_database();
        let columns = "event_time timestamp, event_id string, event_source string, event_name string, read_only boolean, \
                       request_parameters string, sub_sequence_number bigint, resource_arns array<string>";
        let table = format!(
            "CREATE EXTERNAL TABLE {}.events ({columns}) PARTITIONED BY (dt string) STORED AS PARQUET \
             LOCATION 's3://{}/trail/events/v1/'",
            lake.database, lake.bucket
        );
        lake.run(&table).await;
        lake
    }

    fn dial(&self, arguments: &[&str]) -> support::Dial {
        let mut dial = self.folder.dial(arguments).env("AWS_ENDPOINT_URL_ATHENA", self.ministack.endpoint());
        for (name, value) in self.ministack.env() {
            dial = dial.env(name, value);
        }
        dial
    }

    /// By Glue's own call: ministack's Athena has no CREATE DATABASE.
    fn make_database(&self) {
        let program = "import botocore.session, sys\n\
                       aws = botocore.session.get_session()\n\
                       aws.set_credentials('test', 'test')\n\
                       glue = aws.create_client('glue', region_name='us-east-1', endpoint_url=sys.argv[1])\n\
                       glue.create_database(DatabaseInput={'Name': sys.argv[2]})\n";
        let mut python = Command::new(dial_emulators::python());
        python.args(["-c", program]).arg(self.ministack.endpoint()).arg(&self.database);
        assert!(python.status().unwrap().success());
    }

    /// Runs a statement that `dial query` would not.
    async fn run(&self, sql: &str) {
        let result = ResultConfiguration::builder().output_location(format!("s3://{}/ddl/", self.bucket)).build();
        let context = QueryExecutionContext::builder().database(&self.database).build();
        let start = self.athena.start_query_execution().query_string(sql);
        let started = start.query_execution_context(context).result_configuration(result).send().await.unwrap();
        let id = started.query_execution_id.unwrap();
        loop {
            let told = self.athena.get_query_execution().query_execution_id(&id).send().await.unwrap();
            let status = told.query_execution.unwrap().status.unwrap();
            match status.state.unwrap() {
                QueryExecutionState::Succeeded => return,
                QueryExecutionState::Failed => panic!("{sql}: {:?}", status.state_change_reason),
                _ => tokio::time::sleep(Duration::from_millis(50)).await,
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn athena_answers_page_by_page_in_types() {
    let lake = Lake::with(2_500).await;
    let query = |arguments: &[&str]| lake.dial(&[&["query"], arguments].concat()).run();

    let ended = query(&["SELECT event_id, sub_sequence_number, read_only, dt FROM events WHERE dt >= '2020-01-01'"]);
    let ended = ended.expect(0, &["rows in", "Athena read", "USD"]);
    let rows = ended.lines();
    // More than two of Athena's pages.
    assert_eq!(rows.len(), 2_500);
    let ids: std::collections::BTreeSet<_> = rows.iter().map(|row| row["event_id"].as_str().unwrap()).collect();
    assert_eq!(ids.len(), 2_500);
    assert!(rows.iter().all(|row| row["read_only"].is_boolean() && row["sub_sequence_number"].is_u64()), "{}", rows[0]);

    let counted = query(&["SELECT count(*) AS n, '' AS empty, NULL AS nothing FROM events WHERE dt LIKE '20%'"]);
    counted.expect(2, &["bounds `dt`"]);
    let sql = "SELECT count(*) AS n, '' AS empty, NULL AS nothing FROM events";
    let ended = query(&["--whole-table", sql]).expect(0, &["1 rows"]);
    assert_eq!(ended.out, "{\"n\":2500,\"empty\":\"\",\"nothing\":null}\n");
    let ended = query(&["--whole-table", "--format", "csv", sql]).expect(0, &[]);
    assert_eq!(ended.out, "n,empty,nothing\r\n2500,\"\",\r\n");
    let ended = query(&["--format", "table", "--limit", "3", "SELECT event_id FROM events WHERE dt > '2020-01-01'"]);
    let ended = ended.expect(0, &["more than these 3 rows"]);
    assert_eq!(ended.out.lines().count(), 5, "{}", ended.out);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_athena_refuses_is_told() {
    let lake = Lake::with(10).await;
    let query = |arguments: &[&str]| lake.dial(&[&["query"], arguments].concat()).run();
    let ended = query(&["SELECT no_such_column FROM events WHERE dt = '2024-05-01'"]);
    assert!(ended.code == 2 || ended.code == 3, "{}", ended.err);
    assert!(ended.err.contains("no_such_column") && ended.out.is_empty(), "{}", ended.err);
    // Nobody there.
    let away = lake
        .dial(&["query", "SELECT 1"])
        .env("AWS_ENDPOINT_URL_ATHENA", "http://127.0.0.1:9")
        .env("AWS_MAX_ATTEMPTS", "1");
    let ended = tokio::task::spawn_blocking(move || away.run()).await.unwrap();
    ended.expect(3, &["StartQueryExecution", "try again later"]);
}
