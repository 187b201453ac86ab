//! Views over the relations `events` and `findings`, each said once for every dialect. Pure.

use crate::cloudtrail;
use crate::ddl::{Dialect, Statement};
use crate::events_schema::EVENTS;
use crate::findings_schema::FINDINGS;
use crate::table::{PARTITION, Table};

/// A view.
#[derive(Debug, Clone, Copy)]
pub struct View {
    /// Its name.
    pub name: &'static str,
    /// What its rows are, in one sentence.
    pub meaning: &'static str,
    query: fn(Dialect) -> String,
}

/// The views, in an order in which they can be made: a later one may rest on an earlier one.
pub const VIEWS: [View; 3] = [
    View {
        name: "events_distinct",
        meaning: "`events` with one row an event id and day: senders put some events into the stream twice.",
        query: |_| events_distinct(),
    },
    View {
        name: "findings_latest",
        meaning: "`findings` with one row a finding: its greatest version.",
        query: |_| findings_latest(),
    },
    View { name: cloudtrail::NAME, meaning: cloudtrail::MEANING, query: cloudtrail::query },
];

impl View {
    /// Its query.
    #[must_use]
    pub fn query(&self, dialect: Dialect) -> String {
        (self.query)(dialect)
    }

    /// `CREATE VIEW`, in the database that is in use.
    #[must_use]
    pub fn create(&self, dialect: Dialect) -> Statement {
        let sql = format!("CREATE OR REPLACE VIEW {} AS\n{}", self.name, self.query(dialect));
        Statement { makes: format!("view {}", self.name), sql }
    }
}

/// Of copies of one event that differ, the one whose bytes are smaller, then the one that comes first in its shard. The day
/// is part of what is asked for once, so that a query bounded by `dt` reads only those days: copies of one id that say
/// different days both stay, and only a forger makes such.
fn events_distinct() -> String {
    let order = "raw NULLS LAST, shard_id, length(sequence_number), sequence_number, sub_sequence_number, record_index";
    one_each(&EVENTS, "dt, event_id", order)
}

/// A version that lies there twice says the same; of two stores' findings of one id (those of a scan, which begin at 1,
/// beside a stream's), the one that knows more.
fn findings_latest() -> String {
    let order = "version DESC, event_count DESC, last_seen DESC, first_seen, severity_id DESC, evidence, ocsf";
    one_each(&FINDINGS, "finding_id", order)
}

fn one_each(table: &Table, group: &str, order: &str) -> String {
    let columns: Vec<_> = table.columns.iter().map(|column| column.name).chain([PARTITION]).collect();
    let columns = columns.join(", ");
    let name = table.name;
    format!(
        "SELECT {columns}\nFROM (\n  SELECT {columns},\n    row_number() OVER (PARTITION BY {group} ORDER BY {order}) AS copy\n  \
         FROM {name}\n) AS numbered\nWHERE copy = 1"
    )
}
