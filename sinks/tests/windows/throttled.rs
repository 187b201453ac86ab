//! [`DynamoWindowStore`] against answers that no emulator gives: a small server plays a throttled DynamoDB.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::{Builder, retry::RetryConfig};
use dial_sinks::windows::dynamodb::DynamoWindowStore;
use dial_sinks::windows::retention::Retention;
use dial_sinks::windows::store::{WindowItem, WindowStore};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

use crate::items::{NOON, addition, all, item};

/// A DynamoDB at its limit: of a batch it writes one row, of a query it gives one row a page, and every other call of
/// each kind it refuses.
#[derive(Debug, Default)]
struct Throttled {
    rows: BTreeMap<(String, String), Value>,
    calls: BTreeMap<String, usize>,
    refuses_all: bool,
}

fn text(row: &Value, name: &str) -> String {
    row[name]["S"].as_str().unwrap_or_default().to_owned()
}

impl Throttled {
    fn answer(&mut self, operation: &str, request: &Value) -> (u16, Value) {
        let calls = self.calls.entry(operation.to_owned()).or_default();
        *calls += 1;
        if self.refuses_all || *calls % 2 == 1 {
            let codes = ["ProvisionedThroughputExceededException", "ThrottlingException", "RequestLimitExceeded"];
            return (400, json!({ "__type": format!("com.amazonaws.dynamodb.v20120810#{}", codes[*calls % 3]) }));
        }
        match operation {
            "BatchWriteItem" => self.write_one(&request["RequestItems"]),
            "Query" => self.page(request),
            "GetItem" => {
                let key = (text(&request["Key"], "window"), text(&request["Key"], "position"));
                (200, self.rows.get(&key).map_or(json!({}), |row| json!({ "Item": row })))
            }
            "UpdateItem" => {
                let mut row = request["Key"].clone();
                row["suffixes"] = request["ExpressionAttributeValues"][":suffixes"].clone();
                row["expires"] = request["ExpressionAttributeValues"][":expires"].clone();
                self.rows.insert((text(&row, "window"), text(&row, "position")), row);
                (200, json!({}))
            }
            other => panic!("{other} is not expected"),
        }
    }

    fn write_one(&mut self, tables: &Value) -> (u16, Value) {
        let mut requests = tables["windows"].as_array().unwrap().clone();
        assert!(requests.len() <= 25, "DynamoDB refuses more");
        let row = requests.remove(0)["PutRequest"]["Item"].take();
        self.rows.insert((text(&row, "window"), text(&row, "position")), row);
        let left = if requests.is_empty() { json!({}) } else { json!({ "windows": requests }) };
        (200, json!({ "UnprocessedItems": left }))
    }

    fn page(&self, request: &Value) -> (u16, Value) {
        assert_eq!(request["ConsistentRead"], json!(true));
        let value = |name: &str| text(&request["ExpressionAttributeValues"], name);
        let after = text(&request["ExclusiveStartKey"], "position");
        let within = |(window, position): &(String, String)| {
            *window == value(":window")
                && *position >= value(":least")
                && *position <= value(":greatest")
                && *position > after
        };
        let mut found = self.rows.iter().filter(|(key, _)| within(key));
        let Some(((window, position), row)) = found.next() else { return (200, json!({ "Items": [] })) };
        let mut answer = json!({ "Items": [row] });
        if found.next().is_some() {
            answer["LastEvaluatedKey"] = json!({ "window": { "S": window }, "position": { "S": position } });
        }
        (200, answer)
    }
}

/// Serves HTTP/1.1 on loopback until the test's runtime ends.
async fn serve(table: &Arc<Mutex<Throttled>>) -> Client {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let table = Arc::clone(table);
    tokio::spawn(async move {
        while let Ok((connection, _)) = listener.accept().await {
            tokio::spawn(converse(connection, Arc::clone(&table)));
        }
    });
    // The SDK's own retries would hide ours, and take seconds.
    let config = Builder::from(&dial_emulators::sdk_config(&endpoint)).retry_config(RetryConfig::disabled());
    Client::from_conf(config.build())
}

