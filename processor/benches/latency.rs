//! Detection latency of the real program: `cargo bench -p dial --bench latency`.
//!
//! From the moment a record is in the stream to the moment an alert about it is received, over ferrokinesis, ministack's
//! DynamoDB and a webhook on this machine; one event in ten is an alert of its own. At 100 and at 1,000 events a second, by
//! polling and by fan-out. The emulators' own share is told first: a record that is polled for without pause, and a
//! conditional write; an alert takes four writes before it leaves.

#![allow(clippy::unwrap_used, clippy::print_stdout)]

use std::collections::HashMap;
use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_sdk_dynamodb::types::AttributeValue;
use aws_sdk_kinesis::primitives::Blob;
use aws_sdk_kinesis::types::{PutRecordsRequestEntry, ShardIteratorType};
use axum::Router;
use axum::body::Bytes;
use axum::routing::post;
use dial_emulators::{Kinesis, Ministack, unique};
use dial_sinks::dynamodb::create_table;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::time::{Instant, interval, sleep};

const DIAL: &str = env!("CARGO_BIN_EXE_dial");
const STREAM: &str = "trail";
/// How long events come at one rate, after a while that does not count.
const LASTS: Duration = Duration::from_secs(20);
const WARMING: Duration = Duration::from_secs(3);
/// How long alerts are waited for after the last event.
const AFTER: Duration = Duration::from_secs(15);
/// One event in so many is alerted.
const ONE_IN: usize = 10;

const RULE: &str = "title: A call was refused
id: 7d0c7a4e-5b1a-4b39-9a51-0a4c3d6c0001
level: high
logsource: {product: aws, service: cloudtrail}
detection: {call: {errorCode: AccessDenied}, condition: call}
dial: {dedup: [finding]}
";

/// When each event's alert was received, by event id.
type Received = Arc<Mutex<HashMap<String, Instant>>>;

#[tokio::main]
async fn main() {
    let (kinesis, ministack) = (Kinesis::start(), Ministack::shared());
    emulators(&kinesis, ministack).await;
    println!(
        "{:<12} {:>9} {:>8} {:>8} {:>8} {:>8} {:>8}",
        "read by", "events/s", "alerts", "missing", "p50 ms", "p95", "p99"
    );
    for (read, settings) in [("polling", "polling"), ("fan-out", "fan-out")] {
        for rate in [100, 1_000] {
            measure(&kinesis, ministack, read, settings, rate).await;
        }
    }
}

/// What the emulators take by themselves.
async fn emulators(kinesis: &Kinesis, ministack: &Ministack) {
    let stream = unique("latency");
    kinesis.create_stream(&stream, 1).await;
    let client = kinesis.client();
    let shard = client.list_shards().stream_name(&stream).send().await.unwrap().shards.unwrap().remove(0).shard_id;
    let latest = client.get_shard_iterator().stream_name(&stream).shard_id(shard);
    let mut iterator =
        latest.shard_iterator_type(ShardIteratorType::TrimHorizon).send().await.unwrap().shard_iterator.unwrap();
    let mut polls = Vec::new();
    for n in 0..50 {
        let entry = client.put_record().stream_name(&stream).partition_key(n.to_string()).data(Blob::new("{}"));
        entry.send().await.unwrap();
        let put = Instant::now();
        loop {
            let answer = client.get_records().shard_iterator(&iterator).send().await.unwrap();
            iterator = answer.next_shard_iterator.unwrap();
            if !answer.records.is_empty() {
                break;
            }
        }
        polls.push(put.elapsed());
    }
    let (table, dynamodb) = (unique("latency"), ministack.dynamodb());
    create_table(&dynamodb, &table).await.unwrap();
    let mut writes = Vec::new();
    for n in 0..200 {
        let begun = Instant::now();
        let call = dynamodb.update_item().table_name(&table).key("finding_id", AttributeValue::S(format!("{n:032x}")));
        let call = call.update_expression("SET body = :b").condition_expression("attribute_not_exists(finding_id)");
        call.expression_attribute_values(":b", AttributeValue::S("x".repeat(1_000))).send().await.unwrap();
        writes.push(begun.elapsed());
    }
    let [polled, written] = [&mut polls, &mut writes].map(|times| percentiles(times));
    println!(
        "emulators, each alone: a poll that finds a record {polled}; a conditional write {written} (p50, p95, p99 ms)"
    );
}

async fn measure(kinesis: &Kinesis, ministack: &Ministack, read: &str, setting: &str, rate: usize) {
    let folder = tempfile::tempdir().unwrap();
    let received = Received::default();
    let address = receive(received.clone()).await;
    let stream = unique(STREAM);
    kinesis.create_stream(&stream, 1).await;
    write_settings(folder.path(), &stream, setting, &address);
    let mut worker = start(folder.path(), kinesis, ministack);
    let put = produce(kinesis, &stream, rate, &received).await;
    let waiting = Instant::now();
    // Alerts from before it counted are among those that were received.
    let all_arrived = || {
        let received = received.lock().unwrap();
        put.iter().all(|(id, ..)| received.contains_key(id))
    };
    while !all_arrived() && waiting.elapsed() < AFTER {
        sleep(Duration::from_millis(50)).await;
    }
    let _ = worker.kill();
    let _ = worker.wait();
    let received = received.lock().unwrap();
    let counted = put.iter().filter(|(_, _, counts)| *counts);
    let mut times: Vec<Duration> =
        counted.clone().filter_map(|(id, at, _)| Some(received.get(id)?.saturating_duration_since(*at))).collect();
    let missing = counted.count() - times.len();
    println!("{read:<12} {rate:>9} {:>8} {missing:>8} {}", times.len(), percentiles(&mut times));
}

