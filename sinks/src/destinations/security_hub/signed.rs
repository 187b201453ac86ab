//! Signatures (AWS Signature Version 4), and the credentials for them.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use aws_sdk_sns::config::{Credentials as Keys, ProvideCredentials, SharedCredentialsProvider};
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4::SigningParams;
use chrono::{DateTime, Utc};
use reqwest::Url;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use tokio::time::timeout;

use super::JSON;
use crate::sink::SendError;

/// Credentials are fetched anew so long before they expire.
const BEFORE: Duration = Duration::from_secs(60);

/// Credentials, fetched once until they expire.
pub(super) struct Credentials {
    provider: SharedCredentialsProvider,
    patience: Duration,
    kept: Mutex<Option<Keys>>,
}

impl Credentials {
    pub(super) fn new(provider: SharedCredentialsProvider, patience: Duration) -> Credentials {
        Credentials { provider, patience, kept: Mutex::default() }
    }

    pub(super) async fn get(&self) -> Result<Keys, SendError> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let lasts = |keys: &Keys| keys.expiry().is_none_or(|expiry| expiry > SystemTime::now() + BEFORE);
        if let Some(keys) = kept.filter(lasts) {
            return Ok(keys);
        }
        let fetched = timeout(self.patience, self.provider.provide_credentials()).await.map_err(|_| SendError::Slow)?;
        // Its source may hold what a place of credentials says, so only what kind of failure it is.
        let keys = fetched.map_err(|error| SendError::Unavailable(format!("no credentials of AWS: {error}")))?;
        *self.kept.lock().unwrap_or_else(PoisonError::into_inner) = Some(keys.clone());
        Ok(keys)
    }

    /// They were refused.
    pub(super) fn refused(&self) {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).take();
    }
}

/// The headers that sign a POST of JSON.
pub(super) fn headers(
    url: &Url,
    body: &str,
    region: &str,
    keys: Keys,
    now: DateTime<Utc>,
) -> Result<HeaderMap, SendError> {
    let wrong = |what: &str| SendError::Rejected(format!("it cannot be signed: {what}"));
    let identity = keys.into();
    let params = SigningParams::builder()
        .identity(&identity)
        .region(region)
        .name("securityhub")
        .time(now.into())
        .settings(SigningSettings::default())
        .build()
        .map_err(|_| wrong("a parameter is missing"))?
        .into();
    let signed = [("content-type", JSON)].into_iter();
    let request = SignableRequest::new("POST", url.as_str(), signed, SignableBody::Bytes(body.as_bytes()));
    let (instructions, _) =
        request.and_then(|request| sign(request, &params)).map_err(|_| wrong("the request"))?.into_parts();
    let mut headers = HeaderMap::new();
    for (name, value) in instructions.headers() {
        let name = HeaderName::try_from(name).map_err(|_| wrong("a header's name"))?;
        let mut value = HeaderValue::try_from(value).map_err(|_| wrong("a header"))?;
        value.set_sensitive(true);
        headers.insert(name, value);
    }
    Ok(headers)
}
