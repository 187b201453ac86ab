//! AWS Security Hub CSPM: findings in the AWS Security Finding Format, through `BatchImportFindings`
//! (<https://docs.aws.amazon.com/securityhub/1.0/APIReference/API_BatchImportFindings.html>).
//!
//! A finding has the id that it has here, so that what is sent again, or has grown, replaces what was there.

mod answer;
mod finding;
mod signed;

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use aws_sdk_sns::config::SharedCredentialsProvider;
use chrono::Utc;
use reqwest::header::CONTENT_TYPE;
use reqwest::{Client, Url};
use serde_json::{Value, json};

pub use self::finding::{Hub, findings};

use self::signed::{Credentials, headers};
use crate::http::{Answer, client};
use crate::message::Message;
use crate::sink::{Growth, Handle, SendError, Sink};

/// Most findings of one call.
const MOST_FINDINGS: usize = 100;
/// What the body is.
const JSON: &str = "application/json";

/// How findings come to Security Hub.
#[derive(Debug, Clone)]
pub struct SecurityHubOptions {
    /// Whose findings they are: the account of the credentials, 12 digits. Security Hub takes no others of a product that it
    /// does not know; where something happened is in the findings' resources.
    pub account: String,
    /// The region of the hub.
    pub region: String,
    /// Another endpoint than the region's; [`checked_url`](crate::http::checked_url) lets it through.
    pub url: Option<Url>,
    /// Credentials with `securityhub:BatchImportFindings`.
    pub credentials: SharedCredentialsProvider,
    /// An answer that is not there by then is given up.
    pub patience: Duration,
}

/// Sends findings to Security Hub in one account and region.
pub struct SecurityHub {
    hub: Hub,
    url: Url,
    credentials: Credentials,
    client: Client,
}

impl SecurityHub {
    /// A sink for one account and region.
    ///
    /// # Errors
    /// What is wrong with the account or the region, and when the machine has no certificates to trust.
    pub fn new(options: SecurityHubOptions) -> Result<SecurityHub, String> {
        let hub = Hub::new(&options.account, &options.region)?;
        let mut url = options.url.map_or_else(|| hub.endpoint(), Ok)?;
        url.set_path("/findings/import");
        let client = client(options.patience, &url)?;
        let credentials = Credentials::new(options.credentials, options.patience);
        Ok(SecurityHub { hub, url, credentials, client })
    }

    async fn import(&self, findings: &[Value]) -> Result<(), SendError> {
        let body = json!({"Findings": findings}).to_string();
        let credentials = self.credentials.get().await?;
        let signed = headers(&self.url, &body, &self.hub.region, credentials, Utc::now())?;
        let request = self.client.post(self.url.clone()).header(CONTENT_TYPE, JSON).headers(signed).body(body);
        let answer = Answer::to(request).await?;
        answer::outcome(&answer, findings.len(), Utc::now()).inspect_err(|error| {
            if matches!(error, SendError::Refused(_)) {
                self.credentials.refused();
            }
        })
    }
}

#[async_trait]
impl Sink for SecurityHub {
    fn kind(&self) -> &'static str {
        "security_hub"
    }

    fn growth(&self) -> Growth {
        Growth::Updates
    }

    async fn send(&self, message: &Message, _: Option<&Handle>) -> Result<Option<Handle>, SendError> {
        for some in findings(message, &self.hub, Utc::now()).chunks(MOST_FINDINGS) {
            self.import(some).await?;
        }
        Ok(None)
    }
}

impl fmt::Debug for SecurityHub {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SecurityHub").field("hub", &self.hub).field("url", &self.url.as_str()).finish_non_exhaustive()
    }
}