fn write_settings(folder: &Path, stream: &str, read: &str, address: &str) {
    fs::write(folder.join("rule.yml"), RULE).unwrap();
    let settings = format!(
        "[stream]\nname = {stream:?}\nread = {read:?}\n[tables]\nprefix = {:?}\n[metrics]\nlisten = \"off\"\n\
         [alerts]\nstorm_per_minute = 1000000\n[sinks.bench]\nkind = \"webhook\"\nurl = \"http://{address}/alert\"\n",
        format!("{stream}-")
    );
    fs::write(folder.join("dial.toml"), settings).unwrap();
}

fn start(folder: &Path, kinesis: &Kinesis, ministack: &Ministack) -> Child {
    let mut command = Command::new(DIAL);
    command.args(["run", "--role", "detect", "--rules", "rule.yml"]).current_dir(folder);
    command.envs(kinesis.env()).envs(ministack.env()).env("DIAL_STREAM__INITIAL_POSITION", "trim-horizon");
    let log = fs::File::create(folder.join("log")).unwrap();
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn().unwrap()
}

/// A webhook that notes when it heard of which event.
async fn receive(received: Received) -> String {
    let heard = move |body: Bytes| {
        let received = received.clone();
        async move {
            let at = Instant::now();
            let alert: Value = serde_json::from_slice(&body).unwrap();
            let findings = [&alert["finding"]].into_iter().chain(alert["findings"].as_array().into_iter().flatten());
            let mut received = received.lock().unwrap();
            for evidence in findings.filter_map(|finding| finding["evidence"].as_array()).flatten() {
                received.entry(evidence["event_id"].as_str().unwrap().to_owned()).or_insert(at);
            }
        }
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move { axum::serve(listener, Router::new().route("/alert", post(heard))).await });
    address
}

/// Puts events at this rate: of those that are to be alerted the id, when the stream had it, and whether it counts.
async fn produce(kinesis: &Kinesis, stream: &str, rate: usize, received: &Received) -> Vec<(String, Instant, bool)> {
    let client = kinesis.client();
    let (mut number, mut put) = (0, Vec::new());
    // Until the worker reads: the first alert is not waited for by any number.
    let ready = Instant::now();
    while received.lock().unwrap().is_empty() && ready.elapsed() < Duration::from_secs(60) {
        let id = format!("warm-{number}");
        number += 1;
        put_records(&client, stream, vec![event(&id, true)]).await;
        sleep(Duration::from_millis(500)).await;
    }
    let each = rate / 10;
    let (begun, mut tick) = (Instant::now(), interval(Duration::from_millis(100)));
    while begun.elapsed() < WARMING + LASTS {
        tick.tick().await;
        let first = number;
        number += each;
        let events = (first..number).map(|n| event(&format!("e{n}"), n % ONE_IN == 0)).collect();
        put_records(&client, stream, events).await;
        let (at, counts) = (Instant::now(), begun.elapsed() > WARMING);
        put.extend((first..number).filter(|n| n % ONE_IN == 0).map(|n| (format!("e{n}"), at, counts)));
    }
    put
}

async fn put_records(client: &aws_sdk_kinesis::Client, stream: &str, events: Vec<Value>) {
    let entry = |event: Value| {
        let entry = PutRecordsRequestEntry::builder().partition_key(event["eventID"].as_str().unwrap());
        entry.data(Blob::new(event.to_string())).build().unwrap()
    };
    let entries = events.into_iter().map(entry).collect();
    let answer = client.put_records().stream_name(stream).set_records(Some(entries)).send().await.unwrap();
    assert_eq!(answer.failed_record_count, Some(0));
}

fn event(id: &str, refused: bool) -> Value {
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let time = chrono::DateTime::from_timestamp(i64::try_from(seconds).unwrap(), 0).unwrap();
    let mut event = json!({
        "eventVersion": "1.09", "eventID": id, "eventTime": time.to_rfc3339_opts(chrono::SecondsFormat::Secs, true),
        "eventSource": "s3.amazonaws.com", "eventName": "ListBuckets", "awsRegion": "eu-west-1",
        "sourceIPAddress": "198.51.100.7", "recipientAccountId": "111122223333",
        "userIdentity": {"type": "IAMUser", "arn": "arn:aws:iam::111122223333:user/alice", "userName": "alice"},
    });
    if refused {
        event["errorCode"] = "AccessDenied".into();
    }
    event
}

/// The 50th, 95th and 99th, in milliseconds.
fn percentiles(times: &mut [Duration]) -> String {
    times.sort_unstable();
    let at = |percent: usize| times.get((times.len() * percent / 100).min(times.len().saturating_sub(1)));
    let text = |percent| at(percent).map_or_else(|| "-".to_owned(), |time| format!("{:.1}", time.as_secs_f64() * 1e3));
    format!("{:>8} {:>8} {:>8}", text(50), text(95), text(99))
}
