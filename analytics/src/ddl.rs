//! Statements that make the archive's tables known: to Glue and Athena, and to DuckDB. Pure; nothing here is sent
//! anywhere. Names and places are checked where they enter ([`Place::new`]), so that no statement can be broken out of.

use std::fmt;
use std::fmt::Write as _;

use crate::layout::Day;
use crate::parts;
use crate::table::{Column, ColumnType, PARTITION, Table};

/// Whose SQL.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// Athena, engine version 3: Trino's SQL for queries and views, Hive's for tables.
    Athena,
    /// DuckDB, from 1.3.
    DuckDb,
    /// DataFusion, with the function `json_extract_scalar` of `dial query`.
    DataFusion,
}

/// Where an archive is, and how Athena is to call it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    database: String,
    location: String,
    first: Day,
    last: Option<Day>,
}

/// What cannot be the name or the place of an archive.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PlaceError {
    /// The database.
    #[error(
        "{0:?} is no name of a database: use lower-case letters, digits and underscores, a letter first, at most 128"
    )]
    Database(String),
    /// The location.
    #[error("{0:?} is no place of an archive: write s3://BUCKET or s3://BUCKET/PREFIX")]
    Location(String),
}

impl Place {
    /// The archive below `location`, such as `s3://bucket/prefix`, in the database of this name. Athena looks for days
    /// from [`Day::FIRST`] to tomorrow.
    ///
    /// # Errors
    /// See [`PlaceError`].
    pub fn new(database: &str, location: &str) -> Result<Place, PlaceError> {
        let is_word = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
        let named = database.starts_with(|c: char| c.is_ascii_lowercase()) && database.chars().all(is_word);
        if !named || database.len() > 128 {
            return Err(PlaceError::Database(database.to_owned()));
        }
        let below = location.trim_end_matches('/');
        if !below.strip_prefix("s3://").is_some_and(is_bucket_path) {
            return Err(PlaceError::Location(location.to_owned()));
        }
        Ok(Place { database: database.to_owned(), location: below.to_owned(), first: Day::FIRST, last: None })
    }

    /// The same with other days that Athena looks for: `None` as the last means tomorrow, whenever that is. Rows of
    /// other days are in the files, and no query sees them.
    #[must_use]
    pub fn days(self, first: Day, last: Option<Day>) -> Place {
        Place { first, last, ..self }
    }

    /// The database.
    #[must_use]
    pub fn database(&self) -> &str {
        &self.database
    }

    fn folder(&self, table: &Table) -> String {
        format!("{}/{}/", self.location, table.folder)
    }
}

/// Letters, digits and what else S3 calls safe, in parts between slashes.
fn is_bucket_path(path: &str) -> bool {
    let is_safe = |c: char| c.is_ascii_alphanumeric() || "-_.!*()=".contains(c);
    let mut parts = path.split('/');
    let bucket = parts.next().unwrap_or_default();
    let is_bucket = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || ".-".contains(c);
    (3..=63).contains(&bucket.len())
        && bucket.chars().all(is_bucket)
        && parts.all(|part| !part.is_empty() && part != "." && part != ".." && part.chars().all(is_safe))
}

/// A column of a Glue table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GlueColumn {
    /// Its name.
    pub name: &'static str,
    /// Its type, in Hive's words.
    pub column_type: &'static str,
    /// What it means: at most 255 bytes, without apostrophes, which Hive and Trino escape differently.
    pub comment: String,
}

/// The columns of a table, without the partition column.
#[must_use]
pub fn glue_columns(table: &Table) -> Vec<GlueColumn> {
    let column = |column: &Column| GlueColumn {
        name: column.name,
        column_type: column.column_type.glue(),
        comment: comment(column.meaning),
    };
    table.columns.iter().map(column).collect()
}

fn comment(text: &str) -> String {
    text.replace('\'', "")
}

/// The properties of a Glue table: Parquet, and which partitions there are without anybody adding them
/// (<https://docs.aws.amazon.com/athena/latest/ug/partition-projection-supported-types.html>).
#[must_use]
pub fn glue_properties(table: &Table, place: &Place) -> Vec<(&'static str, String)> {
    // Not later than tomorrow, as events are clamped by their arrival: each day that is asked for and not there costs
    // a listing.
    let last = place.last.map_or_else(|| "NOW+1DAYS".to_owned(), |day| day.to_string());
    vec![
        ("classification", "parquet".to_owned()),
        ("projection.enabled", "true".to_owned()),
        ("projection.dt.type", "date".to_owned()),
        ("projection.dt.format", "yyyy-MM-dd".to_owned()),
        ("projection.dt.range", format!("{},{last}", place.first)),
        ("projection.dt.interval", "1".to_owned()),
        ("projection.dt.interval.unit", "DAYS".to_owned()),
        ("storage.location.template", format!("{}{PARTITION}=${{{PARTITION}}}/", place.folder(table))),
    ]
}

/// A statement, with a word on what it makes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statement {
    /// What it makes: `table events`.
    pub makes: String,
    /// The statement, without a semicolon.
    pub sql: String,
}

impl fmt::Display for Statement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "-- {}\n{};\n", self.makes, self.sql)
    }
}

/// `CREATE DATABASE`, for Athena.
#[must_use]
pub fn create_database(place: &Place) -> Statement {
    let database = &place.database;
    Statement {
        makes: format!("database {database}: choose it for what follows"),
        sql: format!("CREATE DATABASE IF NOT EXISTS `{database}`"),
    }
}

