//! The documentation of tables and views, written from their definitions. Pure.

use std::fmt::Write as _;

use crate::cloudtrail;
use crate::table::{Column, PARTITION, TABLES, Table};

/// The columns of a table in Markdown.
#[must_use]
pub fn columns(table: &Table) -> String {
    let mut page = format!("{}\n\n| column | type | means |\n| --- | --- | --- |\n", table.meaning);
    for column in table.columns {
        // Writing to a String does not fail.
        let _ = writeln!(page, "| `{}` | {} | {} |", column.name, kind(column), cell(column.meaning));
    }
    let _ = writeln!(page, "| `{PARTITION}` | text, the folder | {} |", cell(table.day));
    let keys: Vec<_> = table.key.iter().map(|key| format!("`{key}`")).collect();
    let sorted: Vec<_> = table.sorted_by.iter().map(|key| format!("`{key}`")).collect();
    let filtered = table.columns.iter().filter(|column| column.bloom).map(|column| format!("`{}`", column.name));
    let filtered: Vec<_> = filtered.collect();
    let _ = writeln!(
        page,
        "\nA row is named by {}. The rows of a file are sorted by {}. Files have bloom filters of {}.",
        keys.join(", "),
        sorted.join(", "),
        filtered.join(", "),
    );
    page
}

/// The section of the page on the archive that is generated: every table, and the view with CloudTrail's own names.
#[must_use]
pub fn section() -> String {
    let mut page = String::new();
    for table in TABLES {
        let _ = write!(page, "### `{}`\n\n{}\n", table.name, columns(table));
    }
    let _ = write!(page, "### `{}`\n\n{}", cloudtrail::NAME, cloudtrail::markdown());
    page
}

fn kind(column: &Column) -> String {
    let words = column.column_type.words();
    if column.nullable { format!("{words}, or null") } else { words.to_owned() }
}

/// Text in a table's cell.
pub(crate) fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}
