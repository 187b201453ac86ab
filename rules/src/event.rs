//! [`Event`]: one CloudTrail record, GuardDuty finding or Security Hub finding, as bytes with an index of its members.

use std::borrow::Cow;

use bytes::Bytes;
use chrono::{DateTime, NaiveDate, SecondsFormat};

use crate::json;
use crate::members::Spans;

/// Milliseconds since the Unix epoch, UTC.
pub type Millis = i64;

/// Whose record an event is; a Sigma rule's `logsource.service` names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum EventKind {
    /// A CloudTrail record: API call, console sign-in, service event, console action or insight.
    CloudTrail,
    /// A GuardDuty finding, in the camel-case spelling of EventBridge and of GuardDuty's exports.
    GuardDuty,
    /// A Security Hub finding in the AWS Security Finding Format.
    SecurityHub,
}

impl EventKind {
    /// Every kind.
    pub const ALL: [EventKind; 3] = [EventKind::CloudTrail, EventKind::GuardDuty, EventKind::SecurityHub];

    /// The `logsource.service` of the Sigma rules that look at such events.
    pub fn service(self) -> &'static str {
        match self {
            EventKind::CloudTrail => "cloudtrail",
            EventKind::GuardDuty => "guardduty",
            EventKind::SecurityHub => "securityhub",
        }
    }
}

/// A top-level member of an event that DIAL itself reads, found without a search. Each is named after its member, those
/// of Security Hub's findings with `Asff` before it.
#[allow(missing_docs)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Key {
    EventId,
    EventTime,
    EventSource,
    EventName,
    EventType,
    EventCategory,
    EventVersion,
    AwsRegion,
    SourceIpAddress,
    UserAgent,
    UserIdentity,
    ErrorCode,
    ErrorMessage,
    RequestParameters,
    ResponseElements,
    AdditionalEventData,
    RequestId,
    ReadOnly,
    ManagementEvent,
    RecipientAccountId,
    SharedEventId,
    Resources,
    AccountId,
    Region,
    Type,
    Id,
    UpdatedAt,
    Service,
    AsffId,
    AsffUpdatedAt,
    AsffAccountId,
    AsffRegion,
    AsffTypes,
}

impl Key {
    pub(crate) const COUNT: usize = Key::AsffTypes as usize + 1;

    /// The key of the member called `name`.
    pub fn from_name(name: &str) -> Option<Key> {
        Key::from_bytes(name.as_bytes())
    }

    pub(crate) fn from_bytes(name: &[u8]) -> Option<Key> {
        Some(match name {
            b"eventID" => Key::EventId,
            b"eventTime" => Key::EventTime,
            b"eventSource" => Key::EventSource,
            b"eventName" => Key::EventName,
            b"eventType" => Key::EventType,
            b"eventCategory" => Key::EventCategory,
            b"eventVersion" => Key::EventVersion,
            b"awsRegion" => Key::AwsRegion,
            b"sourceIPAddress" => Key::SourceIpAddress,
            b"userAgent" => Key::UserAgent,
            b"userIdentity" => Key::UserIdentity,
            b"errorCode" => Key::ErrorCode,
            b"errorMessage" => Key::ErrorMessage,
            b"requestParameters" => Key::RequestParameters,
            b"responseElements" => Key::ResponseElements,
            b"additionalEventData" => Key::AdditionalEventData,
            b"requestID" => Key::RequestId,
            b"readOnly" => Key::ReadOnly,
            b"managementEvent" => Key::ManagementEvent,
            b"recipientAccountId" => Key::RecipientAccountId,
            b"sharedEventID" => Key::SharedEventId,
            b"resources" => Key::Resources,
            b"accountId" => Key::AccountId,
            b"region" => Key::Region,
            b"type" => Key::Type,
            b"id" => Key::Id,
            b"updatedAt" => Key::UpdatedAt,
            b"service" => Key::Service,
            b"Id" => Key::AsffId,
            b"UpdatedAt" => Key::AsffUpdatedAt,
            b"AwsAccountId" => Key::AsffAccountId,
            b"Region" => Key::AsffRegion,
            b"Types" => Key::AsffTypes,
            _ => return None,
        })
    }
}

/// The outer part of an EventBridge event, which is not part of what rules see.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Envelope {
    /// `detail-type`, such as `AWS API Call via CloudTrail`.
    pub detail_type: String,
    /// `account`: 12 digits, the account whose bus the event was put on.
    pub account: Option<String>,
    /// `region` of that bus.
    pub region: Option<String>,
}

