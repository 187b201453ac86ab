//! What DynamoDB answers where no emulator does: a small server plays it.

use aws_sdk_dynamodb::Client;
use dial_sinks::dynamodb::create_table;
use serde_json::{Value, json};
use wiremock::matchers::header;
use wiremock::{Mock, MockServer, ResponseTemplate};

async fn answers(server: &MockServer, operation: &str, status: u16, body: Value) {
    let response = ResponseTemplate::new(status).set_body_raw(body.to_string(), "application/x-amz-json-1.0");
    let target = format!("DynamoDB_20120810.{operation}");
    Mock::given(header("x-amz-target", target.as_str())).respond_with(response).mount(server).await;
}

fn refused(code: &str) -> Value {
    json!({ "__type": format!("com.amazonaws.dynamodb.v20120810#{code}"), "message": "no" })
}

/// An existing table without the index, whose time to live is as it should be.
async fn first_table(server: &MockServer) -> Client {
    answers(server, "CreateTable", 400, refused("ResourceInUseException")).await;
    let table = json!({ "Table": { "TableName": "findings", "TableStatus": "ACTIVE" } });
    answers(server, "DescribeTable", 200, table).await;
    let enabled = json!({ "TimeToLiveDescription": { "TimeToLiveStatus": "ENABLED", "AttributeName": "expires" } });
    answers(server, "DescribeTimeToLive", 200, enabled).await;
    Client::new(&dial_emulators::sdk_config(&server.uri()))
}

#[tokio::test]
async fn who_may_not_add_the_index_is_told_what_to_do() {
    for code in ["AccessDeniedException", "ValidationException", "LimitExceededException"] {
        let server = MockServer::start().await;
        let client = first_table(&server).await;
        answers(&server, "UpdateTable", 400, refused(code)).await;
        let error = create_table(&client, "findings").await.unwrap_err().to_string();
        for word in [code, "index `undelivered`", "table findings", "dynamodb:UpdateTable", "`due_position` (S)"] {
            assert!(error.contains(word), "{word}: {error}");
        }
    }
}

#[tokio::test]
async fn the_index_is_asked_for_with_its_keys() {
    let server = MockServer::start().await;
    let client = first_table(&server).await;
    answers(&server, "UpdateTable", 200, json!({ "TableDescription": { "TableName": "findings" } })).await;
    create_table(&client, "findings").await.unwrap();
    let requests = server.received_requests().await.unwrap();
    let update =
        requests.iter().find(|r| r.headers["x-amz-target"].to_str().unwrap().ends_with("UpdateTable")).unwrap();
    let update: Value = serde_json::from_slice(&update.body).unwrap();
    let create = &update["GlobalSecondaryIndexUpdates"][0]["Create"];
    let key = json!([{ "AttributeName": "due_partition", "KeyType": "HASH" }, { "AttributeName": "due_position", "KeyType": "RANGE" }]);
    assert_eq!((&create["IndexName"], &create["KeySchema"]), (&json!("undelivered"), &key));
    assert_eq!(create["Projection"], json!({ "ProjectionType": "INCLUDE", "NonKeyAttributes": ["expires_at"] }));
    assert_eq!(update["AttributeDefinitions"].as_array().unwrap().len(), 2, "exactly the new keys");
}
