//! Creates tables, waits for them, and adds what older ones lack.

use std::time::{Duration, Instant};

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_dynamodb::operation::create_table::builders::CreateTableFluentBuilder;
use aws_sdk_dynamodb::types::{
    AttributeDefinition, CreateGlobalSecondaryIndexAction, GlobalSecondaryIndex, GlobalSecondaryIndexUpdate,
    IndexStatus, TableDescription, TableStatus, TimeToLiveSpecification, TimeToLiveStatus,
};

use super::explain;

/// How long DynamoDB may take to create a table.
const ACTIVE_WITHIN: Duration = Duration::from_secs(300);
/// How long a table that is in use may take to fill an index. It is filled in the background, and all else works meanwhile.
const FILLED_WITHIN: Duration = Duration::from_secs(60);

/// Sends the request, waits until the table can be used, and has DynamoDB delete the rows whose `attribute`, in seconds since
/// 1970, is over. A table that exists already keeps what is in it.
///
/// # Errors
///
/// One line that says why the table cannot be used, or keeps its rows for ever.
pub(crate) async fn create_expiring(
    client: &Client,
    request: CreateTableFluentBuilder,
    attribute: &str,
) -> Result<(), String> {
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

/// Adds an index to a table that was made without it. `attributes` define its keys.
///
/// # Errors
///
/// One line that says why it cannot be added.
pub(super) async fn add_missing_index(
    client: &Client,
    table: &str,
    index: GlobalSecondaryIndex,
    attributes: Vec<AttributeDefinition>,
) -> Result<(), String> {
    let name = index.index_name().to_owned();
    if has_index(client, table, &name).await? {
        return Ok(());
    }
    let create = CreateGlobalSecondaryIndexAction::builder()
        .index_name(index.index_name)
        .set_key_schema(Some(index.key_schema))
        .set_projection(index.projection)
        .build()
        .map_err(|e| e.to_string())?;
    let update = GlobalSecondaryIndexUpdate::builder().create(create).build();
    let call = client.update_table().table_name(table).set_attribute_definitions(Some(attributes));
    if let Err(error) = call.global_secondary_index_updates(update).send().await {
        // Several workers start at once, and one was first.
        if !has_index(client, table, &name).await? {
            return Err(explain(error));
        }
    }
    tracing::info!(table, index = name, "an index was added to the table");
    wait(client, table, false).await
}

async fn has_index(client: &Client, table: &str, name: &str) -> Result<bool, String> {
    let description = describe(client, table).await?;
    Ok(description.global_secondary_indexes().iter().any(|index| index.index_name() == Some(name)))
}

async fn describe(client: &Client, table: &str) -> Result<TableDescription, String> {
    let answer = client.describe_table().table_name(table).send().await.map_err(explain)?;
    answer.table.ok_or_else(|| "DescribeTable described nothing".to_owned())
}

/// Sends the request and waits until the table can be used. One that exists already is left as it is. Whether it was made
/// now.
async fn create_and_wait(client: &Client, request: CreateTableFluentBuilder) -> Result<bool, String> {
    let name = request.get_table_name().clone().unwrap_or_default();
    let made = match request.send().await {
        Ok(_) => true,
        Err(SdkError::ServiceError(e)) if e.err().is_resource_in_use_exception() => false,
        Err(e) => return Err(explain(e)),
    };
    wait(client, &name, made).await?;
    Ok(made)
}

/// Waits until the table and its indexes can be used; of one that is not new, not long for the indexes.
async fn wait(client: &Client, name: &str, made: bool) -> Result<(), String> {
    let started = Instant::now();
    let mut pause = Duration::from_millis(50);
    loop {
        let table = describe(client, name).await?;
        let status = table.table_status();
        let mut indexes = table.global_secondary_indexes().iter();
        let filling = indexes.find(|index| index.index_status() != Some(&IndexStatus::Active));
        if status == Some(&TableStatus::Active) && filling.is_none() {
            return Ok(());
        }
        let usable = matches!(status, Some(TableStatus::Active | TableStatus::Updating));
        if usable && !made && started.elapsed() > FILLED_WITHIN {
            let index = filling.and_then(|index| index.index_name());
            tracing::warn!(table = name, index, "an index of the table is still being filled");
            return Ok(());
        }
        if started.elapsed() > ACTIVE_WITHIN {
            return Err(format!("it is not ACTIVE after {} s", ACTIVE_WITHIN.as_secs()));
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(Duration::from_secs(2));
    }
}
