//! Creates the table.

use std::time::{Duration, Instant};

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::error::{BuildError, ProvideErrorMetadata, SdkError};
use aws_sdk_dynamodb::types::{
    AttributeDefinition, BillingMode, GlobalSecondaryIndex, IndexStatus, KeySchemaElement, KeyType, Projection,
    ProjectionType, ScalarAttributeType, TableStatus, TimeToLiveSpecification, TimeToLiveStatus,
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
    create_and_wait(client, request).await.map_err(failed)?;
    Ok(())
}

/// As [`create_and_wait`], and has DynamoDB delete the rows whose `attribute`, in seconds since 1970, is over.
///
/// # Errors
///
/// One line that says why the table cannot be used, or keeps its rows for ever.
pub(crate) async fn create_expiring(client: &Client, request: CreateTable, attribute: &str) -> Result<(), String> {
    let table = request.get_table_name().clone().unwrap_or_default();
    let made = create_and_wait(client, request).await?;
    match let_expire(client, &table, attribute).await {
        // Whoever made the table may have meant it so, and may not allow us to look.
        Err(reason) if !made => tracing::warn!(table, reason, "rows of this table may never be deleted"),
        done => done?,
    }
    Ok(())
}

async fn let_expire(client: &Client, table: &str, attribute: &str) -> Result<(), String> {
    let described = client.describe_time_to_live().table_name(table).send().await.map_err(explain)?;
    let status = described.time_to_live_description.and_then(|description| description.time_to_live_status);
    if matches!(status, Some(TimeToLiveStatus::Enabled | TimeToLiveStatus::Enabling)) {
        return Ok(());
    }
    let wanted = TimeToLiveSpecification::builder().enabled(true).attribute_name(attribute).build();
    let wanted = wanted.map_err(|e| e.to_string())?;
    let call = client.update_time_to_live().table_name(table).time_to_live_specification(wanted);
    match call.send().await {
        // Several workers start at once, and one was first.
        Err(SdkError::ServiceError(e)) if e.err().message().is_some_and(|text| text.contains("already enabled")) => {
            Ok(())
        }
        done => done.map(|_| ()).map_err(explain),
    }
}

/// Sends the request and waits until the table can be used. One that exists already is left as it is. Whether it was made
/// now.
///
/// # Errors
///
/// One line that says why it cannot be used.
async fn create_and_wait(client: &Client, request: CreateTable) -> Result<bool, String> {
    let name = request.get_table_name().clone().unwrap_or_default();
    let made = match request.send().await {
        Ok(_) => true,
        Err(SdkError::ServiceError(e)) if e.err().is_resource_in_use_exception() => false,
        Err(e) => return Err(explain(e)),
    };
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
            return Ok(made);
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
