//! An [`ObjectStore`] in an S3 bucket, on conditional writes (`If-None-Match: *`).

use std::error::Error;
use std::io::Read;

use async_trait::async_trait;
use aws_sdk_s3::Client;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::operation::get_object::GetObjectOutput;
use aws_sdk_s3::primitives::ByteStream;
use bytes::Bytes;
use dial_rules::event::Millis;

use crate::s3_reader::S3Reader;
use crate::store::{Listed, ObjectStore, Put, StoreError, StoreErrorKind, check_key};

/// The objects of a bucket whose names begin with a prefix. Clones share the client.
#[derive(Debug, Clone)]
pub struct S3Store {
    client: Client,
    bucket: String,
    /// Empty, or ends with a slash.
    prefix: String,
}

impl S3Store {
    /// The store of the objects below `prefix` (may be empty; slashes at its ends do not matter) in `bucket`.
    ///
    /// The client repeats failed calls by its own settings. That is harmless: a put that is repeated after its
    /// answer was lost finds the object there, which is as good.
    #[must_use]
    pub fn new(client: Client, bucket: &str, prefix: &str) -> Self {
        let prefix = prefix.trim_matches('/');
        let slash = if prefix.is_empty() { "" } else { "/" };
        Self { client, bucket: bucket.to_owned(), prefix: format!("{prefix}{slash}") }
    }

    fn name(&self, key: &str) -> String {
        format!("{}{key}", self.prefix)
    }

    fn failure<E, R>(&self, call: &'static str, key: &str, error: &SdkError<E, R>) -> StoreError
    where
        E: ProvideErrorMetadata + Error + 'static,
        R: std::fmt::Debug + 'static,
    {
        let code = error.as_service_error().and_then(|e| e.code());
        // Without a region nothing is ever sent, and the client's own words do not say where to set one.
        let kind = if self.client.config().region().is_none() { StoreErrorKind::NoRegion } else { kind(code) };
        StoreError { call, place: format!("s3://{}/{}{key}", self.bucket, self.prefix), kind, message: words(error) }
    }
}

/// By S3's error codes, <https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html>.
fn kind(code: Option<&str>) -> StoreErrorKind {
    match code {
        Some("NoSuchKey" | "NotFound") => StoreErrorKind::NotFound,
        Some(
            "NoSuchBucket"
            | "PermanentRedirect"
            | "AuthorizationHeaderMalformed"
            | "IllegalLocationConstraintException"
            | "InvalidBucketName",
        ) => StoreErrorKind::Missing,
        Some(
            "AccessDenied"
            | "AllAccessDisabled"
            | "AccountProblem"
            | "ExpiredToken"
            | "InvalidAccessKeyId"
            | "InvalidObjectState"
            | "InvalidToken"
            | "SignatureDoesNotMatch"
            | "KMS.DisabledException"
            | "KMS.NotFoundException",
        ) => StoreErrorKind::Denied,
        Some("QuotaExceeded") => StoreErrorKind::Full,
        _ => StoreErrorKind::Unavailable,
    }
}

/// An error and its causes, each said once.
pub(crate) fn words(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let more = error.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        cause = error.source();
    }
    text
}

#[async_trait]
impl ObjectStore for S3Store {
    async fn put_if_absent(&self, key: &str, bytes: Bytes) -> Result<Put, StoreError> {
        check_key("put", key)?;
        let put = self
            .client
            .put_object()
            .bucket(&self.bucket)
            .key(self.name(key))
            .if_none_match("*")
            .body(ByteStream::from(bytes));
        match put.send().await {
            Ok(_) => Ok(Put::Created),
            // 409 (ConditionalRequestConflict) is none of this: another put is on its way, and may fail.
            Err(e) if e.code() == Some("PreconditionFailed") => Ok(Put::Existed),
            Err(e) => Err(self.failure("put", key, &e)),
        }
    }

    async fn get(&self, key: &str) -> Result<Bytes, StoreError> {
        self.whole(key, self.start("get", key).await?).await
    }

    async fn tail(&self, key: &str, bytes: u64) -> Result<Bytes, StoreError> {
        let get = self.client.get_object().bucket(&self.bucket).key(self.name(key)).range(format!("bytes=-{bytes}"));
        match get.send().await {
            Ok(object) => self.whole(key, object).await,
            // Of an object without bytes there is no range.
            Err(e) if e.code() == Some("InvalidRange") => Ok(Bytes::new()),
            Err(e) => Err(self.failure("get", key, &e)),
        }
    }

