//! `dial sinks test`.

use std::time::Duration;

use dial_sinks::message::Message;
use dial_sinks::samples::sample_at;
use dial_sinks::sink::SendError;
use serde_json::json;
use tokio::time::{Instant, timeout};

use super::no_sink;
use crate::alerting::destinations;
use crate::cli::SinksTest;
use crate::clock;
use crate::failure::{Failure, Outcome, Result};
use crate::output::{Output, plain};
use crate::settings::Settings;

/// How long a destination may take, as in the outbox.
const PATIENCE: Duration = Duration::from_secs(10);

pub(super) async fn test(args: SinksTest, settings: &Settings, output: &Output) -> Result<Outcome> {
    let name = &args.name;
    if !settings.sinks.contains_key(name) {
        return Err(Failure::Usage(no_sink(name, settings)));
    }
    // Only this one: what is wrong with others is theirs.
    let sink = destinations::open_one(settings, name).await?;
    let message = Message { is_sample: true, ..sample_at(args.sample.kind(), clock::now()) };
    let begun = Instant::now();
    let sent = timeout(PATIENCE, sink.send(&message, None)).await.unwrap_or(Err(SendError::Slow));
    let millis = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
    let error = sent.as_ref().err().map(ToString::to_string);
    let kind = sink.kind();
    if output.is_json() {
        output.json(
            &json!({"sink": name, "kind": kind, "delivered": error.is_none(), "error": error, "millis": millis}),
        )?;
    } else {
        let told = match &error {
            None => format!("{name} ({kind}) took the sample in {millis} ms: look whether it is there"),
            Some(error) => format!("{name} ({kind}) did not take the sample: {}", plain(error)),
        };
        output.line(&told)?;
    }
    Ok(if error.is_none() { Outcome::Fine } else { Outcome::Found })
}
