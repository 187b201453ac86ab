//! [`Managed`]: a secret of AWS Secrets Manager. It is asked seldom: what it gave holds for [`HOLDS`], and for as long as AWS
//! cannot be asked; what was refused is fetched anew, at most every [`PAUSE`].

use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use aws_sdk_secretsmanager::Client;
use aws_sdk_secretsmanager::config::Region;
use serde_json::Value;
use tokio::time::Instant;

use super::{ManagedName, Secret};
use crate::aws_error::words;

/// How long a value holds.
const HOLDS: Duration = Duration::from_mins(5);
/// Between two calls, once there is a value.
const PAUSE: Duration = Duration::from_secs(30);
/// Between two calls while there is none: whoever waits for it is served by one call.
const IMPATIENT: Duration = Duration::from_secs(1);
/// The longest that a call takes.
const PATIENCE: Duration = Duration::from_secs(10);

/// What is asked: AWS, or a test.
#[async_trait]
pub(super) trait Vault: Send + Sync {
    /// The text that is stored.
    async fn fetch(&self, id: &str) -> Result<String, String>;
}

#[async_trait]
impl Vault for Client {
    async fn fetch(&self, id: &str) -> Result<String, String> {
        let call = self.get_secret_value().secret_id(id).send();
        let Ok(answer) = tokio::time::timeout(PATIENCE, call).await else {
            return Err(format!("no answer within {} s", PATIENCE.as_secs()));
        };
        match answer {
            Ok(output) => output.secret_string.ok_or_else(|| "it is stored as bytes: store it as text".to_owned()),
            Err(error) => Err(words(&error)),
        }
    }
}

/// A secret of AWS Secrets Manager.
pub(super) struct Managed<V> {
    name: ManagedName,
    vault: V,
    known: Mutex<Known>,
    /// Held by whoever asks; the others wait and use what it got.
    turn: tokio::sync::Mutex<()>,
}

/// What is known of it.
#[derive(Default)]
struct Known {
    value: Option<String>,
    fetched: Option<Instant>,
    asked: Option<Instant>,
    is_refused: bool,
    failure: Option<String>,
}

impl Known {
    /// Whether it is to be fetched at `now`.
    fn is_due(&self, now: Instant) -> bool {
        let since = |time: Option<Instant>| time.map_or(Duration::MAX, |time| now.saturating_duration_since(time));
        match (&self.value, &self.failure) {
            (Some(_), _) => (self.is_refused || since(self.fetched) >= HOLDS) && since(self.asked) >= PAUSE,
            (None, Some(_)) => since(self.asked) >= IMPATIENT,
            (None, None) => true,
        }
    }

    /// What it is at `now`, unless it is to be fetched first.
    fn answer(&self, now: Instant) -> Option<Result<String, String>> {
        match (&self.value, &self.failure) {
            _ if self.is_due(now) => None,
            (Some(value), _) => Some(Ok(value.clone())),
            (None, failure) => failure.clone().map(Err),
        }
    }

    /// Takes what a call gave.
    fn learn(&mut self, now: Instant, outcome: Result<String, String>) {
        match outcome {
            Ok(value) => {
                (self.value, self.failure) = (Some(value), None);
                (self.fetched, self.is_refused) = (Some(now), false);
            }
            Err(failure) => self.failure = Some(failure),
        }
    }
}

impl Managed<Client> {
    pub(super) fn new(name: ManagedName, client: &Client) -> Self {
        let client = match name.region() {
            Some(region) => {
                Client::from_conf(client.config().to_builder().region(Region::new(region.to_owned())).build())
            }
            None => client.clone(),
        };
        Managed::over(name, client)
    }
}

impl<V: Vault> Managed<V> {
    fn over(name: ManagedName, vault: V) -> Self {
        Self { name, vault, known: Mutex::default(), turn: tokio::sync::Mutex::default() }
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn fetch(&self) -> Result<String, String> {
        let text = self.vault.fetch(&self.name.id).await?;
        let text = match &self.name.key {
            Some(key) => of_object(&text, key)?,
            None => text,
        };
        match text.trim() {
            "" => Err("there is nothing: put the secret there".to_owned()),
            secret => Ok(secret.to_owned()),
        }
    }
}

/// The text at a key of a JSON object. No message repeats any of it.
fn of_object(text: &str, key: &str) -> Result<String, String> {
    match serde_json::from_str(text) {
        Ok(Value::Object(object)) => match object.get(key) {
            Some(Value::String(value)) => Ok(value.clone()),
            Some(_) => Err(format!("its key {key:?} holds no text")),
            None => Err(format!("it has no key {key:?}")),
        },
        _ => Err(format!("it is no JSON object, so it has no key {key:?}: store one, or leave `#` and the key away")),
    }
}

#[async_trait]
impl<V: Vault> Secret for Managed<V> {
    async fn get(&self) -> Result<String, String> {
        let known = self.known().answer(Instant::now());
        if let Some(answer) = known {
            return answer;
        }
        let _turn = self.turn.lock().await;
        // Whoever had the turn before has perhaps fetched it.
        let known = self.known().answer(Instant::now());
        if let Some(answer) = known {
            return answer;
        }
        self.known().asked = Some(Instant::now());
        let outcome = self.fetch().await.map_err(|why| format!("its secret {} is not to be had: {why}", self.name));
        let mut known = self.known();
        if let (Err(why), Some(_)) = (&outcome, &known.value) {
            tracing::warn!("{why}; what was known of it is used on");
        }
        known.learn(Instant::now(), outcome.clone());
        known.value.clone().map_or(outcome, Ok)
    }

    fn refused(&self) {
        self.known().is_refused = true;
    }
}

impl<V> fmt::Debug for Managed<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Managed").field("place", &self.name.to_string()).finish_non_exhaustive()
    }
}

#[cfg(test)]
#[path = "manager_tests.rs"]
mod tests;
