//! The relations behind a table that is compacted: files as written, compacted ones, and the switches that say which of
//! them count; and the view over the three that has the table's name and its columns. Pure.

use crate::ddl::{Statement, quoted};
use crate::events_schema::EVENTS;
use crate::findings_schema::FINDINGS;
use crate::folders::Folders;
use crate::switch::SWITCHES;
use crate::table::{PARTITION, Table};

/// The three tables behind one.
#[derive(Debug, Clone, Copy)]
pub struct Parts {
    /// Files as the archive wrote them: `events_written`.
    pub written: Table,
    /// Files that compaction made: `events_compacted`.
    pub compacted: Table,
    /// Which of both count: `events_switches`.
    pub switches: Table,
}

const OF_EVENTS: Parts = Parts {
    written: Table { name: "events_written", ..EVENTS },
    compacted: Table { name: "events_compacted", folder: "events/compacted-v1", ..EVENTS },
    switches: Table { name: "events_switches", folder: "events/switches-v1", ..SWITCHES },
};

const OF_FINDINGS: Parts = Parts {
    written: Table { name: "findings_written", ..FINDINGS },
    compacted: Table { name: "findings_compacted", folder: "findings/compacted-v1", ..FINDINGS },
    switches: Table { name: "findings_switches", folder: "findings/switches-v1", ..SWITCHES },
};

impl Parts {
    /// Those behind a table of the archive.
    #[must_use]
    pub fn of(table: &Table) -> Option<Parts> {
        [(&EVENTS, OF_EVENTS), (&FINDINGS, OF_FINDINGS)]
            .into_iter()
            .find(|(of, _)| of.name == table.name)
            .map(|(_, p)| p)
    }

    /// The three.
    #[must_use]
    pub fn all(&self) -> [&Table; 3] {
        [&self.written, &self.compacted, &self.switches]
    }
}

/// The view of the table's name, with its columns and `dt`, for Athena and Trino: on the tables of [`Parts`]. It shows each row
/// once, whatever is being compacted, to a query that lists files only after it began.
///
/// Switches are read once, and those that came into effect after the query began are not obeyed: both matter.
///
/// DataFusion has no such view: there, the files that count are chosen before
/// ([`visible`](crate::visibility::visible)).
#[must_use]
pub fn athena_view(table: &Table, parts: &Parts) -> Statement {
    let (name, sql) = (table.name, athena(table, parts));
    Statement { makes: format!("view {name}"), sql: format!("CREATE OR REPLACE VIEW {name} AS\n{sql}") }
}

fn columns(table: &Table) -> String {
    let names: Vec<_> = table.columns.iter().map(|column| column.name).chain([PARTITION]).collect();
    names.join(", ")
}

/// What of a file's address names it in switches: the last four parts.
fn pattern(table: &Table) -> String {
    let name = table.folder.split('/').next().unwrap_or(table.name);
    format!("{name}/[^/]+/{PARTITION}=[^/]+/[^/]+$")
}

/// Of a row of `f` (`compacted`) and what the switches say of its file (`s`): whether it counts.
const COUNTS: &str = "CASE WHEN f.compacted THEN coalesce(s.shown AND NOT s.hidden, false) \
                      ELSE NOT coalesce(s.hidden, false) END";

/// What the switches say of each file that they name.
const SAID: &str = "bool_or(action = 'hide') AS hidden, bool_or(action = 'show') AS shown";

fn athena(table: &Table, parts: &Parts) -> String {
    let (columns, pattern) = (columns(table), pattern(table));
    let Parts { written, compacted, switches } = parts;
    let (written, compacted, switches) = (written.name, compacted.name, switches.name);
    format!(
        "SELECT {columns}\nFROM (\n  SELECT {columns}, \"$path\" AS file, false AS compacted FROM {written}\n  UNION ALL\n  \
         SELECT {columns}, \"$path\" AS file, true AS compacted FROM {compacted}\n) AS f\nLEFT JOIN (\n  \
         SELECT {PARTITION} AS day, path, {SAID}\n  FROM {switches}\n  \
         WHERE effective_from <= CAST(current_timestamp AT TIME ZONE 'UTC' AS timestamp(3))\n  \
         GROUP BY {PARTITION}, path\n) AS s ON s.day = f.{PARTITION} AND s.path = regexp_extract(f.file, '{pattern}')\n\
         WHERE {COUNTS}"
    )
}

/// The same for DuckDB, on the files below `root`: the query of a view with at least the columns of `none`, which has no
/// rows. One pattern for the files of all three tables, since DuckDB does not put up with a pattern that no file has: there are no
/// compacted files and no switches at first.
pub(crate) fn duckdb(table: &Table, root: &str, none: &str) -> String {
    let (columns, pattern, folders) = (columns(table), pattern(table), Folders::of(table));
    let (name, version) = table.folder.rsplit_once('/').unwrap_or((table.name, table.folder));
    let files = quoted(&format!("{}/{name}/*{version}/{PARTITION}=*/*.parquet", root.trim_end_matches('/')));
    let read = format!(
        "SELECT * FROM read_parquet({files}, hive_partitioning = true, hive_types_autocast = false, \
         union_by_name = true, filename = true)"
    );
    let within = |folder: &str| format!("regexp_matches(filename, '{folder}/{PARTITION}=[^/]+/[^/]+$')");
    let (compacted, switches) = (within(folders.compacted()), within(folders.switches()));
    format!(
        "SELECT {columns}\nFROM (\n  SELECT *, {compacted} AS compacted FROM (\n    {none}\n    UNION ALL BY NAME\n    \
         {read}\n    WHERE NOT {switches}\n  )\n) AS f\nLEFT JOIN (\n  SELECT path, {SAID}\n  FROM (\n    \
         SELECT NULL::VARCHAR AS path, NULL::VARCHAR AS action, NULL::TIMESTAMPTZ AS effective_from WHERE false\n    \
         UNION ALL BY NAME\n    {read}\n    WHERE {switches}\n  )\n  WHERE effective_from <= now()\n  GROUP BY path\n) AS s \
         ON s.path = regexp_extract(f.filename, '{pattern}')\nWHERE {COUNTS}"
    )
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::table::TABLES;

    #[test]
    fn the_parts_lie_where_the_program_looks() {
        for table in TABLES {
            let (parts, folders) = (Parts::of(table).unwrap(), Folders::of(table));
            let found = parts.all().map(|part| part.folder);
            assert_eq!(found, [folders.written(), folders.compacted(), folders.switches()]);
            let names = parts.all().map(|part| part.name);
            assert_eq!(names, ["written", "compacted", "switches"].map(|part| format!("{}_{part}", table.name)));
        }
    }

    #[test]
    fn a_view_reads_its_switches_once() {
        for table in TABLES {
            let sql = athena_view(table, &Parts::of(table).unwrap()).sql;
            for part in Parts::of(table).unwrap().all() {
                assert_eq!(sql.matches(&format!("FROM {}", part.name)).count(), 1, "{sql}");
            }
            assert!(sql.contains("effective_from <= CAST(current_timestamp"), "{sql}");
        }
    }
}
