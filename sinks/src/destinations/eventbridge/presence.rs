//! [`Presence`]: whether a bus is there. EventBridge accepts events for a bus that is not there, says that all is well and
//! drops them, so it is asked now and then.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use aws_sdk_eventbridge::Client;
use aws_sdk_eventbridge::error::SdkError;
use aws_sdk_eventbridge::operation::describe_event_bus::{DescribeEventBusError, DescribeEventBusOutput};
use tokio::time::Instant;

use crate::arn::Arn;
use crate::aws_error::{send_error, words};
use crate::sink::SendError;

/// How long an answer holds.
const HOLDS: Duration = Duration::from_mins(5);

/// When it was last known that events are not lost, as far as that can be known.
#[derive(Debug, Default)]
pub(super) struct Presence {
    known: Mutex<Option<Instant>>,
}

/// What was learnt of a bus.
#[derive(Debug, PartialEq, Eq)]
enum Found {
    There,
    Missing,
    /// It is another account's, or we may not ask.
    Unknown(String),
}

impl Presence {
    /// Fails if the bus is known not to be there, or if nobody can be reached.
    pub(super) async fn check(&self, client: &Client, bus: &Arn) -> Result<(), SendError> {
        let known = *self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.is_some_and(|known| known.elapsed() < HOLDS) {
            return Ok(());
        }
        match look(client, bus).await? {
            Found::There => {}
            Found::Missing => {
                return Err(SendError::Unavailable(format!(
                    "there is no bus {bus}, and EventBridge would drop the alert: create it, or correct the setting"
                )));
            }
            Found::Unknown(why) => tracing::debug!(%bus, why, "whether the bus is there is not known"),
        }
        *self.known.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
        Ok(())
    }
}

async fn look(client: &Client, bus: &Arn) -> Result<Found, SendError> {
    let name = bus.resource.strip_prefix("event-bus/").unwrap_or(&bus.resource);
    let named = answered(client.describe_event_bus().name(name).send().await)?;
    if named.as_ref().is_ok_and(|arn| *arn == bus.to_string()) {
        return Ok(Found::There);
    }
    if let Err(why @ Reason::Other(_)) = named {
        return Ok(Found::Unknown(why.words()));
    }
    // Every account has a default bus, which says whose account is asked.
    match answered(client.describe_event_bus().name("default").send().await)? {
        Ok(arn) if arn.parse::<Arn>().is_ok_and(|own| own.account == bus.account) => Ok(Found::Missing),
        Ok(_) => Ok(Found::Unknown("it is another account's".to_owned())),
        Err(why) => Ok(Found::Unknown(why.words())),
    }
}

/// Why a service did not describe a bus.
enum Reason {
    NotFound,
    Other(String),
}

impl Reason {
    fn words(self) -> String {
        match self {
            Reason::NotFound => "it is not found".to_owned(),
            Reason::Other(words) => words,
        }
    }
}

/// The ARN that the service says, or why it says none; an error where it cannot be asked at all.
fn answered(
    answer: Result<DescribeEventBusOutput, SdkError<DescribeEventBusError>>,
) -> Result<Result<String, Reason>, SendError> {
    match answer {
        Ok(output) => Ok(output.arn.ok_or_else(|| Reason::Other("it says no ARN".to_owned()))),
        Err(error) => match error.as_service_error() {
            Some(DescribeEventBusError::ResourceNotFoundException(_)) => Ok(Err(Reason::NotFound)),
            Some(_) => Ok(Err(Reason::Other(words(&error)))),
            None => Err(send_error(&error)),
        },
    }
}
