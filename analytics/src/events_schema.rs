//! The table `events`, defined once: each column's name, type, meaning, and how a row fills it.

use std::borrow::Cow;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use dial_rules::event::Key;

use crate::row::{Cell, Known, RowContext, actor, event_type, resource_arns, session_mfa, source_ip};

/// The value of `schema_version`: up by one when columns are added. Version 2 added what tables say of accounts and
/// addresses.
pub const SCHEMA_VERSION: i64 = 2;

/// What a column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ColumnType {
    /// Text.
    Text,
    /// Text that is JSON, as the event had it.
    Json,
    /// True or false.
    Flag,
    /// A time: INT64, TIMESTAMP(MILLIS, UTC).
    Time,
    /// A whole number: INT64.
    Number,
    /// A list of texts.
    Texts,
}

/// A column of `events`.
#[derive(Debug)]
pub struct Column {
    /// Its name.
    pub name: &'static str,
    /// What it holds.
    pub column_type: ColumnType,
    /// Whether it may be null.
    pub nullable: bool,
    /// Whether files carry a bloom filter of it: the ids that people look for.
    pub bloom: bool,
    /// Whether its values hardly repeat, so that files do without a dictionary of it.
    pub distinct: bool,
    /// What it means, in one sentence.
    pub meaning: &'static str,
    pub(crate) cell: for<'a> fn(&'a Known<'a>, &'a RowContext) -> Cell<'a>,
}

impl Column {
    const fn new(
        name: &'static str,
        column_type: ColumnType,
        meaning: &'static str,
        cell: for<'a> fn(&'a Known<'a>, &'a RowContext) -> Cell<'a>,
    ) -> Self {
        let (nullable, bloom, distinct) = (true, false, matches!(column_type, ColumnType::Json));
        Self { name, column_type, nullable, bloom, distinct, meaning, cell }
    }

    const fn required(mut self) -> Self {
        self.nullable = false;
        self
    }

    const fn bloom(mut self) -> Self {
        self.bloom = true;
        self
    }

    const fn distinct(mut self) -> Self {
        self.distinct = true;
        self
    }

    fn field(&self) -> Field {
        let data_type = match self.column_type {
            ColumnType::Text | ColumnType::Json => DataType::Utf8,
            ColumnType::Flag => DataType::Boolean,
            ColumnType::Time => DataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into())),
            ColumnType::Number => DataType::Int64,
            ColumnType::Texts => DataType::List(Arc::new(element())),
        };
        Field::new(self.name, data_type, self.nullable)
    }
}

/// An element of a list, by the name that the Parquet format prescribes.
pub(crate) fn element() -> Field {
    Field::new("element", DataType::Utf8, false)
}

use ColumnType::{Flag, Json, Number, Text, Texts, Time};

