//! Creates the table.

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::error::BuildError;
use aws_sdk_dynamodb::operation::create_table::builders::CreateTableFluentBuilder;
use aws_sdk_dynamodb::types::{AttributeDefinition, BillingMode, KeySchemaElement, KeyType, ScalarAttributeType};

use super::keys;
use crate::dynamodb::create_expiring;
use crate::windows::store::WindowError;

/// Creates the table of windows, billed by request, waits until it can be used, and has DynamoDB delete what has expired.
/// A table of that name that exists already keeps what is in it.
///
/// | attribute | type | holds |
/// | --- | --- | --- |
/// | `window` | S, partition key | SHA-256 of correlation and group, and `#` and a suffix where a hot window is spread |
/// | `position` | S, sort key | minute of event time, `#`, and the SHA-256 of `items` |
/// | `items` | S | a list of `[time, key, body]`, up to 100 kB |
/// | `correlation` | S | the correlation's id |
/// | `expires` | N | seconds since 1970; DynamoDB's time to live |
///
/// Rows at `MINUTE#!suffixes` hold no items: their `suffixes` (N) says over how many partitions that minute is spread.
///
/// # Errors
///
/// When DynamoDB refuses or takes longer than five minutes.
pub async fn create_table(client: &Client, table: &str) -> Result<(), WindowError> {
    let failed = |reason: String| WindowError::unavailable(format!("create DynamoDB table {table}"), reason);
    let request = request(client, table).map_err(|e| failed(e.to_string()))?;
    create_expiring(client, request, keys::EXPIRES).await.map_err(failed)
}

fn request(client: &Client, table: &str) -> Result<CreateTableFluentBuilder, BuildError> {
    let request = client.create_table().table_name(table).billing_mode(BillingMode::PayPerRequest);
    [(keys::WINDOW, KeyType::Hash), (keys::POSITION, KeyType::Range)].into_iter().try_fold(
        request,
        |request, (name, kind)| {
            let attribute = AttributeDefinition::builder().attribute_name(name).attribute_type(ScalarAttributeType::S);
            let key = KeySchemaElement::builder().attribute_name(name).key_type(kind);
            Ok(request.attribute_definitions(attribute.build()?).key_schema(key.build()?))
        },
    )
}
