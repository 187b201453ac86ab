//! [`Alert`]: findings of one group on their way to one sink. Pure: `now` and chance are arguments.

use std::collections::BTreeMap;

use dial_rules::event::Millis;
use serde::{Deserialize, Serialize};

use crate::sink::Handle;

/// Findings of one group on their way to one sink: the state of a row of the outbox.
///
/// The first finding leaves at once. What joins later waits until the destination's message may be updated, or for the
/// digest. What is being sent is fixed until it is confirmed, so that every attempt of a delivery says the same under one
/// key, and a receiver that drops repeats loses nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alert {
    /// The name of the sink in the settings.
    pub sink: String,
    /// What its findings have in common.
    pub group: Group,
    /// Counts how often the group became quiet and was alerted anew.
    pub generation: u64,
    /// When the first finding of this generation joined.
    pub opened: Millis,
    /// Finding and version of those that joined since the last delivery was fixed.
    pub waiting: BTreeMap<String, u64>,
    /// What is being delivered.
    pub sending: Option<Delivery>,
    /// Deliveries of this generation that were confirmed.
    pub deliveries: u64,
    /// Findings of this generation that were told, each counted once.
    pub told: u64,
    /// When the last delivery was confirmed.
    pub last_sent: Option<Millis>,
    /// What the destination calls the message that is updated.
    pub handle: Option<Handle>,
}

/// What the findings of an alert have in common.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(tag = "by", rename_all = "lowercase")]
pub enum Group {
    /// Repeats of one rule, by what the rule says repeats have in common: without another word its actor and account.
    Repeats {
        /// The rule.
        rule_id: String,
        /// Name and value of what they have in common.
        of: BTreeMap<String, String>,
    },
    /// Correlated findings that tell of one thing.
    Incident {
        /// The incident's name.
        id: String,
    },
    /// More findings of one rule than anybody reads.
    Storm {
        /// The rule.
        rule_id: String,
    },
}

/// One delivery of an alert: what it names is fixed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delivery {
    /// The idempotency key, the same for every attempt.
    pub key: String,
    /// The findings it names, and of which version each.
    pub findings: BTreeMap<String, u64>,
    /// Who attempts it, and until when nobody else may.
    pub claim: Option<Claim>,
    /// Attempts that failed.
    pub attempts: u32,
    /// When the first of them failed.
    pub failing_since: Option<Millis>,
    /// Not to be attempted before.
    pub not_before: Millis,
    /// What the last one failed with.
    pub last_error: Option<String>,
}

/// A worker's right to attempt a delivery.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claim {
    /// The worker.
    pub worker: String,
    /// When the right ends.
    pub until: Millis,
}
