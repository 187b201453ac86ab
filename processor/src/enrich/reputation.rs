//! [`AbuseIpdb`]: what others report of an address, by AbuseIPDB's API v2 or whatever speaks it.

use std::collections::HashMap;
use std::fmt;
use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use chrono::Utc;
use dial_rules::context::Reputation;
use futures::StreamExt;
use reqwest::header::{ACCEPT, HeaderValue};
use reqwest::{Client, StatusCode, Url};
use serde::Deserialize;
use tokio::time::Instant;

use super::budget::Budget;
use super::http;
use super::source::{Fault, Loaded, Source};

/// An answer that is not there by then is given up.
const PATIENCE: Duration = Duration::from_secs(5);
/// After so long no further question of a batch is begun: what was answered is to be of use.
const BATCH: Duration = Duration::from_secs(15);
/// How many questions are under way at a time.
const AT_A_TIME: usize = 4;
/// After so many answers in a row that make no sense it is the service that makes none, and not what was asked.
const ODD_IN_A_ROW: usize = 3;
/// The most bytes of an answer: it is a few hundred, with `verbose` more.
const LARGEST: usize = 64 * 1024;
/// The most characters kept of a text in an answer.
const LONGEST_TEXT: usize = 200;

/// What is needed to ask.
#[derive(Debug, Clone)]
pub(crate) struct ReputationService {
    /// Where: `https://api.abuseipdb.com/api/v2/check`.
    pub(crate) url: Url,
    /// The key of the header `Key`.
    pub(crate) key: Key,
    /// How many questions a minute.
    pub(crate) budget_per_minute: u32,
    /// Reports of so many days count.
    pub(crate) max_age_days: u16,
}

/// A secret that is never printed.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Key(HeaderValue);

impl Key {
    /// A key as it is sent.
    ///
    /// # Errors
    /// When no header can hold it. Never says what it is.
    pub(crate) fn new(text: &str) -> Result<Key, String> {
        let mut value = HeaderValue::from_str(text.trim())
            .map_err(|_| "holds characters that no key has: it should be one line of letters and digits".to_owned())?;
        value.set_sensitive(true);
        Ok(Key(value))
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(…)")
    }
}

/// The service as a source.
#[derive(Debug)]
pub(crate) struct AbuseIpdb {
    service: ReputationService,
    client: Client,
    budget: Mutex<Budget>,
    /// Answers without sense since the last one with.
    odd: AtomicUsize,
}

impl AbuseIpdb {
    /// Nothing is asked yet.
    ///
    /// # Errors
    /// When no HTTPS client can be made on this machine.
    pub(crate) fn new(service: ReputationService) -> Result<AbuseIpdb, String> {
        let budget = Mutex::new(Budget::new(service.budget_per_minute, Instant::now()));
        let client = http::client(PATIENCE, &service.url)?;
        Ok(AbuseIpdb { service, client, budget, odd: AtomicUsize::new(0) })
    }

    async fn ask(&self, address: IpAddr) -> Result<Option<Reputation>, Fault> {
        let mut url = self.service.url.clone();
        url.query_pairs_mut()
            .append_pair("ipAddress", &address.to_string())
            .append_pair("maxAgeInDays", &self.service.max_age_days.to_string());
        let request = self.client.get(url).header("Key", self.service.key.0.clone()).header(ACCEPT, "application/json");
        let response = request.send().await.map_err(http::fault)?;
        // Of an address that it does not take it knows nothing.
        if response.status() == StatusCode::UNPROCESSABLE_ENTITY {
            return Ok(None);
        }
        if let Some(fault) = http::refusal(response.status(), response.headers(), Utc::now()) {
            return Err(match fault {
                Fault::Refused(status) => {
                    Fault::Refused(format!("{status}: see that `reputation.key` names a key that is valid"))
                }
                // About this address: others may be taken.
                Fault::Nonsense(status) if response.status().is_client_error() => Fault::Odd(status),
                fault => fault,
            });
        }
        let odd = |fault| match fault {
            Fault::Nonsense(why) => Fault::Odd(why),
            fault => fault,
        };
        let body = http::body(response, LARGEST).await.map_err(odd)?;
        parse(&body, address).map(Some).map_err(Fault::Odd)
    }