async fn converse(connection: TcpStream, table: Arc<Mutex<Throttled>>) {
    let mut connection = BufReader::new(connection);
    loop {
        let (mut operation, mut length) = (String::new(), 0);
        loop {
            let mut line = String::new();
            if connection.read_line(&mut line).await.unwrap_or(0) == 0 {
                return;
            }
            match line.trim().split_once(": ") {
                Some((name, value)) if name.eq_ignore_ascii_case("content-length") => length = value.parse().unwrap(),
                Some((name, value)) if name.eq_ignore_ascii_case("x-amz-target") => {
                    operation = value.rsplit('.').next().unwrap_or_default().to_owned();
                }
                _ if line.trim().is_empty() => break,
                _ => {}
            }
        }
        let mut body = vec![0; length];
        connection.read_exact(&mut body).await.unwrap();
        let (status, answer) = table.lock().unwrap().answer(&operation, &serde_json::from_slice(&body).unwrap());
        let answer = answer.to_string();
        let head = format!(
            "HTTP/1.1 {status} -\r\ncontent-type: application/x-amz-json-1.0\r\ncontent-length: {}\r\n\r\n",
            answer.len()
        );
        connection.write_all((head + &answer).as_bytes()).await.unwrap();
    }
}

#[tokio::test]
async fn what_was_not_processed_is_sent_again_and_refused_reads_are_repeated() {
    let table = Arc::default();
    let client = serve(&table).await;
    let store = DynamoWindowStore::new(client, "windows", Retention::default());
    let of = |i: i64| vec![item(NOON + i * 60_000, "1"), item(NOON + i * 60_000 + 60_000, "2")];
    let additions = (0..14).map(|i| addition(&i.to_string(), of(i))).collect();
    let appended = store.append(additions, NOON).await.unwrap();
    assert_eq!((appended.items, appended.rows), (28, 28));
    assert_eq!(table.lock().unwrap().rows.len(), 28);
    assert!(table.lock().unwrap().calls["BatchWriteItem"] > 40, "a row a call, and every other call refused");
    let ranges: Vec<_> = (0..14).map(|i| all(&i.to_string())).collect();
    assert_eq!(store.read(&ranges).await.unwrap(), (0..14).map(of).collect::<Vec<_>>());
    assert!(table.lock().unwrap().calls["Query"] > 40, "a page a row, and every other call refused");
}

#[tokio::test]
async fn a_hot_window_is_spread_through_throttling() {
    let table = Arc::default();
    let client = serve(&table).await;
    let store = DynamoWindowStore::new(client, "windows", Retention::default());
    let large = |i: i64| WindowItem { body: "x".repeat(8_000), ..item(NOON + i, &i.to_string()) };
    let items: Vec<WindowItem> = (0..60).map(large).collect();
    store.append(vec![addition("mallory", items.clone())], NOON).await.unwrap();
    assert_eq!(store.read(&[all("mallory")]).await.unwrap(), [items]);
    let table = table.lock().unwrap();
    assert_eq!((table.calls["GetItem"], table.calls["UpdateItem"]), (2, 2), "{:?}", table.calls);
}

#[tokio::test]
async fn a_table_that_stays_throttled_is_an_error_that_says_so() {
    let table = Arc::new(Mutex::new(Throttled { refuses_all: true, ..Throttled::default() }));
    let client = serve(&table).await;
    let store = DynamoWindowStore::new(client, "windows", Retention::default());
    let append = store.append(vec![addition("alice", vec![item(NOON, "1")])], NOON);
    let ranges = [all("alice")];
    let (appended, read) = tokio::join!(append, store.read(&ranges));
    for error in [appended.unwrap_err().to_string(), read.unwrap_err().to_string()] {
        assert!(error.contains("DynamoDB table windows") && error.contains("raise its capacity"), "{error}");
    }
}
