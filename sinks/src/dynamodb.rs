//! [`DynamoFindingStore`]: findings in a DynamoDB table, shared by any number of workers.
//!
//! A write is conditional on the version that was read; when somebody else was faster, the row is read and merged
//! again. Items are updated, never put, so attributes that others keep in them survive: so do those of the
//! [`outbox`](crate::outbox), whose rows are items of the same table. See [`table`](create_table) for what an item holds.

mod batch;
mod create;
mod item;
pub(crate) mod keys;
mod listing;
mod table;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::hash::{BuildHasher, RandomState};
use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_dynamodb::types::AttributeValue;
use dial_rules::event::Millis;
use dial_rules::finding::Finding;
use futures::StreamExt;

use crate::filter::{FindingFilter, FindingPage, cut};
use crate::merge::{Recorded, Step, coalesce, step};
use crate::outbox::bounds::{is_finding_id, sooner};
use crate::outbox::store::Queue;
use crate::retry;
use crate::store::{FindingStore, RecordOutcome, StoreError};

pub(crate) use batch::{Item, batch_get};
pub(crate) use create::create_expiring;
use item::{Stored, attributes};
pub(crate) use item::{due_attributes, id_of, number, parse, text};
pub use table::create_table;

/// Writes in flight at once, of one batch.
pub(crate) const CONCURRENCY: usize = 16;

/// Findings in a DynamoDB table.
#[derive(Debug)]
pub struct DynamoFindingStore {
    pub(crate) client: Client,
    pub(crate) table: String,
    /// Days that this process has put on the list of days.
    listed_days: Mutex<HashSet<String>>,
}

impl DynamoFindingStore {
    /// Uses `table`, which [`create_table`] made.
    pub fn new(client: Client, table: impl Into<String>) -> Self {
        Self { client, table: table.into(), listed_days: Mutex::default() }
    }

    pub(crate) fn failed<E, R>(&self, verb: &str, error: SdkError<E, R>) -> StoreError
    where
        E: std::error::Error + ProvideErrorMetadata + Send + Sync + 'static,
        R: std::fmt::Debug + Send + Sync + 'static,
    {
        StoreError::unavailable(format!("{verb} DynamoDB table {}", self.table), explain(error))
    }

    /// The rows of these findings, as of now. One that is damaged is an error of its own, so that it stops no other.
    async fn read(&self, ids: &[String]) -> Result<HashMap<String, Result<Stored, StoreError>>, StoreError> {
        Ok(self.items(ids).await?.iter().map(|item| (id_of(item), parse(item))).collect())
    }

    /// The items with these keys, which must differ, as of now.
    pub(crate) async fn items(&self, keys: &[String]) -> Result<Vec<Item>, StoreError> {
        let keys = keys.iter().map(|key| keys::key(key)).collect();
        let items = batch_get(&self.client, &self.table, keys).await;
        items.map_err(|e| StoreError::unavailable(format!("read DynamoDB table {}", self.table), e))
    }

    /// Waits before the next attempt, or fails when there were enough.
    async fn pause(&self, attempt: u32, error: impl FnOnce() -> StoreError) -> Result<(), StoreError> {
        let random = RandomState::new().hash_one(attempt);
        let delay = retry::delay(attempt, random).ok_or_else(error)?;
        tokio::time::sleep(delay).await;
        Ok(())
    }

    async fn record_one(
        &self,
        id: &str,
        update: Finding,
        owing: Option<Millis>,
        current: Option<Result<Stored, StoreError>>,
    ) -> Result<Recorded, StoreError> {
        let mut current = current.transpose()?;
        let mut attempt = 0;
        loop {
            let version = current.as_ref().map(|stored| stored.version);
            // Somebody may settle it before we write. Then this is as good: it is looked at once more.
            let due = owing.and_then(|_| sooner(current.as_ref().and_then(|stored| stored.due), owing));
            let (recorded, content) = match step(current.map(|stored| stored.finding), update.clone()) {
                Step::Create(content) => (Recorded::New, content),
                Step::Replace(content) => (Recorded::Changed, content),
                Step::Keep => return Ok(Recorded::Unchanged),
            };
            if self.write_content(&content, version, due).await? {
                return Ok(recorded);
            }
            attempt += 1;
            let contended = || StoreError::Contended { finding_id: id.to_owned(), attempts: attempt };
            self.pause(attempt, contended).await?;
            current = self.read(&[id.to_owned()]).await?.remove(id).transpose()?;
        }
    }

