//! The lease port over DynamoDB, in the items of the Kinesis Client Library.

use std::collections::HashMap;
use std::time::Duration;

use async_trait::async_trait;
use aws_sdk_dynamodb::config::retry::RetryConfig;
use aws_sdk_dynamodb::error::ProvideErrorMetadata;
use aws_sdk_dynamodb::types::{
    AttributeDefinition, AttributeValue, BillingMode, KeySchemaElement, KeyType, ReturnValue, ScalarAttributeType,
    TableStatus,
};
use aws_sdk_dynamodb::{Client, Config};
use tokio::time::sleep;
use tracing::warn;

use crate::error::{ErrorKind, PortError};
use crate::item::{self, LEASE_KEY, Update};
use crate::lease::{Lease, LeaseChange};
use crate::sdk_error::port_error;
use crate::store::LeaseStore;

/// How often, half a second apart, a new table is asked whether it is ready.
const READY_CHECKS: u32 = 120;

/// A lease table in DynamoDB, by its name.
#[derive(Clone, Debug)]
pub struct DynamoLeases {
    client: Client,
    table_name: String,
}

impl DynamoLeases {
    /// The table of this name in the client's region and account. The client's own retries are switched off, and its
    /// connections shared.
    pub fn new(client: Client, table_name: impl Into<String>) -> Self {
        let config: Config = client.config().to_builder().retry_config(RetryConfig::disabled()).build();
        Self { client: Client::from_conf(config), table_name: table_name.into() }
    }

    /// The table's status, or `None` if there is no table.
    async fn status(&self) -> Result<Option<TableStatus>, PortError> {
        let answer = self.client.describe_table().table_name(&self.table_name).send().await;
        match answer.map_err(|e| port_error("DescribeTable", e)) {
            Ok(answer) => Ok(answer.table.and_then(|table| table.table_status)),
            Err(error) if error.kind == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn request_table(&self) -> Result<(), PortError> {
        let invalid =
            |e: aws_sdk_dynamodb::error::BuildError| PortError::new("CreateTable", ErrorKind::Denied, e.to_string());
        let key = KeySchemaElement::builder().attribute_name(LEASE_KEY).key_type(KeyType::Hash);
        let attribute = AttributeDefinition::builder().attribute_name(LEASE_KEY).attribute_type(ScalarAttributeType::S);
        let call = self
            .client
            .create_table()
            .table_name(&self.table_name)
            .key_schema(key.build().map_err(invalid)?)
            .attribute_definitions(attribute.build().map_err(invalid)?)
            .billing_mode(BillingMode::PayPerRequest);
        match call.send().await {
            Ok(_) => Ok(()),
            // Another worker was faster.
            Err(error) if error.code() == Some("ResourceInUseException") => Ok(()),
            Err(error) => Err(port_error("CreateTable", error)),
        }
    }
}

fn key(lease_key: &str) -> AttributeValue {
    AttributeValue::S(lease_key.into())
}

/// The leases among the items. One that cannot be read is left alone and told, so that it does not stop the others.
fn readable(items: impl IntoIterator<Item = HashMap<String, AttributeValue>>) -> Vec<Lease> {
    let lease = |item: HashMap<String, AttributeValue>| {
        item::read(&item).inspect_err(|error| warn!(%error, "an item of the lease table is not a lease")).ok()
    };
    items.into_iter().filter_map(lease).collect()
}

#[async_trait]
impl LeaseStore for DynamoLeases {
    async fn create_table(&self) -> Result<(), PortError> {
        // A table that exists needs no permission to create one.
        for check in 0..READY_CHECKS {
            match self.status().await? {
                Some(TableStatus::Active | TableStatus::Updating) => return Ok(()),
                None if check == 0 => self.request_table().await?,
                _ => sleep(Duration::from_millis(500)).await,
            }
        }
        let message = format!("the table {} does not become active", self.table_name);
        Err(PortError::new("CreateTable", ErrorKind::Unavailable, message))
    }

    async fn list(&self) -> Result<Vec<Lease>, PortError> {
        let mut leases = Vec::new();
        let mut start = None;
        loop {
            let call = self.client.scan().table_name(&self.table_name).consistent_read(true);
            let page = call.set_exclusive_start_key(start).send().await.map_err(|e| port_error("Scan", e))?;
            leases.extend(readable(page.items.unwrap_or_default()));
            start = page.last_evaluated_key.filter(|key| !key.is_empty());
            if start.is_none() {
                return Ok(leases);
            }
        }
    }

    async fn get(&self, lease_key: &str) -> Result<Option<Lease>, PortError> {
        let call = self.client.get_item().table_name(&self.table_name).key(LEASE_KEY, key(lease_key));
        let answer = call.consistent_read(true).send().await.map_err(|e| port_error("GetItem", e))?;
        Ok(readable(answer.item).pop())
    }

    async fn create(&self, lease: &Lease) -> Result<bool, PortError> {
        let call = self
            .client
            .put_item()
            .table_name(&self.table_name)
            .set_item(Some(item::write(lease)))
            .condition_expression("attribute_not_exists(#key)")
            .expression_attribute_names("#key", LEASE_KEY);
        match call.send().await.map_err(|e| port_error("PutItem", e)) {
            Ok(_) => Ok(true),
            Err(error) if error.kind == ErrorKind::Refused => Ok(false),
            Err(error) => Err(error),
        }
    }

    async fn update(&self, lease: &Lease, change: &LeaseChange) -> Result<Lease, PortError> {
        let update = Update::new(lease, change);
        let answer = self
            .client
            .update_item()
            .table_name(&self.table_name)
            .key(LEASE_KEY, key(&lease.lease_key))
            .update_expression(update.expression)
            .condition_expression(update.condition.expression)
            .set_expression_attribute_names(Some(update.names))
            .set_expression_attribute_values(Some(update.values))
            .return_values(ReturnValue::AllNew)
            .send()
            .await
            .map_err(|e| port_error("UpdateItem", e))?;
        let stored = answer.attributes.map(|attributes| item::read(&attributes));
        Ok(stored.and_then(Result::ok).unwrap_or_else(|| lease.after(change)))
    }

    async fn delete(&self, lease: &Lease) -> Result<(), PortError> {
        let condition = item::Condition::unchanged(lease);
        let call = self
            .client
            .delete_item()
            .table_name(&self.table_name)
            .key(LEASE_KEY, key(&lease.lease_key))
            .condition_expression(format!("attribute_not_exists(#key) OR ({})", condition.expression))
            .set_expression_attribute_names(Some(condition.names))
            .set_expression_attribute_values(Some(condition.values))
            .expression_attribute_names("#key", LEASE_KEY);
        call.send().await.map(drop).map_err(|e| port_error("DeleteItem", e))
    }
}
