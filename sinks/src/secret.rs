//! [`Secret`]: what authenticates us at a destination, by reference. Settings name a [`SecretPlace`]; what lies there is read
//! when it is needed, so that a key that was rotated is in force without a restart. No value is in any error, log or `Debug`.

mod local;
mod manager;
mod place;

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;

pub use place::{LARGEST, LocalPlace, ManagedName, SecretPlace, Variables};

/// What authenticates us somewhere.
#[async_trait]
pub trait Secret: fmt::Debug + Send + Sync {
    /// Its value as of now, without blanks around it. Safe to drop at any point.
    ///
    /// # Errors
    /// Says which place holds none and why, never what a place holds.
    async fn get(&self) -> Result<String, String>;

    /// What it gave was refused: it is fetched anew before it is used again, as far as that makes sense.
    fn refused(&self);
}

/// The secret that lies at a place. `client` is asked for those in AWS Secrets Manager, in the region of a secret's ARN where
/// it has one; use one HTTP client for all. `variables` is the environment, for those that lie there.
pub fn open(place: SecretPlace, client: &aws_sdk_secretsmanager::Client, variables: Variables) -> Arc<dyn Secret> {
    match place {
        SecretPlace::Local(place) => Arc::new(local::Local::new(place, variables)),
        SecretPlace::SecretsManager(name) => Arc::new(manager::Managed::new(name, client)),
    }
}

/// A secret that is known, for tests.
pub struct Fixed(pub String);

#[async_trait]
impl Secret for Fixed {
    async fn get(&self) -> Result<String, String> {
        Ok(self.0.clone())
    }

    fn refused(&self) {}
}

impl fmt::Debug for Fixed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Fixed")
    }
}
