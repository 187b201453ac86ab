//! The table `events`, defined once: each column's name, type, meaning, and how a row fills it.

use std::borrow::Cow;

use arrow::datatypes::SchemaRef;
use dial_rules::event::Key;

use crate::layout;
use crate::row::{Cell, Known, RowContext, actor, event_type, resource_arns, session_mfa, source_ip};
use crate::table::ColumnType::{Flag, Json, Number, Text, Texts, Time};
use crate::table::{Column, Filled, Table, columns};

/// The value of `schema_version`: up by one when columns are added. Version 2 added what tables say of accounts and
/// addresses.
pub const SCHEMA_VERSION: i64 = 2;

/// The table `events`: a row an event.
pub const EVENTS: Table = Table {
    name: "events",
    folder: layout::EVENTS,
    meaning: "Every event of the stream, exactly once: CloudTrail records, GuardDuty and Security Hub findings.",
    day: "the day of `event_time`, UTC; not before 2010-01-01, and not later than the day after `arrival_time`",
    columns: COLUMNS,
    sorted_by: &["event_time", "event_id"],
    key: &["shard_id", "sequence_number", "sub_sequence_number", "record_index"],
};

/// The columns, in their order. Columns are only ever added, at the end: nullable ones, or lists.
pub const COLUMNS: &[Column] = &columns(FILLED);

/// A column and how it is filled.
pub(crate) type EventColumn = Filled<for<'a> fn(&'a Known<'a>, &'a RowContext) -> Cell<'a>>;