    async fn size(&self, key: &str) -> Result<u64, StoreError> {
        let head = self.client.head_object().bucket(&self.bucket).key(self.name(key));
        let head = head.send().await.map_err(|e| self.failure("look at", key, &e))?;
        Ok(head.content_length().and_then(|length| u64::try_from(length).ok()).unwrap_or_default())
    }

    async fn put_at(&self, key: &str) -> Result<Option<Millis>, StoreError> {
        let head = self.client.head_object().bucket(&self.bucket).key(self.name(key));
        let head = head.send().await.map_err(|e| self.failure("look at", key, &e))?;
        Ok(head.last_modified().and_then(|time| time.to_millis().ok()))
    }

    async fn open(&self, key: &str) -> Result<Box<dyn Read + Send>, StoreError> {
        let object = self.start("open", key).await?;
        Ok(Box::new(S3Reader::start(self.client.clone(), self.bucket.clone(), self.name(key), object)))
    }

    async fn list(&self, prefix: &str) -> Result<Vec<Listed>, StoreError> {
        let mut pages =
            self.client.list_objects_v2().bucket(&self.bucket).prefix(self.name(prefix)).into_paginator().send();
        let mut listed = Vec::new();
        while let Some(page) = pages.next().await {
            let page = page.map_err(|e| self.failure("list", prefix, &e))?;
            listed.extend(page.contents().iter().filter_map(|object| {
                // Consoles make empty objects that end with a slash to show a folder.
                let key =
                    object.key()?.strip_prefix(&self.prefix).filter(|key| !key.is_empty() && !key.ends_with('/'))?;
                Some(Listed {
                    key: key.to_owned(),
                    size: u64::try_from(object.size().unwrap_or_default()).unwrap_or_default(),
                })
            }));
        }
        listed.sort();
        Ok(listed)
    }

    async fn delete(&self, key: &str) -> Result<(), StoreError> {
        check_key("delete", key)?;
        let delete = self.client.delete_object().bucket(&self.bucket).key(self.name(key));
        match delete.send().await {
            Ok(_) => Ok(()),
            Err(e) => Err(self.failure("delete", key, &e)),
        }
    }
}

impl S3Store {
    async fn whole(&self, key: &str, object: GetObjectOutput) -> Result<Bytes, StoreError> {
        let body = object.body.collect().await.map_err(|e| StoreError {
            call: "get",
            place: format!("s3://{}/{}{key}", self.bucket, self.prefix),
            kind: StoreErrorKind::Unavailable,
            message: words(&e),
        })?;
        Ok(body.into_bytes())
    }

    /// Other people's objects are read too, so any key that S3 has is good.
    async fn start(&self, call: &'static str, key: &str) -> Result<GetObjectOutput, StoreError> {
        let get = self.client.get_object().bucket(&self.bucket).key(self.name(key));
        get.send().await.map_err(|e| self.failure(call, key, &e))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn error_codes_say_what_to_do() {
        assert_eq!(kind(Some("NoSuchKey")), StoreErrorKind::NotFound);
        assert_eq!(kind(Some("NoSuchBucket")), StoreErrorKind::Missing);
        assert_eq!(kind(Some("PermanentRedirect")), StoreErrorKind::Missing);
        assert_eq!(kind(Some("AccessDenied")), StoreErrorKind::Denied);
        assert_eq!(kind(Some("SlowDown")), StoreErrorKind::Unavailable);
        assert_eq!(kind(Some("ConditionalRequestConflict")), StoreErrorKind::Unavailable);
        assert_eq!(kind(None), StoreErrorKind::Unavailable);
    }

    #[tokio::test]
    async fn a_region_that_is_not_set_is_said_and_not_waited_for() {
        let config = aws_sdk_s3::Config::builder().behavior_version(aws_sdk_s3::config::BehaviorVersion::latest());
        let store = S3Store::new(Client::from_conf(config.build()), "trail", "");
        let error = store.list("events/").await.err();
        assert!(error.as_ref().is_some_and(|error| !error.is_retryable()), "{error:?}");
        let text = error.map(|error| error.to_string()).unwrap_or_default();
        assert!(text.contains("no AWS region is set: set AWS_REGION or region in the profile"), "{text}");
    }
}