    /// Takes an answer for one address, or says what is wrong with the service: then the others would fare no better.
    fn judge(&self, answer: Result<Option<Reputation>, Fault>) -> Result<Result<Option<Reputation>, Fault>, Fault> {
        match answer {
            Ok(answer) => {
                self.odd.store(0, Ordering::Relaxed);
                Ok(Ok(answer))
            }
            Err(Fault::Odd(why)) if self.odd.fetch_add(1, Ordering::Relaxed) + 1 >= ODD_IN_A_ROW => {
                Err(Fault::Nonsense(why))
            }
            Err(fault @ Fault::Odd(_)) => Ok(Err(fault)),
            Err(fault) => Err(fault),
        }
    }
}

#[async_trait]
impl Source for AbuseIpdb {
    type Key = IpAddr;
    type Value = Reputation;

    fn part(&self) -> &'static str {
        "reputation"
    }

    fn weight(&self, key: &IpAddr, value: Option<&Reputation>) -> usize {
        let text = |text: &Option<String>| text.as_ref().map_or(0, String::len);
        size_of_val(key) + size_of::<Reputation>() + value.map_or(0, |value| text(&value.usage_type) + text(&value.isp))
    }

    async fn load(&self, mut keys: Vec<IpAddr>) -> Loaded<IpAddr, Reputation> {
        let begun = Instant::now();
        let granted = self.budget.lock().unwrap_or_else(PoisonError::into_inner).take(keys.len(), begun);
        let mut fault = (granted < keys.len()).then_some(Fault::OverBudget);
        keys.truncate(granted);
        let mut answers = HashMap::with_capacity(granted);
        let asking = futures::stream::iter(keys)
            .take_while(|_| futures::future::ready(begun.elapsed() < BATCH))
            .map(async |address| (address, self.ask(address).await));
        let mut asking = std::pin::pin!(asking.buffer_unordered(AT_A_TIME));
        while let Some((address, answer)) = asking.next().await {
            match self.judge(answer) {
                Ok(Ok(answer)) => drop(answers.insert(address, answer)),
                Ok(Err(odd)) => fault = fault.or(Some(odd)),
                Err(failed) => {
                    fault = Some(failed);
                    break;
                }
            }
        }
        if answers.len() < granted {
            fault = fault.or(Some(Fault::Slow));
        }
        Loaded { answers, fault }
    }
}

/// The answer about an address.
fn parse(body: &[u8], asked: IpAddr) -> Result<Reputation, String> {
    #[derive(Deserialize)]
    struct Answer {
        data: Data,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Data {
        ip_address: Option<String>,
        abuse_confidence_score: u8,
        total_reports: u64,
        usage_type: Option<String>,
        isp: Option<String>,
    }
    let Answer { data } = serde_json::from_slice(body).map_err(|error| {
        let at = format!("line {}, column {}", error.line(), error.column());
        format!("it is not what API v2 answers, by {at}")
    })?;
    let about = data.ip_address.map(|text| text.parse::<IpAddr>());
    if about.is_some_and(|about| about.ok().map(|about| about.to_canonical()) != Some(asked.to_canonical())) {
        return Err("it is about another address".to_owned());
    }
    if data.abuse_confidence_score > 100 {
        return Err(format!("a confidence of {} in 100", data.abuse_confidence_score));
    }
    Ok(Reputation {
        abuse_confidence_score: data.abuse_confidence_score,
        total_reports: data.total_reports,
        usage_type: data.usage_type.map(short).filter(|text| !text.is_empty()),
        isp: data.isp.map(short).filter(|text| !text.is_empty()),
    })
}

fn short(text: String) -> String {
    text.chars().filter(|c| !c.is_control()).take(LONGEST_TEXT).collect::<String>().trim().to_owned()
}

#[cfg(test)]
#[path = "reputation_tests.rs"]
mod tests;
