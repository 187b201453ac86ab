//! The views, as DuckDB evaluates them over files: one row an event, one row a finding, and CloudTrail's own names.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

use dial_analytics::archive::write;
use dial_analytics::ddl::{Dialect, duckdb_table};
use dial_analytics::findings::{FindingRow, write_findings};
use dial_analytics::folder::FolderStore;
use dial_analytics::layout::{Day, findings_key};
use dial_analytics::read::rows;
use dial_analytics::store::ObjectStore;
use dial_analytics::table::TABLES;
use dial_analytics::views::VIEWS;
use dial_emulators::python;
use serde_json::{Value, json};
use support::readers::{finding, findings};
use support::{assumed_role, guardduty, minimal, plausible, sealed, security_hub};

/// The rows of a query, over the views that lie on the tables which have files.
fn ask(root: &Path, query: &str) -> Vec<Value> {
    let empty = |folder: &str| !root.join(folder).is_dir();
    let tables = TABLES.map(|table| duckdb_table(table, root.to_str().unwrap(), empty(table.folder)));
    let views = VIEWS.map(|view| view.create(Dialect::DuckDb));
    let statements: Vec<String> = tables.into_iter().chain(views).map(|made| made.sql).collect();
    let mut child = Command::new(python());
    child.arg("-c").arg(include_str!("ask.py")).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = child.spawn().unwrap();
    let asked = json!({"statements": statements, "query": query}).to_string();
    child.stdin.take().unwrap().write_all(asked.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{query}: {}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

async fn put(store: &FolderStore, batch: dial_analytics::sealed::Sealed) {
    write(store, &Arc::new(batch), &Arc::default(), || true).await.unwrap();
}

/// The same, chosen one by one.
async fn naive_distinct(store: &FolderStore) -> BTreeMap<(String, String), String> {
    let mut kept: BTreeMap<(String, String), (Vec<u8>, String)> = BTreeMap::new();
    for listed in store.list("events/v1/").await.unwrap() {
        let day = listed.key.split("dt=").nth(1).unwrap()[..10].to_owned();
        for row in rows(store.get(&listed.key).await.unwrap()).unwrap() {
            let text = |name: &str| row[name].as_str().unwrap_or_default().to_owned();
            // Null comes after whatever bytes there are.
            let mut order = row["raw"].as_str().map_or(vec![0xff], |raw| raw.as_bytes().to_vec());
            order.extend(
                format!("\0{}\0{:03}{}", text("shard_id"), text("sequence_number").len(), text("sequence_number"))
                    .bytes(),
            );
            let place = (order, format!("{}/{}", text("shard_id"), text("sequence_number")));
            let entry = kept.entry((day.clone(), text("event_id"))).or_insert_with(|| place.clone());
            *entry = entry.clone().min(place);
        }
    }
    kept.into_iter().map(|(id, (_, place))| (id, place)).collect()
}

#[tokio::test]
async fn events_distinct_has_one_row_an_event() {
    let dir = tempfile::tempdir().unwrap();
    let store = FolderStore::open(dir.path()).unwrap();
    put(&store, sealed("shardId-000000000000", true, 95, (0..300).map(plausible))).await;
    // Sent twice, and read by another shard; of some of them the raw event is not kept.
    put(&store, sealed("shardId-000000000001", true, 7, (100..250).map(plausible))).await;
    put(&store, sealed("shardId-000000000002", false, 7, (200..400).map(plausible))).await;
    // Copies that differ.
    let mut forged: Vec<Value> = (0..60).map(plausible).collect();
    for (n, event) in forged.iter_mut().enumerate() {
        event["eventVersion"] = json!(if n % 2 == 0 { "0.1" } else { "9.9" });
    }
    put(&store, sealed("shardId-000000000003", true, 1, forged)).await;
    let expected = naive_distinct(&store).await;
    assert_eq!(expected.len(), 400);
    let found =
        ask(dir.path(), "SELECT dt, event_id, shard_id || '/' || sequence_number AS place FROM events_distinct");
    let text = |row: &Value, name: &str| row[name].as_str().unwrap().to_owned();
    assert_eq!(found.len(), expected.len(), "one row each");
    let found: BTreeMap<_, _> =
        found.iter().map(|row| ((text(row, "dt"), text(row, "event_id")), text(row, "place"))).collect();
    assert_eq!(found, expected);
    let shards = ask(dir.path(), "SELECT shard_id, count(*) AS n FROM events_distinct GROUP BY ALL ORDER BY ALL");
    // Of equal copies, shard 0's; of shard 3's forged ones, those with smaller bytes; of shard 2's, what only it has.
    assert_eq!(shards.iter().map(|row| row["n"].as_u64().unwrap()).collect::<Vec<_>>(), [270, 100, 30]);
    // The day is pushed through: only that day's files are read.
    let plan = ask(dir.path(), "EXPLAIN ANALYZE SELECT count(*) FROM events_distinct WHERE dt = '2024-05-01'");
    let plan = plan[0]["explain_value"].as_str().unwrap().replace(['\n', ' ', '│'], "");
    assert!(plan.contains("ScanningFiles:4/8") || plan.contains("TotalFilesRead:4"), "{plan}");
}

#[tokio::test]
async fn findings_latest_has_the_greatest_version_of_each() {
    let query = "SELECT finding_id, version, event_count, status, dt FROM findings_latest ORDER BY finding_id";
    let mut all = findings();
    let expected: Vec<Value> = (0..120)
        .map(|n| {
            let row = finding(n, 1 + n % 4);
            let status = match row.assessment.disposition.status.as_str() {
                "open" => "new",
                hidden => hidden,
            };
            json!({"finding_id": format!("{n:032x}"), "version": row.version, "status": status,
                "event_count": row.assessment.finding.event_count, "dt": row.day().to_string()})
        })
        .collect();
    // In whichever files the rows lie, and in whatever order they came.
    for turn in 0..3 {
        let dir = tempfile::tempdir().unwrap();
        let store = FolderStore::open(dir.path()).unwrap();
        all.rotate_left(101);
        for (n, rows) in all.chunks(70 + 13 * turn).enumerate() {
            let mut days: BTreeMap<Day, Vec<FindingRow>> = BTreeMap::new();
            rows.iter().for_each(|row| days.entry(row.day()).or_default().push(row.clone()));
            for (day, rows) in days {
                let key = findings_key(day, &format!("f{n}"));
                store.put_if_absent(&key, write_findings(&rows).unwrap()).await.unwrap();
            }
        }
        assert_eq!(ask(dir.path(), query), expected, "turn {turn}");
    }
}

/// Two stores, a scan's and a stream's, call different contents of one finding version 1: the one that knows more stays,
/// whichever file it lies in; and a version that began earlier, on another day, is the finding's.
#[tokio::test]
async fn of_one_version_with_several_contents_the_fullest_stays() {
    let mut less = finding(3, 1);
    let mut more = finding(3, 1);
    more.assessment.finding.event_count = 40;
    let mut earlier = finding(4, 2);
    earlier.assessment.finding.first_seen -= 86_400_000;
    less.written += 5;
    for order in [[0, 1], [1, 0]] {
        let dir = tempfile::tempdir().unwrap();
        let store = FolderStore::open(dir.path()).unwrap();
        let files = [vec![less.clone()], vec![more.clone()]];
        for (n, which) in order.into_iter().enumerate() {
            let rows = &files[which];
            store
                .put_if_absent(&findings_key(rows[0].day(), &format!("f{n}")), write_findings(rows).unwrap())
                .await
                .unwrap();
        }
        for row in [finding(4, 1), earlier.clone()] {
            let key = findings_key(row.day(), "g");
            store.put_if_absent(&key, write_findings(&[row]).unwrap()).await.unwrap();
        }
        let found = ask(dir.path(), "SELECT version, event_count FROM findings_latest ORDER BY finding_id");
        let count = earlier.assessment.finding.event_count;
        assert_eq!(found, [json!({"version": 1, "event_count": 40}), json!({"version": 2, "event_count": count})]);
    }
}

#[tokio::test]
async fn published_queries_run_on_cloudtrail_logs() {
    let dir = tempfile::tempdir().unwrap();
    let store = FolderStore::open(dir.path()).unwrap();
    let mut user = minimal("user", "2024-05-01T13:00:00Z");
    user["userIdentity"] = json!({"type": "IAMUser", "principalId": "AIDAEXAMPLE", "arn": "arn:aws:iam::111122223333:user/bob", "userName": "bob"});
    user["sharedEventID"] = json!("shared");
    user["tlsDetails"] = json!({"tlsVersion": "TLSv1.3", "cipherSuite": "x"});
    user["serviceEventDetails"] = json!({"a": [1]});
    user["resources"] = json!("nonsense");
    let mut web = minimal("web", "2024-05-01T14:00:00Z");
    web["userIdentity"] =
        json!({"sessionContext": {"webIdFederationData": {"federatedProvider": "p", "attributes": {"k": "v"}}}});
    put(&store, sealed("shardId-000000000000", true, 1, [assumed_role(), user, web, guardduty(), security_hub()]))
        .await;
    // The same again, and another one of which the raw event is not kept.
    let mut bare = assumed_role();
    bare["eventID"] = json!("bare");
    put(&store, sealed("shardId-000000000001", true, 1, [assumed_role()])).await;
    put(&store, sealed("shardId-000000000002", false, 1, [bare])).await;
    let found = |query: &str| ask(dir.path(), query);
    let one = |query: &str, expected: Value| assert_eq!(found(query), [expected], "{query}");

    one("SELECT count(*) AS n FROM cloudtrail_logs", json!({"n": 4}));
    one(
        "SELECT useridentity.arn AS arn, useridentity.sessioncontext.sessionissuer.username AS role, \
         useridentity.sessioncontext.sessionissuer.accountid AS account, \
         useridentity.sessioncontext.attributes.mfaauthenticated AS mfa, \
         useridentity.sessioncontext.attributes.creationdate AS created \
         FROM cloudtrail_logs WHERE eventname = 'PutBucketPolicy' AND eventid <> 'bare' AND readonly = 'false'",
        json!({"arn": "arn:aws:sts::111122223333:assumed-role/Admin/alice@example.com", "role": "Admin",
            "account": null, "mfa": "true", "created": "2024-05-01T11:00:00Z"}),
    );
    // Without the raw event what columns know is still there.
    one(
        "SELECT useridentity.sessioncontext.sessionissuer.username AS role, eventversion, eventtime, \
         useridentity.sessioncontext.sessionissuer.accountid AS account, resources FROM cloudtrail_logs WHERE eventid = 'bare'",
        json!({"role": "Admin", "account": "111122223333", "eventversion": null, "eventtime": "2024-05-01T12:00:00Z", "resources": null}),
    );
    one(
        "SELECT eventtime, sourceipaddress, errorcode, json_extract_string(requestparameters, '$.bucketName') AS bucket, \
         resources[1].arn AS first, resources[2].arn AS second, len(resources) AS many, recipientaccountid \
         FROM cloudtrail_logs WHERE eventsource = 's3.amazonaws.com' AND eventid <> 'bare' \
         AND eventtime >= '2024-05-01T00:00:00Z' AND eventtime < '2024-05-02T00:00:00Z' AND dt = '2024-05-01'",
        json!({"eventtime": "2024-05-01T12:00:00Z", "sourceipaddress": "192.0.2.1", "errorcode": "AccessDenied", "bucket": "b",
            "first": "arn:aws:s3:::b", "second": "arn:aws:s3:::c", "many": 5, "recipientaccountid": "444455556666"}),
    );
    one(
        "SELECT useridentity.username AS name, useridentity.sessioncontext.sessionissuer.principalid AS issuer, sharedeventid, \
         tlsdetails.tlsversion AS tls, serviceeventdetails FROM cloudtrail_logs WHERE useridentity.type = 'IAMUser'",
        json!({"name": "bob", "issuer": null, "sharedeventid": "shared", "tls": "TLSv1.3", "serviceeventdetails": "{\"a\":[1]}"}),
    );
    one(
        "SELECT useridentity.sessioncontext.webidfederationdata.federatedprovider AS p, \
         useridentity.sessioncontext.webidfederationdata.attributes['k'] AS v FROM cloudtrail_logs WHERE eventid = 'web'",
        json!({"p": "p", "v": "v"}),
    );
}

/// AWS's table, column by column: a query that names any of them runs.
#[test]
fn cloudtrail_logs_has_the_columns_that_aws_documents() {
    let dir = tempfile::tempdir().unwrap();
    let columns = "eventversion, useridentity, eventtime, eventsource, eventname, awsregion, sourceipaddress, useragent, errorcode, \
        errormessage, requestparameters, responseelements, additionaleventdata, requestid, eventid, readonly, resources, eventtype, \
        apiversion, recipientaccountid, serviceeventdetails, sharedeventid, vpcendpointid, vpcendpointaccountid, eventcategory, \
        addendum, sessioncredentialfromconsole, edgedevicedetails, tlsdetails, dt";
    let names = ask(dir.path(), "SELECT column_name FROM (DESCRIBE cloudtrail_logs)");
    let names: Vec<_> = names.iter().map(|row| row["column_name"].as_str().unwrap()).collect();
    assert_eq!(names.join(", "), columns.split(',').map(str::trim).collect::<Vec<_>>().join(", "));
    let resources =
        ask(dir.path(), "SELECT column_type FROM (DESCRIBE cloudtrail_logs) WHERE column_name = 'resources'");
    assert_eq!(resources[0]["column_type"], "STRUCT(arn VARCHAR, accountid VARCHAR, \"type\" VARCHAR)[]");
}
