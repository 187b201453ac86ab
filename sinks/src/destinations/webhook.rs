//! A webhook of anybody's: JSON of our own schema, or a body that a template makes.

mod signature;
mod template;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use chrono::Utc;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};

pub use self::signature::{SIGNATURE, signature};
pub use self::template::{Template, TemplateError};

use super::Address;
use crate::http::{Answer, Clients};
use crate::message::Message;
use crate::secret::Secret;
use crate::sink::{Growth, Handle, SendError, Sink};
use crate::wire::wire;

/// The header that has the idempotency key (draft-ietf-httpapi-idempotency-key-header).
pub const IDEMPOTENCY_KEY: &str = "Idempotency-Key";

/// Where alerts are posted, and how.
#[derive(Debug)]
pub struct WebhookOptions {
    /// Where to.
    pub url: Address,
    /// How.
    pub method: WebhookMethod,
    /// Headers beside ours.
    pub headers: Vec<WebhookHeader>,
    /// What makes the body; without one it is [`wire`]'s JSON.
    pub template: Option<Template>,
    /// The key of the [`SIGNATURE`] header; without one there is none.
    pub signing: Option<Arc<dyn Secret>>,
    /// An answer that is not there by then is given up.
    pub patience: Duration,
}

/// How a body is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WebhookMethod {
    /// POST.
    Post,
    /// PUT.
    Put,
}

/// One header.
#[derive(Debug, Clone)]
pub struct WebhookHeader {
    /// Its name.
    pub name: String,
    /// What stands before the secret, such as `Bearer `, or all of the value.
    pub text: String,
    /// The rest of the value, where it is a secret.
    pub secret: Option<Arc<dyn Secret>>,
}

/// Posts alerts to one address.
#[derive(Debug)]
pub struct Webhook {
    options: WebhookOptions,
    clients: Clients,
}

/// Headers that only we set.
const OURS: [&str; 7] =
    ["host", "content-length", "transfer-encoding", "connection", "user-agent", "dial-signature", "idempotency-key"];

impl Webhook {
    /// A sink for one address.
    ///
    /// # Errors
    /// What is wrong with the headers, and when the machine has no certificates to trust.
    pub fn new(options: WebhookOptions) -> Result<Webhook, String> {
        for header in &options.headers {
            let name = HeaderName::try_from(header.name.as_str())
                .map_err(|_| format!("{:?} is no name of a header: use letters, digits and -", header.name))?;
            if OURS.contains(&name.as_str()) {
                return Err(format!("the header {name} is set by dial itself: take it out"));
            }
            if HeaderValue::try_from(header.text.as_str()).is_err() {
                return Err(format!(
                    "the header {name} has a value that no header can have: take line breaks and the like out"
                ));
            }
        }
        let clients = Clients::new(options.patience)?;
        Ok(Webhook { options, clients })
    }

    fn body(&self, message: &Message) -> Result<String, SendError> {
        match &self.options.template {
            None => Ok(wire(message).to_string()),
            Some(template) => template.render(message).map_err(|error| SendError::Rejected(error.to_string())),
        }
    }

    async fn headers(&self, message: &Message, body: &str) -> Result<HeaderMap, SendError> {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if let Some(content_type) = self.options.template.as_ref().and_then(Template::content_type) {
            headers.insert(CONTENT_TYPE, content_type.clone());
        }
        for header in &self.options.headers {
            let (name, value) = header.get().await?;
            headers.insert(name, value);
        }
        headers.insert(IDEMPOTENCY_KEY, value(&message.key, "the key")?);
        if let Some(secret) = &self.options.signing {
            let secret = secret.get().await.map_err(SendError::Unavailable)?;
            let text = signature(secret.trim(), Utc::now().timestamp(), body);
            headers.insert(SIGNATURE, value(&text, "the signature")?);
        }
        Ok(headers)
    }

    /// Some secret of it may be an old one.
    fn refused(&self) {
        self.options.url.refused();
        let of_headers = self.options.headers.iter().filter_map(|header| header.secret.as_ref());
        of_headers.chain(&self.options.signing).for_each(|secret| secret.refused());
    }
}

impl WebhookHeader {
    async fn get(&self) -> Result<(HeaderName, HeaderValue), SendError> {
        let name = HeaderName::try_from(self.name.as_str())
            .map_err(|_| SendError::Refused("a header's name is none".to_owned()))?;
        let mut text = self.text.clone();
        if let Some(secret) = &self.secret {
            text.push_str(secret.get().await.map_err(SendError::Unavailable)?.trim());
        }
        let value = value(&text, &format!("the header {name}"))?;
        Ok((name, value))
    }
}

/// A header's value that no log shows.
fn value(text: &str, what: &str) -> Result<HeaderValue, SendError> {
    let mut value =
        HeaderValue::try_from(text).map_err(|_| SendError::Refused(format!("{what} cannot be a header")))?;
    value.set_sensitive(true);
    Ok(value)
}

#[async_trait]
impl Sink for Webhook {
    fn kind(&self) -> &'static str {
        "webhook"
    }

    fn growth(&self) -> Growth {
        Growth::Digests
    }

    async fn send(&self, message: &Message, _sent: Option<&Handle>) -> Result<Option<Handle>, SendError> {
        let url = self.options.url.get().await?;
        let body = self.body(message)?;
        let headers = self.headers(message, &body).await?;
        let client = self.clients.of(&url);
        let request = match self.options.method {
            WebhookMethod::Post => client.post(url),
            WebhookMethod::Put => client.put(url),
        };
        let answer = Answer::to(request.headers(headers).body(body)).await?;
        match answer.refusal(None, Utc::now()) {
            None => Ok(None),
            Some(refusal) => {
                if matches!(refusal, SendError::Refused(_)) {
                    self.refused();
                }
                Err(refusal)
            }
        }
    }
}
