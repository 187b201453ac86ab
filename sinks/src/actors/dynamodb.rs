//! [`DynamoActorStore`]: ancestries in a DynamoDB table, shared by any number of workers.
//!
//! As with findings, a write is conditional on the version that was read, and what others wrote meanwhile is joined.

use std::collections::{BTreeSet, HashMap};
use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

use async_trait::async_trait;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::error::SdkError;
use aws_sdk_dynamodb::types::{
    AttributeDefinition, AttributeValue, BillingMode, KeySchemaElement, KeyType, ScalarAttributeType,
};
use dial_rules::event::Millis;
use dial_rules::lineage::{Ancestry, Lineage, Link, ancestries};
use futures::StreamExt;

use super::row::{KEPT, Row, step_over};
use super::{ActorError, ActorStore, Learned};
use crate::dynamodb::{Item, batch_get, create_expiring, explain};
use crate::retry;

/// The table's key.
const ACCESS_KEY_ID: &str = "access_key_id";
/// Counts the writes of the row; every write is conditional on it.
const VERSION: &str = "version";
/// [`Lineage::credentials`] of who asked.
const CREDENTIALS: &str = "credentials";
/// [`Lineage::persons`] of who asked.
const PERSONS: &str = "persons";
/// [`Ancestry::sessions`].
const SESSIONS: &str = "sessions";
/// [`Ancestry::cut`].
const CUT: &str = "cut";
/// When DynamoDB may delete the row.
const EXPIRES: &str = "expires";

/// Writes in flight at once, of one batch.
const CONCURRENCY: usize = 16;

/// Ancestries in a DynamoDB table.
#[derive(Debug, Clone)]
pub struct DynamoActorStore {
    client: Client,
    table: String,
    kept: Duration,
}

/// A row as it was read.
#[derive(Debug, Clone)]
struct Stored {
    /// What it says, or what is wrong with it.
    row: Result<Row, String>,
    /// [`VERSION`], whatever that holds.
    version: Option<AttributeValue>,
}

impl DynamoActorStore {
    /// Uses `table`, which [`create_table`] made.
    pub fn new(client: Client, table: impl Into<String>) -> Self {
        Self { client, table: table.into(), kept: KEPT }
    }

    /// Keeps rows for so long after their last write, instead of [`KEPT`].
    #[must_use]
    pub fn keeping(self, kept: Duration) -> Self {
        Self { kept, ..self }
    }

    /// The rows of these credentials, as of now.
    async fn read<'a>(
        &self,
        credentials: impl Iterator<Item = &'a String>,
    ) -> Result<HashMap<String, Stored>, ActorError> {
        let items = batch_get(&self.client, &self.table, credentials.map(|id| key(id)).collect()).await;
        let items = items.map_err(|e| ActorError::unavailable(format!("read DynamoDB table {}", self.table), e))?;
        Ok(items.iter().map(parse).collect())
    }

    /// Whether the row had to be written.
    async fn learn_one(
        &self,
        credential: &String,
        update: Ancestry,
        mut current: Option<Stored>,
        now: Millis,
    ) -> Result<bool, ActorError> {
        let mut attempt = 0;
        loop {
            let row = current.as_ref().map(|stored| stored.row.as_ref());
            let Some(row) = step_over(credential, row, update.clone(), now, self.kept) else { return Ok(false) };
            if self.write(credential, &row, current.as_ref()).await? {
                return Ok(true);
            }
            attempt += 1;
            let delay = retry::delay(attempt, RandomState::new().hash_one(attempt));
            let contended = || ActorError::Contended { credential: credential.clone(), attempts: attempt };
            tokio::time::sleep(delay.ok_or_else(contended)?).await;
            current = self.read([credential].into_iter()).await?.remove(credential);
        }
    }

    /// Writes the row unless another one is there than was read; says whether it did.
    async fn write(&self, credential: &str, row: &Row, read: Option<&Stored>) -> Result<bool, ActorError> {
        let version = read.and_then(|stored| stored.version.as_ref());
        let number = version.and_then(|version| version.as_n().ok()?.parse::<u64>().ok()).unwrap_or(0);
        let mut call = self.client.update_item().table_name(&self.table).set_key(Some(key(credential)));
        let (mut set, mut remove) = (Vec::new(), Vec::new());
        for (i, (name, value)) in attributes(row, number.wrapping_add(1)).into_iter().enumerate() {
            call = call.expression_attribute_names(format!("#a{i}"), name);
            match value {
                Some(value) => {
                    call = call.expression_attribute_values(format!(":a{i}"), value);
                    set.push(format!("#a{i} = :a{i}"));
                }
                None => remove.push(format!("#a{i}")),
            }
        }
        let remove = if remove.is_empty() { String::new() } else { format!(" REMOVE {}", remove.join(", ")) };
        call = call.update_expression(format!("SET {}{remove}", set.join(", ")));
        // Of a damaged row too: what another worker wrote over it meanwhile is not lost.
        call = match (read, version) {
            (None, _) => {
                call.condition_expression("attribute_not_exists(#id)").expression_attribute_names("#id", ACCESS_KEY_ID)
            }
            (Some(_), None) => call
                .condition_expression("attribute_not_exists(#version)")
                .expression_attribute_names("#version", VERSION),
            (Some(_), Some(version)) => call
                .condition_expression("#version = :version")
                .expression_attribute_names("#version", VERSION)
                .expression_attribute_values(":version", version.clone()),
        };
        match call.send().await {
            Ok(_) => Ok(true),
            Err(SdkError::ServiceError(e)) if e.err().is_conditional_check_failed_exception() => Ok(false),
            Err(e) => Err(ActorError::unavailable(format!("write to DynamoDB table {}", self.table), explain(e))),
        }
    }
}

