//! `[reputation]`: a service that knows what others report of addresses. Off unless it has a key.

use std::time::Duration;

use dial_rules::fault::Fault;
use serde::{Deserialize, Serialize};

use super::positive;
use super::secret_place::{SecretPlace, variable};
use crate::enrich::http::checked_url;
use crate::enrich::reputation::{Key, ReputationService};

/// The longest that AbuseIPDB looks back.
const OLDEST_DAYS: u16 = 365;

/// `[reputation]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Reputation {
    /// Where it is asked: `check` of AbuseIPDB's API v2, or of a service that speaks it.
    pub(crate) url: String,
    /// Where its key lies: `env:NAME` or `file:PATH`. Without one nobody is asked.
    pub(crate) key: Option<String>,
    /// How many questions a minute, of this worker.
    pub(crate) budget_per_minute: u32,
    /// Reports of so many days count.
    pub(crate) max_age_days: u16,
    /// How many minutes an answer holds.
    pub(crate) ttl_minutes: u64,
}

impl Default for Reputation {
    fn default() -> Self {
        Reputation {
            url: "https://api.abuseipdb.com/api/v2/check".to_owned(),
            key: None,
            budget_per_minute: 30,
            max_age_days: 30,
            ttl_minutes: 360,
        }
    }
}

impl Reputation {
    pub(super) fn faults(&self) -> Vec<Fault> {
        let mut faults = positive(&[
            ("budget_per_minute", self.budget_per_minute.into()),
            ("max_age_days", self.max_age_days.into()),
            ("ttl_minutes", self.ttl_minutes),
        ]);
        if let Err(wrong) = checked_url(&self.url) {
            faults.push(Fault::new("url", wrong));
        }
        if let Some(Err(wrong)) = self.key.as_deref().map(|text| SecretPlace::parse(text, "key")) {
            faults.push(Fault::new("key", wrong));
        }
        if self.max_age_days > OLDEST_DAYS {
            faults.push(Fault::new("max_age_days", format!("is {}: write at most {OLDEST_DAYS}", self.max_age_days)));
        }
        faults
    }

    /// That the environment variable with the key is not set; a file may be there only where workers run.
    ///
    /// # Errors
    /// Names the variable.
    pub(crate) fn check_variable(&self) -> Result<(), String> {
        match &self.key {
            Some(key) if key.starts_with("env:") => self.service().map(|_| ()),
            _ => Ok(()),
        }
    }

    /// How long an answer holds.
    pub(crate) fn ttl(&self) -> Duration {
        Duration::from_secs(self.ttl_minutes.saturating_mul(60))
    }

    /// The service, with its key from where it lies; `None` when none is to be asked.
    ///
    /// # Errors
    /// Says what is wrong with the place. Never what it holds.
    pub(crate) fn service(&self) -> Result<Option<ReputationService>, String> {
        let Some(place) = &self.key else { return Ok(None) };
        let key =
            SecretPlace::parse(place, "key").and_then(|place| place.read(variable)).and_then(|text| Key::new(&text));
        Ok(Some(ReputationService {
            url: checked_url(&self.url).map_err(|wrong| format!("`reputation.url` {wrong}"))?,
            key: key.map_err(|wrong| format!("`reputation.key` {wrong}"))?,
            budget_per_minute: self.budget_per_minute,
            max_age_days: self.max_age_days,
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mistakes_are_told_and_keys_are_not() {
        let wrong = Reputation {
            url: "http://reputation.example.com/check".to_owned(),
            key: Some("s3cr3t".to_owned()),
            budget_per_minute: 0,
            max_age_days: 400,
            ttl_minutes: 0,
        };
        let faults = wrong.faults();
        let paths: Vec<&str> = faults.iter().map(|fault| fault.path.as_str()).collect();
        assert_eq!(paths, ["budget_per_minute", "ttl_minutes", "url", "key", "max_age_days"]);
        assert!(faults.iter().all(|fault| !fault.message.contains("s3cr3t")), "{faults:?}");
        assert!(wrong.service().is_err_and(|error| !error.contains("s3cr3t")));
        assert!(Reputation::default().faults().is_empty());
        assert!(Reputation::default().service().unwrap().is_none(), "off by default");
    }

    #[test]
    fn the_key_is_read_from_its_place() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        let settings = Reputation { key: Some(format!("file:{}", path.display())), ..Reputation::default() };
        assert!(settings.service().unwrap_err().contains("`reputation.key` names the file"));
        for (text, words) in [("\n", "nothing"), ("hush\nhush", "one line")] {
            std::fs::write(&path, text).unwrap();
            let error = settings.service().unwrap_err();
            assert!(error.contains(words) && !error.contains("hush"), "{error}");
        }
        std::fs::write(&path, "hush\n").unwrap();
        let service = settings.service().unwrap().unwrap();
        assert!(!format!("{service:?}").contains("hush"));
    }
}
