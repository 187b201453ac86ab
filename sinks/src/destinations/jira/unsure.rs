//! [`Unsure`]: issues that may have been made.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// How long Jira's search may not know what was made.
const SETTLING: Duration = Duration::from_secs(15);
/// Most threads that are kept; of more, the oldest are forgotten.
const MOST: usize = 1_000;

/// Threads whose issue was asked for, and nobody knows whether it was made: until the search must know it, another attempt
/// could make a second one. Another worker does not share this; it takes an alert up half a minute later.
#[derive(Debug, Default)]
pub(super) struct Unsure(Mutex<BTreeMap<String, Instant>>);

impl Unsure {
    /// An issue is asked for.
    pub(super) fn began(&self, thread: &str, now: Instant) {
        let mut began = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        began.retain(|_, began| now.saturating_duration_since(*began) < SETTLING);
        if began.len() >= MOST
            && let Some(oldest) = began.iter().min_by_key(|(_, began)| **began).map(|(thread, _)| thread.clone())
        {
            began.remove(&oldest);
        }
        began.insert(thread.to_owned(), now);
    }

    /// What came of it is known.
    pub(super) fn ended(&self, thread: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(thread);
    }

    /// How long the search may still not know the issue of this thread.
    pub(super) fn rest(&self, thread: &str, now: Instant) -> Option<Duration> {
        let began = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let rest = SETTLING.saturating_sub(now.saturating_duration_since(*began.get(thread)?));
        (!rest.is_zero()).then_some(rest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_unsure_is_so_for_a_while() {
        let (unsure, then) = (Unsure::default(), Instant::now());
        assert_eq!(unsure.rest("a", then), None);
        unsure.began("a", then);
        assert_eq!(unsure.rest("a", then + Duration::from_secs(5)), Some(Duration::from_secs(10)));
        assert_eq!((unsure.rest("b", then), unsure.rest("a", then + SETTLING)), (None, None));
        unsure.ended("a");
        assert_eq!(unsure.rest("a", then), None);
        for n in 0..3_000 {
            unsure.began(&n.to_string(), then + Duration::from_millis(n));
        }
        assert_eq!(unsure.0.lock().unwrap().len(), MOST);
        assert!(unsure.rest("2999", then + Duration::from_secs(3)).is_some());
    }
}
