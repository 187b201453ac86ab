//! The time, which the shell reads and the core is told.

use std::time::{SystemTime, UNIX_EPOCH};

use dial_rules::event::Millis;

/// Now, in milliseconds since 1970.
pub(crate) fn now() -> Millis {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Millis::try_from(since.as_millis()).unwrap_or(Millis::MAX)
}