pub(crate) const FILLED: &[EventColumn; 42] = &[
    EventColumn::new("event_time", Time, "When it happened; of a finding, when that was last changed.", |r, _| {
        Cell::Time(Some(r.event.time()))
    })
    .required(),
    EventColumn::new(
        "event_id",
        Text,
        "The event's id; of a finding its id and the time of its last change.",
        |r, _| Cell::text(r.event.id()),
    )
    .required()
    .counted()
    .bloom(),
    EventColumn::new("event_source", Text, "The service, such as iam.amazonaws.com.", |r, _| {
        Cell::Text(Some(r.event.source()))
    })
    .required(),
    EventColumn::new("event_name", Text, "The API call; of a finding its type.", |r, _| {
        Cell::Text(Some(r.event.name()))
    })
    .required(),
    EventColumn::new(
        "event_type",
        Text,
        "CloudTrail's eventType, or GuardDutyFinding, or SecurityHubFinding.",
        |r, _| event_type(r),
    ),
    EventColumn::new("event_category", Text, "Management, Data, Insight or NetworkActivity.", |r, _| {
        Cell::Text(r.event.text(Key::EventCategory))
    }),
    EventColumn::new("read_only", Flag, "Whether the call can change nothing.", |r, _| {
        Cell::Flag(r.event.flag(Key::ReadOnly))
    }),
    EventColumn::new("management_event", Flag, "Whether it is a management event.", |r, _| {
        Cell::Flag(r.event.flag(Key::ManagementEvent))
    }),
    EventColumn::new("account_id", Text, "The account that the event belongs to.", |r, _| {
        Cell::Text(r.event.account_id())
    }),
    EventColumn::new("aws_region", Text, "The region that it happened in.", |r, _| Cell::Text(r.event.region())),
    EventColumn::new("source_ip", Text, "The caller's address, or the name of an AWS service.", |r, _| source_ip(r))
        .bloom(),
    EventColumn::new("user_agent", Text, "What the caller said it was.", |r, _| {
        Cell::Text(r.event.text(Key::UserAgent))
    }),
    EventColumn::new("error_code", Text, "Why the call failed; null if it did not.", |r, _| {
        Cell::Text(r.event.text(Key::ErrorCode))
    }),
    EventColumn::new("error_message", Text, "The same in the service's words.", |r, _| {
        Cell::Text(r.event.text(Key::ErrorMessage))
    }),
    EventColumn::new("request_id", Text, "The id of the request, from the service.", |r, _| {
        Cell::Text(r.event.text(Key::RequestId))
    })
    .distinct()
    .bloom(),
    EventColumn::new("actor", Text, "Who did it, as a person would say it.", |r, _| actor(r)),
    EventColumn::new("actor_type", Text, "The kind of identity, such as IAMUser or AssumedRole.", |r, _| {
        Cell::caller(r, "type", Some("userType"))
    }),
    EventColumn::new("actor_arn", Text, "The caller's ARN.", |r, _| Cell::caller(r, "arn", None)),
    EventColumn::new(
        "actor_principal_id",
        Text,
        "The caller's unique id; of a role, with the session's name.",
        |r, _| Cell::caller(r, "principalId", Some("principalId")),
    )
    .bloom(),
    EventColumn::new("actor_account_id", Text, "The account that the caller belongs to.", |r, _| {
        Cell::caller(r, "accountId", None)
    }),
    EventColumn::new("actor_access_key_id", Text, "The access key that signed the call.", |r, _| {
        Cell::caller(r, "accessKeyId", Some("accessKeyId"))
    })
    .bloom(),
    EventColumn::new("actor_user_name", Text, "The name of the user.", |r, _| {
        Cell::caller(r, "userName", Some("userName"))
    }),
    EventColumn::new("actor_invoked_by", Text, "The AWS service that made the call for the caller.", |r, _| {
        Cell::caller(r, "invokedBy", None)
    }),
    EventColumn::new(
        "session_issuer_arn",
        Text,
        "The ARN of the role or user that the session was made from.",
        |r, _| Cell::at(r, &["userIdentity", "sessionContext", "sessionIssuer", "arn"]),
    )
    .bloom(),
    EventColumn::new("session_mfa", Flag, "Whether the session was made with an MFA device.", |r, _| session_mfa(r)),
    EventColumn::new(
        "resource_arns",
        Texts,
        "The ARNs of the resources that the event names; empty if none.",
        |r, _| resource_arns(r),
    )
    .required(),
    EventColumn::new("request_parameters", Json, "The call's parameters.", |r, _| {
        Cell::json(r, Key::RequestParameters)
    }),
    EventColumn::new("response_elements", Json, "What a changing call returned.", |r, _| {
        Cell::json(r, Key::ResponseElements)
    }),
    EventColumn::new("additional_event_data", Json, "What else the service said.", |r, _| {
        Cell::json(r, Key::AdditionalEventData)
    }),
    EventColumn::new(
        "raw",
        Json,
        "The whole event as it came; null where the archive is set not to keep it.",
        |r, c| Cell::Text(c.raw.then(|| String::from_utf8_lossy(r.event.raw()))),
    ),
    EventColumn::new("arrival_time", Time, "When the stream took the record in; null of files.", |r, _| {
        Cell::Time(r.arrival)
    }),
    EventColumn::new(
        "shard_id",
        Text,
        "The shard, or file- and the SHA-256 of the file that it was read from.",
        |_, c| Cell::text(c.shard.id()),
    )
    .required(),
    EventColumn::new(
        "sequence_number",
        Text,
        "The record's sequence number; of a file the event's ordinal.",
        |r, _| Cell::text(r.key.position.sequence()),
    )
    .distinct()
    .required(),
    EventColumn::new("sub_sequence_number", Number, "The user record's index in an aggregated record.", |r, _| {
        Cell::number(r.key.position.sub_sequence())
    })
    .required(),
    EventColumn::new("record_index", Number, "The event's index in its record.", |r, _| Cell::number(r.key.index))
        .required(),
    EventColumn::new(
        "schema_version",
        Number,
        "The version of this list of columns that the row was written by.",
        |_, _| Cell::Number(Some(SCHEMA_VERSION)),
    )
    .required(),
    EventColumn::new(
        "account_name",
        Text,
        "What the organisation called the account when the row was written.",
        |r, _| Cell::Text(r.account.and_then(|account| account.name.as_deref()).map(Cow::Borrowed)),
    ),
    EventColumn::new("geo_country", Text, "The country of the address, as two letters of ISO 3166-1.", |r, _| {
        r.place(|address| address.country.as_deref())
    }),
    EventColumn::new("geo_city", Text, "The city of the address.", |r, _| r.place(|address| address.city.as_deref())),
    EventColumn::new("asn", Number, "The number of the autonomous system that the address is in.", |r, _| {
        Cell::Number(r.address.as_ref().and_then(|address| address.asn).map(i64::from))
    }),
    EventColumn::new("as_org", Text, "Whose autonomous system that is.", |r, _| {
        r.place(|address| address.network.as_deref())
    }),
    EventColumn::new(
        "intel",
        Texts,
        "The organisation's own lists that hold the address, and tor-exit if it is one; empty if none.",
        |r, _| r.intel(),
    )
    .required(),
];

/// The Arrow schema of `events`, without the partition column `dt`.
#[must_use]
pub fn events_schema() -> SchemaRef {
    EVENTS.schema()
}
