//! [`Kept`]: connections that are kept for the next message.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::wires::Wire;

/// Most connections that are kept open.
const MOST: usize = 4;
/// How long a connection is used from when it was opened. Where the receiver is gone and nobody says so, as when its power
/// fails, what is written to it still seems to arrive, for a quarter of an hour by TCP's own patience: opening a connection
/// anew finds out.
const LIFETIME: Duration = Duration::from_secs(60);

/// Connections that are open as far as anybody knows, each with when it was opened.
#[derive(Debug, Default)]
pub(super) struct Kept(Mutex<Vec<(Wire, Instant)>>);

impl Kept {
    /// One that is young enough; those that are not are dropped.
    pub(super) fn take(&self, now: Instant) -> Option<(Wire, Instant)> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.retain(|(_, opened)| now.saturating_duration_since(*opened) < LIFETIME);
        kept.pop()
    }

    pub(super) fn put(&self, wire: Wire, opened: Instant) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() < MOST {
            kept.push((wire, opened));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wire() -> Wire {
        Box::new(tokio::io::duplex(1).0)
    }

    #[test]
    fn a_connection_is_not_used_for_long() {
        let (kept, then) = (Kept::default(), Instant::now());
        let second = Duration::from_secs(1);
        kept.put(wire(), then);
        // However often it was used meanwhile.
        for after in [0, 20, 40, 59] {
            let (wire, opened) = kept.take(then + second * after).unwrap();
            assert_eq!(opened, then);
            kept.put(wire, opened);
        }
        assert!(kept.take(then + LIFETIME).is_none());
        assert!(kept.take(then).is_none(), "it was dropped");
    }

    #[test]
    fn few_are_kept() {
        let (kept, now) = (Kept::default(), Instant::now());
        (0..10).for_each(|_| kept.put(wire(), now));
        assert_eq!(std::iter::from_fn(|| kept.take(now)).count(), MOST);
    }
}