#[async_trait]
impl ActorStore for DynamoActorStore {
    async fn learn(&self, links: Vec<Link>, now: Millis) -> Result<Learned, ActorError> {
        let updates = ancestries(links);
        let mut rows = self.read(updates.keys()).await?;
        let writes: Vec<_> = updates
            .into_iter()
            .map(|(credential, update)| {
                let current = rows.remove(&credential);
                async move { self.learn_one(&credential, update, current, now).await }
            })
            .collect();
        // Each is tried, whatever happens to the others.
        let done: Vec<_> = futures::stream::iter(writes).buffer_unordered(CONCURRENCY).collect().await;
        let mut learned = Learned::default();
        for written in done {
            match written? {
                true => learned.written += 1,
                false => learned.unchanged += 1,
            }
        }
        Ok(learned)
    }

    async fn known(&self, credentials: &BTreeSet<String>) -> Result<HashMap<String, Ancestry>, ActorError> {
        // DynamoDB refuses an empty key.
        let rows = self.read(credentials.iter().filter(|credential| !credential.is_empty())).await?;
        let row = |(credential, stored): (String, Stored)| match stored.row {
            Ok(row) => Ok((credential, row.ancestry)),
            Err(reason) => Err(ActorError::Damaged { credential, reason }),
        };
        rows.into_iter().map(row).collect()
    }
}

fn key(credential: &str) -> Item {
    HashMap::from([(ACCESS_KEY_ID.to_owned(), AttributeValue::S(credential.to_owned()))])
}

/// What a row says, its key aside; `None` where it has no such attribute, since DynamoDB knows no empty sets.
fn attributes(row: &Row, version: u64) -> Vec<(&'static str, Option<AttributeValue>)> {
    let Row { ancestry: Ancestry { from, sessions, cut }, expires } = row;
    let set = |set: &BTreeSet<String>| (!set.is_empty()).then(|| AttributeValue::Ss(set.iter().cloned().collect()));
    vec![
        (CREDENTIALS, set(&from.credentials)),
        (PERSONS, set(&from.persons)),
        (SESSIONS, set(sessions)),
        (CUT, Some(AttributeValue::Bool(*cut))),
        (EXPIRES, Some(AttributeValue::N(expires.to_string()))),
        (VERSION, Some(AttributeValue::N(version.to_string()))),
    ]
}

/// A row as [`attributes`] writes it, and its key.
fn parse(item: &Item) -> (String, Stored) {
    let credential = item.get(ACCESS_KEY_ID).and_then(|value| value.as_s().ok()).cloned().unwrap_or_default();
    let row = read_attributes(item).map_err(|name| format!("its attribute `{name}` is missing or of the wrong type"));
    (credential, Stored { row, version: item.get(VERSION).cloned() })
}

/// The row, or the name of the attribute that is not as it should be.
fn read_attributes(item: &Item) -> Result<Row, &'static str> {
    let set = |name: &'static str| match item.get(name) {
        None => Ok(BTreeSet::new()),
        Some(value) => value.as_ss().map(|set| set.iter().cloned().collect()).map_err(|_| name),
    };
    let number = |name: &'static str| item.get(name).and_then(|value| value.as_n().ok()).ok_or(name);
    let cut = item.get(CUT).and_then(|value| value.as_bool().ok()).copied().ok_or(CUT)?;
    let from = Lineage { credentials: set(CREDENTIALS)?, persons: set(PERSONS)? };
    let ancestry = Ancestry { from, sessions: set(SESSIONS)?, cut };
    let expires = number(EXPIRES)?.parse().map_err(|_| EXPIRES)?;
    number(VERSION)?.parse::<u64>().map_err(|_| VERSION)?;
    Ok(Row { ancestry, expires })
}

/// Creates the table of actors, billed by request, and waits until it can be used. A table of that name that exists already is
/// left as it is, but for its TTL.
///
/// | attribute | type | holds |
/// | --- | --- | --- |
/// | `access_key_id` | S, key | the temporary credential |
/// | `credentials`, `persons` | SS, SS | who asked for it |
/// | `sessions` | SS | ARNs of what it is a session of |
/// | `cut` | BOOL | whether there was more than is kept |
/// | `expires` | N, TTL | when the row may go, in seconds since 1970 |
/// | `version` | N | number of writes; each is conditional on it |
///
/// # Errors
///
/// When DynamoDB refuses or takes longer than five minutes.
pub async fn create_table(client: &Client, table: &str) -> Result<(), ActorError> {
    let failed = |reason: String| ActorError::unavailable(format!("create DynamoDB table {table}"), reason);
    let attribute = AttributeDefinition::builder().attribute_name(ACCESS_KEY_ID);
    let attribute = attribute.attribute_type(ScalarAttributeType::S).build();
    let key = KeySchemaElement::builder().attribute_name(ACCESS_KEY_ID).key_type(KeyType::Hash).build();
    let request = client
        .create_table()
        .table_name(table)
        .billing_mode(BillingMode::PayPerRequest)
        .attribute_definitions(attribute.map_err(|e| failed(e.to_string()))?)
        .key_schema(key.map_err(|e| failed(e.to_string()))?);
    create_expiring(client, request, EXPIRES).await.map_err(failed)
}
