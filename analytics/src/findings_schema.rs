//! The table `findings`, defined once: each column's name, type, meaning, and how a row fills it.

use std::borrow::Cow;

use crate::findings::Shown;
use crate::layout;
use crate::row::Cell;
use crate::table::ColumnType::{Json, Number, Text, Texts, Time};
use crate::table::{Column, Filled, Table, columns};

/// The value of `schema_version`: up by one when columns are added.
pub const SCHEMA_VERSION: i64 = 1;

/// The table `findings`: a row a version of a finding.
pub const FINDINGS: Table = Table {
    name: "findings",
    folder: layout::FINDINGS,
    meaning: "Every finding in each version in which it came to the archive, suppressed ones too. Versions may repeat.",
    day: "the day of `finding_time`, UTC; not before 2010-01-01, and not later than the day after the row was written",
    columns: COLUMNS,
    sorted_by: &["finding_time", "finding_id", "version"],
    key: &["finding_id", "version"],
};

/// The columns, in their order. Columns are only ever added, at the end: nullable ones, or lists.
pub const COLUMNS: &[Column] = &columns(FILLED);

/// A column and how it is filled.
pub(crate) type FindingColumn = Filled<for<'a> fn(&'a Shown<'a>) -> Cell<'a>>;

fn text(text: Option<&String>) -> Cell<'_> {
    Cell::Text(text.map(|text| Cow::Borrowed(text.as_str())))
}

pub(crate) const FILLED: &[FindingColumn; 23] = &[
    FindingColumn::new("finding_time", Time, "When what was found began: the same as `first_seen`.", |r| {
        Cell::Time(Some(r.row.finding().first_seen))
    })
    .required(),
    FindingColumn::new(
        "finding_id",
        Text,
        "The finding's id, a function of what happened: 32 hexadecimal digits.",
        |r| Cell::text(&r.row.finding().finding_id),
    )
    .required()
    .distinct()
    .bloom(),
    FindingColumn::new(
        "version",
        Number,
        "How often the finding had been written when this row was; the greatest is the newest.",
        |r| Cell::number(r.row.version),
    )
    .required(),
    FindingColumn::new("kind", Text, "`single`, of one event, or `correlated`, of several.", |r| Cell::text(r.kind()))
        .required(),
    FindingColumn::new("rule_id", Text, "The rule's id.", |r| Cell::text(&r.row.finding().rule_id)).required(),
    FindingColumn::new("rule_title", Text, "The rule's title.", |r| Cell::text(&r.row.finding().subject.rule_title))
        .required(),
    FindingColumn::new("severity_id", Number, "The severity as OCSF's number: 1 informational to 5 critical.", |r| {
        Cell::Number(Some(r.severity().0))
    })
    .required(),
    FindingColumn::new(
        "severity",
        Text,
        "How bad it is here, by the rule and the policy of when the row was written.",
        |r| Cell::text(r.row.assessment.severity().as_str()),
    )
    .required(),
    FindingColumn::new(
        "status",
        Text,
        "`new`, or why it is not to be seen: `suppressed`, `allowed`, `muted`, `staged`.",
        |r| Cell::text(r.status()),
    )
    .required(),
    FindingColumn::new("first_seen", Time, "Time of the earliest event.", |r| {
        Cell::Time(Some(r.row.finding().first_seen))
    })
    .required(),
    FindingColumn::new("last_seen", Time, "Time of the latest event.", |r| Cell::Time(Some(r.row.finding().last_seen)))
        .required(),
    FindingColumn::new("account_id", Text, "The account of the earliest event.", |r| {
        text(r.row.finding().subject.account_id.as_ref())
    }),
    FindingColumn::new("region", Text, "Its region.", |r| text(r.row.finding().subject.region.as_ref())),
    FindingColumn::new("actor", Text, "Who did it, as a person would say it.", |r| {
        text(r.row.finding().subject.actor.as_ref())
    }),
    FindingColumn::new("source_ip", Text, "The caller's address, or the name of an AWS service.", |r| {
        text(r.row.finding().subject.source_ip.as_ref())
    })
    .bloom(),
    FindingColumn::new(
        "tactics",
        Texts,
        "The tactics of ATT&CK that the techniques are in, such as `persistence`.",
        |r| Cell::Texts(r.tactics().into_iter().map(Cow::Borrowed).collect()),
    )
    .required(),
    FindingColumn::new(
        "techniques",
        Texts,
        "The techniques of ATT&CK that the rule names, such as `T1098.001`.",
        |r| Cell::Texts(r.row.finding().subject.techniques.iter().map(|id| Cow::Borrowed(id.as_str())).collect()),
    )
    .required(),
    FindingColumn::new("event_count", Number, "How many events it rests on; counting ends at 10,000.", |r| {
        Cell::number(r.row.finding().event_count)
    })
    .required(),
    FindingColumn::new(
        "event_ids",
        Texts,
        "The ids of the events in `evidence`: `event_id` of the table `events`.",
        |r| Cell::Texts(r.event_ids().into_iter().map(Cow::Borrowed).collect()),
    )
    .required(),
    FindingColumn::new(
        "evidence",
        Json,
        "The earliest and the latest events, five of each for each rule: a list of objects.",
        |r| Cell::text(&r.evidence),
    )
    .required(),
    FindingColumn::new(
        "suppressed_by",
        Text,
        "The entry of the policy by which it is not to be seen, with its reason; null of a new one.",
        |r| Cell::Text(r.suppressed_by().map(Cow::Owned)),
    ),
    FindingColumn::new("ocsf", Json, "The same as a Detection Finding of OCSF, class 2004.", |r| Cell::text(&r.ocsf))
        .required(),
    FindingColumn::new(
        "schema_version",
        Number,
        "The version of this list of columns that the row was written by.",
        |_| Cell::Number(Some(SCHEMA_VERSION)),
    )
    .required(),
];