/// One event, ready for rules. Cloning shares the bytes.
#[derive(Debug, Clone)]
pub struct Event {
    raw: Bytes,
    kind: EventKind,
    id: String,
    time: Millis,
    envelope: Option<Envelope>,
    /// Where its members lie in `raw`.
    spans: Spans,
}

impl Event {
    /// Takes the object `raw`, whose grammar has been checked and whose members lie at `spans`.
    ///
    /// # Errors
    /// Says which member is missing or unusable: an event needs an id and a time, a CloudTrail record also its source
    /// and name.
    pub(crate) fn new(raw: Bytes, spans: Spans, kind: EventKind, envelope: Option<Envelope>) -> Result<Event, String> {
        if let Err(error) = std::str::from_utf8(&raw) {
            return Err(format!("byte {} of the event is not UTF-8", error.valid_up_to()));
        }
        let mut event = Event { spans, raw, kind, id: String::new(), time: 0, envelope };
        event.id = event.read_id()?;
        event.time = event.read_time()?;
        Ok(event)
    }

    fn read_id(&self) -> Result<String, String> {
        let need = |key, name: &str| match self.text(key) {
            Some(text) if !text.is_empty() => Ok(text),
            _ => Err(format!("no `{name}`: not a complete {} record", self.kind.service())),
        };
        match self.kind {
            EventKind::CloudTrail => {
                need(Key::EventSource, "eventSource")?;
                need(Key::EventName, "eventName")?;
                need(Key::EventId, "eventID").map(Cow::into_owned)
            }
            // A finding is sent again when it changes: each state of it is an event.
            EventKind::GuardDuty => Ok(format!("{}@{}", need(Key::Id, "id")?, need(Key::UpdatedAt, "updatedAt")?)),
            EventKind::SecurityHub => {
                Ok(format!("{}@{}", need(Key::AsffId, "Id")?, need(Key::AsffUpdatedAt, "UpdatedAt")?))
            }
        }
    }

    fn read_time(&self) -> Result<Millis, String> {
        let (key, name) = match self.kind {
            EventKind::CloudTrail => (Key::EventTime, "eventTime"),
            EventKind::GuardDuty => (Key::UpdatedAt, "updatedAt"),
            EventKind::SecurityHub => (Key::AsffUpdatedAt, "UpdatedAt"),
        };
        let text = self.text(key).ok_or_else(|| format!("no `{name}`"))?;
        parse_rfc3339(&text)
            .ok_or_else(|| format!("`{name}` is not a time such as 2024-05-01T12:00:00Z: {:?}", clip(&text, 40)))
    }

    /// The record or finding as it came, a JSON object in UTF-8.
    pub fn raw(&self) -> &[u8] {
        &self.raw
    }

    /// Whose record it is.
    pub fn kind(&self) -> EventKind {
        self.kind
    }