/// The columns, in their order. Columns are only ever added, at the end.
pub static COLUMNS: &[Column] = &[
    Column::new("event_time", Time, "When it happened; of a finding, when that was last changed.", |r, _| {
        Cell::Time(Some(r.event.time()))
    })
    .required(),
    Column::new("event_id", Text, "The event's id; of a finding its id and the time of its last change.", |r, _| {
        Cell::text(r.event.id())
    })
    .required()
    .distinct()
    .bloom(),
    Column::new("event_source", Text, "The service, such as iam.amazonaws.com.", |r, _| {
        Cell::Text(Some(r.event.source()))
    })
    .required(),
    Column::new("event_name", Text, "The API call; of a finding its type.", |r, _| Cell::Text(Some(r.event.name())))
        .required(),
    Column::new("event_type", Text, "CloudTrail's eventType, or GuardDutyFinding, or SecurityHubFinding.", |r, _| {
        event_type(r)
    }),
    Column::new("event_category", Text, "Management, Data, Insight or NetworkActivity.", |r, _| {
        Cell::Text(r.event.text(Key::EventCategory))
    }),
    Column::new("read_only", Flag, "Whether the call can change nothing.", |r, _| {
        Cell::Flag(r.event.flag(Key::ReadOnly))
    }),
    Column::new("management_event", Flag, "Whether it is a management event.", |r, _| {
        Cell::Flag(r.event.flag(Key::ManagementEvent))
    }),
    Column::new("account_id", Text, "The account that the event belongs to.", |r, _| Cell::Text(r.event.account_id())),
    Column::new("aws_region", Text, "The region that it happened in.", |r, _| Cell::Text(r.event.region())),
    Column::new("source_ip", Text, "The caller's address, or the name of an AWS service.", |r, _| source_ip(r)).bloom(),
    Column::new("user_agent", Text, "What the caller said it was.", |r, _| Cell::Text(r.event.text(Key::UserAgent))),
    Column::new("error_code", Text, "Why the call failed; null if it did not.", |r, _| {
        Cell::Text(r.event.text(Key::ErrorCode))
    }),
    Column::new("error_message", Text, "The same in the service's words.", |r, _| {
        Cell::Text(r.event.text(Key::ErrorMessage))
    }),
    Column::new("request_id", Text, "The id of the request, from the service.", |r, _| {
        Cell::Text(r.event.text(Key::RequestId))
    })
    .distinct()
    .bloom(),
    Column::new("actor", Text, "Who did it, as a person would say it.", |r, _| actor(r)),
    Column::new("actor_type", Text, "The kind of identity, such as IAMUser or AssumedRole.", |r, _| {
        Cell::caller(r, "type", Some("userType"))
    }),
    Column::new("actor_arn", Text, "The caller's ARN.", |r, _| Cell::caller(r, "arn", None)),
    Column::new("actor_principal_id", Text, "The caller's unique id; of a role, with the session's name.", |r, _| {
        Cell::caller(r, "principalId", Some("principalId"))
    })
    .bloom(),
    Column::new("actor_account_id", Text, "The account that the caller belongs to.", |r, _| {
        Cell::caller(r, "accountId", None)
    }),
    Column::new("actor_access_key_id", Text, "The access key that signed the call.", |r, _| {
        Cell::caller(r, "accessKeyId", Some("accessKeyId"))
    })
    .bloom(),
    Column::new("actor_user_name", Text, "The name of the user.", |r, _| Cell::caller(r, "userName", Some("userName"))),
    Column::new("actor_invoked_by", Text, "The AWS service that made the call for the caller.", |r, _| {
        Cell::caller(r, "invokedBy", None)
    }),
    Column::new("session_issuer_arn", Text, "The ARN of the role or user that the session was made from.", |r, _| {
        Cell::at(r, &["userIdentity", "sessionContext", "sessionIssuer", "arn"])
    })
    .bloom(),
    Column::new("session_mfa", Flag, "Whether the session was made with an MFA device.", |r, _| session_mfa(r)),
    Column::new("resource_arns", Texts, "The ARNs of the resources that the event names; empty if none.", |r, _| {
        resource_arns(r)
    })
    .required(),
    Column::new("request_parameters", Json, "The call's parameters.", |r, _| Cell::json(r, Key::RequestParameters)),
    Column::new("response_elements", Json, "What a changing call returned.", |r, _| {
        Cell::json(r, Key::ResponseElements)
    }),
    Column::new("additional_event_data", Json, "What else the service said.", |r, _| {
        Cell::json(r, Key::AdditionalEventData)
    }),
    Column::new("raw", Json, "The whole event as it came; null where the archive is set not to keep it.", |r, c| {
        Cell::Text(c.raw.then(|| String::from_utf8_lossy(r.event.raw())))
    }),
    Column::new("arrival_time", Time, "When the stream took the record in; null of files.", |r, _| {
        Cell::Time(r.arrival)
    }),
    Column::new("shard_id", Text, "The shard, or file- and the SHA-256 of the file that it was read from.", |_, c| {
        Cell::text(c.shard.id())
    })
    .required(),
    Column::new("sequence_number", Text, "The record's sequence number; of a file the event's ordinal.", |r, _| {
        Cell::text(r.key.position.sequence())
    })
    .distinct()
    .required(),
    Column::new("sub_sequence_number", Number, "The user record's index in an aggregated record.", |r, _| {
        Cell::number(r.key.position.sub_sequence())
    })
    .required(),
    Column::new("record_index", Number, "The event's index in its record.", |r, _| Cell::number(r.key.index))
        .required(),
    Column::new(
        "schema_version",
        Number,
        "The version of this list of columns that the row was written by.",
        |_, _| Cell::Number(Some(SCHEMA_VERSION)),
    )
    .required(),
    Column::new("account_name", Text, "What the organisation called the account when the row was written.", |r, _| {
        Cell::Text(r.account.and_then(|account| account.name.as_deref()).map(Cow::Borrowed))
    }),
    Column::new("geo_country", Text, "The country of the address, as two letters of ISO 3166-1.", |r, _| {
        r.place(|address| address.country.as_deref())
    }),
    Column::new("geo_city", Text, "The city of the address.", |r, _| r.place(|address| address.city.as_deref())),
    Column::new("asn", Number, "The number of the autonomous system that the address is in.", |r, _| {
        Cell::Number(r.address.as_ref().and_then(|address| address.asn).map(i64::from))
    }),
    Column::new("as_org", Text, "Whose autonomous system that is.", |r, _| {
        r.place(|address| address.network.as_deref())
    }),
    Column::new(
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
    Arc::new(Schema::new(COLUMNS.iter().map(Column::field).collect::<Vec<_>>()))
}
