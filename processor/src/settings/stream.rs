//! `[stream]`: the Kinesis stream.

use dial_ingest::Read;
use dial_rules::fault::Fault;
use serde::{Deserialize, Serialize};

use super::aws_name;

/// `[stream]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Stream {
    /// Its name; without one `run` works locally.
    pub(crate) name: Option<String>,
    /// Where an application that has no checkpoints yet begins.
    pub(crate) initial_position: Initial,
    /// How the detect role reads it. The archive role polls: it can wait.
    pub(crate) read: ReadBy,
    /// With fan-out, the consumer's name, the same for all workers of one application.
    pub(crate) consumer: String,
}

/// `stream.read`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum ReadBy {
    /// By asking, several times a second.
    #[default]
    Polling,
    /// By enhanced fan-out: the stream pushes, at a price.
    FanOut,
}

/// `stream.initial_position`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Initial {
    /// At the oldest record that the stream still has.
    #[default]
    TrimHorizon,
    /// At what arrives from now on.
    Latest,
}

impl Default for Stream {
    fn default() -> Self {
        Stream {
            name: None,
            initial_position: Initial::default(),
            read: ReadBy::default(),
            consumer: "dial-detect".to_owned(),
        }
    }
}

impl Stream {
    /// How the detect role reads the stream.
    pub(crate) fn detect_read(&self) -> Read {
        match self.read {
            ReadBy::Polling => Read::Polling,
            ReadBy::FanOut => Read::FanOut { consumer_name: self.consumer.clone() },
        }
    }

    pub(super) fn faults(&self) -> Vec<Fault> {
        let names = [("name", self.name.as_deref()), ("consumer", Some(self.consumer.as_str()))];
        let wrong = names.into_iter().filter(|(_, name)| name.is_some_and(|name| !aws_name::is_valid(name)));
        wrong.map(|(key, _)| Fault::new(key, aws_name::WRONG)).collect()
    }
}