    /// `eventID`; of a finding its id and the time of its last change.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// What makes findings about this event one: [`Event::id`], but of a GuardDuty or Security Hub finding its id
    /// alone, whichever of its states this is.
    pub fn subject_id(&self) -> Cow<'_, str> {
        match self.kind {
            EventKind::CloudTrail => Cow::Borrowed(&self.id),
            EventKind::GuardDuty => self.text(Key::Id).unwrap_or_default(),
            EventKind::SecurityHub => self.text(Key::AsffId).unwrap_or_default(),
        }
    }

    /// When it happened: `eventTime`, or when the finding was last changed.
    pub fn time(&self) -> Millis {
        self.time
    }

    /// The EventBridge envelope it came in, if it did.
    pub fn envelope(&self) -> Option<&Envelope> {
        self.envelope.as_ref()
    }

    /// The bytes of a member's value, as JSON; `null` counts as absent.
    pub fn value(&self, key: Key) -> Option<&[u8]> {
        self.member(key).filter(|value| value != b"null")
    }

    /// The bytes of a member's value, `null` included.
    pub(crate) fn member(&self, key: Key) -> Option<&[u8]> {
        Some(self.spans.value(&self.raw, key)).filter(|bytes| !bytes.is_empty())
    }

    /// The bytes of a member of `userIdentity`, `null` included.
    pub(crate) fn identity(&self, name: &str) -> Option<&[u8]> {
        match self.spans.identity(&self.raw, name) {
            Some(value) => Some(value).filter(|bytes| !bytes.is_empty()),
            None => json::member(self.member(Key::UserIdentity)?, name),
        }
    }

    /// Whether a member may be called `a.b`, so that such a path may be its name.
    pub(crate) fn has_dots(&self) -> bool {
        self.spans.has_dots()
    }

    /// A member's value if it is a string.
    pub fn text(&self, key: Key) -> Option<Cow<'_, str>> {
        self.value(key).and_then(json::as_str)
    }

    /// A member's value if it is `true` or `false`, as a string too.
    pub fn flag(&self, key: Key) -> Option<bool> {
        match self.value(key)? {
            b"true" | b"\"true\"" => Some(true),
            b"false" | b"\"false\"" => Some(false),
            _ => None,
        }
    }

    /// The string at `path` within the event, object members only: `["userIdentity", "arn"]`.
    pub fn text_at(&self, path: &[&str]) -> Option<Cow<'_, str>> {
        let (first, rest) = path.split_first()?;
        let (mut value, rest) = match (Key::from_name(first), rest) {
            (Some(Key::UserIdentity), [name, rest @ ..]) => (self.identity(name)?, rest),
            (Some(key), rest) => (self.value(key)?, rest),
            (None, rest) => (json::member(&self.raw, first)?, rest),
        };
        for name in rest {
            value = json::member(value, name)?;
        }
        json::as_str(value)
    }

    /// The API call's name; of a finding its type.
    pub fn name(&self) -> Cow<'_, str> {
        match self.kind {
            EventKind::CloudTrail => self.text(Key::EventName).unwrap_or_default(),
            EventKind::GuardDuty => self.text(Key::Type).unwrap_or_default(),
            EventKind::SecurityHub => self
                .value(Key::AsffTypes)
                .and_then(|types| json::elements(types).next())
                .and_then(json::as_str)
                .unwrap_or_default(),
        }
    }

    /// The service's name as CloudTrail spells it, such as `iam.amazonaws.com`.
    pub fn source(&self) -> Cow<'_, str> {
        match self.kind {
            EventKind::CloudTrail => self.text(Key::EventSource).unwrap_or_default(),
            EventKind::GuardDuty => Cow::Borrowed("guardduty.amazonaws.com"),
            EventKind::SecurityHub => Cow::Borrowed("securityhub.amazonaws.com"),
        }
    }

    /// The account that the event belongs to, 12 digits.
    pub fn account_id(&self) -> Option<Cow<'_, str>> {
        let own = match self.kind {
            EventKind::CloudTrail => {
                self.text(Key::RecipientAccountId).or_else(|| self.text_at(&["userIdentity", "accountId"]))
            }
            EventKind::GuardDuty => self.text(Key::AccountId),
            EventKind::SecurityHub => self.text(Key::AsffAccountId),
        };
        own.or_else(|| self.envelope.as_ref()?.account.as_deref().map(Cow::Borrowed))
    }

    /// The region that it happened in.
    pub fn region(&self) -> Option<Cow<'_, str>> {
        let own = match self.kind {
            EventKind::CloudTrail => self.text(Key::AwsRegion),
            EventKind::GuardDuty => self.text(Key::Region),
            EventKind::SecurityHub => self.text(Key::AsffRegion),
        };
        own.or_else(|| self.envelope.as_ref()?.region.as_deref().map(Cow::Borrowed))
    }
}

/// The first `most` characters of `text`, for messages.
pub(crate) fn clip(text: &str, most: usize) -> &str {
    text.char_indices().nth(most).map_or(text, |(end, _)| &text[..end])
}

/// The time that RFC 3339 text names.
pub fn parse_rfc3339(text: &str) -> Option<Millis> {
    if let Some(time) = parse_plain_utc(text.as_bytes()) {
        return Some(time);
    }
    DateTime::parse_from_rfc3339(text).ok().map(|time| time.timestamp_millis())
}

/// The time of the form in which CloudTrail writes all times, `2024-05-01T12:00:00Z`; `None` of any other. For speed
/// alone.
fn parse_plain_utc(text: &[u8]) -> Option<Millis> {
    let &[a, b, c, d, b'-', e, f, b'-', g, h, b'T', i, j, b':', k, l, b':', m, n, b'Z'] = text else {
        return None;
    };
    let digits = |list: &[u8]| {
        list.iter().try_fold(0u32, |number, byte| byte.is_ascii_digit().then(|| number * 10 + u32::from(byte - b'0')))
    };
    let date = NaiveDate::from_ymd_opt(digits(&[a, b, c, d])? as i32, digits(&[e, f])?, digits(&[g, h])?)?;
    let time = date.and_hms_opt(digits(&[i, j])?, digits(&[k, l])?, digits(&[m, n])?)?;
    Some(time.and_utc().timestamp_millis())
}

