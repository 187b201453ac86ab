//! [`Address`]: where a sink sends to, which may be a secret itself.

use std::fmt;
use std::sync::Arc;

use reqwest::Url;

use crate::http::checked_secret_url;
use crate::secret::Secret;
use crate::sink::SendError;

/// Where a sink sends to.
#[derive(Clone)]
pub enum Address {
    /// An address that anybody may know; [`checked_url`](crate::http::checked_url) lets it through.
    Known(Url),
    /// An address that lets in whoever knows it, such as that of a Slack webhook.
    Secret(Arc<dyn Secret>),
}

impl Address {
    /// The address as of now.
    ///
    /// # Errors
    /// [`SendError::Unavailable`] when the secret cannot be had, [`SendError::Refused`] when it is no address.
    pub(crate) async fn get(&self) -> Result<Url, SendError> {
        match self {
            Address::Known(url) => Ok(url.clone()),
            Address::Secret(secret) => {
                let text = secret.get().await.map_err(SendError::Unavailable)?;
                checked_secret_url(&text).map_err(SendError::Refused)
            }
        }
    }

    /// It was refused: a secret one is fetched anew next time.
    pub(crate) fn refused(&self) {
        if let Address::Secret(secret) = self {
            secret.refused();
        }
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            // A path or a query may hold a token all the same.
            Address::Known(url) => write!(f, "{}://{}/…", url.scheme(), url.host_str().unwrap_or_default()),
            Address::Secret(secret) => secret.fmt(f),
        }
    }
}
