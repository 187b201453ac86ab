//! [`Row`]: what one event becomes in the table `events`. Pure.

use std::borrow::Cow;
use std::ops::Deref;

use dial_rules::accounts::Account;
use dial_rules::actor;
use dial_rules::addresses::AddressContext;
use dial_rules::event::{Event, EventKind, Key, Millis};
use dial_rules::tables::Tables;
use serde_json::Value;

use crate::layout::Day;
use crate::position::RowKey;
use crate::shard::Shard;

/// What a row or a dead letter takes beside its bytes, rounded up; not measured, so that it is the same everywhere.
pub(crate) const OVERHEAD: usize = 640;

/// One event and where it came from. Its columns are read from the event's bytes when the file is written, so that a
/// row that waits costs hardly more than those.
#[derive(Debug, Clone)]
pub struct Row {
    /// The event.
    pub event: Box<Event>,
    /// Where it lies in its shard.
    pub key: RowKey,
    /// When the stream took its record in; `None` of an event that came from a file.
    pub arrival: Option<Millis>,
}

impl Row {
    /// The partition that the row belongs to.
    #[must_use]
    pub fn day(&self) -> Day {
        Day::of_event(self.event.time(), self.arrival)
    }

    /// Roughly the bytes of memory that the row takes. A function of the event and nothing else, since files are cut
    /// by it ([`FlushPolicy::OF_FILES`](crate::batch::FlushPolicy::OF_FILES)).
    #[must_use]
    pub fn size(&self) -> usize {
        OVERHEAD + self.event.raw().len() + self.event.id().len()
    }

    /// How rows lie in a file: by event time, then event id, then where they came from. Total, since no two rows of a
    /// shard have one key.
    pub(crate) fn order(&self, other: &Row) -> std::cmp::Ordering {
        let this = (self.event.time(), self.event.id(), &self.key);
        this.cmp(&(other.event.time(), other.event.id(), &other.key))
    }
}

/// A row, and what tables say of its account and address: what the cells of its columns are read from.
#[derive(Debug)]
pub(crate) struct Known<'t> {
    row: &'t Row,
    pub(crate) account: Option<&'t Account>,
    pub(crate) address: Option<AddressContext>,
}

impl<'t> Known<'t> {
    pub(crate) fn new(row: &'t Row, tables: &'t Tables) -> Self {
        let account = row.event.account_id().and_then(|id| tables.accounts.get(id.as_ref()));
        let field = actor::source_ip(&row.event);
        let address = field.map(|field| tables.addresses.look_up(&field, row.event.time()));
        Self { row, account, address }
    }

    /// The names of the organisation's own lists that hold the address, and what else is known against it.
    pub(crate) fn intel(&self) -> Cell<'_> {
        let Some(address) = &self.address else { return Cell::Texts(Vec::new()) };
        let lists = address.lists.iter().map(|list| Cow::Borrowed(list.as_str()));
        let tor = address.tor_exit.unwrap_or(false).then_some(Cow::Borrowed("tor-exit"));
        Cell::Texts(lists.chain(tor).collect())
    }

    /// Something that tables say of the address.
    pub(crate) fn place(&self, part: impl Fn(&AddressContext) -> Option<&str>) -> Cell<'_> {
        Cell::Text(self.address.as_ref().and_then(part).map(Cow::Borrowed))
    }
}

impl Deref for Known<'_> {
    type Target = Row;

    fn deref(&self) -> &Row {
        self.row
    }
}

/// What is the same for all rows of a file.
#[derive(Debug, Clone)]
pub struct RowContext {
    /// The shard.
    pub shard: Shard,
    /// Whether the column `raw` is filled.
    pub raw: bool,
}