/// A time as RFC 3339 in UTC, with milliseconds only where it has any.
pub fn rfc3339(time: Millis) -> String {
    match DateTime::from_timestamp_millis(time) {
        Some(time) => time.to_rfc3339_opts(SecondsFormat::AutoSi, true),
        None => format!("{time} ms"),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
pub(crate) mod tests {
    use super::*;
    use crate::members;
    use proptest::prelude::*;
    use serde_json::{Value, json};

    fn read(raw: Bytes) -> Result<Event, String> {
        let spans = members::index(&raw);
        Event::new(raw, spans, EventKind::CloudTrail, None)
    }

    /// A CloudTrail event with the given members, and plausible ones for what it must have.
    pub(crate) fn event(members: Value) -> Event {
        let mut record = json!({
            "eventID": "00000000-0000-4000-8000-000000000001",
            "eventTime": "2024-05-01T12:00:00Z",
            "eventSource": "iam.amazonaws.com",
            "eventName": "CreateUser",
        });
        let Value::Object(members) = members else { panic!("an object") };
        record.as_object_mut().unwrap().extend(members);
        read(serde_json::to_vec(&record).unwrap().into()).unwrap()
    }

    #[test]
    fn every_key_is_found_by_its_name() {
        let names = [
            "eventID",
            "eventTime",
            "eventSource",
            "eventName",
            "eventType",
            "eventCategory",
            "eventVersion",
            "awsRegion",
            "sourceIPAddress",
            "userAgent",
            "userIdentity",
            "errorCode",
            "errorMessage",
            "requestParameters",
            "responseElements",
            "additionalEventData",
            "requestID",
            "readOnly",
            "managementEvent",
            "recipientAccountId",
            "sharedEventID",
            "resources",
            "accountId",
            "region",
            "type",
            "id",
            "updatedAt",
            "service",
            "Id",
            "UpdatedAt",
            "AwsAccountId",
            "Region",
            "Types",
        ];
        let found: Vec<usize> = names.iter().map(|name| Key::from_name(name).unwrap() as usize).collect();
        assert_eq!(found, (0..Key::COUNT).collect::<Vec<_>>());
    }

    proptest! {
        #[test]
        fn plain_times_are_what_chrono_reads(text in "[0-9]{4}-[01][0-9]-[0-3][0-9]T[0-2][0-9]:[0-6][0-9]:[0-6][0-9]Z") {
            let slow = DateTime::parse_from_rfc3339(&text).ok().map(|time| time.timestamp_millis());
            prop_assert_eq!(parse_rfc3339(&text), slow, "{}", text);
        }
    }

    #[test]
    fn members_are_read_from_the_bytes() {
        let event = event(json!({"readOnly": false, "awsRegion": null, "requestParameters": {"a": {"b": "c\n"}}}));
        assert_eq!(event.flag(Key::ReadOnly), Some(false));
        assert_eq!(event.region(), None);
        assert_eq!(event.member(Key::AwsRegion), Some(&b"null"[..]));
        assert_eq!(event.text_at(&["requestParameters", "a", "b"]).unwrap(), "c\n");
        assert_eq!(event.time(), 1_714_564_800_000);
        assert_eq!(rfc3339(event.time()), "2024-05-01T12:00:00Z");
    }

    #[test]
    fn escaped_keys_are_the_same_keys() {
        let raw = br#"{"event\u0049D":"e","eventTime":"2024-05-01T12:00:00.5Z","eventSource":"s","eventName":"n"}"#;
        let event = read(Bytes::from_static(raw)).unwrap();
        assert_eq!(event.id(), "e");
        assert_eq!(rfc3339(event.time()), "2024-05-01T12:00:00.500Z");
    }

    #[test]
    fn what_is_missing_is_named() {
        let error = |raw: &'static [u8]| read(Bytes::from_static(raw)).unwrap_err();
        assert!(error(b"{}").contains("eventSource"));
        let bad_time = error(br#"{"eventID":"e","eventTime":"yesterday","eventSource":"s","eventName":"n"}"#);
        assert!(bad_time.contains("eventTime") && bad_time.contains("yesterday"), "{bad_time}");
        assert!(error(b"{\"eventID\":\"\xff\"}").contains("byte 12"));
    }
}
