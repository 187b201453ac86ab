//! The table: what its items hold, and its indexes.

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::error::BuildError;
use aws_sdk_dynamodb::operation::create_table::builders::CreateTableFluentBuilder;
use aws_sdk_dynamodb::types::{
    AttributeDefinition, BillingMode, GlobalSecondaryIndex, KeySchemaElement, KeyType, Projection, ProjectionType,
    ScalarAttributeType,
};

use super::create::{add_missing_index, create_expiring};
use super::keys;
use crate::store::StoreError;

/// Creates the table of findings, billed by request, waits until it can be used, and has DynamoDB delete what has expired. A
/// table of that name that exists already keeps what is in it, and gets the index `undelivered` if an earlier version made it
/// without: that is filled in the background, and takes a table of millions of findings several minutes.
///
/// | attribute | type | holds |
/// | --- | --- | --- |
/// | `finding_id` | S, key | the finding's id |
/// | `version` | N | number of writes of the content; each is conditional on it |
/// | `body` | S | the finding as JSON, normally under 32 KB |
/// | `kind`, `rule_id`, `severity` (1 to 5), `first_seen`, `last_seen` (milliseconds since 1970) | S, S, N, N, N | what listings filter by |
/// | `list_partition` | S | key of the index `by-day`: the day of `last_seen`, `#`, and one of 16 suffixes |
/// | `list_position` | S | sort key of that index: `last_seen`, `#`, `finding_id` |
/// | `progress` | S | how far the finding is on its way to each sink, as JSON |
/// | `progress_revision` | N | number of writes of `progress`; each is conditional on it and on `version` |
/// | `due_partition` | S, while something is due | key of the index `undelivered`: the queue (`findings`), `#`, and one of 16 suffixes |
/// | `due_position` | S, while something is due | sort key of that index: when it is due (19 digits of milliseconds since 1970), `#`, `finding_id` |
///
/// Rows of the [`outbox`](crate::outbox) are items whose `finding_id` begins with `#`. They are in no listing.
///
/// | attribute | type | holds |
/// | --- | --- | --- |
/// | `finding_id` | S, key | the row's key |
/// | `revision` | N | number of its writes; each is conditional on it |
/// | `body` | S | JSON, up to 300 KB |
/// | `due_partition`, `due_position` | S, S, while something is due | as of findings; the queues are `alerts` and `dead` |
/// | `expires` | N, if it does | seconds since 1970, rounded up; DynamoDB's time to live. Findings never have it |
/// | `expires_at` | N, if it does | the same in milliseconds |
///
/// One item, `#days`, is neither: its set `days` names the days that have findings.
///
/// # Errors
///
/// When DynamoDB refuses or takes longer than five minutes; when an index is missing and cannot be added, with what to do.
pub async fn create_table(client: &Client, table: &str) -> Result<(), StoreError> {
    let failed = |reason: String| StoreError::unavailable(format!("create DynamoDB table {table}"), reason);
    let request = request(client, table).map_err(|e| failed(e.to_string()))?;
    create_expiring(client, request, keys::EXPIRES).await.map_err(failed)?;
    let unbuilt = |e: BuildError| failed(e.to_string());
    let attributes = DUE_KEY.iter().map(|name| text(name)).collect::<Result<Vec<_>, _>>().map_err(unbuilt)?;
    let added = add_missing_index(client, table, undelivered().map_err(unbuilt)?, attributes).await;
    added.map_err(|reason| {
        let action = format!("add the index `{}` to DynamoDB table {table}", keys::UNDELIVERED);
        let advice = format!(
            "{reason}; allow `dynamodb:UpdateTable`, or add it by hand: partition key `{}` (S), sort key `{}` (S), \
             projecting `{}`",
            keys::DUE_PARTITION,
            keys::DUE_POSITION,
            keys::EXPIRES_AT
        );
        StoreError::unavailable(action, advice)
    })
}

const LIST_KEY: [&str; 2] = [keys::LIST_PARTITION, keys::LIST_POSITION];
const DUE_KEY: [&str; 2] = [keys::DUE_PARTITION, keys::DUE_POSITION];

fn request(client: &Client, table: &str) -> Result<CreateTableFluentBuilder, BuildError> {
    let request = client
        .create_table()
        .table_name(table)
        .billing_mode(BillingMode::PayPerRequest)
        .key_schema(key(keys::FINDING_ID, KeyType::Hash)?)
        .global_secondary_indexes(by_day()?)
        .global_secondary_indexes(undelivered()?);
    let mut attributes = [keys::FINDING_ID].into_iter().chain(LIST_KEY).chain(DUE_KEY);
    attributes.try_fold(request, |request, name| Ok(request.attribute_definitions(text(name)?)))
}

fn by_day() -> Result<GlobalSecondaryIndex, BuildError> {
    index(keys::BY_DAY, LIST_KEY, &[keys::KIND, keys::RULE_ID, keys::SEVERITY, keys::LAST_SEEN])
}

fn undelivered() -> Result<GlobalSecondaryIndex, BuildError> {
    index(keys::UNDELIVERED, DUE_KEY, &[keys::EXPIRES_AT])
}

fn index(name: &str, keys: [&str; 2], projected: &[&str]) -> Result<GlobalSecondaryIndex, BuildError> {
    let [partition, position] = keys;
    let projected = projected.iter().map(|&name| name.to_owned()).collect();
    let projection = Projection::builder().projection_type(ProjectionType::Include);
    GlobalSecondaryIndex::builder()
        .index_name(name)
        .key_schema(key(partition, KeyType::Hash)?)
        .key_schema(key(position, KeyType::Range)?)
        .projection(projection.set_non_key_attributes(Some(projected)).build())
        .build()
}

fn key(name: &str, kind: KeyType) -> Result<KeySchemaElement, BuildError> {
    KeySchemaElement::builder().attribute_name(name).key_type(kind).build()
}

fn text(name: &str) -> Result<AttributeDefinition, BuildError> {
    AttributeDefinition::builder().attribute_name(name).attribute_type(ScalarAttributeType::S).build()
}
