//! [`Secret`]: a key or token that a sink needs, wherever it is kept.

use std::fmt::Debug;

use async_trait::async_trait;

/// A key or token. Nobody keeps what [`Secret::get`] gave for longer than one request.
#[async_trait]
pub trait Secret: Debug + Send + Sync {
    /// Its value, as of now or a short while ago.
    ///
    /// # Errors
    /// Why it cannot be had. The text names the place, never the value.
    async fn get(&self) -> Result<String, String>;

    /// What it gave was refused: it is fetched anew next time.
    fn refused(&self);
}

/// A value that is known from the start, for tests.
pub struct Fixed(pub String);

impl Debug for Fixed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Fixed(…)")
    }
}

#[async_trait]
impl Secret for Fixed {
    async fn get(&self) -> Result<String, String> {
        Ok(self.0.clone())
    }

    fn refused(&self) {}
}