    /// Writes the row unless it is no longer at `version`; says whether it did. `due` is when its alerts are, if that changes.
    async fn write_content(
        &self,
        finding: &Finding,
        version: Option<u64>,
        due: Option<Millis>,
    ) -> Result<bool, StoreError> {
        self.list_day(&keys::day(finding.last_seen)).await?;
        let mut attributes = attributes(finding, version.unwrap_or(0) + 1)?;
        attributes.extend(due.into_iter().flat_map(|at| due_attributes(Queue::Findings, at, &finding.finding_id)));
        let mut call = self.client.update_item().table_name(&self.table).set_key(Some(keys::key(&finding.finding_id)));
        let mut assignments = Vec::new();
        for (i, (name, value)) in attributes.into_iter().enumerate() {
            call = call
                .expression_attribute_names(format!("#a{i}"), name)
                .expression_attribute_values(format!(":a{i}"), value);
            assignments.push(format!("#a{i} = :a{i}"));
        }
        call = call.update_expression(format!("SET {}", assignments.join(", ")));
        call = match version {
            None => call
                .condition_expression("attribute_not_exists(#id)")
                .expression_attribute_names("#id", keys::FINDING_ID),
            Some(version) => call
                .condition_expression("#version = :version")
                .expression_attribute_names("#version", keys::VERSION)
                .expression_attribute_values(":version", AttributeValue::N(version.to_string())),
        };
        match call.send().await {
            Ok(_) => Ok(true),
            Err(SdkError::ServiceError(e)) if e.err().is_conditional_check_failed_exception() => Ok(false),
            Err(e) => Err(self.failed("write to", e)),
        }
    }

    /// Puts a day on the list of days with findings, before the first finding of that day is written.
    async fn list_day(&self, day: &str) -> Result<(), StoreError> {
        let listed = || self.listed_days.lock().unwrap_or_else(PoisonError::into_inner);
        if listed().contains(day) {
            return Ok(());
        }
        let call = self.client.update_item().table_name(&self.table).set_key(Some(keys::key(keys::DAYS_KEY)));
        let call = call.update_expression("ADD #days :day").expression_attribute_names("#days", keys::DAYS);
        let call = call.expression_attribute_values(":day", AttributeValue::Ss(vec![day.to_owned()]));
        call.send().await.map_err(|e| self.failed("write to", e))?;
        listed().insert(day.to_owned());
        Ok(())
    }
}

#[async_trait]
impl FindingStore for DynamoFindingStore {
    async fn record_owing(&self, updates: Vec<Finding>, owing: Option<Millis>) -> Result<RecordOutcome, StoreError> {
        let updates = coalesce(updates);
        let ids: Vec<String> = updates.keys().cloned().collect();
        let mut rows = self.read(&ids).await?;
        let writes = updates.into_iter().map(|(id, update)| {
            let current = rows.remove(&id);
            async move {
                let recorded = self.record_one(&id, update, owing, current).await;
                (id, recorded)
            }
        });
        let writes: Vec<_> = writes.collect();
        // Each finding is tried, whatever happens to the others.
        let done: BTreeMap<_, _> = futures::stream::iter(writes).buffer_unordered(CONCURRENCY).collect().await;
        let mut outcome = RecordOutcome::default();
        for (id, recorded) in done {
            outcome.count(id, recorded?);
        }
        Ok(outcome)
    }

    async fn get(&self, finding_id: &str) -> Result<Option<Finding>, StoreError> {
        // DynamoDB refuses an empty key, and neither the list of days nor a row of the outbox is a finding.
        if !is_finding_id(finding_id) {
            return Ok(None);
        }
        let mut rows = self.read(&[finding_id.to_owned()]).await?;
        Ok(rows.remove(finding_id).transpose()?.map(|stored| stored.finding))
    }

    async fn list(&self, filter: &FindingFilter) -> Result<FindingPage, StoreError> {
        let size = filter.page_size();
        let positions = self.positions(filter, size + 1).await?;
        let (positions, next) = cut(size, positions.into_iter().map(|position| (position, ())).collect());
        let ids: Vec<String> = positions.into_iter().map(|(position, ())| position.finding_id).collect();
        let mut rows = self.read(&ids).await?;
        let stored: Vec<Stored> = ids.iter().filter_map(|id| rows.remove(id)).collect::<Result<_, _>>()?;
        let findings = stored.into_iter().map(|stored| stored.finding);
        Ok(FindingPage { findings: findings.collect(), next })
    }
}

/// One line on what went wrong, and what to do where that is known.
pub(crate) fn explain<E, R>(error: SdkError<E, R>) -> String
where
    E: std::error::Error + ProvideErrorMetadata + Send + Sync + 'static,
    R: std::fmt::Debug + Send + Sync + 'static,
{
    if let Some(service) = error.as_service_error() {
        let code = service.code().unwrap_or("unknown error");
        let message = service.message().unwrap_or("no message");
        let hint = match code {
            "ValidationException" if message.contains("specified index") => {
                "; an earlier version made the table: a `dial run` of this one adds what it lacks when it starts"
            }
            "ResourceNotFoundException" => "; check the name and region: `dial run` makes its tables when it starts",
            "AccessDeniedException" => "; allow it in the role's policy",
            _ => "",
        };
        return format!("{code}: {message}{hint}");
    }
    let mut text = error.to_string();
    let mut source = std::error::Error::source(&error);
    while let Some(inner) = source {
        text = format!("{text}: {inner}");
        source = inner.source();
    }
    text
}
