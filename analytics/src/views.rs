//! Views over the relations `events` and `findings`, each said once for every dialect. Pure.

use crate::cloudtrail;
use crate::ddl::{Dialect, Statement};
use crate::events_schema::EVENTS;
use crate::findings_schema::FINDINGS;
use crate::table::{ColumnType, PARTITION, Table};

/// A view.
#[derive(Debug, Clone, Copy)]
pub struct View {
    /// Its name.
    pub name: &'static str,
    /// What its rows are, in one sentence.
    pub meaning: &'static str,
    query: fn(Dialect) -> String,
    columns: fn() -> Vec<ViewColumn>,
}

/// A column of a view, as people are told of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ViewColumn {
    /// Its name; of a member of a structure the full one, such as `useridentity.type`.
    pub name: String,
    /// Its type in words.
    pub words: &'static str,
    /// Its type in Athena.
    pub glue: &'static str,
    /// Whether it may be null.
    pub nullable: bool,
    /// What it means, in one sentence.
    pub meaning: String,
}

impl ViewColumn {
    /// The day, of a view on this table.
    pub(crate) fn partition(table: &Table) -> ViewColumn {
        let (words, glue) = (ColumnType::Text.words(), ColumnType::Text.glue());
        ViewColumn { name: PARTITION.to_owned(), words, glue, nullable: false, meaning: table.day.to_owned() }
    }

    /// Those of a table.
    #[must_use]
    pub fn all_of(table: &Table) -> Vec<ViewColumn> {
        let columns = table.columns.iter().map(|column| ViewColumn {
            name: column.name.to_owned(),
            words: column.column_type.words(),
            glue: column.column_type.glue(),
            nullable: column.nullable,
            meaning: column.meaning.to_owned(),
        });
        columns.chain([ViewColumn::partition(table)]).collect()
    }
}

/// The views, in an order in which they can be made: a later one may rest on an earlier one.
pub const VIEWS: [View; 3] = [
    View {
        name: "events_distinct",
        meaning: "`events` with one row an event id and day: senders put some events into the stream twice.",
        query: |_| events_distinct(),
        columns: || ViewColumn::all_of(&EVENTS),
    },
    View {
        name: "findings_latest",
        meaning: "`findings` with one row a finding: its greatest version.",
        query: |_| findings_latest(),
        columns: || ViewColumn::all_of(&FINDINGS),
    },
    View {
        name: cloudtrail::NAME,
        meaning: cloudtrail::MEANING,
        query: cloudtrail::query,
        columns: cloudtrail::columns,
    },
];

impl View {
    /// Its query.
    #[must_use]
    pub fn query(&self, dialect: Dialect) -> String {
        (self.query)(dialect)
    }

    /// Its columns, in their order.
    #[must_use]
    pub fn columns(&self) -> Vec<ViewColumn> {
        (self.columns)()
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