/// One value of a row, in the form of its column.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Cell<'a> {
    Text(Option<Cow<'a, str>>),
    Flag(Option<bool>),
    Time(Option<Millis>),
    Number(Option<i64>),
    Texts(Vec<Cow<'a, str>>),
}

impl<'a> Cell<'a> {
    pub(crate) fn text(text: &'a str) -> Self {
        Cell::Text(Some(Cow::Borrowed(text)))
    }

    pub(crate) fn number(number: u64) -> Self {
        // Indexes count what was read from memory or disk; the cast saturates in theory only.
        Cell::Number(Some(i64::try_from(number).unwrap_or(i64::MAX)))
    }

    /// A member as the JSON that it was.
    pub(crate) fn json(row: &'a Row, key: Key) -> Self {
        Cell::Text(row.event.value(key).map(String::from_utf8_lossy))
    }

    pub(crate) fn at(row: &'a Row, path: &[&str]) -> Self {
        Cell::Text(row.event.text_at(path))
    }

    /// Something about the caller: of a CloudTrail record the member `cloudtrail` of `userIdentity`, of a GuardDuty
    /// finding the member `guardduty` of its `resource.accessKeyDetails`.
    pub(crate) fn caller(row: &'a Row, cloudtrail: &str, guardduty: Option<&str>) -> Self {
        Cell::Text(match (row.event.kind(), guardduty) {
            (EventKind::CloudTrail, _) => row.event.text_at(&["userIdentity", cloudtrail]),
            (EventKind::GuardDuty, Some(name)) => row.event.text_at(&["resource", "accessKeyDetails", name]),
            _ => None,
        })
    }
}

/// `eventType`; the findings, which have none, are told apart from what the two services' own APIs log.
pub(crate) fn event_type(row: &Row) -> Cell<'_> {
    match row.event.kind() {
        EventKind::CloudTrail => Cell::Text(row.event.text(Key::EventType)),
        EventKind::GuardDuty => Cell::text("GuardDutyFinding"),
        EventKind::SecurityHub => Cell::text("SecurityHubFinding"),
    }
}

pub(crate) fn actor(row: &Row) -> Cell<'_> {
    Cell::Text(actor::actor(&row.event).map(Cow::Owned))
}

pub(crate) fn source_ip(row: &Row) -> Cell<'_> {
    Cell::Text(actor::source_ip(&row.event).map(Cow::Owned))
}

/// `userIdentity.sessionContext.attributes.mfaAuthenticated`, which CloudTrail writes as a string.
pub(crate) fn session_mfa(row: &Row) -> Cell<'_> {
    let path = ["userIdentity", "sessionContext", "attributes", "mfaAuthenticated"];
    Cell::Flag(match row.event.text_at(&path).as_deref() {
        Some("true") => Some(true),
        Some("false") => Some(false),
        _ => None,
    })
}

/// The ARNs under `resources` of a CloudTrail record (spelled `ARN`, of some services `arn`), or the ids under
/// `Resources` of a Security Hub finding, which are ARNs where the resource has one.
pub(crate) fn resource_arns(row: &Row) -> Cell<'_> {
    let list = match row.event.kind() {
        EventKind::CloudTrail => {
            row.event.value(Key::Resources).and_then(|value| serde_json::from_slice::<Value>(value).ok())
        }
        EventKind::SecurityHub => serde_json::from_slice::<Value>(row.event.raw())
            .ok()
            .and_then(|mut finding| finding.get_mut("Resources").map(Value::take)),
        EventKind::GuardDuty => None,
    };
    let arn = |resource: &Value| {
        let of = |name| resource.get(name).and_then(Value::as_str);
        let arn = of("ARN").or_else(|| of("arn")).or_else(|| of("Id"))?;
        Some(Cow::Owned(arn.to_owned()))
    };
    let resources = list.as_ref().and_then(Value::as_array);
    Cell::Texts(resources.into_iter().flatten().filter_map(arn).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dead_letter_file::Letter;

    #[test]
    fn the_overhead_covers_what_is_held() {
        let digits = 56;
        assert!(size_of::<Row>() + size_of::<Event>() + digits <= OVERHEAD);
        assert!(size_of::<Letter>() + digits <= OVERHEAD);
    }
}
