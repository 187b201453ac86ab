//! The port to the lease table.

use async_trait::async_trait;

use crate::error::PortError;
use crate::lease::{Lease, LeaseChange};

/// The table that workers share their leases through.
///
/// Each method is one attempt, without retries of its own: a retried conditional write that had gone through at
/// first is refused the second time, and the caller could not tell that from somebody else's write. An
/// implementation over a client that retries by itself must switch that off for the writes.
#[async_trait]
pub trait LeaseStore: Send + Sync {
    /// Creates the table unless it exists, and returns once it can be used.
    ///
    /// # Errors
    /// Whatever the service said.
    async fn create_table(&self) -> Result<(), PortError>;

    /// Every lease, by a consistent read.
    ///
    /// # Errors
    /// [`NotFound`](crate::ErrorKind::NotFound) if there is no table.
    async fn list(&self) -> Result<Vec<Lease>, PortError>;

    /// One lease, by a consistent read.
    ///
    /// # Errors
    /// [`NotFound`](crate::ErrorKind::NotFound) if there is no table; a missing lease is `None`.
    async fn get(&self, lease_key: &str) -> Result<Option<Lease>, PortError>;

    /// Writes a new lease if its key is absent; false if it is present, which is then left as it is.
    ///
    /// # Errors
    /// Whatever the service said.
    async fn create(&self, lease: &Lease) -> Result<bool, PortError>;

    /// Makes `change` to the lease if owner and counter in the table are still those of `lease`, leaving attributes
    /// that it does not know as they are. Returns the lease as it is now.
    ///
    /// # Errors
    /// [`Refused`](crate::ErrorKind::Refused) if somebody else wrote in between or the lease is gone. After
    /// [`Unavailable`](crate::ErrorKind::Unavailable) the write may or may not have been made.
    async fn update(&self, lease: &Lease, change: &LeaseChange) -> Result<Lease, PortError>;

    /// Removes the lease if owner and counter are still those of `lease`. A lease that is gone already is success.
    ///
    /// # Errors
    /// [`Refused`](crate::ErrorKind::Refused) if somebody else wrote in between.
    async fn delete(&self, lease: &Lease) -> Result<(), PortError>;
}

#[async_trait]
impl<T: LeaseStore + ?Sized> LeaseStore for std::sync::Arc<T> {
    async fn create_table(&self) -> Result<(), PortError> {
        (**self).create_table().await
    }

    async fn list(&self) -> Result<Vec<Lease>, PortError> {
        (**self).list().await
    }

    async fn get(&self, lease_key: &str) -> Result<Option<Lease>, PortError> {
        (**self).get(lease_key).await
    }

    async fn create(&self, lease: &Lease) -> Result<bool, PortError> {
        (**self).create(lease).await
    }

    async fn update(&self, lease: &Lease, change: &LeaseChange) -> Result<Lease, PortError> {
        (**self).update(lease, change).await
    }

    async fn delete(&self, lease: &Lease) -> Result<(), PortError> {
        (**self).delete(lease).await
    }
}