/// `DROP TABLE` and `CREATE EXTERNAL TABLE`, for Athena: a table that is there gets the columns and days of now, which
/// `IF NOT EXISTS` would not give it. Dropping an external table leaves its files.
#[must_use]
pub fn replace_table(table: &Table, place: &Place) -> [Statement; 2] {
    let drop = Statement {
        makes: format!("no table {} of before; its files stay", table.name),
        sql: format!("DROP TABLE IF EXISTS `{}`.`{}`", place.database, table.name),
    };
    [drop, create_table(table, place)]
}

fn create_table(table: &Table, place: &Place) -> Statement {
    let mut sql = format!("CREATE EXTERNAL TABLE `{}`.`{}` (\n", place.database, table.name);
    let columns = glue_columns(table);
    for (n, GlueColumn { name, column_type, comment }) in columns.iter().enumerate() {
        let comma = if n + 1 < columns.len() { "," } else { "" };
        // Writing to a String does not fail.
        let _ = writeln!(sql, "  `{name}` {column_type} COMMENT '{comment}'{comma}");
    }
    let _ = writeln!(sql, ")\nCOMMENT '{}'", comment(table.meaning));
    let _ = writeln!(sql, "PARTITIONED BY (`{PARTITION}` string COMMENT '{}')", comment(table.day));
    let _ = writeln!(sql, "STORED AS PARQUET\nLOCATION '{}'\nTBLPROPERTIES (", place.folder(table));
    let properties = glue_properties(table, place);
    let properties: Vec<_> = properties.iter().map(|(name, value)| format!("  '{name}' = '{value}'")).collect();
    let _ = write!(sql, "{}\n)", properties.join(",\n"));
    Statement { makes: format!("table {}", table.name), sql }
}

/// A view for DuckDB over the Parquet files below `root`, a folder or `s3://BUCKET/PREFIX`: those that count
/// ([`crate::parts`]). It has all columns of the
/// table whatever the files have; without files (`empty`), which DuckDB does not put up with, it has no rows.
#[must_use]
pub fn duckdb_table(table: &Table, root: &str, empty: bool) -> Statement {
    let columns: Vec<_> =
        table.columns.iter().map(|column| format!("NULL::{} AS {}", duckdb(column), column.name)).collect();
    let none = format!("SELECT {}, NULL::VARCHAR AS {PARTITION} WHERE false", columns.join(", "));
    let sql = if empty { none } else { parts::duckdb(table, root, &none) };
    Statement { makes: format!("view {}", table.name), sql: format!("CREATE OR REPLACE VIEW {} AS\n{sql}", table.name) }
}

fn duckdb(column: &Column) -> &'static str {
    match column.column_type {
        ColumnType::Text | ColumnType::Json => "VARCHAR",
        ColumnType::Flag => "BOOLEAN",
        ColumnType::Time => "TIMESTAMPTZ",
        ColumnType::Number => "BIGINT",
        ColumnType::Texts => "VARCHAR[]",
    }
}

/// A text as a literal of SQL.
pub(crate) fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::table::TABLES;

    #[test]
    fn places_are_checked() {
        for fine in ["s3://trail", "s3://trail/", "s3://my.trail-1/a/b=c/"] {
            assert!(Place::new("dial", fine).is_ok(), "{fine}");
        }
        for wrong in [
            "trail",
            "s3:/trail",
            "s3://",
            "s3://ab",
            "s3://Trail",
            "s3://trail//a",
            "s3://trail/a'b",
            "s3://trail/${x}",
            "s3://trail/../x",
        ] {
            assert_eq!(Place::new("dial", wrong), Err(PlaceError::Location(wrong.to_owned())));
        }
        for wrong in ["", "1a", "Dial", "a-b", "a`b", "_a"] {
            assert_eq!(Place::new(wrong, "s3://trail"), Err(PlaceError::Database(wrong.to_owned())));
        }
    }

    #[test]
    fn comments_are_what_glue_takes() {
        for table in TABLES {
            for GlueColumn { name, comment, .. } in glue_columns(table) {
                let plain = comment.bytes().all(|b| (0x20..0x7f).contains(&b) && b != b'\'' && b != b'\\');
                assert!(plain && (5..=255).contains(&comment.len()), "{name}: {comment}");
            }
            assert!(comment(table.meaning).is_ascii() && comment(table.day).is_ascii());
        }
    }

    #[test]
    fn a_table_is_declared_with_its_partitions() {
        let place = Place::new("dial", "s3://trail/archive/").unwrap();
        let [drop, Statement { makes, sql }] = replace_table(TABLES[0], &place);
        assert_eq!(drop.sql, "DROP TABLE IF EXISTS `dial`.`events`");
        assert_eq!(makes, "table events");
        for part in [
            "CREATE EXTERNAL TABLE `dial`.`events` (\n  `event_time` timestamp COMMENT 'When",
            "\n  `resource_arns` array<string> COMMENT",
            "empty if none.'\n)\nCOMMENT 'Every event",
            "PARTITIONED BY (`dt` string COMMENT",
            "LOCATION 's3://trail/archive/events/v1/'",
            "'projection.dt.range' = '2010-01-01,NOW+1DAYS'",
            "'storage.location.template' = 's3://trail/archive/events/v1/dt=${dt}/'\n)",
        ] {
            assert!(sql.contains(part), "{part}\n{sql}");
        }
        let bounded = place.days(Day::parse("2024-01-01").unwrap(), Some(Day::LAST));
        assert!(create_table(TABLES[1], &bounded).sql.contains("'projection.dt.range' = '2024-01-01,2099-12-31'"));
    }

    #[test]
    fn a_folder_cannot_break_out_of_its_literal() {
        let sql = duckdb_table(TABLES[0], "/a'); DROP TABLE x; --/", false).sql;
        assert!(sql.contains("read_parquet('/a''); DROP TABLE x; --/events/*v1/dt=*/*.parquet', "), "{sql}");
    }
}
