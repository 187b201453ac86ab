//! Reads many items of a table.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::{AttributeValue, KeysAndAttributes};

use super::explain;
use crate::retry;

/// DynamoDB's limit of keys in one BatchGetItem call.
const BATCH: usize = 100;

/// An item of a table, or its key.
pub(crate) type Item = HashMap<String, AttributeValue>;

/// The items with these keys, which must differ, as of now; those that are not there are left out.
///
/// # Errors
///
/// What DynamoDB says, or that it is throttled still after many attempts.
pub(crate) async fn batch_get(
    client: &Client,
    table: &str,
    keys: Vec<Item>,
) -> Result<Vec<Item>, Box<dyn std::error::Error + Send + Sync>> {
    let mut items = Vec::new();
    let mut keys = keys.into_iter().peekable();
    while keys.peek().is_some() {
        let mut left: Vec<Item> = keys.by_ref().take(BATCH).collect();
        let mut attempt = 0;
        while !left.is_empty() {
            let wanted = KeysAndAttributes::builder().set_keys(Some(left)).consistent_read(true).build()?;
            let answer = client.batch_get_item().request_items(table, wanted).send().await.map_err(explain)?;
            let before = items.len();
            items.extend(answer.responses.into_iter().flat_map(HashMap::into_values).flatten());
            let unprocessed = answer.unprocessed_keys.unwrap_or_default().remove(table);
            left = unprocessed.map(|left| left.keys).unwrap_or_default();
            // An answer holds 16 MB at most, so a part of it is progress; nothing at all means throttling.
            attempt = if items.len() > before { 0 } else { attempt + 1 };
            if !left.is_empty() && attempt > 0 {
                let delay = retry::delay(attempt, RandomState::new().hash_one(attempt));
                tokio::time::sleep(delay.ok_or("the table is throttled; raise its capacity")?).await;
            }
        }
    }
    Ok(items)
}
