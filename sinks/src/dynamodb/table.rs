//! Creates the table.

use std::time::{Duration, Instant};

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::error::{BuildError, SdkError};
use aws_sdk_dynamodb::types::{
    AttributeDefinition, BillingMode, GlobalSecondaryIndex, IndexStatus, KeySchemaElement, KeyType, Projection,
    ProjectionType, ScalarAttributeType, TableStatus,
};

use super::{explain, keys};
use crate::store::StoreError;

/// How long DynamoDB may take to create a table.
const ACTIVE_WITHIN: Duration = Duration::from_secs(300);

/// Creates the table of findings, billed by request, and waits until it can be used. A table of that name that exists
/// already is left as it is.
///
/// | attribute | type | holds |
/// | --- | --- | --- |
/// | `finding_id` | S, key | the finding's id |
/// | `version` | N | number of writes; each is conditional on it |
/// | `body` | S | the finding as JSON, normally under 32 KB |
/// | `kind`, `rule_id`, `severity` (1 to 5), `first_seen`, `last_seen` (milliseconds since 1970) | S, S, N, N, N | what listings filter by |
/// | `list_partition` | S | key of the index `by-day`: the day of `last_seen`, `#`, and one of 16 suffixes |
/// | `list_position` | S | sort key of that index: `last_seen`, `#`, `finding_id` |
///
/// One item, `#days`, is no finding: its set `days` names the days that have findings.
///
/// # Errors
///
/// When DynamoDB refuses or takes longer than five minutes.
pub async fn create_table(client: &Client, table: &str) -> Result<(), StoreError> {
    let failed = |reason: String| StoreError::unavailable(format!("create DynamoDB table {table}"), reason);
    let request = request(client, table).map_err(|e| failed(e.to_string()))?;
    create_and_wait(client, request).await.map_err(failed)
}

/// Sends the request and waits until the table can be used. One that exists already is left as it is.
///
/// # Errors
///
/// One line that says why it cannot be used.
pub(crate) async fn create_and_wait(client: &Client, request: CreateTable) -> Result<(), String> {
    let name = request.get_table_name().clone().unwrap_or_default();
    match request.send().await {
        Ok(_) => {}
        Err(SdkError::ServiceError(e)) if e.err().is_resource_in_use_exception() => {}
        Err(e) => return Err(explain(e)),
    }
    let deadline = Instant::now() + ACTIVE_WITHIN;
    let mut pause = Duration::from_millis(50);
    loop {
        let table = client.describe_table().table_name(&name).send().await.map_err(explain)?.table;
        let ready = table.is_some_and(|table| {
            let indexes = table.global_secondary_indexes.unwrap_or_default();
            table.table_status == Some(TableStatus::Active)
                && indexes.iter().all(|index| index.index_status == Some(IndexStatus::Active))
        });
        if ready {
            return Ok(());
        }
        if Instant::now() > deadline {
            return Err(format!("it is not ACTIVE after {} s", ACTIVE_WITHIN.as_secs()));
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(Duration::from_secs(2));
    }
}

type CreateTable = aws_sdk_dynamodb::operation::create_table::builders::CreateTableFluentBuilder;

fn request(client: &Client, table: &str) -> Result<CreateTable, BuildError> {
    let text = |name: &str| {
        let attribute = AttributeDefinition::builder().attribute_name(name);
        attribute.attribute_type(ScalarAttributeType::S).build()
    };
    let key = |name: &str, kind: KeyType| KeySchemaElement::builder().attribute_name(name).key_type(kind).build();
    let projected = [keys::KIND, keys::RULE_ID, keys::SEVERITY, keys::LAST_SEEN].map(str::to_owned);
    let projection = Projection::builder().projection_type(ProjectionType::Include);
    let by_day = GlobalSecondaryIndex::builder()
        .index_name(keys::BY_DAY)
        .key_schema(key(keys::LIST_PARTITION, KeyType::Hash)?)
        .key_schema(key(keys::LIST_POSITION, KeyType::Range)?)
        .projection(projection.set_non_key_attributes(Some(projected.into())).build())
        .build()?;
    Ok(client
        .create_table()
        .table_name(table)
        .billing_mode(BillingMode::PayPerRequest)
        .attribute_definitions(text(keys::FINDING_ID)?)
        .attribute_definitions(text(keys::LIST_PARTITION)?)
        .attribute_definitions(text(keys::LIST_POSITION)?)
        .key_schema(key(keys::FINDING_ID, KeyType::Hash)?)
        .global_secondary_indexes(by_day))
}
