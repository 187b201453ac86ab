//! `dial shards list`, `plan` and `scale`.

mod list;
mod plan;
mod scale;

use std::time::{SystemTime, UNIX_EPOCH};

use dial_ingest::{ErrorKind, PortError};

use crate::cli::Shards;
use crate::failure::{Failure, Outcome, Result};
use crate::output::Output;
use crate::settings::Settings;
use crate::shards::admin::{AdminError, StreamAdmin};

pub(crate) async fn run(command: Shards, settings: &Settings, output: &Output) -> Result<Outcome> {
    match command {
        Shards::List(args) => list::list(args, settings, output).await,
        Shards::Plan(args) => plan::plan(args, settings, output).await,
        Shards::Scale(args) => scale::scale(args, settings, output).await,
    }
}

/// The stream of the settings.
fn stream_name(settings: &Settings) -> Result<&str> {
    settings.stream.name.as_deref().ok_or_else(|| {
        Failure::Usage(
            "no stream is set: write its name into dial.toml as `name` under [stream], or into DIAL_STREAM__NAME"
                .to_owned(),
        )
    })
}

/// The time, in milliseconds since the Unix epoch.
fn now() -> i64 {
    let epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(epoch.as_millis()).unwrap_or(i64::MAX)
}

/// What a stream that cannot be listed means to the user.
fn unlisted(stream: &str, error: &PortError) -> Failure {
    if error.kind == ErrorKind::NotFound { missing(stream, &error.message) } else { Failure::outside(stream, error) }
}

/// What a stream that cannot be described means to the user.
fn undescribed(stream: &str, error: &AdminError) -> Failure {
    match error.message.contains("ResourceNotFoundException") {
        true => missing(stream, &error.message),
        false => Failure::outside(stream, error),
    }
}

fn missing(stream: &str, words: &str) -> Failure {
    Failure::Outside(format!(
        "there is no stream {stream} in this account and region ({words}): create it, for example by `aws kinesis \
         create-stream --stream-name {stream} --shard-count 2`, or correct `stream.name`"
    ))
}

/// How many more shards the account may open, where that can be known.
async fn account_room(admin: &dyn StreamAdmin) -> Option<u32> {
    match admin.account_room().await {
        Ok(room) => Some(room),
        Err(error) => {
            tracing::warn!(%error, "it is not known how many shards the account may open");
            None
        }
    }
}

/// When the number of shards was changed, where that can be known.
async fn history(admin: &dyn StreamAdmin) -> Option<Vec<i64>> {
    match admin.history().await {
        Ok(history) => Some(history),
        Err(error) => {
            tracing::warn!(%error, "it is not known how often the number of shards was changed today");
            None
        }
    }
}

/// What is left of a day's calls, for people.
fn calls_line(left: u32, allowed: u32, known: bool) -> String {
    match known {
        true => format!(
            "{left} of the {allowed} changes that Kinesis takes in 24 hours are left, if only this command makes them"
        ),
        false => format!("how many of the {allowed} changes that Kinesis takes in 24 hours are left is unknown"),
    }
}
