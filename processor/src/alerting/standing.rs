//! [`Standing`]: how far a finding is on its way to a sink, for whoever looks at it.

use dial_rules::event::{Millis, rfc3339};
use dial_sinks::archive::ARCHIVE;
use dial_sinks::outbox::alert::Alert;
use dial_sinks::outbox::dead::DeadAlert;
use dial_sinks::outbox::store::{Outbox, Owed, Progress};
use dial_sinks::store::StoreError;
use serde::Serialize;

/// Most dead letters that are looked through for a finding.
const MOST_DEAD: usize = 2_000;

/// How far a finding is on its way to a sink. As JSON an entry of `alerts`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Standing {
    /// The sink's name; `None` while it is not decided where the finding goes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) sink: Option<String>,
    #[serde(flatten)]
    pub(crate) state: State,
}

/// As [`Standing`], without the sink.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub(crate) enum State {
    /// It is recorded, or has grown, and a worker has yet to see which sinks are told.
    Owed {
        /// From when on any worker may.
        #[serde(with = "time")]
        since: Millis,
    },
    /// It waits: for its turn, to update a message, or for the digest.
    Waiting {
        /// Until then at least; `None` when somebody is about to send it.
        #[serde(with = "time::option", skip_serializing_if = "Option::is_none")]
        until: Option<Millis>,
    },
    /// It is being sent for the first time.
    Sending,
    /// It could not be sent yet.
    Failing {
        #[serde(with = "time")]
        since: Millis,
        attempts: u32,
        error: Option<String>,
        /// When it is tried again.
        #[serde(with = "time")]
        again: Millis,
    },
    /// The sink took it.
    Delivered {
        #[serde(with = "time")]
        at: Millis,
    },
    /// It was tried for a day, and is a dead letter.
    GivenUp {
        #[serde(with = "time")]
        at: Millis,
        error: Option<String>,
        /// The dead letter's key.
        key: String,
    },
    /// It joined an alert of which nothing is left.
    Unknown,
}

/// How far a finding is on its way to each sink that it goes to, by their names, and first of all whether a worker has yet to
/// see which these are. Nothing of one that nobody is told of; that it is archived is no news.
///
/// # Errors
/// When the store cannot be read.
pub(crate) async fn standings(store: &dyn Outbox, finding_id: &str) -> Result<Vec<Standing>, StoreError> {
    let Some(owed) = store.owed(&[finding_id.to_owned()]).await?.pop() else { return Ok(Vec::new()) };
    let since = owed.due.map(|since| Standing { sink: None, state: State::Owed { since } });
    let mut standings: Vec<Standing> = since.into_iter().collect();
    for (sink, progress) in owed.progress.iter().filter(|(sink, _)| *sink != ARCHIVE) {
        let row = store.rows(std::slice::from_ref(&progress.alert)).await?.pop();
        let until = row.as_ref().and_then(|row| row.due).map(|(_, at)| at);
        let alert = row.and_then(|row| serde_json::from_str::<Alert>(&row.body).ok());
        let state = match state(&owed, progress, alert.as_ref(), until) {
            Some(state) => state,
            None => given_up(store, sink, finding_id).await?.unwrap_or(State::Unknown),
        };
        standings.push(Standing { sink: Some(sink.clone()), state });
    }
    Ok(standings)
}

/// What the finding and the alert that it joined say; `None` when they do not know what became of it. What is on its way
/// comes before what arrived.
fn state(owed: &Owed, progress: &Progress, alert: Option<&Alert>, until: Option<Millis>) -> Option<State> {
    let id = &owed.finding.finding_id;
    if let Some(alert) = alert {
        let sending = alert.sending.as_ref().filter(|delivery| delivery.findings.contains_key(id));
        if let Some(delivery) = sending {
            return Some(match delivery.failing_since {
                Some(since) => State::Failing {
                    since,
                    attempts: delivery.attempts,
                    error: delivery.last_error.clone(),
                    again: delivery.not_before,
                },
                None => State::Sending,
            });
        }
        if alert.waiting.contains_key(id) {
            return Some(State::Waiting { until });
        }
    }
    // The alert knows before the finding does.
    let told = alert.filter(|alert| alert.recent.get(id).is_some_and(|version| *version >= progress.version));
    let at = progress.delivered.or_else(|| told?.last_sent);
    at.map(|at| State::Delivered { at })
}

/// Of one that left its alert and did not arrive.
async fn given_up(store: &dyn Outbox, sink: &str, finding_id: &str) -> Result<Option<State>, StoreError> {
    let dead = DeadAlert::list(store, MOST_DEAD).await?;
    let names = |dead: &DeadAlert| dead.sink == sink && dead.delivery.findings.contains_key(finding_id);
    Ok(dead.into_iter().rev().find(names).map(|dead| State::GivenUp {
        at: dead.given_up,
        error: dead.delivery.last_error,
        key: dead.delivery.key,
    }))
}

impl Standing {
    /// In words: `soc  2026-05-01 12:03:04`. `clock` writes times.
    pub(crate) fn words(&self, clock: fn(Millis) -> String) -> String {
        let error = |error: &Option<String>| error.as_ref().map(|error| format!(": {error}")).unwrap_or_default();
        let state = match &self.state {
            State::Owed { .. } => return "not yet, or not of all: a worker has yet to take it up".to_owned(),
            State::Waiting { until } => {
                let until = until.map(|until| format!(" until {}", clock(until))).unwrap_or_default();
                format!("waits{until}")
            }
            State::Sending => "is being sent".to_owned(),
            State::Failing { since, attempts, error: text, again } => {
                let again = clock(*again);
                format!("failing since {}, {attempts} attempts, again at {again}{}", clock(*since), error(text))
            }
            State::Delivered { at } => clock(*at),
            State::GivenUp { at, error: text, key } => {
                format!("given up {}{}; see `dial dead-letters show {key}`", clock(*at), error(text))
            }
            State::Unknown => "is not known: its alert is gone".to_owned(),
        };
        format!("{}  {state}", self.sink.as_deref().unwrap_or_default())
    }
}

/// Times as RFC 3339 writes them.
mod time {
    use serde::Serializer;

    use super::{Millis, rfc3339};

    pub(super) fn serialize<S: Serializer>(time: &Millis, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&rfc3339(*time))
    }

    pub(super) mod option {
        use super::{Millis, Serializer, rfc3339};

        pub(in super::super) fn serialize<S: Serializer>(
            time: &Option<Millis>,
            serializer: S,
        ) -> Result<S::Ok, S::Error> {
            match time {
                Some(time) => serializer.serialize_str(&rfc3339(*time)),
                None => serializer.serialize_none(),
            }
        }
    }
}

#[cfg(test)]
#[path = "standing_tests.rs"]
mod tests;
