//! An S3 bucket as a scan reads it.

use std::io::{self, Read};

use dial_analytics::s3::S3Store;
use dial_analytics::store::{Listed, ObjectStore};
use tokio::runtime::Handle;

use crate::aws;
use crate::failure::{Failure, Result};

/// A bucket. Clones share its client.
#[derive(Debug, Clone)]
pub(crate) struct Bucket {
    name: String,
    store: S3Store,
}

impl Bucket {
    /// The bucket of `BUCKET/PREFIX`, and the prefix.
    ///
    /// # Errors
    /// When no bucket is named.
    pub(crate) async fn connect(address: &str) -> Result<(Bucket, String)> {
        let (name, prefix) = split(address)?;
        let store = S3Store::new(aws::s3(&aws::config().await), name, "");
        Ok((Bucket { name: name.to_owned(), store }, prefix.to_owned()))
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// The objects whose keys begin with `prefix`.
    pub(crate) async fn list(&self, prefix: &str) -> Result<Vec<Listed>> {
        self.store.list(prefix).await.map_err(|error| Failure::Outside(error.to_string()))
    }

    /// A reader of an object; for threads that may block, within the runtime.
    pub(crate) fn open(&self, key: &str) -> io::Result<Box<dyn Read + Send>> {
        Handle::current().block_on(self.store.open(key)).map_err(io::Error::other)
    }
}

/// Bucket and prefix of an `s3://` address without its scheme.
pub(crate) fn split(address: &str) -> Result<(&str, &str)> {
    let (bucket, prefix) = address.split_once('/').unwrap_or((address, ""));
    if bucket.is_empty() {
        return Err(Failure::Usage(format!("s3://{address} names no bucket: write s3://BUCKET/PREFIX")));
    }
    Ok((bucket, prefix))
}
