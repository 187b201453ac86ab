//! [`EventBridgeSink`]: a bus of Amazon EventBridge, whose rules send alerts on to whatever answers them.

mod presence;

use async_trait::async_trait;
use aws_sdk_eventbridge::Client;
use aws_sdk_eventbridge::config::Region;
use aws_sdk_eventbridge::config::retry::RetryConfig;
use aws_sdk_eventbridge::config::timeout::TimeoutConfig;
use aws_sdk_eventbridge::operation::put_events::PutEventsOutput;
use aws_sdk_eventbridge::types::PutEventsRequestEntry;

use self::presence::Presence;
use super::body::{MOST, body};
use super::sns::PATIENCE;
use crate::arn::Arn;
use crate::aws_error::{cut, of_code, send_error};
use crate::message::Message;
use crate::sink::{Growth, Handle, SendError, Sink};

/// The `source` of the events.
pub const SOURCE: &str = "dial";
/// The `detail-type` of the events.
pub const DETAIL_TYPE: &str = "DIAL Alert";

/// A bus. The event's `detail` is the alert's JSON, its `key` in it: EventBridge delivers at least once, and whoever acts on
/// alerts drops repeats by that.
#[derive(Debug)]
pub struct EventBridgeSink {
    client: Client,
    bus: Arn,
    presence: Presence,
}

impl EventBridgeSink {
    /// Puts events on the bus with this ARN, in its region, with the credentials, the endpoint and the HTTP client of `client`.
    /// Needs `events:PutEvents`; with `events:DescribeEventBus` it also notices when the bus is gone, which EventBridge does not
    /// tell whoever puts events.
    ///
    /// # Errors
    /// What to write instead, to follow the key's name.
    pub fn new(client: &Client, bus: &str) -> Result<EventBridgeSink, String> {
        let example = "arn:aws:events:eu-west-1:111122223333:event-bus/alerts";
        let bus = Arn::of_service(bus, "events", example)?;
        if !bus.resource.starts_with("event-bus/") {
            return Err(format!("is \"{bus}\", which is no bus: write an ARN such as {example}"));
        }
        let config = client.config().to_builder().region(Region::new(bus.region.clone()));
        let timeouts = TimeoutConfig::builder().operation_timeout(PATIENCE).build();
        let config = config.retry_config(RetryConfig::disabled()).timeout_config(timeouts).build();
        Ok(EventBridgeSink { client: Client::from_conf(config), bus, presence: Presence::default() })
    }
}

#[async_trait]
impl Sink for EventBridgeSink {
    fn kind(&self) -> &'static str {
        "eventbridge"
    }

    fn growth(&self) -> Growth {
        Growth::Digests
    }

    async fn send(&self, message: &Message, _: Option<&Handle>) -> Result<Option<Handle>, SendError> {
        self.presence.check(&self.client, &self.bus).await?;
        let entry = PutEventsRequestEntry::builder().event_bus_name(self.bus.to_string());
        let entry = entry.source(SOURCE).detail_type(DETAIL_TYPE).detail(body(message, MOST)).build();
        match self.client.put_events().entries(entry).send().await {
            Ok(output) => outcome(&output, &self.bus),
            Err(error) => Err(about_bus(send_error(&error), &self.bus)),
        }
    }
}

/// What became of the one entry: a call that succeeds says of each entry whether it was taken.
fn outcome(output: &PutEventsOutput, bus: &Arn) -> Result<Option<Handle>, SendError> {
    match output.entries() {
        [entry] => match (entry.event_id(), entry.error_code()) {
            (Some(_), None) if output.failed_entry_count() == 0 => Ok(None),
            (_, Some(code)) => {
                let words = cut(&format!("{code}: {}", entry.error_message().unwrap_or("no message")));
                Err(about_bus(of_code(code, &words), bus))
            }
            _ => Err(SendError::Nonsense("it says neither that it took the event nor why not".to_owned())),
        },
        entries => Err(SendError::Nonsense(format!("one event was sent, and it speaks of {}", entries.len()))),
    }
}

/// A bus that is not there is our settings' fault, not the message's.
fn about_bus(error: SendError, bus: &Arn) -> SendError {
    match error {
        SendError::Unavailable(words) if words.starts_with("ResourceNotFound") => {
            SendError::Unavailable(format!("{words}; check that the bus {bus} is there"))
        }
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use aws_sdk_eventbridge::types::PutEventsResultEntry;

    use super::*;

    fn told(failed: i32, entries: &[(Option<&str>, Option<&str>)]) -> Result<Option<Handle>, SendError> {
        let bus = "arn:aws:events:eu-west-1:111122223333:event-bus/alerts".parse().unwrap();
        let entry = |(id, code): &(Option<&str>, Option<&str>)| {
            let entry = PutEventsResultEntry::builder().set_event_id(id.map(str::to_owned));
            entry.set_error_code(code.map(str::to_owned)).error_message("words").build()
        };
        let entries = entries.iter().map(entry).collect();
        outcome(&PutEventsOutput::builder().failed_entry_count(failed).set_entries(Some(entries)).build(), &bus)
    }

    #[test]
    fn an_entry_that_failed_is_a_failure() {
        assert_eq!(told(0, &[(Some("id"), None)]), Ok(None));
        let throttled = told(1, &[(None, Some("ThrottlingException"))]);
        assert_eq!(throttled, Err(SendError::Limited { retry_after: None }));
        let failed = |code| told(1, &[(None, Some(code))]).unwrap_err();
        assert!(matches!(failed("AccessDeniedException"), SendError::Refused(_)));
        assert!(matches!(failed("MalformedDetail"), SendError::Rejected(_)));
        assert!(matches!(failed("InternalFailure"), SendError::Unavailable(_)));
        let SendError::Unavailable(words) = failed("ResourceNotFoundException") else { panic!("it may come back") };
        assert!(words.contains("event-bus/alerts is there"), "{words}");
    }

    #[test]
    fn an_answer_without_an_outcome_is_none() {
        for (failed, entries) in [(0, &[][..]), (0, &[(None, None)]), (1, &[(Some("id"), None)])] {
            assert!(matches!(told(failed, entries), Err(SendError::Nonsense(_))), "{failed} {entries:?}");
        }
    }

    #[test]
    fn a_bus_is_named_by_its_arn() {
        let client = Client::from_conf(aws_sdk_eventbridge::Config::builder().behavior_version_latest().build());
        assert!(EventBridgeSink::new(&client, "arn:aws:events:eu-west-1:111122223333:event-bus/default").is_ok());
        for wrong in ["default", "arn:aws:events:eu-west-1:111122223333:rule/x"] {
            assert!(EventBridgeSink::new(&client, wrong).unwrap_err().contains("event-bus/alerts"));
        }
    }
}
